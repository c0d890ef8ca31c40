"""The table of ratios: `make bench SCALE=S1`. Medians of interleaved runs; CPU and memory of whole processes.

floor: read every column of every source file once and count it. run: `aftersale run` into an empty home, everything
included (parsing, contracts, rejects, GX, commits, Dagster, board). again: the same with nothing changed.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SCALES = {"S0": 6_000, "S1": 100_000, "S2": 1_000_000}
RUNS = 5

FLOOR = """
import sys, polars as pl
from pathlib import Path
for path in sorted(Path(sys.argv[1]).glob("*.parquet")):
    pl.scan_parquet(path).select(pl.all().count()).collect(engine="streaming")
"""
COMMAND = "from pipelines.cli import main; main()"


@dataclass(frozen=True)
class Spent:
    """What one process used: seconds and gigabytes."""

    wall: float
    cpu: float
    peak: float


def measure(words: list[str]) -> Spent:
    """Run a process to its end. Raises CalledProcessError when it fails."""
    started = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return Spent(time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--scale", choices=sorted(SCALES), default="S1")
    parser.add_argument("--runs", type=int, default=RUNS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aftersale-bench-") as name:
        source, home = Path(name) / "source", Path(name) / "home"
        python = [sys.executable, "-c"]
        made = measure([*python, COMMAND, "simulate", str(source), "--deals", str(SCALES[chosen.scale])])
        run = [*python, COMMAND, "run", "--home", str(home), "--config", str(source / "aftersale.yaml")]
        rounds: dict[str, list[Spent]] = {"floor": [], "run": [], "again": []}
        for _ in range(chosen.runs):
            shutil.rmtree(home, ignore_errors=True)
            rounds["floor"].append(measure([*python, FLOOR, str(source)]))
            rounds["run"].append(measure(run))
            rounds["again"].append(measure(run))
    floor = statistics.median(s.cpu for s in rounds["floor"])
    print(
        f"{chosen.scale}: {SCALES[chosen.scale]:,} won deals, {chosen.runs} interleaved runs, {os.cpu_count()} cores"
    )
    print(f"simulate once: {made.wall:.1f} s wall, {made.cpu:.1f} s CPU, {made.peak:.2f} GB")
    print(f"{'what':8} {'wall s':>8} {'CPU s':>8} {'peak GB':>8} {'CPU / floor':>12}")
    for what, spent in rounds.items():
        cpu = statistics.median(s.cpu for s in spent)
        wall, peak = statistics.median(s.wall for s in spent), statistics.median(s.peak for s in spent)
        print(f"{what:8} {wall:8.2f} {cpu:8.2f} {peak:8.2f} {cpu / floor:12.1f}")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
