"""What was made by other code or other engines is made again."""

from __future__ import annotations

import pytest

from pipelines import workshop


@pytest.mark.parametrize("engine", workshop.ENGINES)
def test_another_release_of_an_engine_is_another_version(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = workshop.compute_code_version()
    installed = workshop.installed_version
    monkeypatch.setattr(
        workshop, "installed_version", lambda name: "99" if name == engine else installed(name)
    )
    assert workshop.compute_code_version() != now
