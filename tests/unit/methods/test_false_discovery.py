"""q-values against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assets.methods.false_discovery import adjust_p_values


def test_they_are_those_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(5).random(40) ** 3
    p[5] = p[6]
    assert_allclose(adjust_p_values(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12)


def test_what_is_no_test_counts_in_no_family() -> None:
    assert_allclose(adjust_p_values([0.02, np.nan, 0.01]), [0.02, np.nan, 0.02])
    assert adjust_p_values([]).size == 0


def test_a_number_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        adjust_p_values([1.5])
