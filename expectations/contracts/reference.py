"""Reference tables: exchange rates, calendars."""

from __future__ import annotations

from expectations.columns import VOCABULARY
from expectations.model import Layer, Table, pick

FX_RATES = Table(
    Layer.CORE,
    "fx_rates",
    title="Exchange rates into the reporting currency.",
    grain="one row per currency, day and kind",
    key=("currency", "rate_date", "kind"),
    columns=(
        *pick(VOCABULARY, "currency!! rate_date!!"),
        *pick(VOCABULARY, "kind!!", values=("daily", "plan"), closed=True),
        *pick(VOCABULARY, "rate_to_reporting!!"),
    ),
    switches_off="money in other currencies than the plan's",
)

FISCAL_CALENDAR = Table(
    Layer.CORE,
    "fiscal_calendar",
    title="The firm's fiscal calendar.",
    grain="one row per day",
    key=("date",),
    columns=pick(VOCABULARY, "date!! fiscal_period! fiscal_year! day_in_period days_in_period"),
    switches_off="4-4-5 and other fiscal calendars: months from `fiscal_start_month` stand in",
)

HOLIDAYS = Table(
    Layer.CORE,
    "holidays",
    title="Public holidays.",
    grain="one row per region and day",
    key=("region", "date"),
    columns=pick(VOCABULARY, "region!! date!!"),
    switches_off="holidays in working-day counts: only weekends are left out",
)

TABLES = (FX_RATES, FISCAL_CALENDAR, HOLIDAYS)
