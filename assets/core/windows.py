"""Pairs of rows whose days lie close together, found by hashing blocks of days: nothing is sorted, nothing explodes."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_c = pl.col


@dataclass(frozen=True, slots=True)
class Window:
    """The days from `first` to `last`, both counted from a day of the row on the left.

    Days are put into blocks as wide as the window, so a window touches at most two of them, and a row meets only rows of
    those blocks: an account with thousands of rows over the years costs no more than its neighbourhoods.

    Attributes:
        on: key column of both sides.
        day: Date on the left that the window is counted from.
        other_day: Date on the right that must lie in it.
        first: first day of the window.
        last: last day of the window.
    """

    on: str
    day: str
    other_day: str
    first: int
    last: int

    def pairs(self, left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        """All pairs with equal `on` and first <= other_day - day <= last, the columns of both, in no order.

        Keys or days that are null meet nothing. But for `on` the sides must not share column names.
        """
        distance = _c(self.other_day).to_physical() - _c(self.day).to_physical()
        return (
            self._windows(left)
            .join(self._blocks(right), on=[self.on, "_block"], how="inner")
            .filter(distance.is_between(self.first, self.last))
            .drop("_block")
        )

    def near(self, left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        """The rows on the right that share a block with any window: all that can have a partner, and few others."""
        keys = [self.on, "_block"]
        return self._blocks(right).join(self._windows(left).select(keys), on=keys, how="semi").drop("_block")

    def _windows(self, left: pl.LazyFrame) -> pl.LazyFrame:
        number, width = _c(self.day).to_physical(), self.last - self.first + 1
        lower, upper = (number + self.first) // width, (number + self.last) // width
        return pl.concat(
            [left.with_columns(_block=lower), left.filter(lower != upper).with_columns(_block=upper)]
        )

    def _blocks(self, right: pl.LazyFrame) -> pl.LazyFrame:
        return right.with_columns(_block=_c(self.other_day).to_physical() // (self.last - self.first + 1))
