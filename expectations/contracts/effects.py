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
            description="What happened to the customer: churn_180d, complaint_180d, ...",
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
            (_c("estimate_lo") <= _c("estimate") * (1 + 1e-9)) & (_c("estimate") <= _c("estimate_hi") * (1 + 1e-9)),
            "An interval holds its estimate.",
        ),
        Rule(
            "estimates_come_whole",
            _c("estimate").is_null() == _c("p_value").is_null(),
            "No estimate without its uncertainty.",
        ),
        Rule(
            "warnings_are_known_words",
            _c("warnings").str.contains(rf"^(?:(?:{_WORD})(?:, (?:{_WORD}))*)?$"),
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

TABLES = (INCENTIVE_EFFECTS,)
