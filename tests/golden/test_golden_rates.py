"""Golden numbers of ../shared/design/04-evidence.md for rates, ratios, shrinkage and funnels."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from assets.methods.funnel import place_in_funnel
from assets.methods.rates import (
    GammaPrior,
    compare_rates,
    e_value,
    e_value_bound,
    estimate_rate,
    estimate_share,
    fit_gamma_prior,
)


def test_wilson() -> None:
    share = estimate_share([81, 15, 0, 1], [263, 148, 20, 29])
    assert share.lo.round(4).tolist() == [0.2553, 0.0624, 0.0, 0.0061]
    assert share.hi.round(4).tolist() == [0.3662, 0.1605, 0.1611, 0.1718]


def test_garwood() -> None:
    rate = estimate_rate([0, 1, 5, 10, 20])
    assert rate.lo.round(4).tolist() == [0.0, 0.0253, 1.6235, 4.7954, 12.2165]
    assert rate.hi.round(4).tolist() == [3.6889, 5.5716, 11.6683, 18.3904, 30.8884]


def test_e_value() -> None:
    assert_allclose(e_value([3.9, 1.8, 1.5, 2.0]), [7.2630, 3.0, 2.3660, 3.4142], atol=5e-5)
    assert e_value(1.18, "hazard", event_share=0.05) == pytest.approx(1.641, abs=5e-4)
    assert e_value(1.18, "hazard", event_share=0.3) == pytest.approx(1.491, abs=5e-4)


def test_rate_ratio_and_its_e_value() -> None:
    ratio = compare_rates(18, 1200, 10, 2000)
    assert (float(ratio.estimate), round(float(ratio.lo), 4), round(float(ratio.hi), 4)) == (
        3.0,
        1.3848,
        6.499,
    )
    assert e_value(ratio.estimate) == pytest.approx(5.449, abs=5e-4)
    assert e_value_bound(ratio.lo, ratio.hi) == pytest.approx(2.115, abs=5e-4)


def test_pumps() -> None:
    failures = [5, 1, 5, 14, 3, 19, 1, 1, 4, 22]
    exposure = [94.3, 15.7, 62.9, 126, 5.24, 31.4, 1.05, 1.05, 2.1, 10.5]
    prior = fit_gamma_prior(failures, exposure)
    assert prior is not None
    assert (round(prior.alpha, 5), round(prior.beta, 5)) == (0.82297, 1.26165)
    assert prior.shrink(failures, exposure).estimate.round(4).tolist() == [
        0.0609, 0.1075, 0.0908, 0.1165, 0.5880, 0.6069, 0.7886, 0.7886, 1.4347, 1.9405,
    ]  # fmt: skip


def test_funnel() -> None:
    point = place_in_funnel(9, 300, 0.012)
    assert (float(point.expected), float(point.ratio)) == pytest.approx((3.6, 2.5))
    assert float(point.chance) == pytest.approx(0.01167, abs=5e-6)
    assert (float(point.limit_inner), float(point.limit_outer)) == (8, 11)
    shrunk = GammaPrior(2, 2 / 0.012).shrink(9, 300)
    assert [round(float(v), 5) for v in (shrunk.estimate, shrunk.lo, shrunk.hi)] == [
        0.02357,
        0.01177,
        0.03941,
    ]
