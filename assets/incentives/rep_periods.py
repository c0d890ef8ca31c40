"""The mart `rep_periods`: what each seller sold, earned and was paid in a pay period, and how evenly."""

from __future__ import annotations

import polars as pl

from assets.company import Company
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
    opportunities: pl.LazyFrame,
    credits: pl.LazyFrame,  # noqa: A002 the parameter is the table
    quotas: pl.LazyFrame,
    plans: pl.LazyFrame,
    plan_components: pl.LazyFrame,
    plan_tiers: pl.LazyFrame,
    plan_assignments: pl.LazyFrame,
    component_results: pl.LazyFrame,
    fiscal_calendar: pl.LazyFrame,
    fx_rates: pl.LazyFrame,
    reps: pl.LazyFrame,
    spiffs: pl.LazyFrame,
    activities: pl.LazyFrame,
    ledger: pl.LazyFrame,
    company: Company,
) -> Made:
    """What each seller sold, earned and was paid in a pay period, and how evenly.

    One row per seller, plan and pay period that has begun, with or without a deal. Steps: place every credit in the period it
    counts in today; pay the period without deals (measured results, floors) and add what each deal added; settle draws and
    clawbacks; set the ledger beside it; describe when in the period deals were closed and customers contacted.

    Do not rank people by it. A null is not a zero: `pay_null_reason` says why pay is missing, and a shape needs five deals and
    a period that is over.
    """
    tables = PayTables(
        opportunities=opportunities,
        credits=credits,
        quotas=quotas,
        plans=plans,
        plan_components=plan_components,
        plan_tiers=plan_tiers,
        plan_assignments=plan_assignments,
        component_results=component_results,
        spiffs=spiffs,
        fx_rates=fx_rates,
        fiscal_calendar=fiscal_calendar,
        reps=reps,
        company=company,
    )
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
