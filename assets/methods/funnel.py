"""Funnel limits: how unusual a unit's count is against what is expected of it, where units differ anyway.

Spiegelhalter (2005), Statistics in Medicine 24: exact limits, and multiplicative over-dispersion estimated from
winsorised z-scores, so that the units one looks for do not widen the limits that should find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, pdtr, pdtrc

Floats = npt.NDArray[np.float64]

INNER: Final = 0.975
OUTER: Final = 0.999
WINSORISED: Final = 0.1  # share of units pulled in at each end, Spiegelhalter's choice
LEAST_UNITS: Final = 10  # fewer units say nothing about how much units differ
_STEPS: Final = 64


@dataclass(frozen=True, slots=True)
class FunnelPoint:
    """Units against what is expected of them; arrays of one shape.

    Attributes:
        expected: events expected.
        ratio: observed over expected; NaN where none is expected.
        chance: P(Y >= observed) for a unit that is like the others.
        limit_inner: smallest count with P(Y <= count) >= 97.5 %.
        limit_outer: the same at 99.9 %.
    """

    expected: Floats
    ratio: Floats
    chance: Floats
    limit_inner: Floats
    limit_outer: Floats


def place_in_funnel(
    counts: npt.ArrayLike, exposure: npt.ArrayLike, base_rate: npt.ArrayLike = 1.0, dispersion: float = 1.0
) -> FunnelPoint:
    """Place counts in the funnel of `exposure` x `base_rate`.

    Args:
        counts: (n,) events, whole numbers >= 0.
        exposure: (n,) >= 0.
        base_rate: events per unit of exposure.
        dispersion: variance over mean of a unit that is like the others, >= 1, from `estimate_dispersion`. At 1 counts are
            Poisson, above negative binomial with that variance.

    Returns:
        FunnelPoint of shape (n,).

    Raises:
        ValueError: when `dispersion` is under 1.
    """
    if dispersion < 1:
        raise ValueError(
            f"a dispersion of {dispersion} is under 1: counts are never more regular than Poisson"
        )
    y, t = np.broadcast_arrays(np.asarray(counts, dtype=np.float64), np.asarray(exposure, dtype=np.float64))
    expected = t * np.asarray(base_rate, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(expected > 0, y / expected, np.nan)
    return FunnelPoint(
        expected,
        ratio,
        _at_least(y, expected, dispersion),
        find_limit(INNER, expected, dispersion),
        find_limit(OUTER, expected, dispersion),
    )


def estimate_dispersion(counts: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """How much more units differ than chance makes them: mean square of the winsorised z-scores, at least 1.

    Args:
        counts: (n,) events.
        expected: (n,) events expected; units of which none is expected are left out.

    Returns:
        1 with fewer than `LEAST_UNITS` units, or where they differ by chance only: unless the excess is beyond what
        chance brings (one standard error, sqrt(2 / n)), limits stay exact.
    """
    y, e = np.broadcast_arrays(np.asarray(counts, dtype=np.float64), np.asarray(expected, dtype=np.float64))
    y, e = y[e > 0], e[e > 0]
    if y.size < LEAST_UNITS:
        return 1.0
    # square roots: z-scores of small counts are skewed, and the skew would count as dispersion
    z = np.sort(2 * (np.sqrt(y + 0.25) - np.sqrt(e)))
    low, high = z[int(WINSORISED * (z.size - 1))], z[int(np.ceil((1 - WINSORISED) * (z.size - 1)))]
    mean_square = float(np.mean(np.clip(z, low, high) ** 2))
    return mean_square if mean_square > 1 + np.sqrt(2 / z.size) else 1.0


def find_limit(probability: float, expected: npt.ArrayLike, dispersion: float = 1.0) -> Floats:
    """Smallest count that a unit like the others stays at or under with at least this probability."""
    mean = np.asarray(expected, dtype=np.float64)
    low = np.full(mean.shape, -1.0)  # P(Y <= low) is under the probability
    high = np.ceil(mean + 10 + 20 * np.sqrt(dispersion * (mean + dispersion)))
    for _ in range(_STEPS):
        middle = np.floor((low + high) / 2)
        reached = _at_most(middle, mean, dispersion) >= probability
        open_ = high - low > 1
        if not open_.any():
            break
        high, low = np.where(open_ & reached, middle, high), np.where(open_ & ~reached, middle, low)
    limit: Floats = high
    return limit


def _at_most(count: Floats, mean: Floats, dispersion: float) -> Floats:
    """P(Y <= count)."""
    safe = np.maximum(count, 0)
    if dispersion == 1:
        below = np.asarray(pdtr(safe, mean), dtype=np.float64)
    else:
        size = np.where(mean > 0, mean, 1.0) / (dispersion - 1)
        below = np.where(mean > 0, betainc(size, safe + 1, 1 / dispersion), 1.0)
    bounded: Floats = np.where(count < 0, 0.0, below)
    return bounded


def _at_least(count: Floats, mean: Floats, dispersion: float) -> Floats:
    """P(Y >= count), without the loss of digits of 1 - P(Y < count)."""
    safe = np.maximum(count, 1)
    if dispersion == 1:
        above = np.asarray(pdtrc(safe - 1, mean), dtype=np.float64)
    else:
        size = np.where(mean > 0, mean, 1.0) / (dispersion - 1)
        above = np.where(mean > 0, betainc(safe, size, 1 - 1 / dispersion), 0.0)
    bounded: Floats = np.where(count <= 0, 1.0, above)
    return bounded
