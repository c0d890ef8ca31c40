"""The mart `rep_periods`: what each seller sold, earned and was paid in a pay period, and how evenly."""

from __future__ import annotations

import polars as pl

from assets.incentives.pay_books import open_books
from assets.incentives.pay_by_period import sum_periods
from assets.incentives.pay_tables import PayTables
from assets.table import Made, table_asset
from expectations.contracts.pay import REP_PERIODS

_c = pl.col


@table_asset(REP_PERIODS)
def rep_periods(
    deal_incentives: pl.LazyFrame,
    clawbacks: pl.LazyFrame,
    activities: pl.LazyFrame,
    ledger: pl.LazyFrame,
    tables: PayTables,
) -> Made:
    """What each seller sold, earned and was paid in a pay period, and how evenly.

    One row per seller, plan and pay period that has begun, with or without a deal. Steps: place every credit in the period it
    counts in today; pay the period without deals (measured results, floors) and add what each deal added; settle draws and
    clawbacks; set the ledger beside it; describe when in the period deals were closed and customers contacted.

    Do not rank people by it. A null is not a zero: `pay_null_reason` says why pay is missing, and a shape needs five deals and
    a period that is over.
    """
    books = open_books(tables, deal_incentives)
    rows = sum_periods(
        books,
        activities=activities,
        ledger=ledger,
        clawbacks=clawbacks,
    )
    return Made(
        rows.lazy(),
        {
            "seller_periods": rows.height,
            "seller_periods_without_pay": rows.filter(_c("earned_amount").is_null()).height,
        },
    )
