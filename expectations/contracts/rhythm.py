"""Marts on when the firm sells: the rhythm of sales, and what a pay threshold does to where periods end."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from expectations.columns import VOCABULARY
from expectations.contracts.evidence import SUPPRESSED_IS_NULL
from expectations.model import Audience, Layer, Presence, Rule, Table, pick

_c = pl.col


def _holds(estimate: str) -> Rule:
    inside = (_c(f"{estimate}_lo") <= _c(estimate) + 1e-9) & (_c(estimate) <= _c(f"{estimate}_hi") + 1e-9)
    return Rule(f"{estimate}_lies_in_its_interval", inside, "An interval holds its estimate.")


SALES_RHYTHM = Table(
    Layer.MARTS,
    "sales_rhythm",
    title="The rhythm of selling: which period it follows, peaks, troughs, and what comes after.",
    grain="one row per organisation unit (dimension, value), candidate period and phase",
    key=("dimension", "value", "candidate_period", "phase"),
    columns=(
        replace(VOCABULARY["dimension"], description="Kind of organisation unit: all (the company), region, team."),
        replace(VOCABULARY["value"], description="Organisation unit, by the seller's region or team as known today."),
        *pick(
            VOCABULARY,
            "value_order candidate_period!! phase!! phase_days full_cycles bookings bookings_index bookings_index_lo bookings_index_hi "
            "won_deals won_index won_index_lo won_index_hi closed_deals win_rate win_rate_lo win_rate_hi discount_share "
            "discount_share_lo discount_share_hi phase_activities activity_index activity_index_lo activity_index_hi index_peak_to_trough "
            "index_peak_to_trough_lo index_peak_to_trough_hi end_of_period_share end_of_period_share_lo end_of_period_share_hi slump_after_period "
            "slump_after_period_lo slump_after_period_hi sustained_effort_index sustained_effort_index_lo sustained_effort_index_hi "
            "last_days_closed last_days_win_rate last_days_win_rate_lo last_days_win_rate_hi other_days_win_rate other_days_win_rate_lo "
            "other_days_win_rate_hi sellers_compared sellers_rising phase_statistic candidate_p rhythm_p is_period_found "
            "rhythm_null_reason n n_accounts n_sellers suppressed!!",
        ),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("bookings").is_null(), SUPPRESSED_IS_NULL),
        Rule("won_deals_are_closed_deals", _c("won_deals") <= _c("closed_deals"), "A deal is won when it closes."),
        Rule(
            "a_found_period_was_seen_twice",
            ~_c("is_period_found") | (_c("full_cycles") >= 2),
            "A period seen once can't be told from a trend.",
        ),
        *map(_holds, ("bookings_index", "win_rate", "index_peak_to_trough", "slump_after_period")),
    ),
    audience=Audience.WIDE,
    query="SELECT candidate_period, phase, bookings, bookings_index, win_rate, rhythm_p FROM marts.sales_rhythm WHERE dimension = 'all' AND is_period_found ORDER BY phase",
    do_not="Do not read a rhythm as made by the pay plan: customers' budgets end with the same quarters.",
)  # fmt: skip

QUOTA_BUNCHING = Table(
    Layer.MARTS,
    "quota_bunching",
    title="Whether pay periods end just past a pay threshold more often than they would without it.",
    grain="one row per plan, component, threshold, window and specification; plan `all` pools plans",
    key=("plan_id", "component", "threshold", "window", "specification_name"),
    columns=(
        replace(VOCABULARY["plan_id"], presence=Presence.REQUIRED, description="Pay plan, or `all` where several plans are pooled."),
        *pick(VOCABULARY, "component!! threshold!! threshold_kind!! predicted_side!! is_placebo!!"),
        *pick(VOCABULARY, "window!! specification_name!! bin_width!! degree!! constrained_side!!"),
        *pick(
            VOCABULARY,
            "excess_mass excess_mass_lo excess_mass_hi excess_mass_se excess_mass_se_residual missing_mass missing_mass_lo "
            "missing_mass_hi counterfactual_height normalised_excess normalised_excess_lo normalised_excess_hi just_below just_above",
        ),
        replace(VOCABULARY["n"], description="Seller-periods in reach of the fit: half the quota to either side of the threshold."),
        *pick(VOCABULARY, "n_sellers density_ratio density_p evidence_level!! warnings!! discontinuity_warning!! bunching_null_reason suppressed!!"),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("excess_mass").is_null(), SUPPRESSED_IS_NULL),
        Rule("a_placebo_pays_nothing", _c("is_placebo") == (_c("threshold_kind") == "placebo"), "One fact, two spellings."),
        Rule("estimates_stand_on_200_seller_periods", _c("excess_mass").is_null() | (_c("n") >= 200), "Fewer leave bins of a handful."),
        *map(_holds, ("excess_mass", "missing_mass", "normalised_excess")),
    ),
    audience=Audience.WIDE,
    query="SELECT plan_id, threshold, threshold_kind, excess_mass, excess_mass_lo, excess_mass_hi, just_below, just_above FROM marts.quota_bunching WHERE specification_name = 'headline' ORDER BY ALL",
    do_not="Do not run a regression discontinuity at a pay threshold: sellers choose when deals close, so those on either side are not alike. The bunching is the evidence.",
)  # fmt: skip

TABLES = (SALES_RHYTHM, QUOTA_BUNCHING)
