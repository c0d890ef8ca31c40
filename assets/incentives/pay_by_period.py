"""Pay of every seller and pay period: quota and credit, what was earned and what it hangs on, and all that stands beside it."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.guaranteed_pay import pay_without_deals
from assets.incentives.paid_by_period import add_draws, add_variable_share, sum_ledger
from assets.incentives.pay_books import PayBooks, sum_if_all
from assets.incentives.period_rhythm import cut_into_parts, shape_bookings, shape_effort
from assets.incentives.plans_today import DEAL_MEASURES, PLAN
from assets.incentives.seller_periods import SPAN, prorate
from expectations.contracts.pay import EARNED_GROUPS, REP_PERIODS

_c = pl.col
_MONEY: Final = pl.Decimal(18, 2)
_ZERO: Final = pl.lit(0, dtype=_MONEY)
NEAR_SHARE: Final = 0.05
"""How near a threshold counts as near: share of quota."""


def sum_periods(
    books: PayBooks,
    *,
    activities: pl.LazyFrame,
    ledger: pl.LazyFrame,
    clawbacks: pl.LazyFrame,
) -> pl.DataFrame:
    """Rows of `marts/rep_periods`, sorted by key.

    Args:
        books: from `open_books`.
        activities: core/activities.
        ledger: core/ledger.
        clawbacks: the mart.
    """
    company = books.tables.company
    spans = books.spans
    parts = cut_into_parts(spans, books.tables.fiscal_calendar)
    bookings = books.credits.lazy().filter(
        _c("credit_type") == "primary", _c("credited_amount_final") > 0, _c("period_start").is_not_null()
    )
    frames = [
        sum_attainment(books),
        sum_earned(books),
        shape_bookings(
            spans,
            parts,
            bookings.select("rep_id", "plan_id", "plan_currency", day="on", amount="credited_amount_final"),
            company,
        ),
        shape_effort(parts, activities, company),
        count_near_thresholds(books),
        sum_ledger(books, ledger, clawbacks),
    ]
    rows = spans
    for frame in frames:
        rows = rows.join(frame, on=SPAN, how="left", nulls_equal=True)
    rows = rows.with_columns(
        is_complete=_c("period_end") <= pl.lit(company.as_of) + pl.duration(days=1),
        closes_just_below=_c("closes_just_below").fill_null(0),
        closes_just_above=_c("closes_just_above").fill_null(0),
    )
    rows = add_draws(rows, books)
    rows = add_variable_share(rows, books)
    expected = pl.coalesce("expected_clawback_amount", _ZERO)
    draws = _c("draw_advanced_amount").fill_null(0) - _c("draw_recovered_amount").fill_null(0)
    return (
        rows.with_columns(recomputed_amount=_c("earned_amount") + _c("spiff_amount") + draws + expected)
        .select(_c(name).cast(dtype) for name, dtype in REP_PERIODS.schema.items())
        .sort(SPAN)
    )


def sum_attainment(books: PayBooks) -> pl.DataFrame:
    """Quota, credit and attainment of each period's leading component, per `SPAN`.

    A quota is prorated by days on the plan where the plan says so. A leading component that no deal carries has what was
    achieved instead of credit.
    """
    on = ["rep_id", "component", "period_start"]
    held = books.segments.group_by(SPAN, maintain_order=True).agg(
        _c("days").sum(), _c("period_days").last(), _c("is_prorated").last()
    )
    measures = books.plans.components.select(*PLAN, "component", "measure")
    credit = (
        books.credits.lazy()
        .filter(_c("period_start").is_not_null())
        .group_by(*SPAN, "component")
        .agg(credited_amount=sum_if_all("credited_amount_final"))
        .collect()
    )
    is_carried = _c("measure").is_in(DEAL_MEASURES).fill_null(value=True) | _c("has_credit").fill_null(
        value=False
    )
    reached = (
        pl.when(is_carried)
        .then(_c("credited_amount").cast(pl.Float64))
        .otherwise(_c("achieved").cast(pl.Float64))
    )
    quota = pl.when(_c("is_prorated")).then(prorate("quota_amount")).otherwise("quota_amount")
    return (
        books.spans.select(*SPAN, "version", "component")
        .join(books.quotas.drop("period_end"), on=on, how="left")
        .join(held, on=SPAN, how="left")
        .join(measures, on=[*PLAN, "component"], how="left")
        .join(
            credit.with_columns(has_credit=pl.lit(value=True)),
            on=[*SPAN, "component"],
            how="left",
            nulls_equal=True,
        )
        .join(books.results, on=on, how="left")
        .with_columns(quota_amount=quota)
        .with_columns(
            credited_amount=pl.when(is_carried).then(
                pl.when(_c("has_credit").is_null()).then(_ZERO).otherwise("credited_amount")
            )
        )
        .select(
            *SPAN,
            "quota_amount",
            "credited_amount",
            attainment=pl.when(_c("quota_amount") > 0)
            .then(reached / _c("quota_amount").cast(pl.Float64))
            .round(8),
        )
    )


def sum_earned(books: PayBooks) -> pl.DataFrame:
    """What each period pays: pay without deals, and what the deals add to it, by what it hangs on.

    Returns:
        One row per `SPAN`: `earned_amount`, `earned_<group>_amount`, `pay_without_deals_amount`, `pay_as_known_amount`,
        `spiff_amount`, `unpriced_deals`, `pay_null_reason`.
    """
    in_period = books.credits.lazy().filter(_c("period_start").is_not_null())
    credited = in_period.select(*SPAN, "component").unique().collect()
    base, base_by_measure = pay_without_deals(
        books.segments, books.plans, books.quotas, books.results, credited
    )
    measures = books.plans.components.select(*PLAN, "component", "measure")
    deals = in_period.join(measures.lazy(), on=[*PLAN, "component"], how="left").collect()
    is_unpriced = _c("added_pay_amount_final").is_null()
    totals = deals.group_by(SPAN).agg(
        deal_pay=sum_if_all("added_pay_amount_final"),
        known_pay=sum_if_all("added_pay_amount"),
        spiff_amount=sum_if_all("spiff_amount"),
        unpriced_deals=is_unpriced.sum().cast(pl.Int64),
        has_no_rate=(is_unpriced & (_c("null_reason") == "no_fx_rate")).any(),
    )
    hung = (
        pl.concat(
            [
                deals.select(*SPAN, "measure", amount="added_pay_amount_final"),
                base_by_measure.select(*SPAN, "measure", _c("amount").cast(_MONEY)),
            ]
        )
        .filter(_c("measure").is_not_null())
        .group_by(SPAN)
        .agg(
            _c("amount").filter(_c("measure") == group).sum().cast(_MONEY).alias(f"earned_{group}_amount")
            for group in EARNED_GROUPS
        )
    )
    groups = [f"earned_{group}_amount" for group in EARNED_GROUPS]
    reason = pl.coalesce(
        pl.when(_c("plan_id").is_null()).then(pl.lit("no_plan")),
        pl.when("has_no_rate").then(pl.lit("no_fx_rate")),
        pl.when(_c("unpriced_deals") > 0).then(pl.lit("unpriced_deal")),
        "base_pay_reason",
    )
    return (
        books.spans.select(SPAN)
        .join(totals, on=SPAN, how="left", nulls_equal=True)
        .join(base, on=SPAN, how="left")
        .join(hung, on=SPAN, how="left")
        .with_columns(
            pl.col("deal_pay", "known_pay", "spiff_amount").fill_null(
                pl.when(_c("unpriced_deals").is_null()).then(_ZERO)
            ),
            *(_c(name).fill_null(0) for name in groups),
            unpriced_deals=_c("unpriced_deals").fill_null(0),
            # a credit may be placed on a plan that no assignment names any more
            base_pay_amount=_c("base_pay_amount").fill_null(pl.when(_c("base_pay_reason").is_null()).then(_ZERO)),
            pay_null_reason=reason,
        )
        .with_columns(earned_amount=pl.when(_c("pay_null_reason").is_null()).then(_c("deal_pay") + _c("base_pay_amount")))
        .select(
            *SPAN,
            "earned_amount",
            *(pl.when(_c("earned_amount").is_not_null()).then(name).alias(name) for name in groups),
            "spiff_amount",
            "unpriced_deals",
            "pay_null_reason",
            pay_without_deals_amount="base_pay_amount",
            pay_as_known_amount=pl.when(_c("earned_amount").is_not_null()).then(_c("known_pay") + _c("base_pay_amount")),
        )
    )  # fmt: skip


def count_near_thresholds(books: PayBooks) -> pl.DataFrame:
    """Closes that left the seller just below, or just above, a tier edge or gate, per `SPAN`."""
    general = books.plans.tiers.filter(_c("product_id").is_null(), _c("from_attainment") > 0)
    gates = books.plans.components.filter(_c("gate_attainment") > 0)
    threshold = pl.concat(
        [
            general.select(*PLAN, "component", threshold="from_attainment"),
            gates.select(*PLAN, "component", threshold="gate_attainment"),
        ]
    ).unique()
    days = books.segments.select(*SPAN, "version", "days", "period_days").unique([*SPAN, "version"])
    quota = (
        pl.when(_c("mid_period_policy") == "segment_prorated")
        .then(prorate("quota_amount"))
        .otherwise("quota_amount")
    )
    share = _c("credited_amount_final").cast(pl.Float64) / _c("quota").cast(pl.Float64)
    distance = (_c("after") - _c("threshold").cast(pl.Float64)).round(8)
    return (
        books.credits.lazy()
        .filter(_c("credit_type") == "primary", _c("credited_amount_final") > 0)
        .join(days.lazy(), on=[*SPAN, "version"], how="left")
        .with_columns(quota=quota)
        .filter(_c("quota") > 0)
        .select(*SPAN, "version", "component", "opportunity_id", after=_c("attainment_before_final") + share)
        .join(threshold.lazy(), on=[*PLAN, "component"])
        .group_by(SPAN)
        .agg(
            closes_just_below=_c("opportunity_id").filter((distance < 0) & (distance >= -NEAR_SHARE)).n_unique().cast(pl.Int64),
            closes_just_above=_c("opportunity_id").filter((distance >= 0) & (distance <= NEAR_SHARE)).n_unique().cast(pl.Int64),
        )
        .collect()
    )  # fmt: skip
