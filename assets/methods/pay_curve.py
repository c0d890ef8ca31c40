"""The pay curve of one schedule as expressions over compiled columns: what rates and lumps earn, and what bounds them.

Columns are those of `commission.Schedules` joined to positions, with `_q`, the quota in cents. Which positions have a price
does not belong here (see `commission`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add

import polars as pl

from assets.methods.exact import CENT, UNIT, divide_half_up, whole_cents


def target_units(names: Sequence[str]) -> pl.Expr:
    """`target_pay` as Int128 units of 1e-10, null where it is missing."""
    if "target_pay" not in names:
        return pl.lit(None, dtype=pl.Int128)
    return pl.col("target_pay").cast(pl.Decimal(38, 10)).to_physical()


def list_bounds(names: Sequence[str]) -> tuple[pl.Expr, pl.Expr]:
    """Floor and cap of positions joined to their schedule, Int128 cents, null where there is none."""
    draw = whole_cents(pl.col("draw")) if "draw" in names else pl.lit(None, dtype=pl.Int128)
    if "days_counted" not in names:
        return pl.max_horizontal("_floor", draw), pl.col("_cap")
    floor, cap = (prorate(pl.col(name)) for name in ("_floor", "_cap"))
    return pl.max_horizontal(floor, draw), cap


def prorate(cents: pl.Expr, days: str = "days_counted", of: str = "days_in_period") -> pl.Expr:
    """Cents of a whole period as those of some of its days, half up; unchanged where the days are null."""
    share = divide_half_up(cents * pl.col(days).cast(pl.Int128), pl.col(of).cast(pl.Int128))
    return pl.when(pl.col(days).is_null() | (pl.col(days) == pl.col(of))).then(cents).otherwise(share)


def edge_amount(k: int) -> pl.Expr:
    """L_k in 1e-10 of money; 0 for a plan that needs no quota, null for padding."""
    return pl.col(f"_edge_{k}").cast(pl.Int128) * pl.col("_q").fill_null(0)


def is_reached(credit: pl.Expr, k: int) -> pl.Expr:
    """Whether a credit reaches tier k; the edge belongs to it."""
    return (credit >= edge_amount(k)).fill_null(value=False)


def earn_at(credit: pl.Expr, k_range: range) -> tuple[pl.Expr, pl.Expr]:
    """What rates and what lumps earn at a credit given in 1e-10 of money, gated, unbounded, in 1e-18 of money, Int128."""
    zero = pl.lit(0, dtype=pl.Int128)
    quota = pl.col("_q").fill_null(0)
    opens, counts_from = (pl.col(c).cast(pl.Int128) * quota for c in ("_gate", "_paid_from"))
    step = {k: pl.col(f"_step_{k}").cast(pl.Int128) for k in k_range}
    slices = add_up(
        step[k] * pl.max_horizontal(credit - pl.max_horizontal(edge_amount(k), counts_from), zero)
        for k in k_range
    )
    rate = add_up(pl.when(is_reached(credit, k)).then(step[k]).otherwise(zero) for k in k_range)
    lump = {k: pl.col(f"_lump_{k}").cast(pl.Int128) * CENT for k in k_range}
    lumps = add_up(pl.when(is_reached(credit, k)).then(lump[k]).otherwise(zero) for k in k_range)
    by_rate = pl.when("_retroactive").then(rate * (credit - counts_from)).otherwise(slices)
    is_open = (credit >= opens) & (credit >= 0)
    return pl.when(is_open).then(by_rate).otherwise(zero), pl.when(is_open).then(lumps).otherwise(zero)


def earn_below_quota(k_range: range) -> tuple[pl.Expr, pl.Expr]:
    """What rates and lumps earn just below the quota, in 1e-18 of money: lumps and steps at Q ignored. Without quota: of one cent."""
    zero = pl.lit(0, dtype=pl.Int128)
    quota = pl.col("_q").fill_null(1)
    is_below = {k: (pl.col(f"_edge_{k}") < UNIT).fill_null(value=False) for k in k_range}
    step = {
        k: pl.when(is_below[k]).then(pl.col(f"_step_{k}").cast(pl.Int128)).otherwise(zero) for k in k_range
    }
    slices = add_up(
        step[k] * (UNIT - pl.max_horizontal(f"_edge_{k}", "_paid_from")).fill_null(0) for k in k_range
    )
    share = (
        pl.when("_retroactive").then(add_up(step.values()) * (UNIT - pl.col("_paid_from"))).otherwise(slices)
    )
    lumps = add_up(
        pl.when(is_below[k]).then(pl.col(f"_lump_{k}").cast(pl.Int128)).otherwise(zero) for k in k_range
    )
    is_open = pl.col("_gate") < UNIT
    return (
        pl.when(is_open).then(share * quota).otherwise(zero),
        pl.when(is_open).then(lumps * CENT).otherwise(zero),
    )


def add_up(terms: Iterable[pl.Expr]) -> pl.Expr:
    """Sum of at least one expression."""
    return reduce(add, terms)
