"""Jumps, cliffs and convexity of plan P at a quota of 250,000, computed by hand."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from assets.methods.exact import MONEY
from assets.methods.plan_shape import TIER_COLUMNS, describe_tiers

from .decimal_oracle import KEY, ZERO, Plan, compile_plans

TIERS = (
    (ZERO, Decimal("0.08"), ZERO),
    (Decimal(1), Decimal("0.12"), Decimal(900)),
    (Decimal("1.5"), Decimal("0.16"), ZERO),
)


def describe(plan: Plan, quota: Decimal | None) -> pl.DataFrame:
    plans = pl.DataFrame(
        {"plan_id": [plan.name], "quota_amount": [quota]},
        schema={"plan_id": pl.String, "quota_amount": MONEY},
    )
    tiers = describe_tiers(plans, compile_plans([plan]))
    assert tiers.schema == {"plan_id": pl.String(), **TIER_COLUMNS}
    return tiers.drop(KEY)


def test_a_retroactive_plan_jumps_at_every_edge() -> None:
    tiers = describe(Plan(TIERS, retroactive=True), Decimal(250_000))
    assert tiers["tier_from_amount"].to_list() == [0, 250_000, 375_000]
    assert tiers["rate"].to_list() == [Decimal("0.08"), Decimal("0.12"), Decimal("0.16")]
    assert tiers["jump_amount"].to_list() == [0, 10_900, 15_000]  # 0.04 L_k + B_k
    assert tiers["pay_at_target"].unique().to_list() == [30_900]
    assert tiers["pay_at_double"].unique().to_list() == [80_900]
    assert tiers["is_cliff"].to_list() == [False, True, True]
    assert tiers["accelerator_ratio"].unique().to_list() == [2.0]
    bends = 0.04 * 250_000 + 0.04 * 125_000 + 10_900 + 15_000
    assert tiers["convexity"][0] == pytest.approx(bends / 80_900, abs=1e-8)


def test_an_incremental_plan_jumps_by_its_lumps_only() -> None:
    tiers = describe(Plan(TIERS), Decimal(250_000))
    assert tiers["jump_amount"].to_list() == [0, 900, 0]
    assert tiers["is_cliff"].to_list() == [False, False, False]  # 900 of 20,900 is 4.3 %
    assert tiers["is_accelerator"].to_list() == [False, True, True]
    assert tiers["convexity"][0] == pytest.approx((10_000 + 5_000 + 900) / 55_900, abs=1e-8)


def test_a_linear_plan_does_not_bend_and_needs_no_quota() -> None:
    linear = Plan(((ZERO, Decimal("0.07"), ZERO),), cap=Decimal(5))
    assert describe(linear, Decimal(10))["convexity"].to_list() == [0.0]
    bare = describe(linear, None).row(0, named=True)
    assert (bare["rate"], bare["base_rate"], bare["has_cap"], bare["null_reason"]) == (
        Decimal("0.07"),
        0.07,
        True,
        None,
    )
    assert bare["pay_at_target"] is bare["convexity"] is None


def test_tiers_without_quota_have_rates_but_no_money() -> None:
    tiers = describe(Plan(TIERS, retroactive=True), None)
    assert tiers["rate"].to_list() == [Decimal("0.08"), Decimal("0.12"), Decimal("0.16")]
    assert tiers["jump_amount"].to_list() == [0, None, None]
    assert tiers["null_reason"].to_list() == ["no_quota"] * 3
