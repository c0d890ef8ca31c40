"""Differences of estimates from their limits."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.differences import subtract_estimates
from assets.methods.rates import estimate_share


def test_shares_with_wilson_limits_give_newcombes_interval() -> None:
    """Newcombe 1998, Statistics in Medicine 17:873, table II, method 10: 56/70 - 48/80 is 0.2000 (0.0524 to 0.3339)."""
    shares = [estimate_share(x, n) for x, n in ((56, 70), (48, 80))]
    found = subtract_estimates(*((float(s.estimate), float(s.lo), float(s.hi)) for s in shares))
    assert (found.estimate, found.lo, found.hi) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert found.sign == 1


def test_a_sign_is_said_only_where_the_limits_leave_no_other() -> None:
    """Limits that overlap may still differ, and estimates outside each other's limits may not."""
    assert subtract_estimates((0.12, 0.10, 0.14), (0.10, 0.09, 0.115)).sign == 0
    assert subtract_estimates((0.10, 0.09, 0.115), (0.14, 0.12, 0.16)).sign == -1
    assert subtract_estimates((0.135, 0.114, 0.157), (0.091, 0.078, 0.105)).sign == 1


def test_where_nothing_differs_one_comparison_in_twenty_says_so() -> None:
    rng = np.random.default_rng(3)
    drawn = rng.binomial(400, 0.1, size=(2, 4000))
    sides = [estimate_share(x, 400) for x in drawn]
    triples = [np.column_stack([s.estimate, s.lo, s.hi]).tolist() for s in sides]
    signs = [subtract_estimates(tuple(a), tuple(b)).sign for a, b in zip(*triples, strict=True)]
    assert np.mean(np.abs(signs)) == pytest.approx(0.05, abs=0.012)
