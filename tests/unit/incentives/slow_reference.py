"""Incentives one deal at a time, in plain Python and exact fractions, straight from 02-commission and 10-definitions.

Written to be read, not to be fast; shares no code with the assets. What was known is `reference_knowledge`, what a total
pays is `reference_pay`; a deal's place is `reference_place`, its seller's pay before it `reference_period`; here is what
the deal added, could have added on another day's order, and would add at the end of the period.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from fractions import Fraction
from itertools import combinations
from typing import Any

from pay_company import Books
from reference_forward import forecast
from reference_knowledge import Firm, Piece, Row, Unpriced, exact, half_up
from reference_pay import ZERO, Bounds, Curve, Line, Period, expect, turns
from reference_period import Standing
from reference_place import Grain, Own

EXACT_UP_TO = 12
CENT = Fraction(1, 100)


class Reference:
    """Prices of one firm."""

    def __init__(self, books: Books) -> None:
        self.firm = Firm(books)

    def grains(self) -> set[Grain]:
        """Every row that the firm has: a credit as first recorded, or as it is today."""
        versions = (self.firm.of["credit", c][i] for c in self.firm.credit_names() for i in (0, -1))
        return {(c["opportunity_id"], c["rep_id"], c["component"], c["credit_type"]) for c in versions}

    def price(self, deal: str, rep: str, component: str, kind: str, *, final: bool) -> Row:
        """One row; `emcr` None with `null_reason` where there is no price, and every other reason that is as true."""
        row, n_times = self._price_part((deal, rep, component, kind), 0, final=final)
        if n_times == 1:
            return row
        others = [
            self._price_part((deal, rep, component, kind), n, final=final)[0] for n in range(1, n_times)
        ]
        return self._add_up([row, *others])

    def _price_part(self, grain: Grain, part: int, *, final: bool) -> tuple[Row, int]:
        row: dict[str, Any] = defaultdict(lambda: None)
        pricing = None
        try:
            pricing = Pricing(self.firm, grain, row, final=final, part=part)
            pricing.run()
        except Unpriced as refused:
            row["null_reason"] = refused.reason
            faults = pricing.faults() if pricing and refused.reason != "not_a_sale" else set()
            row["true_reasons"] = {refused.reason, *faults}
        return row, pricing.n_times if pricing else 1

    @staticmethod
    def _add_up(parts: list[Row]) -> Row:
        """A credit that counts at several times: all that its parts added, over all that they credited."""
        first, reasons = parts[0], [part["null_reason"] for part in parts if part["null_reason"]]
        row: Row = defaultdict(lambda: None, first)
        row["n_times"], row["emcr"] = len(parts), None
        row["null_reason"] = reasons[0] if reasons else None
        if not reasons:
            row["added_pay"], row["added_pay_amount"], credit = (
                sum(part[name] for part in parts)
                for name in ("added_pay", "added_pay_amount", "credited_amount")
            )
            row["emcr"] = half_up(row["added_pay"] / credit, 8)
        return row


class Pricing(Standing):
    """What one row adds to pay."""

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
        others = self.others()
        before = [p for p in others if self.precedes(p)]
        period, curve, quota = self.position(before, own)
        x, s = own.amount, period.credit[self.component]
        after = self.add(period, curve, quota, x)
        row["quota_amount"] = quota
        row["attainment_before"] = half_up(s / quota, 8) if quota else None
        row["attainment_after"] = half_up((s + x) / quota, 8) if quota else None
        steps = self._thresholds(curve, quota)
        ahead = [t for t in steps if t > s]
        row["distance_to_threshold"] = half_up((ahead[0] - s) / quota, 8) if quota and ahead else None
        row |= {
            "bound_binds": period.total != period.free_total or after.total != after.free_total,
            "gate_opens": period.gate != after.gate, "is_segment": self.share != 1, "is_replayed": self.hangs_together(before),
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

    # ---- what it could have added
    def _slope(self, before: Iterable[Piece], own: Own) -> Fraction:
        period, curve, quota = self.position(before, own)
        return (self.add(period, curve, quota, own.amount).total - period.total) / own.amount

    def _line(
        self, own: Own, period: Period, curve: Curve | None, quota: Fraction | None
    ) -> tuple[Line, list[Fraction]]:
        """T as a function of the row's own credit, everything else as known, and where it turns."""
        s = period.credit[self.component]

        def pay(credit: Fraction) -> Fraction:
            return self.add(period, curve, quota, credit - s).total

        free = period.copy()
        free.bounds = Bounds()

        def unbounded(credit: Fraction) -> Fraction:
            return self.add(free, curve, quota, credit - s).total

        return pay, turns(unbounded, self._thresholds(curve, quota), self.bounds)

    def _bound_day_orders(self, own: Own, others: list[Piece], emcr: Fraction) -> None:
        """Over every subset of the day's other deals placed before this one, where no times are known."""
        together = self.hangs_together([p for p in others if self.precedes(p)])
        loose = [] if self.timed else [
            p for p in others
            if p.on == self.terms.on and not p.timed and (p.component in self.parts if together else p.component == self.component)
        ]  # fmt: skip
        deals = sorted({p.deal for p in loose})
        fixed = [p for p in others if self.precedes(p) and p not in loose]
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
        canonical = fixed + [p for p in loose if self.precedes(p)]
        period, curve, quota = self.position(sorted(canonical, key=lambda p: (p.at, p.deal)), own)
        pay, points = self._line(own, period, curve, quota)
        mine = [p for p in loose if p.component == self.component]
        sums = [self._sum(p for p in mine if p.deal == deal) for deal in sorted({p.deal for p in mine})]
        opens = period.credit[self.component] - self._sum(p for p in mine if self.precedes(p))
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
