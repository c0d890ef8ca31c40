"""100,000 random ledgers against decimal, every deal to the cent and to the eighth decimal of the rate."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from assets.methods.commission import price_positions
from assets.methods.credit_order import sum_credit_before
from assets.methods.exact import MONEY, as_money

from .decimal_oracle import KEY, ZERO, Plan, cents, compile_plans, eight

LEDGERS = 100_000
PLANS = 600


def random_plan(rng: np.random.Generator, name: str) -> Plan:
    """Any plan: one to five tiers, rising or falling rates to eight decimals, sometimes gate, lumps, cap, floor."""
    depth = int(rng.integers(1, 6))
    edges = [0, *sorted(int(e) for e in rng.choice(np.arange(1, 25), depth - 1, replace=False) * 12_345_679)]
    rates = rng.integers(0, 25_000_000, depth)
    lumps = rng.integers(1, 500_000, depth) * (rng.random(depth) < 0.3)
    has_gate, has_cap, has_floor = rng.random(3) < (0.3, 0.3, 0.15)
    return Plan(
        tiers=tuple(
            (Decimal(int(e)).scaleb(-8), Decimal(int(r)).scaleb(-8), Decimal(int(b)).scaleb(-2))
            for e, r, b in zip(edges, rates, lumps, strict=True)
        ),
        retroactive=bool(rng.random() < 0.5),
        gate=Decimal(int(rng.integers(1, 150))).scaleb(-2) if has_gate else None,
        gate_from=str(rng.choice(["first_unit", "threshold"])) if has_gate else None,
        cap=Decimal(int(rng.integers(1_000_00, 40_000_00))).scaleb(-2) if has_cap else None,
        floor=Decimal(int(rng.integers(1, 1_000_00))).scaleb(-2) if has_floor else None,
        name=name,
    )


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    rng = np.random.default_rng(20250101)
    return {name: random_plan(rng, name) for name in (f"p{k:03d}" for k in range(PLANS))}


def random_ledgers(plans: dict[str, Plan]) -> pl.DataFrame:
    """One to three credits a ledger, some negative, some of one cent, some landing exactly on an edge or a cent beside it."""
    rng = np.random.default_rng(7)
    names = np.array(list(plans))
    deals = rng.integers(1, 4, LEDGERS)
    ledger = np.repeat(np.arange(LEDGERS), deals)
    plan = rng.integers(0, PLANS, LEDGERS)
    quota = rng.integers(1_000_00, 900_000_00, LEDGERS)
    quota[::3] -= quota[::3] % 100_000  # round quotas put edges on whole cents
    advance = np.where(
        rng.random(LEDGERS) < 0.15, rng.integers(1, 2_000_00, LEDGERS), -1
    )  # a non-recoverable draw
    share = rng.choice([0.001, 0.2, 0.7, 1.4], ledger.size) * rng.random(ledger.size)
    amount = np.maximum((share * quota[ledger]).astype(np.int64), 1)
    on_edge = rng.random(ledger.size) < 0.2
    amount[on_edge] = quota[ledger][on_edge] + rng.integers(-1, 2, on_edge.sum())
    amount[rng.random(ledger.size) < 0.05] *= -1
    return pl.DataFrame(
        {
            "ledger": ledger,
            "opportunity_id": np.arange(ledger.size),
            "closed_at": rng.integers(0, 5, ledger.size),
            "plan_id": names[plan[ledger]],
            "quota": quota[ledger],
            "amount": amount,
            "draw": advance[ledger],
        }
    ).select(
        "ledger",
        "opportunity_id",
        "closed_at",
        "plan_id",
        quota_amount=as_money(pl.col("quota").cast(pl.Int128)),
        credited_amount=as_money(pl.col("amount").cast(pl.Int128)),
        draw=pl.when(pl.col("draw") > 0).then(as_money(pl.col("draw").cast(pl.Int128))),
    )


def features(plan: Plan) -> set[str]:
    """What a plan has, by name."""
    lumps, rates = [lump for *_, lump in plan.tiers], [rate for _, rate, _ in plan.tiers]
    has = {
        "retroactive": plan.retroactive,
        "gate from the first unit": plan.gate is not None and plan.gate_from == "first_unit",
        "gate from the threshold": plan.gate is not None and plan.gate_from == "threshold",
        "cap": plan.cap is not None,
        "floor": plan.floor is not None,
        "lump": any(lumps),
        "falling rate": rates != sorted(rates),
    }
    return {name for name, it_has in has.items() if it_has}


def test_random_ledgers_equal_decimal(plans: dict[str, Plan]) -> None:
    ledgers = random_ledgers(plans)
    positions = sum_credit_before(ledgers.lazy(), ledgers.lazy(), ["ledger"], known=None)
    priced = (
        price_positions(positions, compile_plans(plans.values()))
        .select(
            "ledger", "plan_id", "quota_amount", "credited_amount", "credit_before", "pay_after",
            "pay_amount", "emcr", "draw", "closed_at", "opportunity_id",
        )
        .sort("ledger", "closed_at", "opportunity_id")
        .collect()
    )  # fmt: skip
    wrong: list[object] = []
    met: Counter[str] = Counter()
    current, credit, before = None, ZERO, ZERO
    for row in priced.iter_rows():
        ledger, name, quota, x, credit_before, pay_after, pay_amount, emcr, draw, *_ = row
        plan = plans[name]
        if draw is not None:
            plan = replace(plan, floor=max(draw, plan.floor or ZERO))
        if ledger != current:
            current, credit, before = ledger, ZERO, plan.pay(ZERO, quota)
            met.update(features(plans[name]))
            met["draw"] += draw is not None
        after = plan.pay(credit + x, quota)
        rate = eight((after - before) / x) if x > 0 else None
        if (credit_before, pay_after, pay_amount, emcr) != (
            credit,
            after,
            cents(after) - cents(before),
            rate,
        ):
            wrong.append((row, plan, after, rate))
        credit, before = credit + x, after
    assert priced["ledger"].n_unique() == LEDGERS
    assert priced["emcr"].null_count() < priced.height / 10
    assert len(met) == 8
    assert min(met.values()) > 5_000, met
    assert not wrong, f"{len(wrong)} wrong, first: {wrong[0]}"


def test_relative_intensity_is_emcr_over_pay_just_below_quota(plans: dict[str, Plan]) -> None:
    rng = np.random.default_rng(3)
    quota, tiny = Decimal(1_000_000), Decimal("1e-12")
    rows, expected = [], []
    for name, plan in plans.items():
        s, x = (Decimal(int(v)) for v in rng.integers(1, 1_500_000, 2))
        free = Plan(plan.tiers, plan.retroactive, plan.gate, plan.gate_from)
        base = free.pay(quota - tiny, quota) / quota
        rows.append((name, s, x, quota))
        emcr = (plan.pay(s + x, quota) - plan.pay(s, quota)) / x
        expected.append((float(base), float(emcr / base) if base > tiny else None))
    positions = pl.LazyFrame(
        rows,
        schema={
            "plan_id": pl.String,
            "credit_before": MONEY,
            "credited_amount": MONEY,
            "quota_amount": MONEY,
        },
        orient="row",
    )
    priced = price_positions(positions, compile_plans(plans.values())).sort(*KEY).collect()
    for row, (base, relative) in zip(priced.iter_rows(named=True), expected, strict=True):
        assert row["base_rate"] == pytest.approx(base, abs=1e-8)
        if relative is None:
            assert row["relative_intensity"] is None
            assert row["relative_null_reason"] == "base_rate_zero"
        else:
            assert row["relative_intensity"] == pytest.approx(relative, abs=2e-8, rel=1e-9)
