"""The table `sales_rhythm`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.selling_days import close_deals, count_activities, lay_out, observe_months
from assets.evidence.suppression import blank
from assets.evidence.unit_rhythm import BLOCK, describe_units
from assets.methods.exact import as_money
from assets.table import Fact, Made, table_asset
from expectations.contracts.rhythm import SALES_RHYTHM

_ALWAYS_SHOWN = {*BLOCK, "value_order", "phase", "suppressed"}


@table_asset(SALES_RHYTHM)
def sales_rhythm(
    opportunities: pl.LazyFrame,
    accounts: pl.LazyFrame,
    activities: pl.LazyFrame,
    reps: pl.LazyFrame,
    fx_rates: pl.LazyFrame,
    fiscal_calendar: pl.LazyFrame,
    company: Company,
) -> Made:
    """The rhythm of selling: which period it follows, how peaks stand above troughs, and what comes after.

    One row per organisation unit, candidate period (month, quarter, half, year) and phase of it: thirds of a month, months of
    the rest. Steps: sum deals closed, bookings and activities by seller and third of a fiscal month (the firm's own calendar
    where it has twelve periods, else from `fiscal_start_month`); find the period by permuting phases, one p for the four
    candidates; describe every phase with intervals from drawing sellers and cycles anew. Seeds follow from the unit's name.

    Do not read a rhythm as made by the pay plan (customers' budgets end with the same quarters), nor two cycles as proof of
    a season. Units of fewer than 5 sellers or 10 customers in any phase are blank.
    """
    closed = close_deals(opportunities, accounts, fx_rates, company)
    calendar = fiscal_calendar.select("date", "fiscal_period", "fiscal_year").collect()
    months = observe_months(closed, calendar, company)
    facts: dict[str, Fact] = {
        "deals_closed": len(closed),
        "deals_won_without_amount": int((closed["is_won"] & closed["booked"].is_null()).sum()),
        "fiscal_months": len(months),
    }
    if months.is_empty():
        return Made(SALES_RHYTHM.empty(), facts)
    inside = closed["closed_on"].is_between(months["starts_on"][0], months["ends_before"][-1], closed="left")
    facts["deals_in_months_cut_short"] = int((~inside.fill_null(value=False)).sum())
    days = lay_out(closed, count_activities(activities, company), reps, months)
    rows = describe_units(days, has_activities=company.has("activities"))
    kinds = {**SALES_RHYTHM.schema, "bookings": pl.Int64()}
    frame = pl.DataFrame(list(rows), schema=kinds).with_columns(as_money(pl.col("bookings").cast(pl.Int128)))
    hidden = [name for name in SALES_RHYTHM.schema if name not in _ALWAYS_SHOWN]
    return Made(frame.lazy().pipe(blank, hidden).sort(SALES_RHYTHM.key), facts)
