"""Distance of the board from customers: followed by hand, day by day, and hidden where it is few people's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from assets.company import Company
from assets.evidence.customer_distance import customer_distance
from assets.evidence.distances import cut_by_owner, merge_active_days, spread_over_months
from assets.evidence.fidelity import AFTER_CAPTURE, measure_fidelity
from expectations.checks import audit_rows
from expectations.contracts.listening import CUSTOMER_DISTANCE

FrameOf = Callable[[str, Sequence[Mapping[str, object]]], pl.LazyFrame]
TABLES = (
    "deal_outcomes", "feedback_hops", "accounts", "account_assignments", "reporting_lines", "reps", "activities", "fx_rates",
)  # fmt: skip
LAST = date(2025, 3, 31)
START = date(2025, 1, 1)


def firm(accounts: int = 24, sellers: int = 6) -> dict[str, list[dict[str, Any]]]:
    """Every account bought for 100 on 1 January; seller s reports to m, m to the only board member."""
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for a in range(accounts):
        tables["accounts"].append(
            {"account_id": f"a{a}", "segment": "small" if a >= accounts // 2 else "large"}
        )
        tables["deal_outcomes"].append(
            {
                "opportunity_id": f"o{a}", "account_id": f"a{a}", "rep_id": f"s{a % sellers}", "closed_on": START,
                "observed_until": LAST, "amount": 100, "currency": "USD",
            }
        )  # fmt: skip
    lines = [("board", None, True), ("m", "board", False), *((f"s{s}", "m", False) for s in range(sellers))]
    for rep, manager, on_board in lines:
        tables["reporting_lines"].append(
            {"rep_id": rep, "manager_id": manager, "valid_from": date(2020, 1, 1), "is_board": on_board}
        )
    return tables


def publish(
    frame_of: FrameOf, tables: Mapping[str, list[dict[str, Any]]]
) -> dict[tuple[str, str], dict[str, Any]]:
    company = Company(
        "USD", "UTC", LAST, sources=frozenset(TABLES), columns={"activities": frozenset({"direction"})}
    )
    made = customer_distance(**{name: frame_of(name, rows) for name, rows in tables.items()}, company=company)
    assert isinstance(made, pl.LazyFrame)
    found = made.collect()
    assert not [r for r in audit_rows(CUSTOMER_DISTANCE, found.lazy()) if not r.passed]
    return {(r["segment"], r["month"]): r for r in found.to_dicts()}


def test_the_distance_is_that_of_each_day_and_of_the_money(frame_of: FrameOf) -> None:
    tables = firm()
    # from 11 February the manager reports to a new vice president
    moved = date(2025, 2, 11)
    tables["reporting_lines"][1]["valid_to"] = moved
    tables["reporting_lines"] += [
        {"rep_id": "m", "manager_id": "vp", "valid_from": moved, "is_board": False},
        {"rep_id": "vp", "manager_id": "board", "valid_from": moved, "is_board": False},
    ]
    # one customer is a founder's own, and pays as much as twelve others
    tables["account_assignments"].append(
        {"account_id": "a0", "rep_id": "board", "role": "hunter", "valid_from": START}
    )
    tables["deal_outcomes"][0]["amount"] = 1200
    found = publish(frame_of, tables)
    assert found["all", "2025-01"]["distance_mean"] == pytest.approx(23 * 2 / 24)
    assert found["all", "2025-01"]["distance_revenue_weighted"] == pytest.approx(23 * 2 / (23 + 12), abs=1e-8)
    february = (10 * 2 + 18 * 3) / 28
    assert found["all", "2025-02"]["distance_mean"] == pytest.approx(23 * february / 24, abs=1e-8)
    assert found["all", "2025-02"]["distance_max"] == 3
    assert found["small", "2025-03"]["distance_mean"] == 3
    assert found["all", "all"]["customer_days"] == 24 * 90
    assert (found["all", "2025-03"]["board_members"], found["all", "2025-03"]["is_board_assumed"]) == (
        1,
        False,
    )


def test_owners_change_and_days_without_a_path_are_in_no_average(frame_of: FrameOf) -> None:
    tables = firm()
    for a in range(4):
        tables["account_assignments"] += [
            {"account_id": f"a{a}", "rep_id": "s0", "role": "hunter", "valid_from": START, "valid_to": date(2025, 2, 1)},
            {"account_id": f"a{a}", "rep_id": "lost", "role": "hunter", "valid_from": date(2025, 2, 1)},
        ]  # fmt: skip
    found = publish(frame_of, tables)
    assert [found["all", f"2025-0{m}"]["owner_changes"] for m in (1, 2, 3)] == [0, 4, 0]
    assert found["all", "2025-02"]["placed_share"] == pytest.approx(20 / 24)
    assert found["all", "2025-02"]["distance_mean"] == 2


def test_an_executive_who_follows_another_begins_anew(frame_of: FrameOf) -> None:
    tables = firm()
    tables["reps"] = [{"rep_id": "x1", "role": "executive"}, {"rep_id": "x2", "role": "executive"}]
    who = ["x1", "x1", "x2", "board", "s1", "s1", "s1", "s1"]
    tables["activities"] = [
        {
            "activity_id": f"t{i}", "account_id": "a1", "rep_id": rep, "direction": "outbound",
            "occurred_at": datetime(2025, 1, 2 + i, 12, tzinfo=UTC),
        }
        for i, rep in enumerate(who)
    ]  # fmt: skip
    found = publish(frame_of, tables)["all", "2025-01"]
    assert (found["touches"], found["executive_touch_share"], found["executive_contact_resets"]) == (
        8,
        0.5,
        2,
    )


def test_small_segments_are_hidden_and_the_firm_is_shown(frame_of: FrameOf) -> None:
    tables = firm()
    for row in tables["accounts"][:3]:
        row["segment"] = "tiny"
    found = publish(frame_of, tables)
    assert found["tiny", "2025-01"]["suppressed"]
    assert found["tiny", "2025-01"]["distance_mean"] is None
    assert not found["all", "2025-01"]["suppressed"]
    assert sum(r["suppressed"] for (s, m), r in found.items() if m == "2025-01") >= 2


def test_spans_and_owners_equal_a_count_day_by_day() -> None:
    deals = [("a", 0, 5), ("a", 3, 9), ("a", 12, 14), ("b", 0, 0), ("a", 10, 10)]
    assigned = [("a", "r", 1, 4), ("a", "q", 2, 13), ("b", "r", 0, None), ("a", "r", 13, None)]
    day = lambda n: None if n is None else date(2025, 1, 25) + timedelta(days=n)  # noqa: E731
    spans = merge_active_days(
        pl.LazyFrame(
            [(a, day(f), day(t)) for a, f, t in deals],
            schema=["account_id", "active_from", "active_to"],
            orient="row",
        )
    )
    held = pl.LazyFrame(
        [(a, r, day(f), day(t)) for a, r, f, t in assigned],
        schema={
            "account_id": pl.String,
            "owner_rep_id": pl.String,
            "valid_from": pl.Date,
            "valid_to": pl.Date,
        },
        orient="row",
    )
    owned = cut_by_owner(spans, held, held.clear())
    expected: Counter[tuple[str, str | None, str]] = Counter()
    for account in "ab":
        for n in range(20):
            if not any(a == account and f <= n <= t for a, f, t in deals):
                continue
            holding = [(f, r) for a, r, f, t in assigned if a == account and f <= n and (t is None or n < t)]
            newest = [r for f, r in holding if f == max(holding)[0]]
            expected[account, min(newest) if newest else None, f"{day(n):%Y-%m}"] += 1
    counted: dict[tuple[str, str | None, str], int] = defaultdict(int)
    for r in spread_over_months(owned).collect().to_dicts():
        counted[r["account_id"], r["owner_rep_id"], f"{r['month']:%Y-%m}"] += r["days"]
    assert counted == expected


def test_fidelity_of_five_hops_that_four_in_five_leave_is_a_third() -> None:
    """The golden number of 04: 0.8^5 = 0.328."""
    rows = [
        {"hop": hop, "account_id": f"a{i}", "days": 10.0 if i < 40 else 200.0, "cause": int(i < 40)}
        for hop in AFTER_CAPTURE
        for i in range(50)
    ]
    found = measure_fidelity(pl.LazyFrame(rows).with_columns(segment=pl.lit("all")), ["segment"]).collect()
    row = found.row(0, named=True)
    assert round(row["fidelity"], 3) == 0.328
    assert (row["fidelity_hops"], row["weakest_hop"], round(row["weakest_hop_share"], 9)) == (
        5,
        "triaged",
        0.8,
    )
    assert row["fidelity_lo"] < 0.8**5 < row["fidelity_hi"]


def test_fidelity_is_not_told_where_a_recorded_hop_is_not() -> None:
    rows = [
        {"hop": hop, "account_id": f"a{i}", "days": 200.0, "cause": int(i % 2), "segment": segment}
        for segment, hops in (("x", AFTER_CAPTURE), ("y", AFTER_CAPTURE[:2]))
        for hop in hops
        for i in range(20)
    ]
    assert measure_fidelity(pl.LazyFrame(rows), ["segment"]).collect()["segment"].to_list() == ["x"]


@pytest.mark.parametrize("planted", [1.0, 1.35])
def test_in_twenty_firms_the_lag_per_step_is_the_planted_one(frame_of: FrameOf, planted: float) -> None:
    """Half the items are 3 steps away, half 2 or 4; each hop waits by its own mean. More than three misses in twenty: once in 60."""
    means = {"triaged": 8.0, "decided": 20.0, "shipped": 30.0}
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tables = firm(accounts=100, sellers=10)
        for i in range(900):
            steps = int(rng.choice([2, 3, 3, 4]))
            hop = list(means)[i % 3]
            days = float(rng.exponential(means[hop] * planted ** (steps - 3)))
            lost = rng.random() < 0.2
            entered = datetime(2023, 6, 1, tzinfo=UTC) + timedelta(days=float(rng.uniform(0, 200)))
            waited = (datetime(2025, 4, 1, tzinfo=UTC) - entered) / timedelta(days=1) if lost else days
            tables["feedback_hops"].append(
                {
                    "feedback_id": f"f{i}", "hop": hop, "account_id": f"a{rng.integers(100)}", "opportunity_id": "o1", "days": waited,
                    "entered_at": entered, "left_at": None if lost else entered + timedelta(days=days), "censored": lost,
                    "separation_at_capture": steps,
                }
            )  # fmt: skip
        found.append(publish(frame_of, tables)["all", "all"])
    for ratio, truth in (("lag", planted), ("loss", 1.0)):
        inside = [r[f"{ratio}_ratio_per_step_lo"] <= truth <= r[f"{ratio}_ratio_per_step_hi"] for r in found]
        assert sum(inside) >= 17, ratio
    if planted > 1:
        assert all(r["lag_ratio_per_step_lo"] > 1 for r in found)
