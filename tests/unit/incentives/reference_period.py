"""The pay of a seller's period as it stood before a deal, and what a credit adds to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction

from reference_knowledge import Piece, Terms, Unpriced, exact, half_up
from reference_pay import MEASURED, ONE, ZERO, Curve, Part, Period, read_curve, read_parts, read_worth
from reference_place import Own, Place


class Standing(Place):
    """Where the seller's pay stood."""

    def position(self, before: Iterable[Piece], own: Own) -> tuple[Period, Curve | None, Fraction | None]:
        """The seller's period as it stood before a row, and the row's own curve and quota."""
        before = list(before)
        if self.hangs_together(before):
            return self._replay(before, own)
        curve = self._curve(self.parts[self.component], self.terms, self.product)
        quota = self._needed_quota(self.component) if curve.needs_quota else self._quota(self.component)
        s = self._sum(p for p in before if p.component == self.component)
        period = Period(self.bounds, None, credit={self.component: s})
        period.built[self.component] = curve.pay(s, quota or ZERO)
        return period, curve, quota

    def hangs_together(self, before: list[Piece]) -> bool:
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
        credited = any(p.component == part.name for p in self.others()) or any(
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
            quota = exact(row["amount"]) if row else ZERO
            whole = curve.pay(achieved, quota)
            # a result is of the whole period; target pay comes as the segment's own already
            shared = whole if part.basis == "credit" else curve.lumps(achieved, quota)
            period.built[part.name] = whole - shared * (1 - self.share)
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

    def add(self, period: Period, curve: Curve | None, quota: Fraction | None, x: Fraction) -> Period:
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

    def faults(self) -> set[str]:
        """Everything that stands against a price, each on its own."""
        found = set()
        for part in self.parts.values():
            found |= {name for check in self._checks(part) if (name := _reason(check))}
        before = [p for p in self.others() if self.precedes(p)]
        found |= {name} if (name := _reason(lambda: self._sum(before))) else set()
        # a row of the deal that comes earlier and has no rate leaves the total before this one unknown
        earlier = [o for o in self.own if (o.component, o.kind) < (self.component, self.kind)]
        return found | ({"no_fx_rate"} if any(o.amount is None for o in earlier) else set())

    def _checks(self, part: Part) -> list[Callable[[], object]]:
        period = Period(self.bounds, None)
        checks: list[Callable[[], object]] = []
        if self._is_measured(part):
            checks.append(lambda: self._read_result(period, part))
        else:
            checks.append(lambda: self._needed_quota(part.name))
        if part.combine == "additive" and part.basis == "target":
            # true beside whatever else is wrong with the tiers
            checks.append(lambda: read_worth(self.terms, part, self.share))
        if part.combine != "gate":
            checks += [
                lambda product=product: self._curve(part, self.terms, product)
                for product in (None, self.product)
            ]
        return checks


def _reason(check: Callable[[], object]) -> str | None:
    try:
        check()
    except Unpriced as refused:
        return refused.reason
    return None
