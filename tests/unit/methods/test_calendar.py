"""Days: time zones, daylight saving, leap days, holidays, periods."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from assets.methods.calendar import (
    completed_months,
    count_business_days,
    days_to_period_end,
    find_period,
    local_date,
)

c = pl.col


def test_the_last_evening_of_march_in_new_york_is_still_march() -> None:
    late = datetime(2025, 4, 1, 3, 30, tzinfo=UTC)  # 31 March 23:30 there
    rows = pl.DataFrame({"at": [late] * 4, "zone": ["America/New_York", "UTC", "Asia/Tokyo", None]})
    days = rows.select(local_date(c("at"), c("zone"), ["UTC", "America/New_York"])).to_series().to_list()
    assert days == [date(2025, 3, 31), date(2025, 4, 1), None, None]


def test_daylight_saving_moves_midnight() -> None:
    zone = "Europe/Berlin"
    before, after = datetime(2025, 3, 29, 22, 30, tzinfo=UTC), datetime(2025, 3, 30, 22, 30, tzinfo=UTC)
    rows = pl.DataFrame({"at": [before, after], "zone": [zone, zone]})
    assert rows.select(local_date(c("at"), c("zone"), [zone])).to_series().to_list() == [
        date(2025, 3, 29),
        date(2025, 3, 31),
    ]


def test_a_wrong_zone_is_named() -> None:
    with pytest.raises(ValueError, match="Mars/Olympus"):
        local_date(c("at"), c("zone"), ["UTC", "Mars/Olympus"])


def test_business_days_leave_out_weekends_and_the_regions_holidays() -> None:
    holidays = {"de": [date(2025, 1, 6), date(2025, 1, 1)], "us": [date(2025, 1, 1)]}
    start, end = date(2024, 12, 30), date(2025, 1, 13)
    rows = pl.DataFrame({"start": [start] * 4, "end": [end] * 4, "region": ["de", "us", "fr", None]})
    counted = (
        rows.select(count_business_days(c("start"), c("end"), holidays, c("region"))).to_series().to_list()
    )

    def by_hand(off: list[date]) -> int:
        days = (start + timedelta(days=k) for k in range((end - start).days))
        return sum(d.weekday() < 5 and d not in off for d in days)

    assert counted == [by_hand(holidays["de"]), by_hand(holidays["us"]), by_hand([]), by_hand([])]
    assert rows.select(count_business_days(c("start"), c("start"))).to_series().unique().to_list() == [0]


def test_a_period_holds_its_first_day_and_not_its_end() -> None:
    periods = pl.LazyFrame(
        {
            "rep_id": ["a", "a", "b"],
            "period_start": [date(2024, 1, 1), date(2024, 3, 1), date(2024, 1, 1)],
            "period_end": [date(2024, 2, 29), date(2024, 4, 1), date(2025, 1, 1)],
            "quota_amount": [1, 2, 3],
        }
    )
    days = [
        date(2023, 12, 31),
        date(2024, 1, 1),
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
        date(2024, 3, 31),
    ]
    deals = pl.LazyFrame({"rep_id": ["a"] * 6 + ["z"], "day": [*days, date(2024, 1, 1)], "n": range(7)})
    found = find_period(deals, periods, ["rep_id"], "day").sort("n").collect()
    assert found["quota_amount"].to_list() == [None, 1, 1, None, 2, 2, None]
    left = found.select(days_to_period_end(c("day"), c("period_end"))).to_series().to_list()
    assert left == [None, 58, 0, None, 30, 0, None]


@pytest.mark.parametrize(
    ("end", "months"),
    [
        (date(2024, 1, 31), 0),
        (date(2024, 2, 29), 0),
        (date(2024, 3, 1), 1),
        (date(2024, 3, 31), 2),
        (date(2025, 1, 31), 12),
    ],
)
def test_months_are_completed(end: date, months: int) -> None:
    row = pl.DataFrame({"start": [date(2024, 1, 31)], "end": [end]})
    assert row.select(completed_months(c("start"), c("end"))).item() == months


def _transitions(zone: str, first: int, last: int) -> list[datetime]:
    """Every hour (UTC) at which the clocks of a zone change."""
    clock, found = ZoneInfo(zone), []
    moment, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last, 12, 31, tzinfo=UTC)
    while moment < end:
        later = moment + timedelta(hours=1)
        if moment.astimezone(clock).utcoffset() != later.astimezone(clock).utcoffset():
            found.append(later)
        moment = later
    return found


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Sydney"])
def test_business_days_over_every_change_of_the_clocks_equal_a_count_day_by_day(zone: str) -> None:
    """Twelve years; from and to half an hour on either side of each change and of local midnight, with a holiday beside it."""
    changes = _transitions(zone, 2018, 2029)
    assert len(changes) == 24
    clock = ZoneInfo(zone)
    holidays = {zone: sorted({(m + timedelta(days=k)).date() for m in changes for k in (1, 8)})}
    around = [timedelta(minutes=m) for m in (-1530, -90, -30, -1, 0, 30, 1410)]
    spans = [
        (m + start, m + end + timedelta(days=days))
        for m in changes
        for start in around
        for end in around
        for days in (0, 1, 9)
        if start <= end + timedelta(days=days)
    ]
    rows = pl.DataFrame(
        {"start": [s for s, _ in spans], "end": [e for _, e in spans]},
        schema_overrides=dict.fromkeys(("start", "end"), pl.Datetime("us", "UTC")),
    ).with_columns(zone=pl.lit(zone))
    first, last = (local_date(c(name), c("zone"), [zone]) for name in ("start", "end"))
    counted = rows.select(count_business_days(first, last, holidays, c("zone"))).to_series().to_list()
    expected = []
    for start, end in spans:
        day, stop, days = start.astimezone(clock).date(), end.astimezone(clock).date(), 0
        while day < stop:
            days += day.weekday() < 5 and day not in holidays[zone]
            day += timedelta(days=1)
        expected.append(days)
    assert len(spans) > 2_000
    assert counted == expected
