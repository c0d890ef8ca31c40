"""Random deals and credits: splits, returns, corrections, days without a time, closes where calendars turn."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pay_company import Row
from random_firm import DAY, Maker, Span


def _draw_close(m: Maker, *, busy: bool) -> tuple[datetime, bool]:
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


def make_deal(m: Maker, deal: str, reps: list[str], *, busy: bool) -> None:
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
        lost = {**facts, "is_won": False, "closed_at": when + draw.choice([0, 0, 40]) * DAY}
        m.books.win(deal, rep, str(amount), stamp, recorded_at=known + 12 * DAY, **lost)
    if m.setting.credited:
        _credit_deal(m, deal, (when, timed), (rep, [r for r in there if r != rep]), amount, currency)


def _credit_deal(
    m: Maker,
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
            if credited_at != when and m.chance(0.4, "credit at several times"):
                _credit_in_parts(m, deal, seller, (money, weight), credited_at, stated)
                continue
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


def _credit_in_parts(
    m: Maker, deal: str, seller: str, whole: tuple[float, str], first: datetime, stated: Row
) -> None:
    """Two instalments, in one pay period or in two, with credits of their own."""
    money, half = whole[0], str(float(whole[1]) / 2)
    down = round(money * m.draw.choice([0.3, 0.5]), 2)
    second = first + timedelta(days=m.draw.choice([3, 20, 70]))
    for n, (amount, when) in enumerate(((down, first), (round(money - down, 2), second))):
        part = {**stated, "credit_id": f"{stated['credit_id']}/{n}", "split_weight": half}
        m.books.credit(deal, seller, str(amount), when.strftime("%Y-%m-%d %H:%M:%S"), **part)


def make_past_deal(m: Maker, deal: str, rep: str, span: Span) -> None:
    """A deal of a completed period, recorded when it closed."""
    when = datetime.combine(span[0], time(12), UTC) + m.draw.randint(1, (span[1] - span[0]).days - 2) * DAY
    stamp, amount = when.strftime("%Y-%m-%d %H:%M:%S"), str(m.draw.randint(5_000, 40_000))
    m.books.win(deal, rep, amount, stamp)
    for component in m.structure.credited if m.setting.credited else ():
        m.books.credit(
            deal, rep, amount, stamp, component=component, credit_id=f"{deal}/{component}", split_weight="1"
        )
