"""Marts on how far the firm is from its customers, how much it hears, and how late."""

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

TABLES = (CUSTOMER_DISTANCE,)
