"""The mart `clawbacks`: what was taken back, beside what the plan says should be."""

from __future__ import annotations

import polars as pl

from assets.incentives.expected_clawbacks import expect_clawbacks
from assets.incentives.ledger_sums import sum_by_credit
from assets.incentives.pay_books import PayBooks, open_books
from assets.incentives.pay_tables import PayTables
from assets.table import Made, table_asset
from expectations.contracts.pay import CLAWBACKS

_c = pl.col


@table_asset(CLAWBACKS)
def clawbacks(
    deal_incentives: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    ledger: pl.LazyFrame,
    tables: PayTables,
) -> Made:
    """What was taken back, beside what the plan says should be.

    One row per clawback entry of the ledger. Steps: find the credit, its plan and what was paid for it; when the customer
    left (the end of the deal's service, else the booking); by the plan's method (all of it, a share by month, or the period
    recomputed without the deal) what should be taken back.

    Do not assume that every lost customer is here: only what the ledger booked is.
    """
    if not tables.company.has("ledger"):
        return Made(CLAWBACKS.empty())
    rows = list_clawbacks(open_books(tables, deal_incentives), ledger, subscriptions)
    unexpected = rows.filter(_c("expected_amount").is_null()).height
    return Made(rows.lazy(), {"clawbacks": rows.height, "clawbacks_not_recomputed": unexpected})


def list_clawbacks(books: PayBooks, ledger: pl.LazyFrame, subscriptions: pl.LazyFrame) -> pl.DataFrame:
    """Rows of `marts/clawbacks`, sorted."""
    placed = books.place_ledger(ledger).collect().lazy()
    credits_today = books.number_credits().select(
        "credit_id",
        "opportunity_id",
        "rep_id",
        "component",
        "credit_type",
        "credited_at",
        "plan_id",
        "version",
        "plan_currency",
        "quota_amount",
        credited_amount="credited_amount_final",
        pay_amount="added_pay_amount_final",
        deal_period_start="period_start",
        is_whole=_c("n_credits") == 1,
    )
    found = expect_clawbacks(
        placed.filter(_c("entry_type") == "clawback"),
        credits_today,
        sum_by_credit(placed),
        subscriptions,
        books.plans,
        books.segments,
    )
    return (
        found.with_columns(
            booked_amount="plan_amount",
            period_start=pl.coalesce("period_start", "stated_period_start"),
            difference_amount=_c("plan_amount") - _c("expected_amount"),
        )
        .select(_c(name).cast(dtype) for name, dtype in CLAWBACKS.schema.items())
        .sort("entry_id")
    )
