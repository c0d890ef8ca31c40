"""The panel: every active deal of every account, one calendar month at a time, never joined or sorted as a whole."""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from assets.company import Company
from assets.core.touches import count_by_account, has_touches
from assets.methods.calendar import first_day_of, last_day_of
from assets.outcomes.observation import has_churn_source
from assets.outcomes.panel import COUNTED, Panel, prepare_panel
from assets.table import Made, table_asset
from expectations.contracts.outcomes import ACCOUNT_MONTHS

_c = pl.col

_MONEY: Final = pl.Decimal(18, 2)


@table_asset(ACCOUNT_MONTHS, prepare=prepare_panel)
def account_months(*, prepared: Panel, activities: pl.LazyFrame, company: Company, month: str) -> Made:
    """One month of the panel: who was active for how many days under which incentive, and what happened.

    One row per account, active deal and month; the account's time without an active deal, from its first close on, is one
    more row whose `opportunity_id` is null. `account_days` adds up to days of the account, deal columns do not: `touches`
    is the account's own number on each of its rows.
    """
    return Made(count_month(prepared, activities, company, month).lazy(), is_sorted=True)


def count_month(panel: Panel, activities: pl.LazyFrame, company: Company, month: str) -> pl.DataFrame:
    """The rows of `marts/account_months` of one month (10-definitions, Grain).

    An event counts on its deal's row when the deal was active on its day, else on the account's row without a deal (made
    for it if need be, with no days), so that no event after an account's first close is lost or counted twice.
    Contradicted events are left out. The owner is the one of the row's first day.

    Args:
        panel: what was prepared for all months.
        activities: those of the month (UTC); near its edges they stay in it whatever the account's zone.
        company: which sources there are.
        month: YYYY-MM.

    Returns:
        The columns of the contract, sorted by the key.
    """
    first, last = first_day_of(month), last_day_of(month)
    active = _share_days(_active_in_month(panel.deals, first, last), first, last)
    happened = panel.happened.filter(month=month).drop("month").with_columns(_any=pl.lit(value=True))
    rows = pl.concat(
        [
            active.join(happened, on="place", how="left"),
            _idle(active, _followed(panel, first, last), happened),
        ],
        how="diagonal",
    ).sort("place")
    owners = panel.owners.filter(
        _c("owned_from").is_null() | (_c("owned_from") <= last),
        _c("owned_to").is_null() | (_c("owned_to") >= first),
    )
    owned = (_c("owned_from").is_null() | (_c("owned_from") <= _c("from"))) & (
        _c("owned_to").is_null() | (_c("from") <= _c("owned_to"))
    )
    present = {name: company.has(source) for name, (_, source) in COUNTED.items()}
    counted = (
        rows.join(owners, on="account", how="left", maintain_order="left")
        .filter(owned)
        .with_columns(month=pl.lit(month), owner_rep_id=pl.coalesce("owner_rep_id", "rep_id"))
        .join(
            panel.intensity.filter(month=month).drop("month"),
            on="owner_rep_id",
            how="left",
            maintain_order="left",
        )
        .join(_touches(panel, activities, company, last), on="account", how="left", maintain_order="left")
        .with_columns(
            *(pl.when(there).then(_c(name).fill_null(0)).alias(name) for name, there in present.items()),
            emcr_at_sale="emcr",
            churned=pl.when(has_churn_source(company)).then(
                _c("churned_on").is_between(first, last).fill_null(value=False)
            ),
            mrr_delta=pl.when(company.has("subscription_events")).then(
                _c("mrr_delta").fill_null(0).cast(_MONEY)
            ),
            touches=pl.when(has_touches(company)).then(_c("touches").fill_null(0)),
        )
    )
    named = panel.names[counted["place"]]
    return counted.with_columns(named["account_id"], named["opportunity_id"]).select(
        ACCOUNT_MONTHS.schema.names()
    )


def _active_in_month(deals: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Deals active in the month: `from`, `to` (inclusive) and `exposure_days` beside what a row says of its deal."""
    return (
        deals.filter(_c("active_from") <= last, _c("active_to") >= first)
        .with_columns(
            **{"from": pl.max_horizontal("active_from", first), "to": pl.min_horizontal("active_to", last)}
        )
        .drop("active_from", "active_to")
        .with_columns(exposure_days=_days(_c("from"), _c("to")))
    )


def _share_days(active: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Add `account_days`: each calendar day of an account divided equally among the deals active on it."""
    length = (last - first).days + 1
    steady = (_c("exposure_days") == length).all().over("account")
    marked = active.with_columns(_steady=steady)
    whole = marked.filter("_steady").with_columns(account_days=length / pl.len().over("account"))
    return pl.concat([whole, _share_changing_days(marked.filter(~_c("_steady")))]).drop("_steady")


def _share_changing_days(rows: pl.DataFrame) -> pl.DataFrame:
    """The same where deals come and go.

    Between two days on which anything changes the number k of active deals is constant, so a deal's share is the integral
    of 1/k over its days: the difference of one running sum per account at its two ends.
    """
    edges = pl.concat(
        [
            rows.select("account", day="from", change=pl.lit(1)),
            rows.select("account", day=_c("to") + pl.duration(days=1), change=pl.lit(-1)),
        ]
    )
    stretch = (_c("day").shift(-1).over("account") - _c("day")).dt.total_days()
    running = (
        edges.group_by("account", "day")
        .agg(_c("change").sum())
        .sort("account", "day")
        .with_columns(_active=_c("change").cum_sum().over("account"), _length=stretch)
        .with_columns(_share=pl.when(_c("_active") > 0).then(_c("_length") / _c("_active")).otherwise(0.0))
        .select("account", "day", _until=_c("_share").cum_sum().over("account") - _c("_share"))
    )
    start = running.select("account", _c("day").alias("from"), _c("_until").alias("_at_start"))
    end = running.select(
        "account", (_c("day") - pl.duration(days=1)).alias("to"), _c("_until").alias("_at_end")
    )
    return (
        rows.join(start, on=["account", "from"], how="left")
        .join(end, on=["account", "to"], how="left")
        .with_columns(account_days=_c("_at_end") - _c("_at_start"))
        .drop("_at_start", "_at_end")
    )


def _followed(panel: Panel, first: date, last: date) -> pl.DataFrame:
    """Accounts whose first close lies before the month's end: `from` inside the month, `followed_days`, `segment`."""
    until = min(panel.observed_until, last)
    return (
        panel.accounts.filter(
            _c("known_from") <= last, _c("known_to").is_null() | (_c("known_to") > last)
        )
        .select("account", "segment", **{"from": pl.max_horizontal("first_close", first)})
        .with_columns(followed_days=_days(_c("from"), pl.lit(until)))
    )


def _idle(active: pl.DataFrame, followed: pl.DataFrame, happened: pl.DataFrame) -> pl.DataFrame:
    """The account's days without an active deal, and what happened under no active deal."""
    covered = active.group_by("account").agg(_covered=_c("account_days").sum().round().cast(pl.Int64))
    idle = _c("followed_days") - _c("_covered").fill_null(0)
    return (
        followed.join(covered, on="account", how="left")
        .join(happened.rename({"place": "account"}), on="account", how="left")
        .with_columns(exposure_days=idle, account_days=idle.cast(pl.Float64), place="account")
        .filter((_c("exposure_days") > 0) | _c("_any").is_not_null())
        .drop("followed_days", "_covered")
    )


def _touches(panel: Panel, activities: pl.LazyFrame, company: Company, last: date) -> pl.DataFrame:
    """Outbound activities of the month by account, whatever the local day: each belongs to the one month that holds it."""
    if not has_touches(company):
        return pl.DataFrame(schema={"account": pl.UInt32, "touches": pl.Int64})
    # most accounts of later months have no row here yet: leaving them out makes the table to look in small
    callers = panel.callers.filter(_c("first_close") <= last).lazy()
    return (
        count_by_account(activities)
        .join(callers, on="account_id", how="inner")
        .group_by("account")
        .agg(_c("touches").sum())
        .collect()
    )


def _days(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    return (end - start).dt.total_days() + 1
