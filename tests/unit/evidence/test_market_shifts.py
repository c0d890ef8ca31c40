"""Shifts in what customers speak of: found, dated, followed to the board, the decision, the shipping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from assets.company import Company
from assets.evidence.market_shifts import market_shifts
from expectations.checks import audit_rows
from expectations.contracts.listening import MARKET_SHIFTS

FrameOf = Callable[[str, Sequence[Mapping[str, object]]], pl.LazyFrame]
FIRST = datetime(2024, 1, 1, 12, tzinfo=UTC)  # a Monday
WEEKS = 80
SHIFT = 50


def at(week: float) -> datetime:
    return FIRST + timedelta(days=round(week * 7))


def speak(rng: np.random.Generator, *, rises: bool = True, lag_days: int = 10) -> list[dict[str, Any]]:
    """Twenty items a week on five themes alike; from week 50 on theme `new` takes four in ten of them."""
    items = []
    for week in range(WEEKS):
        for nth in range(20):
            theme = f"t{rng.integers(5)}"
            if (rises and week >= SHIFT and rng.random() < 0.4) or rng.random() < 0.05:
                theme = "new"
            said = at(week) + timedelta(days=int(rng.integers(5)))
            number = len(items)
            items.append(
                {
                    "feedback_id": f"f{number:05d}", "theme_id": theme, "source": "seller" if nth % 2 else "support",
                    "expressed_at": said, "captured_at": said + timedelta(days=lag_days), "account": f"a{number % 97}",
                }
            )  # fmt: skip
    return items


def publish(
    frame_of: FrameOf,
    items: list[dict[str, Any]],
    events: Sequence[Mapping[str, object]] = (),
    reports: Sequence[Mapping[str, object]] = (),
) -> dict[tuple[str, str], dict[str, Any]]:
    made = market_shifts(
        feedback=frame_of("feedback", items),
        feedback_events=frame_of("feedback_events", events),
        board_reports=frame_of("board_reports", reports),
        themes=frame_of("themes", [{"theme_id": t} for t in ("new", "t0", "t1", "t2", "t3", "t4")]),
        customer_events=frame_of(
            "customer_events",
            [
                {"kind": "feedback", "event_id": f["feedback_id"], "account_id": f["account"], "opportunity_id": f["account"]}
                for f in items
            ],
        ),
        deals=frame_of("deals", [{"opportunity_id": f"a{i}", "rep_id": f"r{i % 11}"} for i in range(97)]),
        company=Company("USD", "UTC", (at(WEEKS) - timedelta(days=1)).date()),
    )  # fmt: skip
    assert isinstance(made, pl.LazyFrame)
    found = made.collect()
    assert not [
        r for r in audit_rows(MARKET_SHIFTS, found.lazy()) if not r.passed and r.check != "table_has_rows"
    ]
    return {(r["theme_id"], r["channel"]): r for r in found.to_dicts()}


@pytest.fixture(scope="module")
def risen(frame_of: FrameOf) -> dict[tuple[str, str], dict[str, Any]]:
    items = speak(np.random.default_rng(5))
    before = next(f for f in items if f["theme_id"] == "new")
    after = [f for f in items if f["theme_id"] == "new" and f["expressed_at"] >= at(SHIFT)]
    events = [
        # about something said before the change: no answer to it
        {"feedback_id": before["feedback_id"], "hop": "decided", "occurred_at": at(51)},
        {
            "feedback_id": after[0]["feedback_id"],
            "hop": "decided",
            "outcome": "declined",
            "occurred_at": at(52),
        },
        {
            "feedback_id": after[1]["feedback_id"],
            "hop": "decided",
            "outcome": "accepted",
            "occurred_at": at(60),
        },
    ]
    reports = [
        {"report_id": "early", "sent_at": at(20), "theme_ids": ["new"]},
        {"report_id": "late", "sent_at": at(56), "theme_ids": ["t0", "new"]},
    ]
    return publish(frame_of, items, events, reports)


def test_the_planted_shift_is_found_within_its_interval_in_every_channel(
    risen: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for channel in ("all", "seller", "support"):
        row = risen["new", channel]
        assert row["is_shift"]
        assert row["change_on_lo"] <= at(SHIFT).date() <= row["change_on_hi"]
        assert row["share_before"] < 0.1 < 0.35 < row["share_after"]


def test_themes_that_are_crowded_out_have_not_shifted(risen: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Their shares of all fall by four tenths; among themselves nothing changed. 15 rows at a false-discovery rate of 5 %."""
    quiet = [r for (theme, _), r in risen.items() if theme != "new"]
    assert len(quiet) == 15
    assert sum(r["is_shift"] for r in quiet) == 0


def test_the_delays_run_from_the_change_to_what_answered_it(
    risen: dict[tuple[str, str], dict[str, Any]],
) -> None:
    row = risen["new", "all"]
    change = row["change_on"]
    assert row["board_seen_on"] == at(56).date()
    assert row["decided_on"] == at(60).date()
    assert row["decided_days"] == (at(60).date() - change).days
    assert (row["shipped_on"], row["shipped_censored"]) == (None, True)
    assert row["shipped_days"] == (at(WEEKS).date() - change).days
    # written down ten days late, so a CUSUM can't signal before; with such a jump it needs few weeks
    assert timedelta(days=14) <= row["seen_on"] - change <= timedelta(days=42)
    assert row["decided_before_half_peak"] is False


def test_what_is_written_down_later_is_seen_later(
    frame_of: FrameOf, risen: dict[tuple[str, str], dict[str, Any]]
) -> None:
    slow = publish(frame_of, speak(np.random.default_rng(5), lag_days=52))["new", "all"]
    assert slow["change_on"] == risen["new", "all"]["change_on"]
    # 52 days until the first item is on paper at all, and no week of luck beforehand makes up for that
    assert slow["seen_days"] > 52 > risen["new", "all"]["seen_days"]


def test_nothing_is_found_where_nothing_changed(frame_of: FrameOf) -> None:
    found = publish(frame_of, speak(np.random.default_rng(6), rises=False))
    assert not any(r["is_shift"] for r in found.values())
    reasons = {r["shift_null_reason"] for (_, channel), r in found.items() if channel == "all"}
    assert reasons == {"no_shift_found"}
    assert {round(r["false_alarm_weeks"]) for r in found.values()} == {931}


def test_in_eight_firms_the_change_lies_in_its_interval_as_often_as_stated(frame_of: FrameOf) -> None:
    """An interval of 95 % misses in more than one of eight once in 17 times; the change itself is found every time."""
    rows = [publish(frame_of, speak(np.random.default_rng(seed)))["new", "all"] for seed in range(8)]
    assert all(r["is_shift"] for r in rows)
    assert sum(r["change_on_lo"] <= at(SHIFT).date() <= r["change_on_hi"] for r in rows) >= 7


def test_in_twelve_quiet_firms_no_more_alarms_than_the_table_allows(frame_of: FrameOf) -> None:
    """Where nothing changed any shift is a false discovery: in one firm of twenty; more than two of twelve come once in 50 times."""
    firms = [publish(frame_of, speak(np.random.default_rng(100 + s), rises=False)) for s in range(12)]
    allowed = {r["false_discovery_rate"] for firm in firms for r in firm.values()}
    assert allowed == {0.05}
    assert sum(any(r["is_shift"] for r in firm.values()) for firm in firms) <= 2


def test_few_items_and_few_weeks_are_said(frame_of: FrameOf) -> None:
    items = speak(np.random.default_rng(7))
    rare = [
        f | {"theme_id": "t0" if f["theme_id"] != "new" or i % 9 else "new"}
        for i, f in enumerate(items[:800])
    ]
    assert publish(frame_of, rare)["new", "support"]["shift_null_reason"] in ("too_few_items", "few_people")
    last = [f for f in items if f["expressed_at"] >= at(WEEKS - 10)]
    assert publish(frame_of, last)["new", "all"]["shift_null_reason"] == "too_few_weeks"


def test_no_feedback_gives_no_rows(frame_of: FrameOf) -> None:
    assert publish(frame_of, []) == {}
