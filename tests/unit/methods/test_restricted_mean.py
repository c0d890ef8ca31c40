"""Restricted means against lifelines, against loops over subjects, and against the truth they estimate."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from assets.methods.restricted_mean import read_restricted_mean
from assets.methods.survival import fit_kaplan_meier


def read(rows: pl.DataFrame, *horizons: int) -> list[dict[str, object]]:
    steps = fit_kaplan_meier(rows.lazy(), ["group"])
    return read_restricted_mean(steps, ["group"], horizons).collect().to_dicts()


def subjects(seed: int, n: int = 300) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    leaves, seen = rng.exponential(60, n), rng.uniform(20, 200, n)
    return pl.DataFrame(
        {"group": rng.choice(["x", "y"], n), "duration": np.minimum(leaves, seen).astype(int), "event": leaves <= seen}
    )  # fmt: skip


def by_hand(durations: list[int], events: list[bool], horizon: int) -> tuple[float, float]:
    """Area and variance, day by day and event by event."""
    times = sorted({d for d, e in zip(durations, events, strict=True) if e and d <= horizon})
    share, curve, terms = 1.0, [], []
    for t in times:
        at_risk = sum(d >= t for d in durations)
        gone = sum(d == t and e for d, e in zip(durations, events, strict=True))
        share *= 1 - gone / at_risk
        curve.append((t, share))
        terms.append((t, gone / (at_risk * (at_risk - gone)) if at_risk > gone else 0.0))

    def area(start: int) -> float:
        total, level, at = 0.0, 1.0, start
        for t, s in curve:
            if t > start:
                total += level * (t - at)
                at = t
            level = s
        return total + level * (horizon - at)

    return area(0), sum(term * area(t) ** 2 for t, term in terms)


def test_it_is_the_area_under_lifelines_curve() -> None:
    lifelines = pytest.importorskip("lifelines")
    utils = pytest.importorskip("lifelines.utils")
    data = pytest.importorskip("lifelines.datasets").load_leukemia()
    rows = pl.DataFrame(
        {"group": data["Rx"].astype(str), "duration": data["t"].astype(int), "event": data["status"] == 1}
    )
    for found in read(rows, 7, 15, 23):
        own = data[data["Rx"].astype(str) == found["group"]]
        theirs = lifelines.KaplanMeierFitter().fit(own["t"], own["status"])
        area = utils.restricted_mean_survival_time(theirs, t=found["horizon"])
        assert found["mean"] == pytest.approx(area, rel=1e-9)


def test_it_is_what_loops_over_subjects_give() -> None:
    rows = subjects(1)
    for found in read(rows, 5, 30, 90):
        own = rows.filter(group=found["group"])
        mean, variance = by_hand(
            own["duration"].to_list(), own["event"].to_list(), int(str(found["horizon"]))
        )
        assert found["mean"] == pytest.approx(mean, rel=1e-9)
        assert found["mean_hi"] - found["mean"] == pytest.approx(1.959963985 * math.sqrt(variance), rel=1e-6)  # type: ignore[operator]


def test_at_the_rims() -> None:
    rows = pl.DataFrame({
        "group": ["early"] * 4 + ["gone"] * 2 + ["kept"] * 3,
        "duration": [3, 5, 8, 10, 2, 4, 20, 20, 20],
        "event": [True, False, False, False, True, True, False, False, False],
    })  # fmt: skip
    found = {(str(r["group"]), int(str(r["horizon"]))): r for r in read(rows, 2, 6, 12)}
    # one of four leaves on day 3: 2 days for all; 3 + 0.75 x 3; past day 10 nobody was seen
    assert found["early", 2]["mean"] == 2.0
    assert found["early", 6]["mean"] == pytest.approx(5.25)
    assert found["early", 12]["mean"] is None
    # everybody has left: (2 + 4) / 2 days, however long one waits, and nothing unknown after that
    assert found["gone", 12]["mean"] == pytest.approx(3.0)
    assert (found["kept", 12]["mean"], found["kept", 12]["mean_lo"], found["kept", 12]["mean_hi"]) == (
        12.0,
        12.0,
        12.0,
    )


def test_the_interval_holds_the_truth_as_often_as_promised() -> None:
    truth = 60 * (1 - math.exp(-90 / 60)) - 0.5 * (
        1 - math.exp(-90 / 60)
    )  # whole days: half a day is cut off who left
    held = 0
    for seed in range(100):
        (found,) = read(subjects(seed).with_columns(group=pl.lit("all")), 90)
        held += found["mean_lo"] <= truth <= found["mean_hi"]  # type: ignore[operator]
    assert 89 <= held <= 100, held
