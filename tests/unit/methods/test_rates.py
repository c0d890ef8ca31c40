"""Rims and limits of rates, against scipy.stats and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from assets.methods.rates import (
    GammaPrior,
    compare_rates,
    e_value,
    e_value_bound,
    estimate_rate,
    estimate_share,
    fit_gamma_prior,
)


def test_wilson_is_that_of_scipy_at_every_count() -> None:
    n = 17
    share = estimate_share(np.arange(n + 1), n, level=0.9)
    for k in range(n + 1):
        theirs = stats.binomtest(k, n).proportion_ci(0.9, method="wilson")
        assert_allclose((share.lo[k], share.hi[k]), (theirs.low, theirs.high), atol=1e-12)
    assert (share.lo[0], share.hi[n]) == (0.0, 1.0)


def test_without_trials_or_exposure_there_is_no_estimate() -> None:
    assert np.isnan([estimate_share(0, 0).lo, estimate_share(0, 0).estimate, estimate_rate(0, 0).hi]).all()


@pytest.mark.parametrize(("x", "n"), [(3, 2), (-1, 2)])
def test_impossible_counts_are_refused(x: int, n: int) -> None:
    with pytest.raises(ValueError, match="between 0 and trials"):
        estimate_share(x, n)
    with pytest.raises(ValueError, match="negative"):
        estimate_rate(-1, 1)


def test_garwood_holds_exactly_its_tails() -> None:
    y = np.array([0, 1, 4, 30])
    rate = estimate_rate(y, 2.5)
    assert_allclose(stats.poisson.cdf(y, rate.hi * 2.5), 0.025, rtol=1e-9)
    assert_allclose(stats.poisson.sf(y[1:] - 1, rate.lo[1:] * 2.5), 0.025, rtol=1e-9)


def test_a_ratio_with_an_empty_side_has_exact_limits() -> None:
    none, base_none, nothing = (
        compare_rates(*counts) for counts in ((0, 10, 5, 20), (5, 20, 0, 10), (0, 1, 0, 1))
    )
    share = stats.binomtest(0, 5).proportion_ci(0.95, method="exact").high
    assert (float(none.estimate), float(none.lo)) == (0.0, 0.0)
    assert float(none.hi) == pytest.approx(share / (1 - share) * 2)
    assert (float(base_none.estimate), float(base_none.hi)) == (np.inf, np.inf)
    assert float(base_none.lo) == pytest.approx(1 / float(none.hi))
    assert np.isnan([nothing.estimate, nothing.lo, nothing.hi]).all()


def test_e_value_is_symmetric_and_the_bound_knows_one() -> None:
    assert e_value(1 / 1.8) == pytest.approx(3.0)
    assert e_value(1.0) == 1.0
    assert e_value(4.0, "odds") == pytest.approx(2 + np.sqrt(2))
    assert e_value(0.5, "hazard", event_share=0.5) == pytest.approx(
        float(e_value(2.0, "hazard", event_share=0.5))
    )
    bounds = e_value_bound([1.5, 0.2, 0.9, 1.0], [2.0, 1 / 1.8, 1.1, 3.0])
    assert_allclose(bounds, [1.5 + np.sqrt(0.75), 3.0, 1.0, 1.0])


def test_the_prior_is_found_again_and_needs_spread() -> None:
    rng = np.random.default_rng(11)
    exposure = rng.uniform(5, 50, 4000)
    prior = fit_gamma_prior(rng.poisson(rng.gamma(2.0, 1 / 4.0, 4000) * exposure), exposure)
    assert prior is not None
    assert (prior.alpha, prior.beta) == pytest.approx((2.0, 4.0), rel=0.1)
    assert fit_gamma_prior([5, 5, 5], [10, 10, 10]) is None
    assert fit_gamma_prior([3], [1]) is None
    assert fit_gamma_prior([0, 0], [1, 2]) is None


def test_posterior_chance_is_that_of_scipy() -> None:
    chance = GammaPrior(2.0, 100.0).chance_above(0.03, [0, 9], [50, 300])
    assert_allclose(chance, stats.gamma.sf(0.03, [2, 11], scale=1 / np.array([150, 400])), rtol=1e-9)
