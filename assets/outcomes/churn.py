"""When a customer was lost: by a contract that ended, or by silence. One row per won deal that has an account."""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from assets.company import Company
from assets.core.attribution import attribute
from assets.core.windows import Window

_c = pl.col

REACTIVATION: Final = Window(on="account_id", day="ended_on", other_day="returned_on", first=0, last=30)
CHURN_REASONS: Final = ("cancelled", "not_renewed")
UNSTATED: Final = "unstated"  # no reason given: churn, and counted
CONTINUED: Final = "continued_elsewhere"  # another subscription of the account took over: not churn
INACTIVE: Final = "inactive"

LINES: Final = (
    "subscription_id",
    "account_id",
    "opportunity_id",
    "started_on",
    "ended_on",
    "end_reason",
    "mrr",
    "currency",
)
"""What is read of a subscription once its account and its deal are known."""

EXITS: Final = {
    "opportunity_id": pl.String(),
    "exit_on": pl.Date(),
    "is_churn": pl.Boolean(),
    "exit_reason": pl.String(),
}
"""What both kinds of churn give: at most one exit per deal."""


def deals_of_subscriptions(
    subscriptions: pl.LazyFrame, deals: pl.LazyFrame, company: Company
) -> pl.LazyFrame:
    """Which deal each subscription serves: the one it names.

    A billing system that knows nothing of deals (no such column mapped) names none; then the ladder of 10-definitions,
    Attribution, finds it: the account's latest deal of the same product closed on or before the start, else its latest.

    Args:
        subscriptions: with the account resolved and `started_on`.
        deals: core/deals.
        company: tells whether subscriptions name deals.

    Returns:
        The subscriptions with `opportunity_id` put right, in no order.
    """
    if company.has("subscriptions", "opportunity_id"):
        return subscriptions
    events = subscriptions.rename(
        {"opportunity_id": "named_opportunity_id", "started_on": "date"}
    ).with_columns(subscription_opportunity_id=pl.lit(None, pl.String))
    return (
        attribute(events, deals)
        .rename({"date": "started_on"})
        .drop("named_opportunity_id", "subscription_opportunity_id", "attribution")
    )


def line_ends(subscriptions: pl.LazyFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    """How each subscription ended, if it did (10-definitions, Churn).

    It ends on `ended_at`, else when a `cancel` takes effect; it goes on after all if it was renewed or reactivated within 30
    days. If instead another subscription of the account began, or another was reactivated, within 30 days, the customer
    was not lost: the end is `continued_elsewhere`.

    Args:
        subscriptions: `subscription_id`, `account_id` (resolved), `opportunity_id`, `started_on`, `ended_on`, `end_reason`.
        events: `subscription_id`, `kind`, `effective_on`.

    Returns:
        `subscription_id`, `opportunity_id`, `ended_on`, `is_churn`, `exit_reason`: one row per subscription that ended.
    """
    ends = _candidate_ends(subscriptions, events)
    returns = _returns(subscriptions, events)
    met = REACTIVATION.pairs(ends, returns)
    own = _c("subscription_id") == _c("returned_subscription_id")
    undone = met.filter(own & (_c("return") != "start")).select("subscription_id", "ended_on").unique()
    followed = (
        met.filter(~own & (_c("return") != "renew"))
        .select("subscription_id", "ended_on", _followed=pl.lit(value=True))
        .unique()
    )
    churn = _c("end_reason").is_null() | _c("end_reason").is_in(CHURN_REASONS)
    return (
        ends.join(undone, on=["subscription_id", "ended_on"], how="anti")
        .join(followed, on=["subscription_id", "ended_on"], how="left")
        .with_columns(
            is_churn=churn & _c("_followed").is_null(),
            exit_reason=pl.when(churn & _c("_followed").is_not_null())
            .then(pl.lit(CONTINUED))
            .otherwise(_c("end_reason").fill_null(UNSTATED)),
        )
        .group_by("subscription_id")
        .agg(_c("opportunity_id", "ended_on", "is_churn", "exit_reason").sort_by("ended_on").first())
    )


def contract_exits(subscriptions: pl.LazyFrame, ends: pl.LazyFrame) -> pl.LazyFrame:
    """When each deal had ended: when all its subscriptions had, on the day of the last; on one day churn outranks the rest.

    Args:
        subscriptions: `opportunity_id`; one row per subscription.
        ends: as `line_ends` gives them.

    Returns:
        The columns of `EXITS`, one row per deal that ended; `exit_on` as the source has it, even before the service.
    """
    lines = subscriptions.filter(_c("opportunity_id").is_not_null()).group_by("opportunity_id").len("_lines")
    order = ("ended_on", "is_churn", "exit_reason")
    return (
        ends.filter(_c("opportunity_id").is_not_null())
        .group_by("opportunity_id")
        .agg(pl.len().alias("_ended"), *(_c(name).sort_by(*order).last() for name in order))
        .join(lines, on="opportunity_id", how="inner")
        .filter(_c("_ended") == _c("_lines"))
        .rename({"ended_on": "exit_on"})
        .select(*EXITS)
    )


def _candidate_ends(subscriptions: pl.LazyFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    stated = subscriptions.filter(_c("ended_on").is_not_null())
    cancels = events.filter(_c("kind") == "cancel").select("subscription_id", cancelled_on="effective_on")
    told = (
        subscriptions.filter(_c("ended_on").is_null())
        .join(cancels, on="subscription_id", how="inner")
        .with_columns(ended_on="cancelled_on")
    )
    columns = ("subscription_id", "account_id", "opportunity_id", "ended_on", "end_reason")
    return pl.concat([stated.select(columns), told.select(columns).unique()])


def _returns(subscriptions: pl.LazyFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    starts = subscriptions.select(
        "account_id",
        returned_subscription_id="subscription_id",
        returned_on="started_on",
        **{"return": pl.lit("start")},
    )
    owners = subscriptions.select("subscription_id", "account_id")
    resumed = (
        events.filter(_c("kind").is_in(["renew", "reactivate"]))
        .join(owners, on="subscription_id", how="inner")
        .select(
            "account_id",
            returned_subscription_id="subscription_id",
            returned_on="effective_on",
            **{"return": _c("kind")},
        )
    )
    return pl.concat([starts, resumed])


def inactivity_exits(
    clocks: pl.LazyFrame, activity: pl.LazyFrame, days: int, observed_until: date
) -> pl.LazyFrame:
    """Deals whose customer then fell silent for `days` days (10-definitions, Churn; inactivity).

    With t a day of activity and none on the days (t, t + N], the customer is lost on day t + N. Sales and starts of
    service are activity. A silence that the observation does not cover in full is none.

    Args:
        clocks: `opportunity_id`, `account_id`, `closed_on`, `clock_start_on` of deals with an account and a day.
        activity: `account_id` (resolved), `active_on`.
        days: N, at least 1.
        observed_until: last day observed.

    Returns:
        The columns of `EXITS`, one row per deal that was followed by such a silence: the first one counts.
    """
    seen = pl.concat(
        [
            activity.select("account_id", "active_on"),
            clocks.select("account_id", active_on="closed_on"),
            clocks.select("account_id", active_on="clock_start_on"),
        ]
    )
    timeline = (
        seen.filter(_c("active_on") <= observed_until)
        .unique()
        .sort("account_id", "active_on")
        .with_columns(
            _lost_on=_c("active_on") + pl.duration(days=days),
            _next=_c("active_on").shift(-1).over("account_id"),
        )
        .with_columns(
            _lost_on=pl.when(_c("_next").is_null() | (_c("_next") > _c("_lost_on"))).then("_lost_on")
        )
        .with_columns(_c("_lost_on").backward_fill().over("account_id"))
        .filter(_c("_lost_on") <= observed_until)
    )
    return clocks.join(
        timeline, left_on=["account_id", "clock_start_on"], right_on=["account_id", "active_on"], how="inner"
    ).select(
        "opportunity_id",
        exit_on="_lost_on",
        is_churn=pl.lit(value=True),
        exit_reason=pl.lit(INACTIVE),
    )
