"""A design matrix and its products, kept by cell; what it allows: rank, and the step that a score asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
import scipy.linalg
from scipy.sparse import csr_matrix

from assets.methods.clusters import Flags, Floats, Ints, sum_by_cluster

_BATCH_ROWS: Final = 512
_DEPENDENT: Final = 1e-9  # share of a column's length that is left when the columns before it are taken out


class EstimationError(Exception):
    """There is no estimate, and why: `reason` is one word, `columns` the covariates concerned."""

    def __init__(self, reason: str, columns: tuple[str, ...]) -> None:
        super().__init__(f"{reason}: {', '.join(columns)}" if columns else reason)
        self.reason = reason
        self.columns = columns


@dataclass(frozen=True, slots=True)
class Design:
    """n rows of covariates, of which many share those that are levels: what adds up is added up by cell first.

    A product with the matrix costs a pass over the rows for each number, and nothing for a level: a hundred of them cost what one
    does.

    Attributes:
        cell: (n,) number of the row's cell.
        marks: (C, q) the covariates that are equal within a cell.
        numbers: (n, m) those that are not; they stand after the others.
    """

    cell: Ints
    marks: Floats
    numbers: Floats

    @classmethod
    def of(cls, x: Design | Floats) -> Design:
        """A matrix (n, p) as a design of one cell; a design as it is."""
        return x if isinstance(x, Design) else cls(np.zeros(len(x), dtype=np.int64), np.zeros((1, 0)), x)

    @classmethod
    def join(cls, parts: Sequence[Design]) -> Design:
        """Rows of designs with the same cells, one after the other."""
        cell, numbers = ([getattr(p, name) for p in parts] for name in ("cell", "numbers"))
        return cls(np.concatenate(cell), parts[0].marks, np.concatenate(numbers))

    @property
    def width(self) -> int:
        """Columns p = q + m."""
        return int(self.marks.shape[1] + self.numbers.shape[1])

    def take(self, rows: Ints | Flags | slice) -> Design:
        """Some of the rows."""
        return Design(self.cell[rows], self.marks, self.numbers[rows])

    def keep(self, columns: Sequence[int]) -> Design:
        """Some of the columns, in their order."""
        q = self.marks.shape[1]
        return Design(
            self.cell,
            self.marks[:, [j for j in columns if j < q]],
            self.numbers[:, [j - q for j in columns if j >= q]],
        )

    def lay_out(self) -> Floats:
        """(n, p) the matrix."""
        return np.concatenate([self.marks[self.cell], self.numbers], axis=1)

    def predict(self, coefficients: Floats) -> Floats:
        """(n,) linear predictor."""
        q = self.marks.shape[1]
        linear = (self.marks @ coefficients[:q])[self.cell]
        for j, coefficient in enumerate(coefficients[q:]):
            linear += self.numbers[:, j] * coefficient
        return linear

    def total(self, weight: Floats) -> Floats:
        """(p,) X'w."""
        by_cell = self._by_cell(weight)
        return np.concatenate([by_cell @ self.marks, cross_products(self.numbers, weight[:, None])[:, 0]])

    def cross(self, weight: Floats) -> Floats:
        """(p, p) X'WX."""
        weighted = self.numbers * weight[:, None]
        by_cell = np.column_stack([self._by_cell(w) for w in (weight, *weighted.T)])
        levels = cross_products(self.marks * by_cell[:, :1], self.marks)
        mixed = cross_products(self.marks, by_cell[:, 1:])
        return np.block([[levels, mixed], [mixed.T, cross_products(weighted, self.numbers)]])

    def sum_by(self, weight: Floats, label: Ints, count: int) -> Floats:
        """(count, p) sums of the weighted rows by label, 0 to `count` - 1."""
        shape = (count, self.marks.shape[0])
        levels = csr_matrix((weight, (label, self.cell)), shape=shape) @ self.marks
        return np.concatenate([levels, sum_by_cluster(self.numbers * weight[:, None], label, count)], axis=1)

    def sum_within(self, weight: Floats, starts: Ints) -> Floats:
        """(groups, p) sums of the weighted rows of groups that stand together, from the first row of each."""
        bounds = np.append(starts, self.cell.size)
        shape = (starts.size, self.marks.shape[0])
        levels = csr_matrix((weight, self.cell, bounds), shape=shape) @ self.marks
        numbers = np.add.reduceat(self.numbers * weight[:, None], starts, axis=0)
        return np.concatenate([levels, numbers], axis=1)

    def measure_range(self) -> Floats:
        """(p,) largest less smallest of each column."""
        return np.concatenate(
            [np.ptp(self.marks[np.unique(self.cell)], axis=0), np.ptp(self.numbers, axis=0)]
        )

    def _by_cell(self, weight: Floats) -> Floats:
        return np.bincount(self.cell, weights=weight, minlength=self.marks.shape[0]).astype(np.float64)


def cross_cells(parts: Sequence[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    """Cells of rows by several columns of levels at once.

    Args:
        parts: for each, (n,) the row's level from 0 and (levels, q) the covariates of each level.

    Returns:
        (n,) cell from 0, of those that rows are in, and (C, sum of q) the covariates of each.
    """
    sizes = [len(marks) for _, marks in parts]
    whole = reduce(lambda cell, part: cell * len(part[1]) + part[0], parts, np.zeros(1, dtype=np.int64))
    there = np.bincount(whole, minlength=int(np.prod(sizes))) > 0
    places = np.unravel_index(np.flatnonzero(there), sizes)
    marks = [part[1][place] for part, place in zip(parts, places, strict=True)]
    return (np.cumsum(there) - 1)[whole], np.concatenate(marks, axis=1)


def check_rank(gram: Floats) -> list[int]:
    """Columns that are sums of columns before them, found by Cholesky's elimination of X'WX.

    Args:
        gram: (p, p) cross products, of any weights.

    Returns:
        Positions in rising order; the others have full rank. A column of zeros is one of them.
    """
    rest = gram.astype(np.float64).copy()
    size = np.diag(gram).copy()
    dependent = []
    for j in range(rest.shape[0]):
        if not rest[j, j] > _DEPENDENT * max(size[j], np.finfo(float).tiny):
            dependent.append(j)
            continue
        row = rest[j] / rest[j, j]
        rest = rest - np.outer(rest[:, j], row)
    return dependent


def solve_step(information: Floats, score: Floats) -> Floats:
    """Newton's step. Raises EstimationError `separated` where the information has lost a direction."""
    scale = 1 / np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    try:
        factor = scipy.linalg.cho_factor(information * np.outer(scale, scale))
    except scipy.linalg.LinAlgError as error:
        raise EstimationError("separated", ()) from error
    step: Floats = scale * scipy.linalg.cho_solve(factor, scale * score)
    return step


def cross_products(left: Floats, right: Floats) -> Floats:
    """(p, q) left' right of tall matrices (n, p) and (n, q), summed in batches of rows.

    A batch is too small for a threaded library to share out: several times less work than one call, and the same sum whatever
    the number of threads.
    """
    count = left.shape[0] // _BATCH_ROWS
    whole = count * _BATCH_ROWS
    first, second = (side[:whole].reshape(count, _BATCH_ROWS, side.shape[1]) for side in (left, right))
    total: Floats = np.matmul(first.transpose(0, 2, 1), second).sum(axis=0) + left[whole:].T @ right[whole:]
    return total
