"""What a check on rows taken together is, and the one such check that several subjects share: validity that overlaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

_OPEN_END = date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """How a `GroupRule` is found broken.

    `broken` filters: typed rows (the newest version of each key) and the rule's `by` in, the rows to reject out, any order.
    `needs_every_row`: a group that lost a row to another reason is broken too, for what is left of it would be taken
    for the whole (a ladder without one of its tiers still gives prices, wrong ones).
    """

    broken: Callable[[pl.LazyFrame, tuple[str, ...]], pl.LazyFrame]
    needs_every_row: bool = False


def overlapping(start: str, end: str) -> GroupCheck:
    """Groups in which two half-open periods [start, end) share a day; a null end is open."""

    def broken(rows: pl.LazyFrame, by: tuple[str, ...]) -> pl.LazyFrame:
        return rows.filter(shares_a_day(start, end, by))

    return GroupCheck(broken)


def shares_a_day(start: str, end: str, by: tuple[str, ...]) -> pl.Expr:
    """Whether any two periods of the row's group share a day: one starts before all that started earlier have ended."""
    stop = pl.col(end).fill_null(_OPEN_END)
    clash = pl.col(start) < stop.cum_max().shift()
    return clash.any().over(by, order_by=[start, end])
