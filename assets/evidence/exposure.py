"""Time under observation, divided so that it adds up.

Each calendar day of an account belongs to its active deals in equal parts. `account_months` holds the same days by calendar
month without a limit. Rates of complaints follow a deal for 365 days and need its days by tenure too, so they are measured
here from the deals' own dates: for every account

    F(d) = sum over its days before d of 1 / (number of its deals active on that day)

is piecewise linear, and the share of a deal in the days [a, b) is F(b) - F(a), however many deals there are.
"""

from __future__ import annotations

from typing import Final

import polars as pl

DAYS_PER_MONTH: Final = 30.4375
FOLLOWED_DAYS: Final = 365
TENURE_STEP_DAYS: Final = 90  # a quarter of tenure is three tenure months of 30 days
UNITS_PER_DAY: Final = 720_720  # divides exactly among up to 16 deals

_c = pl.col


def slice_exposure(deals: pl.LazyFrame, fiscal_start_month: int) -> pl.LazyFrame:
    """Cut every deal's time under observation by tenure and by fiscal quarter.

    Args:
        deals: `deal` and `account` (integers, not null), `first_day`, `active_until`, `followed_until` (dates; the last two
            are the first day after: of the deal's activity, and of its activity within the days followed), each later than
            `first_day`.
        fiscal_start_month: month that the fiscal year starts in, 1 to 12.

    Returns:
        `deal`, `quarter` (from `number_quarter`), `tenure_quarter` (Int64 from 0), `day_units` (Int64 > 0: days of the
        account in 1 / `UNITS_PER_DAY`, whole numbers so that any order of adding gives the same sum).
    """
    moves = pl.concat(
        [
            deals.select("account", day="first_day", step=pl.lit(1, pl.Int64)),
            deals.select("account", day="active_until", step=pl.lit(-1, pl.Int64)),
            _cut(deals, fiscal_start_month).with_columns(step=pl.lit(0, pl.Int64)),
        ],
        how="diagonal",
    ).sort("account", "day")
    # between two accounts nothing is active, so one running sum serves them all
    active = _c("step").cum_sum().shift(1, fill_value=0)
    length = (_c("day") - _c("day").shift(1)).dt.total_days()
    grown = pl.when(active > 0).then(length * UNITS_PER_DAY // active).otherwise(0)
    return (
        moves.with_columns(elapsed=grown.cum_sum())
        .filter(_c("deal").is_not_null())
        .sort("deal", "day")
        .select(
            "deal",
            quarter=number_quarter(_c("day"), fiscal_start_month),
            tenure_quarter=(_c("day") - _c("first_day")).dt.total_days() // TENURE_STEP_DAYS,
            day_units=pl.when(_c("deal").shift(-1) == _c("deal")).then(
                _c("elapsed").shift(-1) - _c("elapsed")
            ),
        )
        .filter(_c("day_units") > 0)
    )


def number_quarter(day: pl.Expr, fiscal_start_month: int) -> pl.Expr:
    """Fiscal quarters counted through the years, Int32; the fiscal year has the number of the calendar year it ends in."""
    month = day.dt.month().cast(pl.Int32)
    next_year = (month >= fiscal_start_month).cast(pl.Int32) if fiscal_start_month > 1 else 0
    return (day.dt.year() + next_year) * 4 + (month - fiscal_start_month) % 12 // 3


def name_quarter(number: pl.Expr) -> pl.Expr:
    """`YYYY-Qn` of a number from `number_quarter`."""
    return pl.format("{}-Q{}", number // 4, number % 4 + 1)


def _cut(deals: pl.LazyFrame, fiscal_start_month: int) -> pl.LazyFrame:
    """Days on which a deal's followed time starts, ends, or passes into another tenure quarter or fiscal quarter."""
    start, stop = _c("first_day"), _c("followed_until")
    tenure = [start + pl.duration(days=k) for k in range(0, FOLLOWED_DAYS, TENURE_STEP_DAYS)]
    # quarters start every third month; the month of a fiscal start is one of them
    into = (start.dt.month().cast(pl.Int64) - fiscal_start_month) % 3
    quarter = start.dt.truncate("1mo").dt.offset_by(pl.format("-{}mo", into))
    quarters = [quarter.dt.offset_by(f"{3 * k}mo") for k in range(1, FOLLOWED_DAYS // 90 + 2)]
    return (
        deals.select(
            "deal", "account", "first_day", "followed_until", day=pl.concat_list(*tenure, *quarters, stop)
        )
        .explode("day", empty_as_null=False, keep_nulls=False)
        .filter((_c("day") >= start) & (_c("day") <= stop))
        .drop("followed_until")
    )
