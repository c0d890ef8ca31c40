"""What the plan says should be taken back for each clawback in the ledger, beside what was booked.

    original_rate   all that was paid for the credit
    schedule        what was paid x the share of the month in which the customer left
    recompute       C(s) - C(s - x) with today's credit s of the deal's pay period, clawbacks booked before it left out

What cannot be recomputed (pay that hangs on several components or plan versions) has no number, and a reason.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import available_timezones

import polars as pl

from assets.incentives.plans_today import PLAN, PlansToday
from assets.incentives.seller_periods import SPAN
from assets.methods.calendar import completed_months, local_date
from assets.methods.commission import compile_schedules, price_positions
from assets.methods.settlement import claw_back

_c = pl.col
_KEY: Final = (*PLAN, "component")
_SPAN: Final = (*SPAN, "component")
_RATE: Final = pl.Decimal(18, 8)


def expect_clawbacks(
    entries: pl.LazyFrame,
    credits_today: pl.LazyFrame,
    paid: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    plans: PlansToday,
    segments: pl.DataFrame,
) -> pl.DataFrame:
    """Expect the amount of every clawback entry.

    Args:
        entries: `clawback` entries from `ledger_sums.place_entries`.
        credits_today: one row per `credit_id`: the credit's place (`credit_places`), `credited_amount`, `pay_amount` (what it adds to
            pay as final), `deal_period_start` and `is_whole` (the credit is all of its deal for this seller and component).
        paid: `credit_id`, `paid_amount`: what the ledger paid for it.
        subscriptions: core/subscriptions; the end of the deal's service is when the customer left, else the booking.
        plans: from `read_plans_today`.
        segments: from `cut_into_segments`.

    Returns:
        One row per entry: its columns, `opportunity_id`, `component`, `credit_type`, the deal's `version`, `clawback_method`,
        `months_served`, `clawed_back_share`, `original_pay_amount`, `expected_amount` (negative), `null_reason`.
    """
    method = plans.plans.select(*PLAN, "clawback_method", "clawback_schedule", "timezone")
    ended = subscriptions.filter(_c("ended_at").is_not_null()).select("opportunity_id", "ended_at")
    rows = (
        entries.join(
            credits_today.drop("rep_id", "plan_currency"), on="credit_id", how="left", suffix="_of_credit"
        )
        .rename({"plan_id": "entry_plan_id", "plan_id_of_credit": "plan_id"})
        .join(paid, on="credit_id", how="left")
        .join(method.lazy(), on=PLAN, how="left")
    )
    left = (
        rows.select("entry_id", "opportunity_id", "booked_at")
        .join(ended, on="opportunity_id")
        .filter(_c("ended_at") <= _c("booked_at"))
        .group_by("entry_id")
        .agg(_c("ended_at").max())
    )
    # plans with zones that nobody knows have no months
    zones = sorted(set(plans.plans["timezone"].drop_nulls().unique()) & available_timezones())
    day = {
        name: local_date(moment, _c("timezone"), zones)
        for name, moment in (("from", _c("credited_at")), ("to", pl.coalesce("ended_at", "booked_at")))
    }
    dated = (
        rows.join(left, on="entry_id", how="left")
        .with_columns(
            months_served=completed_months(day["from"], day["to"]),
            original_pay_amount=pl.coalesce("paid_amount", pl.when("is_whole").then("pay_amount")),
        )
        .collect()
    )
    recomputed = _recompute(
        dated.filter(_c("clawback_method") == "recompute"), credits_today, plans, segments
    )
    shares = _find_shares(dated, plans)
    by_rate = claw_back(_c("original_pay_amount"), _c("clawed_back_share").cast(pl.Float64))
    is_recomputed = _c("clawback_method") == "recompute"
    return (
        dated.join(shares, on="entry_id", how="left")
        .join(recomputed, on="entry_id", how="left")
        .with_columns(
            clawed_back_share=pl.when(_c("clawback_method") == "original_rate")
            .then(pl.lit(1, dtype=_RATE))
            .otherwise("clawed_back_share")
        )
        .with_columns(
            null_reason=pl.coalesce(
                pl.when(_c("credit_id").is_null() | _c("opportunity_id").is_null()).then(pl.lit("no_credit")),
                pl.when(_c("clawback_method").is_null()).then(pl.lit("no_clawback_method")),
                pl.when(is_recomputed).then("recompute_reason"),
                pl.when(~is_recomputed & _c("clawed_back_share").is_null()).then(
                    pl.lit("no_clawback_schedule")
                ),
                pl.when(~is_recomputed & _c("original_pay_amount").is_null()).then(pl.lit("no_pay")),
            )
        )
        .with_columns(
            expected_amount=pl.when(_c("null_reason").is_null()).then(
                pl.when(is_recomputed).then("recomputed_amount").otherwise(by_rate)
            )
        )
        .sort("entry_id")
    )


def read_schedule(text: str | None) -> list[tuple[int, Decimal]]:
    """[[from_month, share], ...] as pairs; nothing where the text is no such list."""
    try:
        steps = [(int(month), Decimal(share)) for month, share in json.loads(text or "", parse_float=Decimal)]
    except (ValueError, TypeError, InvalidOperation):
        return []
    return steps if all(0 <= share <= 1 for _, share in steps) else []


def _find_shares(dated: pl.DataFrame, plans: PlansToday) -> pl.DataFrame:
    """Share of every entry under a schedule: that of the last step reached; 0 before the first."""
    steps = [
        {"plan_id": plan_id, "version": version, "from_month": month, "share": share}
        for plan_id, version, text in plans.plans.filter(_c("clawback_method") == "schedule")
        .select(*PLAN, "clawback_schedule")
        .iter_rows()
        for month, share in read_schedule(text)
    ]
    schema = {"plan_id": pl.String(), "version": pl.Int64(), "from_month": pl.Int64(), "share": _RATE}
    schedule = pl.DataFrame(steps, schema=schema)
    return (
        dated.select("entry_id", *PLAN, "months_served")
        .join(schedule, on=PLAN)
        .sort("entry_id", "from_month")
        .group_by("entry_id", maintain_order=True)
        .agg(
            clawed_back_share=pl.when(_c("months_served").is_not_null().first()).then(
                _c("share").filter(_c("from_month") <= _c("months_served")).last().fill_null(0)
            )
        )
    )


def _recompute(
    asked: pl.DataFrame, credits_today: pl.LazyFrame, plans: PlansToday, segments: pl.DataFrame
) -> pl.DataFrame:
    """`entry_id`, `recomputed_amount` (negative money), `recompute_reason`."""
    total = (
        credits_today.filter(_c("credit_type") != "house")
        .rename({"deal_period_start": "period_start_of_deal"})
        .group_by("rep_id", "plan_id", "component", "period_start_of_deal")
        .agg(total=pl.when(_c("credited_amount").is_not_null().all()).then(_c("credited_amount").sum()))
        .collect()
    )
    place = ["rep_id", "plan_id", "component", "period_start_of_deal"]
    before = _c("credited_amount").cum_sum().over(place, order_by=["booked_at", "entry_id"]) - _c(
        "credited_amount"
    )
    facts = plans.components.select(*_KEY, "rate_basis", "weight")
    schedules = compile_schedules(
        plans.components.join(plans.plans, on=PLAN).select(
            *_KEY, "tier_method", "gate_attainment", "gate_from", "cap", "floor"
        ),
        plans.tiers.filter(_c("product_id").is_null()),
        _KEY,
    )
    ready = (
        asked.rename({"deal_period_start": "period_start_of_deal"})
        .join(total, on=place, how="left")
        .join(facts, on=_KEY, how="left")
        .join(_refuse(plans, segments), on=["rep_id", "plan_id", "period_start_of_deal"], how="left")
        .with_columns(
            credit_before=(_c("total") - before - _c("credited_amount")).cast(pl.Decimal(18, 2)),
            target_share=pl.when(_c("rate_basis") == "target").then(
                _c("target_incentive").cast(pl.Float64) * _c("weight").cast(pl.Float64) / _c("quota_amount").cast(pl.Float64)
            ),
            # a reason found earlier wins over one of the price
            null_reason=pl.coalesce(
                "refused",
                pl.when(~_c("is_whole")).then(pl.lit("several_credits")),
                pl.when((_c("rate_basis") == "target") & (_c("target_incentive").is_null())).then(pl.lit("no_target_incentive")),
            ),
        )
    )  # fmt: skip
    priced = price_positions(
        ready.lazy().select("entry_id", *_KEY, "credit_before", "credited_amount", "quota_amount", "target_share", "null_reason", "draw"),
        schedules,
    )  # fmt: skip
    scaled = (_c("added_pay").cast(pl.Float64) * _c("target_share")).round(2).cast(pl.Decimal(18, 2))
    is_priced = _c("null_reason").is_null() | (_c("null_reason") == "not_a_sale")
    return priced.select(
        "entry_id",
        recomputed_amount=pl.when(is_priced).then(
            -pl.when(_c("target_share").is_not_null()).then(scaled).otherwise("pay_amount")
        ),
        recompute_reason=pl.when(~is_priced).then("null_reason"),
    ).collect()


def _refuse(plans: PlansToday, segments: pl.DataFrame) -> pl.DataFrame:
    """Why a seller's period can't be recomputed deal by deal: `refused`, with the period's `target_incentive` and `draw`."""
    shape = plans.components.group_by(PLAN).agg(
        n_paid=(_c("combine") != "gate").sum(), hangs=(_c("combine") != "additive").any()
    )
    products = plans.tiers.filter(_c("product_id").is_not_null()).select(PLAN).unique()
    is_bounded = _c("cap").is_not_null() | _c("floor").is_not_null() | (_c("draw_kind") == "non_recoverable")
    return (
        segments.join(shape, on=PLAN, how="left")
        .join(products.with_columns(has_product_tiers=pl.lit(value=True)), on=PLAN, how="left")
        .with_columns(is_bounded=is_bounded.fill_null(value=False), draw=pl.when(_c("draw_kind") == "non_recoverable").then("draw"))
        .group_by(SPAN, maintain_order=True)
        .agg(
            _c("target_incentive", "draw").last(),
            refused=pl.coalesce(
                pl.when((pl.len() > 1) | (_c("days") < _c("period_days")).any() | (_c("versions") > 1).any()).then(pl.lit("plan_changed_in_period")),
                pl.when(_c("hangs").any() | ((_c("n_paid") > 1) & _c("is_bounded")).any() | _c("has_product_tiers").any()).then(
                    pl.lit("unsupported_combination")
                ),
            ),
        )
        .rename({"period_start": "period_start_of_deal"})
    )  # fmt: skip
