"""Whether units sort themselves to one side of a threshold: then those beside it are not alike.

McCrary (2008): a fine histogram, smoothed by a local linear regression with a triangular kernel on each side of the threshold,
and the difference of the logarithms of the two heights at the threshold with its asymptotic standard error

    sqrt((24 / 5) (1 / f_above + 1 / f_below) / (n h)).

A regression discontinuity is refused where the density jumps, whatever the outcome looks like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from assets.methods.clusters import Floats

_MIN_UNITS: Final = 200
_CURVED: Final = 4  # degree of the pilot polynomial
_RULE: Final = 3.348  # McCrary's constant for the triangular kernel
JUMP_P: Final = 0.01


@dataclass(frozen=True, slots=True)
class DensityJump:
    """Jump of the density at a threshold.

    Attributes:
        log_ratio: logarithm of the density just above over just below.
        error: its standard error.
        statistic: their quotient, standard normal where nobody sorts.
        p_value: two-sided.
        bandwidth: of the local regressions, in units of the running variable.
    """

    log_ratio: float
    error: float
    statistic: float
    p_value: float
    bandwidth: float

    @property
    def refuses(self) -> str:
        """Why a regression discontinuity at the threshold is refused; empty where this test knows no reason."""
        if self.p_value >= JUMP_P:
            return ""
        side = "above" if self.log_ratio > 0 else "below"
        return (
            f"the density jumps at the threshold: {np.exp(abs(self.log_ratio)):.2f} times as many just {side} it "
            f"(T = {self.statistic:.2f}, p = {self.p_value:.1g}); those on either side chose it and are not alike"
        )


def find_density_jump(
    running: Floats, threshold: float, *, bandwidth: float | None = None
) -> DensityJump | None:
    """Test for a jump.

    Args:
        running: (n,) the running variable; the threshold itself belongs to the upper side.
        threshold: where.
        bandwidth: None takes half of McCrary's rule, as he advises for the test.

    Returns:
        The jump; None with fewer than 200 units on a side, or no height on one of them.
    """
    sides = running[running < threshold], running[running >= threshold]
    if min(side.size for side in sides) < _MIN_UNITS:
        return None
    width = 2 * float(running.std()) / running.size**0.5
    lower = _histogram(threshold - sides[0], width, running.size, closed=False)
    upper = _histogram(sides[1] - threshold, width, running.size, closed=True)
    # half of what would fit the density best: a test must not mistake curvature for a jump
    h = bandwidth or (_rule_of_thumb(*lower) + _rule_of_thumb(*upper)) / 4
    below, above = _height(*lower, h), _height(*upper, h)
    if min(below, above) <= 0:
        return None
    log_ratio = float(np.log(above / below))
    error = float(np.sqrt(24 / 5 * (1 / above + 1 / below) / (running.size * h)))
    statistic = log_ratio / error
    return DensityJump(log_ratio, error, statistic, 2 * float(ndtr(-abs(statistic))), h)


def _histogram(distance: Floats, width: float, n: int, *, closed: bool) -> tuple[Floats, Floats]:
    """Midpoints and heights of bins by distance from the threshold; below it a bin holds its far edge, not its near one."""
    place = np.floor(distance / width) if closed else np.ceil(distance / width) - 1
    counts = np.bincount(place.astype(np.int64))[:-1]  # the last bin may reach past the data
    middle = (np.arange(counts.size, dtype=np.float64) + 0.5) * width
    height: Floats = counts / (n * width)
    return middle.astype(np.float64), height


def _rule_of_thumb(middle: Floats, height: Floats) -> float:
    reach = float(middle[-1])
    x = middle / reach
    fit = np.polynomial.Polynomial.fit(x, height, _CURVED)
    noise = float(((height - fit(x)) ** 2).sum() / (x.size - _CURVED - 1))
    bend = float((fit.deriv(2)(x) ** 2).sum())
    return min(1.0, _RULE * (noise / bend) ** 0.2) * reach if bend > 0 else reach


def _height(middle: Floats, height: Floats, h: float) -> float:
    """Local linear fit at distance 0."""
    weight = np.maximum(0.0, 1 - middle / h)
    s0, s1, s2 = (float((weight * middle**k).sum()) for k in range(3))
    t0, t1 = float((weight * height).sum()), float((weight * middle * height).sum())
    determinant = s0 * s2 - s1 * s1
    return (s2 * t0 - s1 * t1) / determinant if determinant > 0 else 0.0
