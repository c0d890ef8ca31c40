"""Pay of a period before any deal: floors, and what measured results earn. Deals add to it what `deal_incentives` says.

T = clamp(gate x multipliers x additive pay, floor, cap), per segment, with nothing sold. A plan whose components are all
multipliers or gates multiplies its target incentive.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.plans_today import DEAL_MEASURES, PLAN, PlansToday
from assets.incentives.seller_periods import SPAN
from assets.methods.exact import as_money
from assets.methods.measured_pay import TIER_COLUMNS, pay_measures

_c = pl.col
_SEGMENT: Final = (*SPAN, "segment")
_HAIR: Final = 1e-9  # money; a float may stand a hair below the half cent that it means

GUARANTEE: Final = "guarantee"
"""What pay hangs on where a floor or a non-recoverable draw fills up what was earned."""


def pay_without_deals(
    segments: pl.DataFrame,
    plans: PlansToday,
    quotas: pl.DataFrame,
    results: pl.DataFrame,
    credited: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pay each segment as if nothing had been sold.

    Args:
        segments: from `cut_into_segments`.
        plans: from `read_plans_today`.
        quotas: from `list_quotas_today`.
        results: from `read_results_today`.
        credited: `SPAN`, `component` of which deals credit the seller in the period: there credits win over results.

    Returns:
        Two frames. Per `SPAN`: `base_pay_amount` Decimal(18,2), null with `base_pay_reason`. Per `SPAN` and `measure` (or
        `guarantee`): `amount` Decimal(18,2); they add up to the base pay.
    """
    parts = _pay_components(segments, plans, quotas, results, credited)
    totals = _combine(segments, parts)
    shared = _share_by_measure(totals, parts)
    spans = totals.group_by(SPAN, maintain_order=True).agg(
        base_pay_amount=pl.when(_c("total").is_not_null().all()).then(_c("total").sum()),
        base_pay_reason=_c("reason").drop_nulls().first(),
    )
    return spans, shared


def _pay_components(
    segments: pl.DataFrame,
    plans: PlansToday,
    quotas: pl.DataFrame,
    results: pl.DataFrame,
    credited: pl.DataFrame,
) -> pl.DataFrame:
    """One row per segment and component: `is_measured`, `pay`, `curve`, `attainment`, `reason`."""
    methods = plans.plans.select(*PLAN, "tier_method")
    quota = quotas.select("rep_id", "component", "period_start", "quota_amount")
    by_deals = credited.unique().with_columns(has_credit=pl.lit(value=True))
    rows = (
        segments.join(plans.components, on=PLAN)
        .join(methods, on=PLAN, how="left")
        .join(by_deals, on=[*SPAN, "component"], how="left")
        .join(results, on=["rep_id", "component", "period_start"], how="left")
        .join(quota, on=["rep_id", "component", "period_start"], how="left")
        .with_columns(
            is_measured=~_c("measure").is_in(DEAL_MEASURES) & _c("has_credit").is_null(),
            target=_c("target_incentive").cast(pl.Float64)
            # a multiplier has no weight of its own
            * pl.when(_c("combine") == "additive").then(_c("weight").cast(pl.Float64)).otherwise(1.0),
        )
        .sort(*_SEGMENT, "component")
        .with_row_index("row")
    )
    general = plans.tiers.filter(_c("product_id").is_null()).select(*PLAN, "component", *TIER_COLUMNS)
    measured = pay_measures(rows.lazy().filter("is_measured"), general.lazy(), (*PLAN, "component")).collect()
    is_additive = _c("combine") == "additive"
    lost = is_additive & (_c("measured_reason") == "no_component_result")
    # a gate has no curve of its own, a multiplier needs no money
    matters = {
        "additive": pl.lit(value=True),
        "multiplicative": _c("curve").is_null(),
        "gate": _c("measured_attainment").is_null(),
    }
    counts = pl.coalesce(pl.when(_c("combine") == name).then(needed) for name, needed in matters.items())
    return (
        rows.join(measured, on="row", how="left")
        .with_columns(
            pay=pl.when(~_c("is_measured") | lost).then(0.0).otherwise("measured_pay"),
            curve=pl.when(~_c("is_measured")).then(0.0).otherwise("curve"),
            measured_attainment=pl.when(~_c("is_measured")).then(0.0).otherwise("measured_attainment"),
            reason=pl.when(~lost & _c("is_measured") & counts).then(
                pl.coalesce("measured_reason", pl.when(_c("combine") == "gate").then(pl.lit("no_quota")))
            ),
        )
        .sort("row")
    )


def _combine(segments: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """T of every segment in money: `total`, `reason`, and `earned` before floor and cap."""
    is_additive, is_multiplier, is_gate = (_c("combine") == n for n in ("additive", "multiplicative", "gate"))
    is_open = _c("measured_attainment") >= _c("gate_attainment").fill_null(0).cast(pl.Float64)
    joined = parts.group_by(_SEGMENT, maintain_order=True).agg(
        additive=pl.when(is_additive.any()).then(_c("pay").filter(is_additive).sum()),
        factor=_c("curve").filter(is_multiplier).product(),
        opens=is_open.filter(is_gate).all(),
        reason=_c("reason").drop_nulls().first(),
    )
    floor = pl.max_horizontal("floor", pl.when(_c("draw_kind") == "non_recoverable").then("draw"))
    earned = (
        pl.when("opens")
        .then(pl.coalesce("additive", _c("target_incentive").cast(pl.Float64)) * _c("factor"))
        .otherwise(0.0)
    )
    bounded = pl.min_horizontal(
        pl.max_horizontal(_c("earned"), floor.cast(pl.Float64)), _c("cap").cast(pl.Float64)
    )
    return (
        segments.join(joined, on=_SEGMENT, how="left")
        .with_columns(earned=earned)
        .with_columns(
            reason=pl.coalesce(
                "reason",
                pl.when(_c("opens").is_null()).then(pl.lit("no_component")),
                pl.when(_c("earned").is_null()).then(pl.lit("no_target_incentive")),
            )
        )
        .with_columns(total=pl.when(_c("reason").is_null()).then(_cents(bounded)))
        .sort(_SEGMENT)
    )


def _share_by_measure(totals: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """What each segment's pay hangs on: up to what was earned, by what each measure earned; the rest is guaranteed.

    Shares are rounded cumulatively, so that the cents add up.
    """
    own = (
        parts.filter("is_measured", _c("combine") != "gate")
        .with_columns(
            own=pl.when(_c("combine") == "additive").then("pay").otherwise(_c("target") * _c("curve"))
        )
        .select(*_SEGMENT, "component", "measure", "own")
    )
    within = [*_SEGMENT]
    shared = (
        own.join(totals.select(*within, "total", "earned"), on=within)
        .filter(_c("total") > 0, _c("own") > 0)
        .sort(*within, "component")
        .with_columns(
            upto=_c("own").cum_sum().over(within) / _c("own").sum().over(within),
            hung=pl.min_horizontal(_c("total").cast(pl.Float64), _c("earned")),
        )
        .with_columns(cumulative=_cents(_c("hung") * _c("upto")))
        .with_columns(amount=_c("cumulative") - _c("cumulative").shift().over(within).fill_null(0))
    )
    by_measure = shared.select(*within, "measure", "amount")
    hung = by_measure.group_by(within).agg(hung=_c("amount").sum())
    guaranteed = (
        totals.filter(_c("total") > 0)
        .join(hung, on=within, how="left")
        .select(*within, measure=pl.lit(GUARANTEE), amount=_c("total") - _c("hung").fill_null(0))
    )
    money = pl.Decimal(18, 2)
    return (
        pl.concat([f.with_columns(_c("amount").cast(money)) for f in (by_measure, guaranteed)])
        .group_by(*SPAN, "measure")
        .agg(_c("amount").sum())
        .filter(_c("amount") != 0)
        .sort(*SPAN, "measure")
    )


def _cents(money: pl.Expr) -> pl.Expr:
    """Float money, not negative, as Decimal(18,2), half up."""
    return as_money(((money + _HAIR) * 100 + 0.5).floor().cast(pl.Int128))
