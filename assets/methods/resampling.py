"""Drawing anew: seeds that follow from content, weights of units drawn with replacement, intervals of replicates.

Every array of replicates holds the data itself in row 0, so that an estimate and its replicates come from one formula.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from assets.methods.rates import Interval

Floats = npt.NDArray[np.float64]

REPLICATES: Final = 499
_WEIGHTS_AT_ONCE: Final = 2_000_000


def derive_seed(*names: str) -> int:
    """A seed out of what is estimated: the same on every machine, in every order, for the same names."""
    return int.from_bytes(sha256("\x1f".join(names).encode()).digest()[:8], "big")


@lru_cache(maxsize=64)
def draw_weights(size: int, replicates: int, seed: int) -> Floats:
    """How often each of `size` units is drawn: (1 + replicates, size); the first row is the data, each unit once.

    Read only, and remembered: organisation units that share their cycles share the draws of them.
    """
    weights = np.ones((replicates + 1, size))
    if size:
        rng = np.random.Generator(np.random.PCG64(seed))
        weights[1:] = rng.multinomial(size, np.full(size, 1 / size), size=replicates)
    weights.flags.writeable = False
    return weights


def draw_totals(own: Floats, replicates: int, seed: int) -> Floats:
    """Totals over units drawn anew: (n, c) numbers of n units -> (1 + replicates, c), the data first.

    Weights are drawn some replicates at a time, so that many units take no more memory than few; sums of whole numbers are
    exact. The draws are those of `draw_weights`.
    """
    units, columns = own.shape
    totals = np.empty((1 + replicates, columns))
    totals[0] = own.sum(axis=0)
    if units == 0:
        totals[1:] = 0
        return totals
    rng = np.random.Generator(np.random.PCG64(seed))
    step = max(1, _WEIGHTS_AT_ONCE // units)
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = rng.multinomial(units, np.full(units, 1 / units), size=rows)
        totals[1 + start : 1 + start + rows] = drawn.astype(np.float64) @ own
    return totals


def read_interval(values: Floats, units: int) -> Interval:
    """Estimate and 95 % expanded percentile interval (Hesterberg 2015): `values[0]` is the data, the rest its replicates.

    Few units make replicates too narrow, by sqrt(1 - 1/n) and by a normal where a t belongs; the percentiles are taken that
    much further out. Replicates in which the estimate means nothing (NaN) are left out, and the interval is widened to hold
    its estimate where few units make the replicates lopsided. Without a replicate that means anything it is NaN.

    Args:
        values: (1 + r, ...) read element by element.
        units: how many independent units were drawn, the fewer where two kinds were; under 2 there is no interval.
    """
    estimate, drawn = values[0], values[1:]
    nothing = np.full(np.shape(estimate), np.nan)
    if units < 2:
        return Interval(estimate, nothing, nothing)
    tail = float(ndtr(np.sqrt(units / (units - 1)) * stdtrit(units - 1, 0.025)))
    usable = ~np.isnan(drawn).all(axis=0)
    lo, hi = np.nanquantile(np.where(usable, drawn, 0.0), [tail, 1 - tail], axis=0, method="inverted_cdf")
    known = usable & ~np.isnan(estimate)
    return Interval(
        estimate,
        np.where(known, np.minimum(lo, estimate), nothing),
        np.where(known, np.maximum(hi, estimate), nothing),
    )
