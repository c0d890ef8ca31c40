"""What a plan pays for a total of credit: curves of single components and the pay of a period over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import erfc, exp, pi, sqrt

from reference_knowledge import Known, Row, Terms, Unpriced, exact, half_up

ZERO, ONE = Fraction(0), Fraction(1)
MEASURED = ("activity", "market_share", "retention", "satisfaction", "quality", "feedback")


@dataclass(frozen=True)
class Curve:
    """Tiers (from_attainment, rate, lump) of one component; `worth` of target pay at f = 1, None for money per credit."""

    tiers: tuple[tuple[Fraction, Fraction, Fraction], ...]
    retroactive: bool
    gate: Fraction = ZERO
    counts_above_gate: bool = False
    worth: Fraction | None = None

    @property
    def needs_quota(self) -> bool:
        return len(self.tiers) > 1 or self.tiers[0][2] != 0 or self.gate != 0 or self.worth is not None

    def pay(self, s: Fraction, quota: Fraction) -> Fraction:
        opens = self.gate * quota
        if s < opens or s < 0:
            return ZERO
        counted_from = opens if self.counts_above_gate else ZERO
        reached = [(edge * quota, rate, lump) for edge, rate, lump in self.tiers if s >= edge * quota]
        if self.retroactive:
            rated = reached[-1][1] * (s - counted_from)
        else:
            rated = ZERO
            for i, (edge, rate, _) in enumerate(reached):
                top = reached[i + 1][0] if i + 1 < len(reached) else s
                rated += rate * max(ZERO, top - max(edge, counted_from))
        if self.worth is not None:
            rated = rated * self.worth / quota
        return rated + sum(lump for *_, lump in reached)

    def lumps(self, s: Fraction, quota: Fraction) -> Fraction:
        """What of the pay is money whatever the rates are."""
        plain = tuple((edge, rate, ZERO) for edge, rate, _ in self.tiers)
        return self.pay(s, quota) - replace(self, tiers=plain).pay(s, quota)

    def per_credit_below_quota(self, quota: Fraction | None) -> Fraction:
        """C(Q-)/Q: what stands at Q itself is not reached yet."""
        below = tuple(tier for tier in self.tiers if tier[0] < 1)
        if self.gate >= 1:
            return ZERO
        q = quota or ONE
        return Curve(below, self.retroactive, self.gate, self.counts_above_gate, self.worth).pay(q, q) / q

    def thresholds(self, quota: Fraction) -> list[Fraction]:
        return sorted({at * quota for at in (self.gate, *(edge for edge, *_ in self.tiers)) if at > 0})

    def tier(self, s: Fraction, quota: Fraction) -> int:
        return max(1, sum(s >= edge * quota for edge, *_ in self.tiers))


@dataclass(frozen=True)
class Part:
    """A component of a plan: how it enters pay."""

    name: str
    measure: str = "revenue"
    combine: str = "additive"
    basis: str = "credit"
    weight: Fraction | None = None
    gate: Fraction = ZERO
    gate_from: str = "first_unit"


def read_parts(known: Known, plan: Row) -> dict[str, Part]:
    """Components of a plan version; tiers without a component row make one."""
    parts = {}
    for row in known.rows("plan_components", plan["plan_id"], "plan_id", "version", "component"):
        if row["version"] == plan["version"]:
            combine = row.get("combine") or "additive"
            parts[row["component"]] = Part(
                row["component"], row["measure"], combine,
                row.get("rate_basis") or ("target" if combine == "multiplicative" else "credit"),
                exact(row["weight"]), exact(row.get("gate_attainment")) or ZERO, row.get("gate_from") or "first_unit",
            )  # fmt: skip
    for row in _tiers(known, plan):
        parts.setdefault(row["component"], Part(row["component"]))
    return dict(sorted(parts.items()))


def _tiers(known: Known, plan: Row) -> list[Row]:
    rows = known.rows("plan_tiers", plan["plan_id"], "plan_id", "version", "component", "tier")
    return [r for r in rows if r["version"] == plan["version"]]


def read_curve(known: Known, terms: Terms, part: Part, product: str | None, share: Fraction) -> Curve:
    """The curve of a component for deals in a product; `share` of the period's days prorates target pay."""
    mine = [r for r in _tiers(known, terms.plan) if r["component"] == part.name]
    own = [r for r in mine if r.get("product_id") is not None and r["product_id"] == product]
    rows = sorted(own or [r for r in mine if r.get("product_id") is None], key=lambda r: r["tier"])
    if not rows:
        raise Unpriced("no_tiers")
    tiers = tuple(
        (exact(r["from_attainment"]), exact(r["rate"]), exact(r.get("lump_bonus")) or ZERO) for r in rows
    )
    edges = [edge for edge, *_ in tiers]
    if [r["tier"] - rows[0]["tier"] for r in rows] != list(range(len(rows))):
        raise Unpriced("tiers_leave_gap")
    if edges[0] != 0:
        raise Unpriced("tiers_do_not_start_at_zero")
    if any(b <= a for a, b in pairwise(edges)):
        raise Unpriced("tiers_do_not_rise")
    worth = None
    if part.combine == "multiplicative":
        if part.basis == "credit" or any(lump for *_, lump in tiers):
            raise Unpriced("unsupported_combination")
        worth = ONE
    elif part.basis == "target":
        worth = read_worth(terms, part, share)
    retroactive = terms.plan["tier_method"] == "retroactive"
    return Curve(tiers, retroactive, part.gate, part.gate_from == "threshold", worth)


def read_worth(terms: Terms, part: Part, share: Fraction) -> Fraction:
    """Pay of a target component at f = 1."""
    target = exact(terms.assignment.get("target_incentive"))
    if target is None or part.weight is None:
        raise Unpriced("no_target_incentive")
    return half_up(target * share, 2) * part.weight


@dataclass(frozen=True)
class Bounds:
    """Floor and cap of a period's pay."""

    floor: Fraction | None = None
    cap: Fraction | None = None

    @property
    def any(self) -> bool:
        return self.floor is not None or self.cap is not None

    def clamp(self, pay: Fraction) -> Fraction:
        pay = pay if self.floor is None else max(pay, self.floor)
        return pay if self.cap is None else min(pay, self.cap)


def read_bounds(terms: Terms, share: Fraction) -> Bounds:
    """Floor, non-recoverable draw and cap, prorated by days."""
    draw = terms.assignment.get("draw") if terms.assignment.get("draw_kind") == "non_recoverable" else None
    floors = [half_up(exact(f) * share, 2) for f in (terms.plan.get("floor"), draw) if f is not None]
    cap = exact(terms.plan.get("cap"))
    return Bounds(max(floors, default=None), None if cap is None else half_up(cap * share, 2))


@dataclass
class Period:
    """Pay of a seller's period so far: credit and pay by component, factors, gates.

    T = clamp(G x M x A): `built` is what additive components have built up, `factors` what multiplicative ones stand at,
    `opens` the attainment each gate component needs, `credit` and `quotas` what their attainments are made of.
    """

    bounds: Bounds
    target: Fraction | None
    built: dict[str, Fraction] = field(default_factory=dict)
    factors: dict[str, Fraction] = field(default_factory=dict)
    opens: dict[str, Fraction] = field(default_factory=dict)
    credit: dict[str, Fraction] = field(default_factory=dict)
    quotas: dict[str, Fraction] = field(default_factory=dict)
    results: dict[str, Fraction] = field(default_factory=dict)
    pays_target: bool = False

    def attainment(self, component: str) -> Fraction:
        if component in self.results:
            return self.results[component]
        return self.credit.get(component, ZERO) / self.quotas[component]

    @property
    def gate(self) -> int:
        return int(all(self.attainment(name) >= opens for name, opens in self.opens.items()))

    def factor(self, without: str = "") -> Fraction:
        product = ONE
        for name, value in self.factors.items():
            product *= ONE if name == without else value
        return product

    @property
    def base(self) -> Fraction:
        return (self.target or ZERO) if self.pays_target else sum(self.built.values(), ZERO)

    @property
    def free_total(self) -> Fraction:
        return self.gate * self.factor() * self.base

    @property
    def total(self) -> Fraction:
        return self.bounds.clamp(self.free_total)

    def copy(self) -> Period:
        return Period(
            self.bounds, self.target, dict(self.built), dict(self.factors), self.opens, dict(self.credit), self.quotas,
            self.results, self.pays_target,
        )  # fmt: skip


# ---- pay as a line over one component's credit
Line = Callable[[Fraction], Fraction]


def turns(line: Line, kinks: Iterable[Fraction], bounds: Bounds) -> list[Fraction]:
    """Where a line of pay turns or jumps: the kinks of its curve, and where floor and cap start to bind between them.

    `line` is free of bounds.
    """
    points = sorted({ZERO, *kinks})
    found = set(points)
    for left, right in zip(points, [*points[1:], None], strict=True):
        width = ONE if right is None else (right - left) / 2
        start, slope = line(left), (line(left + width) - line(left)) / width
        for bound in (bounds.floor, bounds.cap):
            if bound is not None and slope != 0:
                meets = left + (bound - start) / slope
                if meets > left and (right is None or meets < right):
                    found.add(meets)
    return sorted(found)


def expect(line: Line, points: list[Fraction], mean: float, deviation: float) -> float:
    """E[line(S)] for S ~ Normal: the integral of a piecewise line, exact up to floats."""
    lower = [None, *points]
    upper = [*points, None]
    total = 0.0
    for a, b in zip(lower, upper, strict=True):
        if a is None:
            value, slope, at = float(line(b - 1)), float(line(b - 1) - line(b - 2)), float(b - 1)
        else:
            width = ONE if b is None else (b - a) / 2
            value, slope, at = float(line(a)), float((line(a + width) - line(a)) / width), float(a)
        from_ = -float("inf") if a is None else (float(a) - mean) / deviation
        to = float("inf") if b is None else (float(b) - mean) / deviation
        total += (value + slope * (mean - at)) * (normal_below(to) - normal_below(from_))
        total += slope * deviation * (density(from_) - density(to))
    return total


def normal_below(z: float) -> float:
    return erfc(-z / sqrt(2)) / 2


def density(z: float) -> float:
    return exp(-z * z / 2) / sqrt(2 * pi)


# ---- afterwards
def draw_pay(earned: Fraction, draw: Fraction, balance: Fraction) -> tuple[Fraction, Fraction]:
    """Pay and new balance of a period under a recoverable draw."""
    recovered = min(balance, max(ZERO, earned - draw))
    return max(draw, earned - recovered), balance + max(ZERO, draw - earned) - recovered


def claw_back(pay: Fraction, schedule: Iterable[tuple[int, Fraction]], *, months: int) -> Fraction:
    """What is taken back after so many completed months: the share of the last step reached."""
    shares = [share for from_month, share in schedule if months >= from_month]
    return -half_up(pay * (shares[-1] if shares else ZERO), 2)
