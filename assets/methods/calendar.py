"""Days as the plan, the customer and the law count them: local dates, business days, pay periods."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

WEEKDAYS = (True, True, True, True, True, False, False)


def first_day_of(month: str) -> date:
    """First day of a month written YYYY-MM."""
    return date.fromisoformat(f"{month}-01")


def last_day_of(month: str) -> date:
    """Last day of a month written YYYY-MM."""
    first = first_day_of(month)
    return first.replace(day=monthrange(first.year, first.month)[1])


def local_date(moment: pl.Expr, zone: pl.Expr, zones: Sequence[str]) -> pl.Expr:
    """Calendar date of a moment where the row lives.

    Args:
        moment: Datetime with zone UTC.
        zone: IANA zone name per row.
        zones: every zone that occurs, so that each is converted once; unknown names are a caller's error.

    Returns:
        Date; null where the moment or the zone is null, or the zone is not in `zones`.

    Raises:
        ValueError: when a name in `zones` is no time zone.
    """
    wrong = [name for name in zones if not _is_zone(name)]
    if wrong:
        raise ValueError(f"not a time zone: {', '.join(sorted(wrong))}")
    local = pl.lit(None, dtype=pl.Date)
    for name in sorted(set(zones)):
        local = pl.when(zone == name).then(moment.dt.convert_time_zone(name).dt.date()).otherwise(local)
    return local


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def count_business_days(
    start: pl.Expr,
    end: pl.Expr,
    holidays: Mapping[str, Sequence[date]] | None = None,
    region: pl.Expr | None = None,
) -> pl.Expr:
    """Working days from `start` (counted) to `end` (not counted), Monday to Friday without the region's holidays.

    Args:
        start: Date.
        end: Date, not before `start`.
        holidays: dates by region.
        region: region per row; null or unknown regions have no holidays.

    Returns:
        Int64 days >= 0, negative when `end` is before `start`; null where either is null.
    """
    days = pl.business_day_count(start, end, week_mask=WEEKDAYS)
    if region is not None:
        for name, dates in sorted((holidays or {}).items()):
            there = pl.business_day_count(start, end, week_mask=WEEKDAYS, holidays=sorted(set(dates)))
            days = pl.when(region == name).then(there).otherwise(days)
    return days.cast(pl.Int64)


def find_period(
    deals: pl.LazyFrame,
    periods: pl.LazyFrame,
    by: Sequence[str],
    day: str,
    *,
    start: str = "period_start",
    end: str = "period_end",
) -> pl.LazyFrame:
    """Give every deal the period of its group whose [start, end) holds its day.

    Args:
        deals: `by` and `day` (Date); further columns are kept.
        periods: `by`, `start` and `end` (Date, exclusive), further columns are added to the deal. Periods of one group must
            not overlap; should they, the one that started last is taken.
        by: columns of the group, for instance rep_id, component.
        day: plan-local close date.
        start: first day of the period.
        end: first day after it.

    Returns:
        The deals in any order with the columns of `periods`, null where no period holds the day.
    """
    added = [n for n in periods.collect_schema().names() if n not in by]
    usable = (
        periods.filter(pl.col(end) > pl.col(start)).with_columns(pl.col(start).alias("_from")).sort("_from")
    )
    matched = deals.sort(day).join_asof(
        usable, left_on=day, right_on="_from", by=list(by), strategy="backward", check_sortedness=False
    )
    is_inside = (pl.col(day) < pl.col(end)).fill_null(value=False)
    return matched.with_columns(pl.when(is_inside).then(pl.col(n)).alias(n) for n in added).drop(
        "_from", strict=False
    )


def list_months(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """First days of the calendar months that [start, end) touches, a list of Date: spans and days then meet by an equality join."""
    last = (end - pl.duration(days=1)).dt.month_start()
    return pl.date_ranges(start.dt.month_start(), last, interval="1mo")


def days_to_period_end(day: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Calendar days from a day to the last day of its period: end - 1 - day, Int64; 0 on the last day."""
    return (end - day).dt.total_days() - 1


def completed_months(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Whole months from one date to another, Int64: 31 January to 28 February is none, to 1 March is one."""
    months = (end.dt.year() - start.dt.year()).cast(pl.Int64) * 12 + (end.dt.month() - start.dt.month()).cast(
        pl.Int64
    )
    return months - (end.dt.day() < start.dt.day()).cast(pl.Int64)
