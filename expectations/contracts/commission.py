"""Source tables of pay: plans, quotas, credits, the ledger."""

from __future__ import annotations

import polars as pl

from expectations.columns import VOCABULARY
from expectations.model import GroupRule, Layer, Reference, Rule, Severity, Table, pick

_c = pl.col

PLANS = Table(
    Layer.CORE,
    "plans",
    title="Pay plans and their versions.",
    grain="one row per plan, version and knowledge version",
    key=("plan_id", "version"),
    columns=pick(
        VOCABULARY,
        "plan_id!! version!! valid_from!! valid_to period fiscal_start_month currency!! timezone!! credit_event tier_method!! cap "
        "floor mid_period_policy fx_policy clawback_method clawback_schedule recorded_at knowledge_time_assumed*",
    ),
    rules=(
        Rule(
            "valid_to_is_after_valid_from",
            _c("valid_to") > _c("valid_from"),
            "An empty period holds nothing.",
            Severity.REJECT,
        ),
        Rule("floor_is_not_above_cap", _c("floor") <= _c("cap"), "Pay can't be both.", Severity.REJECT),
    ),
    group_rules=(
        GroupRule(
            "plan_versions_do_not_overlap",
            "Two versions on one day give two prices; neither is picked silently.",
            ("plan_id",),
        ),
    ),
    known_from="valid_from",
    switches_off="every exposure that needs pay data; tables by pressure remain",
)

PLAN_COMPONENTS = Table(
    Layer.CORE,
    "plan_components",
    title="What each plan pays for, and with what weight.",
    grain="one row per plan, version, component and knowledge version",
    key=("plan_id", "version", "component"),
    columns=pick(
        VOCABULARY,
        "plan_id!! version!! component!! measure!! weight!! rate_basis combine gate_attainment gate_from recorded_at "
        "knowledge_time_assumed*",
    ),
    references=(Reference("plan_id", "plans"),),
    switches_off="weights and gates: every plan is taken to have the one component `commission` on revenue",
)

PLAN_TIERS = Table(
    Layer.CORE,
    "plan_tiers",
    title="Tiers: at which attainment which rate starts.",
    grain="one row per plan, version, component, tier and knowledge version",
    key=("plan_id", "version", "component", "tier"),
    columns=pick(
        VOCABULARY,
        "plan_id!! version!! component!! tier!! from_attainment!! rate!! lump_bonus product_id recorded_at "
        "knowledge_time_assumed*",
    ),
    group_rules=(
        GroupRule(
            "tiers_start_at_zero_and_rise",
            "A gap or a repeated edge leaves credit without one price.",
            ("plan_id", "version", "component"),
        ),
    ),
    references=(Reference("plan_id", "plans"), Reference("product_id", "products")),
    switches_off="every exposure that needs pay data",
)

PLAN_ASSIGNMENTS = Table(
    Layer.CORE,
    "plan_assignments",
    title="Which seller was on which plan, and when.",
    grain="one row per seller, plan, version, first day and knowledge version",
    key=("rep_id", "plan_id", "version", "valid_from"),
    columns=pick(
        VOCABULARY,
        "rep_id!! plan_id!! version!! valid_from!! valid_to on_target_earnings target_incentive draw draw_kind recorded_at "
        "knowledge_time_assumed*",
    ),
    rules=(
        Rule(
            "valid_to_is_after_valid_from",
            _c("valid_to") > _c("valid_from"),
            "An empty period holds nothing.",
            Severity.REJECT,
        ),
    ),
    group_rules=(
        GroupRule(
            "plan_assignments_do_not_overlap", "A seller on two plans at once has two prices.", ("rep_id",)
        ),
    ),
    references=(Reference("rep_id", "reps"), Reference("plan_id", "plans")),
    known_from="valid_from",
    switches_off="every exposure that needs pay data",
)

QUOTAS = Table(
    Layer.CORE,
    "quotas",
    title="Quotas per seller, component and pay period.",
    grain="one row per seller, component, period and knowledge version",
    key=("rep_id", "component", "period_start"),
    columns=pick(
        VOCABULARY,
        "rep_id!! component!! period_start!! period_end!! amount!! recorded_at knowledge_time_assumed*",
    ),
    rules=(
        Rule(
            "period_end_is_after_period_start",
            _c("period_end") > _c("period_start"),
            "`period_end` is exclusive.",
            Severity.REJECT,
        ),
        Rule(
            "quota_is_not_negative",
            _c("amount") >= 0,
            "Attainment of a negative quota means nothing.",
            Severity.REJECT,
        ),
    ),
    group_rules=(
        GroupRule(
            "quotas_do_not_overlap", "A deal in two pay periods has two attainments.", ("rep_id", "component")
        ),
    ),
    references=(Reference("rep_id", "reps"),),
    known_from="period_start",
    switches_off="attainment, tiers, distance to threshold",
)

CREDITS = Table(
    Layer.CORE,
    "credits",
    title="Which seller got credit for which deal.",
    grain="one row per credit and knowledge version",
    key=("credit_id",),
    columns=pick(
        VOCABULARY,
        "credit_id!! opportunity_id!! rep_id!! component split_weight!! credited_amount!! currency credit_type credited_at!! recorded_at "
        "knowledge_time_assumed*",
    ),
    group_rules=(
        GroupRule(
            "splits_sum_to_one",
            "Primary credits share out one deal; anything else pays for a deal that was not sold.",
            ("opportunity_id",),
        ),
    ),
    references=(Reference("opportunity_id", "opportunities"), Reference("rep_id", "reps")),
    event_time="credited_at",
    known_from="credited_at",
    switches_off="splits: each won deal credits its seller in full",
)

LEDGER = Table(
    Layer.CORE,
    "ledger",
    title="What was paid: an append-only commission ledger.",
    grain="one row per entry",
    key=("entry_id",),
    columns=pick(
        VOCABULARY,
        "entry_id!! rep_id!! credit_id entry_type!! amount!! currency!! period_start!! booked_at!! paid_at reverses_entry_id",
    ),
    references=(
        Reference("rep_id", "reps"),
        Reference("credit_id", "credits"),
        Reference("reverses_entry_id", "ledger", "entry_id"),
    ),
    event_time="booked_at",
    switches_off="paid commission, clawbacks, reconciliation",
)

SPIFFS = Table(
    Layer.CORE,
    "spiffs",
    title="Short-term incentives on top of the plan.",
    grain="one row per SPIFF and knowledge version",
    key=("spiff_id",),
    columns=pick(
        VOCABULARY,
        "spiff_id!! valid_from!! valid_to!! plan_id team product_id per amount rate currency is_contest is_social recorded_at "
        "knowledge_time_assumed*",
    ),
    rules=(
        Rule(
            "valid_to_is_after_valid_from",
            _c("valid_to") > _c("valid_from"),
            "An empty period holds nothing.",
            Severity.REJECT,
        ),
    ),
    references=(Reference("plan_id", "plans"), Reference("product_id", "products")),
    known_from="valid_from",
    switches_off="exposure with SPIFFs",
)

COMPONENT_RESULTS = Table(
    Layer.CORE,
    "component_results",
    title="Results on measures that no deal carries.",
    grain="one row per seller, component, period and knowledge version",
    key=("rep_id", "component", "period_start"),
    columns=pick(
        VOCABULARY, "rep_id!! component!! period_start!! achieved recorded_at knowledge_time_assumed*"
    ),
    references=(Reference("rep_id", "reps"),),
    known_from="period_start",
    switches_off="pay for calls, market share, satisfaction",
)

TABLES = (
    PLANS, PLAN_COMPONENTS, PLAN_TIERS, PLAN_ASSIGNMENTS, QUOTAS, CREDITS, LEDGER, SPIFFS, COMPONENT_RESULTS,
)  # fmt: skip
