"""Counting-process intervals: who owned the customer when, under which intensity, and how it ended."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.core.directory import Directory
from assets.core.touches import count_by_day, has_touches, outbound_touches
from assets.outcomes.active_deals import active_deals
from assets.outcomes.observation import has_churn_source
from assets.outcomes.ownership import held_assignments, owner_intensity, owner_on
from assets.table import table_asset
from expectations.contracts.outcomes import ACCOUNT_SPELLS

_c = pl.col


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
    active = active_deals(deal_outcomes)
    pieces = _pieces(active, held_assignments(account_assignments, directory)).join(
        owner_intensity(deal_outcomes), on=["owner_rep_id", "month"], how="left"
    )
    pieces = _count(pieces, _complaint_days(customer_events), "opportunity_id", "complaints")
    if has_touches(company):
        touched = count_by_day(outbound_touches(activities, directory)).rename({"touched_on": "date"})
        pieces = _count(pieces, touched, "account_id", "touches")
    else:
        pieces = pieces.with_columns(touches=pl.lit(0, pl.Int64))
    deals = active.drop("account_id", "rep_id", "active_from", "active_to")
    is_last = _c("ends_on") == _c("active_to")
    can_end = has_churn_source(company)
    return (
        _merge_equal(pieces)
        .join(deals, on="opportunity_id", how="left")
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


def _pieces(active: pl.LazyFrame, held: pl.LazyFrame) -> pl.LazyFrame:
    """Cut active time at each change of owner, then at the first of each month.

    Returns:
        Per piece the ids, `active_from` and `active_to` of the deal, `starts_on`, `ends_on` (inclusive), `month`,
        `owner_rep_id`; in no order.
    """
    spans = active.select("opportunity_id", "account_id", "rep_id", "active_from", "active_to")
    edges = pl.concat(
        [held.select("account_id", owned_from="valid_from"), held.select("account_id", owned_from="valid_to")]
    ).unique()
    changes = (
        spans.join(edges, on="account_id", how="inner")
        .filter((_c("owned_from") > _c("active_from")) & (_c("owned_from") <= _c("active_to")))
        .rename({"owned_from": "from"})
    )
    day_before_next = _c("from").shift(-1).over("opportunity_id", order_by="from") - pl.duration(days=1)
    owned = (
        owner_on(pl.concat([spans.with_columns(_c("active_from").alias("from")), changes]), held, "from")
        .with_columns(to=pl.coalesce(day_before_next, "active_to"), owner_rep_id=pl.coalesce("owner_rep_id", "rep_id"))
    )  # fmt: skip
    months = pl.date_ranges(_c("from").dt.month_start(), "to", interval="1mo")
    first, last = _c("month_start"), _c("month_start").dt.month_end()
    return (
        owned.with_columns(month_start=months)
        .explode("month_start")
        .with_columns(
            starts_on=pl.max_horizontal("from", first),
            ends_on=pl.min_horizontal("to", last),
            month=first.dt.strftime("%Y-%m"),
        )
        .drop("from", "to", "month_start")
    )


def _complaint_days(customer_events: pl.LazyFrame) -> pl.LazyFrame:
    return (
        customer_events.filter(
            _c("kind") == "complaint", _c("opportunity_id").is_not_null(), ~_c("contradicted")
        )
        .group_by("opportunity_id", "date")
        .agg(complaints=pl.len().cast(pl.Int64))
    )


def _count(pieces: pl.LazyFrame, days: pl.LazyFrame, key: str, name: str) -> pl.LazyFrame:
    """Add the sum of `name` over the days of each piece. A piece lies in one month, so it meets only that month's days."""
    here = pieces.select({key, "opportunity_id", "month", "starts_on", "ends_on"})
    found = (
        days.with_columns(month=_c("date").dt.strftime("%Y-%m"))
        .join(here, on=[key, "month"], how="inner")
        .filter(_c("date").is_between("starts_on", "ends_on"))
        .group_by("opportunity_id", "starts_on")
        .agg(_c(name).sum())
    )
    return pieces.join(found, on=["opportunity_id", "starts_on"], how="left").with_columns(
        _c(name).fill_null(0)
    )


def _merge_equal(pieces: pl.LazyFrame) -> pl.LazyFrame:
    """Join neighbouring pieces of a deal that differ neither in owner nor in the owner's intensity."""
    state = ("owner_rep_id", "owner_emcr")
    changed = pl.any_horizontal(
        _c("opportunity_id").ne_missing(_c("opportunity_id").shift()),
        *(_c(name).ne_missing(_c(name).shift()) for name in state),
    )
    return (
        pieces.sort("opportunity_id", "starts_on")
        .with_columns(_run=changed.cum_sum())
        .group_by("_run")
        .agg(
            _c("opportunity_id", "account_id", "rep_id", "active_from", "active_to", *state).first(),
            _c("starts_on").min(),
            _c("ends_on").max(),
            _c("complaints", "touches").sum(),
        )
    )
