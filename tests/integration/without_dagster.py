"""Make a table and all it stands on with the steps of the pipeline, without an orchestrator: the tests' fast lane."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from assets.source_step import make_source
from assets.storage import Version
from assets.table import SourceAsset
from assets.table_step import make_table
from expectations.contracts import TABLES
from pipelines.graph import declared_assets, select_present, upstream_paths
from pipelines.sources.config import load_config
from pipelines.workshop import RunWorkshop


def open_workshop(home: Path, config: Path) -> RunWorkshop:
    """A workshop of a run that nobody orchestrates."""
    configuration = load_config(config)
    return RunWorkshop(home, lambda: configuration, "by_hand")


def make(workshop: RunWorkshop, path: str, made: dict[str, Version] | None = None) -> pl.DataFrame:
    """Rows of a table, made with everything upstream of it that `made` does not hold. Raises AssertionError where a step is blocked."""
    present = select_present(declared_assets(), frozenset(workshop.configuration.sources))
    made = {} if made is None else made

    def visit(key: str) -> Version:
        if key not in made:
            asset = present[key]
            if isinstance(asset, SourceAsset):
                step = make_source(asset.contract, workshop, None)
            else:
                step = make_table(asset, {up: visit(up) for up in upstream_paths(asset, present)}, workshop)
            assert step.block is None, step.block
            made[key] = workshop.commit(step)
        return made[key]

    version = visit(path)
    return workshop.warehouse.scan(TABLES[path.split("/")[1]], version).collect()
