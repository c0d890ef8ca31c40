"""Incentives one deal at a time, in plain Python and exact decimals, straight from 10-definitions.

Written to be read, not to be fast; shares no code with the assets.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from pay_company import Books

Row = dict[str, Any]
D = Decimal


def newest(rows: list[Row], key: tuple[str, ...], t: datetime | None) -> list[Row]:
    """Newest version of every row recorded by t; of all when t is None."""
    best: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        k = tuple(row[name] for name in key)
        if (t is None or row["recorded_at"] <= t) and (
            k not in best or row["recorded_at"] > best[k]["recorded_at"]
        ):
            best[k] = row
    return list(best.values())


def exact(value: Any) -> Fraction | None:
    return None if value is None else Fraction(str(value))


class Reference:
    def __init__(self, books: Books) -> None:
        self.rows = books.rows
        self.zone = books.zone
        self.credited = books.credited

    # ---- what held ------------------------------------------------------------------------------------------------
    def day(self, when: datetime, zone: str) -> date:
        return when.astimezone(ZoneInfo(zone)).date()

    def terms(
        self, rep: str, when: datetime, t: datetime | None, *, timed: bool
    ) -> tuple[Row, Row, date] | None:
        plans = {
            (p["plan_id"], p["version"]): p for p in newest(self.rows["plans"], ("plan_id", "version"), t)
        }
        assigned = newest(self.rows["plan_assignments"], ("rep_id", "plan_id", "version", "valid_from"), t)
        found = []
        for a in assigned:
            plan = plans.get((a["plan_id"], a["version"]))
            if a["rep_id"] != rep or plan is None:
                continue
            on = self.day(when, plan["timezone"] if timed else self.zone)
            if all(
                r["valid_from"] <= on and (r.get("valid_to") is None or on < r["valid_to"]) for r in (a, plan)
            ):
                found.append((a, plan, on))
        return found[0] if len(found) == 1 else None

    def on(self, rep: str, when: datetime, t: datetime | None, *, timed: bool) -> date:
        found = self.terms(rep, when, t, timed=timed)
        return found[2] if found else self.day(when, self.zone)

    def quota(self, rep: str, component: str, on: date, t: datetime | None) -> Row | None:
        for q in newest(self.rows["quotas"], ("rep_id", "component", "period_start"), t):
            if (q["rep_id"], q["component"]) == (rep, component) and q["period_start"] <= on < q[
                "period_end"
            ]:
                return q
        return None

    def period(self, rep: str, component: str, on: date, plan: Row, t: datetime | None) -> tuple[date, date]:
        if q := self.quota(rep, component, on, t):
            return q["period_start"], q["period_end"]
        start = date(on.year, (on.month - 1) // 3 * 3 + 1, 1)
        end = (start + timedelta(days=100)).replace(day=1)
        return start, end

    def rate(self, currency: str, on: date) -> Fraction | None:
        if currency == "USD":
            return Fraction(1)
        known = [
            r for r in self.rows["fx_rates"]
            if r["currency"] == currency and r["kind"] == "daily" and 0 <= (on - r["rate_date"]).days <= 7
        ]  # fmt: skip
        return exact(max(known, key=lambda r: r["rate_date"])["rate_to_reporting"]) if known else None

    def convert(self, amount: Fraction, currency: str | None, plan: Row, on: date) -> Fraction | None:
        if currency in {None, plan["currency"]}:
            return amount
        source, target = self.rate(currency, on), self.rate(plan["currency"], on)
        return None if source is None or target is None else half_up(amount * source / target, 2)

    # ---- what was credited ------------------------------------------------------------------------------------------
    def first_win(self, deal: str) -> Row | None:
        wins = [
            o for o in self.rows["opportunities"]
            if o["opportunity_id"] == deal and o["is_won"] and o["closed_at"] is not None
        ]  # fmt: skip
        return min(wins, key=lambda o: o["recorded_at"]) if wins else None

    def versions(self, credit_id: str) -> list[Row]:
        rows = [c for c in self.rows["credits"] if c["credit_id"] == credit_id]
        return sorted(rows, key=lambda c: c["recorded_at"])

    def told(self, credit_id: str, t: datetime | None) -> Row | None:
        """What is known of a credit at t: seller, component, place, amount, currency."""
        versions = self.versions(credit_id)
        booked = [c for c in versions if t is None or c["recorded_at"] <= t]
        credit = booked[-1] if booked else versions[0]
        deals = newest(
            [o for o in self.rows["opportunities"] if o["opportunity_id"] == credit["opportunity_id"]],
            ("opportunity_id",),
            t,
        )
        deal = deals[0] if deals and deals[0]["closed_at"] is not None else None
        if not booked and not (deal and deal["is_won"]):
            return None
        share = deal and half_up(exact(deal["amount"]) * exact(credit["split_weight"]), 2)
        return {
            "deal": credit["opportunity_id"], "rep": credit["rep_id"], "component": credit["component"],
            "at": deal["closed_at"] if deal else credit["credited_at"],
            "timed": deal["closed_time_known"] if deal else True,
            "amount": exact(credit["credited_amount"]) if booked else share,
            "currency": credit.get("currency") if booked else deal["currency"],
        }  # fmt: skip

    def others(
        self, rep: str, component: str, deal: str, span: tuple[date, date], plan: Row, t: datetime | None
    ) -> list[Row]:
        """Credits of the pay period except the deal's own."""
        found = []
        for credit_id in sorted({c["credit_id"] for c in self.rows["credits"]}):
            told = self.told(credit_id, t)
            if told is None or (told["rep"], told["component"]) != (rep, component) or told["deal"] == deal:
                continue
            seen = told["at"] if t is not None else None
            on = self.on(rep, told["at"], seen, timed=told["timed"])
            if span[0] <= on < span[1]:
                found.append(
                    {**told, "on": on, "money": self.convert(told["amount"], told["currency"], plan, on)}
                )
        return found

    # ---- what it paid -------------------------------------------------------------------------------------------------
    def curve(self, plan: Row, component: str, assignment: Row, t: datetime | None) -> Row:
        key = ("plan_id", "version", "component")
        mine = [r for r in self.rows["plan_tiers"] if r["plan_id"] == plan["plan_id"]]
        tiers = [r for r in newest(mine, (*key, "tier"), t) if r["component"] == component]
        gates = [
            r for r in newest(self.rows["plan_components"], key, t)
            if r["plan_id"] == plan["plan_id"] and r["component"] == component
        ]  # fmt: skip
        gate = gates[0] if gates else {}
        return {
            "tiers": sorted(tiers, key=lambda r: r["tier"]), "plan": plan,
            "gate": exact(gate.get("gate_attainment")) or Fraction(0), "from": gate.get("gate_from") or "first_unit",
            "draw": exact(assignment.get("draw")) if assignment.get("draw_kind") == "non_recoverable" else None,
        }  # fmt: skip

    def needs_quota(self, curve: Row) -> bool:
        tiers = curve["tiers"]
        return len(tiers) > 1 or any(exact(r["lump_bonus"]) for r in tiers) or curve["gate"] != 0

    def pay(self, curve: Row, s: Fraction, quota: Fraction) -> Fraction:
        edges = [exact(r["from_attainment"]) * quota for r in curve["tiers"]]
        rates = [exact(r["rate"]) for r in curve["tiers"]]
        opens = curve["gate"] * quota
        counted_from = opens if curve["from"] == "threshold" else Fraction(0)
        earned = Fraction(0)
        if s >= opens and s >= 0:
            if curve["plan"]["tier_method"] == "retroactive":
                earned = [r for e, r in zip(edges, rates, strict=True) if s >= e][-1] * (s - counted_from)
            else:
                for i, (edge, rate) in enumerate(zip(edges, rates, strict=True)):
                    top = edges[i + 1] if i + 1 < len(edges) else s
                    earned += rate * max(Fraction(0), min(s, top) - max(edge, counted_from))
            lumps = zip(edges, curve["tiers"], strict=True)
            earned += sum((exact(r["lump_bonus"]) or 0 for e, r in lumps if s >= e), Fraction(0))
        floors = [f for f in (exact(curve["plan"].get("floor")), curve["draw"]) if f is not None]
        earned = max([earned, *floors])
        cap = exact(curve["plan"].get("cap"))
        return earned if cap is None else min(earned, cap)

    def price(self, deal: str, rep: str, component: str, kind: str, *, final: bool) -> Row:
        """One exposure; `emcr` None where it cannot be known."""
        nothing: Row = {"emcr": None, "lowest": None, "highest": None, "attainment": None}
        firsts = {
            c["credit_id"]: self.versions(c["credit_id"])[-1 if final else 0] for c in self.rows["credits"]
        }
        own = [
            c for c in firsts.values()
            if (c["opportunity_id"], c["rep_id"], c["component"], c["credit_type"]) == (deal, rep, component, kind)
        ]  # fmt: skip
        win = self.first_win(deal)
        if final:
            todays = newest(
                [o for o in self.rows["opportunities"] if o["opportunity_id"] == deal],
                ("opportunity_id",),
                None,
            )
            win = todays[0] if todays and todays[0]["is_won"] and todays[0]["closed_at"] else None
        if win is None or not own:
            return nothing
        when, timed = win["closed_at"], win["closed_time_known"]
        t = None if final else when
        terms = self.terms(rep, when, t, timed=timed)
        if terms is None:
            return nothing
        assignment, plan, on = terms
        amounts = [self.convert(exact(c["credited_amount"]), c.get("currency"), plan, on) for c in own]
        if any(a is None for a in amounts):
            return nothing
        x = sum(amounts, Fraction(0))
        curve = self.curve(plan, component, assignment, t)
        quota_row = self.quota(rep, component, on, t)
        if not curve["tiers"] or (self.needs_quota(curve) and quota_row is None):
            return nothing
        quota = exact(quota_row["amount"]) if quota_row else Fraction(0)
        if self.needs_quota(curve) and quota <= 0:
            return nothing
        span = self.period(rep, component, on, plan, t)
        others = self.others(rep, component, deal, span, plan, t)
        before = [o for o in others if (o["at"], o["deal"]) < (when, deal)]
        if any(o["money"] is None for o in before):
            return nothing
        s = sum((o["money"] for o in before), Fraction(0))
        attainment = half_up(s / quota, 8) if quota else None
        if x <= 0:
            return {**nothing, "attainment": attainment}

        def slope(start: Fraction) -> Fraction:
            return (self.pay(curve, start + x, quota) - self.pay(curve, start, quota)) / x

        tried = [slope(s)]
        if not timed and not final:
            same = [o for o in others if o["on"] == on and not o["timed"]]
            if any(o["money"] is None for o in same):
                return {**nothing, "emcr": half_up(tried[0], 8), "attainment": attainment}
            opens = s - sum((o["money"] for o in same if o in before), Fraction(0))
            deals: dict[str, Fraction] = {}
            for o in same:
                deals[o["deal"]] = deals.get(o["deal"], Fraction(0)) + o["money"]
            for n in range(len(deals) + 1):
                tried += [slope(opens + sum(some, Fraction(0))) for some in combinations(deals.values(), n)]
        rounded = [half_up(rate, 8) for rate in tried]
        return {"emcr": rounded[0], "lowest": min(rounded), "highest": max(rounded), "attainment": attainment}


def half_up(value: Fraction, places: int) -> Fraction:
    """Ties away from zero."""
    scaled = abs(value) * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(whole if value >= 0 else -whole, 10**places)
