"""The difference of two estimates from nothing but their values and limits. How each was estimated is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot


@dataclass(frozen=True, slots=True)
class Difference:
    """`estimate` minus the base's, with its limits, in the unit of both."""

    estimate: float
    lo: float
    hi: float

    @property
    def sign(self) -> int:
        """1 or -1 where the limits leave no other sign, else 0."""
        return (self.lo > 0) - (self.hi < 0)


def subtract_estimates(high: tuple[float, float, float], low: tuple[float, float, float]) -> Difference:
    """MOVER (Zou and Donner 2008): the limits of `high - low` from each one's (estimate, lo, hi); independent estimates.

    Asymmetric limits stay asymmetric, so it suits shares and incidences near 0 or 1.
    """
    (p1, l1, u1), (p0, l0, u0) = high, low
    gap = p1 - p0
    return Difference(gap, gap - hypot(p1 - l1, u0 - p0), gap + hypot(u1 - p1, p0 - l0))
