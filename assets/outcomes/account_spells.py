"""Counting-process intervals: who owned the customer when, under which intensity, and how it ended."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.core.directory import Directory
from assets.core.ownership import held_assignments, owner_on
from assets.core.touches import count_by_day, has_touches, outbound_touches
from assets.outcomes.active_deals import active_deals
from assets.outcomes.observation import has_churn_source
from assets.outcomes.ownership import owner_intensity
from assets.table import table_asset
from expectations.contracts.outcomes import ACCOUNT_SPELLS

_c = pl.col

_DEAL: Final = "_deal"
_COUNTS: Final = ("complaints", "touches")
_OF_DEALS: Final = (
    "opportunity_id",
    "account_id",
    "rep_id",
    "emcr",
    "mrr",
    "active_from",
    "active_to",
    "churned_on",
    "other_exit_on",
)


@table_asset(ACCOUNT_SPELLS)
def account_spells(
    *,
    deal_outcomes: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    activities: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """The active time of each deal, cut where its owner or the owner's intensity changes; events stand at an interval's end.

    One row per account, deal and interval [start_day, stop_day), day 0 = the close. What an interval carries was true on its
    first day or holds for its calendar month; nothing in it depends on how it ends. Do not classify a deal by a later
    interval: that is immortal time.
    """
    return cut_spells(
        deal_outcomes=deal_outcomes,
        account_assignments=account_assignments,
        customer_events=customer_events,
        activities=activities,
        accounts=accounts,
        company=company,
    )


def cut_spells(
    *,
    deal_outcomes: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    activities: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """The rows of `marts/account_spells`.

    Every day of a deal's active time lies in exactly one interval. Where nobody is assigned to the account, the seller of
    the deal stands in. Complaints and touches count on the days of the interval.

    Returns:
        The columns of the contract, in no order.
    """
    directory = Directory.of(accounts, company)
    # both are read by every step below, and the optimiser would make them as often; deals go by a number, which is
    # cheaper to join on than their names
    deals = active_deals(deal_outcomes).select(*_OF_DEALS).with_row_index(_DEAL).collect().lazy()
    pieces = (
        _pieces(deals, held_assignments(account_assignments, directory))
        .join(owner_intensity(deal_outcomes), on=["owner_rep_id", "month"], how="left")
        .drop("month")
        .collect()
        .lazy()
    )
    pieces = _count(pieces, _complaint_days(deals, customer_events))
    if has_touches(company):
        pieces = _count(pieces, _touch_days(deals, outbound_touches(activities, directory)))
    else:
        pieces = pieces.with_columns(touches=pl.lit(0, pl.Int64))
    is_last = _c("ends_on") == _c("active_to")
    can_end = has_churn_source(company)
    return (
        _merge_equal(pieces)
        .join(deals, on=_DEAL, how="left")
        .with_columns(
            start_day=(_c("starts_on") - _c("active_from")).dt.total_days(),
            stop_day=(_c("ends_on") - _c("active_from")).dt.total_days() + 1,
            emcr_at_sale="emcr",
            churn_event=pl.when(can_end).then(is_last & _c("churned_on").is_not_null()),
            other_exit_event=pl.when(can_end).then(is_last & _c("other_exit_on").is_not_null()),
            complaints=pl.when(company.has("complaints")).then("complaints"),
            touches=pl.when(has_touches(company)).then("touches"),
        )
        .select(ACCOUNT_SPELLS.schema.names())
    )


def _pieces(deals: pl.LazyFrame, held: pl.LazyFrame) -> pl.LazyFrame:
    """Cut active time at each change of owner, then at the first of each month.

    Returns:
        Per piece the number of the deal, `starts_on`, `ends_on` (inclusive), `month_start`, `month`, `owner_rep_id`; in no
        order.
    """
    spans = deals.select(_DEAL, "account_id", "rep_id", "active_from", "active_to")
    edges = pl.concat(
        [held.select("account_id", owned_from="valid_from"), held.select("account_id", owned_from="valid_to")]
    ).unique()
    changes = (
        spans.join(edges, on="account_id", how="inner")
        .filter((_c("owned_from") > _c("active_from")) & (_c("owned_from") <= _c("active_to")))
        .rename({"owned_from": "from"})
    )
    day_before_next = _c("from").shift(-1).over(_DEAL, order_by="from") - pl.duration(days=1)
    owned = owner_on(
        pl.concat([spans.with_columns(_c("active_from").alias("from")), changes]), held, "from"
    ).select(
        _DEAL,
        "from",
        to=pl.coalesce(day_before_next, "active_to"),
        owner_rep_id=pl.coalesce("owner_rep_id", "rep_id"),
    )
    months = pl.date_ranges(_c("from").dt.month_start(), "to", interval="1mo")
    return (
        owned.with_columns(month_start=months)
        .explode("month_start")
        .select(
            _DEAL,
            "owner_rep_id",
            "month_start",
            starts_on=pl.max_horizontal("from", "month_start"),
            ends_on=pl.min_horizontal("to", _c("month_start").dt.month_end()),
            month=_c("month_start").dt.strftime("%Y-%m"),
        )
    )


def _complaint_days(deals: pl.LazyFrame, customer_events: pl.LazyFrame) -> pl.LazyFrame:
    """Complaints of each deal by day."""
    counted = customer_events.filter(_c("kind") == "complaint", ~_c("contradicted"))
    return (
        counted.join(deals.select(_DEAL, "opportunity_id"), on="opportunity_id", how="inner")
        .group_by(_DEAL, "date")
        .agg(complaints=pl.len().cast(pl.Int64))
    )


def _touch_days(deals: pl.LazyFrame, touches: pl.LazyFrame) -> pl.LazyFrame:
    """Touches of each deal's account by day, on its active days."""
    spans = deals.select(_DEAL, "account_id", "active_from", "active_to")
    return (
        count_by_day(touches)
        .join(spans, on="account_id", how="inner")
        .filter(_c("touched_on").is_between("active_from", "active_to"))
        .select(_DEAL, "touches", date="touched_on")
    )


def _count(pieces: pl.LazyFrame, days: pl.LazyFrame) -> pl.LazyFrame:
    """Add the sum of what `days` counts on the days of each piece. A piece meets only the days of its own month."""
    (name,) = set(days.collect_schema()) - {_DEAL, "date"}
    found = (
        days.with_columns(month_start=_c("date").dt.month_start())
        .join(
            pieces.select(_DEAL, "month_start", "starts_on", "ends_on"),
            on=[_DEAL, "month_start"],
            how="inner",
        )
        .filter(_c("date").is_between("starts_on", "ends_on"))
        .group_by(_DEAL, "starts_on")
        .agg(_c(name).sum())
    )
    return pieces.join(found, on=[_DEAL, "starts_on"], how="left").with_columns(_c(name).fill_null(0))


def _merge_equal(pieces: pl.LazyFrame) -> pl.LazyFrame:
    """Join neighbouring pieces of a deal that differ neither in owner nor in the owner's intensity.

    Only the first piece of each run stays; its counts are differences of running sums up to the next one that stays.
    """
    state = (_DEAL, "owner_rep_id", "owner_emcr")
    changed = pl.any_horizontal(_c(name).ne_missing(_c(name).shift()) for name in state)
    following = _c(_DEAL).shift(-1) == _c(_DEAL)
    until_next = (
        (_c(f"_before_{n}").shift(-1).fill_null(_c(f"_total_{n}")) - _c(f"_before_{n}")).alias(n)
        for n in _COUNTS
    )
    return (
        pieces.sort(_DEAL, "starts_on")
        .with_columns(
            _changed=changed | pl.int_range(pl.len()).eq(0),
            _deal_ends_on=_c("ends_on").max().over(_DEAL),
            **{f"_before_{n}": _c(n).cum_sum() - _c(n) for n in _COUNTS},
            **{f"_total_{n}": _c(n).sum() for n in _COUNTS},
        )
        .filter("_changed")
        .with_columns(
            ends_on=pl.when(following)
            .then(_c("starts_on").shift(-1) - pl.duration(days=1))
            .otherwise("_deal_ends_on"),
        )
        .with_columns(*until_next)
        .select(_DEAL, "owner_rep_id", "owner_emcr", "starts_on", "ends_on", *_COUNTS)
    )
