"""How teams sell: parts counted by hand, the composite out of its parts, small teams hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from statistics import mean, stdev
from typing import Any

import polars as pl
import pytest

from assets.company import Company
from assets.evidence.selling_style import selling_style
from assets.evidence.styles import SIGNS
from expectations.checks import audit_rows
from expectations.contracts.listening import SELLING_STYLE

FrameOf = Callable[[str, Sequence[Mapping[str, object]]], pl.LazyFrame]
TEAMS = ("east", "west")
SELLERS = 6
ACCOUNTS = 12


class Sellers:
    """Two teams of six sellers, each with twelve accounts; account `east3` belongs to seller `east3` and so on."""

    def __init__(self) -> None:
        self.activities: list[dict[str, Any]] = []
        self.feedback: list[dict[str, Any]] = []
        self.deals: list[dict[str, Any]] = []
        self.lacks: frozenset[str] = frozenset()

    def act(
        self, team: str, month: int, channel: str = "call", direction: str = "outbound", **facts: Any
    ) -> None:
        """Once for every account of the team, on the tenth of the month."""
        for number in range(ACCOUNTS):
            self.activities.append(
                {
                    "activity_id": f"t{len(self.activities)}", "account_id": f"{team}{number}",
                    "rep_id": f"{team}{number % SELLERS}", "occurred_at": datetime(2025, month, 10, 12, tzinfo=UTC),
                    "channel": channel, "direction": direction, **facts,
                }
            )  # fmt: skip

    def publish(self, frame_of: FrameOf) -> dict[tuple[str, str], dict[str, Any]]:
        columns = frozenset({"direction", "channel", "opted_out", "solicited"} - self.lacks)
        made = selling_style(
            activities=frame_of("activities", self.activities),
            accounts=frame_of("accounts", [{"account_id": f"{t}{a}"} for t in TEAMS for a in range(ACCOUNTS)]),
            reps=frame_of("reps", [{"rep_id": f"{t}{r}", "team": t} for t in TEAMS for r in range(SELLERS)]),
            feedback=frame_of("feedback", self.feedback),
            deal_outcomes=frame_of("deal_outcomes", self.deals),
            company=Company(
                "USD", "UTC", date(2025, 12, 31), sources=frozenset({"activities", "feedback"}),
                columns={"activities": columns, "feedback": frozenset({"source", "need"})},
            ),
        )  # fmt: skip
        assert isinstance(made, pl.LazyFrame)
        found = made.collect()
        assert not [r for r in audit_rows(SELLING_STYLE, found.lazy()) if not r.passed]
        return {(r["team"], r["quarter"]): r for r in found.to_dicts()}


def two_styles() -> Sellers:
    """East presses and calls, more so in March; west meets, listens, and keeps an even pace."""
    sellers = Sellers()
    for month in (1, 2, 3):
        sellers.act("east", month)
        sellers.act("west", month, "meeting", "outbound", solicited=True)
        sellers.act("west", month, "email", "inbound")
    sellers.act("east", 3, opted_out=True)
    for team, discounts in (("east", (0.30, 0.10)), ("west", (0.10, 0.10))):
        for number in range(10):
            sellers.deals.append(
                {
                    "opportunity_id": f"{team}{number}", "rep_id": f"{team}{number % SELLERS}", "closed_on": date(2025, 2, 20),
                    "month_end": number < 5, "discount_share": discounts[0 if number < 5 else 1],
                }
            )  # fmt: skip
    for number in range(8):
        heard = {
            "feedback_id": f"f{number}",
            "captured_at": datetime(2025, 3, 1, tzinfo=UTC),
            "need": "unmet",
        }
        sellers.feedback.append(
            heard
            | {
                "rep_id": f"west{number % SELLERS}",
                "source": "seller" if number < 6 else "support",
                "solicited": number == 0,
            }
        )
    return sellers


def test_every_part_is_counted_as_it_says(frame_of: FrameOf) -> None:
    found = two_styles().publish(frame_of)
    east, west = found["east", "2025-Q1"], found["west", "2025-Q1"]
    assert (east["outbound_pressure"], west["outbound_pressure"]) == (1.0, 0.0)
    assert east["calls_per_account_month"] == pytest.approx(4 / 3)  # four rounds of calls in three months
    assert west["calls_per_account_month"] == 0
    assert east["touches_after_refusal_share"] == 0.25
    assert (east["discovery_share"], west["discovery_share"]) == (0.0, 0.5)
    # five of west's sellers' eight items were written down by sellers unasked, for ten deals
    assert (east["needs_per_deal"], west["needs_per_deal"]) == (0.0, 0.5)
    assert (east["month_end_extra_discount"], west["month_end_extra_discount"]) == (0.2, 0.0)
    # half of east's calls lie in the last month: 1 / (3 x 1/2)
    assert (east["sustained_effort"], west["sustained_effort"]) == (pytest.approx(2 / 3), 1.0)
    whole = found["all", "2025-Q1"]
    assert (whole["n"], whole["won_deals"], whole["n_sellers"]) == (12 * 10, 20, 12)


def test_the_composite_is_the_mean_of_its_published_parts(frame_of: FrameOf) -> None:
    sellers = two_styles()
    sellers.act("east", 5, "meeting")
    sellers.act("west", 6)
    found = sellers.publish(frame_of)
    teams = [r for (team, _), r in found.items() if team != "all"]
    for name, sign in SIGNS.items():
        values = [r[name] for r in teams if r[name] is not None]
        for row in teams:
            if row[name] is not None:
                expected = sign * (row[name] - mean(values)) / stdev(values)
                assert row[f"{name}_part"] == pytest.approx(expected, abs=1e-6)
    east, west = found["east", "2025-Q1"], found["west", "2025-Q1"]
    assert east["composite_parts"] == len(SIGNS)
    assert east["composite_weight"] == pytest.approx(1 / len(SIGNS))
    assert east["style_composite"] == pytest.approx(mean(east[f"{n}_part"] for n in SIGNS), abs=1e-6)
    assert east["style_composite"] > 0 > west["style_composite"]
    # no deal was won in the second quarter: no composite rather than one of fewer parts
    assert found["east", "2025-Q2"]["style_composite"] is None


def test_a_part_that_the_sources_cannot_tell_is_left_out_for_everybody(frame_of: FrameOf) -> None:
    sellers = two_styles()
    sellers.lacks = frozenset({"opted_out"})
    east = sellers.publish(frame_of)["east", "2025-Q1"]
    assert east["touches_after_refusal_share"] is None
    assert east["composite_parts"] == len(SIGNS) - 1
    assert east["style_composite"] is not None


def test_an_unfinished_quarter_has_no_sustained_effort(frame_of: FrameOf) -> None:
    sellers = two_styles()
    sellers.act("east", 10)
    found = sellers.publish(frame_of)
    assert found["east", "2025-Q4"]["sustained_effort"] is None  # nothing at all in its last month yet


def test_a_small_team_is_hidden_with_one_that_protects_it(frame_of: FrameOf) -> None:
    sellers = two_styles()
    few = [a for a in sellers.activities if a["rep_id"] not in ("west1", "west2")]
    sellers.activities = few
    found = sellers.publish(frame_of)
    assert found["west", "2025-Q1"]["suppressed"]
    assert found["west", "2025-Q1"]["outbound_pressure"] is None
    assert found["east", "2025-Q1"]["suppressed"] or found["all", "2025-Q1"]["suppressed"]
