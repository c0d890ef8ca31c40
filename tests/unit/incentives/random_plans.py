"""Random pay plans: what they pay for, along which curve, within which bounds."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from pay_company import LONG_AGO, Books

ZONES = ("America/New_York", "America/New_York", "Europe/Berlin", "Australia/Sydney", "Asia/Kolkata")


@dataclass(frozen=True, eq=False)
class Structure:
    """Components of all plans of one company: which deals credit, which are measured, how they combine."""

    name: str
    credited: tuple[str, ...]
    measured: tuple[str, ...] = ()
    combine: dict[str, str] = field(default_factory=dict)

    @property
    def components(self) -> tuple[str, ...]:
        return self.credited + self.measured

    @property
    def hangs_together(self) -> bool:
        return bool({"multiplicative", "gate"} & set(self.combine.values()))


STRUCTURES = {
    Structure("single", ("commission",)): 8,
    Structure("two components", ("commission", "margin")): 4,
    Structure("paid activity", ("commission",), ("calls",)): 2,
    Structure("measured factor", ("commission",), ("quality",), {"quality": "multiplicative"}): 2,
    Structure("measured gate", ("commission",), ("quality",), {"quality": "gate"}): 2,
    Structure("credited factor", ("commission", "margin"), (), {"margin": "multiplicative"}): 2,
    Structure("credited gate", ("commission", "margin"), (), {"margin": "gate"}): 2,
    Structure("gate before pay", ("commission", "margin"), (), {"commission": "gate"}): 1,
    Structure("only factors", ("commission", "margin"), (), {"commission": "multiplicative", "margin": "multiplicative"}): 1,
    Structure("factor and gate", ("commission",), ("calls", "quality"), {"calls": "multiplicative", "quality": "gate"}): 1,
    Structure("paid activity and factor", ("commission",), ("calls", "quality"), {"quality": "multiplicative"}): 1,
}  # fmt: skip
MEASURES = {"commission": "revenue", "margin": "margin", "calls": "activity", "quality": "quality"}


def draw_structure(draw: random.Random) -> Structure:
    return draw.choices(list(STRUCTURES), list(STRUCTURES.values()))[0]


@dataclass(frozen=True)
class Plan:
    name: str
    zone: str
    credit_event: str | None
    changes_on: date | None  # day the second version starts
    policy: str | None = None


def make_plans(
    draw: random.Random, books: Books, prefix: str, structure: Structure, spans: list[tuple[date, date]], *,
    met: Counter[str], moves: bool, period: str,
) -> list[Plan]:  # fmt: skip
    """Two plans of one structure; the first may get a second version in the middle of a period."""
    start, end = spans[0]
    bounded = draw.random() < 0.5
    policy = draw.choice([None, "continuous", "segment_prorated"])
    if moves and structure.hangs_together:
        policy = "segment_prorated"
    met[f"policy: {policy or 'not stated'}"] += moves
    currency = "EUR" if draw.random() < 0.2 else "USD"
    fx_policy = draw.choice([None, "booking", "plan_fixed"])
    met["plan rate"] += fx_policy == "plan_fixed"
    event = draw.choice([None, "booking", "booking", "invoice", "cash"])
    met["credit at invoice or cash"] += event in {"invoice", "cash"}
    changes_on = None
    if moves and draw.random() < 0.5:
        changes_on = start + timedelta(days=(end - start).days // 2)
    basis = {c: draw.choice(["credit", "target"]) for c in structure.components}
    plans = []
    for i in range(2):
        name, zone = f"{prefix}plan{i}", draw.choice(ZONES)
        facts = {"currency": currency, "fx_policy": fx_policy, "mid_period_policy": policy, "timezone": zone}
        facts |= {"period": period, "fiscal_start_month": books.fiscal_start_month, "credit_event": event}
        plans.append(Plan(name, zone, event, changes_on if i == 0 else None, policy))
        _Version(draw, books, name, 1, structure, basis, met).make(
            spans[0], facts, bounded=bounded, until=plans[-1].changes_on
        )
        if plans[-1].changes_on:
            _Version(draw, books, name, 2, structure, basis, met).make(
                spans[0], facts, bounded=bounded, since=plans[-1].changes_on
            )
    return plans


@dataclass
class _Version:
    draw: random.Random
    books: Books
    plan: str
    number: int
    structure: Structure
    basis: dict[str, str]
    met: Counter[str]

    def chance(self, probability: float, feature: str) -> bool:
        hit = self.draw.random() < probability
        self.met[feature] += hit
        return hit

    def make(
        self, span: tuple[date, date], facts: dict[str, Any], *, bounded: bool, since: date | None = None, until: date | None = None
    ) -> None:  # fmt: skip
        draw = self.draw
        self.retroactive = self.chance(0.45, "retroactive tiers")
        row = {
            "plan_id": self.plan,
            "version": self.number,
            "valid_from": since or date(2020, 1, 1),
            "recorded_at": LONG_AGO,
        }
        row |= {"tier_method": "retroactive" if self.retroactive else "incremental", **facts}
        if bounded and self.chance(0.7, "cap"):
            row["cap"] = str(draw.randint(2500, 15000))
        if bounded and self.chance(0.5, "floor"):
            row["floor"] = str(draw.randint(100, 2400))
        known = datetime.combine(span[0], time(12), UTC) + timedelta(days=draw.randint(5, 80))
        if until and self.chance(0.5, "end of a version recorded late"):
            self.books.add("plans", **row)
            row["recorded_at"] = known
        if since and self.chance(0.4, "version recorded late"):
            row["recorded_at"] = known
        self.books.add("plans", **row, valid_to=until)
        if until is None and self.chance(0.1, "plan corrected"):
            self.books.add(
                "plans",
                **{
                    **row,
                    "cap": "4321.09",
                    "recorded_at": max(known, row["recorded_at"] + timedelta(days=1)),
                },
            )
        for component in self.structure.components:
            self._make_component(component, known)

    def _make_component(self, component: str, known: datetime) -> None:
        draw = self.draw
        combine = self.structure.combine.get(component, "additive")
        measured = component in self.structure.measured
        base = {"plan_id": self.plan, "version": self.number, "component": component}
        facts: dict[str, Any] = {"measure": MEASURES[component], "weight": draw.choice(["0.4", "0.6", "1"])}
        facts["combine"] = draw.choice([None, combine]) if combine == "additive" else combine
        basis = self.basis[component] if combine == "additive" else None
        facts["rate_basis"] = basis
        if combine == "multiplicative" and self.chance(0.05, "factor paid per credit"):
            facts["rate_basis"] = "credit"
        if combine == "gate":
            facts["gate_attainment"] = draw.choice(["0.3", "0.5", "0.9"])
        elif not measured and self.chance(0.25, "gate of its own"):
            facts |= {
                "gate_attainment": draw.choice(["0.2", "0.6"]),
                "gate_from": draw.choice(["first_unit", "threshold"]),
            }
        if (
            self.structure.name != "single"
            or basis == "target"
            or "gate_attainment" in facts
            or draw.random() < 0.3
        ):
            self.books.add("plan_components", **base, **facts, recorded_at=LONG_AGO)
            basis = facts["rate_basis"]
            if self.chance(0.1, "component corrected"):
                corrected = {**facts, "weight": "0.5"} | (
                    {"gate_attainment": "0.4"} if combine == "gate" else {}
                )
                self.books.add("plan_components", **base, **corrected, recorded_at=known)
        if combine != "gate":
            self._make_tiers(
                base, basis if combine == "additive" else "factor", measured=measured, known=known
            )
        self.met["share of target pay"] += basis == "target"

    def _make_tiers(
        self, base: dict[str, Any], basis: str | None, *, measured: bool, known: datetime
    ) -> None:
        draw = self.draw
        edges = draw.choice([["0"], ["0", "1"], ["0", "0.4", "0.8"], ["0", "0.5", "1", "1.5"]])
        low, high = (0.02, 0.2) if basis in {None, "credit"} else (0.4, 2.0)
        if measured and basis == "credit":
            low, high = 5, 20
        rates = [str(round(draw.uniform(low, high), 4)) for _ in edges]
        lumps = [
            None if basis == "factor" or not i else draw.choice([None, None, "300.5"])
            for i, _ in enumerate(edges)
        ]
        self.met["lump"] += any(lumps)
        self.met["falling rate"] += any(float(b) < float(a) for a, b in pairwise(rates))
        numbers = list(range(1, len(edges) + 1))
        has_gap = len(edges) > 2 and self.chance(0.06, "gap in the tiers")
        if has_gap:
            numbers[-1] += 1
        rows = [
            {**base, "tier": n, "from_attainment": e, "rate": r, "lump_bonus": b, "recorded_at": LONG_AGO}
            for n, e, r, b in zip(numbers, edges, rates, lumps, strict=True)
        ]
        for row in rows:
            self.books.add("plan_tiers", **row)
        if self.chance(0.25, "rate changed in the books"):
            row = draw.choice(rows)
            self.books.add("plan_tiers", **{**row, "rate": str(round(high, 3)), "recorded_at": known})
        product = (
            basis != "factor" and not measured and not has_gap and self.chance(0.3, "tiers of a product")
        )
        if product:
            name = self.plan.removesuffix(self.plan[self.plan.index("plan") :]) + "box"
            # of the same need for a quota as the component's own tiers
            simple = edges == ["0"] and "gate_attainment" not in base and basis != "target"
            for n, edge in enumerate(["0"] if simple else ["0", "0.7"], start=11):
                rate = str(round(draw.uniform(low, high), 4))
                self.books.add(
                    "plan_tiers",
                    **base,
                    tier=n,
                    from_attainment=edge,
                    rate=rate,
                    product_id=name,
                    recorded_at=LONG_AGO,
                )
