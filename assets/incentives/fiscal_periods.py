"""Pay periods of a fiscal calendar: 4-4-5 quarters, shifted years. They hold where no quota states a period."""

from __future__ import annotations

from typing import Final

import polars as pl

PERIODS_IN: Final = {"month": 1, "quarter": 3, "half": 6, "year": 12}
"""Fiscal periods in each length of pay period; a year takes every period it has, also a thirteenth."""


def list_fiscal_periods(fiscal_calendar: pl.LazyFrame) -> pl.DataFrame:
    """The pay period of every day that the calendar covers, for every length.

    A pay period of which the calendar misses a fiscal period is left out: its bounds are not known.

    Returns:
        `period` (month, quarter, half, year), `on`, `fiscal_start`, `fiscal_end` (exclusive).
    """
    c = pl.col
    day = pl.duration(days=1)
    started = c("date") - day * (c("day_in_period") - 1)
    days = (
        fiscal_calendar.drop_nulls(["fiscal_year", "fiscal_period"])
        .with_columns(
            number=c("fiscal_period").cast(pl.Int64, strict=False),
            # days of a calendar without day numbers bound their period themselves
            starts=pl.coalesce(started, c("date").min().over("fiscal_year", "fiscal_period")),
        )
        .with_columns(
            ends=pl.coalesce(
                c("starts") + day * c("days_in_period"),
                c("date").max().over("fiscal_year", "fiscal_period") + day,
            )
        )
        .drop_nulls("number")
    )
    lengths = []
    for period, size in PERIODS_IN.items():
        group = pl.lit(0, dtype=pl.Int64) if period == "year" else (c("number") - 1) // size
        by = ["fiscal_year", group.alias("group")]
        spans = days.group_by(by).agg(
            fiscal_start=c("starts").min(), fiscal_end=c("ends").max(), n=c("number").n_unique()
        ).filter(c("n") >= size)  # fmt: skip
        lengths.append(
            days.with_columns(group.alias("group"))
            .join(spans, on=["fiscal_year", "group"])
            .select("fiscal_start", "fiscal_end", period=pl.lit(period), on="date")
        )
    return pl.concat(lengths).unique(["period", "on"], keep="none").collect()
