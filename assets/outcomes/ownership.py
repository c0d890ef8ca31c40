"""How strongly the person who looks after an account is paid for selling in a month."""

from __future__ import annotations

from typing import Final

import polars as pl

_c = pl.col

_UNIT: Final = 10**8


def owner_intensity(deal_outcomes: pl.LazyFrame) -> pl.LazyFrame:
    """Mean deal EMCR of each seller's own deals by calendar month of the close, from exact sums of eight decimals.

    Returns:
        `owner_rep_id`, `month` (YYYY-MM), `owner_emcr`: months with an EMCR only, in no order.
    """
    return (
        deal_outcomes.filter(_c("emcr").is_not_null(), _c("cohort_month").is_not_null())
        .group_by(owner_rep_id="rep_id", month="cohort_month")
        .agg((_c("emcr") * _UNIT).round().cast(pl.Int64).sum().alias("_sum"), pl.len().alias("_deals"))
        .select("owner_rep_id", "month", owner_emcr=(_c("_sum") / _c("_deals") / _UNIT).round(8))
    )


def add_owner_intensity(
    rows: pl.LazyFrame, deal_outcomes: pl.LazyFrame, moment: str, timezone: str, *, months_before: int = 0
) -> pl.LazyFrame:
    """Add `owner_emcr`: how strongly `owner_rep_id` was paid for selling in the calendar month of a moment, or before it.

    Args:
        rows: `owner_rep_id` and `moment` (Datetime, UTC).
        deal_outcomes: the mart.
        moment: column of `rows`.
        timezone: whose months.
        months_before: how many months earlier; the month of the moment itself holds deals that were closed after it.

    Returns:
        The rows in any order; null where the owner closed no deal with an EMCR in that month.
    """
    first = _c(moment).dt.convert_time_zone(timezone).dt.date().dt.month_start()
    month = first.dt.offset_by(f"-{months_before}mo").dt.strftime("%Y-%m")
    return (
        rows.with_columns(_month=month)
        .join(
            owner_intensity(deal_outcomes).rename({"month": "_month"}),
            on=["owner_rep_id", "_month"],
            how="left",
        )
        .drop("_month")
    )
