"""Won deals as the marts see them: accounts resolved, local days, and the pressure that needs no pay data."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.core.directory import Directory
from assets.core.touches import has_touches, outbound_touches, touches_before
from assets.methods.calendar import local_date
from assets.table import Made, table_asset
from expectations.contracts.deals import DEALS

_c = pl.col

TOUCH_DAYS: Final = 30
MONTH_END_DAYS: Final = 5

_NEEDS: Final = {
    "touches_30d": ("activities", "direction"),
    "touches_after_refusal_30d": ("activities", "opted_out"),
    "discount_share": ("opportunities", "list_amount"),
    "cycle_days": ("opportunities", "created_at"),
}
"""Source column without which a measure of pressure is null; `closing_load` and `month_end` need only the deals."""


@table_asset(DEALS)
def deals(
    *,
    opportunities: pl.LazyFrame,
    accounts: pl.LazyFrame,
    reps: pl.LazyFrame,
    products: pl.LazyFrame,
    activities: pl.LazyFrame,
    company: Company,
) -> Made:
    """Won deals, newest version each, with everything that is known without pay data and without the future.

    One row per won deal, key `opportunity_id`. A deal without an account, a seller's record or a day of close is kept and
    flagged. Do not take `closing_load` for something the seller knew at the close: its mean is over all his months.
    """
    frame = won_deals(
        opportunities=opportunities,
        accounts=accounts,
        reps=reps,
        products=products,
        activities=activities,
        company=company,
    )
    absent = {
        f"{name}_is_null": f"no source for {table}.{column}"
        for name, (table, column) in _NEEDS.items()
        if not company.has(table, column)
    }
    return Made(frame, facts=absent)


def won_deals(
    *,
    opportunities: pl.LazyFrame,
    accounts: pl.LazyFrame,
    reps: pl.LazyFrame,
    products: pl.LazyFrame,
    activities: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """The rows of `core/deals` (10-definitions: Clock, Pressure without pay data).

    Args:
        opportunities: all versions; the newest of each deal decides whether it was won.
        accounts: for merges, zones, segment and region (accounts are unversioned: as known today).
        reps: to tell known sellers, and the first day each could sell.
        products: to tell known products.
        activities: for `touches_30d`, and those of them after the customer had refused.
        company: zone, fiscal year and which sources there are.

    Returns:
        The columns of the contract, one row per won deal, in no order.
    """
    directory = Directory.of(accounts, company)
    # read three times below, and the optimiser would make it as often
    dated = with_days(newest(opportunities).filter("is_won"), directory).collect().lazy()
    known = _with_known(dated, accounts, reps, products)
    loaded = known.with_columns(_month=_c("closed_on").dt.truncate("1mo")).join(
        _closing_load(dated), on=["rep_id", "_month"], how="left"
    )
    refused = activities.filter(_c("opted_out").fill_null(value=False))
    counted = loaded
    for name, contacts, is_told in (
        ("touches_30d", activities, has_touches(company)),
        (
            "touches_after_refusal_30d",
            refused,
            has_touches(company) and company.has("activities", "opted_out"),
        ),
    ):
        if is_told:
            counts = touches_before(dated, outbound_touches(contacts, directory), TOUCH_DAYS)
            countable = _c("account_id").is_not_null() & _c("closed_on").is_not_null()
            counted = (
                counted.join(counts, on="opportunity_id", how="left")
                .with_columns(pl.when(countable).then(_c("touches").fill_null(0)).alias(name))
                .drop("touches")
            )
        else:
            counted = counted.with_columns(pl.lit(None, pl.Int64).alias(name))
    day, days_in_month = _c("closed_on").dt.day(), _c("closed_on").dt.month_end().dt.day()
    return counted.with_columns(
        cohort_month=_c("closed_on").dt.strftime("%Y-%m"),
        cohort_quarter=fiscal_quarter(_c("closed_on"), company.fiscal_start_month),
        month_end=day > days_in_month - MONTH_END_DAYS,
        cycle_days=_days_between(_c("created_on"), _c("closed_on")),
        discount_share=_discount(),
        contradicted=(
            (_c("closed_on") < _c("account_created_on")).fill_null(value=False)
            | (_c("closed_on") < _c("created_on")).fill_null(value=False)
            | (_c("closed_on") < _c("hired_on")).fill_null(value=False)
        ),
    ).select(DEALS.schema.names())


def newest(versions: pl.LazyFrame, key: str = "opportunity_id") -> pl.LazyFrame:
    """The newest version of every key: its largest `recorded_at`; a version without one counts as the oldest."""
    known = _c("recorded_at").to_physical().fill_null(pl.lit(-(2**62), pl.Int64))
    return versions.filter(known == known.max().over(key))


def fiscal_quarter(day: pl.Expr, start_month: int) -> pl.Expr:
    """`YYYY-Qn` of a date; the fiscal year carries the number of the calendar year it ends in."""
    place = (day.dt.month().cast(pl.Int32) - start_month) % 12
    starts_in = pl.when(day.dt.month() >= start_month).then(day.dt.year()).otherwise(day.dt.year() - 1)
    ends_in = starts_in + (1 if start_month > 1 else 0)
    return pl.format("{}-Q{}", ends_in, place // 3 + 1)


def with_days(won: pl.LazyFrame, directory: Directory) -> pl.LazyFrame:
    """Resolve the account and add the local days of close, creation and of the account's own creation.

    A close without a time of day was a date in the company's calendar: no zone may move it to another day. The other days
    of that row are read in the same zone, so that differences between them keep their meaning.
    """
    zone = (
        pl.when(_c("closed_time_known").fill_null(value=True))
        .then(_c("_zone").fill_null(directory.home))
        .otherwise(pl.lit(directory.home))
    )
    days = {
        "closed_on": "closed_at",
        "created_on": "created_at",
        "account_created_on": "_created_at",
    }
    return (
        won.join(directory.accounts, on="account_id", how="left")
        .with_columns(_zone=zone)
        .with_columns(
            _own_account="account_id",
            account_id=pl.coalesce("_survivor", "account_id"),
            account_known=_c("_survivor").is_not_null(),
            **{day: local_date(_c(at), _c("_zone"), directory.zones) for day, at in days.items()},
        )
    )


def _with_known(
    dated: pl.LazyFrame, accounts: pl.LazyFrame, reps: pl.LazyFrame, products: pl.LazyFrame
) -> pl.LazyFrame:
    """Add what the accounts, sellers and products say, and whether each of them exists."""
    traits = ("segment", "region", "is_vulnerable", "is_target_profile")
    survivor = accounts.select("account_id", *traits)
    own = accounts.select(_own_account="account_id", **{f"_own_{t}": _c(t) for t in traits})
    sellers = reps.select("rep_id", "hired_on", rep_known=pl.lit(value=True))
    catalogue = products.select("product_id", product_known=pl.lit(value=True))
    return (
        dated.join(survivor, on="account_id", how="left")
        .join(own, on="_own_account", how="left")
        .join(sellers, on="rep_id", how="left")
        .join(catalogue, on="product_id", how="left")
        .with_columns(
            _c("rep_known", "product_known").fill_null(value=False),
            *(pl.coalesce(t, f"_own_{t}").alias(t) for t in traits),
        )
    )


def _closing_load(dated: pl.LazyFrame) -> pl.LazyFrame:
    """Won deals of the seller's month over the mean of the months in which he won anything, from whole numbers."""
    month = _c("closed_on").dt.truncate("1mo").alias("_month")
    wins = (
        dated.filter(_c("closed_on").is_not_null()).group_by("rep_id", month).agg(won=pl.len().cast(pl.Int64))
    )
    return wins.select(
        "rep_id",
        "_month",
        closing_load=_c("won") * pl.len().over("rep_id") / _c("won").sum().over("rep_id"),
    )


def _discount() -> pl.Expr:
    """1 - amount / list_amount as one division of exact money, so that 10 % is the nearest float to 0.1."""
    off = (_c("list_amount") - _c("amount")).cast(pl.Float64)
    return pl.when(_c("list_amount") > 0).then(off / _c("list_amount").cast(pl.Float64))


def _days_between(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    return (end.to_physical() - start.to_physical()).cast(pl.Int64)
