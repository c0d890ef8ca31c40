"""When a series changed, and when somebody who watches it would have noticed.

Noticing is the tabular CUSUM (Page 1954): sums of what lies more than k above (below) the target, signalling beyond h. Its run lengths
between false alarms solve the integral equation of Page, by Gauss-Legendre quadrature (Nystrom). The moment of change is looked for afterwards,
in shares of counts: what PELT finds (Killick, Fearnhead and Eckley 2012) on the binomial likelihood with a penalty per change,
without its pruning, which short series don't need (optimal partitioning, Jackson and others 2005). Its chance under no
change comes from permuting the weeks, its interval from the likelihood of every other moment (flat prior).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, xlogy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PERMUTATIONS: Final = 999
LEAST_PERIODS: Final = 20
"""Fewer periods leave no before and after to tell apart."""
SHORTEST: Final = 4
"""Periods that a level must last: a single loud week is no change."""
_NODES: Final = 60


@dataclass(frozen=True, slots=True)
class Cusum:
    """Sums of a tabular CUSUM.

    Attributes:
        upper: (n,) sums of what lies above target + k, never under 0.
        lower: (n,) the same below target - k.
        first_signal: position of the first sum beyond h, from 0; -1 without one.
    """

    upper: Floats
    lower: Floats
    first_signal: int


def run_cusum(values: npt.ArrayLike, target: float, k: float, h: float, *, two_sided: bool = True) -> Cusum:
    """Watch a series.

    Args:
        values: (n,) in any unit.
        target: level that is held for unchanged.
        k: slack, in the unit of the values: half the change that matters.
        h: sum beyond which it signals.
        two_sided: whether a change down signals, too.
    """
    x = np.asarray(values, dtype=np.float64) - target
    upper, lower = np.zeros(x.size), np.zeros(x.size)
    up = down = 0.0
    for i, value in enumerate(x):  # each sum needs the one before; series are short
        up, down = max(0.0, up + value - k), max(0.0, down - value - k)
        upper[i], lower[i] = up, down
    beyond = (upper > h) | ((lower > h) & two_sided)
    return Cusum(upper, lower, int(np.argmax(beyond)) if beyond.any() else -1)


def average_run_length(k: float, h: float, *, shift: float = 0.0, two_sided: bool = True) -> float:
    """Mean number of independent standard normal values until a CUSUM that starts at 0 signals.

    Args:
        k: slack, in standard deviations.
        h: limit, in standard deviations.
        shift: mean of the values; 0 gives the run between false alarms.
        two_sided: 1 / L = 1 / L_up + 1 / L_down.
    """
    up = _one_sided_run(k, h, shift)
    return 1 / (1 / up + 1 / _one_sided_run(k, h, -shift)) if two_sided else up


def _one_sided_run(k: float, h: float, shift: float) -> float:
    """L(u) = 1 + L(0) F(k - u) + integral over 0..h of L(y) f(y + k - u), at u = 0."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    y, w = (nodes + 1) * h / 2, weights * h / 2
    start = np.concatenate([[0.0], y])

    def density(z: Floats) -> Floats:
        return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))

    moves = density(y[None, :] + k - start[:, None] - shift) * w
    back = ndtr(k - start - shift)[:, None]
    system = np.eye(start.size) - np.concatenate([back, moves], axis=1)
    return float(np.linalg.solve(system, np.ones(start.size))[0])


@dataclass(frozen=True, slots=True)
class Change:
    """The largest change of a share.

    Attributes:
        at: position of the first period after it; `lo` and `hi` are the ends of the 95 % interval.
        before: share before it, back to the change before; `after` the share after it, up to the next change.
        found: changes that PELT finds in the whole series; 0: none is worth its penalty, `at` is where one would be likeliest.
        p: chance of one change at least so large in a series without any (permutation).
    """

    at: int
    lo: int
    hi: int
    before: float
    after: float
    found: int
    p: float


def find_change(hits: npt.ArrayLike, totals: npt.ArrayLike, seed: int) -> Change:
    """Find when a share changed.

    Args:
        hits: (n,) counts >= 0 per period, n at least `LEAST_PERIODS`.
        totals: (n,) what they are counted among, not less; 0 for a period without data.
        seed: of the permutations.

    Raises:
        ValueError: for too few periods.
    """
    y, n = np.asarray(hits, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if y.size < LEAST_PERIODS:
        raise ValueError(f"a change needs at least {LEAST_PERIODS} periods")
    ends = _segment(y, n)
    bounds = [0, *ends]
    if len(ends) > 1:
        gains = [
            _gain(y[a:c], n[a:c], b - a) for a, b, c in zip(bounds, bounds[1:], bounds[2:], strict=False)
        ]
        largest = int(np.argmax(gains))
        first, last = bounds[largest], bounds[largest + 2]
    else:
        first, last = 0, y.size
    inside = _gains(y[first:last], n[first:last])
    at = first + SHORTEST + int(np.argmax(inside))
    lo, hi = _interval(inside)
    statistic = _gains(y, n).max()
    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permuted(np.tile(np.arange(y.size), (PERMUTATIONS, 1)), axis=1)
    chance = (1 + int((_gains(y[order], n[order]).max(axis=-1) >= statistic - 1e-9).sum())) / (
        PERMUTATIONS + 1
    )
    return Change(
        at=at,
        lo=first + SHORTEST + lo,
        hi=first + SHORTEST + hi,
        before=_share(y[first:at], n[first:at]),
        after=_share(y[at:last], n[at:last]),
        found=len(ends) - 1,
        p=chance,
    )


def _share(y: Floats, n: Floats) -> float:
    return float(y.sum() / n.sum()) if n.sum() > 0 else float("nan")


def _fit(y: Floats, n: Floats) -> Floats:
    """Twice the binomial log-likelihood of sums at their own share."""
    share = np.divide(y, n, out=np.zeros_like(y), where=n > 0)
    return np.asarray(2 * (xlogy(y, share) + xlogy(n - y, 1 - share)))


def _gains(y: Floats, n: Floats) -> Floats:
    """Gain in fit by one change after each of the inner periods (the last axis, `SHORTEST` away from both ends)."""
    left_y, left_n = y.cumsum(axis=-1), n.cumsum(axis=-1)
    all_y, all_n = left_y[..., -1:], left_n[..., -1:]
    inner = slice(SHORTEST - 1, y.shape[-1] - SHORTEST)
    left_y, left_n = left_y[..., inner], left_n[..., inner]
    return np.asarray(_fit(left_y, left_n) + _fit(all_y - left_y, all_n - left_n) - _fit(all_y, all_n))


def _gain(y: Floats, n: Floats, place: int) -> float:
    return float(_gains(y, n)[place - SHORTEST])


def _interval(gains: Floats) -> tuple[int, int]:
    """Smallest and largest place within 95 % of the likelihood, the likeliest places first."""
    weight = np.exp((gains - gains.max()) / 2)
    order = np.argsort(-weight, kind="stable")
    inside = order[: int(np.searchsorted(weight[order].cumsum(), 0.95 * weight.sum())) + 1]
    return int(inside.min()), int(inside.max())


def _segment(y: Floats, n: Floats) -> list[int]:
    """Ends of the levels that together fit best, the last is the length of the series; a change must gain three times log(n)."""
    hits, totals = np.concatenate([[0.0], y.cumsum()]), np.concatenate([[0.0], n.cumsum()])
    penalty = 3 * np.log(y.size)
    cost = np.full(y.size + 1, np.inf)  # of the best levels of what lies before a place
    cost[0] = 0.0
    came_from = np.zeros(y.size + 1, dtype=np.int64)
    for end in range(SHORTEST, y.size + 1):  # each needs those before; series are short
        starts = slice(0, end - SHORTEST + 1)
        through = cost[starts] + penalty - _fit(hits[end] - hits[starts], totals[end] - totals[starts])
        came_from[end] = np.argmin(through)
        cost[end] = through[came_from[end]]
    ends = [y.size]
    while came_from[ends[0]] > 0:
        ends.insert(0, int(came_from[ends[0]]))
    return ends
