"""Fiscal months and what they make up: quarters, halves, years, in a 4-4-5 calendar or from the first fiscal month on.

A fiscal month is the firm's own: a calendar month, or a period of its fiscal calendar where that has twelve to the year.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

_c = pl.col

MONTHS_IN: Final = {"month": 1, "quarter": 3, "half": 6, "year": 12}
"""Candidate periods of a rhythm, in fiscal months."""

MONTH_SCHEMA: Final = {
    "month": pl.Int64(),
    "fiscal_year": pl.Int64(),
    "month_of_year": pl.Int64(),
    "starts_on": pl.Date(),
    "ends_before": pl.Date(),
}


def list_fiscal_months(first: date, last: date, start_month: int, calendar: pl.DataFrame) -> pl.DataFrame:
    """Fiscal months that touch [first, last], in order.

    Args:
        first: first day of interest.
        last: last day of interest.
        start_month: month the fiscal year starts in, 1 to 12.
        calendar: `date`, `fiscal_period` and `fiscal_year` of the firm's own calendar; no rows: there is none.

    Returns:
        `MONTH_SCHEMA`: `month` (running number without gaps, a multiple of 12 where a fiscal year starts), `fiscal_year`,
        `month_of_year` 1 to 12, `starts_on` and `ends_before` (half-open). The firm's calendar decides where it has twelve
        periods a year and lists every day of [first, last] (see `is_usable`); else months from `start_month` stand in, and
        the fiscal year carries the number of the calendar year it ends in.
    """
    if is_usable(calendar, first, last):
        named = (
            calendar.lazy()
            .filter(_c("fiscal_year").is_not_null(), _c("fiscal_period").is_not_null())
            .group_by("fiscal_year", month_of_year=_c("fiscal_period"))
            .agg(starts_on=_c("date").min(), ends_before=_c("date").max() + pl.duration(days=1))
        )
    else:
        starts = pl.select(
            starts_on=pl.date_range(pl.lit(first).dt.month_start(), last, interval="1mo", eager=False)
        ).lazy()
        month, year = _c("starts_on").dt.month().cast(pl.Int64), _c("starts_on").dt.year().cast(pl.Int64)
        ends_in = pl.when(month >= start_month).then(year).otherwise(year - 1) + (1 if start_month > 1 else 0)
        named = starts.select(
            fiscal_year=ends_in,
            month_of_year=(month - start_month) % 12 + 1,
            starts_on="starts_on",
            ends_before=_c("starts_on").dt.offset_by("1mo"),
        )
    return (
        named.filter(_c("starts_on") <= last, _c("ends_before") > first)
        .with_columns(month=_c("fiscal_year") * 12 + _c("month_of_year") - 1)
        .select(_c(name).cast(dtype) for name, dtype in MONTH_SCHEMA.items())
        .sort("month")
        .collect()
    )


def is_usable(calendar: pl.DataFrame, first: date, last: date) -> bool:
    """Whether the firm's calendar names a fiscal month, one of twelve, on every day of [first, last]."""
    named = calendar.filter(
        _c("fiscal_year").is_not_null(), _c("fiscal_period").is_between(1, 12), _c("date").is_between(first, last)
    )  # fmt: skip
    twelve = calendar["fiscal_period"].max() == 12
    return twelve and named["date"].n_unique() == (last - first).days + 1


def place_days(months: pl.DataFrame) -> pl.DataFrame:
    """Every day of the months: `day`, `month`, `third` (0 to 2), `from_start` and `to_end` (days, 0 on the first and last).

    Thirds differ by at most a day: day k of n, counted from 0, lies in third floor(3 k / n).
    """
    length = (_c("ends_before") - _c("starts_on")).dt.total_days()
    return (
        months.select(
            "month",
            "starts_on",
            length=length,
            day=pl.date_ranges("starts_on", "ends_before", interval="1d", closed="left"),
        )
        .explode("day", empty_as_null=False)
        .with_columns(from_start=(_c("day") - _c("starts_on")).dt.total_days())
        .select(
            "day",
            "month",
            third=_c("from_start") * 3 // _c("length"),
            from_start="from_start",
            to_end=_c("length") - 1 - _c("from_start"),
        )
    )
