"""Random small companies with everything at once: versions, late records, splits, days without time, two zones."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

from pay_company import LONG_AGO, Books

START = datetime(2025, 1, 1, tzinfo=UTC)


def make_company(seed: int, prefix: str, books: Books) -> None:
    """Add one company of three sellers, some twenty deals and three months to `books`, under its own ids."""
    draw = random.Random(seed)
    plans = [f"{prefix}plan{i}" for i in range(2)]
    for plan in plans:
        _make_plan(draw, books, plan)
    reps = [f"{prefix}rep{i}" for i in range(3)]
    for rep in reps:
        _make_seller(draw, books, rep, plans)
    for i in range(draw.randint(12, 22)):
        _make_deal(draw, books, f"{prefix}deal{i:02d}", reps)


def _late(draw: random.Random, when: datetime) -> datetime:
    """Recorded on time, a little late, or weeks late."""
    return when + draw.choice(
        [timedelta(0), timedelta(0), timedelta(hours=7), timedelta(days=draw.randint(1, 40))]
    )


def _make_plan(draw: random.Random, books: Books, plan: str) -> None:
    edges = draw.choice([["0"], ["0", "1"], ["0", "0.8", "1.25"], ["0", "0.5", "1", "1.5"]])
    tiers = [
        (edge, str(round(draw.uniform(0.02, 0.2), 4)), draw.choice([None, None, "500.5"]) if i else None)
        for i, edge in enumerate(edges)
    ]
    facts = {
        "tier_method": draw.choice(["incremental", "retroactive"]),
        "timezone": draw.choice(["America/New_York", "Europe/Berlin"]),
    }
    if draw.random() < 0.3:
        facts["cap"] = str(draw.randint(3000, 20000))
    if draw.random() < 0.2:
        facts["floor"] = str(draw.randint(500, 2900))
    if draw.random() < 0.3:
        facts |= {
            "gate_attainment": draw.choice(["0.3", "0.6"]),
            "gate_from": draw.choice(["first_unit", "threshold"]),
        }
    books.plan(plan, tiers, **facts)
    if draw.random() < 0.5:  # a rate is changed in the books during the quarter
        number = draw.randint(1, len(tiers))
        edge, _, lump = tiers[number - 1]
        books.tier(plan, number, edge, "0.3", lump, recorded_at=START + timedelta(days=draw.randint(5, 80)))


def _make_seller(draw: random.Random, books: Books, rep: str, plans: list[str]) -> None:
    facts = (
        {"draw": "800", "draw_kind": draw.choice(["recoverable", "non_recoverable"])}
        if draw.random() < 0.3
        else {}
    )
    recorded = draw.choice([LONG_AGO, START + timedelta(days=20)])
    books.seller(rep, plans[0], recorded_at=recorded, **facts)
    if draw.random() < 0.4:  # moves to the other plan in the middle of the quarter
        moved, known = date(2025, 2, 14), START + timedelta(days=draw.randint(40, 60))
        books.add(
            "plan_assignments", rep_id=rep, plan_id=plans[0], version=1, valid_from=date(2020, 1, 1), valid_to=moved,
            recorded_at=known, **facts,
        )  # fmt: skip
        books.add(
            "plan_assignments", rep_id=rep, plan_id=plans[1], version=1, valid_from=moved, recorded_at=known
        )
    if draw.random() < 0.9:
        amount = draw.randint(40_000, 120_000)
        books.quota(
            rep, str(amount), recorded_at=draw.choice([LONG_AGO, LONG_AGO, START + timedelta(days=25)])
        )
        if draw.random() < 0.4:
            books.quota(rep, str(amount + 10_000), recorded_at=START + timedelta(days=draw.randint(30, 80)))


def _make_deal(draw: random.Random, books: Books, deal: str, reps: list[str]) -> None:
    timed = draw.random() < 0.5
    when = START + timedelta(days=draw.randint(0, 92), minutes=draw.randint(0, 1439))
    if not timed:  # few days, so that some are shared
        when = (START + timedelta(days=draw.choice([9, 40, 41, 70]))).replace(hour=5, minute=0)
    amount = draw.choice([draw.randint(500, 60_000), draw.randint(500, 6_000), -draw.randint(100, 900)])
    rep, other = draw.sample(reps, 2)
    currency = draw.choice(["USD", "USD", "USD", "EUR"])
    known = _late(draw, when)
    facts = {"closed_time_known": timed, "currency": currency}
    books.win(deal, rep, str(amount), when.strftime("%Y-%m-%d %H:%M"), recorded_at=known, **facts)
    if draw.random() < 0.1:  # the amount is corrected later
        books.win(
            deal,
            rep,
            str(amount + 100),
            when.strftime("%Y-%m-%d %H:%M"),
            recorded_at=known + timedelta(days=9),
            **facts,
        )
    shares = (
        [(rep, "0.6", "primary"), (other, "0.4", "primary")]
        if draw.random() < 0.3
        else [(rep, "1", "primary")]
    )
    if draw.random() < 0.2:
        shares.append((other, "1", "overlay"))
    for seller, weight, kind in shares:
        stated = {"split_weight": weight, "credit_type": kind, "currency": draw.choice([None, currency])}
        credited = round(amount * float(weight) * draw.choice([1, 1, 1, 1.1]), 2)
        booked = _late(draw, when)
        day = when.strftime("%Y-%m-%d %H:%M")
        books.credit(deal, seller, str(credited), day, recorded_at=booked, **stated)
        if draw.random() < 0.15:  # corrected later, sometimes to another seller
            to = draw.choice([seller, *[r for r in reps if r not in {rep, other}]])
            row = {**books.rows["credits"][-1], "rep_id": to, "credited_amount": str(credited - 50)}
            books.rows["credits"].append({**row, "recorded_at": booked + timedelta(days=draw.randint(1, 30))})


def add_rates(books: Books) -> None:
    """EUR rates with a hole of a fortnight in February."""
    for offset in range(0, 95, 3):
        day = date(2024, 12, 31) + timedelta(days=offset)
        if not date(2025, 2, 5) <= day <= date(2025, 2, 19):
            books.add(
                "fx_rates",
                currency="EUR",
                rate_date=day,
                kind="daily",
                rate_to_reporting=str(1.05 + offset % 7 / 100),
            )
