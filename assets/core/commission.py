"""Core rules of the commission tables that rows keep only together: ladders of tiers, periods, splits of a deal."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from assets.core.groups import GroupCheck, overlapping

_HALF_STEP = Decimal("0.000000005")  # a weight written with 8 decimals is off by at most this


def _broken_ladders(rows: pl.LazyFrame, by: tuple[str, ...]) -> pl.LazyFrame:
    """Components of which some ladder does not start at 0, does not rise, or skips a tier number.

    Tiers of a product form a ladder of their own; tier numbers may run on from one ladder to the next.
    """
    ladder = [*by, "product_id"]
    edge = pl.col("from_attainment")
    tier = pl.col("tier")
    not_rising = (edge <= edge.shift()).any().over(ladder, order_by="tier")
    not_from_zero = edge.min().over(ladder) != 0
    skips = (tier.diff() != 1).any().over(ladder, order_by="tier")
    skips_anywhere = (tier.diff() != 1).any().over(by, order_by="tier")
    broken = (not_rising | not_from_zero | (skips & skips_anywhere)).any().over(by)
    return rows.filter(broken)


def _broken_splits(rows: pl.LazyFrame, by: tuple[str, ...]) -> pl.LazyFrame:
    """Deals whose primary credits don't add up to one deal.

    A null credit type is primary. Overlay credits stand beside the deal. Negative credits take back, they don't share out.
    A plan with several components credits the deal once for each: then every component adds up on its own.
    """
    primary = (pl.col("credit_type").fill_null("primary") == "primary") & (pl.col("credited_amount") >= 0)
    shares = rows.filter(primary).with_columns(pl.col("component").fill_null("commission"))
    total = _off_one(pl.col("split_weight").sum(), pl.len())
    by_component = shares.group_by(*by, "component").agg(total.alias("_off")).group_by(by)
    off_each = by_component.agg(pl.col("_off").any().alias("_each"))
    off_all = shares.group_by(by).agg(total.alias("_all"))
    off = off_all.join(off_each, on=by).filter("_all", "_each").select(by)
    return rows.join(off, on=by, how="semi")


def _off_one(total: pl.Expr, parts: pl.Expr) -> pl.Expr:
    """Whether weights miss 1 by more than their own rounding to 8 decimals explains (1e-8, or half a step each)."""
    missing = (total.cast(pl.Decimal(38, 9)) - pl.lit(Decimal(1))).abs()
    slack = pl.max_horizontal(parts, pl.lit(2)).cast(pl.Decimal(28, 0)) * pl.lit(_HALF_STEP)
    return missing > slack


GROUP_RULES: dict[str, GroupCheck] = {
    "plan_versions_do_not_overlap": overlapping("valid_from", "valid_to"),
    "tiers_start_at_zero_and_rise": GroupCheck(_broken_ladders, needs_every_row=True),
    "plan_assignments_do_not_overlap": overlapping("valid_from", "valid_to"),
    "quotas_do_not_overlap": overlapping("period_start", "period_end"),
    "splits_sum_to_one": GroupCheck(_broken_splits),
}
"""Implementations of the group rules that `expectations.contracts.commission` declares, by name."""
