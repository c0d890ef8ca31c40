"""What came of the incentive money, deal by deal: an account of averages, with no claim about what would have been sold anyway.

A deal stands in the tier that held its seller's credit when it closed. One that carried the seller over a threshold is
split over the tiers by the pay each of them gave. Amounts are whole cents of the reporting currency throughout, so sums are
exact.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company

_c = pl.col

KEY: Final = ("plan_id", "tier")
AMOUNTS: Final = (
    "bookings",
    "incentive_paid",
    "revenue_kept",
    "refunds_amount",
    "complaint_cost",
    "clawbacks_amount",
)
"""Money of a deal, each a column of whole cents."""
GAIN: Final = _c("revenue_kept") - _c("refunds_amount") - _c("complaint_cost") + _c("clawbacks_amount")
"""Net value."""

FOLLOWED_DAYS: Final = 365
_PAID: Final = ("primary", "overlay", "manager")


def split_over_tiers(deal_incentives: pl.LazyFrame, plan_tiers: pl.LazyFrame) -> pl.LazyFrame:
    """Give each deal its sellers, plans and tiers, with the share of the deal that belongs to each.

    Args:
        deal_incentives: the mart.
        plan_tiers: core table.

    Returns:
        One row per `opportunity_id`, `rep_id`, `component`, `plan_id`, `tier`: `share` (Float64; the shares of a deal add up
        to 1), over the primary credits of deals all of whose tiers are known. The pay that each tier gave follows the plan's
        own rates: incremental tiers pay their slice, retroactive ones the step and what lies above it.
    """
    primary = deal_incentives.filter(_c("credit_type") == "primary")
    known = _c("tier").is_not_null() & _c("plan_id").is_not_null()
    weight = _c("split_weight").cast(pl.Float64)
    rows = (
        primary.with_columns(
            _known=known.all().over("opportunity_id"), _whole=weight.sort().sum().over("opportunity_id")
        )
        .filter(_c("_known") & (_c("_whole") > 0))
        .with_columns(row_share=weight / _c("_whole"))
    )
    own = ["opportunity_id", "rep_id", "component"]
    crossing = rows.filter(_c("is_pivotal").fill_null(value=False))
    tiers = (
        plan_tiers.filter(_c("product_id").is_null())
        .sort("plan_id", "version", "component", "tier", "recorded_at", nulls_last=False)
        .group_by("plan_id", "version", "component", "tier", maintain_order=True)
        .agg(
            _c("from_attainment").last().cast(pl.Float64),
            _c("rate").last().cast(pl.Float64),
            bonus=_c("lump_bonus").last().cast(pl.Float64).fill_null(0.0),
        )
        .with_columns(
            until=_c("from_attainment").shift(-1).over("plan_id", "version", "component"),
            rate_below=_c("rate").shift(1).over("plan_id", "version", "component"),
        )
    )
    quota = _c("quota_amount").cast(pl.Float64)
    begins = pl.max_horizontal("attainment_before", "from_attainment")
    ends = pl.min_horizontal("attainment_after", pl.coalesce("until", "attainment_after"))
    entered = _c("from_attainment") > _c("attainment_before")
    step = (_c("rate") - _c("rate_below")) * _c("from_attainment") * quota
    pieces = (
        crossing.select(*own, "plan_id", "version", "attainment_before", "attainment_after", "quota_amount", "row_share", "tier_method")
        .join(tiers, on=["plan_id", "version", "component"])
        .filter(ends >= begins)
        .with_columns(
            pay=_c("rate") * (ends - begins) * quota
            + pl.when(entered).then(_c("bonus") + pl.when(_c("tier_method") == "retroactive").then(step).otherwise(0.0)).otherwise(0.0)
        )
        .with_columns(pay=_c("pay").clip(lower_bound=0).round(6))
        .with_columns(_all=_c("pay").sort().sum().over(own))
        .select(*own, "plan_id", "tier", share=_c("row_share") * pl.when(_c("_all") > 0).then(_c("pay") / _c("_all")))
        .filter(_c("share") > 0)
    )  # fmt: skip
    inside = rows.filter(~_c("is_pivotal").fill_null(value=False)).select(
        *own, "plan_id", "tier", share="row_share"
    )
    return pl.concat([inside, pieces])


def account_for_deals(
    *,
    deal_outcomes: pl.LazyFrame,
    deal_incentives: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    complaints: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Money of every deal that has had its year.

    Returns:
        One row per mature deal whose money can be told in the reporting currency: `opportunity_id`, `account_id`, and `AMOUNTS`
        (Int64, whole cents). `revenue_kept` is the part of the booking whose recurring revenue was still there after 12 months
        (nothing where the service never started; without recurring revenue all of a customer not lost). `complaint_cost` is redress.
        Refunds, redress and clawbacks are those within 365 days.
    """
    mature = deal_outcomes.filter(_c("mature_365d")).select(
        "opportunity_id", "account_id", "closed_on", "revenue_kept_12m", "churned_365d", "outcome_null_reason"
    )
    paid = deal_incentives.filter(_c("credit_type").is_in(_PAID))
    pay = pl.coalesce("added_pay_amount_final", "added_pay_amount").cast(pl.Float64)
    rate = _c("rate_to_reporting").cast(pl.Float64)
    cost = paid.with_columns(
        cents=((pay + _c("spiff_amount").cast(pl.Float64).fill_null(0.0)) * rate * 100).round().cast(pl.Int64)
    )
    money = cost.group_by("opportunity_id").agg(
        incentive_paid=pl.when(_c("cents").is_not_null().all()).then(_c("cents").sum()),
        bookings=(_c("deal_amount").cast(pl.Float64) * rate * 100).round().cast(pl.Int64).max(),
        fx=rate.max(),
    )
    kept = pl.coalesce(
        pl.when(_c("outcome_null_reason") == "never_started").then(0.0),
        "revenue_kept_12m",
        1.0 - _c("churned_365d").cast(pl.Float64),
    )
    return (
        mature.join(money, on="opportunity_id")
        .join(_add_events(mature, customer_events, complaints), on="opportunity_id", how="left")
        .with_columns(revenue_kept=(_c("bookings") * kept).round().cast(pl.Int64))
        .filter(
            _c("bookings").is_not_null()
            & _c("incentive_paid").is_not_null()
            & _c("revenue_kept").is_not_null()
            & _c("account_id").is_not_null()
        )
        .select("opportunity_id", "account_id", *_in_reporting(company))
    )


def _in_reporting(company: Company) -> list[pl.Expr]:
    """Refunds and clawbacks of another currency take the rate of the deal's close; redress carries no currency."""
    foreign = (
        pl.when(_c("event_currency") == company.reporting_currency)
        .then(1.0)
        .otherwise(_c("fx"))
        .fill_null(1.0)
    )

    def converted(name: str) -> pl.Expr:
        return (_c(name).fill_null(0) * foreign).round().cast(pl.Int64).alias(name)

    return [
        _c("bookings"),
        _c("incentive_paid"),
        _c("revenue_kept"),
        converted("refunds_amount"),
        _c("complaint_cost").fill_null(0).cast(pl.Int64),
        converted("clawbacks_amount"),
    ]


def _add_events(
    mature: pl.LazyFrame, customer_events: pl.LazyFrame, complaints: pl.LazyFrame
) -> pl.LazyFrame:
    """Cents refunded, paid as redress and clawed back within a year of the close, per deal."""
    redress = complaints.select(event_id="complaint_id", redress="redress")
    day = (_c("date") - _c("closed_on")).dt.total_days()
    events = (
        customer_events.filter(_c("kind").is_in(["refund", "complaint", "clawback"]) & ~_c("contradicted"))
        .join(mature.select("opportunity_id", "closed_on"), on="opportunity_id")
        .filter(day.is_between(0, FOLLOWED_DAYS))
        .join(redress, on="event_id", how="left")
        .with_columns(
            cents=(pl.when(_c("kind") == "complaint").then("redress").otherwise(_c("amount")) * 100)
            .cast(pl.Int64)
            .abs()
        )
    )

    def total(kind: str) -> pl.Expr:
        return _c("cents").filter(_c("kind") == kind).sum()

    return events.group_by("opportunity_id").agg(
        refunds_amount=total("refund"),
        complaint_cost=total("complaint"),
        clawbacks_amount=total("clawback"),
        event_currency=_c("currency").filter(_c("kind") != "complaint").drop_nulls().min(),
    )


def gather_by_seller(parts: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.DataFrame:
    """Money of every plan, tier and seller.

    Args:
        parts: from `split_over_tiers`.
        accounts: from `account_for_deals`.

    Returns:
        One row per deal, seller, plan and tier: `KEY`, `opportunity_id`, `rep_id`, `account_id` and `AMOUNTS`, each deal's cents
        times its share, rounded to whole cents.
    """
    shares = parts.group_by("opportunity_id", "rep_id", *KEY).agg(_c("share").sort().sum())
    return (
        shares.join(accounts, on="opportunity_id")
        .select(
            *KEY,
            "opportunity_id",
            "rep_id",
            "account_id",
            *((_c(name) * _c("share")).round().cast(pl.Int64).alias(name) for name in AMOUNTS),
        )
        .sort(*KEY, "opportunity_id", "rep_id")
        .collect()
    )
