"""Marts on the exposure: what a plan pays, what a deal paid."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from expectations.columns import VOCABULARY
from expectations.contracts.evidence import SUPPRESSED_IS_NULL
from expectations.model import Audience, Layer, Presence, Reference, Rule, Table, pick

_c = pl.col

_TIERS = (
    "plan_id!! version!! component!! tier!! product_id from_attainment!! rate!! lump_bonus tier_method!! median_quota_amount "
    "tier_from_amount jump_amount base_rate accelerator_ratio leverage convexity revenue_weight_share is_retroactive!! "
    "is_accelerator!! is_cliff has_cap!! has_clawback has_contest is_all_variable null_reason n_sellers"
)

PLAN_FEATURES = Table(
    Layer.MARTS,
    "plan_features",
    title="Which plan features are high-powered.",
    grain="one row per plan version, component and tier",
    key=("plan_id", "version", "component", "tier"),
    columns=(
        *pick(VOCABULARY, _TIERS),
        replace(
            VOCABULARY["suppressed"],
            presence=Presence.REQUIRED,
            description="Whether the plan has too few sellers to show what follows from their quotas and pay.",
        ),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("median_quota_amount").is_null(), SUPPRESSED_IS_NULL),
        Rule("retroactive_flag_follows_the_method", _c("is_retroactive") == (_c("tier_method") == "retroactive"), "One fact, two spellings."),
    ),
    audience=Audience.WIDE,
    query="SELECT plan_id, version, tier, rate, jump_amount FROM marts.plan_features WHERE is_retroactive OR is_cliff",
    do_not="Do not compare `jump_amount` across currencies.",
)  # fmt: skip

DEAL_INCENTIVES = Table(
    Layer.MARTS,
    "deal_incentives",
    title="How strong the incentive was when a deal closed.",
    grain="one row per deal, credited seller, component and credit type",
    key=("opportunity_id", "rep_id", "component", "credit_type"),
    columns=pick(
        VOCABULARY,
        "opportunity_id!! rep_id!! component!! credit_type!! plan_id version plan_currency period_start period_end closed_at plan_closed_on "
        "credited_amount split_weight quota_amount attainment_before attainment_after attainment_before_final emcr_as_known "
        "emcr_as_final emcr_forward emcr_with_spiff emcr_lowest emcr_highest base_rate relative_intensity distance_to_threshold is_pivotal "
        "days_to_period_end tier added_pay added_pay_final added_pay_amount added_pay_amount_final spiff_amount credited_amount_final "
        "deal_amount rate_to_reporting period_shifted knowledge_time_assumed!! known_at_latest replay_agrees null_reason forward_null_reason",
    ),
    rules=(
        Rule("a_null_exposure_says_why", _c("emcr_as_known").is_not_null() | _c("null_reason").is_not_null(), "Never zero, never silent."),
        Rule("a_null_forecast_says_why", _c("emcr_forward").is_not_null() | _c("forward_null_reason").is_not_null() | _c("emcr_as_known").is_null(), "Never zero, never silent."),
        Rule(
            "order_bounds_hold_the_exposure",
            (_c("emcr_lowest") <= _c("emcr_as_known") + 1e-8) & (_c("emcr_as_known") <= _c("emcr_highest") + 1e-8),
            "The canonical order is one of the orders of that day.",
        ),
        Rule("exposure_uses_only_what_was_known", _c("known_at_latest") <= _c("closed_at"), "Later knowledge is not an incentive: it would leak the outcome."),
        Rule("exposure_survives_a_replay", _c("replay_agrees"), "What was recorded after a close must not move its exposure."),
        Rule("days_to_period_end_is_inside_the_period", _c("days_to_period_end") >= 0, "A deal lies in its own pay period."),
    ),
    references=(Reference("rep_id", "reps"),),
    audience=Audience.ANALYST,
    query="SELECT opportunity_id, rep_id, emcr_as_known, attainment_before, is_pivotal FROM marts.deal_incentives WHERE emcr_as_known IS NOT NULL ORDER BY emcr_as_known DESC LIMIT 10",
    do_not="Do not use `emcr_as_final` or `attainment_before_final` as an exposure: they hold later knowledge.",
)  # fmt: skip

TABLES = (PLAN_FEATURES, DEAL_INCENTIVES)
