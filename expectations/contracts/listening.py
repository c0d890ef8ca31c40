"""Marts on how far the firm is from its customers, how much it hears, and how late."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from expectations.columns import VOCABULARY
from expectations.contracts.evidence import SUPPRESSED_IS_NULL
from expectations.model import Audience, Layer, Presence, Reference, Rule, Table, pick

_c = pl.col


def _holds(estimate: str) -> Rule:
    inside = (_c(f"{estimate}_lo") <= _c(estimate) + 1e-9) & (_c(estimate) <= _c(f"{estimate}_hi") + 1e-9)
    return Rule(f"{estimate}_lies_in_its_interval", inside, "An interval holds its estimate.")


_SEGMENT = replace(
    VOCABULARY["segment"],
    presence=Presence.REQUIRED,
    description="Customer segment as known today; `all`, `unknown`.",
)

CUSTOMER_DISTANCE = Table(
    Layer.MARTS,
    "customer_distance",
    title="How far the board is from the customer: degrees of separation, executive contact, what gets through.",
    grain="one row per segment and calendar month; `all` for either",
    key=("segment", "month"),
    columns=(
        _SEGMENT,
        replace(VOCABULARY["month"], presence=Presence.REQUIRED, description="Calendar month, or `all`."),
        *pick(
            VOCABULARY,
            "distance_mean distance_max distance_revenue_weighted placed_share customer_days owner_changes board_members "
            "is_board_assumed touches executive_touch_share executive_contact_resets fidelity fidelity_lo fidelity_hi fidelity_hops "
            "weakest_hop weakest_hop_share lag_ratio_per_step lag_ratio_per_step_lo lag_ratio_per_step_hi loss_ratio_per_step "
            "loss_ratio_per_step_lo loss_ratio_per_step_hi n_accounts n_sellers suppressed!!",
        ),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("customer_days").is_null(), SUPPRESSED_IS_NULL),
        Rule("no_mean_is_above_the_largest_distance", _c("distance_mean") <= _c("distance_max") + 1e-9, "A mean lies among its values."),
        *map(_holds, ("fidelity", "lag_ratio_per_step", "loss_ratio_per_step")),
    ),
    audience=Audience.WIDE,
    query="SELECT month, distance_mean, distance_revenue_weighted, executive_touch_share, fidelity, weakest_hop FROM marts.customer_distance WHERE segment = 'all' ORDER BY month",
    do_not="Do not read `fidelity` as the share of all that customers said: it begins with what was written down.",
)  # fmt: skip

UNMET_NEEDS = Table(
    Layer.MARTS,
    "unmet_needs",
    title="What is not being heard: needs told to sellers, to others, to both, and the rest.",
    grain="one row per dimension, value, fiscal quarter and kind of feedback",
    key=("dimension", "value", "quarter", "solicitation"),
    columns=(
        *pick(VOCABULARY, "dimension!! value!!"),
        replace(VOCABULARY["quarter"], presence=Presence.REQUIRED, description="Fiscal quarter in which the need was voiced first, or `all`."),
        *pick(
            VOCABULARY,
            "solicitation!! needs_by_sellers needs_by_others needs_by_both needs_estimate needs_estimate_lo needs_estimate_hi "
            "seller_capture_rate seller_capture_rate_lo seller_capture_rate_hi needs_watched needs_met met_365d met_365d_lo met_365d_hi "
            "needs_null_reason needs_caveat!! n n_accounts n_sellers suppressed!!",
        ),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("n").is_null(), SUPPRESSED_IS_NULL),
        Rule("nobody_hears_more_than_there_is", _c("needs_estimate") >= _c("n") - 1e-6, "What was heard is part of all."),
        Rule("needs_are_heard_by_somebody", _c("n") == _c("needs_by_sellers") + _c("needs_by_others") - _c("needs_by_both"), "Two lists, one overlap."),
        *map(_holds, ("needs_estimate", "seller_capture_rate", "met_365d")),
    ),
    audience=Audience.WIDE,
    query="SELECT value AS segment, solicitation, n, needs_estimate, needs_estimate_lo, needs_estimate_hi, seller_capture_rate FROM marts.unmet_needs WHERE dimension = 'segment' AND quarter = 'all' ORDER BY ALL",
    do_not="Do not add solicited and unsolicited needs: what was asked for says little about what is said unasked.",
)  # fmt: skip

MARKET_SHIFTS = Table(
    Layer.MARTS,
    "market_shifts",
    title="Shifts in what customers speak of: when they came, and when the firm saw, decided and shipped.",
    grain="one row per theme and channel",
    key=("theme_id", "channel"),
    columns=(
        *pick(VOCABULARY, "theme_id!!"),
        replace(VOCABULARY["channel"], presence=Presence.REQUIRED, values=(), description="Who heard it: seller, support, ..., or `all`."),
        *pick(
            VOCABULARY,
            "is_shift change_on change_on_lo change_on_hi share_before share_after change_p change_q changes_found weeks "
            "seen_on seen_days seen_censored board_seen_on board_seen_days board_seen_censored decided_on decided_days decided_censored "
            "shipped_on shipped_days shipped_censored half_peak_on decided_before_half_peak false_alarm_weeks!! false_discovery_rate!! "
            "shift_null_reason n n_accounts n_sellers suppressed!!",
        ),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("n").is_null(), SUPPRESSED_IS_NULL),
        Rule("what_is_no_shift_says_why", _c("is_shift") | _c("shift_null_reason").is_not_null(), "Never null, never silent."),
        Rule("nothing_is_seen_before_it_comes", (_c("seen_on") >= _c("change_on")) & (_c("decided_on") >= _c("change_on")), "Time runs forward."),
        Rule("the_change_lies_in_its_interval", (_c("change_on_lo") <= _c("change_on")) & (_c("change_on") <= _c("change_on_hi")), "An interval holds its estimate."),
    ),
    references=(Reference("theme_id", "themes"),),
    audience=Audience.WIDE,
    query="SELECT theme_id, channel, change_on, change_on_lo, change_on_hi, seen_days, board_seen_days, decided_days, decided_censored FROM marts.market_shifts WHERE is_shift ORDER BY ALL",
    do_not="Do not take `no_shift_found` for proof that nothing changed: slow drifts and small themes stay unseen.",
)  # fmt: skip

_PARTS = (
    "outbound_pressure calls_per_account_month touches_after_refusal_share discovery_share needs_per_deal month_end_extra_discount "
    "sustained_effort"
)

SELLING_STYLE = Table(
    Layer.MARTS,
    "selling_style",
    title="How teams sell: hard or soft, part by part and in one composite.",
    grain="one row per team and fiscal quarter; team `all`",
    key=("team", "quarter"),
    columns=(
        replace(VOCABULARY["team"], presence=Presence.REQUIRED, description="Team as known today, `all`, or `unknown`."),
        replace(VOCABULARY["quarter"], presence=Presence.REQUIRED),
        *pick(
            VOCABULARY,
            f"{_PARTS} style_composite composite_parts composite_weight {' '.join(f'{name}_part' for name in _PARTS.split())} "
            "won_deals n n_accounts n_sellers suppressed!!",
        ),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("n").is_null(), SUPPRESSED_IS_NULL),
        Rule(
            "the_composite_is_the_mean_of_its_parts",
            (_c("style_composite") - pl.sum_horizontal(f"{name}_part" for name in _PARTS.split()) * _c("composite_weight")).abs() < 1e-6,
            "Published parts add up to what is published of them.",
        ),
    ),
    audience=Audience.WIDE,
    query="SELECT quarter, outbound_pressure, discovery_share, needs_per_deal, style_composite FROM marts.selling_style WHERE team = 'all' ORDER BY quarter",
    do_not="Do not rank teams by the composite, nor hold it against their customers' losses: it says how they sell; what goes through it is told deal by deal, in the rows on mediation of `incentive_effects`, and what it moves before in `lead_lags`.",
)  # fmt: skip

_IN_DEVIATIONS = "standard deviations per standard deviation"

LEAD_LAGS = Table(
    Layer.MARTS,
    "lead_lags",
    title="What moves first: pay, behaviour or outcomes.",
    grain="one row per leading series, following series and lag in quarters",
    key=("leading_series", "following_series", "lag_quarters"),
    columns=(
        *pick(VOCABULARY, "link!! leading_series!! following_series!! lag_quarters!! is_claimed_order!!"),
        *(
            replace(VOCABULARY[name], description=text, unit=_IN_DEVIATIONS, minimum=None)
            for name, text in (
                ("estimate", "What `leading_series` told of `following_series` beyond the past of both, within teams and quarters."),
                ("estimate_lo", "Lower end of the 95 % interval of `estimate`, clustered by team."),
                ("estimate_hi", "Upper end of the 95 % interval of `estimate`, clustered by team."),
            )
        ),
        VOCABULARY["p_value"],
        replace(VOCABULARY["q_value"], description="False-discovery rate (Benjamini-Hochberg) over all rows."),
        replace(VOCABULARY["n"], description="Team-quarters in the regression.", unit="team-quarters"),
        *pick(VOCABULARY, "teams"),
        replace(VOCABULARY["quarters"], description="Quarters in the regression."),
        *pick(VOCABULARY, "n_accounts n_sellers lead_null_reason suppressed!! sentence!!"),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | (_c("estimate").is_null() & _c("n").is_null()), SUPPRESSED_IS_NULL),
        Rule("no_series_leads_itself", _c("leading_series") != _c("following_series"), "Its own past is held fixed."),
        Rule("what_has_no_number_says_why", _c("estimate").is_not_null() | _c("lead_null_reason").is_not_null(), "Never null, never silent."),
        Rule("estimates_come_whole", _c("estimate").is_null() == _c("p_value").is_null(), "No estimate without its uncertainty."),
        _holds("estimate"),
    ),
    audience=Audience.WIDE,
    query="SELECT link, leading_series, following_series, lag_quarters, estimate, estimate_lo, estimate_hi, q_value, sentence FROM marts.lead_lags ORDER BY link, is_claimed_order DESC, leading_series, following_series, lag_quarters",
    do_not="Do not read a lead as a cause, and do not read one direction without the other: where both tell, neither leads.",
)  # fmt: skip

TABLES = (CUSTOMER_DISTANCE, UNMET_NEEDS, MARKET_SHIFTS, SELLING_STYLE, LEAD_LAGS)
