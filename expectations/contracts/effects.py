"""Marts of estimates: what goes with the incentive, at which level of evidence."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from expectations.cautions import Caution
from expectations.columns import VOCABULARY
from expectations.contracts.evidence import SUPPRESSED_IS_NULL
from expectations.model import Audience, Kind, Layer, Presence, Rule, Table, pick

_c = pl.col
_WORD = "|".join(Caution)
_WARNINGS = rf"^(?:(?:{_WORD})(?:, (?:{_WORD}))*)?$"

INCENTIVE_EFFECTS = Table(
    Layer.MARTS,
    "incentive_effects",
    title="Incentive to outcome: every estimate with its level of evidence.",
    grain="one row per outcome, exposure and specification",
    key=("outcome", "exposure", "specification"),
    columns=(
        replace(
            VOCABULARY["outcome"],
            kind=Kind.TEXT,
            values=(),
            description="What happened to the customer: churn_180d, complaint_180d, ...; feedback_lag until it was written down, feedback_lag_triaged, _decided, _shipped, _told_back, _board_seen from each step to the next.",
            presence=Presence.REQUIRED,
        ),
        *pick(
            VOCABULARY,
            "exposure!! specification!! evidence_level!! test_family!! effect_kind!! estimator!! estimate estimate_lo estimate_hi scale!! "
            "p_value q_value n",
        ),
        replace(VOCABULARY["events"], description="Events behind the estimate.", unit="events"),
        *pick(
            VOCABULARY,
            "n_clusters n_accounts mature_share e_value e_value_bound assumptions!! warnings!! suppressed!! sentence!!",
        ),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | (_c("estimate").is_null() & _c("n").is_null()), SUPPRESSED_IS_NULL),
        Rule(
            "estimates_lie_in_their_interval",
            (_c("estimate_lo") <= _c("estimate") + 1e-9 * _c("estimate").abs())
            & (_c("estimate") <= _c("estimate_hi") + 1e-9 * _c("estimate_hi").abs()),
            "An interval holds its estimate.",
        ),
        Rule(
            "estimates_come_whole",
            _c("estimate").is_null() == _c("p_value").is_null(),
            "No estimate without its uncertainty.",
        ),
        Rule(
            "warnings_are_known_words",
            _c("warnings").str.contains(_WARNINGS),
            "A fixed vocabulary can be filtered on.",
        ),
        Rule(
            "no_effect_is_claimed_below_level_4",
            (_c("evidence_level") >= 4) | ~_c("sentence").str.to_lowercase().str.contains(r"\beffects?\b"),
            "Levels 0 to 3 are associations.",
        ),
        Rule("controls_have_no_q_value", (_c("test_family") != "control") | _c("q_value").is_null(), "They are no findings."),
    ),
    audience=Audience.WIDE,
    query="SELECT outcome, estimate, estimate_lo, estimate_hi, scale, q_value, warnings, sentence FROM marts.incentive_effects WHERE test_family = 'primary' ORDER BY outcome",
    do_not="Do not pick the row with the largest ratio: the primary rows were chosen before looking, the others show how much the choice matters.",
)  # fmt: skip

_OUTCOME = replace(
    VOCABULARY["outcome"],
    kind=Kind.TEXT,
    values=(),
    description="What is followed: churn_180d, ..., emcr_as_known (how far the move changed the incentive), deals_won (volume).",
    presence=Presence.REQUIRED,
)

PLAN_CHANGE_EFFECTS = Table(
    Layer.MARTS,
    "plan_change_effects",
    title="What changed for customers when sellers were moved to another pay plan.",
    grain="one row per plan change, outcome, term and quarter from the move",
    key=("plan_change", "outcome", "term", "relative_period"),
    columns=(
        *pick(VOCABULARY, "plan_change!!"),
        _OUTCOME,
        *pick(VOCABULARY, "term!! relative_period evidence_level!! estimator!! estimate estimate_lo estimate_hi"),
        replace(VOCABULARY["scale"], description="Unit of the estimate: a difference in this.", presence=Presence.REQUIRED),
        *pick(VOCABULARY, "p_value pre_trend_p moved_mean"),
        replace(VOCABULARY["n"], description="Deals behind the row.", unit="deals"),
        replace(VOCABULARY["events"], description="Deals among them with the event; null where the outcome is no share.", unit="deals"),
        *pick(VOCABULARY, "n_treated n_compared n_accounts mature_share e_value e_value_bound assumptions!! warnings!! suppressed!! sentence!!"),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | (_c("estimate").is_null() & _c("n").is_null()), SUPPRESSED_IS_NULL),
        Rule(
            "estimates_lie_in_their_interval",
            (_c("estimate_lo") <= _c("estimate") + 1e-8) & (_c("estimate") <= _c("estimate_hi") + 1e-8),
            "An interval holds its estimate.",
        ),
        Rule("warnings_are_known_words", _c("warnings").str.contains(_WARNINGS), "A fixed vocabulary can be filtered on."),
        Rule(
            "only_quarters_have_a_number",
            _c("relative_period").is_not_null() == (_c("term") == "quarter"),
            "A mean over quarters is no quarter.",
        ),
    ),
    audience=Audience.WIDE,
    query="SELECT plan_change, outcome, estimate, estimate_lo, estimate_hi, pre_trend_p, sentence FROM marts.plan_change_effects WHERE term = 'average' ORDER BY plan_change, outcome",
    do_not="Do not read an average without its `placebo` row and `pre_trend_p`: where those find something, the sellers were not comparable.",
)  # fmt: skip

TABLES = (INCENTIVE_EFFECTS, PLAN_CHANGE_EFFECTS)
