"""Dagster's databases of a run in this process: an engine each while it lasts, records that Dagster itself reads afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage

from pipelines.instance import open_instance
from pipelines.places import prepare_dagster_home


@dg.asset
def a_table() -> int:
    return 1


def test_a_database_has_one_engine_and_what_was_recorded_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Counter[str] = Counter()

    def counting(maker: Callable[..., Any]) -> Callable[..., Any]:
        def create_engine(address: str, **options: Any) -> Any:
            made[address] += 1
            return maker(address, **options)

        return create_engine

    places: tuple[Any, ...] = (sqlite_event_log, sqlite_run_storage)
    for place in places:
        monkeypatch.setattr(place, "create_engine", counting(place.create_engine))
    own = [place.create_engine for place in places]
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with open_instance(prepare_dagster_home(tmp_path)) as instance:
        assert dg.materialize([a_table], instance=instance).success
    assert len(made) >= 3  # of runs, of all assets, of this run's events
    assert set(made.values()) == {1}
    assert [place.create_engine for place in places] == own
    with dg.DagsterInstance.get() as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey("a_table")) is not None
        (run,) = instance.get_runs()
        assert run.is_success


def test_an_error_inside_gives_dagster_its_own_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place: Any = sqlite_event_log
    own = place.create_engine
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))

    def fail_inside() -> None:
        with open_instance(prepare_dagster_home(tmp_path)):
            assert place.create_engine is not own
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    assert place.create_engine is own
