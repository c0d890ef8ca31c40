"""`aftersale demo` and `simulate`: a made-up company, and what was found beside what was planted."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from assets.methods.differences import Difference, subtract_estimates
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit
from pipelines.sources.demo import LAST_DAY, Effect, Format, simulate
from pipelines.terminal import console, show_rows
from pipelines.warehouse.snapshots import latest_snapshot

DIRECTIONS = {"harm": "rises with incentive", "none": "no association", "opposite": "falls with incentive"}


def run_simulate(
    out: Path,
    *,
    deals: int,
    months: int,
    seed: int,
    effect: Effect,
    fmt: Format,
    dirt: float,
    until: date | None,
) -> Exit:
    """Write the source files only. Raises ForeignFilesError where the folder holds something else."""
    truth = simulate(
        out, deals=deals, months=months, seed=seed, effect=effect, fmt=fmt, dirt=dirt, until=until or LAST_DAY
    )
    console().print(
        f"{len(truth.tables)} source tables of a made-up company are in {out}. Run it with: "
        f"aftersale run --config {out / 'aftersale.yaml'}"
    )
    return Exit.PUBLISHED


def run_demo(home: Path, *, deals: int, months: int, seed: int, effect: Effect) -> Exit:
    """Simulate into the home, run, compare with the truth."""
    source = home / "source"
    console().print(
        f"Simulating a company: {deals} won deals over {months} months, effect planted: {effect}."
    )
    simulate(source, deals=deals, months=months, seed=seed, effect=effect)
    code = run_pipeline(home, source / "aftersale.yaml")
    snapshot = latest_snapshot(home)
    if code is not Exit.PUBLISHED or snapshot is None:
        return code
    truth = json.loads((source / "truth.json").read_text())
    show_found(snapshot.path, truth)
    console().print(
        f"\nNext:  aftersale ui                      the pipeline, table by table, in a browser\n"
        f"       {snapshot.path / 'board.html'}   the board's page\n"
        f"       aftersale query \"FROM marts.churn_by_incentive WHERE dimension = 'emcr_quintile'\"\n"
        f"       aftersale explain deal_outcomes   what a table or a column means"
    )
    return code


def show_found(snapshot: Path, truth: dict[str, Any]) -> None:
    """Churn, complaints and lag by fifth of incentive beside what was planted."""
    churn = _by_quintile(snapshot, "churn_by_incentive", (pl.col("horizon_days") == 180))
    complaints = _by_quintile(
        snapshot, "complaints_by_incentive", (pl.col("category") == "all") & (pl.col("period") == "all")
    )
    lag = _by_quintile(snapshot, "feedback_lag_by_incentive", pl.col("hop") == "triaged")
    rows = [
        (
            quintile,
            churn[quintile]["n"],
            _estimate(churn[quintile], "cif_churn", "{:.1%}"),
            _estimate(complaints.get(quintile, {}), "rate_per_1000", "{:.1f}"),
            _estimate(lag.get(quintile, {}), "median_days", "{:.1f}"),
        )
        for quintile in sorted(churn)
    ]
    columns = (
        "fifth by incentive",
        "deals",
        "churn in 180 days",
        "complaints per 1,000 account-months",
        "days to triage",
    )
    show_rows("What was found (95 % intervals)", columns, rows)
    planted = [
        (
            "churn hazard ratio per +10 pp of marginal commission",
            truth["hazard_ratio_per_10pp"],
            DIRECTIONS[truth["effect"]],
        ),
        ("complaint rate ratio per +10 pp", truth["complaint_ratio_per_10pp"], DIRECTIONS[truth["effect"]]),
        ("hop days per step of distance from the board", truth["lag_ratio_per_step"], "rises with distance"),
    ]
    show_rows(
        "What was planted", ("truth", "ratio", "direction"), [(n, f"{v:.3g}", d) for n, v, d in planted]
    )
    gap = churn_gap(churn)
    said = "too few deals to say"
    if gap is not None:
        said = (
            f"{direction_of(gap)} (highest less lowest fifth {100 * gap.estimate:+.1f} points, 95 % interval "
            f"{100 * gap.lo:+.1f} to {100 * gap.hi:+.1f})"
        )
    console().print(
        f"Churn found: {said}; planted: {DIRECTIONS[truth['effect']]}. Level 0: a comparison of groups, not an effect."
    )


def churn_gap(churn: dict[str, dict[str, Any]]) -> Difference | None:
    """Share lost in the highest fifth less that in the lowest; None where either is not known."""
    known = [churn[q] for q in sorted(churn) if churn[q].get("cif_churn") is not None]
    if len(known) < 2:
        return None
    high, low = (
        (row["cif_churn"], row["cif_churn_lo"], row["cif_churn_hi"]) for row in (known[-1], known[0])
    )
    return subtract_estimates(high, low)


def direction_of(gap: Difference) -> str:
    """In words, and only as far as the interval of the difference allows."""
    return DIRECTIONS[{1: "harm", 0: "none", -1: "opposite"}[gap.sign]]


def _by_quintile(snapshot: Path, table: str, where: pl.Expr) -> dict[str, dict[str, Any]]:
    frame = pl.read_parquet(snapshot / "marts" / f"{table}.parquet")
    chosen = frame.filter(
        (pl.col("dimension") == "emcr_quintile") & where & pl.col("value").str.contains(r"^\d$")
    )
    return {row["value"]: row for row in chosen.iter_rows(named=True)}


def _estimate(row: dict[str, Any], name: str, form: str) -> str:
    value, low, high = (row.get(f"{name}{end}") for end in ("", "_lo", "_hi"))
    if value is None:
        return "hidden (small groups)" if row.get("suppressed") else ""
    if low is None or high is None:
        return form.format(value)
    return f"{form.format(value)} ({form.format(low)} to {form.format(high)})"
