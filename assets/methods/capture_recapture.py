"""How many there are in all, from two lists that overlap: Chapman's estimator with a log-normal interval.

    N = (n1 + 1)(n2 + 1) / (m + 1) - 1
    var = (n1 + 1)(n2 + 1)(n1 - m)(n2 - m) / ((m + 1)^2 (m + 2))        (Chapman 1951; Seber 1970)

What neither list holds, f = N - (n1 + n2 - m), is taken as log-normal (Chao 1987): D + f / c to D + f c with
c = exp(z sqrt(ln(1 + var / f^2))), so no limit lies below what was counted. It holds if the lists are independent: whoever tells one
is no likelier to tell the other. Where they are likelier, N is too low; where telling one saves telling the other, too high.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from assets.methods.rates import Interval

LEAST_BOTH: Final = 7
"""With fewer on both lists the estimator is biased (Robson and Regier 1964)."""


def estimate_total(
    first: npt.ArrayLike, second: npt.ArrayLike, both: npt.ArrayLike, level: float = 0.95
) -> Interval:
    """Size of the population behind two lists.

    Args:
        first: counts on the first list; arrays broadcast.
        second: counts on the second.
        both: counts on both.
        level: of the interval.

    Raises:
        ValueError: when a count is negative or more are on both lists than on either.
    """
    n1, n2, m = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (first, second, both)))
    if np.any(m < 0) or np.any(m > np.minimum(n1, n2)):
        raise ValueError("counts must not be negative, and none on both lists may be missing on one")
    total = (n1 + 1) * (n2 + 1) / (m + 1) - 1
    variance = (n1 + 1) * (n2 + 1) * (n1 - m) * (n2 - m) / ((m + 1) ** 2 * (m + 2))
    counted = n1 + n2 - m
    unseen = total - counted
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.exp(ndtri((1 + level) / 2) * np.sqrt(np.log1p(variance / unseen**2)))
        lo, hi = counted + unseen / factor, counted + unseen * factor
    # a list that holds all of the other leaves nothing unseen
    nothing = unseen <= 0
    return Interval(total, np.where(nothing, total, lo), np.where(nothing, total, hi))
