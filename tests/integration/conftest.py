"""How Dagster is set up while runs are tested in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

IN_MEMORY = """\
telemetry: {enabled: false}
nux: {enabled: false}
event_log_storage: {module: dagster._core.storage.event_log, class: InMemoryEventLogStorage}
"""


@pytest.fixture(scope="session", autouse=True)
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home for Dagster whose events stay in memory: writing them is a third of a small run.

    What a run leaves on the disk in its own home is looked at by the tests that take `DAGSTER_HOME` away, and by those that
    run in a process of their own. A source that is not there is asked again at once.
    """
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "dagster.yaml").write_text(IN_MEMORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder))
        patch.setattr("pipelines.graph.SOURCE_RETRY_SECONDS", 0)
        yield
