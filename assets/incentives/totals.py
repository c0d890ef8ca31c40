"""From the parts of a plan to what each row of a deal added: the total before and after, and the line it follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.methods.exact import CENT, UNIT, as_money
from assets.methods.plan_total import (
    ABSENT,
    ADDITIVE,
    GATE,
    MULTIPLICATIVE,
    PAY_UNIT,
    PlanParts,
    Quotient,
    add_sums,
    multiply_factors,
    pay_as_quotient,
    share_as_quotient,
    total_pay,
    wholes,
)

_PER_CREDIT: Final = 10**8  # pay in 1e-18 over credit in cents, as units of 1e-8


def total_steps(
    points: pl.DataFrame, orders: pl.DataFrame, parts: pl.DataFrame, steps: pl.DataFrame, cases: pl.DataFrame
) -> pl.DataFrame:
    """Price rows from the curves of their plan's components.

    Args:
        points: curves read at `start` and `stop` (see `replay`): without `step` what a component is worth, with one what a row adds.
        orders: `order`, `case`, `is_canonical`, `has_gap` (a credit before has no rate).
        parts: from `plan_parts.list_parts`.
        steps: the rows, with `case`, `step`, `position`, `credited_amount`.
        cases: `case`, `target_incentive`, `floor`, `cap` of the days that count.

    Returns:
        One row per `position`: `pay_amount`, `added_pay`, `emcr`, `base_rate`, `relative_intensity`, `emcr_lowest`, `emcr_highest`,
        `pay_scale`, `pay_elsewhere`, `null_reason`.
    """
    c = pl.col
    plans = orders.join(cases.select("case", "target_incentive", "floor", "cap"), on="case").sort("order")
    located = points.join(plans.select("order", row=pl.int_range(pl.len())), on="order")
    stand = _stand(plans, parts, located.filter(c("step").is_null()))
    moves = located.drop_nulls("step").join(steps.select("position", "credited_amount"), on="position")
    priced = [_EMPTY]
    for k in sorted(moves["step"].unique()):
        move = moves.filter(c("step") == k).sort("row")
        stand, rows = _price_step(stand, move)
        priced.append(rows)
    return _gather(pl.concat(priced), orders, parts, points, steps)


_MONEY: Final = {"pay_amount": pl.Int64, "added_pay": pl.Float64}
_RATES: Final = ("emcr", "base_rate", "relative_intensity", "pay_scale", "pay_elsewhere")
_EMPTY: Final = pl.DataFrame(
    schema={"order": pl.get_index_type(), "position": pl.get_index_type(), **_MONEY, **dict.fromkeys(_RATES, pl.Float64)}
)  # fmt: skip


def _stand(plans: pl.DataFrame, parts: pl.DataFrame, worth: pl.DataFrame) -> PlanParts:
    """What every component of every plan is worth when the deal comes."""
    shape = (plans.height, int(parts["slot"].max() or 0) + 1)  # type: ignore[arg-type]
    kind = np.full(shape, ABSENT, dtype=np.int8)
    top, bottom = np.zeros(shape, dtype=object), np.ones(shape, dtype=object)
    change = ("stop_by_rate", "stop_by_lump")
    grown = (
        worth.group_by("row", "slot", "kind", "quota_amount", "target_units")
        .agg(
            pl.col(name).fill_null(0).sum() - pl.col(name.replace("stop", "start")).fill_null(0).sum()
            for name in change
        )
        .with_columns(nth=pl.struct(pl.all()).rank("ordinal").over("row", "slot"))
    )
    for nth in range(1, int(grown["nth"].max() or 0) + 1):  # type: ignore[arg-type]
        part = grown.filter(pl.col("nth") == nth)
        at = part["row"].to_numpy(), part["slot"].to_numpy()
        value = _value(part, *(_wholes(part, name) for name in change))
        kind[at] = part["kind"].to_numpy()
        top[at] = top[at] * value.bottom + value.top * bottom[at]
        bottom[at] = bottom[at] * value.bottom
    return PlanParts(
        kind=kind,
        top=top,
        bottom=bottom,
        target=_cents(plans, "target_incentive", fill=0),
        floor=_cents(plans, "floor"),
        cap=_cents(plans, "cap"),
    )


def _price_step(stand: PlanParts, move: pl.DataFrame) -> tuple[PlanParts, pl.DataFrame]:
    """The next row of every deal: what stands after it, and its price."""
    rows, slot = move["row"].to_numpy(), move["slot"].to_numpy()
    here = np.arange(len(rows))
    before = PlanParts(
        **{name: getattr(stand, name)[rows] for name in ("kind", "top", "bottom", "target", "floor", "cap")}
    )
    reads = {
        f"{point}_by_{way}": _wholes(move, f"{point}_by_{way}")
        for point in ("start", "stop", "below")
        for way in ("rate", "lump")
    }
    at_start, at_stop, below = (
        _value(move, reads[f"{point}_by_rate"], reads[f"{point}_by_lump"])
        for point in ("start", "stop", "below")
    )
    own, growth = before.part(slot), at_stop - at_start
    grown = Quotient(own.top * growth.bottom + growth.top * own.bottom, own.bottom * growth.bottom)
    top, bottom = before.top.copy(), before.bottom.copy()
    top[here, slot], bottom[here, slot] = grown.top, grown.bottom
    after = replace(before, top=top, bottom=bottom)
    paid_before, paid_after = total_pay(before), total_pay(after)
    added = paid_after - paid_before
    credit = _cents(move, "credited_amount", fill=0)
    is_sale = (credit > 0).astype(bool)
    size = np.where(is_sale, credit, 1)
    # what one more unit of the own component is worth to the whole, with the others as they stand
    is_sum, is_gate = before.kind[here, slot] == ADDITIVE, before.kind[here, slot] == GATE
    others = multiply_factors(before, without=slot)
    by_factor = others * add_sums(before)
    weight = Quotient(
        np.where(is_sum, others.top, by_factor.top), np.where(is_sum, others.bottom, by_factor.bottom)
    )
    base = weight * Quotient(np.where(is_gate, 0, below.top), below.bottom)
    quota = _quota(move)
    base = base.over(quota)
    rate = added.over(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = rate.floats() / base.floats()
    scale, elsewhere = _draw_line(weight, before, at_start, slot, quota)
    stand.top[rows], stand.bottom[rows] = top, bottom
    cents = paid_after.over(CENT).round() - paid_before.over(CENT).round()
    return stand, pl.DataFrame(
        {
            "order": move["order"],
            "position": move["position"],
            "pay_amount": cents.astype(np.int64),
            "added_pay": added.over(PAY_UNIT).floats(),
            "emcr": rate.over(_PER_CREDIT).round().astype(float) / UNIT,
            "base_rate": base.over(_PER_CREDIT).round().astype(float) / UNIT,
            "relative_intensity": np.where((base.top != 0).astype(bool), relative, np.nan),
            "pay_scale": scale,
            "pay_elsewhere": elsewhere,
        },
        schema=_EMPTY.schema,
    )


def _draw_line(
    weight: Quotient, before: PlanParts, at_start: Quotient, slot: npt.NDArray[np.int64], quota: Any
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The total as a line over the own component's curve C (in money): clamp(scale C + elsewhere)."""
    kind = before.kind[np.arange(len(slot)), slot]
    factor = weight.over(
        np.where(kind == MULTIPLICATIVE, quota * PAY_UNIT, np.where(kind == GATE, PAY_UNIT, 1))
    )
    scale = np.where(kind == MULTIPLICATIVE, factor.floats() * 100, factor.floats())
    rest = weight * (add_sums(before) - at_start)
    elsewhere = np.where(kind == ADDITIVE, rest.over(PAY_UNIT).floats(), 0.0)
    return scale, elsewhere


def _value(rows: pl.DataFrame, by_rate: Any, by_lump: Any) -> Quotient:
    """A curve's reading as the part it is: pay, a share of 1, or an open gate."""
    kind = rows["kind"].to_numpy()
    quota = _quota(rows)
    pay = pay_as_quotient(by_rate, by_lump, wholes(rows["target_units"].to_list()), quota)
    share = share_as_quotient(by_rate, quota)
    return Quotient(
        np.where(kind == MULTIPLICATIVE, share.top, np.where(kind == GATE, by_lump, pay.top)),
        np.where(kind == MULTIPLICATIVE, share.bottom, np.where(kind == GATE, PAY_UNIT, pay.bottom)),
    )


def _wholes(rows: pl.DataFrame, name: str) -> Any:
    return wholes(rows[name].to_list(), fill=0)


def _quota(rows: pl.DataFrame) -> Any:
    """Quota in cents; one cent stands for a missing one, whose component does not depend on it."""
    quota = _cents(rows, "quota_amount", fill=1)
    return np.where((quota > 0).astype(bool), quota, 1)


def _cents(rows: pl.DataFrame, name: str, fill: int | None = None) -> Any:
    money = rows[name].cast(pl.Decimal(38, 2)).to_physical()
    return wholes(money.to_list(), fill)


def _gather(
    priced: pl.DataFrame, orders: pl.DataFrame, parts: pl.DataFrame, points: pl.DataFrame, steps: pl.DataFrame
) -> pl.DataFrame:
    """One row per position: its price in canonical order, its bounds over all orders, and why there is none."""
    c = pl.col
    faults = points.filter(c("fault").is_not_null()).sort("fault").group_by("case", maintain_order=True)
    reasons = (
        steps.select("position", "case", "credited_amount")
        .join(
            parts.drop_nulls("reason").sort("case", "slot").group_by("case", maintain_order=True).agg(c("reason").first()),
            on="case",
            how="left",
        )
        .join(parts.group_by("case").agg(c("refused").drop_nulls().first()), on="case", how="left")
        .join(faults.agg(c("fault").first()), on="case", how="left")
        .join(orders.filter("is_canonical").select("case", "has_gap"), on="case", how="left")
        .join(orders.group_by("case").agg(any_gap=c("has_gap").any()), on="case", how="left")
        .with_columns(
            null_reason=pl.coalesce(
                "reason",
                "fault",
                "refused",
                pl.when("has_gap").then(pl.lit("credit_before_unknown")),
                pl.when(c("credited_amount") <= 0).then(pl.lit("not_a_sale")),
            )
        )
    )  # fmt: skip
    bounds = priced.group_by("position").agg(emcr_lowest=c("emcr").min(), emcr_highest=c("emcr").max())
    canonical = priced.join(orders.filter("is_canonical").select("order"), on="order", how="semi")
    is_paid = c("null_reason").is_null() | (c("null_reason") == "not_a_sale")
    is_sale = c("null_reason").is_null()
    return (
        reasons.select("position", "null_reason", "any_gap")
        .join(canonical.drop("order"), on="position", how="left")
        .join(bounds, on="position", how="left")
        .with_columns(
            c("relative_intensity").fill_nan(None).round(8),
            c("emcr", "base_rate").round(8),
            pay_amount=as_money(c("pay_amount").cast(pl.Int128)),
        )
        .with_columns(
            *(pl.when(is_paid).then(c(n)).alias(n) for n in ("pay_amount", "added_pay", "base_rate", "pay_scale", "pay_elsewhere")),
            *(pl.when(is_sale).then(c(n)).alias(n) for n in ("emcr", "relative_intensity")),
            *(pl.when(is_sale & ~c("any_gap")).then(c(n)).alias(n) for n in ("emcr_lowest", "emcr_highest")),
        )
        .drop("any_gap")
    )  # fmt: skip
