"""What a plan looks like at a quota: its tiers in money, its jumps, how much it bends.

One row per tier of each plan, for describing plans, not for pricing deals (see `commission`).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.methods.commission import Schedules, price_positions, scale_by_target
from assets.methods.exact import (
    CENT,
    MONEY,
    RATE,
    UNIT,
    as_money,
    divide_half_up,
    round_to_cents,
    whole_cents,
)
from assets.methods.pay_curve import target_units

TIER_COLUMNS: Final = {
    "tier_number": pl.Int64(),
    "from_attainment": RATE,
    "tier_from_amount": MONEY,
    "rate": RATE,
    "jump_amount": MONEY,
    "pay_at_target": MONEY,
    "pay_at_double": MONEY,
    "base_rate": pl.Float64(),
    "accelerator_ratio": pl.Float64(),
    "convexity": pl.Float64(),
    "is_retroactive": pl.Boolean(),
    "is_accelerator": pl.Boolean(),
    "is_cliff": pl.Boolean(),
    "has_cap": pl.Boolean(),
    "null_reason": pl.String(),
}

CLIFF_SHARE: Final = (
    20  # a jump over one twentieth of pay at target is a cliff (10-definitions, plan_features)
)


def describe_tiers(plans: pl.DataFrame, schedules: Schedules) -> pl.DataFrame:
    """Tiers, jumps and convexity of plans at a typical quota.

    Args:
        plans: one row per plan: `schedules.key`, `quota_amount` Decimal(18,2), nullable, usually the median; optional
            `target_pay` Decimal(38,10), target incentive x weight where rates are shares of it (null: money per credit).
        schedules: from `compile_schedules`.

    Returns:
        The key and `TIER_COLUMNS`, sorted by key and `tier_number`, one row per tier (one row with null tier columns
        for a plan that cannot be priced, `null_reason` saying why).
        `jump_amount` = (r_k - r_{k-1}) L_k + B_k when retroactive, B_k when incremental, null without quota on a tier above 0;
        `pay_at_target`, `pay_at_double` = C(Q), C(2Q) with gate, floor and cap; `accelerator_ratio` = top rate / base
        rate; `convexity` = sum of (r_k - r_{k-1}) (2Q - L_k) / C(2Q) + jumps / C(2Q) over the tiers above the first that
        start under 2Q (0 on a linear plan); `is_accelerator`: rate over that of the tier below; `is_cliff`: jump over
        5 % of pay at target.
    """
    key = list(schedules.key)
    quota = whole_cents(pl.col("quota_amount"))
    target = target_units(plans.columns)
    share = (target.cast(pl.Float64) / 1e10 / pl.col("quota_amount").cast(pl.Float64)).fill_null(1.0)
    priced = _pay_at_quota(plans, schedules)
    parts = []
    for k in range(schedules.depth):
        edge, step, lump = (pl.col(f"_{name}_{k}").cast(pl.Int128) for name in ("edge", "step", "lump"))
        rate = pl.sum_horizontal(pl.col(f"_step_{j}").cast(pl.Int64) for j in range(k + 1))
        amount = edge * (quota if k else quota.fill_null(0))  # the first tier starts at 0 whatever the quota
        # only what rates pay is a share of target pay; a lump is money
        by_rate = scale_by_target(step * amount, target, quota)
        notch = pl.when("_retroactive").then(by_rate).otherwise(pl.lit(0, dtype=pl.Int128))
        jump = notch + lump * CENT if k else lump * CENT
        is_bend = edge < 2 * UNIT if k else pl.lit(value=False)
        bend = (
            pl.when(is_bend)
            .then(scale_by_target(step * (2 * UNIT * quota - amount), target, quota) + jump)
            .otherwise(pl.lit(0, dtype=pl.Int128))
        )
        part = schedules.rows.join(plans, on=key, maintain_order="left").select(
            *key,
            tier_number=pl.lit(k + 1, dtype=pl.Int64),
            from_attainment=_as_rate(edge),
            tier_from_amount=as_money(divide_half_up(amount, UNIT)),
            rate=_as_rate(rate),
            jump_amount=as_money(round_to_cents(jump)),
            is_retroactive="_retroactive",
            is_accelerator=(step > 0) if k else pl.lit(value=False),
            has_cap=pl.col("_cap").is_not_null(),
            top_rate=pl.sum_horizontal(pl.col(f"_step_{j}") for j in range(schedules.depth)).cast(pl.Float64)
            / UNIT
            * share,
            bend=bend.cast(pl.Float64) / (CENT * 100),
        )
        parts.append(part.filter(pl.col("from_attainment").is_not_null() | (pl.col("tier_number") == 1)))
    cliff = pl.col("jump_amount") * CLIFF_SHARE > pl.col("pay_at_target")
    return (
        pl.concat(parts)
        .join(priced, on=key, how="left")
        .with_columns(
            accelerator_ratio=_ratio(pl.col("top_rate"), pl.col("base_rate")),
            convexity=_ratio(pl.col("bend").sum().over(key), pl.col("pay_at_double").cast(pl.Float64)),
            is_cliff=cliff,
        )
        .select(*key, *TIER_COLUMNS)
        .sort(*key, "tier_number")
    )


def _pay_at_quota(plans: pl.DataFrame, schedules: Schedules) -> pl.DataFrame:
    """Key, C(Q), C(2Q), base rate and reason: a credit of Q on top of nothing, and another on top of that."""
    quota = pl.col("quota_amount")
    # a plan without quota is asked for its base rate only
    stand_in = quota.fill_null(1).cast(MONEY)
    pay = price_positions(
        plans.lazy().with_columns(credit_before=stand_in, credited_amount=stand_in), schedules
    ).select(
        *schedules.key,
        pl.when(quota.is_not_null()).then(_to_money("pay_before")).alias("pay_at_target"),
        pl.when(quota.is_not_null()).then(_to_money("pay_after")).alias("pay_at_double"),
        "base_rate",
        "null_reason",
    )
    return pay.collect()


def _to_money(column: str) -> pl.Expr:
    return as_money(round_to_cents(pl.col(column).to_physical()))


def _as_rate(units: pl.Expr) -> pl.Expr:
    return units.cast(pl.Decimal(38, 0)).truediv(pl.lit(UNIT, dtype=pl.Decimal(38, 8))).cast(RATE)


def _ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    return pl.when(denominator != 0).then(numerator / denominator).round(8)
