"""Source tables of what customers did afterwards: contracts, purchases, usage."""

from __future__ import annotations

import polars as pl

from expectations.columns import VOCABULARY
from expectations.model import Layer, Reference, Rule, Severity, Table, pick

_c = pl.col

SUBSCRIPTIONS = Table(
    Layer.CORE,
    "subscriptions",
    title="Contracts and subscriptions.",
    grain="one row per subscription",
    key=("subscription_id",),
    columns=pick(
        VOCABULARY,
        "subscription_id!! account_id! opportunity_id product_id started_at!! term_end ended_at end_reason auto_renews mrr currency",
    ),
    rules=(
        Rule("ended_at_is_not_before_started_at", _c("ended_at") >= _c("started_at"), "A contract can't end before it starts.", Severity.REJECT),
    ),
    references=(
        Reference("account_id", "accounts"),
        Reference("opportunity_id", "opportunities"),
        Reference("product_id", "products"),
    ),
    event_time="started_at",
    switches_off="churn of contracts",
)  # fmt: skip

SUBSCRIPTION_EVENTS = Table(
    Layer.CORE,
    "subscription_events",
    title="What happened to a subscription.",
    grain="one row per event",
    key=("event_id",),
    columns=(
        *pick(VOCABULARY, "event_id!! subscription_id!!"),
        *pick(
            VOCABULARY,
            "kind!!",
            values=(
                "start",
                "renew",
                "upgrade",
                "downgrade",
                "cancel_request",
                "cancel",
                "refund",
                "dispute",
                "reactivate",
            ),
            closed=True,
        ),
        *pick(VOCABULARY, "requested_at effective_at!! mrr_delta amount"),
    ),
    references=(Reference("subscription_id", "subscriptions"),),
    event_time="effective_at",
    switches_off="refunds, cancellation requests, revenue movement",
)

CUSTOMER_ACTIVITY = Table(
    Layer.CORE,
    "customer_activity",
    title="Purchases and usage, for businesses without contracts.",
    grain="one row per event",
    key=("event_id",),
    # event_id is optional at the door: where absent it is made from the row and its number among equal rows
    columns=pick(VOCABULARY, "event_id account_id!! occurred_at!! kind amount units"),
    references=(Reference("account_id", "accounts"),),
    event_time="occurred_at",
    switches_off="churn by inactivity",
)

TABLES = (SUBSCRIPTIONS, SUBSCRIPTION_EVENTS, CUSTOMER_ACTIVITY)
