"""Who looked after the customer when an item entered a hop, and how far that person stood from the board."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from assets.company import Company
from assets.voice.separation import add_owners, place_people
from expectations.contracts import TABLES

COMPANY = Company(reporting_currency="USD", timezone="America/New_York", as_of=date(2025, 12, 31))


def table(name: str, rows: list[dict[str, object]]) -> pl.LazyFrame:
    schema = TABLES[name].schema
    return pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema).lazy()


def hop(name: str, entered: datetime, **other: object) -> dict[str, object]:
    return {
        "feedback_id": "f",
        "hop": name,
        "account_id": "acct",
        "opportunity_id": "deal",
        "entered_at": entered,
    } | other


def line(rep: str, manager: str | None, *, board: bool = False) -> dict[str, object]:
    return {"rep_id": rep, "manager_id": manager, "valid_from": date(2024, 1, 1), "is_board": board}


ASSIGNED = [
    {"account_id": "acct", "rep_id": "hunter", "role": "owner", "valid_from": date(2025, 1, 1), "valid_to": date(2025, 3, 1)},
    {"account_id": "acct", "rep_id": "farmer", "role": "owner", "valid_from": date(2025, 3, 1), "valid_to": date(2025, 6, 1)},
    {"account_id": "acct", "rep_id": "engineer", "role": "engineer", "valid_from": date(2025, 4, 1)},
]  # fmt: skip
TREE = [
    line("chair", None, board=True),
    line("boss", "chair"),
    line("hunter", "boss"),
    line("farmer", "chair"),
]


def add(
    hops: list[dict[str, object]], *, captured: datetime, assigned: list[dict[str, object]] = ASSIGNED
) -> dict[str, tuple[str | None, int | None]]:
    found = add_owners(
        table("feedback_hops", hops).drop("owner_rep_id", "separation_at_capture"),
        feedback=table("feedback", [{"feedback_id": "f", "captured_at": captured}]),
        deals=table("deals", [{"opportunity_id": "deal", "rep_id": "hunter"}]),
        accounts=table("accounts", [{"account_id": "acct"}]),
        account_assignments=table("account_assignments", assigned),
        reporting_lines=table("reporting_lines", TREE),
        company=COMPANY,
    ).collect()
    assert found.height == len(hops)
    return {r["hop"]: (r["owner_rep_id"], r["separation_at_capture"]) for r in found.to_dicts()}


def test_every_hop_has_the_owner_of_its_own_first_day_and_the_separation_of_the_capture() -> None:
    said, captured = datetime(2025, 2, 20, tzinfo=UTC), datetime(2025, 3, 5, tzinfo=UTC)
    hops = [hop("captured", said), hop("triaged", captured), hop("decided", datetime(2025, 7, 1, tzinfo=UTC))]
    assert add(hops, captured=captured) == {
        "captured": ("hunter", 1),
        "triaged": ("farmer", 1),
        "decided": ("hunter", 1),  # nobody is assigned any more: the seller of the deal stands in
    }


@pytest.mark.parametrize(
    ("moment", "owner"), [("2025-03-01T04:59", "hunter"), ("2025-03-01T05:00", "farmer")]
)
def test_the_day_is_that_of_the_company(moment: str, owner: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert add([hop("triaged", at)], captured=at)["triaged"][0] == owner


def test_without_an_owner_and_a_deal_nobody_is_named() -> None:
    at = datetime(2025, 2, 1, tzinfo=UTC)
    assert add([hop("triaged", at, opportunity_id=None)], captured=at, assigned=[]) == {
        "triaged": (None, None)
    }


def test_of_two_managers_named_for_the_same_day_the_one_recorded_last_counts() -> None:
    lines = [
        line("chair", None, board=True),
        line("boss", "chair"),
        line("farmer", "boss") | {"recorded_at": datetime(2025, 1, 2, tzinfo=UTC)},
        line("farmer", "chair") | {"recorded_at": datetime(2025, 1, 5, tzinfo=UTC)},
    ]
    for rows in (lines, lines[::-1]):
        placed = place_people(table("reporting_lines", rows)).filter(rep_id="farmer")
        assert placed["distance"].to_list() == [1]
