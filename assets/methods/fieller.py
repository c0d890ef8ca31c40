"""The ratio of two uncertain numbers, with the interval of Fieller (1954).

It holds every ratio r at which numerator - r x denominator can't be told from 0. Where the denominator itself can't be told from 0 that is
no interval but everything, or everything but a gap: then there is no number, and an expansion of the ratio (delta method)
that gives one all the same is not to be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from scipy.stats import t as t_distribution


@dataclass(frozen=True, slots=True)
class Ratio:
    """`estimate` with its limits, in units of the numerator per unit of the denominator."""

    estimate: float
    lo: float
    hi: float


def divide_estimates(
    numerator: tuple[float, float],
    denominator: tuple[float, float],
    covariance: float,
    freedom: int,
    level: float = 0.95,
) -> Ratio | None:
    """Divide one estimate by another.

    Args:
        numerator: estimate and standard error.
        denominator: estimate and standard error.
        covariance: of the two estimates.
        freedom: degrees of freedom of Student's t.
        level: of the interval.

    Returns:
        The ratio; None where the denominator can't be told from 0 at that level.
    """
    (top, top_error), (bottom, bottom_error) = numerator, denominator
    square = float(t_distribution.ppf((1 + level) / 2, freedom)) ** 2
    a = bottom**2 - square * bottom_error**2
    if not a > 0:
        return None
    b = top * bottom - square * covariance
    c = top**2 - square * top_error**2
    reach = sqrt(max(b * b - a * c, 0.0))
    return Ratio(top / bottom, (b - reach) / a, (b + reach) / a)
