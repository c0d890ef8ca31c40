"""Marts on pay: what each seller earned and was paid, what was taken back, and what pay hangs on."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from expectations.columns import VOCABULARY
from expectations.contracts.evidence import SUPPRESSED_IS_NULL
from expectations.model import Audience, Layer, Reference, Rule, Table, pick

_c = pl.col

EARNED_GROUPS = (
    "revenue", "bookings", "margin", "activity", "market_share", "retention", "satisfaction", "quality", "feedback", "guarantee",
)  # fmt: skip
"""What pay can hang on: the measures, and the guarantee where it hangs on nothing."""

_EARNED = [f"earned_{group}_amount" for group in EARNED_GROUPS]

REP_PERIODS = Table(
    Layer.MARTS,
    "rep_periods",
    title="What each seller sold, earned and was paid in a pay period, and how evenly.",
    grain="one row per seller, plan and pay period that has begun",
    key=("rep_id", "plan_id", "period_start"),
    columns=(
        *pick(VOCABULARY, "rep_id!! plan_id period_start!! period_end!! is_complete!! version component plan_currency"),
        replace(VOCABULARY["quota_amount"], description="Quota of the plan's leading component, with today's knowledge."),
        replace(VOCABULARY["credited_amount"], description="Credit of the plan's leading component; null where no deal carries it."),
        *pick(VOCABULARY, "attainment deals!! earned_amount pay_without_deals_amount"),
        *pick(VOCABULARY, " ".join(_EARNED)),
        replace(VOCABULARY["spiff_amount"], description="SPIFF money of the period's deals in plan currency."),
        *pick(
            VOCABULARY,
            "draw_amount draw_advanced_amount draw_recovered_amount draw_balance_amount expected_clawback_amount recomputed_amount "
            "pay_as_known_amount unpriced_deals!! unpaid_amount unpaid_late_amount variable_pay_share ledger_entries ledger_amount ledger_earned_amount "
            "ledger_adjusted_amount ledger_clawback_amount ledger_spiff_amount ledger_draw_amount repeated_reversal_amount "
            "last_part_share hockey_stick concentration concentration_normalised peak_to_trough slump sustained_effort "
            "closes_just_below closes_just_above calls_after_opt_out pay_null_reason",
        ),
    ),
    rules=(
        Rule("missing_pay_says_why", _c("earned_amount").is_not_null() | _c("pay_null_reason").is_not_null(), "Never zero, never silent."),
        Rule(
            "pay_adds_up_over_what_it_hangs_on",
            _c("earned_amount") == pl.sum_horizontal(_c(name).fill_null(0) for name in _EARNED),
            "Shares of pay mean nothing unless they are shares of all of it.",
        ),
        Rule(
            "ledger_adds_up_over_its_kinds",
            _c("ledger_amount")
            == _c("ledger_earned_amount") + _c("ledger_adjusted_amount") + _c("ledger_clawback_amount") + _c("ledger_spiff_amount") + _c("ledger_draw_amount"),
            "Every entry is of one kind.",
        ),
        Rule("a_period_ends_after_it_starts", _c("period_end") > _c("period_start"), "An empty period holds nothing."),
    ),
    references=(Reference("rep_id", "reps"),),
    audience=Audience.RESTRICTED,
    query="SELECT plan_id, count(*) AS periods, median(attainment) AS attainment, median(hockey_stick) AS hockey_stick FROM marts.rep_periods WHERE is_complete GROUP BY plan_id ORDER BY plan_id",
    do_not="Do not rank sellers by it: quotas and territories differ, and one period says little about a person.",
)  # fmt: skip

CLAWBACKS = Table(
    Layer.MARTS,
    "clawbacks",
    title="What was taken back, beside what the plan says should be.",
    grain="one row per clawback entry of the ledger",
    key=("entry_id",),
    columns=pick(
        VOCABULARY,
        "entry_id!! rep_id!! credit_id opportunity_id component plan_id version plan_currency period_start booked_at!! clawback_method "
        "credited_amount months_served clawed_back_share original_pay_amount booked_amount expected_amount difference_amount null_reason",
    ),
    rules=(
        Rule("what_is_not_expected_says_why", _c("expected_amount").is_not_null() | _c("null_reason").is_not_null(), "Never zero, never silent."),
    ),
    references=(Reference("rep_id", "reps"), Reference("credit_id", "credits")),
    audience=Audience.ANALYST,
    query="SELECT clawback_method, count(*) AS entries, sum(booked_amount) AS booked, sum(expected_amount) AS expected FROM marts.clawbacks GROUP BY clawback_method",
    do_not="Do not take a clawback for the loss of a customer: many losses are never clawed back.",
)  # fmt: skip

_TARGETS = (
    "revenue_share bookings_share activity_share market_share_share retention_share satisfaction_share quality_share other_share "
    "revenue_weight_share customer_weight_share gated_share"
)

VALUE_DRIFT = Table(
    Layer.MARTS,
    "value_drift",
    title="What target pay hangs on, quarter by quarter: selling, or the customer.",
    grain="one row per organisation unit and fiscal quarter",
    key=("dimension", "organisation", "quarter"),
    columns=pick(
        VOCABULARY,
        f"dimension!! organisation!! quarter!! {_TARGETS} slope_per_year slope_per_year_lo slope_per_year_hi quarters "
        "sellers_without_target n_sellers suppressed!!",
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("revenue_weight_share").is_null(), SUPPRESSED_IS_NULL),
        Rule(
            "target_pay_adds_up",
            (_c("revenue_weight_share") + _c("customer_weight_share") + _c("other_share") - 1).abs() < 1e-6,
            "Shares of target pay are shares of all of it, gates apart.",
        ),
        Rule(
            "the_slope_lies_in_its_interval",
            (_c("slope_per_year_lo") <= _c("slope_per_year") + 1e-9) & (_c("slope_per_year") <= _c("slope_per_year_hi") + 1e-9),
            "An interval holds its estimate.",
        ),
    ),
    audience=Audience.WIDE,
    query="SELECT quarter, revenue_weight_share, customer_weight_share, slope_per_year, slope_per_year_lo, slope_per_year_hi FROM marts.value_drift WHERE dimension = 'company' ORDER BY quarter",
    do_not="Do not read it as pay: it is what plans promise at target, whatever was earned.",
)  # fmt: skip

TABLES = (REP_PERIODS, CLAWBACKS, VALUE_DRIFT)
