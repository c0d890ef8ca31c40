"""Uncertainty when observations come in clusters: sandwich variances and the wild bootstrap of scores.

All functions take the per-cluster sums of scores, so they never see a row: scores add up over partitions. What a score is
belongs to the estimator.
"""

from __future__ import annotations

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
    information: Floats,
    scores: Floats,
    which: int,
    *,
    draws: int = 4_999,
    seed: int = 0,
    level: float = 0.95,
) -> Inference:
    """Wild cluster bootstrap of the scores for one coefficient (Kline and Santos 2012), for few clusters.

    Every draw gives each cluster's score a random sign and studentises the moved coefficient with its own sandwich
    variance; the interval is the bootstrap-t one, symmetric. With at most 12 clusters every vector of signs is taken
    once, so nothing is random.

    Args:
        estimate: the coefficient.
        information: (p, p) as for `cluster_covariance`.
        scores: (G, p) per cluster.
        which: position of the coefficient.
        draws: random sign vectors where not all are taken.
        seed: of the signs.
        level: of the interval.
    """
    count = scores.shape[0]
    if count < 2:
        return Inference(estimate, np.nan, np.nan, np.nan, np.nan)
    influence = scores @ np.linalg.inv(information)[which]  # what each cluster moves the coefficient by
    if count <= _ENUMERATED:
        signs = 1.0 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
    else:
        signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, (draws, count))
    moved = signs * influence
    total = moved.sum(axis=1)
    scale = np.sqrt(count / (count - 1))
    # a draw's own variance is taken about its mean, or a draw of equal signs would look certain
    errors = scale * np.sqrt(((moved - total[:, None] / count) ** 2).sum(axis=1))
    error = scale * float(np.sqrt((influence**2).sum()))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistics = np.where(errors > 0, np.abs(total) / errors, np.inf)
    found = abs(estimate) / error if error > 0 else np.nan
    reach = float(np.quantile(statistics, level, method="inverted_cdf")) * error
    p_value = float(np.mean(statistics >= found * (1 - 1e-12)))
    return Inference(estimate, error, estimate - reach, estimate + reach, p_value)


def sum_by_cluster(rows: Floats, cluster: Ints, clusters: int) -> Floats:
    """(clusters, p) sums of (n, p) rows by cluster number; order of addition is the order of the rows."""
    sums = np.zeros((clusters, rows.shape[1]))
    for j, column in enumerate(rows.T):
        sums[:, j] = np.bincount(cluster, weights=column, minlength=clusters)
    return sums
