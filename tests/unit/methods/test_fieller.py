"""Fieller's interval against its definition, inverted on a grid, and against what it must hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import t as t_distribution

from assets.methods.fieller import divide_estimates


def test_the_interval_is_every_ratio_that_is_not_rejected() -> None:
    top, bottom, covariance, freedom = (3.0, 1.1), (2.0, 0.5), 0.2, 25
    found = divide_estimates(top, bottom, covariance, freedom)
    assert found is not None
    assert found.estimate == 1.5
    grid = np.linspace(-5, 15, 2_000_001)
    error = np.sqrt(top[1] ** 2 - 2 * grid * covariance + grid**2 * bottom[1] ** 2)
    kept = grid[np.abs(top[0] - grid * bottom[0]) <= t_distribution.ppf(0.975, freedom) * error]
    assert (found.lo, found.hi) == pytest.approx((kept[0], kept[-1]), abs=2e-5)
    assert kept.size == round((kept[-1] - kept[0]) / 1e-5) + 1  # one interval without a gap


def test_a_denominator_that_may_be_nothing_gives_no_number() -> None:
    assert divide_estimates((3.0, 0.1), (2.0, 1.0), 0.0, 30) is None  # t = 2.0 < 2.04
    assert divide_estimates((3.0, 0.1), (2.1, 1.0), 0.0, 30) is not None


@given(
    top=st.floats(-50, 50), bottom=st.floats(0.5, 50), errors=st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)), r=st.floats(-0.95, 0.95)
)  # fmt: skip
def test_it_holds_its_estimate_and_turns_with_the_sign(
    top: float, bottom: float, errors: tuple[float, float], r: float
) -> None:
    covariance = r * errors[0] * errors[1]
    found = divide_estimates((top, errors[0]), (bottom, errors[1]), covariance, 40)
    assume(found is not None)
    assert found is not None
    slack = 1e-9 * (1 + abs(found.estimate))
    assert found.lo - slack <= found.estimate <= found.hi + slack
    turned = divide_estimates((-top, errors[0]), (-bottom, errors[1]), covariance, 40)
    assert turned is not None
    assert (turned.lo, turned.hi) == pytest.approx((found.lo, found.hi), rel=1e-9, abs=1e-9)


def test_it_holds_the_true_ratio_as_often_as_promised_where_the_pay_hardly_moved() -> None:
    draw = np.random.default_rng(1)
    covariance = np.array([[1.0, 0.6], [0.6, 1.0]])
    estimates = draw.multivariate_normal([7.5, 3.0], covariance, 2_000)
    held = given_number = 0
    for top, bottom in estimates:
        found = divide_estimates((top, 1.0), (bottom, 1.0), 0.6, 10**6)
        given_number += found is not None
        held += found is None or found.lo <= 2.5 <= found.hi
    # where there is no number all is counted as held, though the set may have a gap
    assert 0.94 <= held / 2_000 <= 0.985
    assert 0.7 < given_number / 2_000 < 0.95
