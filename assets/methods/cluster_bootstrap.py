"""Intervals where observations come in clusters: whole sellers are drawn, not deals (Davison and Hinkley 1997, 3.8).

Clusters enter through sums of whole numbers, which float64 holds exactly up to 2^53: neither the order of the rows nor the
number of threads can move a draw. What is not whole is brought in as a whole number of small units by the caller.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]

DRAWS: Final = 999
SEED: Final = 20_250_131  # any number: fixed, so that equal data give equal limits
LEAST_CLUSTERS: Final = 5  # fewer clusters hold no information on how clusters vary
_AT_ONCE: Final = 111
_LARGEST: Final = 2**53
_TIMES_DRAWN: Final = 16  # a cluster is drawn once on average; sixteen times happens once in 10^13


def draw_sums(
    cluster: Integers, cell: Integers, values: npt.ArrayLike, *, clusters: int, cells: int, draws: int = DRAWS
) -> Floats:
    """Sums of each cell over clusters drawn with replacement, the same draws for every cell.

    Args:
        cluster: (m,) number of the cluster, 0 to `clusters` - 1; a cluster may stand in many cells.
        cell: (m,) number of the cell, 0 to `cells` - 1.
        values: (m, k) or (m,) whole numbers, the cluster's sums in the cell.
        clusters: how many clusters are drawn from, and drawn.
        cells: how many cells.
        draws: how many times.

    Returns:
        (draws, k, cells).

    Raises:
        ValueError: when values are not whole, or too large to be added exactly.
    """
    given = np.asarray(values, dtype=np.float64)
    table = given.reshape(len(cluster), -1)
    if np.any(table != np.rint(table)):
        raise ValueError("values must be whole numbers: others add up differently in another order")
    if table.size and np.abs(table).sum(axis=0).max() * _TIMES_DRAWN >= _LARGEST:
        raise ValueError("values are too large to be added exactly: use larger units")
    k = table.shape[1]
    columns = (cell[:, None] * k + np.arange(k)).ravel()
    sums = csr_matrix(
        (table.ravel(), (np.repeat(cluster, k), columns)), shape=(clusters, cells * k)
    ).T.tocsr()
    generator = np.random.default_rng(SEED)
    found = np.empty((draws, k, cells))
    for start in range(0, draws, _AT_ONCE):
        size = min(_AT_ONCE, draws - start)
        times = generator.multinomial(clusters, np.full(clusters, 1 / max(clusters, 1)), size=size)
        drawn = np.asarray(sums @ times.T.astype(np.float64)).T
        found[start : start + size] = drawn.reshape(size, cells, k).transpose(0, 2, 1)
    return found


def take_percentiles(draws: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Percentile limits by the inverted CDF over the first axis.

    Args:
        draws: (draws, ...); NaN are draws without an estimate.
        level: of the interval.

    Returns:
        lower and upper limits, NaN where more than one draw in twenty gave no estimate.
    """
    tail = (1 - level) / 2
    known = ~np.isnan(draws)
    ordered = np.sort(draws, axis=0)  # NaN last
    n = known.sum(axis=0)
    enough = n >= 0.95 * draws.shape[0]
    limits = []
    for share in (tail, 1 - tail):
        rank = np.clip(np.ceil(share * n - 1e-9) - 1, 0, None).astype(np.int64)
        limit = np.take_along_axis(ordered, rank[None], axis=0)[0]
        limits.append(np.where(enough, limit, np.nan))
    return limits[0], limits[1]


def bound_ratios(
    cluster: Integers,
    cell: Integers,
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    *,
    clusters: int,
    cells: int,
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Limits of sum of numerators / sum of denominators of each cell, clusters drawn.

    Args:
        cluster: (m,) number of the cluster.
        cell: (m,) number of the cell.
        numerator: (m,) whole numbers.
        denominator: (m,) whole numbers >= 0.
        clusters: how many clusters.
        cells: how many cells.
        level: of the interval.

    Returns:
        (cells,) lower and upper limits; NaN for cells of fewer than `LEAST_CLUSTERS` clusters, or whose draws often hold no
        denominator.
    """
    pairs = np.column_stack([numerator, denominator]) if len(cluster) else np.empty((0, 2))
    sums = draw_sums(cluster, cell, pairs, clusters=clusters, cells=cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)
    low, high = take_percentiles(ratios, level)
    few = np.bincount(cell, minlength=cells) < LEAST_CLUSTERS
    return np.where(few, np.nan, low), np.where(few, np.nan, high)
