"""The table of planted truth: `python -m tests.acceptance`. About 5 CPU seconds a company, 300 companies: 25 minutes on one
free core, half on two; and a second or two for each of 1,100 companies of one design (`designs.py`), ten
minutes more. Findings are kept in `--out` company by company, so an interrupted run goes on where it stopped; `--study`
chooses what is run.

It fails (exit 1) unless, for each outcome with a planted truth: the interval of the right specification holds the planted
ratio in 90 to 99 of 100 companies, with harm and with the opposite planted; with nothing planted at most 10 say that there is
something; negative controls find something in at most 10 of 100; the naive estimate of churn lies off the truth by more than
three standard errors of its mean.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl

from pipelines.sources.demo import Effect
from tests.acceptance.designs import (
    BOUGHT,
    BUNCHING_SHARE,
    MEDIATED,
    MOVE_DIFFERENCE,
    find_bunching,
    find_mediation,
    find_moves,
    find_value,
)
from tests.acceptance.findings import NAIVE, RIGHT, Finding, judge, summarise
from tests.acceptance.planted_truth import EFFECTS, find

STUDIES: dict[str, tuple[tuple[Effect, ...], Callable[[Path, int, Effect], list[Finding]]]] = {
    "company": (EFFECTS, find),
    "moves": (tuple(MOVE_DIFFERENCE), lambda _, seed, effect: find_moves(seed, effect)),
    "bunching": (tuple(BUNCHING_SHARE), lambda _, seed, effect: find_bunching(seed, effect)),
    "mediation": (tuple(MEDIATED), lambda _, seed, effect: find_mediation(seed, effect)),
    "value": (tuple(BOUGHT), lambda _, seed, effect: find_value(seed, effect)),
}


def work(out: Path, seeds: range, studies: list[str]) -> None:
    for study in studies:
        effects, find_in = STUDIES[study]
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                for effect in effects:
                    target = out / f"{study}_{effect}_{seed:03}.json"
                    if not target.exists():
                        found = find_in(Path(folder), seed, effect)
                        target.with_suffix(".tmp").write_text(json.dumps([f.to_json() for f in found]))
                        target.with_suffix(".tmp").rename(target)


def read(out: Path) -> pl.DataFrame:
    return pl.DataFrame([row for file in sorted(out.glob("*.json")) for row in json.loads(file.read_text())])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "aftersale_acceptance")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--study", choices=STUDIES, action="append", help="only these; again for several")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--table", action="store_true", help="only print what there is")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.part is not None:
        work(options.out, range(options.part, options.seeds, options.workers), options.study or list(STUDIES))
        return 0
    if not options.table:
        command = [
            sys.executable,
            "-m",
            "tests.acceptance",
            "--seeds",
            str(options.seeds),
            "--out",
            str(options.out),
            *(word for study in options.study or () for word in ("--study", study)),
        ]
        # many small companies: one thread each is cheaper than all threads for one
        single = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        runs = [
            subprocess.Popen([*command, "--workers", str(options.workers), "--part", str(part)], env=single)
            for part in range(options.workers)
        ]
        if max(run.wait() for run in runs):
            return 1
    table = summarise(read(options.out))
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_width_chars=160,
        fmt_str_lengths=50,
        float_precision=3,
    ):
        leads = pl.col("specification").is_in([*RIGHT.values(), *NAIVE.values()])
        print(table.filter(leads))
        print(table.filter(~leads))
    failures = judge(table)
    print("\n".join(failures) or "Every sentence about planted truth holds.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
