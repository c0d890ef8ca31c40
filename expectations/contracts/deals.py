"""The two derived core tables that every mart stands on: won deals, and events tied to them."""

from __future__ import annotations

import polars as pl

from expectations.columns import VOCABULARY
from expectations.model import Layer, Reference, Rule, Table, pick

_c = pl.col

DEALS = Table(
    Layer.CORE,
    "deals",
    title="Won deals as the marts see them: accounts resolved, local days, pressure without pay data.",
    grain="one row per won deal, newest version",
    key=("opportunity_id",),
    columns=pick(
        VOCABULARY,
        "opportunity_id!! account_id rep_id!! product_id segment region is_vulnerable is_target_profile created_at closed_at closed_on "
        "closed_time_known recorded_at knowledge_time_assumed!! amount currency!! list_amount term_months starts_on cohort_month "
        "cohort_quarter cycle_days discount_share closing_load month_end touches_30d touches_after_refusal_30d account_known!! product_known rep_known!! "
        "contradicted!!",
    ),
    references=(
        Reference("account_id", "accounts"),
        Reference("rep_id", "reps"),
        Reference("product_id", "products"),
    ),
    event_time="closed_at",
)

CUSTOMER_EVENTS = Table(
    Layer.CORE,
    "customer_events",
    title="Complaints, feedback, refunds, clawbacks and cancellation requests, each tied to at most one deal.",
    grain="one row per event",
    key=("kind", "event_id"),
    columns=(
        *pick(
            VOCABULARY,
            "kind!!",
            values=("complaint", "feedback", "refund", "clawback", "cancel_request"),
            closed=True,
        ),
        *pick(
            VOCABULARY,
            "event_id!! account_id opportunity_id attribution!! occurred_at!! date!! category is_upheld solicited need amount currency "
            "contradicted!!",
        ),
    ),
    rules=(
        Rule(
            "attributed_events_name_their_deal",
            _c("opportunity_id").is_null() == (_c("attribution") == "none"),
            "Deals and unattributed together are all events.",
        ),
    ),
)

TABLES = (DEALS, CUSTOMER_EVENTS)
