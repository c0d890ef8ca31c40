"""A straight line through a short series, with an interval that allows for neighbours being alike.

Least squares of y on time. The errors of consecutive quarters of one organisation are correlated (the same people on the same
plans), so the covariance is that of Newey and West (1987, Econometrica 55:703): Bartlett weights over L lags, L the integer part of
4 (n / 100)^(2/9) (Newey and West 1994), at least 1; times n / (n - 2); Student's t with n - 2 degrees of freedom. Clustering by
seller would count every seller of a plan as an own witness of the one change of that plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

MIN_POINTS: Final = 6
"""Fewer points give no interval worth the name."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of y per unit of time, with its limits; NaN under `MIN_POINTS` points. `n` is the number of points."""

    estimate: float
    lo: float
    hi: float
    n: int


def fit_slope(time: npt.ArrayLike, y: npt.ArrayLike, level: float = 0.95) -> Slope:
    """Fit the line.

    Args:
        time: shape (n,), rising; in years for a slope per year.
        y: shape (n,), finite.
        level: of the interval.

    Raises:
        ValueError: when the shapes differ, or time does not rise.
    """
    t, values = np.asarray(time, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if t.shape != values.shape or t.ndim != 1 or np.any(np.diff(t) <= 0):
        raise ValueError("time and y must be of one length, and time must rise")
    n = t.size
    if n < MIN_POINTS:
        return Slope(np.nan, np.nan, np.nan, n)
    centred = t - t.mean()
    spread = float(centred @ centred)
    slope = float(centred @ values) / spread
    residual = values - values.mean() - slope * centred
    scores = centred * residual
    lags = max(1, int(4 * (n / 100) ** (2 / 9)))
    middle = float(scores @ scores)
    for lag in range(1, lags + 1):
        middle += 2 * (1 - lag / (lags + 1)) * float(scores[lag:] @ scores[:-lag])
    error = float(np.sqrt(max(middle, 0.0) * n / (n - 2))) / spread
    half = float(stdtrit(n - 2, (1 + level) / 2)) * error
    return Slope(slope, slope - half, slope + half, n)
