"""What was known when: the rows of one firm as anybody could have read them at an instant. Nothing is priced here.

Plain Python and fractions, straight from 10-definitions; shares no code with the assets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from pay_company import Books

Row = dict[str, Any]
MONTHS = {"month": 1, "quarter": 3, "half": 6, "year": 12}
RATE_SERVES_DAYS = 7
ONE_DAY = timedelta(days=1)


class Unpriced(Exception):  # noqa: N818 no error: a deal without a price is a result
    """There is no price, and why."""

    @property
    def reason(self) -> str:
        return str(self.args[0])


@cache
def fraction(text: str) -> Fraction:
    return Fraction(text)


def exact(value: Any) -> Fraction | None:
    return None if value is None else fraction(str(value))


def half_up(value: Fraction, places: int) -> Fraction:
    """Ties away from zero."""
    scaled = abs(value) * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(whole if value >= 0 else -whole, 10**places)


@cache
def local_day(when: datetime, zone: str) -> date:
    return when.astimezone(ZoneInfo(zone)).date()


def newest(rows: Iterable[Row], key: tuple[str, ...], t: datetime | None) -> list[Row]:
    """Newest version of every row recorded by t; of all when t is None."""
    best: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if t is None or row["recorded_at"] <= t:
            k = tuple(row[name] for name in key)
            if k not in best or row["recorded_at"] > best[k]["recorded_at"]:
                best[k] = row
    return list(best.values())


def holds(row: Row, day: date) -> bool:
    return row["valid_from"] <= day and (row.get("valid_to") is None or day < row["valid_to"])


@dataclass(frozen=True)
class Terms:
    """A seller's plan version and assignment, and the local day they were found on."""

    assignment: Row
    plan: Row
    on: date

    @property
    def version(self) -> tuple[str, int]:
        return self.plan["plan_id"], self.plan["version"]


@dataclass(frozen=True)
class Piece:
    """Credit of one seller as known: where it stands in canonical order, how much, under which terms."""

    deal: str
    component: str
    at: datetime
    timed: bool
    amount: Fraction | None
    currency: str | None
    product: str | None
    on: date
    terms: Terms | None


class Firm:
    """All rows of one firm, by what they belong to."""

    def __init__(self, books: Books) -> None:
        self.zone = books.zone
        self.fiscal_start_month = books.fiscal_start_month
        self.credited = books.credited
        rows = books.rows
        self.credits = (
            rows["credits"] if books.credited else list(self._wins_as_credits(rows["opportunities"]))
        )
        self.of: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for table, key in (
            ("quotas", "rep_id"), ("plan_assignments", "rep_id"), ("component_results", "rep_id"), ("plans", "plan_id"),
            ("plan_tiers", "plan_id"), ("plan_components", "plan_id"), ("opportunities", "opportunity_id"),
        ):  # fmt: skip
            for row in rows[table]:
                self.of[table, row[key]].append(row)
        for row in sorted(self.credits, key=lambda c: c["recorded_at"]):
            self.of["credit", row["credit_id"]].append(row)
        self.credit_ids: dict[str, list[str]] = defaultdict(list)
        for rep, credit in sorted({(c["rep_id"], c["credit_id"]) for c in self.credits}):
            self.credit_ids[rep].append(credit)
        self.deal_credits: dict[str, list[str]] = defaultdict(list)
        for deal, credit in sorted({(c["opportunity_id"], c["credit_id"]) for c in self.credits}):
            self.deal_credits[deal].append(credit)
        self.team = {row["rep_id"]: row.get("team") for row in rows["reps"]}
        self.reps = sorted({row["rep_id"] for row in rows["plan_assignments"]})
        self.spiffs = rows["spiffs"]
        self.rates: dict[tuple[str, str], list[tuple[date, Fraction]]] = defaultdict(list)
        for row in sorted(rows["fx_rates"], key=lambda r: r["rate_date"]):
            self.rates[row["currency"], row["kind"]].append(
                (row["rate_date"], fraction(row["rate_to_reporting"]))
            )
        self.fiscal = {
            row["date"]: (row["fiscal_year"], row["fiscal_period"]) for row in rows["fiscal_calendar"]
        }
        self._at: dict[datetime | None, Known] = {}

    @staticmethod
    def _wins_as_credits(opportunities: list[Row]) -> Iterable[Row]:
        """Without a credits table each win credits its seller in full; a win taken back credits 0."""
        since = {
            name: min((o["recorded_at"] for o in opportunities if o["opportunity_id"] == name and is_win(o)), default=None)
            for name in {o["opportunity_id"] for o in opportunities}
        }  # fmt: skip
        for o in opportunities:
            name, first = o["opportunity_id"], since[o["opportunity_id"]]
            if first is not None and o["recorded_at"] >= first:
                yield {
                    "credit_id": name, "opportunity_id": name, "rep_id": o["rep_id"], "component": "commission", "split_weight": 1,
                    "credited_amount": o["amount"] if is_win(o) else "0", "currency": o["currency"], "credit_type": "primary",
                    "credited_at": o["closed_at"], "recorded_at": o["recorded_at"],
                }  # fmt: skip

    def known(self, t: datetime | None) -> Known:
        if t not in self._at:
            self._at[t] = Known(self, t)
        return self._at[t]

    def credit_names(self) -> list[str]:
        return sorted({c["credit_id"] for c in self.credits})

    def first_win(self, deal: str) -> Row | None:
        wins = [o for o in self.of["opportunities", deal] if is_win(o)]
        return min(wins, key=lambda o: o["recorded_at"]) if wins else None

    def rate(self, currency: str, on: date, start: date, policy: str | None) -> Fraction | None:
        """Reporting currency per unit: of the day, at most a week old, or the plan's at the start of the period."""
        if currency == "USD":
            return Fraction(1)
        fixed = policy == "plan_fixed"
        until = start if fixed else on
        known = [(d, r) for d, r in self.rates[currency, "plan" if fixed else "daily"] if d <= until]
        if not known or (not fixed and (until - known[-1][0]).days > RATE_SERVES_DAYS):
            return None
        return known[-1][1]

    def convert(
        self,
        amount: Fraction | None,
        currency: str | None,
        to: str,
        on: date,
        start: date,
        policy: str | None,
    ) -> Fraction | None:
        if amount is None or currency in {None, to}:
            return amount
        source, target = (self.rate(c, on, start, policy) for c in (currency, to))
        return None if source is None or target is None else half_up(amount * source / target, 2)


def is_win(row: Row) -> bool:
    return bool(row["is_won"]) and row["closed_at"] is not None


class Known:
    """The firm as known at t; as known today when t is None."""

    def __init__(self, firm: Firm, t: datetime | None) -> None:
        self.firm = firm
        self.t = t
        self._cache: dict[Any, Any] = {}

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def rows(self, table: str, of: str, *key: str) -> list[Row]:
        return self._once((table, of), lambda: newest(self.firm.of[table, of], key, self.t))

    # ---- terms and days
    def _on_plans(self, rep: str) -> list[tuple[Row, Row]]:
        def pair() -> list[tuple[Row, Row]]:
            assigned = self.rows("plan_assignments", rep, "rep_id", "plan_id", "version", "valid_from")
            return [
                (a, plan)
                for a in assigned
                for plan in self.rows("plans", a["plan_id"], "plan_id", "version")
                if plan["version"] == a["version"]
            ]

        return self._once(("on", rep), pair)

    def terms(self, rep: str, when: datetime, *, timed: bool) -> Terms | None:
        """The one plan that held; two plans are two prices, which is none."""

        def find() -> Terms | None:
            found = []
            for a, plan in self._on_plans(rep):
                day = local_day(when, plan["timezone"] if timed else self.firm.zone)
                if holds(a, day) and holds(plan, day):
                    found.append(Terms(a, plan, day))
            return found[0] if len(found) == 1 else None

        return self._once((rep, when, timed), find)

    def version_on(self, rep: str, day: date) -> tuple[str, int] | None:
        found = [
            (plan["plan_id"], plan["version"])
            for a, plan in self._on_plans(rep)
            if holds(a, day) and holds(plan, day)
        ]
        return found[0] if len(found) == 1 else None

    def segment(self, rep: str, terms: Terms, start: date, end: date) -> tuple[date, date]:
        """The maximal stretch of days of the period around a day on the same plan version."""
        first, last = terms.on, terms.on
        while first > start and self.version_on(rep, first - ONE_DAY) == terms.version:
            first -= ONE_DAY
        while last + ONE_DAY < end and self.version_on(rep, last + ONE_DAY) == terms.version:
            last += ONE_DAY
        return first, last + ONE_DAY

    def quotas(self, rep: str, component: str) -> list[Row]:
        rows = self.rows("quotas", rep, "rep_id", "component", "period_start")
        return [q for q in rows if q["component"] == component]

    def quota(self, rep: str, component: str, on: date) -> Row | None:
        found = [q for q in self.quotas(rep, component) if q["period_start"] <= on < q["period_end"]]
        return found[0] if len(found) == 1 else None

    def period(self, rep: str, component: str, terms: Terms) -> tuple[date, date]:
        """The quota's; without one the fiscal calendar's; without that of whole months."""
        if q := self.quota(rep, component, terms.on):
            return q["period_start"], q["period_end"]
        months = MONTHS[terms.plan["period"]]
        if terms.on in self.firm.fiscal:
            year, number = self.firm.fiscal[terms.on]

            def is_same(day: date) -> bool:
                y, n = self.firm.fiscal.get(day, (0, 0))
                return y == year and (n - 1) // months == (number - 1) // months

            first = last = terms.on
            while is_same(first - ONE_DAY):
                first -= ONE_DAY
            while is_same(last + ONE_DAY):
                last += ONE_DAY
            return first, last + ONE_DAY
        begins = (terms.plan.get("fiscal_start_month") or self.firm.fiscal_start_month) - 1
        index = terms.on.year * 12 + terms.on.month - 1
        start = index - (index - begins) % months
        return tuple(date(i // 12, i % 12 + 1, 1) for i in (start, start + months))  # type: ignore[return-value]

    def result(self, rep: str, component: str, start: date) -> Row | None:
        """The result of a period, or without one the newest earlier one."""
        rows = self.rows("component_results", rep, "rep_id", "component", "period_start")
        found = [r for r in rows if r["component"] == component and r["period_start"] <= start]
        return max(found, key=lambda r: r["period_start"]) if found else None

    # ---- credit
    def deal(self, deal: str) -> Row | None:
        rows = self.rows("opportunities", deal, "opportunity_id")
        return rows[0] if rows else None

    def pieces(self, rep: str) -> list[Piece]:
        """Every credit the seller knew of, in canonical order."""

        def tell() -> list[Piece]:
            told = [self._tell(credit, rep) for credit in self.firm.credit_ids[rep]]
            return sorted((p for p in told if p), key=lambda p: (p.at, p.deal, p.component))

        return self._once(("pieces", rep), tell)

    def _tell(self, credit_id: str, rep: str) -> Piece | None:
        versions = self.firm.of["credit", credit_id]
        booked = [c for c in versions if self.t is None or c["recorded_at"] <= self.t]
        credit = booked[-1] if booked else versions[0]
        deal = self.deal(credit["opportunity_id"])
        closed = deal if deal and is_win(deal) else None
        if credit["rep_id"] != rep or credit["credit_type"] == "house" or not (booked or closed):
            return None
        at, timed = (
            (closed["closed_at"], closed["closed_time_known"]) if closed else (credit["credited_at"], True)
        )
        if self.t is None and self.credited_later(rep, at, timed=timed):
            at, timed = credit["credited_at"], True
        amount = exact(credit["credited_amount"])
        if not booked and closed:
            whole = exact(closed["amount"])
            amount = None if whole is None else half_up(whole * exact(credit["split_weight"]), 2)
        if amount is None:  # a credit of nobody knows how much tells nothing
            return None
        terms = self.terms(rep, at, timed=timed)
        return Piece(
            deal=credit["opportunity_id"],
            component=credit["component"],
            at=at,
            timed=timed,
            amount=amount,
            currency=credit.get("currency") if booked or not closed else closed["currency"],
            product=deal.get("product_id") if deal else None,
            on=terms.on if terms else local_day(at, self.firm.zone),
            terms=terms,
        )

    def credited_later(self, rep: str, at: datetime, *, timed: bool) -> bool:
        """Whether the plan credits at invoice or cash."""
        terms = self.terms(rep, at, timed=timed)
        return terms is not None and terms.plan.get("credit_event") in {"invoice", "cash"}
