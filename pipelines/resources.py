"""What a run hands its steps, as a Dagster resource."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from pipelines.sources.config import Configuration
from pipelines.workshop import RunWorkshop, silent


def workshop_resource(
    home: Path, load_configuration: Callable[[], Configuration], tell: Callable[[str], None] = silent
) -> dg.ResourceDefinition:
    """A workshop per run. Configuration and secrets are read when the run first needs them, never at import."""

    @contextmanager
    def make(context: dg.InitResourceContext) -> Iterator[RunWorkshop]:
        run_id = context.run.run_id if context.run else "no_run"
        workshop = RunWorkshop(home, load_configuration, run_id, tell)
        yield workshop
        workshop.end()

    return dg.ResourceDefinition(make, description="Configuration, store, sources and settings of one run.")
