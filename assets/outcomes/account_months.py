"""The panel: every active deal of every account, one calendar month at a time, never joined or sorted as a whole."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Final

import polars as pl

from assets.company import Company
from assets.core.directory import Directory
from assets.core.ownership import held_assignments, owner_on
from assets.core.touches import has_touches, outbound_touches
from assets.outcomes.active_deals import active_deals
from assets.outcomes.churn import deals_of_subscriptions
from assets.outcomes.observation import has_churn_source
from assets.outcomes.ownership import owner_intensity
from assets.table import table_asset
from expectations.contracts.outcomes import ACCOUNT_MONTHS

_c = pl.col

_COUNTED: Final = {
    "complaints": ("complaint", "complaints"),
    "refunds": ("refund", "subscription_events"),
    "feedback": ("feedback", "feedback"),
}
"""Count -> kind of customer event, and the source without which it is null."""

_MONEY: Final = pl.Decimal(18, 2)


def months_of(deal_outcomes: pl.LazyFrame) -> list[str]:
    """The months to make: from the first close to the last day observed, YYYY-MM in order; none without a dated deal."""
    dated = deal_outcomes.filter(_c("closed_on") <= _c("observed_until"))
    first, last = dated.select(first=_c("closed_on").min(), last=_c("observed_until").max()).collect().row(0)
    if first is None:
        return []
    return (
        pl.date_range(first.replace(day=1), last, interval="1mo", eager=True).dt.strftime("%Y-%m").to_list()
    )


@table_asset(ACCOUNT_MONTHS, months=months_of)
def account_months(
    *,
    deal_outcomes: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    activities: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
    month: str,
) -> pl.LazyFrame:
    """One month of the panel: who was active for how many days under which incentive, and what happened.

    One row per account, active deal and month; the account's time without an active deal, from its first close on, is one
    more row whose `opportunity_id` is null. `account_days` adds up to days of the account, deal columns do not: `touches`
    is the account's own number on each of its rows.
    """
    return count_month(
        deal_outcomes=deal_outcomes,
        account_assignments=account_assignments,
        customer_events=customer_events,
        subscriptions=subscriptions,
        subscription_events=subscription_events,
        activities=activities,
        accounts=accounts,
        company=company,
        month=month,
    )


def count_month(
    *,
    deal_outcomes: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    activities: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
    month: str,
) -> pl.LazyFrame:
    """The rows of `marts/account_months` of one month (10-definitions, Grain).

    An event counts on its deal's row when the deal was active on its day, else on the account's row without a deal (made
    for it if need be, with no days), so that no event after an account's first close is lost or counted twice.
    Contradicted events are left out. The owner is the one of the row's first day.

    Args:
        deal_outcomes: marts/deal_outcomes.
        account_assignments: core/account_assignments.
        customer_events: core/customer_events.
        subscriptions: core/subscriptions.
        subscription_events: core/subscription_events.
        activities: those of the month (UTC); near its edges they stay in it whatever the account's zone.
        accounts: for merges and zones.
        company: which sources there are.
        month: YYYY-MM.

    Returns:
        The columns of the contract, in no order.
    """
    directory = Directory.of(accounts, company)
    first, last = _days_of(month)
    # read several times each below: one month's rows, collected once, instead of a plan that repeats itself
    active = _share_days(_active_in_month(deal_outcomes, first, last).collect(), first, last).lazy()
    followed = _followed_accounts(deal_outcomes, first, last).collect().lazy()
    held = held_assignments(account_assignments, directory)
    happened = pl.concat(
        [
            _events(customer_events, first, last),
            _revenue_moves(
                subscriptions=subscriptions,
                subscription_events=subscription_events,
                deal_outcomes=deal_outcomes,
                directory=directory,
                company=company,
                first=first,
                last=last,
            ),
        ],
        how="diagonal",
    )
    placed = _place(happened, active, followed).collect().lazy()
    with_deal = owner_on(active, held, "from").join(
        placed.filter(_c("opportunity_id").is_not_null()).drop("account_id"), on="opportunity_id", how="left"
    )
    without_deal = owner_on(
        _idle(active, followed, placed.filter(_c("opportunity_id").is_null()).drop("opportunity_id")),
        held,
        "from",
    )
    panel = pl.concat([with_deal, without_deal], how="diagonal")
    present = {name: company.has(source) for name, (_, source) in _COUNTED.items()}
    return (
        panel.with_columns(month=pl.lit(month), owner_rep_id=pl.coalesce("owner_rep_id", "rep_id"))
        .join(
            owner_intensity(deal_outcomes.filter(cohort_month=month)),
            on=["owner_rep_id", "month"],
            how="left",
        )
        .join(_touches(activities, directory, company), on="account_id", how="left")
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
        .select(ACCOUNT_MONTHS.schema.names())
    )


def _days_of(month: str) -> tuple[date, date]:
    first = date.fromisoformat(f"{month}-01")
    return first, first.replace(day=monthrange(first.year, first.month)[1])


def _active_in_month(deal_outcomes: pl.LazyFrame, first: date, last: date) -> pl.LazyFrame:
    """Deals active in the month: `from`, `to` (inclusive), `exposure_days`, and what a row says of its deal."""
    return (
        active_deals(deal_outcomes.filter(_c("closed_on") <= last))
        .filter(_c("active_to") >= first)
        .select(
            "account_id", "opportunity_id", "rep_id", "segment", "emcr", "churned_on",
            **{"from": pl.max_horizontal("active_from", first), "to": pl.min_horizontal("active_to", last)},
        )
        .with_columns(exposure_days=_days(_c("from"), _c("to")))
    )  # fmt: skip


def _share_days(active: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Add `account_days`: each calendar day of an account divided equally among the deals active on it."""
    length = (last - first).days + 1
    steady = (_c("exposure_days") == length).all().over("account_id")
    marked = active.with_columns(_steady=steady)
    whole = marked.filter("_steady").with_columns(account_days=length / pl.len().over("account_id"))
    return pl.concat([whole, _share_changing_days(marked.filter(~_c("_steady")))]).drop("_steady")


def _share_changing_days(rows: pl.DataFrame) -> pl.DataFrame:
    """The same where deals come and go.

    Between two days on which anything changes the number k of active deals is constant, so a deal's share is the integral
    of 1/k over its days: the difference of one running sum per account at its two ends.
    """
    edges = pl.concat(
        [
            rows.select("account_id", day="from", change=pl.lit(1)),
            rows.select("account_id", day=_c("to") + pl.duration(days=1), change=pl.lit(-1)),
        ]
    )
    stretch = (_c("day").shift(-1).over("account_id") - _c("day")).dt.total_days()
    running = (
        edges.group_by("account_id", "day")
        .agg(_c("change").sum())
        .sort("account_id", "day")
        .with_columns(_active=_c("change").cum_sum().over("account_id"), _length=stretch)
        .with_columns(_share=pl.when(_c("_active") > 0).then(_c("_length") / _c("_active")).otherwise(0.0))
        .select("account_id", "day", _until=_c("_share").cum_sum().over("account_id") - _c("_share"))
    )
    start = running.select("account_id", _c("day").alias("from"), _c("_until").alias("_at_start"))
    end = running.select(
        "account_id", (_c("day") - pl.duration(days=1)).alias("to"), _c("_until").alias("_at_end")
    )
    return (
        rows.join(start, on=["account_id", "from"], how="left")
        .join(end, on=["account_id", "to"], how="left")
        .with_columns(account_days=_c("_at_end") - _c("_at_start"))
        .drop("_at_start", "_at_end")
    )


def _followed_accounts(deal_outcomes: pl.LazyFrame, first: date, last: date) -> pl.LazyFrame:
    """Accounts whose first close lies before the month's end: `follow_from`, `follow_to` inside the month, `segment`."""
    return (
        deal_outcomes.filter(
            _c("account_id").is_not_null(),
            _c("closed_on") <= _c("observed_until"),
            _c("closed_on") <= last,
            _c("observed_until") >= first,
        )
        .group_by("account_id")
        .agg(
            follow_from=pl.max_horizontal(_c("closed_on").min(), first),
            follow_to=pl.min_horizontal(_c("observed_until").max(), last),
            segment=_c("segment").max(),
        )
    )


def _idle(active: pl.LazyFrame, followed: pl.LazyFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    """The account's days without an active deal, and the events that belong to no active deal."""
    covered = active.group_by("account_id").agg(_covered=_c("account_days").sum().round().cast(pl.Int64))
    idle = _days(_c("follow_from"), _c("follow_to")) - _c("_covered").fill_null(0)
    return (
        followed.join(covered, on="account_id", how="left")
        .join(events, on="account_id", how="left")
        .with_columns(exposure_days=idle, account_days=idle.cast(pl.Float64), **{"from": _c("follow_from")})
        .filter((_c("exposure_days") > 0) | _c("_any").is_not_null())
        .drop("follow_from", "follow_to", "_covered")
    )


def _events(customer_events: pl.LazyFrame, first: date, last: date) -> pl.LazyFrame:
    """The month's countable events, one row each, a 1 in the column of its count."""
    kinds = [kind for kind, _ in _COUNTED.values()]
    return customer_events.filter(
        _c("date").is_between(first, last), _c("kind").is_in(kinds), ~_c("contradicted")
    ).select(
        "account_id",
        "opportunity_id",
        "date",
        *((_c("kind") == kind).cast(pl.Int64).alias(name) for name, (kind, _) in _COUNTED.items()),
    )


def _revenue_moves(
    *,
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    deal_outcomes: pl.LazyFrame,
    directory: Directory,
    company: Company,
    first: date,
    last: date,
) -> pl.LazyFrame:
    """Changes of recurring revenue that took effect in the month, tied to the deals of their subscriptions."""
    # two days on either side hold every zone; the local day decides
    near = _c("effective_at").dt.date().is_between(first - timedelta(days=2), last + timedelta(days=2))
    moves = subscription_events.filter(near, _c("mrr_delta").is_not_null()).select(
        "subscription_id", "effective_at", "mrr_delta"
    )
    lines = subscriptions.join(moves, on="subscription_id", how="semi").select(
        "subscription_id", "account_id", "opportunity_id", "product_id", "started_at"
    )
    owned = deals_of_subscriptions(
        directory.resolve(lines, {"started_on": "started_at"}), deal_outcomes, company
    ).select("subscription_id", "account_id", "opportunity_id")
    return (
        directory.resolve(moves.join(owned, on="subscription_id", how="inner"), {"date": "effective_at"})
        .filter(_c("date").is_between(first, last))
        .select("account_id", "opportunity_id", "date", "mrr_delta")
    )


def _place(happened: pl.LazyFrame, active: pl.LazyFrame, followed: pl.LazyFrame) -> pl.LazyFrame:
    """Sum what happened by deal where it was active on the day, else by account (`opportunity_id` null)."""
    spans = active.select("opportunity_id", "from", "to", _deal_account="account_id")
    inside = _c("date").is_between("from", "to").fill_null(value=False)
    counts = [*_COUNTED, "mrr_delta"]
    return (
        happened.join(spans, on="opportunity_id", how="left")
        .with_columns(
            opportunity_id=pl.when(inside).then("opportunity_id"),
            account_id=pl.when(inside).then("_deal_account").otherwise("account_id"),
        )
        .join(followed.select("account_id", "follow_from", "follow_to"), on="account_id", how="inner")
        .filter(_c("date").is_between("follow_from", "follow_to"))
        .group_by("account_id", "opportunity_id")
        .agg(_c(counts).sum(), _any=pl.lit(value=True))
    )


def _touches(activities: pl.LazyFrame, directory: Directory, company: Company) -> pl.LazyFrame:
    """Outbound activities of the month by account, whatever the local day: each belongs to the one month that holds it."""
    if not has_touches(company):
        return pl.LazyFrame(schema={"account_id": pl.String, "touches": pl.Int64})
    touches = outbound_touches(activities, directory)
    return touches.group_by("account_id").agg(touches=pl.len().cast(pl.Int64))


def _days(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    return (end - start).dt.total_days() + 1
