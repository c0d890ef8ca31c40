"""The panel: every active deal of every account, one calendar month at a time, never joined or sorted as a whole."""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
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
    happened = panel.happened.filter(month=month).drop("month")
    active = _share_days(panel, _active_in_month(panel.deals, first, last), first, last)
    rows = pl.concat([active, _idle(panel, active, happened, first, last)], how="diagonal").sort("place")
    rows = _with_owners(panel, rows, first, last)
    rows = rows.with_columns(
        owner_emcr=_of_owners_in(panel, month).gather(rows["owner"]),
        touches=_touches(panel, activities, company, last).gather(rows["account"]),
    )
    present = {name: company.has(source) for name, (_, source) in COUNTED.items()}
    return rows.join(happened, on="place", how="left", maintain_order="left").select(
        panel.names["account_id"].gather(rows["place"]),
        panel.names["opportunity_id"].gather(rows["place"]),
        pl.lit(month).alias("month"),
        panel.sellers["rep_id"].gather(rows["seller"]),
        panel.sellers["rep_id"].gather(rows["owner"]).alias("owner_rep_id"),
        "exposure_days",
        "account_days",
        pl.when(has_churn_source(company))
        .then(_c("churned_on").is_between(first, last).fill_null(value=False))
        .alias("churned"),
        *(pl.when(there).then(_c(name).fill_null(0)).alias(name) for name, there in present.items()),
        pl.when(has_touches(company)).then(_c("touches").fill_null(0)).alias("touches"),
        pl.when(company.has("subscription_events"))
        .then(_c("mrr_delta").fill_null(0).cast(_MONEY))
        .alias("mrr_delta"),
        _c("emcr").alias("emcr_at_sale"),
        "owner_emcr",
        "segment",
    )


def _by_number(size: int, numbers: pl.Series, values: pl.Series) -> pl.Series:
    """The values at their numbers, null elsewhere: what is looked up by number needs no join."""
    return pl.repeat(None, size, dtype=values.dtype, eager=True).scatter(numbers, values)


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


def _share_days(panel: Panel, active: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Add `account_days`: each calendar day of an account divided equally among the deals active on it."""
    length = (last - first).days + 1
    account, size = active["account"].to_numpy(), panel.names.height
    sharing = np.bincount(account, minlength=size)[account]
    comes_or_goes = active["exposure_days"].to_numpy() < length
    changing = (np.bincount(account, weights=comes_or_goes, minlength=size) > 0)[account]
    whole = active.with_columns(account_days=length / pl.Series(sharing))
    return pl.concat([whole.filter(~changing), _share_changing_days(active.filter(changing))])


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


def _idle(
    panel: Panel, active: pl.DataFrame, happened: pl.DataFrame, first: date, last: date
) -> pl.DataFrame:
    """The days without an active deal of every account whose first close has been, and what happened under no active deal."""
    followed = panel.accounts.filter(
        _c("known_from") <= last, _c("known_to").is_null() | (_c("known_to") > last)
    ).select("account", "segment", place="account", **{"from": pl.max_horizontal("first_close", first)})
    size, account = panel.names.height, followed["account"].to_numpy()
    covered = np.bincount(active["account"].to_numpy(), active["account_days"].to_numpy(), size)[account]
    has_events = np.zeros(size, dtype=bool)
    has_events[happened["place"].to_numpy()] = True
    until = min(panel.observed_until, last)
    return (
        followed.with_columns(
            exposure_days=_days(_c("from"), pl.lit(until)) - pl.Series(covered.round().astype(np.int64))
        )
        .filter((_c("exposure_days") > 0) | pl.Series(has_events[account]))
        .with_columns(account_days=_c("exposure_days").cast(pl.Float64))
    )


def _with_owners(panel: Panel, rows: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Add `owner` of the row's first day: whoever held the account, else the seller of the deal."""
    held = panel.owners.filter(_c("owned_from") <= last, _c("owned_to").is_null() | (_c("owned_to") >= first))
    on_first = held.filter(_c("owned_from") <= first)
    begun_later = (
        rows.filter(_c("from") > first)
        .select("place", "account", "from")
        .join(held, on="account", how="inner")
        .filter(_c("owned_from") <= _c("from"), _c("owned_to").is_null() | (_c("from") <= _c("owned_to")))
    )
    size = panel.names.height
    owner = pl.when(_c("from") == first).then(
        _by_number(size, on_first["account"], on_first["owner"]).gather(rows["account"])
    ).otherwise(_by_number(size, begun_later["place"], begun_later["owner"]).gather(rows["place"]))  # fmt: skip
    return rows.with_columns(owner=pl.coalesce(owner, "seller"))


def _of_owners_in(panel: Panel, month: str) -> pl.Series:
    """How strongly each seller was paid for selling in the month, by number."""
    paid = panel.intensity.filter(month=month)
    return _by_number(panel.sellers.height, paid["owner"], paid["owner_emcr"])


def _touches(panel: Panel, activities: pl.LazyFrame, company: Company, last: date) -> pl.Series:
    """Outbound activities of the month by account, whatever the local day: each belongs to the one month that holds it."""
    size = panel.names.height
    if not has_touches(company):
        return pl.repeat(None, size, dtype=pl.Int64, eager=True)
    # most accounts of later months have no row here yet: leaving them out makes the table to look in small
    callers = panel.callers.filter(_c("first_close") <= last).lazy()
    counted = (
        count_by_account(activities)
        .join(callers, on="account_id", how="inner")
        .group_by("account")
        .agg(_c("touches").sum())
        .collect()
    )
    return _by_number(size, counted["account"], counted["touches"])


def _days(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    return (end - start).dt.total_days() + 1
