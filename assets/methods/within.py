"""Linear regression within units over time: unit and period effects absorbed, errors clustered by unit.

    y_it = a_i + b_t + x_it' c + e_it

with weights. Unit effects are swept out exactly (the rows of a unit stand together), period effects are dummies: there are few.
The variance is the cluster-robust sandwich (Liang and Zeger 1986) with the factor G/(G-1) (N-1)/(N-K), where K counts what is
not nested in the units; intervals use t with G - 1 degrees of freedom (Cameron and Miller 2015). Which rows are compared
with which is not decided here (see `event_study`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_CHUNK_ROWS: Final = 65_536
_TOLERANCE: Final = 1e-9  # a column whose remainder is below this share of its size repeats others


@dataclass(frozen=True, slots=True)
class WithinFit:
    """A fitted regression.

    Attributes:
        estimate: (p,) coefficients in units of y per unit of x; NaN where the data can't tell.
        covariance: (p, p) cluster-robust, NaN rows and columns likewise.
        n: rows used.
        n_units: clusters.
        freedom: n_units - 1, the degrees of freedom of t and of Wald tests' denominators.
        whole: (w,) coefficients of the dummies and, after them, of the periods; 0 where there is none.
        bread: (w, w) inverse of the weighted cross products of those, 0 likewise.
    """

    estimate: Floats
    covariance: Floats
    n: int
    n_units: int
    freedom: int
    whole: Floats
    bread: Floats

    @property
    def is_identified(self) -> Flags:
        """(p,) whether the data can tell the coefficient."""
        return np.isfinite(self.estimate)


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows of units over time.

    Attributes:
        unit: (n,) codes; rows of a unit must stand together.
        time: (n,) codes of periods.
        outcome: (n,) y.
        weight: (n,) > 0, for instance how many deals a row stands for.
        column: (n,) which single dummy of the regression is 1 in the row, -1 for none.
    """

    unit: Ints
    time: Ints
    outcome: Floats
    weight: Floats
    column: Ints

    def __post_init__(self) -> None:
        starts = np.flatnonzero(np.diff(self.unit, prepend=self.unit[:1] - 1))
        if len(np.unique(self.unit[starts])) != len(starts):
            raise ValueError("the rows of a unit must stand together")
        if not (np.isfinite(self.outcome).all() and (self.weight > 0).all()):
            raise ValueError("outcomes must be finite and weights positive")


def fit_within(panel: Panel, columns: int) -> WithinFit:
    """Fit the regression on `columns` dummies.

    Args:
        panel: the rows; memory stays bounded however many there are.
        columns: number of dummies p; `panel.column` is below it.

    Returns:
        WithinFit. A dummy that the effects and the other dummies explain in full, or that no row carries, is NaN. With fewer
        than two units everything is.
    """
    times, time = np.unique(panel.time, return_inverse=True)
    width = columns + max(len(times) - 1, 0)
    gram, moment = np.zeros((width, width)), np.zeros(width)
    units = 0
    for x, y, w, edges in _sweep(panel, time, columns, width):
        gram += (x * w[:, None]).T @ x
        moment += (x * w[:, None]).T @ y
        units += len(edges)
    kept = _find_independent(gram, columns)
    n = len(panel.unit)
    freedom, k = units - 1, int(kept.sum()) + 1  # the constant is not nested in the units
    if freedom < 1 or n <= k:
        nothing, none = np.full(columns, np.nan), np.zeros((width, width))
        return WithinFit(
            nothing, np.full((columns, columns), np.nan), n, units, max(freedom, 0), np.zeros(width), none
        )
    bread = np.linalg.inv(gram[np.ix_(kept, kept)])
    beta = bread @ moment[kept]
    meat = np.zeros_like(bread)
    for x, y, w, edges in _sweep(panel, time, columns, width):
        residual = y - x[:, kept] @ beta
        scores = np.add.reduceat(x[:, kept] * (w * residual)[:, None], edges, axis=0)
        meat += scores.T @ scores
    factor = units / freedom * (n - 1) / (n - k)
    covariance = factor * bread @ meat @ bread
    place = np.flatnonzero(kept)
    own = place < columns
    estimate, full = np.full(columns, np.nan), np.full((columns, columns), np.nan)
    estimate[place[own]] = beta[own]
    full[np.ix_(place[own], place[own])] = covariance[np.ix_(own, own)]
    whole, inverse = np.zeros(width), np.zeros((width, width))
    whole[kept], inverse[np.ix_(kept, kept)] = beta, bread
    return WithinFit(estimate, full, n, units, freedom, whole, inverse)


def describe_influence(panel: Panel, fit: WithinFit, weights: Floats) -> tuple[Floats, Floats]:
    """Influence and leverage of each unit on weighted sums of the dummies' coefficients, as `bootstrap_scores` takes them.

    Args:
        panel: the rows that were fitted.
        fit: what was found.
        weights: (k, p) a row per sum; 0 where the coefficient is NaN, and not all of them 0.

    Returns:
        influence and leverage, (n_units, k) each: what a unit's scores move the sum by (adds up to 0 over units), and its share of
        the information on it (adds up to 1).
    """
    times, time = np.unique(panel.time, return_inverse=True)
    sums, columns = weights.shape
    width = columns + max(len(times) - 1, 0)
    padded = np.zeros((width, sums))
    padded[:columns] = weights.T
    direction = fit.bread @ padded
    influence, leverage = [np.zeros((0, sums))], [np.zeros((0, sums))]
    for x, y, w, edges in _sweep(panel, time, columns, width):
        along, residual = x @ direction, y - x @ fit.whole
        influence.append(np.add.reduceat(along * (w * residual)[:, None], edges, axis=0))
        leverage.append(np.add.reduceat(along**2 * w[:, None], edges, axis=0))
    return np.concatenate(influence), np.concatenate(leverage) / (padded * direction).sum(axis=0)


def _sweep(
    panel: Panel, time: Ints, columns: int, width: int
) -> Iterator[tuple[Floats, Floats, Floats, Ints]]:
    """Chunks of whole units: x (m, width), y, w with unit means removed, and where each unit begins in the chunk."""
    starts = np.flatnonzero(np.diff(panel.unit, prepend=panel.unit[:1] - 1))
    ends = np.append(starts[1:], len(panel.unit))
    first = 0
    while first < len(starts):
        last = int(np.searchsorted(ends, starts[first] + _CHUNK_ROWS, side="right"))
        last = max(last, first + 1)
        rows = slice(starts[first], ends[last - 1])
        edges = starts[first:last] - starts[first]
        length = ends[last - 1] - starts[first]
        x = np.zeros((length, width))
        at, when = panel.column[rows], time[rows]
        x[np.flatnonzero(at >= 0), at[at >= 0]] = 1.0
        later = when > 0
        x[np.flatnonzero(later), columns + when[later] - 1] = 1.0
        w = panel.weight[rows]
        sizes = np.diff(np.append(edges, length))
        total = np.repeat(np.add.reduceat(w, edges), sizes)
        y = panel.outcome[rows]
        y = y - np.repeat(np.add.reduceat(w * y, edges), sizes) / total
        x -= np.repeat(np.add.reduceat(x * w[:, None], edges, axis=0), sizes, axis=0) / total[:, None]
        yield x, y, w, edges
        first = last


def _find_independent(gram: Floats, columns: int) -> Flags:
    """Which columns carry something of their own; period effects come first, so that a dummy they explain gives way."""
    size = np.sqrt(np.diag(gram))
    order = np.concatenate([np.arange(columns, len(gram)), np.arange(columns)])
    scaled = gram / np.where(size > 0, size, 1.0)[:, None] / np.where(size > 0, size, 1.0)[None, :]
    kept = np.zeros(len(gram), dtype=bool)
    chosen: list[int] = []
    factor = np.zeros((len(gram), len(gram)))
    for j in order:
        if size[j] == 0:
            continue
        # one step of Cholesky without pivoting: what is left of column j beside those chosen
        row = np.zeros(len(chosen))
        for i, c in enumerate(chosen):
            row[i] = (scaled[j, c] - factor[i, :i] @ row[:i]) / factor[i, i]
        left = 1.0 - row @ row
        if left > _TOLERANCE:
            factor[len(chosen), : len(chosen)] = row
            factor[len(chosen), len(chosen)] = np.sqrt(left)
            chosen.append(int(j))
    kept[chosen] = True
    return kept
