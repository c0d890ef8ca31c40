"""Survival in groups against loops over subjects, and what happens at the rims."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.methods.rates import estimate_share
from assets.methods.survival import (
    compare_survival,
    fit_cumulative_incidence,
    fit_kaplan_meier,
    read_horizons,
    read_quantile,
)


def subjects(seed: int = 1, n: int = 600) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    cause = rng.integers(0, 3, n)
    return pl.DataFrame(
        {
            "a": rng.choice(["x", "y"], n),
            "b": rng.integers(0, 3, n),
            "duration": rng.integers(0, 40, n),
            "cause": cause,
            "event": cause > 0,
        }
    )


def survive(durations: list[int], events: list[bool], horizon: int) -> tuple[float, float]:
    """S and Greenwood's sum, subject by subject."""
    share, spread = 1.0, 0.0
    for t in sorted({d for d, e in zip(durations, events, strict=True) if e and d <= horizon}):
        at_risk = sum(d >= t for d in durations)
        left = sum(d == t and e for d, e in zip(durations, events, strict=True))
        share *= 1 - left / at_risk
        spread += left / (at_risk * (at_risk - left))
    return share, spread


def test_groups_are_fitted_as_if_each_were_alone() -> None:
    rows = subjects()
    read = read_horizons(fit_kaplan_meier(rows.lazy(), ["a", "b"]), ["a", "b"], [3, 7, 30]).collect()
    assert read.height == 18
    for a, b, h, n, at_risk, so_far, s, lo, hi in read.iter_rows():
        own = rows.filter(a=a, b=b)
        share, spread = survive(own["duration"].to_list(), own["event"].to_list(), h)
        away = 1.959963984540054 * math.sqrt(spread) / math.log(share)
        assert (s, lo, hi) == pytest.approx(
            (share, share ** math.exp(-away), share ** math.exp(away)), rel=1e-12
        )
        assert (n, at_risk) == (own.height, own.filter(pl.col("duration") >= h).height)
        assert so_far == own.filter((pl.col("duration") <= h) & pl.col("event")).height


def test_row_order_does_not_change_a_bit() -> None:
    rows = subjects()
    one, two = (
        fit_kaplan_meier(r.lazy(), ["a", "b"]).collect()
        for r in (rows, rows.sample(fraction=1, shuffle=True, seed=3))
    )
    assert_frame_equal(one, two, check_exact=True)


def test_one_exit_makes_incidence_the_complement_of_survival() -> None:
    rows = subjects().with_columns(cause=pl.col("event").cast(pl.Int64))
    keys = ["a", "cause"]
    incidence = read_horizons(
        fit_cumulative_incidence(rows.lazy(), ["a"], causes=[1]), keys, [3, 20]
    ).collect()
    survival = read_horizons(fit_kaplan_meier(rows.lazy(), ["a"]), ["a"], [3, 20]).collect()
    np.testing.assert_allclose(incidence["incidence"], 1 - survival["survival"], rtol=1e-12)
    assert incidence["at_risk"].to_list() == survival["at_risk"].to_list()


def test_exits_and_the_free_add_up() -> None:
    fitted = fit_cumulative_incidence(subjects().lazy(), ["a"]).collect()
    total = fitted.group_by("a", "time").agg(pl.col("incidence").sum() + pl.col("free").first())
    np.testing.assert_allclose(total["incidence"], 1.0, rtol=1e-12)


def test_the_incidence_variance_is_the_binomial_one_without_censoring() -> None:
    rng = np.random.default_rng(2)
    rows = pl.LazyFrame({"duration": rng.integers(1, 9, 300), "cause": rng.integers(1, 3, 300)})
    fitted = fit_cumulative_incidence(rows).filter((pl.col("cause") == 1) & (pl.col("time") == 5)).collect()
    f = fitted["incidence"].item()
    deviation = math.sqrt(f * (1 - f) / 300) / abs(f * math.log(f))
    assert fitted["incidence_lo"].item() == pytest.approx(
        f ** math.exp(1.959963984540054 * deviation), rel=1e-9
    )


def test_without_events_the_interval_is_wilsons() -> None:
    rows = pl.LazyFrame({"duration": [10] * 20, "event": [False] * 20, "cause": [0] * 20})
    none = estimate_share(0, 20)
    survival = read_horizons(fit_kaplan_meier(rows), [], [5]).collect().row(0, named=True)
    assert (survival["survival"], survival["survival_hi"]) == (1.0, 1.0)
    assert survival["survival_lo"] == pytest.approx(1 - float(none.hi), rel=1e-12)
    incidence = read_horizons(fit_cumulative_incidence(rows), ["cause"], [5]).collect()
    assert incidence["incidence"].to_list() == incidence["incidence_lo"].to_list() == [0.0, 0.0]
    assert incidence["incidence_hi"].to_list() == pytest.approx([float(none.hi)] * 2, rel=1e-12)


def test_nothing_is_said_beyond_the_longest_follow_up() -> None:
    censored = pl.LazyFrame({"duration": [3, 9], "event": [True, False]})
    gone = pl.LazyFrame({"duration": [3, 9], "event": [True, True]})
    assert read_horizons(fit_kaplan_meier(censored), [], [9, 10]).collect()["survival"].to_list() == [
        0.5,
        None,
    ]
    assert read_horizons(fit_kaplan_meier(gone), [], [9, 10]).collect()["survival"].to_list() == [0.0, 0.0]


def test_an_event_comes_before_a_censoring_at_the_same_time() -> None:
    rows = pl.LazyFrame({"duration": [5, 5], "event": [True, False]})
    assert read_horizons(fit_kaplan_meier(rows), [], [5]).collect()["survival"].item() == 0.5


def test_the_median_is_the_first_time_at_or_under_one_half() -> None:
    # ten equal steps: floats put S(5) a hair above one half
    rows = pl.LazyFrame({"duration": range(1, 11), "event": [True] * 10})
    steps = fit_kaplan_meier(rows)
    assert read_quantile(steps, []).collect()["quantile"].item() == 5
    assert read_quantile(steps, [], 0.75).collect()["quantile"].item() == 8
    waiting = pl.LazyFrame({"duration": [1, 2, 3], "event": [True, False, False]})
    assert read_quantile(fit_kaplan_meier(waiting), []).collect()["quantile"].item() is None


def test_fractional_days_and_missing_rows() -> None:
    rows = pl.LazyFrame({"duration": [0.5, 1.25, None, 2.0], "event": [True, None, True, False]})
    steps = fit_kaplan_meier(rows).collect()
    assert steps["n"].to_list() == [2, 2, 2]
    assert steps["time"].to_list() == [0.0, 0.5, 2.0]


def test_one_test_per_dimension_and_none_without_a_contrast() -> None:
    rows = subjects()
    tests = compare_survival(rows.lazy(), "b", ["a"])
    alone = compare_survival(rows.filter(a="y").lazy(), "b").row(0, named=True)
    assert tests.filter(a="y").drop("a").row(0, named=True) == alone
    assert alone["degrees_of_freedom"] == 2
    single = compare_survival(rows.filter(b=1).lazy(), "b").row(0)
    assert single == (None, 0, None)
    quiet = compare_survival(rows.with_columns(event=pl.lit(value=False)).lazy(), "b").row(0)
    assert quiet == (None, 2, None)


def test_no_rows_no_steps() -> None:
    empty = subjects().clear()
    assert fit_kaplan_meier(empty.lazy(), ["a"]).collect().height == 0
    assert read_horizons(fit_kaplan_meier(empty.lazy(), ["a"]), ["a"], [30]).collect().height == 0
    assert compare_survival(empty.lazy(), "b", ["a"]).height == 0
