"""One small run in every part: a core table with rejects, a mart in two months, a mart in one file, publish.

And file operations that die or fail at operation k.
"""

from __future__ import annotations

import hashlib
import os
import signal
import uuid
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NoReturn

import polars as pl

from assets.storage import Version
from expectations.model import Audience, Column, Kind, Layer, Presence, Table
from pipelines.warehouse.files import Files, StorageError
from pipelines.warehouse.runs import Runs, State
from pipelines.warehouse.snapshots import Snapshot, publish
from pipelines.warehouse.store import Store

ID = Column("order_id", Kind.ID, "An order.", presence=Presence.REQUIRED)
DAY = Column("day", Kind.DATE, "Its day.")
GENERATION = Column("generation", Kind.COUNT, "Which run made it.")
NOTE = {"query": "SELECT 1", "do_not": "Do not."}
ORDERS = Table(Layer.CORE, "orders", "Orders", "an order", ("order_id",), (ID, DAY, GENERATION))
DAILY = Table(
    Layer.MARTS,
    "daily",
    "Daily",
    "an order",
    ("order_id",),
    (ID, DAY, GENERATION),
    audience=Audience.ANALYST,
    event_time="day",
    partitioned=True,
    **NOTE,
)
TOTALS = Table(
    Layer.MARTS, "totals", "Totals", "one row", ("generation",), (GENERATION,), audience=Audience.WIDE, **NOTE
)
AUDIENCES = {t.path: t.audience for t in (ORDERS, DAILY, TOTALS)}
MONTHS = {"2025-01": date(2025, 1, 5), "2025-02": date(2025, 2, 5)}

# dying before a read leaves what dying before the next change leaves
READING = frozenset({"read", "list"})


class HastyFiles(Files):
    """Does not wait for the disk: a kill or an error loses nothing that the kernel has, only a power cut would."""

    def fsync(self, path: Path) -> None:
        with self.doing("flush", path):
            path.stat()


class FaultyFiles(HastyFiles):
    """Counts operations; at number `at` leaves a torn file if one was being written, then calls `fail`.

    `ignored` actions don't count.
    """

    def __init__(
        self,
        home: Path,
        at: int,
        fail: Callable[[str, Path], NoReturn],
        ignored: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(home)
        self.at, self.fail, self.ignored, self.done = at, fail, ignored, 0

    def step(self, action: str, path: Path) -> None:
        if action in self.ignored:
            return
        self.done += 1
        if self.done == self.at:
            if action == "write":
                path.write_bytes(b"PAR1 torn")
            self.fail(action, path)


def die(action: str, path: Path) -> NoReturn:
    """What `kill -9` or the power does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def build(folder: Path, final: Path) -> None:
    (folder / "board.html").write_text("<p>board")


def run(home: Path, generation: int, files: Files | None = None, run_id: str = "") -> Snapshot:
    """The whole main job in small: reuse or make three tables, publish them, record the run."""
    files = files or Files(home)
    store, runs, run_id = Store(home, files), Runs(home, files), run_id or uuid.uuid4().hex
    runs.start(run_id)
    try:
        snapshot = work(store, generation, run_id)
        runs.write_result(run_id, TOTALS.path, {"checked": 1})
    except StorageError as cause:
        runs.finish(run_id, State.FAILED, str(cause))
        raise
    runs.finish(run_id, State.PUBLISHED)
    return snapshot


def work(store: Store, generation: int, run_id: str) -> Snapshot:
    """Make the tables and publish them."""
    rows = [{"order_id": f"o{i}", "day": d, "generation": generation} for i, d in enumerate(MONTHS.values())]
    orders = pl.LazyFrame(rows, schema=ORDERS.schema)
    rejects = {"rejects": pl.DataFrame({"reason": ["bad"], "raw": ["x"]})}

    core = make(store, ORDERS, {"": orders}, generation, {}, run_id, rejects)
    by_month = {month: orders.filter(pl.col("day") == day) for month, day in MONTHS.items()}
    daily = make(store, DAILY, by_month, generation, {core.table: core.key}, run_id)
    total = pl.LazyFrame({"generation": [generation]})
    totals = make(store, TOTALS, {"": total}, generation, {daily.table: daily.key}, run_id)

    return publish(
        store,
        {v.table: v for v in (core, daily, totals)},
        AUDIENCES,
        build,
        as_of="2025-12-31",
        run_id=run_id,
        code_version="1",
        facts={},
    )


def make(
    store: Store,
    contract: Table,
    frames: dict[str, pl.LazyFrame],
    generation: int,
    inputs: dict[str, str],
    run_id: str,
    sides: dict[str, pl.DataFrame] | None = None,
) -> Version:
    key = f"g{generation}-{contract.name}"
    version = store.find(contract.path, key)
    if version is None:
        staged = tuple(store.stage(contract, f, key, {"as_of": "x"}, month) for month, f in frames.items())
        empty = Version(contract.path, key, "", (), inputs, 0, "1", contract.version, run_id, "2026-01-01")
        version = store.commit(empty, staged, sides or {})
    store.record_head(run_id, version)
    return version


def content(snapshot: Snapshot) -> str:
    """One hash over what analysts read."""
    lines = [f"{name} {facts['sha256']}" for name, facts in sorted(snapshot.files.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
