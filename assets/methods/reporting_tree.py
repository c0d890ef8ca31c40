"""Degrees of separation: how many managers stand between a person and the nearest board member, day by day.

The tree is walked from the board down, one degree at a time, on validity intervals rather than days: the people one
degree further away are those whose line to a manager overlaps an interval in which that manager's distance is known. What the
walk never reaches has no path: a cycle, a manager without a line, a gap. It ends because no person is reached twice on a day.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

FOREVER: Final = date(9999, 12, 31)
"""End of a line that is open."""

_c = pl.col
_PLACED: Final = ("rep_id", "starts_on", "ends_before", "distance", "is_board_assumed")


def measure_distances(lines: pl.DataFrame) -> pl.DataFrame:
    """Distance of every person to the nearest board member above, as intervals.

    Args:
        lines: `rep_id`, `manager_id` (null: a root), `valid_from`, `valid_to` (Date, exclusive; null: open), `is_board` (null: no).
            A person reports to one manager at a time: a line ends when the next one begins, whatever it says itself.

    Returns:
        `rep_id`, `starts_on`, `ends_before` (Dates, half-open, disjoint per person), `distance` (Int64: 0 on the board, else one more
        than the manager's), `is_board_assumed` (the path ends at a root that nobody marked as board: it counts as one), sorted.
        Days without a path to the board are in no interval.
    """
    held = (
        lines.sort("rep_id", "valid_from")
        .with_columns(
            starts_on="valid_from",
            ends_before=pl.min_horizontal(
                _c("valid_to").fill_null(FOREVER),
                _c("valid_from").shift(-1).over("rep_id").fill_null(FOREVER),
            ),
            _on_board=_c("is_board").fill_null(value=False),
        )
        .filter(_c("starts_on") < _c("ends_before"))
    )
    is_top = _c("_on_board") | _c("manager_id").is_null()
    found = [
        held.filter(is_top).select(
            "rep_id",
            "starts_on",
            "ends_before",
            distance=pl.lit(0, pl.Int64),
            is_board_assumed=~_c("_on_board"),
        )
    ]
    below = held.filter(~is_top).select("rep_id", "manager_id", "starts_on", "ends_before")
    while found[-1].height:
        above = found[-1].select(
            _c("rep_id").alias("manager_id"),
            "distance",
            "is_board_assumed",
            _from="starts_on",
            _to="ends_before",
        )
        found.append(
            below.join(above, on="manager_id", how="inner")
            .with_columns(
                starts_on=pl.max_horizontal("starts_on", "_from"),
                ends_before=pl.min_horizontal("ends_before", "_to"),
                distance=_c("distance") + 1,
            )
            .filter(_c("starts_on") < _c("ends_before"))
            .select(_PLACED)
        )
    return pl.concat(found).sort("rep_id", "starts_on")


def find_distance(rows: pl.LazyFrame, distances: pl.LazyFrame, rep: str, day: str) -> pl.LazyFrame:
    """Add `distance` and `is_board_assumed` of a person on a day; null where there is no path.

    Args:
        rows: `rep` and `day` (Date); must not have the columns added.
        distances: from `measure_distances`.
        rep: column with the person.
        day: column with the day.

    Returns:
        The rows in any order.
    """
    asked = rows.select(rep, day).drop_nulls().unique()
    answered = (
        asked.join(distances, left_on=rep, right_on="rep_id", how="inner")
        .filter((_c("starts_on") <= _c(day)) & (_c(day) < _c("ends_before")))
        .select(rep, day, "distance", "is_board_assumed")
    )
    return rows.join(answered, on=[rep, day], how="left")
