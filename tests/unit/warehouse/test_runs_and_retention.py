"""Runs: their state, their results, the dead among them. Retention: what goes and what stays."""

import os
import subprocess
import sys
from datetime import timedelta

import polars as pl
import pytest
from small_versions import NOON

from pipelines.warehouse.files import StorageError
from pipelines.warehouse.retention import collect
from pipelines.warehouse.runs import Runs, State
from pipelines.warehouse.snapshots import latest_number, rollback, snapshots, verify


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)


def test_a_run_is_recorded_from_start_to_end(runs):
    runs.start("r1", now=NOON)
    assert runs.is_alive("r1")
    runs.finish("r1", State.BLOCKED, "core/deals: 3 of 100 rows rejected", as_of="2025-12-31", now=NOON)
    runs.start("r2", now=NOON + timedelta(seconds=1))
    latest = runs.latest()
    assert (latest.run_id, latest.state) == ("r2", State.STARTED)
    first = runs.read("r1")
    assert (first.state, first.as_of) == (State.BLOCKED, "2025-12-31")
    assert first.message == "core/deals: 3 of 100 rows rejected"
    assert not runs.is_alive("r1")
    assert runs.read("r3") is None


def test_a_run_that_was_killed_is_reported_failed_by_the_next(runs, tmp_path):
    code = (
        "import os, signal, sys, pathlib; from pipelines.warehouse.runs import Runs\n"
        "Runs(pathlib.Path(sys.argv[1])).start('dead'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == -9
    runs.start("alive")
    assert [r.run_id for r in runs.reap_dead(NOON)] == ["dead"]
    assert runs.read("dead").state is State.FAILED
    assert "killed" in runs.read("dead").message
    assert runs.read("alive").state is State.STARTED
    assert runs.reap_dead(NOON) == []


def test_two_processes_cannot_run_under_one_id(runs, tmp_path):
    first = runs.start("r1")
    assert runs.start("r1") == first
    code = "import sys, pathlib; from pipelines.warehouse.runs import Runs; Runs(pathlib.Path(sys.argv[1])).start('r1')"
    other = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert "another process runs under this id" in other.stderr
    with pytest.raises(ValueError, match="no run id"):
        runs.start("../x")


def test_results_are_kept_by_table_whether_published_or_not(runs):
    runs.write_result("r1", "marts/b", {"passed": False, "count": 3})
    runs.write_result("r1", "core/a", {"passed": True})
    runs.write_result("r1", "marts/b", {"passed": False, "count": 4})
    assert runs.results("r1") == {"core/a": {"passed": True}, "marts/b": {"count": 4, "passed": False}}
    assert runs.results("r2") == {}
    with pytest.raises(ValueError, match="no table name"):
        runs.write_result("r1", "../../x", {})
    path = runs.folder("r1") / "results/core/a.json"
    path.write_text("{")
    with pytest.raises(StorageError, match="not a sealed JSON file"):
        runs.results("r1")


def test_a_blocked_run_names_every_blocked_table_once(runs):
    runs.start("r1")
    for table, state, message in (
        ("core/b", "blocked", "core/b: too few."), ("core/a", "blocked", "core/a: too many. "), ("core/c", "made", "fine"),
        ("core/d", "blocked", "core/b: too few."),
    ):  # fmt: skip
        runs.write_result("r1", table, {"state": state, "message": message})
    run = runs.finish("r1", State.BLOCKED, "core/b: too few.")
    assert runs.why(run) == "core/b: too few | core/a: too many"
    failed = runs.finish("r1", State.FAILED, "the disk is full")
    assert runs.why(failed) == "the disk is full"


def test_runs_go_after_ninety_days_unless_alive(runs):
    for name, days in (("old", 91), ("old-but-alive", 91), ("young", 89)):
        runs.start(name, now=NOON - timedelta(days=days))
        if name != "old-but-alive":
            runs.finish(name, State.PUBLISHED, now=NOON)
    assert runs.prune(NOON) == ["old"]
    assert [r.run_id for r in runs.all()] == ["old-but-alive", "young"]


# --- retention ---------------------------------------------------------------------------------------------------


def age(hands, hours: float) -> None:
    """Make everything stored so far that old."""
    stamp = (NOON - timedelta(hours=hours)).timestamp()
    for folder in ("store", "rejects"):
        for path in (hands.home / folder).rglob("*"):
            if path.is_file():
                os.utime(path, (stamp, stamp))


@pytest.fixture
def history(hands, make_deals):
    """Five published generations, 5 to 1 days old, each with a rejects file; none is a head."""
    rejects = {"rejects": pl.DataFrame({"raw": ["x"]})}
    for g in range(1, 6):
        version = hands.commit("marts/deals", f"g{g}", make_deals(f"d{g}"), sides=rejects)
        hands.publish(version, now=NOON - timedelta(days=6 - g))
    age(hands, 25)
    return hands


def stored(hands) -> list[str]:
    return sorted(p.name for f in ("store/marts", "rejects") for p in (hands.home / f).rglob("g*"))


def files_of(*generations: int) -> list[str]:
    return sorted(f"g{g}{end}" for g in generations for end in (".json", ".parquet", ".parquet"))


def test_three_snapshots_stay_and_what_they_name(history):
    collected = collect(history.home, NOON)
    assert collected.snapshots == (1, 2)
    assert collected.files == 6
    assert [s.number for s in snapshots(history.home)] == [3, 4, 5]
    assert stored(history) == files_of(3, 4, 5)
    assert verify(history.home) == []
    assert collect(history.home, NOON).files == 0


def test_young_snapshots_stay_however_many(history):
    assert collect(history.home, NOON - timedelta(days=3, hours=23)).snapshots == (1,)
    assert [s.number for s in snapshots(history.home)] == [2, 3, 4, 5]


def test_the_snapshot_one_went_back_to_stays(history):
    rollback(history.home, 1)
    assert collect(history.home, NOON).snapshots == (2,)
    assert latest_number(history.home) == 1
    assert stored(history) == files_of(1, 3, 4, 5)


def test_heads_young_files_and_parts_in_use_stay(history, make_deals):
    first = history.store.find("marts/deals", "g1")
    history.store.record_head("any", first)
    history.commit("marts/deals", "g9", make_deals("young"))
    collect(history.home, NOON)
    assert history.store.head("marts/deals") == first
    assert {"g1.parquet", "g9.parquet", "g9.json"} <= set(stored(history))
    assert "g2.parquet" not in stored(history)


def test_a_head_of_a_live_run_protects_and_a_dead_old_one_does_not(history):
    runs = Runs(history.home)
    runs.start("live", now=NOON - timedelta(days=2))
    for run_id, key in (("live", "g1"), ("gone", "g2"), ("last", "g5")):
        history.store.record_head(run_id, history.store.find("marts/deals", key))
    collect(history.home, NOON)
    assert history.store.head("marts/deals", "live").key == "g1"
    assert stored(history) == files_of(1, 3, 4, 5)


def test_a_reused_month_stays_while_a_young_version_names_it(hands, make_deals, make_contract):
    old = hands.commit("marts/cut", "g1", {"2025-01": make_deals("a"), "2025-02": make_deals("b")})
    age(hands, 48)
    staged = hands.store.stage(make_contract("marts/cut"), make_deals("c"), "g2", {}, "2025-02")
    blank = type(old)("marts/cut", "g2", "", old.parts[:1], {}, 0, "c", 1, "r", NOON.isoformat())
    young = hands.store.commit(blank, (staged,), {})
    collect(hands.home, NOON)
    assert hands.store.find("marts/cut", "g1") is None
    assert hands.store.find("marts/cut", "g2") == young


def test_rejects_of_a_blocked_table_stay_with_the_record_of_its_run(history):
    runs = Runs(history.home)
    runs.start("blocked", now=NOON - timedelta(days=5))
    runs.write_result("blocked", "marts/deals", {"state": "blocked", "key": "gx"})
    runs.finish("blocked", State.BLOCKED, now=NOON - timedelta(days=5))
    for key in ("gx", "gy"):
        history.store.files.put_bytes(history.store.side_path("marts/deals", key, "rejects"), b"x")
    age(history, 48)
    collect(history.home, NOON)
    assert "gx.parquet" in stored(history)
    assert "gy.parquet" not in stored(history)


def test_leftovers_of_killed_writers_go_when_old(hands, make_deals):
    hands.publish(hands.commit("marts/deals", "g1", make_deals("a")), now=NOON)
    leftover = hands.store.files.write(hands.store.files.temporary(".parquet"), b"torn")
    (hands.home / "published/.tmp-7").mkdir()
    (hands.home / "published/.latest-x").symlink_to("7")
    assert collect(hands.home, NOON).files == 0
    assert leftover.exists()
    age(hands, 25)
    assert collect(hands.home, NOON).files == 1
    assert sorted(p.name for p in (hands.home / "published").iterdir()) == [".lock", "1", "latest"]


def test_nothing_is_collected_while_something_cannot_be_read(history):
    path = history.home / "published/5/manifest.json"
    path.chmod(0o644)
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="not a sealed JSON file"):
        collect(history.home, NOON)
    assert stored(history) == files_of(1, 2, 3, 4, 5)
