"""Bands: how a number becomes one of a few ordered groups, and cut points by inverted-CDF quantiles.

The edges are definitions (10-definitions, Bands); what is measured does not belong here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl


@dataclass(frozen=True, slots=True)
class Bands:
    """Ordered groups of a number.

    Attributes:
        labels: names in rising order, one more than there are cuts.
        cuts: (edge, whether the edge itself belongs to the band below), rising.
        decimals: the number is rounded to so many decimals first; None leaves it.
    """

    labels: tuple[str, ...]
    cuts: tuple[tuple[float, bool], ...]
    decimals: int | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.cuts) + 1:
            raise ValueError(f"{len(self.cuts)} cuts make {len(self.cuts) + 1} bands, not {len(self.labels)}")
        if list(self.cuts) != sorted(self.cuts, key=lambda cut: (cut[0], cut[1])):
            raise ValueError("cuts must rise")

    def label(self, number: pl.Expr) -> pl.Expr:
        """The band's name per row, String; null (and NaN) has none."""
        number = number.cast(pl.Float64).fill_nan(None)
        if self.decimals is not None:
            number = number.round(self.decimals)
        band = pl.lit(self.labels[-1])
        for name, (edge, belongs_below) in reversed(list(zip(self.labels, self.cuts, strict=False))):
            is_below = number <= edge if belongs_below else number < edge
            band = pl.when(is_below).then(pl.lit(name)).otherwise(band)
        return pl.when(number.is_not_null()).then(band)


RELATIVE_INTENSITY: Final = Bands(
    (
        "negative",
        "0",
        "over 0 to under 1",
        "1",
        "over 1 to 1.25",
        "over 1.25 to 1.5",
        "over 1.5 to 2",
        "over 2",
    ),
    ((0, False), (0, True), (1, False), (1, True), (1.25, True), (1.5, True), (2, True)),
    decimals=4,
)
"""Marginal rate over base rate: 1 is a linear plan."""

CLOSING_LOAD: Final = Bands(
    ("under 0.75", "0.75 to 1.25", "over 1.25"), ((0.75, False), (1.25, True)), decimals=8
)
"""Won deals of the seller's month over the seller's mean."""

CYCLE_DAYS: Final = Bands(
    ("negative", "0 to 3", "4 to 14", "15 to 60", "over 60"),
    ((0, False), (4, False), (15, False), (60, True)),
)
"""Whole calendar days from creation to close; negative is a contradiction, flagged elsewhere."""

DISCOUNT_SHARE: Final = Bands(
    ("0", "over 0 to 0.1", "over 0.1 to 0.2", "over 0.2"), ((0, True), (0.1, True), (0.2, True)), decimals=8
)
"""1 - amount / list amount; a price above the list counts as no discount."""

TOUCHES_30D: Final = Bands(("0", "1 to 3", "4 to 10", "over 10"), ((0, True), (3, True), (10, True)))
"""Outbound activities on the account in the 30 days before close."""

QUINTILES: Final = ((1, 5), (2, 5), (3, 5), (4, 5))


def inverted_cdf(values: pl.Expr, numerator: int, denominator: int) -> pl.Expr:
    """The smallest value with at least numerator/denominator of the values at or below it; nulls do not count.

    Args:
        values: any ordered type; works in `select` and in `group_by().agg()`.
        numerator: of the share, over 0 and at most `denominator`. The share is a fraction of whole numbers because
            0.7 * 10 in floats is not 7, and the next value would be taken.
        denominator: of the share.

    Returns:
        One value, null without values.

    Raises:
        ValueError: when the share is not in (0, 1].
    """
    if not 0 < numerator <= denominator:
        raise ValueError(f"the share {numerator}/{denominator} must lie in (0, 1]")
    rank = (values.count().cast(pl.Int64) * numerator + (denominator - 1)) // denominator
    return values.drop_nulls().sort().get(pl.max_horizontal(rank - 1, 0), null_on_oob=True)


def cut_quintiles(values: pl.Expr) -> pl.Expr:
    """The four inverted-CDF cut points 0.2 .. 0.8 as one list, with nulls when there are no values."""
    return pl.concat_list(*(inverted_cdf(values, *share) for share in QUINTILES))


def place_in_quintile(values: pl.Expr, cut_points: Sequence[float]) -> pl.Expr:
    """1 + number of cut points strictly below the value, Int64; ties share a quintile, some may be empty.

    Args:
        values: Float64, null stays null.
        cut_points: four rising values, for instance from `cut_quintiles`; empty gives null.
    """
    if not cut_points:
        return pl.lit(None, dtype=pl.Int64)
    above = pl.sum_horizontal((values > cut).cast(pl.Int64) for cut in cut_points)
    return pl.when(values.is_not_null()).then(above + 1)
