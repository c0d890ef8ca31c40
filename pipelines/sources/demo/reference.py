"""Tables that hang on the calendar alone: products, SPIFFs, exchange rates, fiscal days, holidays, themes, reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from pipelines.sources.demo.draws import Draws, Ints
from pipelines.sources.demo.values import (
    DAY,
    always,
    day_number,
    days,
    fixed_point,
    moments,
    money,
    quarter_of,
    quarter_starts,
    quarters_of,
)


@dataclass(frozen=True)
class Product:
    """A product; `share` of deals, list price in cents."""

    product_id: str
    name: str
    family: str
    list_price: int
    launched: date
    share: float


PRODUCTS = (
    Product("P01", "Ledger", "core", 1_200_000, date(2010, 1, 1), 0.35),
    Product("P02", "Ledger Plus", "core", 2_600_000, date(2011, 6, 1), 0.25),
    Product("P03", "Insight", "analytics", 1_800_000, date(2012, 3, 1), 0.15),
    Product("P04", "Insight Teams", "analytics", 3_400_000, date(2013, 9, 1), 0.10),
    Product("P05", "Connect", "add-on", 600_000, date(2014, 2, 1), 0.10),
    Product("P06", "Assurance", "service", 900_000, date(2014, 10, 1), 0.05),
)

THEMES = (
    "price", "onboarding", "new ways of buying", "reporting", "speed", "support hours", "contract terms",
    "missing integration", "training", "billing errors", "security", "mobile",
)  # fmt: skip

SPIFF_PRODUCT = 4  # position in PRODUCTS
SPIFF_AMOUNT = 40_000  # cents per deal
SPIFF_PLAN = "AE"


def spiff_runs(day: Ints) -> np.ndarray:
    """Whether the SPIFF of the year runs: from the second quarter's 45th day to its end."""
    start = quarter_starts(quarters_of(day))
    return np.asarray((quarters_of(day) % 4 == 1) & (day - start >= 45))


def theme_id(number: int) -> str:
    """Id of the theme at a position of THEMES."""
    return f"TH{number + 1:02d}"


def reference_tables(draws: Draws, first: date, until: date) -> dict[str, pl.DataFrame]:
    """All reference tables of a span of days, both ends included."""
    start, stop = day_number(first), day_number(until) + 1
    return {
        "products": _products(),
        "spiffs": _spiffs(first, until),
        "fx_rates": _fx_rates(draws, start - 10, stop),
        "fiscal_calendar": _fiscal_calendar(start, stop),
        "holidays": _holidays(first, until),
        "themes": _themes(),
        "board_reports": _board_reports(draws, first, until),
    }


def _products() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "product_id": [p.product_id for p in PRODUCTS],
            "name": [p.name for p in PRODUCTS],
            "family": [p.family for p in PRODUCTS],
            "list_price": money(np.array([p.list_price for p in PRODUCTS])),
            "launched_on": [p.launched for p in PRODUCTS],
        }
    )


def _spiffs(first: date, until: date) -> pl.DataFrame:
    """Each second quarter a price per deal, each fourth quarter a contest for standing."""
    quarter = np.arange(quarter_of(day_number(first)), quarter_of(day_number(until)) + 1)
    opens = quarter_starts(quarter) + np.where(quarter % 4 == 1, 45, 0)
    offered = (quarter % 2 == 1) & (opens <= day_number(until))
    quarter, opens = quarter[offered], opens[offered]
    priced, count = quarter % 4 == 1, quarter.size
    return pl.DataFrame(
        {
            "spiff_id": pl.Series([f"SP{2000 + q // 4}Q{q % 4 + 1}" for q in quarter], dtype=pl.String),
            "valid_from": days(opens),
            "valid_to": days(quarter_starts(quarter + 1)),
            "plan_id": pl.Series([SPIFF_PLAN if p else None for p in priced], dtype=pl.String),
            "team": always(None, count),
            "product_id": pl.Series(
                [PRODUCTS[SPIFF_PRODUCT].product_id if p else None for p in priced], dtype=pl.String
            ),
            "per": always("deal", count),
            "amount": money(np.full(count, SPIFF_AMOUNT), priced),
            "rate": fixed_point(quarter, 18, 8, np.zeros(count, dtype=bool)),
            "currency": always("USD", count),
            "is_contest": pl.Series(~priced, dtype=pl.Boolean),
            "is_social": pl.Series(~priced, dtype=pl.Boolean),
            "recorded_at": moments((opens - 10) * DAY),
        }
    )


def _fx_rates(draws: Draws, start: int, stop: int) -> pl.DataFrame:
    """Slow waves and a weekly wobble, so that a day's rate never depends on where the span begins."""
    day = np.arange(start, stop)
    january = np.array([day_number(date(y, 1, 1)) for y in range(2000, 2101)])
    january = january[(january >= start - 366) & (january < stop)]
    parts = []
    for number, (currency, level) in enumerate((("USD", 1.0), ("EUR", 1.09), ("GBP", 1.27))):
        for kind, when in (("daily", day), ("plan", january)):
            wave = 0.03 * np.sin(2 * np.pi * when / 410 + number) + 0.006 * draws.normal(
                "fx", when // 7 * 3 + number
            )
            rate = np.rint(level * np.exp(wave * (currency != "USD")) * 10_000).astype(np.int64) * 10_000
            parts.append(
                pl.DataFrame(
                    {
                        "currency": [currency] * when.size,
                        "rate_date": days(when),
                        "kind": [kind] * when.size,
                        "rate_to_reporting": fixed_point(rate, 18, 8),
                    }
                )
            )
    return pl.concat(parts)


def _fiscal_calendar(start: int, stop: int) -> pl.DataFrame:
    day = np.arange(start, stop)
    quarter = quarters_of(day)
    first, last = quarter_starts(quarter), quarter_starts(quarter + 1)
    return pl.DataFrame(
        {
            "date": days(day),
            "fiscal_period": quarter % 4 + 1,
            "fiscal_year": 2000 + quarter // 4,
            "day_in_period": day - first + 1,
            "days_in_period": last - first,
        }
    )


_HOLIDAYS = {
    "North America East": ((1, 1), (7, 4), (12, 25)),
    "North America West": ((1, 1), (7, 4), (12, 25)),
    "Europe": ((1, 1), (5, 1), (12, 25), (12, 26)),
    "Latin America": ((1, 1), (5, 1), (9, 7), (12, 25)),
}


def _holidays(first: date, until: date) -> pl.DataFrame:
    rows = [
        (region, date(year, month, day))
        for region, fixed in _HOLIDAYS.items()
        for year in range(first.year, until.year + 1)
        for month, day in fixed
        if first <= date(year, month, day) <= until
    ]
    return pl.DataFrame(rows, schema={"region": pl.String, "date": pl.Date}, orient="row")


def _themes() -> pl.DataFrame:
    ids = [theme_id(i) for i in range(len(THEMES))]
    retired = "TH99"
    return pl.DataFrame(
        {
            "theme_id": [*ids, retired],
            "label": [*THEMES, "price level"],
            "merged_into_id": pl.Series([None] * len(ids) + [ids[0]], dtype=pl.String),
        }
    )


def _board_reports(draws: Draws, first: date, until: date) -> pl.DataFrame:
    """A monthly report, sent twelve days after the month, on four themes."""
    month = np.arange(np.datetime64(first, "M"), np.datetime64(until, "M") + 1)
    start = month.astype("datetime64[D]").astype(np.int64)
    sent = (month + 1).astype("datetime64[D]").astype(np.int64) + 12
    start, sent = start[sent <= day_number(until)], sent[sent <= day_number(until)]
    theme = draws.below("report themes", start[:, None] * 4 + np.arange(4)[None, :], len(THEMES))
    opened = [date(1970, 1, 1) + timedelta(days=int(d)) for d in start]
    return pl.DataFrame(
        {
            "report_id": pl.Series([f"BR{d:%Y%m}" for d in opened], dtype=pl.String),
            "period_start": days(start),
            "sent_at": moments(sent * DAY + 15 * 3600 * 1_000_000),
            "theme_ids": pl.Series(
                [",".join(sorted({theme_id(int(t)) for t in row})) for row in theme], dtype=pl.String
            ),
        }
    )
