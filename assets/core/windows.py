"""Pairs of rows whose days lie close together, found by hashing blocks of days: nothing is sorted, nothing explodes."""

from __future__ import annotations

import polars as pl

_c = pl.col


def pairs_within(
    left: pl.LazyFrame, right: pl.LazyFrame, *, on: str, day: str, other_day: str, first: int, last: int
) -> pl.LazyFrame:
    """All pairs with equal `on` whose days satisfy first <= other_day - day <= last.

    Days are put into blocks as wide as the window, so a window touches at most two of them, and a row meets only rows of
    those blocks: an account with thousands of rows over the years costs no more than its neighbourhoods.

    Args:
        left: rows with `on` and the Date `day`.
        right: rows with `on` and the Date `other_day`; its other columns must not be called like those of `left`.
        on: key column of both.
        day: the day the window is counted from.
        other_day: the day that must lie in it.
        first: first day of the window, counted from `day`.
        last: last day of the window.

    Returns:
        The columns of both, one row per pair, in any order; keys or days that are null meet nothing.
    """
    width = last - first + 1
    number = _c(day).to_physical()
    lower, upper = (number + first) // width, (number + last) // width
    windows = pl.concat(
        [left.with_columns(_block=lower), left.filter(lower != upper).with_columns(_block=upper)]
    )
    blocks = right.with_columns(_block=_c(other_day).to_physical() // width)
    distance = _c(other_day).to_physical() - _c(day).to_physical()
    return windows.join(blocks, on=[on, "_block"]).filter(distance.is_between(first, last)).drop("_block")
