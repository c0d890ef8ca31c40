"""The frame of a random company: what companies of one run share, and the dice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

from pay_company import Books, Row
from random_plans import Plan, Structure

DAY = timedelta(days=1)
ONCE_PER_FIRM = ("fx_rates", "fiscal_calendar")
Span = tuple[date, date]


@dataclass(frozen=True)
class Setting:
    """What all companies of one run share."""

    zone: str = "America/New_York"
    fiscal_start_month: int = 1
    weeks: tuple[int, ...] = ()  # of a fiscal quarter's months
    credited: bool = True

    def books(self) -> Books:
        """Empty but for what a firm has once."""
        books = Books(zone=self.zone, fiscal_start_month=self.fiscal_start_month, credited=self.credited)
        for table, rows in _once(self).items():
            books.rows[table] = rows
        return books

    def fiscal_months(self) -> Iterator[tuple[date, int, int, int]]:
        """4-4-5 from the last Sunday of October 2022, fiscal years of 52 weeks."""
        start = date(2022, 10, 30)
        for year in range(2023, 2027) if self.weeks else ():
            for number in range(1, 13):
                n_days = 7 * self.weeks[(number - 1) % 3]
                yield start, year, number, n_days
                start += n_days * DAY


@cache
def _once(setting: Setting) -> dict[str, list[Row]]:
    """Rates and calendar; the same rows for every company, nobody changes them."""
    books = Books()
    add_rates(books)
    for start, year, number, n_days in setting.fiscal_months():
        for i in range(n_days):
            month = {"fiscal_year": year, "fiscal_period": number, "days_in_period": n_days}
            books.add("fiscal_calendar", date=start + i * DAY, day_in_period=i + 1, **month)
    return {name: books.rows[name] for name in ONCE_PER_FIRM}


SETTINGS = (
    Setting(),
    Setting("Europe/Berlin", fiscal_start_month=2),
    Setting(weeks=(4, 4, 5)),
    Setting("Australia/Sydney", fiscal_start_month=7),
    Setting("America/New_York", fiscal_start_month=2, credited=False),
)


def setting_of(seed: int) -> Setting:
    """Every fifth company has a fiscal calendar, every tenth no credits table."""
    return SETTINGS[(0, 1, 2, 3, 0, 1, 0, 2, 1, 4)[seed % 10]]


@dataclass
class Maker:
    draw: random.Random
    books: Books
    prefix: str
    setting: Setting
    met: Counter[str]
    structure: Structure = field(init=False)
    plans: list[Plan] = field(init=False)
    spans: list[Span] = field(default_factory=list)
    past: list[Span] = field(default_factory=list)
    later: list[Span] = field(default_factory=list)
    joined: dict[str, date] = field(default_factory=dict)

    def chance(self, probability: float, feature: str = "") -> bool:
        hit = self.draw.random() < probability
        if hit and feature:
            self.met[feature] += 1
        return hit

    def add(self, table: str, **row: Any) -> Row:
        return self.books.add(table, **row)

    def late(self, when: datetime) -> datetime:
        """Recorded on time, a little late, or weeks late."""
        wait = self.draw.choice(
            [timedelta(0), timedelta(0), timedelta(hours=7), self.draw.randint(1, 40) * DAY]
        )
        self.met["recorded late"] += wait > timedelta(0)
        return when + wait

    def instant(self, day: date) -> datetime:
        return datetime.combine(day, time(12), UTC)


def add_rates(books: Books) -> None:
    """EUR rates with a hole of a fortnight every February, and plan rates of every half year."""
    for offset in range(0, 1100, 3):
        day = date(2022, 12, 31) + offset * DAY
        if not (day.month == 2 and 5 <= day.day <= 19):
            rate = str(1.05 + offset % 7 / 100)
            books.add("fx_rates", currency="EUR", rate_date=day, kind="daily", rate_to_reporting=rate)
    for i, day in enumerate((date(2023, 1, 1), date(2024, 1, 1), date(2024, 7, 1), date(2025, 1, 1))):
        books.add("fx_rates", currency="EUR", rate_date=day, kind="plan", rate_to_reporting=f"1.{10 + i}")
