"""Lead and lag in short panels: a planted lead is found, what only follows is not, and no level is lost with few periods."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.cross_lagged import LEAST_PERIODS, LEAST_UNITS, fit_leads

Table = np.ndarray[tuple[int, int], np.dtype[np.float64]]
BURN = 30


def draw(
    seed: int, *, lead: float, units: int = 20, periods: int = 12, lag: int = 1, own: float = 0.4
) -> tuple[Table, Table]:
    """x moves by itself, y by its past and by x `lag` periods before; units differ in level, periods are shared."""
    rng = np.random.default_rng(seed)
    x, y = np.zeros((2, units, periods + BURN))
    for t in range(lag, periods + BURN):
        x[:, t] = own * x[:, t - 1] + rng.normal(size=units)
        y[:, t] = own * y[:, t - 1] + lead * x[:, t - lag] + rng.normal(size=units)
    levels, shared = rng.normal(size=(2, units, 1)) * 5, rng.normal(size=(2, 1, periods + BURN)) * 5
    x, y = ((s + a + b)[:, BURN:] for s, a, b in zip((x, y), levels, shared, strict=True))
    return x, y


def slow_estimate(x: Table, y: Table, lags: int) -> tuple[list[float], list[float], int]:
    """The oracle: row by row, list by list, numpy's solver. Coefficients and clustered errors, in the series' own units; rows."""
    rows: dict[int, list[tuple[int, np.ndarray, float]]] = {}
    for i in range(len(x)):
        for t in range(lags, x.shape[1]):
            past = np.array([s[i, t - k] for s in (x, y) for k in range(1, lags + 1)])
            if np.isfinite(past).all() and np.isfinite(y[i, t]):
                rows.setdefault(i, []).append((t, past, y[i, t]))
    means = {}
    for t in range(lags, x.shape[1]):
        here = [(w, v) for unit in rows.values() for s, w, v in unit if s == t]
        if here:
            means[t] = (np.mean([w for w, _ in here], axis=0), np.mean([v for _, v in here]))
    z, w, v, unit = [], [], [], []
    for i, own in rows.items():
        centred = [(a - means[t][0], b - means[t][1]) for t, a, b in own]
        for s in range(1, len(centred) - 1):
            before, after = centred[:s], centred[s + 1 :]
            back, on = np.sqrt(len(before) / (len(before) + 1)), np.sqrt(len(after) / (len(after) + 1))
            z.append(back * (centred[s][0] - np.mean([a for a, _ in before], axis=0)))
            w.append(on * (centred[s][0] - np.mean([a for a, _ in after], axis=0)))
            v.append(on * (centred[s][1] - np.mean([b for _, b in after])))
            unit.append(i)
    big_z, big_w, big_v = np.array(z), np.array(w), np.array(v)
    beta = np.linalg.solve(big_z.T @ big_w, big_z.T @ big_v)
    scores = big_z * (big_v - big_w @ beta)[:, None]
    sums = np.array([scores[np.array(unit) == i].sum(axis=0) for i in sorted(set(unit))])
    bread = np.linalg.inv(big_z.T @ big_w)
    variance = bread @ sums.T @ sums @ bread.T * len(sums) / (len(sums) - 1)
    return beta[:lags].tolist(), np.sqrt(np.diag(variance))[:lags].tolist(), len(big_v)


@pytest.mark.parametrize("lags", [1, 2, 3])
def test_it_equals_a_slow_estimate_with_gaps(lags: int) -> None:
    x, y = draw(3, lead=0.5, periods=14)
    gaps = np.random.default_rng(4).random(x.shape) < 0.05
    x[gaps], y[::3, 5] = np.nan, np.nan
    found = fit_leads(x, y, lags)
    estimates, errors, n = slow_estimate(x, y, lags)
    assert [f.lag for f in found] == list(range(1, lags + 1))
    assert {f.n for f in found} == {n}
    scales = [f.estimate / e for f, e in zip(found, estimates, strict=True)]
    assert min(scales) > 0
    assert scales == pytest.approx(scales[:1] * lags, rel=1e-9)  # all in the same standard deviations
    t_quantile = 2.093024  # of 19 degrees of freedom
    for f, scale, error in zip(found, scales, errors, strict=True):
        assert (f.hi - f.lo) / 2 == pytest.approx(t_quantile * error * scale, rel=1e-6)
    moved = fit_leads(10 * x + 3, y / 7 - 1, lags)  # units of either series do not matter
    assert [f.estimate for f in moved] == pytest.approx([f.estimate for f in found], rel=1e-9)


def test_a_planted_lead_is_found_at_its_lag_and_what_follows_does_not_lead() -> None:
    """Over 60 firms each: a level of 5 % is missed more than seven times once in 100."""
    for lag in (1, 2):
        led, other, followed = 0, 0, [0, 0]
        for seed in range(60):
            x, y = draw(seed, lead=0.7, lag=lag)
            forward, backward = fit_leads(x, y, 2), fit_leads(y, x, 2)
            led += forward[lag - 1].lo > 0
            other += forward[2 - lag].p_value < 0.05
            for place, row in enumerate(backward):
                followed[place] += row.p_value < 0.05
        assert led >= 50
        assert other <= 7
        assert max(followed) <= 7


@pytest.mark.parametrize("periods", [9, 12])
def test_a_shuffled_lead_is_not_found(periods: int) -> None:
    """The units of x dealt out again: whoever moved first, it was not they. Series with a past of their own."""
    alarms = [0, 0]
    for seed in range(80):
        x, y = draw(seed, lead=0.7, periods=periods, own=0.6)
        dealt = x[np.roll(np.arange(len(x)), 1 + seed % (len(x) - 1))]
        for place, row in enumerate(fit_leads(dealt, y, 2)):
            alarms[place] += row.p_value < 0.05
    assert max(alarms) <= 9  # of 80 at 5 %: more come once in 100


def test_few_units_few_periods_and_no_variation_give_no_number() -> None:
    x, y = draw(1, lead=0.5)
    few = fit_leads(x[: LEAST_UNITS - 1], y[: LEAST_UNITS - 1], 2)
    assert [f.reason for f in few] == ["too_few_units"] * 2
    enough = LEAST_PERIODS + 2
    (short, _) = fit_leads(x[:, : enough - 1], y[:, : enough - 1], 2)
    assert short.reason == "too_few_periods"
    assert np.isnan([short.estimate, short.lo, short.hi, short.p_value]).all()
    assert fit_leads(x[:, :enough], y[:, :enough], 2)[0].reason == ""
    assert fit_leads(np.full_like(x, 0.3), y, 2)[0].reason == "no_variation"
    steady = x[:, :1] + np.zeros_like(x)  # units differ, and nothing moves
    assert fit_leads(steady, y, 2)[0].reason == "no_variation"
    assert fit_leads(np.zeros_like(x), y, 2)[0].reason == "no_variation"
    assert fit_leads(np.full_like(x, np.nan), y, 2)[0].reason == "too_few_units"


def test_wrong_shapes_and_lags_are_refused() -> None:
    x, y = draw(1, lead=0.5)
    with pytest.raises(ValueError, match="one shape"):
        fit_leads(x[:, 1:], y, 1)
    with pytest.raises(ValueError, match="at least one lag"):
        fit_leads(x, y, 0)
