"""A full disk, a faulty disk, a read-only disk, a forbidden folder, at every operation of a run."""

import errno
import os
import resource
import shutil
import signal
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NoReturn

import polars as pl
import pytest
from small_run import DAILY, ORDERS, READING, TOTALS, FaultyFiles, run

from pipelines.warehouse.files import StorageError
from pipelines.warehouse.retention import collect
from pipelines.warehouse.snapshots import latest_snapshot, verify
from pipelines.warehouse.store import Store

ADVICE = {
    errno.ENOSPC: "free some space and run again",
    errno.EIO: "the disk reports a fault",
    errno.EROFS: "choose another home",
    errno.EACCES: "who may write",
}


class Fault:
    """Raises an operating system's error and remembers where."""

    def __init__(self, number: int) -> None:
        self.number, self.where = number, None

    def __call__(self, action: str, path: Path) -> NoReturn:
        self.where = (action, path)
        raise OSError(self.number, os.strerror(self.number))


def attempt(home: Path, k: int, fault: Fault) -> StorageError | None:
    """A run of its own generation (so that it has everything to do) that fails at operation k, if it has that many."""
    try:
        run(home, k, FaultyFiles(home, k, fault), run_id=f"run-{k}")
    except StorageError as error:
        return error
    return None


@pytest.mark.parametrize("number", ADVICE, ids=errno.errorcode.get)
def test_an_error_at_any_operation_changes_nothing_published_and_says_what_to_do(tmp_path, number):
    run(tmp_path, 0)
    for k in count(1):
        before, fault = latest_snapshot(tmp_path), Fault(number)
        error = attempt(tmp_path, k, fault)
        if fault.where is None:
            break
        action, path = fault.where
        assert str(error).startswith(f"could not {action} {path}: {os.strerror(number)}; ")
        assert ADVICE[number] in str(error)
        after = latest_snapshot(tmp_path)
        # an error after the flip leaves the new snapshot, complete
        assert after.number == before.number or after.run_id == f"run-{k}"
        assert verify(tmp_path, before.number) == verify(tmp_path, after.number) == []
    assert k > 150
    assert verify(tmp_path) == []


def test_a_full_disk_below_polars_is_said_in_the_same_words(tmp_path):
    store = Store(tmp_path)
    rows = pl.LazyFrame({"generation": range(2_000_000)}).with_columns(
        pl.col("generation").hash().cast(pl.Int64, strict=False).fill_null(0)
    )
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(
            StorageError, match=r"could not write .*: File too large; look at the path and run again"
        ):
            store.stage(TOTALS, rows, "key", {})
        assert list(store.files.scratch.iterdir()) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_collecting_that_fails_half_way_leaves_only_whole_versions(tmp_path):
    base = tmp_path / "base"
    for generation in range(4):
        run(base, generation)
    later = datetime.now(UTC) + timedelta(days=2)
    for k in count(1):
        home, fault = tmp_path / str(k), Fault(errno.EIO)
        shutil.copytree(base, home, symlinks=True)
        try:
            collect(home, later, FaultyFiles(home, k, fault, READING))
        except StorageError:
            store = Store(home)
            # raises where a manifest names a part that is gone
            assert all(store.versions(table.path) for table in (ORDERS, DAILY, TOTALS))
            assert verify(home) == []
        if fault.where is None:
            break
        shutil.rmtree(home)
    assert k > 15
    assert [v.key for v in Store(home).versions(TOTALS.path)] == ["g1-totals", "g2-totals", "g3-totals"]
