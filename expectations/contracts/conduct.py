"""Conduct monitoring: one row per seller, restricted."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from expectations.columns import VOCABULARY
from expectations.model import Audience, Layer, Presence, Reference, Rule, Table, pick

_c = pl.col

CONDUCT_INDICATORS = Table(
    Layer.MARTS,
    "conduct_indicators",
    title="What regulators ask of each seller, and what chance alone would bring.",
    grain="one row per seller, period and indicator",
    key=("indicator", "rep_id", "period"),
    columns=(
        *pick(VOCABULARY, "indicator!! rep_id!!"),
        replace(
            VOCABULARY["period"], values=(), description="Fiscal quarter of the close (reviews: of the review), or `all`.",
            presence=Presence.REQUIRED,
        ),
        *pick(
            VOCABULARY,
            "observed cases indicator_value expected_events ratio_to_expected shrunken_ratio shrunken_ratio_lo shrunken_ratio_hi "
            "chance_above_1_5 dispersion funnel_inner funnel_outer excess_p excess_q is_flagged!! flagged_from sellers_just_below "
            "sellers_just_above reviews!!",
        ),
    ),
    rules=(
        Rule(
            "a_flag_only_says_investigate",
            _c("is_flagged") == (_c("reviews") == "investigate"),
            "A count beyond chance asks for a look at it; it proves nothing about a person.",
        ),
        Rule(
            "shrunken_ratio_lies_in_its_interval",
            (_c("shrunken_ratio_lo") <= _c("shrunken_ratio") + 1e-9)
            & (_c("shrunken_ratio") <= _c("shrunken_ratio_hi") + 1e-9),
            "An interval holds its estimate.",
        ),
        Rule(
            "the_outer_limit_is_outside",
            _c("funnel_outer") >= _c("funnel_inner"),
            "99.9 % lie under a higher count than 97.5 %.",
        ),
    ),
    references=(Reference("rep_id", "reps"),),
    audience=Audience.RESTRICTED,
    query="SELECT indicator, count(*) AS sellers, count_if(is_flagged) AS to_investigate, any_value(sellers_just_below) AS just_below FROM marts.conduct_indicators WHERE period = 'all' GROUP BY indicator ORDER BY indicator",
    do_not="Do not rank sellers by it, and do not read a flag as a finding: it says where to look first.",
)  # fmt: skip

TABLES = (CONDUCT_INDICATORS,)
