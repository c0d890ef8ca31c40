"""Which pay period a close falls into: zones, clock changes, leap days, fiscal years, 4-4-5 calendars."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pay_company import Books, Row, at


def firm(**facts: object) -> Books:
    books = Books()
    books.plan("plan", [("0", "0.08")], **facts)
    books.seller("rep", "plan")
    return books


def period_of(books: Books, closed: str, **facts: object) -> Row:
    books.sell("deal", "rep", "100", closed, **facts)
    row = books.priced()["deal", "rep"]
    assert row["plan_closed_on"] is not None
    return row


def add_calendar(books: Books, start: date, weeks: list[int], year: int) -> None:
    """A fiscal year of periods of so many weeks."""
    day = start
    for number, length in enumerate(weeks, start=1):
        for k in range(length * 7):
            books.add(
                "fiscal_calendar", date=day, fiscal_year=year, fiscal_period=number, day_in_period=k + 1,
                days_in_period=length * 7,
            )  # fmt: skip
            day += timedelta(days=1)


@pytest.mark.parametrize(
    ("zone", "closed", "day"),
    [
        ("America/New_York", "2025-04-01 03:59", date(2025, 3, 31)),
        ("America/New_York", "2025-04-01 04:00", date(2025, 4, 1)),
        ("Asia/Tokyo", "2025-03-31 15:00", date(2025, 4, 1)),
        ("Pacific/Auckland", "2025-03-31 10:59", date(2025, 3, 31)),
        # clocks go forward on 30 March 2025 in Berlin: the last hour of the day is an hour earlier in UTC
        ("Europe/Berlin", "2025-03-29 22:59", date(2025, 3, 29)),
        ("Europe/Berlin", "2025-03-30 21:59", date(2025, 3, 30)),
        ("Europe/Berlin", "2025-03-30 22:00", date(2025, 3, 31)),
        # and back on 26 October
        ("Europe/Berlin", "2025-10-26 22:59", date(2025, 10, 26)),
        ("Europe/Berlin", "2025-10-26 23:00", date(2025, 10, 27)),
        # no midnight in Santiago on 7 September 2025: the day begins at 01:00
        ("America/Santiago", "2025-09-07 04:00", date(2025, 9, 7)),
        ("America/Santiago", "2025-09-07 03:59", date(2025, 9, 6)),
    ],
)
def test_a_day_is_the_plans_own(zone: str, closed: str, day: date) -> None:
    assert period_of(firm(timezone=zone, period="month"), closed)["plan_closed_on"] == day


def test_a_leap_day_is_the_last_of_february() -> None:
    row = period_of(firm(period="month"), "2024-02-29 17:00")
    assert (row["period_start"], row["period_end"], row["days_to_period_end"]) == (
        date(2024, 2, 1),
        date(2024, 3, 1),
        0,
    )


@pytest.mark.parametrize(
    ("period", "first", "closed", "start", "end"),
    [
        ("year", 2, "2025-01-31 17:00", date(2024, 2, 1), date(2025, 2, 1)),
        ("year", 2, "2025-02-01 17:00", date(2025, 2, 1), date(2026, 2, 1)),
        ("quarter", 2, "2025-01-31 17:00", date(2024, 11, 1), date(2025, 2, 1)),
        ("half", 10, "2025-03-31 17:00", date(2024, 10, 1), date(2025, 4, 1)),
    ],
)
def test_a_fiscal_year_ends_where_the_firm_says(
    period: str, first: int, closed: str, start: date, end: date
) -> None:
    row = period_of(firm(period=period, fiscal_start_month=first), closed)
    assert (row["period_start"], row["period_end"]) == (start, end)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("month", date(2025, 3, 30), date(2025, 5, 4)),
        ("quarter", date(2025, 2, 2), date(2025, 5, 4)),
        ("half", date(2025, 2, 2), date(2025, 8, 3)),
        ("year", date(2025, 2, 2), date(2026, 2, 1)),
    ],
)
def test_a_calendar_of_weeks_makes_the_periods(period: str, start: date, end: date) -> None:
    books = firm(period=period)
    add_calendar(books, date(2025, 2, 2), [4, 4, 5] * 4, 2025)
    row = period_of(books, "2025-05-03 16:00")
    assert (row["period_start"], row["period_end"], row["plan_closed_on"]) == (start, end, date(2025, 5, 3))


def test_the_day_after_a_quarter_of_weeks_is_the_next() -> None:
    books = firm(period="quarter")
    add_calendar(books, date(2025, 2, 2), [4, 4, 5] * 4, 2025)
    row = period_of(books, "2025-05-04 16:00")
    assert (row["period_start"], row["period_end"]) == (date(2025, 5, 4), date(2025, 8, 3))


def test_a_week_53_belongs_to_the_year() -> None:
    books = firm(period="quarter")
    add_calendar(books, date(2023, 1, 29), [4, 4, 5] * 3 + [4, 4, 6], 2023)
    row = period_of(books, "2024-02-03 16:00")
    assert (row["period_start"], row["period_end"], row["days_to_period_end"]) == (
        date(2023, 10, 29),
        date(2024, 2, 4),
        0,
    )


def test_where_the_calendar_ends_months_stand_in() -> None:
    books = firm(period="quarter")
    add_calendar(books, date(2025, 2, 2), [4, 4, 5, 4], 2025)
    row = period_of(books, "2025-05-10 16:00")
    assert (row["period_start"], row["period_end"]) == (date(2025, 4, 1), date(2025, 7, 1))


def test_a_quota_wins_over_the_calendar() -> None:
    books = firm(period="quarter")
    add_calendar(books, date(2025, 2, 2), [4, 4, 5] * 4, 2025)
    books.quota("rep", "1000", period_start=date(2025, 4, 27), period_end=date(2025, 5, 25))
    row = period_of(books, "2025-05-24 16:00", recorded_at=at("2025-05-24 16:00"))
    assert (row["period_start"], row["period_end"]) == (date(2025, 4, 27), date(2025, 5, 25))
