"""Which pay period a credit falls into, and its quota.

The seller's quota row whose [period_start, period_end) holds the plan-local date decides, whatever `plans.period` says;
`plans.period` and the fiscal calendar (without one: `fiscal_start_month`) only make periods where no quota exists. No credit
is summed here.
"""

from __future__ import annotations

import polars as pl

from assets.incentives.firm import Firm
from assets.incentives.fiscal_periods import PERIODS_IN
from assets.incentives.knowledge import Knowledge, holds


def find_periods(places: pl.LazyFrame, firm: Firm, knowledge: Knowledge) -> pl.LazyFrame:
    """The pay period of every place.

    Args:
        places: one row per thing to place: `rep_id`, `component`, `on` (plan-local date), `at` (knowledge time), `period` and
            `fiscal_start_month` of the plan; further columns are kept.
        firm: its quotas and fiscal calendar; its fiscal start month where the plan states none.
        knowledge: which quota versions count.

    Returns:
        The places in any order with `period_start`, `period_end` (exclusive), `quota_amount`, `quota_known_at`,
        `quota_assumed`. Without a quota row the period is made from the plan's; two quota rows on one day give none.
    """
    numbered = places.collect().with_row_index("place").lazy()
    matches = (
        numbered.select("place", "rep_id", "component", "on", "at", month=pl.col("on").dt.month_start())
        .join(firm.quotas.lazy(), on=["rep_id", "component", "month"])
        .filter(holds(knowledge), pl.col("on") >= pl.col("period_start"), pl.col("on") < pl.col("period_end"))
        .select(
            "place",
            "period_start",
            "period_end",
            "quota_amount",
            "quota_assumed",
            quota_known_at="known_from",
        )
        .filter(pl.col("place").is_unique())
    )
    months = pl.col("period").replace_strict(PERIODS_IN, default=None, return_dtype=pl.Int32)
    first_month = pl.col("fiscal_start_month").fill_null(firm.company.fiscal_start_month).cast(pl.Int32) - 1
    index = pl.col("on").dt.year() * 12 + pl.col("on").dt.month().cast(pl.Int32) - 1
    start = index - (index - first_month) % months
    return (
        numbered.join(matches, on="place", how="left")
        .join(firm.fiscal_periods.lazy(), on=["period", "on"], how="left")
        .with_columns(
            pl.coalesce("period_start", "fiscal_start", _month_start(start)).alias("period_start"),
            pl.coalesce("period_end", "fiscal_end", _month_start(start + months)).alias("period_end"),
            pl.col("quota_assumed").fill_null(value=False),
        )
        .drop("fiscal_start", "fiscal_end", "place")
    )


def _month_start(index: pl.Expr) -> pl.Expr:
    return pl.date(index // 12, index % 12 + 1, 1)
