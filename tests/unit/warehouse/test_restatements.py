"""Restated months: rows and money before and after, against a count by hand over plain dictionaries."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from expectations.contracts import SOURCES
from pipelines.restatements import RESTATED, compare, describe_restatements

ZONE = "America/New_York"
DEALS = SOURCES["opportunities"]
COMPLAINTS = SOURCES["complaints"]


def deals(*rows: tuple[str, datetime, str, str, int]) -> pl.LazyFrame:
    """Deals: id, close, amount, currency, days after which it was recorded."""
    made = [
        {"opportunity_id": i, "closed_at": at, "amount": Decimal(a), "currency": c, "recorded_at": at + timedelta(days=d)}
        for i, at, a, c, d in rows
    ]  # fmt: skip
    known = {k: v for k, v in DEALS.schema.items() if made and k in made[0]}
    frame = pl.DataFrame(made, schema_overrides=known) if made else pl.DataFrame(schema=DEALS.schema)
    return pl.concat([pl.DataFrame(schema=DEALS.schema), frame], how="diagonal").lazy()


def at(month: int, day: int = 10) -> datetime:
    return datetime(2025, month, day, 12, tzinfo=UTC)


def difference(
    before: pl.LazyFrame, after: pl.LazyFrame, until: date = date(2025, 6, 30)
) -> list[tuple[Any, ...]]:
    found = compare(DEALS, before, after, closed_until=until, zone=ZONE)
    assert found.schema == RESTATED
    return found.select(pl.exclude("table", "money")).filter(found["money"] != "list_amount").rows()


def test_late_rows_corrections_and_vanished_rows_of_closed_months_are_told_apart() -> None:
    before = deals(
        ("a", at(4), "10.00", "USD", 0),
        ("b", at(4), "20.00", "USD", 0),
        ("c", at(5), "5.00", "EUR", 0),
        ("d", at(5), "1.00", "USD", 0),
    )
    after = deals(
        ("a", at(4), "10.00", "USD", 0),
        ("a", at(4), "12.00", "USD", 9),  # a correction: the first word stays beside it
        ("late", at(4), "100.00", "USD", 40),
        ("b", at(5), "20.00", "USD", 0),  # moved
        ("c", at(5), "5.00", "EUR", 0),
        ("new", at(7), "9.00", "USD", 0),  # an open month
    )  # fmt: skip
    assert difference(before, after) == [
        ("2025-04", 2, 1, 1, 1, "USD", Decimal("30.00"), Decimal("112.00")),
        ("2025-05", 2, 1, 0, 1, "EUR", Decimal("5.00"), Decimal("5.00")),
        ("2025-05", 2, 1, 0, 1, "USD", Decimal("1.00"), Decimal("20.00")),
    ]


@pytest.mark.parametrize(("until", "closed"), [(date(2025, 6, 29), 0), (date(2025, 6, 30), 1)])
def test_a_month_is_closed_by_its_last_local_day(until: date, closed: int) -> None:
    last_minute = datetime(2025, 7, 1, 3, 59, tzinfo=UTC)  # 23:59 on June 30 in New York
    assert len(difference(deals(), deals(("x", last_minute, "1.00", "USD", 0)), until)) == closed


def test_equal_rows_in_another_order_restate_nothing() -> None:
    rows = [(f"d{n}", at(1 + n % 5), "1.00", "USD", n) for n in range(40)]
    assert difference(deals(*rows), deals(*rows[::-1])) == []


def test_random_histories_against_a_count_by_hand() -> None:
    rng = random.Random(5)
    for _ in range(40):
        pool = [
            (
                f"d{rng.randint(0, 9)}",
                at(rng.randint(4, 8)),
                f"{rng.randint(0, 9)}.50",
                rng.choice(["USD", "EUR"]),
                n,
            )
            for n in range(30)
        ]
        old = {(r[0], r[1] + timedelta(days=r[4])): r for r in rng.sample(pool, 15)}
        new = {k: r for k, r in old.items() if rng.random() < 0.8}
        new |= {(r[0], r[1] + timedelta(days=r[4])): r for r in rng.sample(pool, 4)}
        found = difference(deals(*old.values()), deals(*new.values()))
        assert found == by_hand(list(old.values()), list(new.values()))


def by_hand(old: list[tuple[Any, ...]], new: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The same difference, key by key."""

    def months(rows: list[tuple[Any, ...]]) -> tuple[dict[Any, Any], dict[Any, Decimal]]:
        by_key: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in rows:
            by_key[row[0]].append(row)
        held, money = {}, defaultdict(Decimal)
        for key, versions in by_key.items():
            newest = max(versions, key=lambda r: r[1] + timedelta(days=r[4]))
            month = f"{newest[1].astimezone(ZoneInfo(ZONE)):%Y-%m}"
            if month < "2025-07":
                held[month, key] = sorted(versions)
                money[month, newest[3]] += Decimal(newest[2])
        return held, money

    (before, cash_before), (after, cash_after) = months(old), months(new)
    lines = []
    for month in sorted({m for m, _ in {**before, **after}}):
        was, now = ({k: v for (m, k), v in held.items() if m == month} for held in (before, after))
        counts = (
            len(was),
            len(now.keys() - was.keys()),
            sum(was[k] != now[k] for k in was.keys() & now.keys()),
            len(was.keys() - now.keys()),
        )
        if any(counts[1:]):
            currencies = sorted({c for m, c in {**cash_before, **cash_after} if m == month})
            lines += [(month, *counts, c, cash_before[month, c], cash_after[month, c]) for c in currencies]
    return lines


def test_tables_without_money_are_counted_all_the_same() -> None:
    rows = pl.DataFrame(
        {"complaint_id": ["c"], "received_at": [at(3)]}, schema_overrides=dict(COMPLAINTS.schema)
    )
    frame = pl.concat([pl.DataFrame(schema=COMPLAINTS.schema), rows], how="diagonal").lazy()
    found = compare(COMPLAINTS, COMPLAINTS.empty(), frame, closed_until=date(2025, 6, 30), zone=ZONE)
    assert found.select("table", "month", "rows_added", "money").rows() == [("complaints", "2025-03", 1, "")]
    said = "\n".join(describe_restatements(found, 40))
    assert "| complaints | 2025-03 | 0 | 1 | 0 | 0 |" in said
    assert describe_restatements(found.clear(), 40)[2] == "None."
