"""Incentives one deal at a time, in plain Python and exact fractions, straight from 02-commission and 10-definitions.

Written to be read, not to be fast; shares no code with the assets. What was known is `reference_knowledge`, what a total
pays is `reference_pay`; here a deal of one seller is put in its place and its pay taken before and after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from itertools import combinations
from typing import Any

from pay_company import Books
from reference_forward import forecast
from reference_knowledge import Firm, Known, Piece, Row, Terms, Unpriced, exact, half_up, local_day
from reference_pay import (
    MEASURED,
    ONE,
    ZERO,
    Bounds,
    Curve,
    Line,
    Part,
    Period,
    expect,
    read_bounds,
    read_curve,
    read_parts,
    turns,
)

EXACT_UP_TO = 12
CENT = Fraction(1, 100)
Grain = tuple[str, str, str, str]


@dataclass(frozen=True)
class Own:
    """One row to price: the deal's credit of one seller, component and type, in plan currency."""

    component: str
    kind: str
    amount: Fraction | None
    weight: Fraction


class Reference:
    """Prices of one firm."""

    def __init__(self, books: Books) -> None:
        self.firm = Firm(books)

    def grains(self) -> set[Grain]:
        """Every row that the firm has: a credit as first recorded, or as it is today."""
        versions = (self.firm.of["credit", c][i] for c in self.firm.credit_names() for i in (0, -1))
        return {(c["opportunity_id"], c["rep_id"], c["component"], c["credit_type"]) for c in versions}

    def price(self, deal: str, rep: str, component: str, kind: str, *, final: bool) -> Row:
        """One row; `emcr` None with `null_reason` where there is no price."""
        row: dict[str, Any] = defaultdict(lambda: None)
        try:
            Pricing(self.firm, (deal, rep, component, kind), row, final=final).run()
        except Unpriced as refused:
            row["null_reason"] = refused.reason
        return row


class Pricing:
    """One row with one kind of knowledge. `row` is filled as far as it is known."""

    def __init__(self, firm: Firm, grain: Grain, row: Row, *, final: bool) -> None:
        self.firm, self.row, self.final = firm, row, final
        self.deal, self.rep, self.component, self.kind = grain
        self.versions = {c: firm.of["credit", c][-1 if final else 0] for c in firm.deal_credits[self.deal]}
        mine = [c for c in self.versions.values() if c["rep_id"] == self.rep]
        if not any((c["component"], c["credit_type"]) == grain[2:] for c in mine):
            raise Unpriced("credited_later")
        win = firm.known(None).deal(self.deal) if final else firm.first_win(self.deal)
        if win is None or not win["is_won"] or win["closed_at"] is None:
            raise Unpriced("no_deal")
        self.win: Row = win
        self.at, self.timed = win["closed_at"], win["closed_time_known"]
        self.known: Known = firm.known(None if final else self.at)
        if final and self.known.credited_later(self.rep, self.at, timed=self.timed):
            self.at, self.timed = mine[0]["credited_at"], True
        terms = self.known.terms(self.rep, self.at, timed=self.timed)
        row["on"] = terms.on if terms else local_day(self.at, firm.zone)
        if self.kind == "house":
            raise Unpriced("house_credit")
        if terms is None:
            raise Unpriced("no_plan")
        self.terms: Terms = terms
        self.product = win.get("product_id")
        self.start, self.end = self.known.period(self.rep, self.component, terms)
        self.first, self.until = self.start, self.end
        if terms.plan.get("mid_period_policy") == "segment_prorated":
            self.first, self.until = self.known.segment(self.rep, terms, self.start, self.end)
        self.share = Fraction((self.until - self.first).days, (self.end - self.start).days)
        self.parts = read_parts(self.known, terms.plan)
        self.bounds = read_bounds(terms, self.share)
        row |= {
            "plan_id": terms.plan["plan_id"], "version": terms.plan["version"], "period_start": self.start,
            "period_end": self.end, "days_to_period_end": (self.end - terms.on).days - 1,
        }  # fmt: skip
        self.own = self._own(mine)

    # ---- the deal and its place
    def _own(self, mine: list[Row]) -> list[Own]:
        """The deal's rows of this seller, in the order (component, credit type)."""
        found: dict[tuple[str, str], Own] = {}
        for c in sorted(mine, key=lambda c: (c["component"], c["credit_type"])):
            if c["credit_type"] == "house":
                continue
            amount = self._money(exact(c["credited_amount"]), c.get("currency"), self.terms.on)
            key = c["component"], c["credit_type"]
            own = found.get(key, Own(*key, ZERO, ZERO))
            total = None if amount is None or own.amount is None else own.amount + amount
            found[key] = replace(own, amount=total, weight=own.weight + exact(c["split_weight"]))
        return list(found.values())

    def _money(
        self, amount: Fraction | None, currency: str | None, on: date, start: date | None = None
    ) -> Fraction | None:
        plan = self.terms.plan
        return self.firm.convert(
            amount, currency, plan["currency"], on, start or self.start, plan.get("fx_policy")
        )

    def _quota(self, component: str) -> Fraction | None:
        row = self.known.quota(self.rep, component, self.terms.on)
        if row is None:
            return None
        return exact(row["amount"]) if self.share == 1 else half_up(exact(row["amount"]) * self.share, 2)

    def _needed_quota(self, component: str) -> Fraction:
        quota = self._quota(component)
        if quota is None:
            raise Unpriced("no_quota")
        if quota <= 0:
            raise Unpriced("quota_not_positive")
        return quota

    def _others(self) -> list[Piece]:
        """Credit of the pay period, or of the segment, except the deal's own."""
        return [
            p for p in self.known.pieces(self.rep) if p.deal != self.deal and self.first <= p.on < self.until
        ]

    def _precedes(self, piece: Piece) -> bool:
        return (piece.at, piece.deal) < (self.at, self.deal)

    # ---- what it adds
    def run(self) -> None:
        row = self.row
        own = next(o for o in self.own if (o.component, o.kind) == (self.component, self.kind))
        row["credited_amount"] = own.amount
        if own.amount is None:
            amounts = [exact(c["credited_amount"]) for c in self.versions.values()]
            raise Unpriced("no_amount" if None in amounts else "no_fx_rate")
        if self.component not in self.parts:
            raise Unpriced("no_component")
        others = self._others()
        before = [p for p in others if self._precedes(p)]
        period, curve, quota = self.position(before, own)
        x, s = own.amount, period.credit[self.component]
        after = self._add(period, curve, quota, x)
        row["quota_amount"] = quota
        row["attainment_before"] = half_up(s / quota, 8) if quota else None
        row["attainment_after"] = half_up((s + x) / quota, 8) if quota else None
        steps = self._thresholds(curve, quota)
        ahead = [t for t in steps if t > s]
        row["distance_to_threshold"] = half_up((ahead[0] - s) / quota, 8) if quota and ahead else None
        row |= {
            "bound_binds": period.total != period.free_total or after.total != after.free_total,
            "gate_opens": period.gate != after.gate, "is_segment": self.share != 1, "is_replayed": self._hangs_together(before),
            "is_continuous_change": any(p.terms is None or p.terms.version != self.terms.version for p in before),
        }  # fmt: skip
        row["is_pivotal"] = any(s < t <= s + x for t in steps)
        row["tier"] = curve.tier(s, quota or ZERO) if curve else None
        added = after.total - period.total
        row["added_pay"] = added
        row["added_pay_amount"] = half_up(after.total, 2) - half_up(period.total, 2)
        base = self._base_rate(period, curve, quota)
        row["base_rate"] = half_up(base, 8)
        if x <= 0:
            raise Unpriced("not_a_sale")
        row["emcr"] = half_up(added / x, 8)
        if base:
            row["relative_intensity"] = added / x / base
        else:
            row["relative_null_reason"] = "base_rate_zero"
        if not self.final:
            self._bound_day_orders(own, others, row["emcr"])
            self._look_forward(own, period, curve, quota)
            self._add_spiffs(own, added)

    def position(self, before: Iterable[Piece], own: Own) -> tuple[Period, Curve | None, Fraction | None]:
        """The seller's period as it stood before a row, and the row's own curve and quota."""
        before = list(before)
        if self._hangs_together(before):
            return self._replay(before, own)
        curve = self._curve(self.parts[self.component], self.terms, self.product)
        quota = self._needed_quota(self.component) if curve.needs_quota else self._quota(self.component)
        s = self._sum(p for p in before if p.component == self.component)
        period = Period(self.bounds, None, credit={self.component: s})
        period.built[self.component] = curve.pay(s, quota or ZERO)
        return period, curve, quota

    def _hangs_together(self, before: list[Piece]) -> bool:
        """Whether a component's pay depends on more than its own credit and curve."""
        combined = {part.combine for part in self.parts.values()}
        if combined & {"multiplicative", "gate"}:
            return True
        if not self.bounds.any:
            return False
        tiers = self.known.rows(
            "plan_tiers", self.terms.plan["plan_id"], "plan_id", "version", "component", "tier"
        )
        products = any(
            r.get("product_id") is not None for r in tiers if r["version"] == self.terms.plan["version"]
        )
        changed = any(p.terms is None or p.terms.version != self.terms.version for p in before)
        return len(self.parts) > 1 or products or changed

    def _sum(self, pieces: Iterable[Piece]) -> Fraction:
        total = ZERO
        for p in pieces:
            money = self._money(p.amount, p.currency, p.on)
            if money is None:
                raise Unpriced("credit_before_unknown")
            total += money
        return total

    def _curve(self, part: Part, terms: Terms, product: str | None) -> Curve:
        return read_curve(self.known, terms, part, product, self.share)

    def _is_measured(self, part: Part) -> bool:
        credited = any(p.component == part.name for p in self._others()) or any(
            o.component == part.name for o in self.own
        )
        return part.measure in MEASURED and not credited

    def _replay(self, before: list[Piece], own: Own) -> tuple[Period, Curve | None, Fraction | None]:
        """The period piece by piece in canonical order, then the deal's own earlier rows."""
        period = Period(self.bounds, exact(self.terms.assignment.get("target_incentive")))
        if period.target is not None:
            period.target = half_up(period.target * self.share, 2)
        period.pays_target = all(part.combine != "additive" for part in self.parts.values())
        if period.pays_target and period.target is None:
            raise Unpriced("no_target_incentive")
        for part in self.parts.values():
            if self._is_measured(part):
                self._read_result(period, part)
            else:
                self._begin(period, part)
        credited = defaultdict(list)
        for p in before:
            credited[p.at, p.deal, p.component].append(p)
        for (_, _, component), pieces in sorted(credited.items()):
            if component not in self.parts:
                continue
            terms, product = pieces[0].terms, pieces[0].product
            curve, quota = self._curve_then(component, terms, product)
            period = self._add_to(period, component, curve, quota, self._sum(pieces))
        start = dict(period.credit)
        for o in self.own:
            curve, quota = self._curve_then(o.component, self.terms, self.product)
            if (o.component, o.kind) == (own.component, own.kind):
                period.credit[o.component] = start[o.component]  # s of every credit excludes the deal itself
                return period, curve, quota
            if o.component not in self.parts:
                continue
            if o.amount is None:
                raise Unpriced("no_fx_rate")
            period.credit[o.component] = start[o.component]
            period = self._add_to(period, o.component, curve, quota, o.amount)
        raise AssertionError(own)

    def _begin(self, period: Period, part: Part) -> None:
        period.credit[part.name] = ZERO
        if part.combine == "gate":
            period.opens[part.name] = part.gate
            period.quotas[part.name] = self._needed_quota(part.name)
            return
        curve = self._curve(part, self.terms, None)
        quota = self._needed_quota(part.name) if curve.needs_quota else self._quota(part.name) or ZERO
        period.quotas[part.name] = quota
        target = period.factors if part.combine == "multiplicative" else period.built
        target[part.name] = curve.pay(ZERO, quota)

    def _read_result(self, period: Period, part: Part) -> None:
        """A component that no deal credits: its result for the period, and what that pays."""
        found = self.known.result(self.rep, part.name, self.start)
        current = found if found and found["period_start"] == self.start else None
        if part.combine == "additive":
            curve = self._curve(part, self.terms, None)
            row = self.known.quota(self.rep, part.name, self.start)
            if curve.needs_quota and (row is None or exact(row["amount"]) <= 0):
                raise Unpriced("no_quota" if row is None else "quota_not_positive")
            achieved = exact(current["achieved"]) if current else ZERO
            period.built[part.name] = curve.pay(achieved, exact(row["amount"]) if row else ZERO)
            if part.basis == "credit":
                period.built[part.name] *= self.share
            return
        used = current if self.final else found
        if used is None:
            raise Unpriced("no_component_result" if self.final else "component_result_not_known")
        quota = self.known.quota(self.rep, part.name, used["period_start"])
        if quota is None or exact(quota["amount"]) <= 0:
            raise Unpriced("no_quota" if quota is None else "quota_not_positive")
        attainment = exact(used["achieved"]) / exact(quota["amount"])
        if part.combine == "gate":
            period.opens[part.name] = part.gate
            period.results[part.name] = attainment
        else:
            period.factors[part.name] = self._curve(part, self.terms, None).pay(attainment, ONE)

    def _curve_then(
        self, component: str, terms: Terms | None, product: str | None
    ) -> tuple[Curve | None, Fraction | None]:
        """The curve a credit was paid along at its own place; none where it pays nothing of its own."""
        quota = self._quota(component)
        if terms is None:
            return None, quota
        parts = self.parts if terms.version == self.terms.version else read_parts(self.known, terms.plan)
        part = parts.get(component)
        if part is None or part.combine == "gate":
            return None, quota
        curve = self._curve(part, terms, product)
        return curve, self._needed_quota(component) if curve.needs_quota else quota

    def _add_to(
        self, period: Period, component: str, curve: Curve | None, quota: Fraction | None, x: Fraction
    ) -> Period:
        after = period.copy()
        s = period.credit[component]
        after.credit[component] = s + x
        if curve is not None:
            grown = curve.pay(s + x, quota or ZERO) - curve.pay(s, quota or ZERO)
            levels = after.factors if component in after.factors else after.built
            levels[component] = levels.get(component, ZERO) + grown
        return after

    def _add(self, period: Period, curve: Curve | None, quota: Fraction | None, x: Fraction) -> Period:
        return self._add_to(period, self.component, curve, quota, x)

    def _thresholds(self, curve: Curve | None, quota: Fraction | None) -> list[Fraction]:
        gate = self.parts[self.component].gate
        if curve is None:
            return [gate * quota] if quota and gate > 0 else []
        return curve.thresholds(quota) if quota else []

    def _base_rate(self, period: Period, curve: Curve | None, quota: Fraction | None) -> Fraction:
        if curve is None:
            return ZERO
        rate = curve.per_credit_below_quota(quota) * period.gate
        if self.component in period.factors:
            return rate * period.base * period.factor(without=self.component)
        return rate * period.factor()

    # ---- what it could have added
    def _slope(self, before: Iterable[Piece], own: Own) -> Fraction:
        period, curve, quota = self.position(before, own)
        return (self._add(period, curve, quota, own.amount).total - period.total) / own.amount

    def _line(
        self, own: Own, period: Period, curve: Curve | None, quota: Fraction | None
    ) -> tuple[Line, list[Fraction]]:
        """T as a function of the row's own credit, everything else as known, and where it turns."""
        s = period.credit[self.component]

        def pay(credit: Fraction) -> Fraction:
            return self._add(period, curve, quota, credit - s).total

        free = period.copy()
        free.bounds = Bounds()

        def unbounded(credit: Fraction) -> Fraction:
            return self._add(free, curve, quota, credit - s).total

        return pay, turns(unbounded, self._thresholds(curve, quota), self.bounds)

    def _bound_day_orders(self, own: Own, others: list[Piece], emcr: Fraction) -> None:
        """Over every subset of the day's other deals placed before this one, where no times are known."""
        together = self._hangs_together([p for p in others if self._precedes(p)])
        loose = [] if self.timed else [
            p for p in others
            if p.on == self.terms.on and not p.timed and (p.component in self.parts if together else p.component == self.component)
        ]  # fmt: skip
        deals = sorted({p.deal for p in loose})
        fixed = [p for p in others if self._precedes(p) and p not in loose]
        try:
            if len(deals) > EXACT_UP_TO:
                tried = list(self._over_interval(own, fixed, loose))
            else:
                tried = [
                    self._slope(
                        sorted(fixed + [p for p in loose if p.deal in some], key=lambda p: (p.at, p.deal)),
                        own,
                    )
                    for n in range(len(deals) + 1)
                    for some in combinations(deals, n)
                ]
        except Unpriced:
            self.row["emcr_lowest"] = self.row["emcr_highest"] = None
            return
        rounded = [emcr, *(half_up(rate, 8) for rate in tried)]
        self.row["emcr_lowest"], self.row["emcr_highest"] = min(rounded), max(rounded)
        self.row["many_others"] = len(deals) > EXACT_UP_TO

    def _over_interval(self, own: Own, fixed: list[Piece], loose: list[Piece]) -> Iterator[Fraction]:
        """Above a dozen: every cent from all returns to all sales of the day; only turns and ends can be extreme."""
        canonical = fixed + [p for p in loose if self._precedes(p)]
        period, curve, quota = self.position(sorted(canonical, key=lambda p: (p.at, p.deal)), own)
        pay, points = self._line(own, period, curve, quota)
        mine = [p for p in loose if p.component == self.component]
        sums = [self._sum(p for p in mine if p.deal == deal) for deal in sorted({p.deal for p in mine})]
        opens = period.credit[self.component] - self._sum(p for p in mine if self._precedes(p))
        first, last = opens + sum(min(v, ZERO) for v in sums), opens + sum(max(v, ZERO) for v in sums)
        cents = [
            (p - shift) // CENT * CENT + k * CENT
            for p in points
            for shift in (ZERO, own.amount)
            for k in range(-1, 3)
        ]
        for s in {first, last, *(c for c in cents if first <= c <= last)}:
            yield (pay(s + own.amount) - pay(s)) / own.amount

    def _look_forward(self, own: Own, period: Period, curve: Curve | None, quota: Fraction | None) -> None:
        """E[T(S_T + x/2) - T(S_T - x/2)] / x with S_T = s + x/2 + R."""
        row, x, s = self.row, own.amount, period.credit[self.component]
        if curve is not None and not curve.needs_quota:
            row["emcr_forward"] = float(row["added_pay"] / x)
            return
        found = forecast(
            self.known, self.rep, self.component, self.terms, row["days_to_period_end"], self._money
        )
        if found is None:
            row["forward_null_reason"] = "no_history"
            return
        row["from_history"] = True
        mean, deviation = found
        pay, points = self._line(own, period, curve, quota)
        if deviation == 0:
            low = s + mean * quota
            row["emcr_forward"] = float((pay(low + x) - pay(low)) / x)
            return
        center, spread = float(s + mean * quota), deviation * float(quota)
        up, down = (expect(pay, points, center + shift, spread) for shift in (float(x), 0.0))
        row["emcr_forward"] = (up - down) / float(x)

    # ---- SPIFFs
    def _add_spiffs(self, own: Own, added: Fraction) -> None:
        """Money on top of the plan, as known at the close; once for a seller, on the first component."""
        row = self.row
        row["spiff_amount"] = ZERO
        row["emcr_with_spiff"] = row["emcr"]
        paid = [
            o.component for o in self.own if o.kind == "primary" and o.amount is not None and o.amount > 0
        ]
        if self.kind != "primary" or self.component != min(paid):
            return
        total: Fraction | None = ZERO
        for spiff in self._offers(self.at):
            amount = self.firm.convert(
                exact(spiff.get("amount")), spiff.get("currency"), self.terms.plan["currency"], self.terms.on, self.start, None
            )  # fmt: skip
            if spiff.get("amount") is not None and (amount is None or spiff.get("per") == "unit"):
                total = None  # no source says how many units a deal has
            if total is not None:
                total += half_up((amount or ZERO) * own.weight, 2)
                total += half_up(own.amount * (exact(spiff.get("rate")) or ZERO), 2)
        row["spiff_amount"] = total
        row["emcr_with_spiff"] = None if total is None else half_up((added + total) / own.amount, 8)

    def _offers(self, t: datetime) -> Iterator[Row]:
        best: dict[str, Row] = {}
        for spiff in self.firm.spiffs:
            name = spiff["spiff_id"]
            if spiff["recorded_at"] <= t and (
                name not in best or best[name]["recorded_at"] < spiff["recorded_at"]
            ):
                best[name] = spiff
        has = {
            "plan_id": self.terms.plan["plan_id"],
            "team": self.firm.team.get(self.rep),
            "product_id": self.product,
        }
        for spiff in best.values():
            fits = all(spiff.get(name) in {None, value} for name, value in has.items())
            if (
                fits
                and not spiff.get("is_contest")
                and spiff["valid_from"] <= self.terms.on < spiff["valid_to"]
            ):
                yield spiff
