"""Pay for results that no deal carries: calls, market share, retention, satisfaction.

    rate_basis credit   pay = C(achieved): money per unit of the measure
    rate_basis target   pay = target x f(achieved / quota), f piecewise linear with the tiers' rates as slopes

A result belongs to its whole pay period: a part of the period is paid its share by days (see `share_out`). Tiers, gate and
lumps as in `commission`; a measure has more decimals than money, so it is counted in units of 1e-8.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.methods.exact import CENT, UNIT, whole_cents, whole_units
from assets.methods.pay_curve import prorate

TIER_COLUMNS: Final = ("tier", "from_attainment", "rate", "lump_bonus")


def share_out(
    by_rate: pl.Expr, by_lump: pl.Expr, *, is_target: pl.Expr, days: str, of: str
) -> tuple[pl.Expr, pl.Expr]:
    """What the result of a whole pay period pays in some `days` `of` it.

    Args:
        by_rate: earned by rates, Int128; as a share of target pay where `is_target`, which comes shared out by days itself.
        by_lump: earned by lumps, Int128 money.
        is_target: whether rates are shares of target pay.
        days: column of whole numbers; null is the whole period.
        of: column of whole numbers.
    """
    shared = (prorate(whole, days, of) for whole in (by_rate, by_lump))
    return pl.when(is_target).then(by_rate).otherwise(next(shared)), next(shared)


def pay_measures(results: pl.LazyFrame, tiers: pl.LazyFrame, key: tuple[str, ...]) -> pl.LazyFrame:
    """Pay each result.

    Args:
        results: one row per `row` (integer): `key`, `achieved` Decimal(18,8), `quota_amount` Decimal(18,2) (null: none),
            `tier_method`, `rate_basis`, `target` Float64 (target incentive x weight; null: unknown), `gate_attainment`,
            `gate_from`; `days` of `period_days` are paid (null: all), for which `target` comes shared out.
        tiers: `key` and `TIER_COLUMNS`, rising.
        key: columns that name a ladder of tiers.

    Returns:
        One row per `row` of results: `curve` Float64 (target basis: f, else null), `measured_pay` Float64 money,
        `measured_attainment` Float64 (null without quota), `measured_reason` (no_tiers, no_quota, quota_not_positive,
        no_component_result, no_target_incentive) where the pay is null.
    """
    c = pl.col
    step = (c("rate") - c("rate").shift(1).over(key, order_by="tier").fill_null(0)).alias("step")
    lump = whole_cents(c("lump_bonus")).fill_null(0)
    ladders = tiers.select(
        *key,
        step=whole_units(step).cast(pl.Int128),
        edge=whole_units(c("from_attainment")).cast(pl.Int128),
        lump=lump,
    )
    plain = ladders.group_by(key).agg(
        is_plain=(pl.len() == 1) & (c("edge") == 0).all() & (c("lump") == 0).all()
    )
    quota = whole_cents(c("quota_amount")) * 10**6
    gate = whole_units(c("gate_attainment")).fill_null(0).cast(pl.Int128)
    rows = (
        results.join(plain, on=list(key), how="left")
        .with_columns(is_plain=c("is_plain") & (gate == 0) & (c("rate_basis") != "target"))
        .with_columns(
            measured_reason=pl.coalesce(
                pl.when(c("is_plain").is_null()).then(pl.lit("no_tiers")),
                pl.when(~c("is_plain") & quota.is_null()).then(pl.lit("no_quota")),
                pl.when(~c("is_plain") & (quota <= 0)).then(pl.lit("quota_not_positive")),
                pl.when(c("achieved").is_null()).then(pl.lit("no_component_result")),
            ),
            _at=whole_units(c("achieved")).cast(pl.Int128) * UNIT,
            _quota=pl.when(quota > 0).then(quota),
            _gate=gate,
            _paid_from=pl.when(c("gate_from") == "threshold")
            .then(gate)
            .otherwise(pl.lit(0, dtype=pl.Int128)),
        )
    )
    quota_or_none = c("_quota").fill_null(0)
    reached = (c("_at") >= c("edge") * quota_or_none) & (c("_at") >= c("_gate") * quota_or_none)
    counted_from = (
        pl.when(c("tier_method") == "retroactive")
        .then("_paid_from")
        .otherwise(pl.max_horizontal("edge", "_paid_from"))
    )
    above = pl.max_horizontal(c("_at") - counted_from * quota_or_none, pl.lit(0, dtype=pl.Int128))
    zero = pl.lit(0, dtype=pl.Int128)
    earned = (
        rows.filter(c("measured_reason").is_null())
        .join(ladders, on=list(key))
        .group_by("row")
        .agg(
            slices=pl.when(reached).then(c("step") * above).otherwise(zero).sum(),
            lumps=pl.when(reached).then("lump").otherwise(zero).sum(),
        )
    )
    is_target = c("rate_basis") == "target"
    curve = c("slices").cast(pl.Float64) / (c("_quota").cast(pl.Float64) * 1e16)
    by_rate, by_lump = share_out(
        c("slices"), c("lumps") * CENT, is_target=is_target, days="days", of="period_days"
    )
    money = pl.when(is_target).then(c("target") * curve).otherwise(
        by_rate.cast(pl.Float64) / 1e24
    ) + by_lump.cast(pl.Float64) / (CENT * 100)
    return rows.join(earned, on="row", how="left").select(
        "row",
        curve=pl.when(is_target).then(curve),
        measured_pay=money,
        measured_attainment=c("_at").cast(pl.Float64) / (c("_quota").cast(pl.Float64) * UNIT),
        measured_reason=pl.coalesce(
            "measured_reason", pl.when(is_target & c("target").is_null()).then(pl.lit("no_target_incentive"))
        ),
    )
