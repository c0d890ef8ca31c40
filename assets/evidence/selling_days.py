"""What sellers closed and did, day by day, laid over fiscal months: the numbers behind the rhythm of sales.

Everything is counted in whole numbers (deals, cents, activities), so sums are exact whatever their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.company import Company
from assets.core.deals import newest, with_days
from assets.core.directory import Directory
from assets.incentives.exchange import Exchange
from assets.methods.exact import whole_cents
from assets.methods.fiscal import list_fiscal_months, place_days
from assets.methods.rhythm import THIRDS, Span

_c = pl.col

LAST_DAYS: Final = 5
SLUMP_DAYS: Final = 14

MEASURES: Final = ("closed", "won", "booked", "listed", "paid", "activities")
"""Deals closed; won; cents booked; cents at list price and cents paid of won deals with both; activities."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SellingDays:
    """Sellers' days, summed.

    Attributes:
        span: the fiscal months under observation.
        sellers: `rep_id` and, per kind of unit, the unit (`region`, `team`, null where unknown), one row per seller; their order is that of the arrays.
        thirds: per measure (s, m, 3) float64 of whole numbers.
        last_days: per measure `closed` and `won` (s, m): the last five days of the month.
        first_days: `booked` (s, m) of the first 14 days of the month.
        final_days: `booked` (s, m) of the last 14 days of the month.
        accounts: `seller` (place in `sellers`), `month` and `third` (places) and `account_id` of won deals.
    """

    span: Span
    sellers: pl.DataFrame
    thirds: Mapping[str, Floats]
    last_days: Mapping[str, Floats]
    first_days: Floats
    final_days: Floats
    accounts: pl.DataFrame


def close_deals(
    opportunities: pl.LazyFrame, accounts: pl.LazyFrame, fx_rates: pl.LazyFrame, company: Company
) -> pl.DataFrame:
    """Every deal that closed, won or lost, newest version each.

    Returns:
        `rep_id`, `account_id` (resolved), `closed_on` (as in `core/deals`), `is_won`, `booked` (Int64 cents in reporting
        currency of a deal won; null where amount or rate is missing), `listed` and `paid` (the same of the list amount and
        of the amount, where both are known). Deals that close after `as_of` have not closed.
    """
    directory = Directory.of(accounts, company)
    exchange = Exchange(fx_rates, company.reporting_currency)
    closed = with_days(newest(opportunities).filter(_c("closed_at").is_not_null()), directory).select(
        "rep_id", "account_id", "closed_on", "is_won", "amount", "list_amount", "currency",
        to=pl.lit(company.reporting_currency), policy=pl.lit("booking"),
    )  # fmt: skip
    where = {
        "currency": "currency",
        "to": "to",
        "day": "closed_on",
        "fixed_day": "closed_on",
        "policy": "policy",
    }
    for money in ("amount", "list_amount"):
        closed = exchange.convert(closed, money, **where)
    won = pl.when("is_won")
    both = _c("amount").is_not_null() & (_c("list_amount") > 0)
    return (
        closed.filter(_c("closed_on") <= company.as_of)
        .select(
            "rep_id", "account_id", "closed_on", "is_won",
            booked=won.then(whole_cents(_c("amount"))).cast(pl.Int64),
            listed=pl.when(_c("is_won") & both).then(whole_cents(_c("list_amount"))).cast(pl.Int64),
            paid=pl.when(_c("is_won") & both).then(whole_cents(_c("amount"))).cast(pl.Int64),
        )
        .collect()
    )  # fmt: skip


def count_activities(activities: pl.LazyFrame, company: Company) -> pl.DataFrame:
    """What sellers did: `rep_id`, `day` (company's zone), `activities` (Int64), inbound contact left out."""
    day = _c("occurred_at").dt.convert_time_zone(company.timezone).dt.date()
    return (
        activities.filter(_c("direction").is_null() | (_c("direction") != "inbound"))
        .group_by("rep_id", day=day)
        .agg(activities=pl.len().cast(pl.Int64))
        .collect()
    )


def observe_months(closed: pl.DataFrame, calendar: pl.DataFrame, company: Company) -> pl.DataFrame:
    """The fiscal months that were seen whole, in order (`fiscal.MONTH_SCHEMA`).

    The first and the last month count when deals closed in their first and in their last third: a month that `as_of` or the
    start of the records cuts short would look like a trough.
    """
    days = closed["closed_on"].drop_nulls()
    if days.is_empty():
        return list_fiscal_months(company.as_of, company.as_of, company.fiscal_start_month, calendar).clear()
    first, last = days.unique().sort().gather([0, -1]).to_list()
    months = list_fiscal_months(first, last, company.fiscal_start_month, calendar)
    seen = place_days(months).filter(_c("day").is_in([first, last])).sort("day")
    begun, ended = seen["third"][0] == 0, seen["third"][-1] == THIRDS - 1
    return months[(0 if begun else 1) : len(months) - (0 if ended else 1)]


def lay_out(
    closed: pl.DataFrame, activities: pl.DataFrame, reps: pl.LazyFrame, months: pl.DataFrame
) -> SellingDays:
    """Sum sellers' days by fiscal month and third.

    Args:
        closed: from `close_deals`.
        activities: from `count_activities`.
        reps: `core/reps`.
        months: from `observe_months`, at least one.
    """
    days = place_days(months).with_columns(month=_c("month") - months["month"][0])
    daily = (
        closed.group_by("rep_id", day="closed_on")
        .agg(
            closed=pl.len().cast(pl.Int64),
            won=_c("is_won").sum().cast(pl.Int64),
            **{name: _c(name).sum() for name in ("booked", "listed", "paid")},
        )
        .join(activities, on=["rep_id", "day"], how="full", coalesce=True)
        .join(days, on="day")
        .with_columns(_c(MEASURES).fill_null(0))
    )
    sellers = (
        daily.select(_c("rep_id").unique())
        .lazy()
        .join(reps.select("rep_id", "region", "team"), on="rep_id", how="left")
        .sort("rep_id")
        .collect()
        .with_row_index("seller")
    )
    daily = daily.join(sellers.select("rep_id", "seller"), on="rep_id")
    shape = (len(sellers), len(months))

    def spread(rows: pl.DataFrame, measure: str, *, by_third: bool = False) -> Floats:
        keys = ["seller", "month", *(["third"] if by_third else [])]
        sums = rows.group_by(keys).agg(_c(measure).sum())
        table = np.zeros((*shape, THIRDS) if by_third else shape)
        table[tuple(sums[k].to_numpy() for k in keys)] = sums[measure].to_numpy()
        return table

    of_third = days.group_by("month", "third").len().sort("month", "third")["len"].to_numpy()
    ends = daily.filter(_c("to_end") < LAST_DAYS)
    return SellingDays(
        span=Span(months["month"].to_numpy(), of_third.reshape(-1, THIRDS).astype(np.float64)),
        sellers=sellers.drop("seller"),
        thirds={name: spread(daily, name, by_third=True) for name in MEASURES},
        last_days={name: spread(ends, name) for name in ("closed", "won")},
        first_days=spread(daily.filter(_c("from_start") < SLUMP_DAYS), "booked"),
        final_days=spread(daily.filter(_c("to_end") < SLUMP_DAYS), "booked"),
        accounts=(
            closed.filter("is_won", _c("account_id").is_not_null())
            .join(days, left_on="closed_on", right_on="day")
            .join(sellers.select("rep_id", "seller"), on="rep_id")
            .select("seller", "month", "third", "account_id")
            .unique()
        ),
    )
