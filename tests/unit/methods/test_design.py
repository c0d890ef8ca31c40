"""Products of tall matrices: in batches, and by cell."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from assets.methods.design import Design, cross_cells, cross_products


@pytest.mark.parametrize("rows", [0, 1, 511, 512, 1_300])
@pytest.mark.parametrize("width", [0, 3])
def test_batches_give_the_whole_product(rows: int, width: int) -> None:
    rng = np.random.default_rng(rows)
    left, right = rng.normal(size=(rows, width)), rng.normal(size=(rows, 2))
    assert_allclose(cross_products(left, right), left.T @ right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("levels", "numbers"), [(0, 2), (3, 0), (3, 2)])
def test_products_by_cell_are_those_of_the_matrix(levels: int, numbers: int) -> None:
    rng = np.random.default_rng(levels)
    n = 700
    design = Design(rng.integers(0, 5, n), rng.normal(size=(6, levels)), rng.normal(size=(n, numbers)))
    x, weight, label = design.lay_out(), rng.uniform(size=n), rng.integers(0, 9, n)
    starts = np.array([0, 1, 40, 650])
    b = rng.normal(size=x.shape[1])
    assert x.shape == (n, design.width)
    assert_allclose(design.predict(b), x @ b)
    assert_allclose(design.total(weight), x.T @ weight)
    assert_allclose(design.cross(weight), (x * weight[:, None]).T @ x)
    by_label = np.stack([weight[label == k] @ x[label == k] for k in range(9)])
    assert_allclose(design.sum_by(weight, label, 9), by_label)
    assert_allclose(design.sum_within(weight, starts), np.add.reduceat(x * weight[:, None], starts))
    assert_allclose(design.measure_range(), np.ptp(x, axis=0))
    kept = [j for j in range(x.shape[1]) if j != 1]
    assert_array_equal(design.take(label < 3).keep(kept).lay_out(), x[label < 3][:, kept])
    assert_array_equal(Design.join([design.take(slice(0, 9)), design.take(slice(9, n))]).lay_out(), x)


def test_cells_are_the_combinations_that_are_there() -> None:
    first, second = np.array([0, 1, 1, 2]), np.array([1, 0, 0, 1])
    marks = np.array([[0.0, 0], [1, 0], [0, 1]]), np.array([[0.0], [1]])
    cell, of_cells = cross_cells([(first, marks[0]), (second, marks[1])])
    assert_array_equal(of_cells[cell], np.concatenate([marks[0][first], marks[1][second]], axis=1))
    assert_array_equal(cell, [0, 1, 1, 2])
    assert len(of_cells) == 3
