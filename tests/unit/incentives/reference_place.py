"""A deal of one seller in its place: what was known, under which terms, in which period, beside which other credit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from reference_knowledge import Firm, Known, Piece, Row, Terms, Unpriced, exact, half_up, local_day
from reference_pay import ZERO, read_bounds, read_parts

Grain = tuple[str, str, str, str]


@dataclass(frozen=True)
class Own:
    """One row to price: the deal's credit of one seller, component and type, in plan currency."""

    component: str
    kind: str
    amount: Fraction | None
    weight: Fraction


class Place:
    """One row with one kind of knowledge, of a credit that counts at several times the `part`. `row` is filled as far as it is known."""

    def __init__(self, firm: Firm, grain: Grain, row: Row, *, final: bool, part: int = 0) -> None:
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
        self.n_times = 1
        if final and self.known.credited_later(self.rep, self.at, timed=self.timed):
            times = sorted(
                {c["credited_at"] for c in mine if (c["component"], c["credit_type"]) == grain[2:]}
            )
            self.n_times, self.at, self.timed = len(times), times[part], True
            mine = [c for c in mine if c["credited_at"] == self.at]
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

    def others(self) -> list[Piece]:
        """Credit of the pay period, or of the segment, except the deal's own; of it, as final, what counted earlier."""
        return [
            p
            for p in self.known.pieces(self.rep)
            if (p.deal != self.deal or (self.final and p.at < self.at)) and self.first <= p.on < self.until
        ]

    def precedes(self, piece: Piece) -> bool:
        return (piece.at, piece.deal) < (self.at, self.deal)
