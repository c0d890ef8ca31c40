"""The hazard at 12 M person-months: `python -m tests.benchmarks.hazard`. CPU, wall and peak memory of whole processes.

chunked: every person-month, exposure continuous, streamed piece by piece. cells: the exposure in five bands, equal rows collapsed by
polars first (counted in). statsmodels: the same model on 1 M rows (its memory does not allow 12 M). Targets of 07: chunked 4 s,
cells 1.5 s, under 0.6 GiB; equal digits.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import polars as pl

from assets.methods.design import Design
from assets.methods.hazard import BLOCK_ROWS, Chunk, collapse_rows, fit_hazard

SELLERS, STEPS, SEED = 1_000, 6, 7
PIECE_ROWS = 2 * BLOCK_ROWS
NAMES = ("constant", *(f"step {k}" for k in range(1, STEPS)), "segment", "exposure")
# the constant, the steps after the first and the segment, for every step and segment
MARKS = np.array(
    [[1.0, *(float(step == k) for k in range(1, STEPS)), s] for step in range(STEPS) for s in range(2)]
)
WAYS = ("chunked", "cells", "statsmodels")


def draw(rows: int, part: int) -> pl.DataFrame:
    """Some persons' months, from their own numbers: small columns, as a panel would store them."""
    n = min(PIECE_ROWS, rows - part * PIECE_ROWS)
    rng = np.random.default_rng((SEED, part))
    seller = rng.integers(0, SELLERS, n, dtype=np.int16)
    step = rng.integers(0, STEPS, n, dtype=np.int8)
    segment = rng.integers(0, 2, n, dtype=np.int8)
    exposure = rng.gamma(2.0, 0.5, n).astype(np.float32)
    hazard = np.exp(-4.6 + 0.1 * step - 0.2 * segment + 0.26 * exposure)
    return pl.DataFrame(
        {
            "seller": seller,
            "step": step,
            "segment": segment,
            "exposure": exposure,
            "event": rng.uniform(size=n) < hazard,
        }
    )


def lay_out(frame: pl.DataFrame, events: pl.Series, trials: pl.Series | None) -> Chunk:
    """The design of a piece."""
    n = frame.height
    cell = frame.select(pl.col("step").cast(pl.Int64) * 2 + pl.col("segment")).to_series().to_numpy()
    exposure = frame["exposure"].cast(pl.Float64).to_numpy()[:, None]
    return Chunk(
        Design(cell, MARKS, exposure), events.cast(pl.Float64).to_numpy()[:, None],
        np.ones(n) if trials is None else trials.cast(pl.Float64).to_numpy(), np.ones((n, 1)), frame["seller"].cast(pl.Int64).to_numpy(),
    )  # fmt: skip


def run(way: str, rows: int) -> None:
    frames = [draw(rows, part) for part in range(-(-rows // PIECE_ROWS))]
    started, cpu = time.perf_counter(), time.process_time()
    if way == "chunked":
        fit = fit_hazard(lambda: (lay_out(f, f["event"], None) for f in frames), NAMES, SELLERS)
        estimate, error = fit.coefficients[-1], fit.errors[-1]
    elif way == "cells":
        band = (pl.col("exposure") * 2).floor().clip(0, 4).cast(pl.Int8)
        panel = pl.concat(frames).lazy().with_columns(exposure=band, risk=pl.lit(1.0))
        cells = collapse_rows(panel, ["step", "segment", "exposure"], "seller").collect()
        fit = fit_hazard(lambda: [lay_out(cells, cells["events"], cells["trials"])], NAMES, SELLERS)
        estimate, error = fit.coefficients[-1], fit.errors[-1]
    else:
        import statsmodels.api as sm

        whole = lay_out(pl.concat(frames), pl.concat(frames)["event"], None)
        family = sm.families.Binomial(link=sm.families.links.CLogLog())
        model = sm.GLM(whole.events[:, 0], whole.x.lay_out(), family=family)
        theirs = model.fit(cov_type="cluster", cov_kwds={"groups": whole.cluster}, tol=1e-12)
        estimate, error = theirs.params[-1], theirs.bse[-1]
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{way:12} {rows:>11,} rows  wall {wall:6.2f} s  CPU {cpu:6.2f} s  peak {peak:5.2f} GiB  {estimate:.10f} ({error:.10f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=12_000_000)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        run(options.way, options.rows)
        return
    asked = [
        ("chunked", options.rows),
        ("cells", options.rows),
        ("chunked", 1_000_000),
        ("statsmodels", 1_000_000),
    ]
    for way, rows in asked:
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.hazard", "--way", way, "--rows", str(rows)], check=True
        )


if __name__ == "__main__":
    main()
