"""What customers did after the sale, in one table, each event tied to at most one won deal."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.core.attribution import attribute
from assets.core.deals import newest
from assets.core.directory import Directory
from assets.table import table_asset
from expectations.columns import VOCABULARY
from expectations.contracts.deals import CUSTOMER_EVENTS

_c = pl.col

_DETAILS: Final = ("category", "is_upheld", "solicited", "need", "amount", "currency")
_BEFORE_LADDER: Final = (
    "kind",
    "event_id",
    "account_id",
    "product_id",
    "named_opportunity_id",
    "subscription_opportunity_id",
    "occurred_at",
    *_DETAILS,
)
_NEVER_NAMED: Final = {
    "named_opportunity_id": pl.String(),
    "subscription_opportunity_id": pl.String(),
    "kind": pl.String(),
}


@table_asset(CUSTOMER_EVENTS)
def customer_events(
    *,
    deals: pl.LazyFrame,
    complaints: pl.LazyFrame,
    feedback: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    credits: pl.LazyFrame,  # noqa: A002 - parameters carry the names of the tables they read
    ledger: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Complaints, feedback, refunds, clawbacks and requests to cancel, each attributed once and only once.

    One row per event, key `kind`, `event_id`. `attribution` says which rung of the ladder found the deal; events of every
    deal and those of none add up to all. `contradicted` events lie before their own cause: they are kept and counted, and
    stay out of rates.
    """
    return tie_events(
        deals=deals,
        complaints=complaints,
        feedback=feedback,
        subscriptions=subscriptions,
        subscription_events=subscription_events,
        credits=credits,
        ledger=ledger,
        accounts=accounts,
        company=company,
    )


def tie_events(
    *,
    deals: pl.LazyFrame,
    complaints: pl.LazyFrame,
    feedback: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    credits: pl.LazyFrame,  # noqa: A002
    ledger: pl.LazyFrame,
    accounts: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """The rows of `core/customer_events` (10-definitions: Attribution).

    Feedback happens when it was captured; a request to cancel when it was made (`requested_at`, which a `cancel` may carry
    too); a refund when it took effect; a clawback when it was booked. An event that names no account takes that of the
    deal or the subscription it names.

    Returns:
        The columns of the contract, one row per event, in no order.
    """
    contracts = subscriptions.select(
        "subscription_id",
        "account_id",
        "product_id",
        "currency",
        subscription_opportunity_id="opportunity_id",
    )
    kinds = [
        _complaints(complaints, contracts),
        _feedback(feedback),
        _refunds(subscription_events, contracts),
        _cancel_requests(subscription_events, contracts),
        _clawbacks(ledger, credits),
    ]
    directory = Directory.of(accounts, company)
    owners = deals.select(named_opportunity_id="opportunity_id", _deal_account="account_id")
    events = (
        pl.concat([_shaped(kind) for kind in kinds])
        .join(owners, on="named_opportunity_id", how="left")
        .with_columns(account_id=pl.coalesce("account_id", "_deal_account"))
    )
    dated = directory.resolve(
        events.join(directory.accounts.select("account_id", "_created_at"), on="account_id", how="left"),
        {"date": "occurred_at", "_account_created_on": "_created_at"},
    )
    closes = deals.select("opportunity_id", "closed_on")
    return (
        attribute(dated, deals)
        .join(closes, on="opportunity_id", how="left")
        .with_columns(
            contradicted=(_c("date") < _c("closed_on")).fill_null(value=False)
            | (_c("date") < _c("_account_created_on")).fill_null(value=False)
        )
        .select(CUSTOMER_EVENTS.schema.names())
    )


def _shaped(events: pl.LazyFrame) -> pl.LazyFrame:
    """The columns every kind shares; what a kind does not have is null."""
    have = events.collect_schema()
    return events.select(
        (_c(name) if name in have else pl.lit(None)).cast(_NEVER_NAMED.get(name) or VOCABULARY[name].dtype).alias(name)
        for name in _BEFORE_LADDER
    )  # fmt: skip


def _complaints(complaints: pl.LazyFrame, contracts: pl.LazyFrame) -> pl.LazyFrame:
    terms = contracts.select(
        "subscription_id", "subscription_opportunity_id", _account="account_id", _product="product_id"
    )
    return complaints.join(terms, on="subscription_id", how="left").with_columns(
        kind=pl.lit("complaint"),
        event_id="complaint_id",
        account_id=pl.coalesce("account_id", "_account"),
        product_id=pl.coalesce("product_id", "_product"),
        named_opportunity_id="opportunity_id",
        occurred_at="received_at",
    )


def _feedback(feedback: pl.LazyFrame) -> pl.LazyFrame:
    return feedback.with_columns(
        kind=pl.lit("feedback"),
        event_id="feedback_id",
        named_opportunity_id="opportunity_id",
        occurred_at="captured_at",
    )


def _refunds(subscription_events: pl.LazyFrame, contracts: pl.LazyFrame) -> pl.LazyFrame:
    refunds = subscription_events.filter(_c("kind") == "refund")
    return refunds.join(contracts, on="subscription_id", how="left").with_columns(occurred_at="effective_at")


def _cancel_requests(subscription_events: pl.LazyFrame, contracts: pl.LazyFrame) -> pl.LazyFrame:
    asked = (_c("kind") == "cancel_request") | ((_c("kind") == "cancel") & _c("requested_at").is_not_null())
    requests = subscription_events.filter(asked).drop("amount")
    return requests.join(contracts, on="subscription_id", how="left").with_columns(
        kind=pl.lit("cancel_request"), occurred_at=pl.coalesce("requested_at", "effective_at")
    )


def _clawbacks(ledger: pl.LazyFrame, credits: pl.LazyFrame) -> pl.LazyFrame:  # noqa: A002
    deals_of = newest(credits, "credit_id").select("credit_id", named_opportunity_id="opportunity_id")
    entries = ledger.filter(_c("entry_type") == "clawback")
    return entries.join(deals_of, on="credit_id", how="left").with_columns(
        kind=pl.lit("clawback"), event_id="entry_id", occurred_at="booked_at"
    )
