"""`python -m tests.fuzz [NUMBER] [--first SEED] [--keep FOLDER]`: that many inputs on all cores, about 25 a second and core.

Prints how they ended, and for every fault its seed, what was done to the input and what went wrong; exit 1 then. `--keep`
leaves the inputs at fault behind. One seed again: `python -m tests.fuzz 1 --first SEED --keep FOLDER`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.judge import FaultError, Verdict, judge
from tests.fuzz.mutate import Input, make
from tests.fuzz.rows import Rows, valid_rows

_BATCH = 50  # seeds a worker takes at a time


def work(batch: tuple[range, Path, dict[str, Rows]]) -> tuple[list[tuple[str, Verdict]], list[str]]:
    """Judge some seeds; returns verdicts by kind of file, and a line per fault."""
    seeds, folder, valid = batch
    verdicts, faults = [], []
    for seed in seeds:
        found = make(seed, valid)
        try:
            verdicts.append((kind_of(found), judge(found, folder / str(seed), valid)))
        except FaultError as fault:
            faults.append(
                f"seed {seed} ({found.table}, {', '.join(found.files)}; {', '.join(found.story) or 'as it is'}): {fault}"
            )
    return verdicts, faults


def kind_of(found: Input) -> str:
    """The ending of its files."""
    return next(iter(found.files)).partition(".")[2]


def run(number: int, first: int, folder: Path) -> int:
    """Judge `number` seeds from `first` on; returns how many are at fault."""
    valid = valid_rows(folder / "valid")
    stop = first + number
    batches = [
        (range(n, min(n + _BATCH, stop)), folder / "inputs", valid) for n in range(first, stop, _BATCH)
    ]
    outcomes: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    failed = 0
    # polars' threads do not survive a fork
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for verdicts, faults in pool.imap_unordered(work, batches):
            for kind, verdict in verdicts:
                outcomes[kind, verdict.outcome] += 1
                reasons[verdict.reason] += verdict.outcome == "blocked"
            for line in faults:
                sys.stdout.write(f"FAULT {line}\n")
            failed += len(faults)
    for (kind, outcome), count in sorted(outcomes.items()):
        sys.stdout.write(f"{kind:10} {outcome:9} {count}\n")
    sys.stdout.write(f"{number} inputs, {failed} at fault; {len(reasons)} reasons to block\n")
    return failed


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", nargs="?", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    words = parser.parse_args()
    if words.keep:
        words.keep.mkdir(parents=True, exist_ok=True)
        return 1 if run(words.number, words.first, words.keep) else 0
    with tempfile.TemporaryDirectory() as folder:
        return 1 if run(words.number, words.first, Path(folder)) else 0
