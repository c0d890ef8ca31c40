"""Where each credit counts with today's knowledge: plan version, pay period, quota. Nothing is priced here."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.credits import book_credits, newest, stand_at
from assets.incentives.firm import Firm
from assets.incentives.knowledge import Knowledge
from assets.incentives.pay_periods import find_periods
from assets.incentives.pay_tables import PayTables
from assets.incentives.pricing import GRAIN
from assets.incentives.terms import PLACE, find_terms

_LATER_EVENTS: Final = ("invoice", "cash")


def find_periods_today(places: pl.LazyFrame, firm: Firm) -> pl.LazyFrame:
    """`pay_periods.find_periods` with the newest quotas."""
    return find_periods(places, firm, Knowledge.AS_FINAL)


def stand_today(booked: pl.LazyFrame, opportunities: pl.LazyFrame, firm: Firm) -> pl.LazyFrame:
    """Every credit in its newest version, in canonical order where it stands today (see `credits.stand_at`).

    Under a plan that credits at invoice or cash it stands when it was credited.

    Returns:
        Columns of `booked` with `at`, `time_known`, and of the deal, null where it is not won: `closed_at`, `closed_time_known`,
        `deal_amount`, `deal_currency`.
    """
    c = pl.col
    won = newest(opportunities, "opportunity_id").filter("is_won", c("closed_at").is_not_null())
    closes = won.select(
        "opportunity_id", "closed_at", "closed_time_known", deal_amount="amount", deal_currency="currency"
    )
    credit = (
        newest(booked, "credit_id")
        .join(closes, on="opportunity_id", how="left")
        .with_columns(stand_at(c("closed_at").is_not_null()))
        .collect()
        .lazy()
    )
    terms = find_terms(credit, firm.terms, firm.company.timezone, Knowledge.AS_FINAL).lazy()
    is_later = c("credit_event").is_in(_LATER_EVENTS).fill_null(value=False)
    return (
        credit.join(terms.select(*PLACE, "credit_event"), on=PLACE, how="left")
        .with_columns(
            at=pl.when(is_later).then("credited_at").otherwise("at"),
            time_known=is_later | c("time_known"),
        )
        .drop("credit_event")
    )


def place_credits(tables: PayTables, firm: Firm) -> pl.LazyFrame:
    """Pay period and plan of every credit, in its newest version where it stands today.

    Returns:
        One row per `GRAIN`, plan and pay period, in order: `credit_ids` (of the credits that count there), `credited_at`,
        `credit_recorded_at` (first knowledge of the first), `on` (plan-local day), `plan_id`, `version`, `plan_currency`,
        `mid_period_policy`, `period_start`, `period_end`, `quota_amount`, `nth_part` (from 0; credit at invoice or cash may
        count in several periods), `is_spread` (it does).
    """
    c = pl.col
    booked = book_credits(tables)
    first_told = booked.group_by("credit_id").agg(credit_recorded_at=c("recorded_at").min())
    dated = (
        stand_today(booked, tables.opportunities, firm)
        .join(first_told, on="credit_id", how="left")
        .select(*PLACE, *GRAIN[:1], *GRAIN[2:], "credit_id", "credited_at", "credit_recorded_at")
        .collect()
        .lazy()
    )
    terms, zone = firm.terms, firm.company.timezone
    held = find_terms(dated, terms, zone, Knowledge.AS_FINAL).lazy()
    facts = ("on", "plan_id", "version", "plan_currency", "mid_period_policy", "period", "fiscal_start_month")
    placed = find_periods_today(dated.join(held.select(*PLACE, *facts), on=PLACE, how="left"), firm)
    kept = (
        "credited_at", "credit_recorded_at", "on", "version", "plan_currency", "mid_period_policy", "period_end", "quota_amount",
    )  # fmt: skip
    return (
        placed.sort(*GRAIN, "at", "credit_id")
        .group_by(*GRAIN, "plan_id", "period_start", maintain_order=True)
        .agg(*(c(name).first() for name in kept), credit_ids="credit_id")
        .with_columns(nth_part=pl.int_range(pl.len()).over(GRAIN), is_spread=pl.len().over(GRAIN) > 1)
    )
