"""Dagster's own databases, for a run in this process: made by one process at a time, and written to without needless work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage

from pipelines.event_log import keep_open
from pipelines.warehouse.files import Files


@contextmanager
def open_instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME, which is this folder. Raises StorageError."""
    with keep_open(), _keeping_engines():
        # where two runs are a home's first, Dagster would let both make the tables of runs, and one fail
        with Files(folder).lock(folder / ".lock"):
            opened = dg.DagsterInstance.get()
        with opened as instance:
            yield instance


@contextmanager
def _keeping_engines() -> Iterator[None]:
    """One SQLAlchemy engine per database.

    Dagster makes one for each event, and a new engine begins by compiling its statements anew: a third of what recording
    costs, and recording is most of a small run. An engine keeps no connection: its pool is none.
    """
    places: tuple[Any, ...] = (sqlite_event_log, sqlite_run_storage)
    makers = [place.create_engine for place in places]
    kept: dict[str, Any] = {}

    def create_engine(address: str, **options: Any) -> Any:
        key = f"{address} {options}"
        if key not in kept:
            kept[key] = makers[0](address, **options)
        return kept[key]

    for place in places:
        place.create_engine = create_engine
    try:
        yield
    finally:
        for place, maker in zip(places, makers, strict=True):
            place.create_engine = maker
