"""The table of ratios: `make bench SCALE=S1`. Medians of interleaved runs, each in a process of its own.

Core marts over clean Parquet: the floor (read every column once and count), ours, bare DuckDB, pandas; where simple SQL
computes the same numbers, they must be equal. Whole runs: `aftersale run` into an empty home (parsing, contracts,
rejects, Great Expectations, commits, Dagster, board), again with nothing changed, and once with one new month.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from datetime import date
from pathlib import Path

from tests.benchmarks.answers import read_answers
from tests.benchmarks.clean import link_clean_tables
from tests.benchmarks.measure import Spent, measure, middle, read_steps
from tests.benchmarks.ways.ours import core_closure

SCALES = {"S0": 6_000, "S1": 100_000, "S2": 1_000_000, "S3": 5_000_000}
RUNS = 5
MONTH_BEFORE = date(2025, 11, 30)  # what is simulated ends a month later

WAYS = {"floor": "floor", "ours": "ours", "DuckDB": "bare_duckdb", "pandas": "bare_pandas"}
"""Way to the core marts -> module in `tests.benchmarks.ways`."""

RATIOS = {
    "core marts: ours / floor": ("ours", "floor", "cpu", "<= 4 at S2, <= 5 at S3"),
    "core marts: ours / DuckDB": ("ours", "DuckDB", "cpu", "<= 0.45 at S2 and S3"),
    "core marts: pandas / ours": ("pandas", "ours", "cpu", ">= 2.5"),
    "core marts: pandas / ours, memory": ("pandas", "ours", "peak", ">= 5"),
    "whole run / DuckDB's core marts": ("whole run", "DuckDB", "cpu", "<= 3 at S2"),
    "one new month / whole run": ("one new month", "whole run", "cpu", "the cost of a month"),
}
"""What is compared -> numerator, denominator, figure, goal."""

COMMAND = [sys.executable, "-c", "from pipelines.cli import main; main()"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--scale", choices=sorted(SCALES), default="S1")
    parser.add_argument("--runs", type=int, default=RUNS, help="interleaved runs of each way")
    parser.add_argument("--folder", type=Path, help="where to work; a source that is there is used again")
    parser.add_argument(
        "--core-only", action="store_true", help="a run of what the core marts need, then only they"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aftersale-bench-", dir=chosen.folder) as name:
        folder = Path(name)
        source = (chosen.folder or folder) / f"source-{chosen.scale}"
        spent: dict[str, list[Spent]] = defaultdict(list)
        if not (source / "aftersale.yaml").exists():
            simulate = [*COMMAND, "simulate", str(source), "--deals", str(SCALES[chosen.scale])]
            spent["simulate"].append(measure(simulate))
        home = folder / "home"
        if chosen.core_only:
            # what else there is was never made, so nothing is published, and the command says so by its exit code
            words = [*_run(source, home), *_only(core_closure())]
            spent["run of the core marts"].append(measure(words, good=(0, 3)))
        else:
            spent["whole run"].append(measure(_run(source, home)))
            spent["nothing changed"].append(measure(_run(source, home)))
        steps = read_steps(home)
        link_clean_tables(home, folder / "clean")
        for number in range(chosen.runs):
            _measure_core_marts(folder, source, spent)
            if number and not chosen.core_only:
                shutil.rmtree(home)
                spent["whole run"].append(measure(_run(source, home)))
                spent["nothing changed"].append(measure(_run(source, home)))
        if not chosen.core_only:
            shutil.rmtree(home)
            measure([*_run(source, home), "--as-of", MONTH_BEFORE.isoformat()])
            spent["one new month"].append(measure(_run(source, home)))
    print(
        f"{chosen.scale}: {SCALES[chosen.scale]:,} won deals, {chosen.runs} interleaved runs, {os.cpu_count()} cores"
    )
    medians = {what: middle(runs) for what, runs in spent.items()}
    _print_table("what", medians)
    dearest = dict(sorted(steps.items(), key=lambda item: -item[1].cpu)[:20])
    _print_table("step of the whole run", dearest, floor=medians["floor"].cpu)
    print(f"\n{'ratio':36} {'here':>8}  goal")
    for what, (above, below, figure, goal) in RATIOS.items():
        if above in medians and below in medians:
            ratio = getattr(medians[above], figure) / getattr(medians[below], figure)
            print(f"{what:36} {ratio:8.2f}  {goal}")


def _run(source: Path, home: Path) -> list[str]:
    return [*COMMAND, "run", "--home", str(home), "--config", str(source / "aftersale.yaml")]


def _only(tables: list[str]) -> list[str]:
    return [word for table in tables for word in ("--select", table)]


def _measure_core_marts(folder: Path, source: Path, spent: dict[str, list[Spent]]) -> None:
    """Every way once. Raises SystemExit where two of them give different numbers."""
    answers = {}
    for way, module in WAYS.items():
        out = folder / module
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        words = [sys.executable, "-m", f"tests.benchmarks.ways.{module}", folder / "clean", out, source]
        spent[way].append(measure([str(word) for word in words]))
        answers[way] = read_answers(out)
    for way, found in answers.items():
        for mart, numbers in found.items():
            shown = {row for row in answers["ours"][mart] if None not in row}  # small groups are hidden
            if not shown <= set(numbers):
                raise SystemExit(f"{mart}: {way} and ours give different numbers")


def _print_table(title: str, rows: dict[str, Spent], floor: float = 0) -> None:
    """With the CPU seconds of the floor (every column of the core marts' sources read once), each row as a multiple of it."""
    print(f"\n{title:36} {'wall s':>8} {'CPU s':>8} {'peak GB':>8}" + f" {'x floor':>8}" * bool(floor))
    for what, s in rows.items():
        times = f" {s.cpu / floor:8.1f}" if floor else ""
        print(f"{what:36} {s.wall:8.2f} {s.cpu:8.2f} {s.peak:8.2f}{times}")


if __name__ == "__main__":
    main()
