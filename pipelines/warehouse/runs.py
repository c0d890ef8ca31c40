"""What became of each run: its state and the results of its checks, published or not. 90 days. No tables here.

A live run holds a lock that the kernel frees when its process ends, so a run that was killed is found out, whatever
process has got its pid since.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipelines.warehouse.files import Files, StorageError, seal, unseal

KEEP_RUNS = timedelta(days=90)

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


class State(StrEnum):
    """Where a run stands."""

    STARTED = "started"
    MADE = "made"  # tables, with nothing to publish
    PUBLISHED = "published"
    BLOCKED = "blocked"  # by data quality: the last good snapshot stays
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `started` and `ended` are UTC in ISO 8601, `as_of` the day it looked from (empty until known)."""

    run_id: str
    state: State
    started: str
    pid: int
    as_of: str = ""
    message: str = ""
    ended: str = ""


class Runs:
    """The runs of one home."""

    def __init__(self, home: Path, files: Files | None = None) -> None:
        self.files = files or Files(home)
        self.root = home.absolute() / "runs"
        self._held: dict[str, int] = {}

    def folder(self, run_id: str) -> Path:
        """Folder of a run. Raises ValueError on a name that could leave it."""
        if not _RUN_ID.match(run_id):
            raise ValueError(f"{run_id!r} is no run id")
        return self.root / run_id

    def start(self, run_id: str, as_of: str = "", now: datetime | None = None) -> Run:
        """Record that this process runs; it counts as alive until it ends or `finish` is called.

        A second start by the same process changes nothing. Raises StorageError when another process is at it.
        """
        lock = self._lock(run_id)
        try:
            # a bare handle, not closed when this object goes: only `finish` or the end of the process frees it
            self._held[run_id] = self.files.hold(lock, wait=False)
        except BlockingIOError as cause:
            known = self.read(run_id)
            if known and known.pid == os.getpid():
                return known
            raise StorageError(lock, "start", "another process runs under this id") from cause
        return self._write(Run(run_id, State.STARTED, _stamp(now), os.getpid(), as_of))

    def finish(
        self, run_id: str, state: State, message: str = "", as_of: str = "", now: datetime | None = None
    ) -> Run:
        """Record how a run ended. A run nobody started is recorded all the same."""
        run = self.read(run_id) or Run(run_id, state, _stamp(now), os.getpid())
        try:
            return self._write(
                replace(run, state=state, message=message, as_of=as_of or run.as_of, ended=_stamp(now))
            )
        finally:
            if run_id in self._held:
                os.close(self._held.pop(run_id))

    def conclude(self, run_id: str, state: State, message: str = "", as_of: str = "") -> None:
        """Record how a run ended, unless it already said so: the first trouble stays, the rest is its consequence."""
        run = self.read(run_id)
        if run is None or run.state in (State.STARTED, State.MADE):
            self.finish(run_id, state, message, as_of)

    def read(self, run_id: str) -> Run | None:
        """A run's record, if there is one. Raises StorageError when it can't be read."""
        path = self.folder(run_id) / "run.json"
        data = self.files.read(path)
        if data is None:
            return None
        content = unseal(data, path)
        return Run(**{**content, "state": State(content["state"])})

    def all(self) -> list[Run]:
        """Every recorded run, oldest first."""
        found = [self.read(path.name) for path in self.files.entries(self.root) if path.is_dir()]
        return sorted((r for r in found if r), key=lambda r: (r.started, r.run_id))

    def latest(self) -> Run | None:
        """The run that started last."""
        return next(reversed(self.all()), None)

    def is_alive(self, run_id: str) -> bool:
        """Whether some process holds this run's lock."""
        lock = self._lock(run_id)
        if not lock.exists():
            return False
        try:
            handle = self.files.hold(lock, wait=False)
        except BlockingIOError:
            return True
        os.close(handle)
        return False

    def reap_dead(self, now: datetime | None = None) -> list[Run]:
        """Report as failed every run that is recorded as started but whose process is gone; returns them."""
        dead = [r for r in self.all() if r.state is State.STARTED and not self.is_alive(r.run_id)]
        message = "stopped without a word: killed, out of memory or power; run again"
        return [self.finish(run.run_id, State.FAILED, message, now=now) for run in dead]

    def write_result(self, run_id: str, table: str, payload: Mapping[str, Any]) -> None:
        """Keep what a run found out about a table, in place of an earlier word of the same run."""
        self.files.replace_bytes(self._result(run_id, table), seal(payload))

    def results(self, run_id: str) -> dict[str, dict[str, Any]]:
        """What a run found out, by table, sorted. Raises StorageError when a result can't be read."""
        root = self.folder(run_id) / "results"
        found = {}
        for path in self.files.walk(root):
            data = self.files.read(path)
            if data is not None:
                found[str(path.relative_to(root).with_suffix(""))] = unseal(data, path)
        return found

    def why(self, run: Run) -> str:
        """What kept a run from publishing, every blocked table with its own words: branches go on beside one that is blocked."""
        if run.state is not State.BLOCKED:
            return run.message
        blocks = (r["message"] for r in self.results(run.run_id).values() if r["state"] == "blocked")
        said = dict.fromkeys([run.message, *blocks])
        return " | ".join(message.rstrip(". ") for message in said)

    def prune(self, now: datetime) -> list[str]:
        """Remove what is left of runs older than 90 days; returns their ids."""
        old = [r for r in self.all() if datetime.fromisoformat(r.started) < now - KEEP_RUNS]
        gone = [r.run_id for r in old if not self.is_alive(r.run_id)]
        for run_id in gone:
            self.files.remove_folder(self.folder(run_id))
        return gone

    def _lock(self, run_id: str) -> Path:
        return self.folder(run_id) / "alive.lock"

    def _result(self, run_id: str, table: str) -> Path:
        root = self.folder(run_id) / "results"
        path = (root / f"{table}.json").resolve()
        if not path.is_relative_to(root.resolve()):
            raise ValueError(f"{table!r} is no table name")
        return path

    def _write(self, run: Run) -> Run:
        self.files.replace_bytes(self.folder(run.run_id) / "run.json", seal(asdict(run)))
        return run


def _stamp(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
