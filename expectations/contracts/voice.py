"""Source tables of the customer's voice: complaints, feedback and where it went."""

from __future__ import annotations

import polars as pl

from expectations.columns import VOCABULARY
from expectations.model import Layer, Reference, Rule, Severity, Table, pick

_c = pl.col

COMPLAINTS = Table(
    Layer.CORE,
    "complaints",
    title="Complaints.",
    grain="one row per complaint",
    key=("complaint_id",),
    columns=(
        *pick(
            VOCABULARY,
            "complaint_id!! account_id! opportunity_id subscription_id product_id received_at!! escalated_at resolved_at "
            "category severity is_upheld redress",
        ),
        # complaints come by more ways than sales activities
        *pick(VOCABULARY, "channel", values=()),
    ),
    rules=(
        Rule("resolved_at_is_not_before_received_at", _c("resolved_at") >= _c("received_at"), "Nothing is solved before it is raised.", Severity.REJECT),
        Rule("escalated_at_is_not_before_received_at", _c("escalated_at") >= _c("received_at"), "Nothing is escalated before it is raised.", Severity.REJECT),
    ),
    references=(
        Reference("account_id", "accounts"),
        Reference("opportunity_id", "opportunities"),
        Reference("subscription_id", "subscriptions"),
        Reference("product_id", "products"),
    ),
    event_time="received_at",
    switches_off="complaints by incentive, mis-sale rates",
)  # fmt: skip

FEEDBACK = Table(
    Layer.CORE,
    "feedback",
    title="What customers said.",
    grain="one row per piece of feedback",
    key=("feedback_id",),
    columns=pick(
        VOCABULARY,
        "feedback_id!! account_id opportunity_id rep_id theme_id expressed_at captured_at!! source need solicited",
    ),
    rules=(
        Rule("captured_at_is_not_before_expressed_at", _c("captured_at") >= _c("expressed_at"), "Nothing is written down before it is said.", Severity.REJECT),
    ),
    references=(
        Reference("account_id", "accounts"),
        Reference("opportunity_id", "opportunities"),
        Reference("rep_id", "reps"),
        Reference("theme_id", "themes"),
    ),
    event_time="captured_at",
    switches_off="feedback lag and loss",
)  # fmt: skip

FEEDBACK_EVENTS = Table(
    Layer.CORE,
    "feedback_events",
    title="How feedback moved through the firm.",
    grain="one row per feedback, hop and time",
    key=("feedback_id", "hop", "occurred_at"),
    columns=(
        *pick(VOCABULARY, "feedback_id!! hop!! occurred_at!!"),
        *pick(VOCABULARY, "outcome", values=("accepted", "declined", "duplicate")),
        *pick(VOCABULARY, "actor_id"),
    ),
    references=(Reference("feedback_id", "feedback"), Reference("actor_id", "reps", "rep_id")),
    event_time="occurred_at",
    switches_off="every hop after capture",
)

QUALITY_REVIEWS = Table(
    Layer.CORE,
    "quality_reviews",
    title="Reviews of how a sale was made.",
    grain="one row per review",
    key=("review_id",),
    columns=pick(VOCABULARY, "review_id!! rep_id!! opportunity_id reviewed_at!! passed reason"),
    references=(Reference("rep_id", "reps"), Reference("opportunity_id", "opportunities")),
    event_time="reviewed_at",
    switches_off="quality of sales conduct",
)

THEMES = Table(
    Layer.CORE,
    "themes",
    title="Themes that feedback is sorted into.",
    grain="one row per theme",
    key=("theme_id",),
    columns=pick(VOCABULARY, "theme_id!! label merged_into_id"),
    references=(Reference("merged_into_id", "themes", "theme_id"),),
    switches_off="market shifts by theme",
)

BOARD_REPORTS = Table(
    Layer.CORE,
    "board_reports",
    title="What the board was shown, and when.",
    grain="one row per report",
    key=("report_id",),
    columns=pick(VOCABULARY, "report_id!! period_start sent_at!! theme_ids"),
    references=(Reference("theme_ids", "themes", "theme_id"),),
    event_time="sent_at",
    switches_off="when the board first saw a theme",
)

TABLES = (COMPLAINTS, FEEDBACK, FEEDBACK_EVENTS, QUALITY_REVIEWS, THEMES, BOARD_REPORTS)
