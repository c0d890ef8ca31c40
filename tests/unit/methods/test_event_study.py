"""The event study against pyfixest and against truths that are planted."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as t_distribution

from assets.methods.event_study import UNTREATED, EventRows, fit_event_study
from assets.methods.within import Panel, describe_influence, fit_within


def make_rows(
    seed: int,
    *,
    units: int = 60,
    times: int = 12,
    effect: dict[int, float],
    drift: float = 0.0,
    noise: float = 0.1,
) -> EventRows:
    """A third of the units untreated, the others treated in period 5 or 8; the effect differs by cohort."""
    draw = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), times)
    time = np.tile(np.arange(times), units)
    cohort = np.array([UNTREATED, 0, 1])[unit % 3]
    start = np.where(cohort == 0, 5, 8)
    relative = np.where(cohort == UNTREATED, 0, time - start)
    level, season = draw.normal(size=units), draw.normal(size=times)
    treated = cohort != UNTREATED
    gain = np.array([effect.get(int(c), 0.0) for c in cohort]) * (treated & (relative >= 0))
    outcome = (
        level[unit] + season[time] + gain + drift * treated * relative + noise * draw.normal(size=len(unit))
    )
    weight = draw.integers(1, 9, size=len(unit)).astype(float)
    return EventRows(unit, time, cohort, relative, outcome, weight)


def test_two_way_regression_equals_the_published_numbers() -> None:
    """causaldata organ_donations, California from the third quarter of 2011 (Kessler and Roth 2014; 04-evidence)."""
    causaldata = pytest.importorskip("causaldata")
    data = causaldata.organ_donations.load_pandas().data.sort_values(["State", "Quarter_Num"])
    treated = (data["State"] == "California") & (data["Quarter_Num"] >= 4)
    panel = Panel(
        pd.factorize(data["State"])[0].astype(np.int64),
        data["Quarter_Num"].to_numpy(np.int64),
        data["Rate"].to_numpy(float),
        np.ones(len(data)),
        np.where(treated, 0, -1).astype(np.int64),
    )
    fit = fit_within(panel, 1)
    assert fit.estimate[0] == pytest.approx(-0.022459, abs=5e-7)
    assert np.sqrt(fit.covariance[0, 0]) == pytest.approx(0.006131, abs=5e-7)


def test_within_equals_pyfixest_with_weights_and_gaps() -> None:
    rows = make_rows(1, effect={0: 0.5, 1: -0.2})
    kept = np.random.default_rng(2).random(len(rows.unit)) < 0.8
    column = np.where((rows.cohort != UNTREATED) & (rows.relative >= 0), rows.cohort, -1)
    panel = Panel(rows.unit[kept], rows.time[kept], rows.outcome[kept], rows.weight[kept], column[kept])
    fit = fit_within(panel, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a development oracle may warn as it likes
        import pyfixest as pf

        frame = pd.DataFrame(
            {"y": panel.outcome, "u": panel.unit, "t": panel.time, "w": panel.weight,
             "early": panel.column == 0, "late": panel.column == 1}
        ).astype({"early": float, "late": float})  # fmt: skip
        oracle = pf.feols("y ~ early + late | u + t", frame, weights="w", vcov={"CRV1": "u"})
    assert fit.estimate == pytest.approx(oracle.coef().to_numpy(), rel=1e-8)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(oracle.se().to_numpy(), rel=1e-6)


def test_event_study_equals_the_saturated_regression_of_pyfixest() -> None:
    rows = make_rows(3, effect={0: 0.4, 1: 0.8})
    found = fit_event_study(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyfixest as pf

        frame = pd.DataFrame({"y": rows.outcome, "u": rows.unit, "t": rows.time, "w": rows.weight})
        names = []
        weights: dict[int, list[tuple[str, float]]] = {}
        for cohort in (0, 1):
            for r in np.unique(rows.relative[rows.cohort == cohort]):
                here = (rows.cohort == cohort) & (rows.relative == r)
                if r == -1:
                    continue
                name = f"c{cohort}_{'m' if r < 0 else 'p'}{abs(r)}"
                frame[name] = here.astype(float)
                names.append(name)
                weights.setdefault(int(r), []).append((name, float(rows.weight[here].sum())))
        oracle = pf.feols(f"y ~ {' + '.join(names)} | u + t", frame, weights="w", vcov={"CRV1": "u"})
    coef = oracle.coef()
    for r, contrast in zip(found.relative, found.periods, strict=True):
        if r == -1:
            assert contrast.estimate == 0
            continue
        total = sum(w for _, w in weights[int(r)])
        assert contrast.estimate == pytest.approx(
            sum(coef[n] * w for n, w in weights[int(r)]) / total, rel=1e-7
        )
    # the error of a period that only one cohort reaches is that coefficient's own
    last = int(np.flatnonzero(found.relative == 6)[0])
    assert found.periods[last].error == pytest.approx(oracle.se()["c0_p6"], rel=1e-6)


def test_different_effects_of_cohorts_are_averaged_by_their_shares() -> None:
    rows = make_rows(4, effect={0: 1.0, 1: 3.0}, noise=0.0)
    found = fit_event_study(rows)
    after = (rows.cohort != UNTREATED) & (rows.relative >= 0)
    share = rows.weight[after & (rows.cohort == 0)].sum() / rows.weight[after].sum()
    assert found.average.estimate == pytest.approx(share * 1.0 + (1 - share) * 3.0, abs=1e-9)
    both = int(np.flatnonzero(found.relative == 2)[0])
    assert 1.0 < found.periods[both].estimate < 3.0
    assert (found.n_treated, found.n_compared) == (40, 20)


def test_a_drift_before_the_change_shows_in_the_pre_trend() -> None:
    assert fit_event_study(make_rows(5, effect={0: 0.0}, drift=0.2)).pre_trend_p < 1e-4
    quiet = [fit_event_study(make_rows(seed, effect={0: 1.0, 1: 1.0})).pre_trend_p for seed in range(40)]
    assert np.mean(np.array(quiet) < 0.05) <= 0.2  # binomial(40, 0.05): more than 8 has a chance of 0.0006


def test_intervals_hold_the_planted_effect() -> None:
    held = 0
    for seed in range(60):
        average = fit_event_study(make_rows(seed, effect={0: 0.3, 1: 0.3}, noise=1.0)).average
        held += average.low <= 0.3 <= average.high
    assert 51 <= held <= 60  # binomial(60, 0.95): fewer than 51 has a chance of 0.001


def test_nothing_is_told_without_units_to_compare_with() -> None:
    rows = make_rows(6, effect={0: 1.0})
    only = rows.cohort == 0
    alone = EventRows(
        *(getattr(rows, n)[only] for n in ("unit", "time", "cohort", "relative", "outcome", "weight"))
    )
    found = fit_event_study(alone)
    assert np.isnan(found.average.estimate)
    assert all(np.isnan(c.estimate) for c in found.periods)
    assert found.n_compared == 0


def test_a_unit_in_two_places_is_refused() -> None:
    with pytest.raises(ValueError, match="stand together"):
        Panel(np.array([0, 1, 0]), np.zeros(3, np.int64), np.zeros(3), np.ones(3), np.full(3, -1))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-5, 5), st.floats(0.1, 10))
def test_shifting_and_scaling_the_outcome_scales_the_estimate(seed: int, shift: float, scale: float) -> None:
    rows = make_rows(seed, effect={0: 0.5, 1: 0.5})
    moved = EventRows(
        rows.unit, rows.time, rows.cohort, rows.relative, rows.outcome * scale + shift, rows.weight
    )
    first, second = fit_event_study(rows), fit_event_study(moved)
    assert second.average.estimate == pytest.approx(first.average.estimate * scale, rel=1e-6, abs=1e-9)
    assert second.pre_trend_p == pytest.approx(first.pre_trend_p, rel=1e-5, abs=1e-9)


def test_the_mean_of_the_treated_is_that_of_the_periods_averaged() -> None:
    rows = make_rows(9, effect={0: 0.5, 1: 0.5})
    after = (rows.cohort != UNTREATED) & (rows.relative >= 0)
    mean = np.average(rows.outcome[after], weights=rows.weight[after])
    assert fit_event_study(rows).treated_mean == pytest.approx(mean, rel=1e-12)


def few_rows(seed: int, treated: int, others: int) -> EventRows:
    """Units of very unequal size and noise, with a common shock each after the change; no effect."""
    draw = np.random.default_rng(seed)
    units, times = treated + others, 8
    unit, time = np.repeat(np.arange(units), times), np.tile(np.arange(times), units)
    is_treated = unit < treated
    relative = np.where(is_treated, time - 4, 0)
    shock = draw.normal(size=units) * draw.lognormal(0, 0.5, units)
    outcome = draw.normal(size=units)[unit] + shock[unit] * (time >= 4) + 0.3 * draw.normal(size=len(unit))
    weight = np.repeat(np.rint(draw.lognormal(2, 0.7, units)) + 1, times)
    return EventRows(unit, time, np.where(is_treated, 0, UNTREATED), relative, outcome, weight)


def test_influence_adds_up_to_nothing_leverage_to_one_and_both_to_the_sandwich() -> None:
    rows = make_rows(7, effect={0: 0.4, 1: -0.1})
    column = np.where((rows.cohort != UNTREATED) & (rows.relative >= 0), rows.cohort, -1)
    panel = Panel(rows.unit, rows.time, rows.outcome, rows.weight, column)
    fit = fit_within(panel, 2)
    weights = np.array([[0.3, 0.7], [1.0, 0.0]])
    influence, leverage = describe_influence(panel, fit, weights)
    assert influence.sum(axis=0) == pytest.approx([0, 0], abs=1e-10)
    assert leverage.sum(axis=0) == pytest.approx([1, 1], rel=1e-9)
    n, k = len(rows.unit), 2 + 11 + 1  # dummies, periods but one, the constant
    factor = 60 / 59 * (n - 1) / (n - k)
    assert factor * influence.T @ influence == pytest.approx(weights @ fit.covariance @ weights.T, rel=1e-9)
    # a unit left out moves the estimate by its influence, to first order
    kept = panel.unit != 17
    without = fit_within(
        Panel(*(getattr(panel, name)[kept] for name in ("unit", "time", "outcome", "weight", "column"))), 2
    )
    moved = weights @ (fit.estimate - without.estimate)
    assert moved == pytest.approx(influence[17], rel=0.15)


def test_with_few_treated_units_the_bootstrap_keeps_its_promise_and_t_does_not() -> None:
    alarms = {"t": 0, "bootstrap": 0}
    samples = 200
    for seed in range(samples):
        average = fit_event_study(few_rows(seed, 8, 22)).average
        alarms["t"] += abs(average.estimate) > t_distribution.ppf(0.975, 29) * average.error
        alarms["bootstrap"] += average.p_value <= 0.05
        assert (average.low <= 0 <= average.high) == (average.p_value > 0.05)
    # binomial(200, 0.05) is over 18 with a chance of 0.004
    assert alarms["t"] > 18
    assert alarms["bootstrap"] <= 18


def test_five_units_bound_nothing() -> None:
    five, nine = (fit_event_study(few_rows(3, 2, others)).average for others in (3, 7))
    assert np.isnan([five.low, five.high]).all()
    assert np.isfinite([five.estimate, five.error, nine.low, nine.high]).all()
