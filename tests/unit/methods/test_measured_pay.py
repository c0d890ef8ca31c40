"""Pay for measured results against plain decimals, tier by tier."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.methods.measured_pay import pay_measures

KEY = ("plan_id",)
Tiers = list[tuple[str, str, str]]


def pay(tiers: Tiers, achieved: str | None, quota: str | None, **facts: Any) -> dict[str, Any]:
    """One result under one ladder of (from_attainment, rate, lump)."""
    ladder = pl.LazyFrame(
        {
            "plan_id": ["P"] * len(tiers),
            "tier": range(len(tiers)),
            "from_attainment": [Decimal(a) for a, _, _ in tiers],
            "rate": [Decimal(r) for _, r, _ in tiers],
            "lump_bonus": [Decimal(b) for _, _, b in tiers],
        },
        schema={"plan_id": pl.String, "tier": pl.Int64, "from_attainment": pl.Decimal(18, 8), "rate": pl.Decimal(18, 8), "lump_bonus": pl.Decimal(18, 2)},
    )  # fmt: skip
    stated = {
        "tier_method": "incremental",
        "rate_basis": "credit",
        "target": None,
        "gate_attainment": None,
        "gate_from": None,
        "days": None,
        "period_days": None,
    }
    row = (
        {
            "row": 0,
            "plan_id": "P",
            "achieved": achieved and Decimal(achieved),
            "quota_amount": quota and Decimal(quota),
        }
        | stated
        | facts
    )
    schema = {
        "row": pl.Int64, "plan_id": pl.String, "achieved": pl.Decimal(18, 8), "quota_amount": pl.Decimal(18, 2), "tier_method": pl.String,
        "rate_basis": pl.String, "target": pl.Float64, "gate_attainment": pl.Decimal(18, 8), "gate_from": pl.String,
        "days": pl.Int64, "period_days": pl.Int64,
    }  # fmt: skip
    return pay_measures(pl.LazyFrame([row], schema=schema), ladder, KEY).collect().row(0, named=True)


def by_hand(tiers: Tiers, achieved: Decimal, quota: Decimal, method: str, gate: Decimal, gate_from: str) -> tuple[Decimal, Decimal]:  # fmt: skip
    """(slices, lumps) in units of the measure, deal by deal arithmetic in decimals."""
    if achieved < gate * quota:
        return Decimal(0), Decimal(0)
    start = gate if gate_from == "threshold" else Decimal(0)
    edges = [Decimal(a) for a, _, _ in tiers]
    lumps = sum((Decimal(b) for (a, _, b) in tiers if achieved >= Decimal(a) * quota), Decimal(0))
    if method == "retroactive":
        rate = [Decimal(r) for (a, r, _) in tiers if achieved >= Decimal(a) * quota][-1]
        return rate * (achieved - start * quota), lumps
    total = Decimal(0)
    for k, (_, rate, _lump) in enumerate(tiers):
        low = max(edges[k], start) * quota
        high = min(achieved, edges[k + 1] * quota) if k + 1 < len(edges) else achieved
        total += Decimal(rate) * max(Decimal(0), high - low)
    return total, lumps


def test_money_per_call_needs_no_quota() -> None:
    found = pay([("0", "2.5", "0")], "137", None)
    assert (found["measured_pay"], found["measured_reason"]) == (342.5, None)
    assert found["measured_attainment"] is None


def test_a_market_share_keeps_all_its_decimals() -> None:
    # 18.34 % of a market where 20 % were asked for: 91.7 % of 10,000
    found = pay([("0", "1", "0")], "0.1834", "0.20", rate_basis="target", target=10_000.0)
    assert found["measured_pay"] == pytest.approx(9170, abs=1e-9)
    assert found["curve"] == found["measured_attainment"] == pytest.approx(0.917)


@pytest.mark.parametrize(
    ("facts", "achieved", "quota", "reason"),
    [
        ({}, None, "10", "no_component_result"),
        ({"rate_basis": "target", "target": 1.0}, "1", None, "no_quota"),
        ({"rate_basis": "target", "target": 1.0}, "1", "0", "quota_not_positive"),
        ({"rate_basis": "target"}, "1", "10", "no_target_incentive"),
        ({"gate_attainment": Decimal("0.5")}, "1", None, "no_quota"),
    ],
)
def test_what_cannot_be_paid_says_why(facts: dict[str, Any], achieved: str | None, quota: str | None, reason: str) -> None:  # fmt: skip
    found = pay([("0", "1", "0")], achieved, quota, **facts)
    assert found["measured_reason"] == reason


edge = st.integers(1, 80)


@settings(max_examples=80, deadline=None)
@given(
    widths=st.lists(edge, max_size=3),
    rates=st.lists(st.integers(0, 3000), min_size=4, max_size=4),
    lumps=st.lists(st.integers(0, 500), min_size=4, max_size=4),
    achieved=st.integers(0, 40_000),
    quota=st.integers(1, 20_000),
    method=st.sampled_from(["incremental", "retroactive"]),
    gate=st.integers(0, 120),
    gate_from=st.sampled_from(["first_unit", "threshold"]),
)
def test_any_ladder_pays_what_decimals_pay(
    widths, rates, lumps, achieved, quota, method, gate, gate_from
) -> None:  # type: ignore[no-untyped-def]
    edges = [Decimal(sum(widths[:k])) / 100 for k in range(len(widths) + 1)]
    tiers = [(str(a), str(Decimal(r) / 1000), str(b)) for a, r, b in zip(edges, rates, lumps, strict=False)]
    result, target = Decimal(achieved) / 100, Decimal(quota) / 100
    slices, bonus = by_hand(tiers, result, target, method, Decimal(gate) / 100, gate_from)
    facts = {"tier_method": method, "gate_attainment": Decimal(gate) / 100, "gate_from": gate_from}
    money = pay(tiers, str(result), str(target), **facts)
    assert money["measured_pay"] == pytest.approx(float(slices + bonus), abs=1e-9)
    share = pay(tiers, str(result), str(target), rate_basis="target", target=5000.0, **facts)
    assert share["measured_pay"] == pytest.approx(float(5000 * slices / target + bonus), abs=1e-6)
