"""Feedback moves from hop to hop: every rule of 10-definitions (Hops) on items small enough to follow by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.company import Company
from assets.voice.hops import follow_feedback
from expectations.contracts import TABLES

COMPANY = Company(
    reporting_currency="USD",
    timezone="America/New_York",
    as_of=date(2025, 3, 31),
    sources=frozenset({"feedback", "feedback_events", "board_reports", "holidays"}),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def table(name: str, rows: list[dict[str, object]]) -> pl.LazyFrame:
    schema = TABLES[name].schema
    return pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema).lazy()


def item(
    feedback_id: str, captured: str, expressed: str | None = None, theme: str | None = None
) -> dict[str, object]:
    return {
        "feedback_id": feedback_id,
        "captured_at": at(captured),
        "expressed_at": at(expressed) if expressed else None,
        "theme_id": theme,
    }


def event(feedback_id: str, hop: str, moment: str, outcome: str | None = None) -> dict[str, object]:
    return {"feedback_id": feedback_id, "hop": hop, "occurred_at": at(moment), "outcome": outcome}


def follow(
    items: list[dict[str, object]],
    events: list[dict[str, object]],
    *,
    reports: list[dict[str, object]] | None = None,
    themes: list[dict[str, object]] | None = None,
    holidays: list[dict[str, object]] | None = None,
    attributed: list[dict[str, object]] | None = None,
    deals: list[dict[str, object]] | None = None,
    company: Company = COMPANY,
) -> pl.DataFrame:
    hops = follow_feedback(
        feedback=table("feedback", items),
        feedback_events=table("feedback_events", events),
        board_reports=table("board_reports", reports or []),
        themes=table("themes", themes or []),
        holidays=table("holidays", holidays or []),
        customer_events=table("customer_events", attributed or []),
        deals=table("deals", deals or []),
        company=company,
    )
    return hops.collect().sort("feedback_id", "hop")


ALL_HOPS = [  # another item, so that the firm is one that records every hop
    event("zz", "triaged", "2025-01-02"),
    event("zz", "decided", "2025-01-03"),
    event("zz", "shipped", "2025-01-04"),
    event("zz", "told_back", "2025-01-05"),
]


def rows_of(hops: pl.DataFrame, feedback_id: str = "a") -> dict[str, dict[str, object]]:
    return {r["hop"]: r for r in hops.filter(pl.col("feedback_id") == feedback_id).to_dicts()}


def test_every_hop_starts_where_the_one_before_ended() -> None:
    hops = follow(
        [item("a", "2025-01-03T12:00", expressed="2025-01-01")],
        [
            event("a", "triaged", "2025-01-05"),
            event("a", "decided", "2025-01-05"),
            event("a", "shipped", "2025-02-05"),
            event("a", "told_back", "2025-02-06"),
        ],
    )
    days = {hop: row["days"] for hop, row in rows_of(hops).items()}
    assert days == {"captured": 2.5, "triaged": 1.5, "decided": 0.0, "shipped": 31.0, "told_back": 1.0}
    assert not hops["censored"].any()
    assert hops["skipped_before"].to_list() == [0] * 5


def test_days_are_exact_to_the_microsecond() -> None:
    captured = at("2025-01-03")
    later = captured + timedelta(microseconds=1)
    hops = follow([item("a", "2025-01-03")], [{**event("a", "triaged", "2025-01-03"), "occurred_at": later}])
    assert rows_of(hops)["triaged"]["days"] == 1 / 86_400_000_000


def test_a_skipped_hop_has_no_row_and_is_counted() -> None:
    hops = follow([item("a", "2025-01-01")], [event("a", "shipped", "2025-01-11"), *ALL_HOPS])
    assert sorted(rows_of(hops)) == ["shipped", "told_back"]  # nothing is known of when it was said
    shipped = rows_of(hops)["shipped"]
    assert (shipped["entered_at"], shipped["days"], shipped["skipped_before"]) == (at("2025-01-01"), 10.0, 2)


def test_the_first_occurrence_counts() -> None:
    events = [event("a", "triaged", "2025-01-09"), event("a", "triaged", "2025-01-04")]
    assert rows_of(follow([item("a", "2025-01-01")], events))["triaged"]["days"] == 3.0


def test_an_open_item_waits_for_one_hop_until_the_end_of_observation() -> None:
    hops = rows_of(follow([item("a", "2025-01-01")], [event("a", "triaged", "2025-01-02"), *ALL_HOPS]))
    assert sorted(hops) == ["decided", "triaged"]
    waiting = hops["decided"]
    assert waiting["censored"]
    assert waiting["left_at"] is None
    # as_of ends at midnight in New York, 04:00 UTC on 1 April
    assert waiting["days"] == (at("2025-04-01T04:00") - at("2025-01-02")) / timedelta(days=1)


def test_an_item_does_not_wait_for_a_hop_that_the_firm_never_records() -> None:
    hops = rows_of(follow([item("a", "2025-01-01")], [event("zz", "decided", "2025-01-02")]))
    assert sorted(hops) == ["decided"]
    assert hops["decided"]["skipped_before"] == 1


def test_without_events_nothing_waits() -> None:
    assert sorted(rows_of(follow([item("a", "2025-01-02", expressed="2025-01-01")], []))) == ["captured"]


def test_a_declined_item_stops_waiting_for_shipping_without_being_shipped() -> None:
    events = [event("a", "decided", "2025-01-05", "declined"), *ALL_HOPS]
    hops = rows_of(follow([item("a", "2025-01-01")], events))
    assert hops["decided"]["outcome"] == "declined"
    assert (hops["shipped"]["outcome"], hops["shipped"]["days"]) == ("declined", 0.0)
    assert not hops["shipped"]["censored"]
    assert hops["told_back"]["censored"]
    assert hops["told_back"]["entered_at"] == at("2025-01-05")


def test_an_item_accepted_first_and_declined_later_waited_in_between() -> None:
    events = [
        event("a", "decided", "2025-01-05", "accepted"),
        event("a", "decided", "2025-01-15", "declined"),
        *ALL_HOPS,
    ]
    hops = rows_of(follow([item("a", "2025-01-01")], events))
    assert (hops["decided"]["days"], hops["decided"]["outcome"]) == (4.0, "accepted")
    assert (hops["shipped"]["days"], hops["shipped"]["outcome"]) == (10.0, "declined")


def test_an_item_shipped_after_all_was_shipped() -> None:
    events = [event("a", "decided", "2025-01-05", "declined"), event("a", "shipped", "2025-02-05"), *ALL_HOPS]
    shipped = rows_of(follow([item("a", "2025-01-01")], events))["shipped"]
    assert (shipped["days"], shipped["outcome"]) == (31.0, None)


def test_steps_out_of_order_never_give_negative_days() -> None:
    events = [event("a", "shipped", "2025-01-20"), event("a", "told_back", "2025-01-10"), *ALL_HOPS]
    hops = rows_of(follow([item("a", "2025-01-01")], events))
    # told back before it was shipped: it came from capture, past three hops
    assert (hops["told_back"]["days"], hops["told_back"]["skipped_before"]) == (9.0, 3)
    assert hops["shipped"]["days"] == 19.0


def test_the_board_sees_an_item_with_the_first_report_after_capture_that_names_its_theme() -> None:
    themes = [
        {"theme_id": "old", "merged_into_id": "mid"},
        {"theme_id": "mid", "merged_into_id": "new"},
        {"theme_id": "new"},
    ]
    reports = [
        {"report_id": "1", "sent_at": at("2025-01-05"), "theme_ids": ["new"]},
        {"report_id": "2", "sent_at": at("2025-02-05"), "theme_ids": ["other"]},
        {"report_id": "3", "sent_at": at("2025-03-10"), "theme_ids": ["other", "new"]},
    ]
    items = [
        item("a", "2025-01-10", theme="old"),
        item("b", "2025-01-10", theme="unseen"),
        item("c", "2025-01-10"),
    ]
    hops = follow(items, [event("c", "board_seen", "2025-01-12")], reports=reports, themes=themes)
    assert rows_of(hops, "a")["board_seen"]["days"] == 59.0
    assert rows_of(hops, "b")["board_seen"]["censored"]
    assert rows_of(hops, "c")["board_seen"]["days"] == 2.0


def test_without_reports_nothing_waits_for_the_board() -> None:
    assert "board_seen" not in rows_of(follow([item("a", "2025-01-01")], ALL_HOPS))


def test_nothing_is_seen_past_the_day_the_events_are_complete_for() -> None:
    company = Company(
        reporting_currency="USD",
        timezone="UTC",
        as_of=date(2025, 3, 31),
        complete_until={"feedback_events": date(2025, 1, 31)},
    )
    events = [event("a", "triaged", "2025-02-10"), *ALL_HOPS]
    items = [item("a", "2025-01-01"), item("late", "2025-02-01")]
    hops = follow(items, events, company=company)
    assert rows_of(hops)["triaged"]["days"] == 31.0
    assert rows_of(hops)["triaged"]["censored"]
    assert rows_of(hops, "late") == {}


def test_working_days_leave_out_weekends_and_the_holidays_of_the_region() -> None:
    """A day-by-day count in Python is the oracle."""
    rng = np.random.default_rng(7)
    free = {"east": [date(2025, 1, 1), date(2025, 1, 20), date(2025, 2, 17)], "west": [date(2025, 3, 14)]}
    regions = ["east", "west", None]
    items, events, attributed, deals, expected = [], [], [], [], {}
    deals = [{"opportunity_id": f"deal {r}", "region": r} for r in regions]
    for i in range(60):
        start = at("2025-01-01T17:00") + timedelta(hours=int(rng.integers(0, 1200)))
        stop = start + timedelta(hours=int(rng.integers(0, 700)))
        region = regions[i % 3]
        items.append({"feedback_id": f"f{i}", "captured_at": start})
        events.append({"feedback_id": f"f{i}", "hop": "triaged", "occurred_at": stop})
        attributed.append(
            {"kind": "feedback", "event_id": f"f{i}", "opportunity_id": f"deal {region}", "account_id": "x"}
        )
        # New York is five hours behind UTC until 9 March, four afterwards
        first, last = (
            (m - timedelta(hours=5 if m < at("2025-03-09T07:00") else 4)).date() for m in (start, stop)
        )
        days = [first + timedelta(days=k) for k in range((last - first).days)]
        expected[f"f{i}"] = sum(d.weekday() < 5 and d not in free.get(region or "", []) for d in days)
    holidays = [{"region": r, "date": d} for r, days in free.items() for d in days]
    hops = follow(items, events, holidays=holidays, attributed=attributed, deals=deals)
    assert dict(hops.select("feedback_id", "business_days").iter_rows()) == expected


def test_the_rows_fit_the_contract_and_their_order_does_not_matter() -> None:
    items = [item(f"f{i}", f"2025-01-{1 + i:02d}", expressed="2024-12-30") for i in range(20)]
    events = [event(f"f{i}", "triaged", f"2025-02-{1 + i:02d}") for i in range(0, 20, 2)]
    events += [
        event(f"f{i}", "decided", f"2025-02-{1 + i:02d}", o) for i in (0, 2) for o in ("declined", "accepted")
    ]
    contract = TABLES["feedback_hops"]
    own = [name for name in contract.schema if name not in ("separation_at_capture", "owner_rep_id")]
    first = follow(items, events).select(own)
    assert first.schema == {name: contract.schema[name] for name in own}
    assert first.select(contract.key).is_duplicated().sum() == 0
    assert_frame_equal(first, follow(items[::-1], events[::-1]).select(own))
    broken = first.select(pl.any_horizontal(rule.broken for rule in contract.rules).any()).item()
    assert not broken


@pytest.mark.parametrize("name", ["feedback", "feedback_events", "board_reports", "themes", "holidays"])
def test_an_absent_source_is_an_empty_table(name: str) -> None:
    assert TABLES[name].empty().collect().is_empty()
    assert follow([], []).is_empty()
