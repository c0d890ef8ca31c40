"""Pay by the book: one plan, one deal at a time, Python's decimal. Slow, plain, and written without looking at the engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, localcontext

import polars as pl

from assets.methods.commission import Schedules, compile_schedules, price_positions
from assets.methods.exact import MONEY, RATE

ZERO = Decimal(0)
KEY = ("plan_id",)


@dataclass(frozen=True)
class Plan:
    """Tiers are (from_attainment, rate, lump)."""

    tiers: tuple[tuple[Decimal, Decimal, Decimal], ...]
    retroactive: bool = False
    gate: Decimal | None = None
    gate_from: str | None = None
    cap: Decimal | None = None
    floor: Decimal | None = None
    name: str = field(default="plan", compare=False)

    def pay(self, credit: Decimal, quota: Decimal) -> Decimal:
        with localcontext(prec=60):
            earned = self._earned(credit, quota)
            if self.floor is not None and earned < self.floor:
                earned = self.floor
            if self.cap is not None and earned > self.cap:
                earned = self.cap
            return earned

    def _earned(self, credit: Decimal, quota: Decimal) -> Decimal:
        opens = (self.gate or ZERO) * quota
        if credit < 0 or credit < opens:
            return ZERO
        from_ = opens if self.gate_from == "threshold" else ZERO
        earned = ZERO
        if self.retroactive:
            reached = [rate for at, rate, _ in self.tiers if credit >= at * quota]
            earned = reached[-1] * (credit - from_)
        else:
            for k, (at, rate, _) in enumerate(self.tiers):
                top = credit if k + 1 == len(self.tiers) else min(credit, self.tiers[k + 1][0] * quota)
                bottom = max(at * quota, from_)
                if top > bottom:
                    earned += rate * (top - bottom)
        return earned + sum((lump for at, _, lump in self.tiers if credit >= at * quota), start=ZERO)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def eight(value: Decimal) -> float:
    return float(value.quantize(Decimal("1e-8"), rounding=ROUND_HALF_UP))


def compile_plans(plans: Iterable[Plan]) -> Schedules:
    """The same plans for the engine."""
    plans = list(plans)
    facts = pl.DataFrame(
        {
            "plan_id": [p.name for p in plans],
            "tier_method": ["retroactive" if p.retroactive else "incremental" for p in plans],
            "gate_attainment": pl.Series([p.gate for p in plans], dtype=RATE),
            "gate_from": pl.Series([p.gate_from for p in plans], dtype=pl.String),
            "cap": pl.Series([p.cap for p in plans], dtype=MONEY),
            "floor": pl.Series([p.floor for p in plans], dtype=MONEY),
        }
    )
    tiers = pl.DataFrame(
        [(p.name, k, *tier) for p in plans for k, tier in enumerate(p.tiers, 1)],
        schema={
            "plan_id": pl.String,
            "tier": pl.Int64,
            "from_attainment": RATE,
            "rate": RATE,
            "lump_bonus": MONEY,
        },
        orient="row",
    )
    return compile_schedules(facts, tiers, KEY)


def price(
    plans: Iterable[Plan], deals: Iterable[tuple[str, Decimal, Decimal, Decimal | None]]
) -> pl.DataFrame:
    """Rows (plan, credit before, credit, quota) through the engine, in order."""
    rows = pl.LazyFrame(
        [(k, *deal) for k, deal in enumerate(deals)],
        schema={
            "row": pl.Int64,
            "plan_id": pl.String,
            "credit_before": MONEY,
            "credited_amount": MONEY,
            "quota_amount": MONEY,
        },
        orient="row",
    )
    return price_positions(rows, compile_plans(plans)).sort("row").collect()
