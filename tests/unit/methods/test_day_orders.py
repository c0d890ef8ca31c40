"""Lowest and highest rate of a day, against every subset priced by decimal."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import numpy as np
import polars as pl
import pytest

from assets.methods import day_orders
from assets.methods.commission import price_positions
from assets.methods.credit_order import sum_credit_before
from assets.methods.day_orders import bound_day_orders, list_same_day
from assets.methods.exact import MONEY

from .decimal_oracle import ZERO, Plan, compile_plans, eight

TIERS = (
    (ZERO, Decimal("0.08"), ZERO),
    (Decimal(1), Decimal("0.12"), ZERO),
    (Decimal("1.5"), Decimal("0.03"), Decimal(50)),
)
PLANS = {
    "i": Plan(TIERS, name="i"),
    "r": Plan(TIERS, retroactive=True, name="r"),
    "c": Plan(TIERS, cap=Decimal(90), floor=Decimal(20), name="c"),
    "g": Plan(TIERS, gate=Decimal("0.6"), gate_from="threshold", name="g"),
}


def random_days(seed: int, deals: int, sellers: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rep = rng.integers(0, sellers, deals)
    frame = pl.DataFrame(
        {
            "position": np.arange(deals),
            "opportunity_id": [f"o{k}" for k in rng.permutation(deals)],
            "rep_id": rep,
            "plan_id": np.array(list(PLANS))[rep % len(PLANS)],
            "closed_at": np.full(deals, 5),
            "known_at": rng.choice([1, 5, 5, 5, 9], deals),
            "credited_amount": [Decimal(int(v)).scaleb(-2) for v in rng.integers(-50_00, 400_00, deals)],
            "quota_amount": Decimal("777.77"),
        },
        schema_overrides={"credited_amount": MONEY, "quota_amount": MONEY},
    )
    return sum_credit_before(frame.lazy(), frame.lazy(), ["rep_id"]).sort("position").collect()


def test_every_subset_is_priced() -> None:
    deals = random_days(1, 160, 45)
    others = list_same_day(deals.lazy(), ["rep_id"]).collect()
    bounds = bound_day_orders(deals, others, compile_plans(PLANS.values()))
    assert bounds["position"].to_list() == deals["position"].to_list()
    rows, uneven = deals.to_dicts(), 0
    for row, bound in zip(rows, bounds.iter_rows(named=True), strict=True):
        x, plan, quota = row["credited_amount"], PLANS[row["plan_id"]], row["quota_amount"]
        if x <= 0:
            assert bound["emcr_lowest"] is bound["emcr_highest"] is None
            continue
        day = [
            r["credited_amount"]
            for r in rows
            if r["rep_id"] == row["rep_id"] and r is not row and r["known_at"] <= 5
        ]
        starts = {
            sum((a for a, is_in in zip(day, chosen, strict=True) if is_in), start=ZERO)
            for chosen in product((0, 1), repeat=len(day))
        }
        found = [eight((plan.pay(s + x, quota) - plan.pay(s, quota)) / x) for s in starts]
        assert (bound["emcr_lowest"], bound["emcr_highest"]) == (min(found), max(found))
        uneven += min(found) < max(found)
    assert uneven > 50


def test_above_twelve_others_the_bounds_hold_every_cent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_orders, "EXACT_UP_TO", 0)
    deals = random_days(2, 40, 8)
    others = list_same_day(deals.lazy(), ["rep_id"]).collect()
    bounds = bound_day_orders(deals, others, compile_plans(PLANS.values()))
    for row, bound in zip(deals.iter_rows(named=True), bounds.iter_rows(named=True), strict=True):
        x, plan, quota = row["credited_amount"], PLANS[row["plan_id"]], row["quota_amount"]
        if x <= 0:
            continue
        mine = others.filter(position=row["position"])
        opens = row["credit_before"] - sum(mine.filter("precedes")["amount"], start=ZERO)
        first, last = (
            int(100 * (opens + sum((f(a, ZERO) for a in mine["amount"]), start=ZERO))) for f in (min, max)
        )
        grid = {*range(first, last + 1, 13), first, last}
        near = (plan_edge for at, *_ in plan.tiers for plan_edge in (at * quota, at * quota - x))
        grid |= {k for e in near for k in range(int(e * 100) - 2, int(e * 100) + 3) if first <= k <= last}
        found = [
            (plan.pay(s + x, quota) - plan.pay(s, quota)) / x for s in (Decimal(k).scaleb(-2) for k in grid)
        ]
        assert bound["emcr_lowest"] <= eight(min(found))
        assert bound["emcr_highest"] >= eight(max(found))
        # the grid misses the kinks of cap and floor by at most 13 cents
        assert bound["emcr_lowest"] == pytest.approx(eight(min(found)), abs=float(Decimal("0.13") / x) + 1e-8)
        assert bound["emcr_highest"] == pytest.approx(
            eight(max(found)), abs=float(Decimal("0.13") / x) + 1e-8
        )


def test_without_others_lowest_and_highest_are_the_rate() -> None:
    deals = random_days(3, 12, 12).unique("rep_id").sort("position")
    schedules = compile_plans(PLANS.values())
    bounds = bound_day_orders(deals, list_same_day(deals.lazy(), ["rep_id"]).collect(), schedules)
    emcr = price_positions(deals.lazy(), schedules).sort("position").collect()["emcr"].to_list()
    assert bounds["emcr_lowest"].to_list() == bounds["emcr_highest"].to_list() == emcr


def test_no_deals_no_bounds() -> None:
    deals = random_days(4, 4, 2).clear()
    bounds = bound_day_orders(
        deals, list_same_day(deals.lazy(), ["rep_id"]).collect(), compile_plans(PLANS.values())
    )
    assert bounds.height == 0
