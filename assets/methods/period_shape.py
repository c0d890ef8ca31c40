"""The shape of a pay period: how much of what was sold, or done, came at its end.

With the period cut into N equal parts, b_k what falls into part k and B their sum:

    hockey stick        N x b_N / B: 1 when even, N when all comes in the last part
    concentration       sum of (b_k / B)^2, the Herfindahl index: 1/N when even, 1 when all is in one part
    normalised          (concentration - 1/N) / (1 - 1/N)
    peak to trough      (max - min) / mean
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

PARTS: Final = 3
SHAPE_COLUMNS: Final = (
    "last_part_share",
    "hockey_stick",
    "concentration",
    "concentration_normalised",
    "peak_to_trough",
)


def describe_shape(parts: Sequence[str]) -> dict[str, pl.Expr]:
    """Expressions for `SHAPE_COLUMNS`, Float64; null unless what is in the parts adds up to more than nothing.

    Args:
        parts: names of columns with what fell into each part, in order of time; any exact or floating number.
    """
    n = len(parts)
    share = _shares(parts)
    concentration = pl.sum_horizontal((s * s for s in share), ignore_nulls=False)
    return {
        "last_part_share": share[-1],
        "hockey_stick": share[-1] * n,
        "concentration": concentration,
        "concentration_normalised": (concentration - 1 / n) / (1 - 1 / n),
        # null when the shares are: the largest of nothing is nothing
        "peak_to_trough": (pl.max_horizontal(share) - pl.min_horizontal(share)) * n,
    }


def sustain_effort(parts: Sequence[str]) -> pl.Expr:
    """Hockey stick of what was done, inverted: 1 when effort is even, under 1 when it piles up at the end, Float64.

    Null where nothing was done at all, or nothing in the last part.
    """
    stick = _shares(parts)[-1] * len(parts)
    return pl.when(stick > 0).then(1 / stick)


def _shares(parts: Sequence[str]) -> list[pl.Expr]:
    amounts = [pl.col(name).cast(pl.Float64) for name in parts]
    total = pl.sum_horizontal(pl.col(name).cast(pl.Decimal(38, 2)) for name in parts).cast(pl.Float64)
    return [pl.when(total > 0).then(amount / total) for amount in amounts]
