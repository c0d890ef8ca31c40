"""Kills a run at every operation, in forked children, and tells as JSON what was found. Started by the tests.

A child is forked rather than started, so that polars is imported once; the parent never computes anything with it,
because threads don't survive a fork.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet
from small_run import READING, FaultyFiles, HastyFiles, content, die, run

from pipelines.warehouse.files import Files
from pipelines.warehouse.runs import Runs, State
from pipelines.warehouse.snapshots import latest_snapshot, snapshots, verify

GENERATIONS = 5
"""Readers go on until they have seen more."""


def start(job: Callable[[], object]) -> int:
    """Fork a child that does the job and exits 0, or 1 after a traceback."""
    child = os.fork()
    if child:
        return child
    try:
        job()
        os._exit(0)
    except BaseException:  # noqa: BLE001  (a child must never return into its parent's code)
        traceback.print_exc()
        os._exit(1)


def wait(child: int) -> int:
    """Exit code of a child; minus the signal when it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_everywhere(folder: Path, share: int, shares: int) -> dict[str, object]:
    """Kill at every operation whose number is `share` modulo `shares`; returns what went wrong, if anything."""
    base = folder / "base"
    assert wait(start(lambda: run(base, 1))) == 0
    old = content(latest_snapshot(base))
    clean = folder / "clean"
    shutil.copytree(base, clean, symlinks=True)
    assert wait(start(lambda: run(clean, 2))) == 0
    new = content(latest_snapshot(clean))
    assert old != new

    kills, seen, problems = 0, set(), []
    k = share + 1
    while True:
        home = folder / f"killed-{k}"
        shutil.copytree(base, home, symlinks=True)
        code = wait(start(partial(run, home, 2, FaultyFiles(home, k, die, READING))))
        if code == 0:
            break
        if code != -9:
            problems.append(f"operation {k}: exit {code} instead of a kill")
        kills += 1
        problems += [f"operation {k}, after the kill: {p}" for p in verify(home)]
        hash_now = content(latest_snapshot(home))
        seen.add(hash_now)
        if hash_now not in {old, new}:
            problems.append(f"operation {k}: latest is neither the old nor the new snapshot")
        if wait(start(partial(run, home, 2, HastyFiles(home)))) != 0:
            problems.append(f"operation {k}: the plain re-run failed")
        elif content(latest_snapshot(home)) != new or verify(home):
            problems.append(f"operation {k}: the re-run found other content: {verify(home)}")
        if len(snapshots(home)) != 2:
            problems.append(f"operation {k}: {len(snapshots(home))} snapshots instead of 2")
        dead = Runs(home).reap_dead()
        if any(r.state is State.STARTED for r in Runs(home).all()) or len(dead) > 1:
            problems.append(f"operation {k}: dead runs not found out: {dead}")
        shutil.rmtree(home)
        k += shares
    return {"kills": kills, "problems": problems, "both_seen": len(seen) == 2, "last": k}


def race(folder: Path, processes: int) -> dict[str, object]:
    """Let processes run the same job in one home at once."""
    home = folder / "race"
    ready, go = os.pipe()

    def job() -> None:
        os.close(go)
        os.read(ready, 1)  # returns when the parent closes its end
        run(home, 1)

    children = [start(job) for _ in range(processes)]
    os.close(go)
    codes = [wait(child) for child in children]
    return {
        "codes": codes,
        "problems": verify(home),
        "hashes": sorted({content(s) for s in snapshots(home)}),
        "snapshots": len(snapshots(home)),
        "leftovers": [p.name for p in Files(home).entries(home / "store" / ".tmp")],
    }


def readers(folder: Path, writers: int, reads: int) -> dict[str, object]:
    """Read below `latest` while writers publish generation after generation; every file must be of one snapshot.

    At least `reads` times, and until several generations were seen: how fast the writers are is the machine's business.
    """
    home, stop = folder / "home", folder / "stop"
    assert wait(start(lambda: run(home, 0))) == 0

    def write(writer: int) -> None:
        generation = writer + 1
        while not stop.exists():
            run(home, generation)
            generation += writers

    children = [start(partial(write, w)) for w in range(writers)]
    problems, seen = [], set()
    done = 0
    while done < reads or (len(seen) <= GENERATIONS and done < 100 * reads):
        snapshot = latest_snapshot(home)
        generations = set()
        for table in ("marts/totals.parquet", "marts/daily/month=2025-01/part.parquet"):
            rows = pyarrow.parquet.ParquetFile(snapshot.path / table).read(columns=["generation"])
            generations |= set(rows["generation"].to_pylist())
        keys = {facts["key"].split("-")[0] for facts in snapshot.tables.values()}
        if len(generations) != 1 or keys != {f"g{g}" for g in generations}:
            problems.append(f"snapshot {snapshot.number}: generations {generations}, keys {keys}")
        seen |= generations
        done += 1
    stop.touch()
    problems += [f"writer exit {code}" for code in map(wait, children) if code]
    problems += verify(home, latest_snapshot(home).number)
    return {"reads": done, "problems": problems, "generations_seen": len(seen)}


if __name__ == "__main__":
    what, where, *numbers = sys.argv[1:]
    jobs = {"kill": kill_everywhere, "race": race, "readers": readers}
    sys.stdout.write(json.dumps(jobs[what](Path(where), *map(int, numbers))))
