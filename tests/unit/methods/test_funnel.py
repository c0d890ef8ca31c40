"""Funnel limits are quantiles, and widen only where units really differ."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from assets.methods.funnel import estimate_dispersion, place_in_funnel

EXPECTED = np.array([0.001, 0.3, 3.6, 12.0, 250.0, 40_000.0])


def test_limits_are_poisson_quantiles() -> None:
    counts = np.ceil(EXPECTED)
    point = place_in_funnel(counts, EXPECTED)
    assert_allclose(point.limit_inner, stats.poisson.ppf(0.975, EXPECTED))
    assert_allclose(point.limit_outer, stats.poisson.ppf(0.999, EXPECTED))
    assert_allclose(point.chance, stats.poisson.sf(counts - 1, EXPECTED))


def test_where_units_differ_they_are_negative_binomial_with_that_variance() -> None:
    counts, phi = np.ceil(1.5 * EXPECTED), 2.5
    point = place_in_funnel(counts, EXPECTED, dispersion=phi)
    like = stats.nbinom(EXPECTED / (phi - 1), 1 / phi)
    assert_allclose(like.var() / like.mean(), phi)
    assert_allclose(point.limit_inner, like.ppf(0.975))
    assert_allclose(point.limit_outer, like.ppf(0.999))
    assert_allclose(point.chance, like.sf(counts - 1), rtol=1e-9)


def test_nothing_expected_has_no_ratio_and_nothing_seen_is_never_unusual() -> None:
    point = place_in_funnel([0, 1], [0.0, 0.0])
    assert np.isnan(point.ratio).all()
    assert point.chance.tolist() == [1.0, 0.0]
    assert (point.limit_inner[0], point.limit_outer[0]) == (0, 0)


def test_dispersion_is_found_where_it_is_and_only_there() -> None:
    rng = np.random.default_rng(3)
    expected = rng.uniform(5, 60, 3000)
    assert estimate_dispersion(rng.poisson(expected), expected) == 1.0
    wide = rng.negative_binomial(expected / 1.5, 1 / 2.5)
    # winsorised at a tenth, squares of normal scores average 0.7 of the variance
    assert 1.5 < estimate_dispersion(wide, expected) < 2.6
    assert estimate_dispersion(wide[:5], expected[:5]) == 1.0


def test_the_units_looked_for_do_not_hide_themselves() -> None:
    rng = np.random.default_rng(4)
    expected = np.full(200, 10.0)
    counts = rng.poisson(expected)
    counts[:6] = 60
    assert estimate_dispersion(counts, expected) < 1.3


def test_counts_are_never_more_regular_than_chance() -> None:
    with pytest.raises(ValueError, match="under 1"):
        place_in_funnel(1, 1, dispersion=0.5)
