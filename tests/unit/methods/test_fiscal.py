"""Fiscal months: shifted years, and calendars of 4-4-5 weeks."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.methods.fiscal import is_usable, list_fiscal_months, place_days

SCHEMA = {"date": pl.Date, "fiscal_period": pl.Int64, "fiscal_year": pl.Int64}
NO_CALENDAR = pl.DataFrame(schema=SCHEMA)


def weeks_calendar(first: date, year: int, weeks: tuple[int, ...] = (4, 4, 5) * 4) -> pl.DataFrame:
    """One fiscal year of whole weeks, day by day."""
    days = [number for number, length in enumerate(weeks, start=1) for _ in range(7 * length)]
    return pl.DataFrame(
        [(first + timedelta(days=i), number, year) for i, number in enumerate(days)],
        schema=SCHEMA,
        orient="row",
    )


@pytest.mark.parametrize(
    ("start_month", "day", "year", "month"),
    [
        (1, date(2024, 2, 29), 2024, 2),
        (2, date(2025, 1, 31), 2025, 12),
        (2, date(2025, 2, 1), 2026, 1),
        (10, date(2024, 9, 30), 2024, 12),
        (10, date(2024, 10, 1), 2025, 1),
    ],
)
def test_the_fiscal_year_carries_the_number_it_ends_in(
    start_month: int, day: date, year: int, month: int
) -> None:
    (row,) = list_fiscal_months(day, day, start_month, NO_CALENDAR).rows(named=True)
    assert (row["fiscal_year"], row["month_of_year"]) == (year, month)
    assert row["month"] % 12 == month - 1
    assert row["starts_on"] <= day < row["ends_before"]


def test_weeks_of_the_firms_own_calendar_decide() -> None:
    calendar = weeks_calendar(date(2024, 12, 30), 2025)
    months = list_fiscal_months(date(2025, 1, 15), date(2025, 4, 1), 7, calendar)
    assert months["starts_on"].to_list() == [
        date(2024, 12, 30),
        date(2025, 1, 27),
        date(2025, 2, 24),
        date(2025, 3, 31),
    ]
    lengths = (months["ends_before"] - months["starts_on"]).dt.total_days().to_list()
    assert lengths == [28, 28, 35, 28]
    assert months["month_of_year"].to_list() == [1, 2, 3, 4]


def test_a_calendar_with_gaps_or_thirteen_periods_is_not_used() -> None:
    first, last = date(2025, 1, 15), date(2025, 4, 1)
    whole = weeks_calendar(date(2024, 12, 30), 2025)
    assert is_usable(whole, first, last)
    assert not is_usable(whole.filter(pl.col("date") != date(2025, 2, 3)), first, last)
    assert not is_usable(weeks_calendar(date(2024, 12, 30), 2025, (4,) * 13), first, last)
    assert not is_usable(NO_CALENDAR, first, last)
    assert list_fiscal_months(first, last, 1, NO_CALENDAR)["starts_on"][0] == date(2025, 1, 1)


@given(
    st.dates(date(1990, 1, 1), date(2050, 1, 1)),
    st.integers(0, 1500),
    st.integers(1, 12),
)
def test_every_day_lies_in_one_third_of_one_month(first: date, length: int, start_month: int) -> None:
    months = list_fiscal_months(first, first + timedelta(days=length), start_month, NO_CALENDAR)
    days = place_days(months)
    assert days["day"].n_unique() == len(days) == (days["day"].max() - days["day"].min()).days + 1  # type: ignore[operator]
    assert days["day"].min() <= first
    assert days["month"].n_unique() == months["month"].max() - months["month"].min() + 1  # type: ignore[operator]
    thirds = days.group_by("month", "third").len()
    assert thirds["third"].is_between(0, 2).all()
    spread = thirds.group_by("month").agg(n=pl.len(), apart=pl.col("len").max() - pl.col("len").min())
    assert (spread["n"] == 3).all()
    assert (spread["apart"] <= 1).all()
