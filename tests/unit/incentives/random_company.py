"""Random small companies with everything at once: every plan feature, late and corrected records, odd calendars.

Companies of one `Setting` have ids of their own and share what a firm has once (zone, calendar, rates), so that one run
prices all of them. What the definitions leave open is not drawn; `make_company` says where.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import date

from pay_company import LONG_AGO, Books, Row
from random_deals import make_deal, make_past_deal
from random_firm import DAY, Maker, Setting, Span
from random_plans import Plan, Structure, draw_structure, make_plans


def make_company(seed: int, prefix: str, books: Books, setting: Setting | None = None) -> Counter[str]:
    """Add one company of two or three sellers and some ten deals to `books`, under its own ids.

    Not drawn, because the definitions leave it open: sellers who change between plans that multiply or gate unless pay
    is prorated by segments, or between plans of unlike components or currencies; sellers credited before they have a plan;
    two credit types of one seller on one deal and component; changes of plan beside the history of a plan; two plans on
    one day of a period that is prorated by segments.

    Returns:
        How often each feature was met.
    """
    m = Maker(random.Random(seed), books, prefix, setting or Setting(books.zone), Counter())
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
        make_deal(m, f"{prefix}deal{i:02d}", reps, busy=busy)
    n = 0
    for rep in reps:
        for span in m.past:
            for _ in range(draw.choice([1, 1, 2])):
                make_past_deal(m, f"{prefix}past{n:02d}", rep, span)
                n += 1
    return m.met


# ---- periods
def _choose_periods(m: Maker) -> None:
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


def _period_of(m: Maker) -> str:
    return "month" if (m.spans[0][1] - m.spans[0][0]).days < 50 else "quarter"


# ---- sellers
def _make_seller(m: Maker, rep: str, *, moves: bool) -> None:
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


def _move(m: Maker, on: Row, plan: Plan) -> None:
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


def _make_quotas(m: Maker, rep: str, span: Span) -> None:
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


def _make_results(m: Maker, rep: str) -> None:
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


def _make_spiffs(m: Maker) -> None:
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
