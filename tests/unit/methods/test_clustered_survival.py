"""Influences are derivatives; intervals and tests take sellers as the units."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose
from polars.testing import assert_frame_equal

from assets.methods.cluster_bootstrap import bound_ratios, draw_sums, take_percentiles
from assets.methods.clustered_survival import (
    UNIT,
    add_influences,
    bound_estimates,
    compare_survival_by_seller,
)
from assets.methods.survival import (
    compare_survival,
    fit_cumulative_incidence,
    fit_kaplan_meier,
    read_horizons,
)

HORIZONS = (30, 90)


def deals(n: int, sellers: int, *, seed: int = 1, spread: float = 0.0, groups: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    seller = rng.integers(0, sellers, n)
    pace = np.exp(spread * rng.standard_normal(sellers))[seller]
    durations = rng.exponential(120 / pace, n)
    other, end = rng.exponential(300, n), rng.uniform(20, 200, n)
    first = np.minimum(np.minimum(durations, other), end)
    cause = np.where(first == durations, 1, np.where(first == other, 2, 0))
    return pl.DataFrame(
        {"cell": seller % groups if groups > 1 else np.zeros(n, int), "seller": seller, "duration": first.astype(int), "cause": cause}
    )  # fmt: skip


def estimate(
    weights: np.ndarray, duration: np.ndarray, cause: np.ndarray, horizon: int
) -> tuple[float, float]:
    """Kaplan-Meier and Aalen-Johansen with weights, straight from the definitions."""
    survival, free, incidence = 1.0, 1.0, 0.0
    for t in np.unique(duration[duration <= horizon]):
        at_risk = weights[duration >= t].sum()
        now = duration == t
        lost, left = weights[now & (cause == 1)].sum(), weights[now & (cause > 0)].sum()
        survival *= 1 - lost / at_risk
        incidence += free * lost / at_risk
        free *= 1 - left / at_risk
    return np.log(survival), incidence


@pytest.mark.parametrize("horizon", HORIZONS)
def test_an_influence_is_the_derivative_by_the_weight(horizon: int) -> None:
    rows = deals(40, 40).with_columns(seller=pl.int_range(40))
    got = add_influences(rows.lazy(), HORIZONS).collect().sort("seller")
    duration, cause = rows["duration"].to_numpy(), rows["cause"].to_numpy()
    step = 1e-6
    for i in range(40):
        up, down = np.ones(40), np.ones(40)
        up[i] += step
        down[i] -= step
        slope = (
            np.array(estimate(up, duration, cause, horizon)) - estimate(down, duration, cause, horizon)
        ) / (2 * step)
        found = got.row(i, named=True)
        assert_allclose(
            [found[f"on_survival_{horizon}"] * UNIT, found[f"on_incidence_{horizon}"] * UNIT], slope, atol=1e-7
        )  # fmt: skip


def limits(rows: pl.DataFrame, horizon: int) -> tuple[dict[str, float], dict[str, float]]:
    """Clustered and plain limits of one group."""
    km = read_horizons(
        fit_kaplan_meier(rows.with_columns(event=pl.col("cause") == 1).lazy(), ["cell"]), ["cell"], [horizon]
    ).collect()
    aj = (
        read_horizons(fit_cumulative_incidence(rows.lazy(), ["cell"]), ["cell", "cause"], [horizon])
        .collect()
        .filter(pl.col("cause") == 1)
    )
    estimates = pl.DataFrame(
        {"cell": [0], "horizon": [horizon], "survival": km["survival"], "incidence": aj["incidence"]}
    )
    influences = add_influences(rows.lazy(), [horizon]).collect()
    clustered = bound_estimates(influences, estimates, clusters=rows["seller"].max() + 1).row(0, named=True)
    plain = {
        **{f"survival_{e}": km[f"survival_{e}"].item() for e in ("lo", "hi")},
        **{f"incidence_{e}": aj[f"incidence_{e}"].item() for e in ("lo", "hi")},
    }
    return clustered, plain  # fmt: skip


def test_with_one_deal_a_seller_the_interval_is_the_plain_one() -> None:
    rows = deals(4000, 4000).with_columns(seller=pl.int_range(4000))
    clustered, plain = limits(rows, 90)
    for name, limit in plain.items():
        assert clustered[name] == pytest.approx(limit, abs=0.004)


def test_where_sellers_differ_the_interval_is_that_of_drawing_sellers() -> None:
    rows = deals(1500, 60, spread=0.8)
    clustered, plain = limits(rows, 90)
    width = clustered["incidence_hi"] - clustered["incidence_lo"]
    assert width > 1.5 * (plain["incidence_hi"] - plain["incidence_lo"])
    rng = np.random.default_rng(9)
    by_seller = [
        g.select("duration", "cause").to_numpy() for _, g in rows.group_by("seller", maintain_order=True)
    ]
    drawn = []
    for _ in range(400):
        picked = np.concatenate([by_seller[i] for i in rng.integers(0, len(by_seller), len(by_seller))])
        drawn.append(estimate(np.ones(len(picked)), picked[:, 0], picked[:, 1], 90)[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert clustered["incidence_lo"] == pytest.approx(low, abs=0.012)
    assert clustered["incidence_hi"] == pytest.approx(high, abs=0.012)


def test_few_sellers_have_no_interval() -> None:
    clustered, _ = limits(deals(200, 4), 90)
    assert set(clustered.values()) == {0, 90, None}


def test_row_order_moves_nothing() -> None:
    rows = deals(500, 30, spread=0.5, groups=3)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=2)
    first, second = (
        add_influences(r.lazy(), HORIZONS).collect().sort("cell", "seller") for r in (rows, shuffled)
    )
    assert_frame_equal(first, second, check_exact=True)
    assert compare_survival_by_seller(rows) == compare_survival_by_seller(shuffled)


def test_one_deal_a_seller_gives_the_log_rank_test() -> None:
    rows = deals(3000, 3000, groups=3).with_columns(seller=pl.int_range(3000))
    plain = compare_survival(rows.with_columns(event=pl.col("cause") == 1).lazy(), "cell")["p_value"].item()
    assert compare_survival_by_seller(rows) == pytest.approx(plain, abs=0.03)


def test_sellers_that_differ_are_no_difference_of_groups() -> None:
    """Each seller has one group and no group differs: the log-rank test is fooled, the clustered one is not."""
    fooled = honest = 0
    for seed in range(120):
        rows = deals(600, 40, seed=seed, spread=0.8, groups=2)
        fooled += (
            compare_survival(rows.with_columns(event=pl.col("cause") == 1).lazy(), "cell")["p_value"].item()
            < 0.05
        )
        p = compare_survival_by_seller(rows)
        assert p is not None
        honest += p < 0.05
    assert fooled > 30
    assert honest <= 13


def test_nothing_to_compare() -> None:
    rows = deals(50, 20)
    assert compare_survival_by_seller(rows) is None
    assert compare_survival_by_seller(deals(50, 20, groups=2).with_columns(cause=pl.lit(0))) is None


def test_draws_are_whole_sums_of_whole_sellers() -> None:
    sums = draw_sums(
        np.array([0, 1, 2]), np.array([0, 0, 1]), np.array([[1, 10], [2, 20], [4, 40]]), clusters=3, cells=2
    )
    assert sums.shape == (999, 2, 2)
    assert_allclose(sums[:, 1], 10 * sums[:, 0])
    assert sums[:, 0, 1].max() > 4  # a seller may be drawn twice
    assert abs(sums[:, 0, 0].mean() - 3) < 0.2
    with pytest.raises(ValueError, match="whole"):
        draw_sums(np.array([0]), np.array([0]), [0.5], clusters=1, cells=1)


def test_ratio_limits_cover_what_they_should() -> None:
    """Rates of sellers that differ: 95 % limits hold the truth about as often as they say."""
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        exposure = rng.integers(20, 200, 80)
        counts = rng.poisson(exposure * rng.gamma(4, 0.05 / 4, 80))
        low, high = bound_ratios(np.arange(80), np.zeros(80, int), counts, exposure, clusters=80, cells=1)
        held += low[0] <= 0.05 <= high[0]
    assert 180 <= held <= 198


def test_percentiles_need_draws() -> None:
    draws = np.arange(1.0, 1000.0)
    assert take_percentiles(draws) == (25.0, 975.0)
    draws[::10] = np.nan
    assert np.isnan(take_percentiles(draws)[0])
