"""One flat table: each won deal, the incentive it closed under, and what happened to the customer afterwards."""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from assets.company import Company
from assets.core.directory import Directory
from assets.incentives.deal_exposures import deal_exposures
from assets.incentives.plan_features import PLAN_FLAGS, flag_tiers
from assets.methods.bands import RELATIVE_INTENSITY, cut_quintiles, place_in_quintile
from assets.outcomes.churn import (
    CONTINUED,
    LINES,
    contract_exits,
    deals_of_subscriptions,
    inactivity_exits,
    line_ends,
)
from assets.outcomes.observation import has_churn_source, last_observed_day
from assets.outcomes.revenue import recurring_revenue
from assets.table import Made, table_asset
from expectations.columns.outcomes import HORIZONS_DAYS
from expectations.contracts.outcomes import DEAL_OUTCOMES

_c = pl.col

NO_CLOSE: Final = "no_close"
NO_ACCOUNT: Final = "no_account"
NO_CHURN_SOURCE: Final = "no_churn_source"
NEVER_STARTED: Final = "never_started"
SHORT_HORIZON: Final = "shorter_than_inactivity_window"
JUDGED: Final = (SHORT_HORIZON,)  # with these the deal's churn is known all the same, at longer horizons

NO_CREDIT: Final = "no_credit"
NO_COMMISSION_DATA: Final = "no_commission_data"

PERIOD_END_DAYS: Final = 5
_REVENUE_ELSEWHERE: Final = (CONTINUED, "replaced", "merged")

_EXPOSURES: Final = (
    "emcr",
    "emcr_as_final",
    "emcr_forward",
    "emcr_with_spiff",
    "emcr_lowest",
    "emcr_highest",
    "base_rate",
    "relative_intensity",
    "incentive_cost_share",
    "is_pivotal",
    "plan_id",
    "version",
    "tier",
    "days_to_period_end",
    "null_reason",
    *PLAN_FLAGS,
)

_COUNTED: Final = {
    "complaints": ((_c("kind") == "complaint"), ("complaints", "")),
    "mis_sale_complaints": ((_c("kind") == "complaint") & (_c("category") == "mis_sale"), ("complaints", "category")),
    "refunded": ((_c("kind") == "refund"), ("subscription_events", "")),
    "clawed_back": ((_c("kind") == "clawback"), ("ledger", "credit_id")),
    "cancel_requested": ((_c("kind") == "cancel_request"), ("subscription_events", "")),
}  # fmt: skip
"""Outcome -> the events that count, and the source (and column) without which it is null rather than 0."""

_NUMBERS: Final = frozenset({"complaints", "mis_sale_complaints"})
"""Outcomes that are counts; the others say whether there was any."""


@table_asset(DEAL_OUTCOMES)
def deal_outcomes(
    *,
    deals: pl.LazyFrame,
    deal_incentives: pl.LazyFrame,
    plan_features: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    customer_activity: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
) -> Made:
    """Each won deal with its exposure, frozen at the close, and its outcomes, judged with today's knowledge.

    One row per won deal, key `opportunity_id`. Every outcome at a horizon is null until the deal is mature there, even
    where the event was already seen, and null where its source is absent. Do not average without `mature_`.
    """
    observed_until = last_observed_day(company, deals, subscriptions, subscription_events, customer_activity)
    exposures = deal_exposures(deal_incentives).join(
        flag_tiers(plan_features), on=["plan_id", "version", "tier"], how="left"
    )
    cuts = emcr_cut_points(deals, exposures)
    frame = judge_outcomes(
        deals=deals,
        exposures=exposures,
        cut_points=cuts,
        subscriptions=subscriptions,
        subscription_events=subscription_events,
        customer_activity=customer_activity,
        customer_events=customer_events,
        accounts=accounts,
        company=company,
        observed_until=observed_until,
    )
    facts = {"emcr_cut_points": ",".join(repr(cut) for cut in cuts)}
    return Made(frame, facts=facts, observed_until=observed_until.isoformat())


def emcr_cut_points(deals: pl.LazyFrame, exposures: pl.LazyFrame) -> tuple[float, ...]:
    """The four cut points of `emcr_quintile` over won deals with a deal EMCR as known; none without any such deal."""
    won = exposures.join(deals.select("opportunity_id"), on="opportunity_id", how="semi")
    return tuple(won.select(cut_quintiles(_c("emcr"))).collect().item().drop_nulls())


def judge_outcomes(
    *,
    deals: pl.LazyFrame,
    exposures: pl.LazyFrame,
    cut_points: tuple[float, ...],
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    customer_activity: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
    observed_until: date,
) -> pl.LazyFrame:
    """The rows of `marts/deal_outcomes` (10-definitions: Clock and maturity, Churn, Bands).

    Day 0 of complaints, refunds, clawbacks, requests and feedback is the close; that of churn the later of the close and
    the start of service. Contradicted events are not counted. A loss that lies after `observed_until` is not known yet.

    Args:
        deals: core/deals.
        exposures: one row per deal with the columns that `deal_exposures` gives, and the `PLAN_FLAGS` of its tier.
        cut_points: the four cut points of `emcr_quintile`.
        subscriptions: core/subscriptions.
        subscription_events: core/subscription_events.
        customer_activity: core/customer_activity.
        customer_events: core/customer_events.
        accounts: for merges and zones.
        company: kind of churn, zone, and which sources there are.
        observed_until: last day on which outcomes could have been seen.

    Returns:
        The columns of the contract, one row per deal, in no order.
    """
    directory = Directory.of(accounts, company)
    lines = _once(
        deals_of_subscriptions(
            directory.resolve(subscriptions, {"started_on": "started_at", "ended_on": "ended_at"}),
            deals,
            company,
        ).select(*LINES)
    )
    owned = subscription_events.join(
        subscriptions.select("subscription_id", "account_id"), on="subscription_id", how="inner"
    )
    events = _once(
        directory.resolve(owned, {"effective_on": "effective_at"}).select(
            "subscription_id", "kind", "effective_on", "mrr_delta"
        )
    )
    clocks = _once(_clocks(deals, lines, company))
    ends = _once(line_ends(lines, events))
    if company.churn.kind == "inactivity":
        activity = directory.resolve(customer_activity, {"active_on": "occurred_at"})
        silent = clocks.filter(_c("account_id").is_not_null(), _c("closed_on").is_not_null())
        exits = inactivity_exits(silent, activity, company.churn.days, observed_until)
    else:
        exits = contract_exits(lines, ends)
    judged = _judge_churn(clocks, exits, company, observed_until)
    revenue = recurring_revenue(clocks.select("opportunity_id", "clock_start_on"), lines, ends, events)
    whole = (
        deals.join(judged.drop("account_id", "closed_on", "starts_on"), on="opportunity_id", how="left")
        .join(_with_bands(exposures, cut_points), on="opportunity_id", how="left")
        .join(_count_events(deals, customer_events), on="opportunity_id", how="left")
        .join(revenue, on="opportunity_id", how="left")
    )
    no_credit = NO_CREDIT if company.has("plans") else NO_COMMISSION_DATA
    return (
        whole.with_columns(
            observed_until=pl.lit(observed_until),
            rep_id=pl.coalesce("_largest_seller", "rep_id"),
            null_reason=pl.when(_c("emcr").is_null()).then(_c("null_reason").fill_null(no_credit)),
            **{f"mature_{h}d": _is_mature(h, observed_until) for h in HORIZONS_DAYS},
        )
        .with_columns(
            *(column for h in HORIZONS_DAYS for column in _at_horizon(h, company)),
            revenue_kept_12m=_revenue_kept(),
        )
        .select(DEAL_OUTCOMES.schema.names())
    )


def _once(frame: pl.LazyFrame) -> pl.LazyFrame:
    """A narrow frame that several steps read, made once: the optimiser repeats a shared plan where it is read."""
    return frame.collect().lazy()


def _clocks(deals: pl.LazyFrame, lines: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Add `first_started_on` (first service) and `clock_start_on` (where the churn clock starts)."""
    starts = lines.filter(_c("opportunity_id").is_not_null()).group_by("opportunity_id").agg(
        first_started_on=_c("started_on").min()
    )  # fmt: skip
    return (
        deals.select("opportunity_id", "account_id", "closed_on", "starts_on")
        .join(starts, on="opportunity_id", how="left")
        .with_columns(
            clock_start_on=pl.when(_c("closed_on").is_not_null()).then(
                pl.max_horizontal("closed_on", pl.coalesce("first_started_on", "starts_on"))
            ),
            first_started_on=_c("first_started_on")
            if company.has("subscriptions")
            else pl.lit(None, pl.Date),
        )
    )


def _judge_churn(
    clocks: pl.LazyFrame, exits: pl.LazyFrame, company: Company, observed_until: date
) -> pl.LazyFrame:
    """Add the day and reason of the loss or other exit, and why a deal can't be judged."""
    never_started = (company.churn.kind == "contract") & _c("first_started_on").is_null()
    short = company.churn.kind == "inactivity" and min(HORIZONS_DAYS) < company.churn.days
    reason = pl.coalesce(
        pl.when(_c("closed_on").is_null()).then(pl.lit(NO_CLOSE)),
        pl.when(_c("account_id").is_null()).then(pl.lit(NO_ACCOUNT)),
        pl.lit(None if has_churn_source(company) else NO_CHURN_SOURCE, pl.String),
        pl.when(never_started).then(pl.lit(NEVER_STARTED)),
        pl.lit(SHORT_HORIZON if short else None, pl.String),
    )
    seen = (
        (_c("exit_on") <= observed_until)
        & (_c("outcome_null_reason").is_null() | _c("outcome_null_reason").is_in(JUDGED))
    ).fill_null(value=False)
    waited = (_c("exit_on").to_physical() - _c("clock_start_on").to_physical()).cast(pl.Int64)
    return (
        clocks.with_columns(outcome_null_reason=reason)
        .join(exits, on="opportunity_id", how="left")
        .with_columns(
            churned_on=pl.when(seen & _c("is_churn")).then("exit_on"),
            other_exit_on=pl.when(seen & ~_c("is_churn")).then("exit_on"),
            exit_reason=pl.when(seen).then("exit_reason"),
            # a cancellation before the service began is an event on day 0
            days_to_churn=pl.when(seen & _c("is_churn")).then(pl.max_horizontal(waited, pl.lit(0, pl.Int64))),
        )
        .drop("exit_on", "is_churn")
    )


def _with_bands(exposures: pl.LazyFrame, cut_points: tuple[float, ...]) -> pl.LazyFrame:
    return exposures.select("opportunity_id", *_EXPOSURES, _largest_seller="rep_id").with_columns(
        emcr_quintile=place_in_quintile(_c("emcr"), cut_points),
        intensity_band=RELATIVE_INTENSITY.label(_c("relative_intensity")),
        period_end_close=_c("days_to_period_end") < PERIOD_END_DAYS,
    )


def _count_events(deals: pl.LazyFrame, customer_events: pl.LazyFrame) -> pl.LazyFrame:
    """Events of each deal within each horizon of its close, and the days to the first feedback."""
    day = (_c("date").to_physical() - _c("closed_on").to_physical()).cast(pl.Int64)
    timed = (
        customer_events.filter(_c("opportunity_id").is_not_null(), ~_c("contradicted"))
        .join(deals.select("opportunity_id", "closed_on"), on="opportunity_id", how="inner")
        .with_columns(_day=day)
        .filter(_c("_day") >= 0)
    )
    return timed.group_by("opportunity_id").agg(
        *(
            (counts & (_c("_day") <= h)).sum().cast(pl.Int64).alias(f"_{name}_{h}d")
            for name, (counts, _) in _COUNTED.items()
            for h in HORIZONS_DAYS
        ),
        days_to_first_feedback=_c("_day").filter(_c("kind") == "feedback").min(),
    )


def _is_mature(horizon: int, observed_until: date) -> pl.Expr:
    return _c("clock_start_on") + pl.duration(days=horizon) <= observed_until


def _at_horizon(horizon: int, company: Company) -> list[pl.Expr]:
    """Every outcome at one horizon: null unless mature, and null where its source is absent."""
    mature = _c(f"mature_{horizon}d")
    judged = _c("outcome_null_reason").is_null() | _c("outcome_null_reason").is_in(JUDGED)
    long_enough = company.churn.kind == "contract" or horizon >= company.churn.days
    churned = (_c("days_to_churn") <= horizon).fill_null(value=False)
    started = (_c("first_started_on") <= _c("closed_on") + pl.duration(days=horizon)).fill_null(value=False)
    columns = [
        pl.when(mature & judged & long_enough).then(churned).alias(f"churned_{horizon}d"),
        pl.when(mature & company.has("subscriptions")).then(started).alias(f"started_{horizon}d"),
    ]
    for name, (_, (source, column)) in _COUNTED.items():
        count = _c(f"_{name}_{horizon}d").fill_null(0)
        value = count if name in _NUMBERS else count > 0
        present = company.has(source) and company.has(source, column)
        columns.append(pl.when(mature & present).then(value).alias(f"{name}_{horizon}d"))
    return columns


def _revenue_kept() -> pl.Expr:
    """Share of the starting revenue still there after a year; null where it may live on in another contract."""
    known = _c("mature_365d") & (_c("mrr") > 0) & _c("outcome_null_reason").is_null()
    elsewhere = _c("exit_reason").is_in(_REVENUE_ELSEWHERE).fill_null(value=False)
    ratio = _c("mrr_year").cast(pl.Float64) / _c("mrr").cast(pl.Float64)
    return pl.when(known & ~elsewhere).then(ratio)
