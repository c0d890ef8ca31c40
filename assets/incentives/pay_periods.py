"""Which pay period a credit falls into, and its quota.

The seller's quota row whose [period_start, period_end) holds the plan-local date decides, whatever `plans.period` says;
`plans.period` and `fiscal_start_month` only make periods where no quota exists. No credit is summed here.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.knowledge import Knowledge, holds, span_versions

_MONTHS: Final = {"month": 1, "quarter": 3, "half": 6, "year": 12}


def list_quotas(quotas: pl.LazyFrame) -> pl.DataFrame:
    """Quota versions, one row per calendar month they touch, so that a date finds them by an equality join."""
    first = pl.col("period_start").dt.month_start()
    last = (pl.col("period_end") - pl.duration(days=1)).dt.month_start()
    return (
        span_versions(quotas, ["rep_id", "component", "period_start"])
        .filter(pl.col("period_start") < pl.col("period_end"))
        .select(
            "rep_id",
            "component",
            "period_start",
            "period_end",
            pl.col("amount").alias("quota_amount"),
            "known_from",
            "known_until",
            pl.col("knowledge_time_assumed").fill_null(value=False).alias("quota_assumed"),
            pl.date_ranges(first, last, interval="1mo").alias("month"),
        )
        .explode("month", empty_as_null=False)
        .collect()
    )


def find_periods(
    places: pl.LazyFrame, quotas: pl.DataFrame, fiscal_start_month: int, knowledge: Knowledge
) -> pl.LazyFrame:
    """The pay period of every place.

    Args:
        places: one row per thing to place: `rep_id`, `component`, `on` (plan-local date), `at` (knowledge time), `period` and
            `fiscal_start_month` of the plan; further columns are kept.
        quotas: from `list_quotas`.
        fiscal_start_month: the company's, where the plan states none.
        knowledge: which quota versions count.

    Returns:
        The places in any order with `period_start`, `period_end` (exclusive), `quota_amount`, `quota_known_at`,
        `quota_assumed`. Without a quota row the period is made from the plan's; two quota rows on one day give none.
    """
    key = ["rep_id", "component", "on", "at"]
    matches = (
        places.select(key)
        .unique()
        .with_columns(month=pl.col("on").dt.month_start())
        .join(quotas.lazy(), on=["rep_id", "component", "month"])
        .filter(holds(knowledge), pl.col("on") >= pl.col("period_start"), pl.col("on") < pl.col("period_end"))
        .group_by(key)
        .agg(
            pl.col("period_start", "period_end", "quota_amount", "quota_assumed").first(),
            quota_known_at=pl.col("known_from").first(),
            n=pl.len(),
        )
        .filter(pl.col("n") == 1)
        .drop("n")
    )
    months = pl.col("period").replace_strict(_MONTHS, default=None, return_dtype=pl.Int32)
    first_month = pl.col("fiscal_start_month").fill_null(fiscal_start_month).cast(pl.Int32) - 1
    index = pl.col("on").dt.year() * 12 + pl.col("on").dt.month().cast(pl.Int32) - 1
    start = index - (index - first_month) % months
    return places.join(matches, on=key, how="left").with_columns(
        pl.coalesce("period_start", _month_start(start)).alias("period_start"),
        pl.coalesce("period_end", _month_start(start + months)).alias("period_end"),
        pl.col("quota_assumed").fill_null(value=False),
    )


def _month_start(index: pl.Expr) -> pl.Expr:
    return pl.date(index // 12, index % 12 + 1, 1)
