"""Uncertainty when observations come in clusters: sandwich variances and the wild bootstrap of scores.

All functions take the per-cluster sums of scores, so they never see a row: scores add up over partitions. What a score is
belongs to the estimator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FEW_CLUSTERS: Final = (
    40  # below it the t interval of a sandwich variance is too short (10-definitions, Level 2)
)
_TIE: Final = 1e-9  # the draw that changes no sign is as large as what was found, but for rounding
_ENUMERATED: Final = 12  # so many clusters have at most 4,096 sign vectors: all of them are taken


@dataclass(frozen=True, slots=True)
class Inference:
    """One coefficient and how sure it is.

    Attributes:
        estimate: on the scale of the linear predictor.
        error: cluster-robust standard error.
        lo: lower end of the interval.
        hi: upper end.
        p_value: two-sided, of no association.
    """

    estimate: float
    error: float
    lo: float
    hi: float
    p_value: float


def cluster_covariance(information: Floats, scores: Floats, n: int) -> Floats:
    """Sandwich variance of Liang and Zeger (1986) with the small-sample factor G / (G - 1) x (n - 1) / (n - p).

    Args:
        information: (p, p) minus the second derivative of the log-likelihood at its maximum.
        scores: (G, p) score summed within each of G clusters.
        n: observations behind the scores.

    Returns:
        (p, p); NaN with fewer than two clusters.
    """
    count, width = scores.shape
    if count < 2 or n <= width:
        return np.full((width, width), np.nan)
    bread = np.linalg.inv(information)
    factor = count / (count - 1) * (n - 1) / (n - width)
    variance: Floats = factor * bread @ (scores.T @ scores) @ bread
    return variance


def infer(estimate: float, error: float, clusters: int, level: float = 0.95) -> Inference:
    """Interval and p value from Student's t with one degree of freedom less than there are clusters."""
    degrees = clusters - 1
    if degrees < 1 or not error > 0:
        return Inference(estimate, np.nan, np.nan, np.nan, np.nan)
    reach = float(stdtrit(degrees, (1 + level) / 2)) * error
    p_value = 2 * float(stdtr(degrees, -abs(estimate) / error))
    return Inference(estimate, error, estimate - reach, estimate + reach, p_value)


def bootstrap_scores(
    estimate: float,
    influence: Floats,
    leverage: Floats,
    *,
    draws: int = 1_999,
    seed: int = 0,
    level: float = 0.95,
) -> Inference:
    """Wild cluster bootstrap of the scores for one coefficient, with the null imposed (Kline and Santos 2012).

    To first order, the influence of a cluster under a null b is influence + leverage x (estimate - b). Every draw gives each of
    them a random sign, and studentises their sum with what the draw itself leaves over. Where few clusters carry most of
    the information, scores at the estimate would be too small; those under the null are not. The interval holds every null that
    is not rejected. With at most 12 clusters every vector of signs is taken once, so nothing is random.

    Args:
        estimate: the coefficient.
        influence: (G,) what each cluster's score moves the coefficient by; adds up to 0.
        leverage: (G,) each cluster's share of the information on the coefficient; adds up to 1.
        draws: random sign vectors where not all are taken.
        seed: of the signs.
        level: of the interval.

    Returns:
        The inference; NaN limits where no null can be rejected at all (fewer than 6 clusters).
    """
    count = influence.size
    error = float(np.sqrt(count / max(count - 1, 1) * (influence**2).sum()))
    if count < 2 or not error > 0:
        return Inference(estimate, np.nan, np.nan, np.nan, np.nan)
    if count <= _ENUMERATED:
        signs = 1.0 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
    else:
        signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, (draws, count))
    # what a draw adds up to is linear in the null and what it leaves over is quadratic: each draw is gone through once
    drawn = signs @ np.column_stack([influence, leverage, influence * leverage, leverage**2])
    own, shared, weight = influence @ influence, influence @ leverage, leverage @ leverage

    def p_value(null: float) -> float:
        shift = estimate - null
        total = drawn[:, 0] + shift * drawn[:, 1]
        crossed = drawn[:, 2] + shift * drawn[:, 3]
        squares = own + 2 * shift * shared + shift**2 * weight - 2 * total * crossed + total**2 * weight
        found = abs(shift) * np.sqrt(np.maximum(squares, 0.0) / own)
        return float(np.mean(np.abs(total) >= found * (1 - _TIE)))

    limits = [_last_kept(p_value, estimate, side * error, 1 - level) for side in (-1, 1)]
    return Inference(estimate, error, limits[0], limits[1], p_value(0.0))


def _last_kept(p_value: Callable[[float], float], estimate: float, error: float, least: float) -> float:
    """The null furthest from the estimate, in the direction of `error`, that is not rejected; NaN where none is rejected."""
    near, far = 0.0, 4.0
    while p_value(estimate + far * error) > least:
        near, far = far, far * 2
        if far > 1_000:
            return np.nan
    for _ in range(20):
        middle = (near + far) / 2
        near, far = (middle, far) if p_value(estimate + middle * error) > least else (near, middle)
    return estimate + far * error


def describe_influence(
    information: Floats, scores: Floats, by_cluster: Floats, which: int
) -> tuple[Floats, Floats]:
    """Influence and leverage of each cluster on one coefficient, as `bootstrap_scores` takes them.

    Args:
        information: (p, p) of all clusters.
        scores: (G, p) of each.
        by_cluster: (G, p, p) information of each.
        which: position of the coefficient.
    """
    direction = np.linalg.inv(information)[which]
    return scores @ direction, by_cluster @ direction @ direction / direction[which]


def sum_by_cluster(rows: Floats, cluster: Ints, clusters: int) -> Floats:
    """(clusters, p) sums of (n, p) rows by cluster number; order of addition is the order of the rows."""
    sums = np.zeros((clusters, rows.shape[1]))
    for j, column in enumerate(rows.T):
        sums[:, j] = np.bincount(cluster, weights=column, minlength=clusters)
    return sums
