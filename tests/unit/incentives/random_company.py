"""Random small companies with everything at once: every plan feature, late and corrected records, odd calendars.

Companies of one `Setting` have ids of their own and share what a firm has once (zone, calendar, rates), so that one run
prices all of them. What the definitions leave open is not drawn; `make_company` says where.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pay_company import LONG_AGO, Books, Row
from random_plans import Plan, Structure, draw_structure, make_plans

DAY = timedelta(days=1)
Span = tuple[date, date]


@dataclass(frozen=True)
class Setting:
    """What all companies of one run share."""

    zone: str = "America/New_York"
    fiscal_start_month: int = 1
    weeks: tuple[int, ...] = ()  # of a fiscal quarter's months
    credited: bool = True

    def books(self) -> Books:
        books = Books(zone=self.zone, fiscal_start_month=self.fiscal_start_month, credited=self.credited)
        add_rates(books)
        for start, year, number, n_days in self.fiscal_months():
            for i in range(n_days):
                books.add("fiscal_calendar", date=start + i * DAY, fiscal_year=year, fiscal_period=number,
                          day_in_period=i + 1, days_in_period=n_days)  # fmt: skip
        return books

    def fiscal_months(self) -> Iterator[tuple[date, int, int, int]]:
        """4-4-5 from the last Sunday of October 2022, fiscal years of 52 weeks."""
        start = date(2022, 10, 30)
        for year in range(2023, 2027) if self.weeks else ():
            for number in range(1, 13):
                n_days = 7 * self.weeks[(number - 1) % 3]
                yield start, year, number, n_days
                start += n_days * DAY


SETTINGS = (
    Setting(),
    Setting("Europe/Berlin", fiscal_start_month=2),
    Setting(weeks=(4, 4, 5)),
    Setting("Australia/Sydney", fiscal_start_month=7),
    Setting("America/New_York", fiscal_start_month=2, credited=False),
)


def setting_of(seed: int) -> Setting:
    """Every fifth company has a fiscal calendar, every tenth no credits table."""
    return SETTINGS[(0, 1, 2, 3, 0, 1, 0, 2, 1, 4)[seed % 10]]


@dataclass
class _Maker:
    draw: random.Random
    books: Books
    prefix: str
    setting: Setting
    met: Counter[str]
    structure: Structure = field(init=False)
    plans: list[Plan] = field(init=False)
    spans: list[Span] = field(default_factory=list)
    past: list[Span] = field(default_factory=list)
    later: list[Span] = field(default_factory=list)
    joined: dict[str, date] = field(default_factory=dict)

    def chance(self, probability: float, feature: str = "") -> bool:
        hit = self.draw.random() < probability
        if hit and feature:
            self.met[feature] += 1
        return hit

    def add(self, table: str, **row: Any) -> Row:
        return self.books.add(table, **row)

    def late(self, when: datetime) -> datetime:
        """Recorded on time, a little late, or weeks late."""
        wait = self.draw.choice(
            [timedelta(0), timedelta(0), timedelta(hours=7), self.draw.randint(1, 40) * DAY]
        )
        self.met["recorded late"] += wait > timedelta(0)
        return when + wait

    def instant(self, day: date) -> datetime:
        return datetime.combine(day, time(12), UTC)


def make_company(seed: int, prefix: str, books: Books, setting: Setting | None = None) -> Counter[str]:
    """Add one company of two or three sellers and some ten deals to `books`, under its own ids.

    Not drawn, because the definitions leave it open: sellers who change between plans that multiply or gate unless pay
    is prorated by segments, or between plans of unlike components or currencies; sellers credited before they have a plan;
    two credit types of one seller on one deal and component; changes of plan beside the history of a plan; two plans on
    one day of a period that is prorated by segments.

    Returns:
        How often each feature was met.
    """
    m = _Maker(random.Random(seed), books, prefix, setting or Setting(books.zone), Counter())
    draw = m.draw
    _choose_periods(m)
    m.structure = draw_structure(draw) if m.setting.credited else Structure("single", ("commission",))
    m.met[f"structure: {m.structure.name}"] += 1
    moves = not m.past and m.chance(0.45, "sellers may change plan")
    busy = m.structure.name == "single" and m.chance(0.06, "more than a dozen deals on one day")
    m.plans = make_plans(
        draw, books, prefix, m.structure, m.spans, met=m.met, moves=moves, period=_period_of(m)
    )
    reps = [f"{prefix}rep{i}" for i in range(draw.choice([2, 3, 3]))]
    for rep in reps:
        _make_seller(m, rep, moves=moves)
    if m.structure.measured:
        for rep in reps:
            _make_results(m, rep)
    if m.chance(0.4, "spiff offered"):
        _make_spiffs(m)
    for i in range(17 if busy else draw.randint(8, 13)):
        _make_deal(m, f"{prefix}deal{i:02d}", reps, busy=busy)
    n = 0
    for rep in reps:
        for span in m.past:
            for _ in range(draw.choice([1, 1, 2])):
                _make_past_deal(m, f"{prefix}past{n:02d}", rep, span)
                n += 1
    return m.met


# ---- periods
def _choose_periods(m: _Maker) -> None:
    draw, setting = m.draw, m.setting
    if setting.weeks:
        months = [(start, start + n * DAY) for start, _, _, n in setting.fiscal_months()]
        size = draw.choice([1, 3])
        every = [(months[i][0], months[i + size - 1][1]) for i in range(0, len(months), size)]
        m.met["4-4-5 calendar"] += 1
    else:
        size = draw.choice([1, 3, 3])
        first = setting.fiscal_start_month - 1
        index = [2022 * 12 + first + size * k for k in range(48 // size)]
        every = [(_month(i), _month(i + size)) for i in index]
        m.met["shifted fiscal year"] += setting.fiscal_start_month != 1
    today = draw.choice([date(2025, 2, 10), date(2025, 3, 20), date(2024, 2, 20), date(2024, 10, 20)])
    now = next(i for i, (start, end) in enumerate(every) if start <= today < end)
    m.spans = every[now : now + draw.choice([1, 2, 2])]
    m.later = every[now + len(m.spans) : now + len(m.spans) + 2]  # credit at cash may count there
    m.met["leap day"] += any(start <= date(2024, 2, 29) < end for start, end in m.spans)
    if m.chance(0.3, "history"):
        m.past = every[now - draw.choice([1, 2, 4, 5, 9]) : now]


def _month(index: int) -> date:
    return date(index // 12, index % 12 + 1, 1)


def _period_of(m: _Maker) -> str:
    return "month" if (m.spans[0][1] - m.spans[0][0]).days < 50 else "quarter"


# ---- sellers
def _make_seller(m: _Maker, rep: str, *, moves: bool) -> None:
    draw, start = m.draw, m.spans[0][0]
    m.add("reps", rep_id=rep, team=f"{m.prefix}{draw.choice(['north', 'south'])}")
    facts: Row = {"target_incentive": str(draw.randint(10, 40) * 1000)}
    if m.chance(0.03, "no target incentive"):
        facts = {}
    if m.chance(0.2, "draw"):
        facts |= {
            "draw": "800",
            "draw_kind": draw.choice(["recoverable", "non_recoverable", "non_recoverable"]),
        }
    joined = date(2020, 1, 1)
    if not m.past and m.chance(0.12, "joiner"):
        joined = start + draw.randint(5, 20) * DAY
    m.joined[rep] = joined
    plan = m.plans[0]
    recorded = LONG_AGO
    if m.chance(0.12, "assignment recorded late"):
        recorded = m.instant(start + draw.randint(5, 20) * DAY)
    on = {
        "rep_id": rep,
        "plan_id": plan.name,
        "version": 1,
        "valid_from": joined,
        "recorded_at": recorded,
        **facts,
    }
    m.add("plan_assignments", **on)
    if moves and m.chance(0.6, "change of plan inside a period"):
        _move(m, on, plan)
    elif not m.past and plan.policy != "segment_prorated" and m.chance(0.06, "two plans on one day"):
        other = {**on, "plan_id": m.plans[1].name, "valid_from": start + draw.randint(20, 60) * DAY}
        m.add("plan_assignments", **other)
    for span in (*m.past, *m.spans, *m.later):
        _make_quotas(m, rep, span)


def _move(m: _Maker, on: Row, plan: Plan) -> None:
    """To the plan's second version, or to the other plan; sometimes known only afterwards."""
    draw = m.draw
    start, end = m.spans[0]
    moved = plan.changes_on or start + draw.randint(21, max(22, (end - start).days - 5)) * DAY
    known = LONG_AGO if draw.random() < 0.4 else m.instant(moved + draw.randint(-10, 15) * DAY)
    m.met["change of plan known late"] += known > m.instant(moved)
    before = {**on, "valid_to": moved, "recorded_at": max(known, on["recorded_at"] + DAY)}
    m.add("plan_assignments", **before)
    after = (
        {"plan_id": plan.name, "version": 2}
        if plan.changes_on
        else {"plan_id": m.plans[1].name, "version": 1}
    )
    m.met["second version of a plan"] += plan.changes_on is not None
    row = {**before, **after, "valid_from": moved}
    del row["valid_to"]
    if draw.random() < 0.3:
        row = {k: v for k, v in row.items() if k not in {"draw", "draw_kind"}}
    m.add("plan_assignments", **row)


def _make_quotas(m: _Maker, rep: str, span: Span) -> None:
    draw, past = m.draw, span in m.past
    period = {"period_start": span[0], "period_end": span[1]}
    known = m.instant(span[0] + draw.randint(10, 30) * DAY)
    for component in m.structure.components:
        measured = component in m.structure.measured
        amount = 100 if measured else draw.randint(30_000, 90_000)
        if not measured and not past and m.chance(0.04, "no quota"):
            continue
        if not measured and m.chance(0.01, "quota of zero"):
            amount = 0
        recorded = known if not (past or measured) and m.chance(0.12, "quota recorded late") else LONG_AGO
        m.books.quota(rep, str(amount), component=component, recorded_at=recorded, **period)
        if not past and not measured and m.chance(0.25, "quota version"):
            changed = m.instant(span[0] + draw.randint(31, 70) * DAY)
            m.books.quota(rep, str(amount + 10_000), component=component, recorded_at=changed, **period)


def _make_results(m: _Maker, rep: str) -> None:
    """Results of this period and the one before; some early, some corrected, some never."""
    draw = m.draw
    length = m.spans[0][1] - m.spans[0][0]
    earlier = m.past[-1] if m.past else (m.spans[0][0] - length, m.spans[0][0])
    for component in m.structure.measured:
        if not m.past:
            m.books.quota(rep, "80", component=component, period_start=earlier[0], period_end=earlier[1])
        for span in (earlier, *m.spans, *m.later):
            if m.chance(0.15, "no result"):
                continue
            recorded = m.instant(span[1] + draw.choice([1, 5, -20, -40]) * DAY)
            row = {"rep_id": rep, "component": component, "period_start": span[0]}
            m.add("component_results", **row, achieved=str(draw.randint(50, 130)), recorded_at=recorded)
            if m.chance(0.2, "result corrected"):
                again = recorded + draw.randint(1, 30) * DAY
                m.add("component_results", **row, achieved=str(draw.randint(50, 130)), recorded_at=again)


def _make_spiffs(m: _Maker) -> None:
    draw = m.draw
    for i in range(draw.choice([1, 1, 2])):
        first = m.spans[0][0] + draw.randint(0, 40) * DAY
        row: Row = {
            "spiff_id": f"{m.prefix}spiff{i}",
            "valid_from": first,
            "valid_to": first + draw.randint(5, 60) * DAY,
        }
        row |= draw.choice([{"amount": "250"}, {"rate": "0.015"}, {"amount": "90.55", "rate": "0.01"}])
        row["per"] = "unit" if m.chance(0.25, "spiff per unit") else "deal"
        row["currency"] = draw.choice([None, None, "EUR"])
        for name, value in (
            ("plan_id", m.plans[0].name), ("team", f"{m.prefix}north"), ("product_id", f"{m.prefix}box"),
        ):  # fmt: skip
            if draw.random() < 0.5:
                row[name] = value
                m.met[f"spiff for a {name}"] += 1
        if not any(name in row for name in ("plan_id", "team", "product_id")):
            row["plan_id"] = m.plans[0].name  # other companies are priced beside this one
        if m.chance(0.15, "contest"):
            row["is_contest"] = True
        recorded = draw.choice([LONG_AGO, m.instant(first + 12 * DAY)])
        m.add("spiffs", **row, recorded_at=recorded)
        if m.chance(0.2, "spiff corrected"):
            m.add("spiffs", **{**row, "per": "deal", "rate": "0.02"}, recorded_at=m.instant(first + 20 * DAY))


# ---- deals
def _draw_close(m: _Maker, *, busy: bool) -> tuple[datetime, bool]:
    """When a deal closed, and whether the source knows the time."""
    draw = m.draw
    start, end = m.spans[0][0], m.spans[-1][1]
    days = (end - start).days
    if busy or draw.random() < 0.4:  # few days, so that some are shared
        offset = 20 if busy else draw.choice([9, 20, 21, days - 1])
        day = datetime.combine(start + offset * DAY, time(0), ZoneInfo(m.books.zone))
        m.met["day without a time"] += 1
        return day.astimezone(UTC), False
    zone = ZoneInfo(m.plans[0].zone)
    edges = [
        datetime.combine(m.spans[0][1] - DAY, time(23, 30), zone),
        datetime.combine(m.spans[0][1], time(0, 10), zone),
        datetime.combine(start, time(0, 0), zone),
    ]
    clocks = [datetime(2025, 3, 9, 6, 59, tzinfo=UTC), datetime(2025, 3, 30, 0, 59, 59, tzinfo=UTC),
              datetime(2025, 3, 9, 7, 0, tzinfo=UTC), datetime(2024, 11, 3, 5, 30, tzinfo=UTC)]  # fmt: skip
    leap = [datetime.combine(date(2024, 2, 29), time(23, 40), zone)]
    inside = [t for t in (*clocks, *leap) if start <= t.date() < end]
    if m.chance(0.2, "close at a period's edge"):
        return draw.choice(edges).astimezone(UTC), True
    if inside and m.chance(0.15, "close at a change of clocks or a leap day"):
        return draw.choice(inside).astimezone(UTC), True
    return datetime.combine(start, time(0), UTC) + timedelta(
        days=draw.randint(0, days - 1), minutes=draw.randint(0, 1439)
    ), True


def _make_deal(m: _Maker, deal: str, reps: list[str], *, busy: bool) -> None:
    draw = m.draw
    when, timed = _draw_close(m, busy=busy)
    there = [rep for rep in reps if m.joined[rep] + DAY < when.date()]
    if not there:
        return
    amount = draw.choice([draw.randint(500, 60_000), draw.randint(500, 6_000), draw.randint(500, 30_000)])
    if m.chance(0.07, "return"):
        amount = -draw.randint(100, 900)
    rep = there[0] if busy else draw.choice(there)
    currency = "EUR" if m.chance(0.2, "another currency") else "USD"
    if not m.setting.credited:
        currency = draw.choice([currency, "USD"])
    known = when if busy else m.late(when)
    product = draw.choice([None, f"{m.prefix}box", f"{m.prefix}bag"])
    facts: Row = {"closed_time_known": timed, "currency": currency, "product_id": product}
    stamp = when.strftime("%Y-%m-%d %H:%M:%S")
    m.books.win(deal, rep, str(amount), stamp, recorded_at=known, **facts)
    if m.chance(0.1, "deal corrected"):
        m.books.win(deal, rep, str(amount + 100), stamp, recorded_at=known + 9 * DAY, **facts)
    elif m.chance(0.04, "win taken back"):
        m.books.win(deal, rep, str(amount), stamp, recorded_at=known + 12 * DAY, **{**facts, "is_won": False})
    if m.setting.credited:
        _credit_deal(m, deal, (when, timed), (rep, [r for r in there if r != rep]), amount, currency)


def _credit_deal(
    m: _Maker,
    deal: str,
    close: tuple[datetime, bool],
    sellers: tuple[str, list[str]],
    amount: int,
    currency: str,
) -> None:
    draw, (when, _), (rep, others) = m.draw, close, sellers
    shares = [(rep, "1", "primary")]
    if others and m.chance(0.25, "split"):
        shares = [(rep, "0.6", "primary"), (others[0], "0.4", "primary")]
    if others and m.chance(0.15, "overlay or manager credit"):
        shares.append((others[-1], "1", draw.choice(["overlay", "manager"])))
    if len({seller for seller, *_ in shares}) < len(shares):
        shares = shares[:2]
    if m.chance(0.08, "windfall or house deal"):
        shares[0] = (rep, shares[0][1], draw.choice(["windfall", "house"]))
    credited_at = when
    if m.plans[0].credit_event in {"invoice", "cash"}:
        credited_at = when + timedelta(days=draw.randint(5, 60), minutes=7)
    for seller, weight, kind in shares:
        for component in m.structure.credited:
            if len(m.structure.credited) > 1 and draw.random() < 0.15:
                continue
            name = "other" if m.chance(0.01, "component the plan does not have") else component
            money = round(
                amount
                * float(weight)
                * draw.choice([1, 1, 1, 1.1])
                * (1 if component == "commission" else 0.5),
                2,
            )
            stated = {
                "component": name, "split_weight": weight, "credit_type": kind, "currency": draw.choice([None, currency]),
                "credit_id": f"{deal}/{seller}/{component}/{kind}", "recorded_at": m.late(when),
            }  # fmt: skip
            m.books.credit(deal, seller, str(money), credited_at.strftime("%Y-%m-%d %H:%M:%S"), **stated)
            if m.chance(0.1, "credit corrected"):
                taken = {s for s, *_ in shares}
                to = draw.choice([seller, *[r for r in others if r not in taken]])
                m.met["credit moved to another seller"] += to != seller
                row = {
                    **m.books.rows["credits"][-1],
                    "rep_id": to,
                    "credited_amount": str(round(money - 50, 2)),
                }
                row["recorded_at"] += draw.randint(1, 30) * DAY
                m.books.rows["credits"].append(row)


def _make_past_deal(m: _Maker, deal: str, rep: str, span: Span) -> None:
    """A deal of a completed period, recorded when it closed."""
    when = datetime.combine(span[0], time(12), UTC) + m.draw.randint(1, (span[1] - span[0]).days - 2) * DAY
    stamp, amount = when.strftime("%Y-%m-%d %H:%M:%S"), str(m.draw.randint(5_000, 40_000))
    m.books.win(deal, rep, amount, stamp)
    for component in m.structure.credited if m.setting.credited else ():
        m.books.credit(
            deal, rep, amount, stamp, component=component, credit_id=f"{deal}/{component}", split_weight="1"
        )


def add_rates(books: Books) -> None:
    """EUR rates with a hole of a fortnight every February, and plan rates of every half year."""
    for offset in range(0, 1100, 3):
        day = date(2022, 12, 31) + offset * DAY
        if not (day.month == 2 and 5 <= day.day <= 19):
            rate = str(1.05 + offset % 7 / 100)
            books.add("fx_rates", currency="EUR", rate_date=day, kind="daily", rate_to_reporting=rate)
    for i, day in enumerate((date(2023, 1, 1), date(2024, 1, 1), date(2024, 7, 1), date(2025, 1, 1))):
        books.add("fx_rates", currency="EUR", rate_date=day, kind="plan", rate_to_reporting=f"1.{10 + i}")
