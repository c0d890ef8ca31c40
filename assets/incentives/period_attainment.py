"""How much of its quota every seller's pay period ended with, with today's knowledge."""

from __future__ import annotations

import polars as pl

from assets.incentives.firm import list_quotas
from assets.incentives.knowledge import Knowledge, holds
from assets.methods.exact import UNIT, whole_cents

_c = pl.col


def attain_periods(deal_incentives: pl.LazyFrame, quotas: pl.LazyFrame) -> pl.DataFrame:
    """Final attainment of every seller, component and pay period with a quota and a credit.

    Args:
        deal_incentives: the mart.
        quotas: `core/quotas`, all versions; the newest of each period counts.

    Returns:
        `rep_id`, `component`, `period_start`, `period_end`, `plan_id`, `version` (of the period's last deal),
        `quota_amount`, `credited_amount` (plan currency) and `attained` (Int64 units of 1e-8, rounded down: whoever has
        reached an edge is never below it). Credit that counts in another period than its deal's close (`period_shifted`)
        stands with its deal. Sorted.
    """
    period = ["rep_id", "component", "period_start"]
    newest = (
        list_quotas(quotas)
        .filter(holds(Knowledge.AS_FINAL), _c("quota_amount") > 0)
        .select(*period, "period_end", "quota_amount")
        .unique()
        # a period with two quotas has no attainment
        .filter(pl.struct(period).is_unique())
    )
    return (
        deal_incentives.filter(_c("plan_id").is_not_null(), _c("credited_amount_final").is_not_null())
        .sort(*period, "closed_at", "opportunity_id", "credit_type")
        .group_by(period, maintain_order=True)
        .agg(_c("plan_id", "version").last(), credited_amount=_c("credited_amount_final").sum().cast(pl.Decimal(18, 2)))
        .join(newest.lazy(), on=period)
        .with_columns(
            attained=(
                whole_cents(_c("credited_amount")) * UNIT // whole_cents(_c("quota_amount"))
            ).cast(pl.Int64)
        )
        .select(*period, "period_end", "plan_id", "version", "quota_amount", "credited_amount", "attained")
        .sort(period)
        .collect()
    )  # fmt: skip
