"""Commission plans as exact step functions: what a deal added to its seller's pay.

A plan prices the total credit s of a pay period: C(s). Its tiers start at attainments a_k of a quota Q, so at money
L_k = a_k Q; the edge belongs to the upper tier.

    incremental   C(s) = sum of (r_k - r_{k-1}) max(0, s - L_k) + sum of B_k over L_k <= s
    retroactive   C(s) = r_{k(s)} s                             + sum of B_k over L_k <= s

A gate at a_0 pays nothing below L_0; above it `first_unit` pays everything and `threshold` counts credit from L_0 only
(lump bonuses whose edge lies under the gate are paid when it opens). A floor (or a non-recoverable draw) and a cap are
applied last; below zero credit a plan pays nothing. Where rates are slopes of a share f of target pay, C(s) above is Q f
and pay is K C(s) / Q with K the target pay of the component; lumps, floor and cap are money either way. Slope of pay as
incentive intensity: Holmstrom and Milgrom (1991).

Everything is whole-number arithmetic (see `exact`), as polars expressions: nothing is exploded or grouped, so a lazy
frame of positions streams. Which credits precede a deal is not decided here (see `credit_order`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.methods.exact import (
    CENT,
    MONEY,
    RATE,
    UNIT,
    as_estimate,
    as_money,
    as_pay,
    divide_half_up,
    ratio_of_wholes,
    round_to_cents,
    whole_cents,
    whole_units,
)
from assets.methods.pay_curve import (
    add_up,
    earn_at,
    earn_below_quota,
    is_reached,
    list_bounds,
    target_units,
)

PLAN_KEY: Final = ("plan_id", "version", "component")

POSITION_COLUMNS: Final = {"credit_before": MONEY, "credited_amount": MONEY, "quota_amount": MONEY}

PRICED_COLUMNS: Final = {
    "pay_before": pl.Decimal(38, 18),
    "pay_after": pl.Decimal(38, 18),
    "added_pay": pl.Decimal(38, 18),
    "pay_amount": MONEY,
    "emcr": pl.Float64(),
    "base_rate": pl.Float64(),
    "relative_intensity": pl.Float64(),
    "attainment_before": pl.Float64(),
    "attainment_after": pl.Float64(),
    "distance_to_threshold": pl.Float64(),
    "is_pivotal": pl.Boolean(),
    "tier_before": pl.Int64(),
    "null_reason": pl.String(),
    "relative_null_reason": pl.String(),
}

_RANGE: Final = (
    1e19  # largest credit x total rate (money) that leaves room for every intermediate in 127 bits
)


@dataclass(frozen=True, slots=True)
class Schedules:
    """Compiled plans, one row each, ready to be joined to positions.

    Attributes:
        key: columns that name a schedule, unique in `rows`.
        depth: largest number of tiers of any schedule.
        rows: key, `_fault` (why the plan cannot be priced, else null), facts and, for tier k = 0 .. depth - 1,
            `_edge_k` (1e-8 of quota), `_step_k` (r_k - r_{k-1}, 1e-8), `_lump_k` (cents). Shorter plans are padded
            with null edges and zero steps and lumps.
    """

    key: tuple[str, ...]
    depth: int
    rows: pl.DataFrame


def compile_schedules(plans: pl.DataFrame, tiers: pl.DataFrame, key: Sequence[str] = PLAN_KEY) -> Schedules:
    """Turn plans and their tiers into one wide row per plan.

    Args:
        plans: one row per `key`: `tier_method` (incremental, retroactive); optional columns, null when absent:
            `gate_attainment` Decimal(18,8), `gate_from` (first_unit, threshold; null means first_unit), `cap` and
            `floor` Decimal(18,2) in plan currency per pay period.
        tiers: one row per `key` and tier: `tier`, `from_attainment` Decimal(18,8), `rate` Decimal(18,8) in money per unit
            of credit, `lump_bonus` Decimal(18,2), optional. Tiers of one plan are taken in the order of `tier` when
            those are whole numbers (then a missing number is a gap), else in the order of `from_attainment`.
        key: columns that name a plan; add `product_id` for product kickers, a segment for prorated periods.

    Returns:
        Schedules. A plan that cannot be priced keeps its row with a fault: `tier_method_unknown`, `no_tiers`,
        `tiers_incomplete`, `tiers_leave_gap`, `tiers_do_not_start_at_zero`, `tiers_do_not_rise`.

    Raises:
        ValueError: when a plan occurs twice.
    """
    key = tuple(key)
    if plans.select(key).is_duplicated().any():
        raise ValueError(f"a plan occurs twice: {key} must be unique")
    optional = {"gate_attainment": RATE, "gate_from": pl.String(), "cap": MONEY, "floor": MONEY}
    facts = plans.select(
        *key,
        "tier_method",
        *(pl.col(n) if n in plans.columns else pl.lit(None, dtype=t).alias(n) for n, t in optional.items()),
    )
    lists = _list_tiers(tiers, key)
    depth = max(1, lists.select(pl.col("edges").list.len().max()).item() or 0)
    gate = whole_units(pl.col("gate_attainment")).fill_null(0)
    fault = pl.coalesce(
        pl.when(
            pl.col("tier_method").is_in(["incremental", "retroactive"]).not_().fill_null(value=True)
        ).then(pl.lit("tier_method_unknown")),
        pl.when(pl.col("edges").is_null()).then(pl.lit("no_tiers")),
        "tier_fault",
    )
    is_plain = (pl.col("edges").list.len() == 1) & (pl.col("lumps").list.sum() == 0) & (gate == 0)
    rows = facts.join(lists, on=key, how="left", maintain_order="left").select(
        *key,
        fault.alias("_fault"),
        (pl.col("tier_method") == "retroactive").alias("_retroactive"),
        is_plain.not_().alias("_needs_quota"),
        gate.alias("_gate"),
        pl.when(pl.col("gate_from") == "threshold").then(gate).otherwise(0).alias("_paid_from"),
        pl.col("steps").list.eval(pl.element().abs()).list.sum().cast(pl.Float64).alias("_total_rate") / UNIT,
        whole_cents(pl.col("cap")).alias("_cap"),
        whole_cents(pl.col("floor")).alias("_floor"),
        *(_item("edges", k).alias(f"_edge_{k}") for k in range(depth)),
        *(_item("steps", k).fill_null(0).alias(f"_step_{k}") for k in range(depth)),
        *(_item("lumps", k).fill_null(0).alias(f"_lump_{k}") for k in range(depth)),
    )
    return Schedules(key=key, depth=depth, rows=rows)


def _item(lists: str, k: int) -> pl.Expr:
    return pl.col(lists).list.get(k, null_on_oob=True)


def _list_tiers(tiers: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """One row per plan: lists `edges`, `steps`, `lumps` in tier order, and `tier_fault`."""
    lump = pl.col("lump_bonus") if "lump_bonus" in tiers.columns else pl.lit(None, dtype=MONEY)
    number = pl.col("tier").cast(pl.Int64, strict=False)
    ordered = (
        tiers.with_columns(
            edge=whole_units(pl.col("from_attainment")),
            rate=whole_units(pl.col("rate")),
            lump=whole_cents(lump).cast(pl.Int64).fill_null(0),
            number=pl.when(number.is_not_null().all().over(key)).then(number),
        )
        .sort(*key, "number", "edge", "rate", maintain_order=True)
        .with_columns(
            step=pl.col("rate") - pl.col("rate").shift(1).over(key).fill_null(0),
            rise=pl.col("edge") - pl.col("edge").shift(1).over(key),
        )
    )
    grouped = ordered.group_by(key, maintain_order=True)
    faults = {
        "tiers_incomplete": (pl.col("edge").is_null() | pl.col("rate").is_null()).any(),
        "tiers_leave_gap": (pl.col("number").diff().drop_nulls() != 1).any(),
        "tiers_do_not_start_at_zero": pl.col("edge").first() != 0,
        "tiers_do_not_rise": (pl.col("rise") <= 0).any(),
    }
    return grouped.agg(
        edges="edge",
        steps="step",
        lumps="lump",
        tier_fault=pl.coalesce(*(pl.when(broken).then(pl.lit(name)) for name, broken in faults.items())),
    )


def price_positions(positions: pl.LazyFrame, schedules: Schedules) -> pl.LazyFrame:
    """Price every position: the pay before and after a credit, its slope, and where the thresholds are.

    Args:
        positions: one row per credit to price, any further columns are kept. Needs the columns of `schedules.key` and
            `credit_before` Decimal(18,2) (s), `credited_amount` Decimal(18,2) (x), `quota_amount` Decimal(18,2) (Q,
            nullable), all in plan currency. Optional: `draw` Decimal(18,2), a non-recoverable draw (a floor);
            `target_pay` Decimal(38,10), target incentive x weight where rates are shares of it (null: money per credit);
            `days_counted` and `days_in_period`, which prorate cap and floor (half up to cents; `draw`, `target_pay` and
            quota come prorated); `null_reason`, a reason found earlier, which wins.
        schedules: from `compile_schedules`.

    Returns:
        The positions, in any order, with `PRICED_COLUMNS`:
        `pay_before`, `pay_after` = C(s), C(s + x), `added_pay` their difference, unrounded Decimal(38,18);
        `pay_amount` Decimal(18,2) = round(C(s + x)) - round(C(s)), half up, so it adds up to the period's pay;
        `emcr` = added_pay / x and `base_rate` = C(Q-)/Q in money per unit of credit, `relative_intensity` their ratio;
        `attainment_before`, `attainment_after`, `distance_to_threshold` as a share of quota (null without quota;
        distance null above the last threshold); all Float64 with eight decimals. `is_pivotal`: a tier edge or the gate
        lies in (s, s + x]. `tier_before`: 1-based number of the tier that holds s. `null_reason` says why `emcr` is
        null: `no_plan`, a fault of the plan, `no_quota`, `quota_not_positive`, `no_amount`, `credit_before_unknown`,
        `amount_out_of_range`, `not_a_sale` (x <= 0: pay is priced, emcr is not). `relative_null_reason` repeats it or
        says `base_rate_zero`.

    A plan of one tier from 0 without lump and gate needs no quota: emcr = rate, attainment null.
    """
    k_range = range(schedules.depth)
    names = positions.collect_schema().names()
    earlier = pl.col("null_reason") if "null_reason" in names else pl.lit(None, dtype=pl.String)
    target = target_units(names)
    quota = pl.col("quota_amount")
    before, credit = pl.col("credit_before"), pl.col("credited_amount")
    size = (before.abs() + credit.abs() + quota.abs().fill_null(0)).cast(pl.Float64)
    per_quota = (target.cast(pl.Float64) / 1e10 / quota.cast(pl.Float64)).fill_null(1.0)
    needs_quota = pl.col("_needs_quota") | target.is_not_null()
    unpriced = pl.coalesce(
        earlier,
        pl.when(pl.col("_needs_quota").is_null() & pl.col("_fault").is_null()).then(pl.lit("no_plan")),
        "_fault",
        pl.when(needs_quota & quota.is_null()).then(pl.lit("no_quota")),
        pl.when(needs_quota & (quota <= 0)).then(pl.lit("quota_not_positive")),
        pl.when(credit.is_null()).then(pl.lit("no_amount")),
        pl.when(before.is_null()).then(pl.lit("credit_before_unknown")),
        pl.when(size * (pl.col("_total_rate") + 1) * pl.max_horizontal(per_quota, 1.0) >= _RANGE).then(
            pl.lit("amount_out_of_range")
        ),
    )
    floor, cap = list_bounds(names)
    priced = (
        positions.join(schedules.rows.lazy(), on=schedules.key, how="left")
        .with_columns(null_reason=unpriced)
        .with_columns(
            # nulls for what has no price keep every later expression free of conditions and of overflow
            _s=pl.when(pl.col("null_reason").is_null()).then(whole_cents(before)) * UNIT,
            _x=pl.when(pl.col("null_reason").is_null()).then(whole_cents(credit)) * UNIT,
            _q=pl.when(pl.col("null_reason").is_null() & (quota > 0)).then(whole_cents(quota)),
            _floor=floor,
            _cap=cap,
            _target=target,
        )
        .with_columns(_c0=_pay_at(pl.col("_s"), k_range), _c1=_pay_at(pl.col("_s") + pl.col("_x"), k_range))
        .with_columns(_added=pl.col("_c1") - pl.col("_c0"), _base=_pay_below_quota(k_range))
    )
    s, x, q, added = pl.col("_s"), pl.col("_x"), pl.col("_q"), pl.col("_added")
    is_sale = x > 0
    emcr = as_estimate(pl.when(is_sale).then(divide_half_up(added, x)))
    # on a plan without quota one cent stands for it: the rate does not depend on it
    base_quota = pl.coalesce(q, pl.when(s.is_not_null()).then(pl.lit(1, dtype=pl.Int128)))
    relative = (added.cast(pl.Float64) / x.cast(pl.Float64)) / (
        pl.col("_base").cast(pl.Float64) / (base_quota * UNIT).cast(pl.Float64)
    )
    thresholds = list(_thresholds(k_range))
    next_threshold = pl.min_horizontal(*(pl.when(t > s).then(t) for t in thresholds))
    reason = pl.coalesce("null_reason", pl.when(~is_sale).then(pl.lit("not_a_sale")))
    return priced.select(
        *(n for n in names if n != "null_reason"),
        as_pay(pl.col("_c0")).alias("pay_before"),
        as_pay(pl.col("_c1")).alias("pay_after"),
        as_pay(added).alias("added_pay"),
        as_money(round_to_cents(pl.col("_c1")) - round_to_cents(pl.col("_c0"))).alias("pay_amount"),
        emcr.alias("emcr"),
        as_estimate(divide_half_up(pl.col("_base"), base_quota * UNIT)).alias("base_rate"),
        pl.when(is_sale & (pl.col("_base") != 0)).then(relative.round(8)).alias("relative_intensity"),
        ratio_of_wholes(s // UNIT, q).alias("attainment_before"),
        ratio_of_wholes((s + x) // UNIT, q).alias("attainment_after"),
        as_estimate(divide_half_up(next_threshold - s, q)).alias("distance_to_threshold"),
        pl.when(s.is_not_null())
        .then(pl.any_horizontal(*((s < t) & (t <= s + x) for t in thresholds)).fill_null(value=False))
        .alias("is_pivotal"),
        pl.when(s.is_not_null())
        .then(add_up(is_reached(s, k).cast(pl.Int64) for k in k_range).clip(1))
        .alias("tier_before"),
        reason.alias("null_reason"),
        pl.coalesce(reason, pl.when(pl.col("_base") == 0).then(pl.lit("base_rate_zero"))).alias(
            "relative_null_reason"
        ),
    )


def _thresholds(k_range: range) -> Iterator[pl.Expr]:
    """Credits in 1e-10 of money where a seller sees a step: tier edges above zero and the gate, null when there is none."""
    quota = pl.col("_q")
    yield pl.when(pl.col("_gate") > 0).then(pl.col("_gate").cast(pl.Int128) * quota)
    yield from (pl.col(f"_edge_{k}").cast(pl.Int128) * quota for k in k_range if k > 0)


def scale_by_target(by_rate: pl.Expr, target: pl.Expr, quota: pl.Expr) -> pl.Expr:
    """Shares of target pay as money: K C / Q, half up to 1e-18 in parts that stay within 127 bits; unchanged without a target.

    What a half cent or half a unit of EMCR decides is a whole number of 1e-18, so this rounding decides nothing.

    Args:
        by_rate: C by rates in 1e-18 of money, Int128.
        target: K in 1e-10 of money, Int128.
        quota: Q in cents.
    """
    by = quota.cast(pl.Int128) * UNIT
    whole = by_rate // by
    scaled = whole * target + divide_half_up((by_rate - whole * by) * target, by)
    return pl.when(target.is_null()).then(by_rate).otherwise(scaled)


def _scale(by_rate: pl.Expr) -> pl.Expr:
    return scale_by_target(by_rate, pl.col("_target"), pl.col("_q"))


def _pay_at(credit: pl.Expr, k_range: range) -> pl.Expr:
    """C at a credit given in 1e-10 of money, in 1e-18 of money, Int128; null at null."""
    by_rate, by_lump = earn_at(credit, k_range)
    earned = _scale(by_rate) + by_lump
    bounded = pl.min_horizontal(pl.max_horizontal(earned, pl.col("_floor") * CENT), pl.col("_cap") * CENT)
    return pl.when(credit.is_not_null()).then(bounded)


def measure_curves(points: pl.LazyFrame, schedules: Schedules, *credits_: str) -> pl.LazyFrame:
    """What a component has earned at some credits before floor, cap and target pay: the parts of a plan paid as a whole.

    Args:
        points: the columns of `schedules.key`, `quota_amount` Decimal(18,2) nullable, and `credits_`; further columns are kept.
        schedules: from `compile_schedules`.
        credits_: Int128 columns, credit in 1e-10 of money.

    Returns:
        The points in any order with, for every credit, `{credit}_by_rate` and `{credit}_by_lump`, Int128 in 1e-18 of
        money (rates per unit of credit: over Q this is f); `below_by_rate`, `below_by_lump`, the same just below the
        quota (of one cent where there is none); `fault`, why there are none: `no_component`, a fault of the schedule,
        `no_quota`, `quota_not_positive`.
    """
    k_range = range(schedules.depth)
    names = points.collect_schema().names()
    quota = pl.col("quota_amount")
    fault = pl.coalesce(
        "_fault",
        pl.when(pl.col("_needs_quota").is_null()).then(pl.lit("no_component")),
        pl.when(pl.col("_needs_quota") & quota.is_null()).then(pl.lit("no_quota")),
        pl.when(pl.col("_needs_quota") & (quota <= 0)).then(pl.lit("quota_not_positive")),
    )
    is_priced = pl.col("fault").is_null()
    columns: dict[str, pl.Expr] = {}
    for name in credits_:
        earned = earn_at(pl.col(name), k_range)
        for part, pay in zip(("rate", "lump"), earned, strict=True):
            columns[f"{name}_by_{part}"] = pl.when(is_priced & pl.col(name).is_not_null()).then(pay)
    for part, pay in zip(("rate", "lump"), earn_below_quota(k_range), strict=True):
        columns[f"below_by_{part}"] = pl.when(is_priced).then(pay)
    return (
        points.join(schedules.rows.lazy(), on=schedules.key, how="left")
        .with_columns(fault=fault, _q=pl.when(quota > 0).then(whole_cents(quota)))
        .with_columns(**columns)
        .select(*names, *columns, "fault")
    )


def _pay_below_quota(k_range: range) -> pl.Expr:
    """C(Q-) in 1e-18 of money, Int128; floor and cap ignored."""
    by_rate, by_lump = earn_below_quota(k_range)
    return pl.when(pl.col("_s").is_not_null()).then(_scale(by_rate) + by_lump)
