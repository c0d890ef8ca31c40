"""Feedback of which hops or times are missing: what is there is told, what is not is counted, nothing is made up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.company import Company
from assets.core.pseudonyms import Pseudonyms, demo_key
from assets.core.subjects import refine_source
from assets.voice.hops import BOARD, WAY, follow_feedback
from expectations.contracts import TABLES
from tests.unit.core.doorstep import land

START: Final = datetime(2025, 1, 6, tzinfo=UTC)
END: Final = datetime(2025, 4, 1, tzinfo=UTC)
COMPANY = Company(reporting_currency="USD", timezone="UTC", as_of=date(2025, 3, 31))
EVENTS: Final = (*WAY[2:], BOARD)
Times = dict[str, int | None]
Row = tuple[int, int | None, int]
"""Day a hop was entered, day it was left (None: still waiting), hops skipped before."""


def moment(day: int) -> datetime:
    return START + timedelta(days=day)


def table(name: str, rows: list[dict[str, object]]) -> pl.LazyFrame:
    schema = TABLES[name].schema
    return pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema).lazy()


def follow(items: list[Times], records: tuple[str, ...] = EVENTS) -> list[dict[str, Row]]:
    """Rows of `feedback_hops` per item, in a firm that records all of `records` somewhere."""
    feedback, events = [], []
    for number, times in enumerate([*items, {"captured": 0} | dict.fromkeys(records, 0)]):
        said = times.get("expressed")
        feedback.append(
            {
                "feedback_id": f"{number:04}",
                "captured_at": moment(times["captured"] or 0),
                "expressed_at": None if said is None else moment(said),
            }
        )
        events += [
            {"feedback_id": f"{number:04}", "hop": hop, "occurred_at": moment(day)}
            for hop in EVENTS
            if (day := times.get(hop)) is not None
        ]
    hops = follow_feedback(
        feedback=table("feedback", feedback),
        feedback_events=table("feedback_events", events),
        **{
            name: table(name, [])
            for name in ("board_reports", "themes", "holidays", "customer_events", "deals")
        },
        company=COMPANY,
    ).collect()
    assert not hops.select("feedback_id", "hop").is_duplicated().any()
    found: list[dict[str, Row]] = [{} for _ in items]
    for row in hops.filter(pl.col("feedback_id") < f"{len(items):04}").to_dicts():
        entered, left = ((m - START).days if m else None for m in (row["entered_at"], row["left_at"]))
        assert row["censored"] == (left is None)
        assert row["days"] == (((row["left_at"] or END) - row["entered_at"]) / timedelta(days=1))
        found[int(row["feedback_id"])][row["hop"]] = (entered or 0, left, row["skipped_before"])
    return found


def expect(times: Times, records: tuple[str, ...] = EVENTS) -> dict[str, Row]:
    """10-definitions, Hops, word by word for one item whose firm records every hop of `records`."""
    at = [times.get(hop) for hop in WAY]
    rows: dict[str, Row] = {}
    for place in range(1, len(WAY)):
        here = at[place]
        if here is None:
            continue
        for j in range(place - 1, -1, -1):  # the nearest earlier hop with a time, and not a later one
            before = at[j]
            if before is not None and before <= here:
                rows[WAY[place]] = (before, here, place - 1 - j)
                break
    furthest = max(place for place in range(1, len(WAY)) if at[place] is not None)
    waits_for = [place for place in range(furthest + 1, len(WAY)) if WAY[place] in records]
    if waits_for:
        rows[WAY[waits_for[0]]] = (at[furthest] or 0, None, waits_for[0] - 1 - furthest)
    captured, seen = times["captured"] or 0, times.get(BOARD)
    if BOARD in records:
        rows[BOARD] = (captured, seen if seen is not None and seen >= captured else None, 0)
    return rows


def test_every_subset_of_hops_gives_what_can_be_given() -> None:
    """All 64 ways in which hops can be missing, the moments in order, in a firm that records every hop."""
    days = dict(zip(("expressed", "captured", *EVENTS), (0, 2, 5, 9, 20, 30, 12), strict=True))
    missing = ["expressed", *EVENTS]
    subsets: list[Times] = [
        {"captured": 2} | {hop: days[hop] for hop, is_there in zip(missing, there, strict=True) if is_there}
        for there in product((False, True), repeat=len(missing))
    ]
    assert len(subsets) == 64
    for times, found in zip(subsets, follow(subsets), strict=True):
        assert found == expect(times), times
        # every hop after the capture is left, skipped and counted, waited for, or beyond the one waited for
        left = {hop for hop, (_, until, _) in found.items() if until is not None and hop != BOARD}
        skipped = sum(row[2] for hop, row in found.items() if hop != BOARD)
        waits = {hop for hop, (_, until, _) in found.items() if until is None and hop != BOARD}
        beyond = len(WAY) - 1 - max((WAY.index(hop) for hop in waits), default=len(WAY) - 1)
        assert len(left - {"captured"}) + skipped + len(waits) + beyond == len(WAY) - 2
        assert ("captured" in found) == ("expressed" in times)


@pytest.mark.parametrize("absent", [(), *((hop,) for hop in EVENTS), ("triaged", "shipped"), EVENTS])
def test_a_hop_that_the_firm_never_records_is_neither_waited_for_nor_made_up(absent: tuple[str, ...]) -> None:
    records = tuple(hop for hop in EVENTS if hop not in absent)
    items: list[Times] = [{"expressed": 0, "captured": 1}] + [
        {"captured": 1, hop: 4} for hop in records if hop != BOARD
    ]
    for times, found in zip(items, follow(items, records), strict=True):
        assert found == expect(times, records)
        assert not set(absent) & set(found)


DAY = st.one_of(st.none(), st.integers(0, 6))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({"expressed": DAY, "captured": st.integers(0, 6)} | dict.fromkeys(EVENTS, DAY)),
        min_size=1,
        max_size=12,
    )
)
def test_in_any_order_and_at_the_same_instant_the_definition_holds(items: list[Times]) -> None:
    assert follow(items) == [expect(times) for times in items]


def test_a_time_that_is_missing_in_the_source_is_said_at_the_door_and_the_other_hops_stay() -> None:
    company, names = Company("USD", "UTC", date(2025, 6, 30)), Pseudonyms(demo_key(7))
    events = refine_source(
        land(
            "feedback_events",
            "feedback_id hop occurred_at",
            [
                ("f1", "triaged", "2025-01-05T10:00:00Z"),
                ("f1", "decided", None),
                ("f1", "shipped", "2025-02-01T10:00:00Z"),
            ],
        ),
        company,
        names,
    )
    assert events.rejects.select("record", "column", "reason").rows() == [(2, "occurred_at", "missing")]
    feedback = refine_source(
        land(
            "feedback",
            "feedback_id account_id captured_at expressed_at",
            [("f1", "a", "2025-01-03T10:00:00Z", None), ("f2", "a", None, "2025-01-01T10:00:00Z")],
        ),
        company,
        names,
    )
    assert feedback.rejects.select("record", "column", "reason").rows() == [(2, "captured_at", "missing")]
    hops = follow_feedback(
        feedback=feedback.frame,
        feedback_events=events.frame,
        **{
            name: table(name, [])
            for name in ("board_reports", "themes", "holidays", "customer_events", "deals")
        },
        company=company,
    ).collect()
    # what was decided is not known: shipping is told from triage on, one hop skipped
    assert hops.sort("entered_at").select("hop", "days", "skipped_before").rows() == [
        ("triaged", 2.0, 0),
        ("shipped", 27.0, 1),
    ]
