"""Products of tall matrices in batches."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assets.methods.design import cross_products, predict


@pytest.mark.parametrize("rows", [0, 1, 511, 512, 1_300])
@pytest.mark.parametrize("width", [0, 3])
def test_batches_give_the_whole_product(rows: int, width: int) -> None:
    rng = np.random.default_rng(rows)
    left, right = rng.normal(size=(rows, width)), rng.normal(size=(rows, 2))
    assert_allclose(cross_products(left, right), left.T @ right, rtol=1e-12, atol=1e-12)
    assert_allclose(
        predict(left, np.arange(width) + 1.0), left @ (np.arange(width) + 1.0), rtol=1e-12, atol=1e-12
    )
