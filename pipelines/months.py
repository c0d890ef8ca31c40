"""The calendar of months that Dagster shows for tables cut by month. Which months have rows is the data's business."""

from __future__ import annotations

from datetime import date

import dagster as dg

FORMAT = "%Y-%m"
DEFAULT_LENGTH_MONTHS = 36
# nothing is known before the first run of a company that states no as_of: wide enough, and bounded (an open end asks
# for every month to date)
FALLBACK = ("2020-01", "2030-12")


def month_of(day: date) -> str:
    """YYYY-MM of a day."""
    return f"{day:%Y-%m}"


def shift(month: str, by: int) -> str:
    """The month `by` months later."""
    year, number = divmod(int(month[:4]) * 12 + int(month[5:]) - 1 + by, 12)
    return f"{year:04d}-{number + 1:02d}"


def bounds(history_from: str | None, as_of: date | None) -> tuple[str, str]:
    """First and last month of the calendar, both included."""
    if as_of is None:
        return history_from or FALLBACK[0], FALLBACK[1]
    last = month_of(as_of)
    return history_from or shift(last, 1 - DEFAULT_LENGTH_MONTHS), last


def monthly_partitions(first: str, last: str) -> dg.MonthlyPartitionsDefinition:
    """One bounded definition, shared by every table cut by month."""
    return dg.MonthlyPartitionsDefinition(start_date=first, end_date=shift(last, 1), fmt=FORMAT)


def whole_range(first: str, last: str) -> dict[str, str]:
    """Run tags that make one run cover every month, so that jobs need no arguments."""
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
