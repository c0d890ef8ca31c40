"""Rows that keep a rule only together: what breaks it goes, everything else stays."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.core.refine import Refined
from tests.unit.core.doorstep import refined

Row = tuple[str | None, ...]


def gone(result: Refined) -> list[int]:
    """Records rejected, all of them by one group rule."""
    assert set(result.rejects["column"]) <= {""}
    return result.rejects["record"].to_list()


# ---- managers_form_a_tree ---------------------------------------------------------------------------------------

LINES = "rep_id valid_from manager_id valid_to"


def lines(*rows: Row) -> Refined:
    result = refined("reporting_lines", LINES, rows)
    assert set(result.rejects["reason"]) <= {"managers_form_a_tree"}
    return result


def test_a_deep_chain_is_a_tree() -> None:
    chain = [(f"p{i}", "2024-01-01", f"p{i - 1}" if i else None, None) for i in range(60)]
    assert gone(lines(*chain)) == []


def test_a_cycle_goes_and_those_who_report_into_it_stay() -> None:
    result = lines(
        ("a", "2024-01-01", "b", None), ("b", "2024-01-01", "c", None), ("c", "2024-01-01", "a", None),
        ("x", "2024-01-01", "a", None), ("root", "2024-01-01", None, None), ("y", "2024-01-01", "root", None),
    )  # fmt: skip
    assert gone(result) == [1, 2, 3]


def test_a_cycle_counts_only_while_all_its_lines_hold() -> None:
    swapped = lines(("a", "2024-01-01", "b", "2024-07-01"), ("b", "2024-07-01", "a", None))
    assert gone(swapped) == []  # half-open: they swap on 1 July
    one_day = lines(("a", "2024-01-01", "b", "2024-07-02"), ("b", "2024-07-01", "a", None))
    assert gone(one_day) == [1, 2]


def test_only_the_lines_of_the_cycle_go_not_other_times_of_the_same_people() -> None:
    result = lines(
        ("a", "2023-01-01", "root", "2024-01-01"), ("a", "2024-01-01", "b", "2024-06-01"), ("a", "2024-06-01", "root", None),
        ("b", "2023-06-01", "a", None), ("root", "2020-01-01", None, None),
    )  # fmt: skip
    assert gone(result) == [2, 4]


def test_three_people_in_pairwise_overlaps_without_a_common_instant_are_no_cycle() -> None:
    result = lines(
        ("a", "2024-01-01", "b", "2024-03-01"), ("b", "2024-02-01", "c", "2024-05-01"), ("c", "2024-04-01", "a", "2024-06-01"),
    )  # fmt: skip
    assert gone(result) == []


def test_a_long_tail_into_a_cycle_stays_even_where_its_people_form_a_ring_at_another_time() -> None:
    tail = [(f"p{i}", "2024-01-01", f"p{i + 1}", "2024-06-01") for i in range(5)]
    ring_later = ("p7", "2024-06-01", "p0", None)
    pair = [
        ("p5", "2024-01-01", "p6", None),
        ("p6", "2024-01-01", "p5", "2024-06-01"),
        ("p6", "2024-06-01", "p7", None),
    ]
    assert gone(lines(*tail, *pair, ring_later)) == [6, 7]


def test_two_managers_at_once_are_no_tree() -> None:
    result = lines(
        ("x", "2024-01-01", "a", None), ("x", "2024-05-01", "b", None), ("y", "2024-01-01", "a", None)
    )
    assert gone(result) == [1, 2]


def test_a_manager_nobody_knows_and_a_lone_root_are_fine() -> None:
    assert gone(lines(("x", "2024-01-01", "ghost", None), ("r", "2024-01-01", None, None))) == []


_DAY = date(2024, 1, 1)
_LINE = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 11), st.integers(1, 8))


@settings(max_examples=80, deadline=None)
@given(drawn=st.lists(_LINE, max_size=14))
def test_cycles_are_those_that_walking_up_day_by_day_finds(drawn: list[tuple[int, int, int, int]]) -> None:
    held: dict[int, list[tuple[int, int, int]]] = {}  # person -> [(start, end, boss)], no two at once
    for person, boss, start, length in drawn:
        mine = held.setdefault(person, [])
        if person != boss and all(start + length <= s or e <= start for s, e, _ in mine):
            mine.append((start, start + length, boss))
    rows = [(p, s, b, e) for p, mine in held.items() for s, e, b in mine]
    on_cycle: set[int] = set()
    for day in range(25):
        above = {p: (b, i) for i, (p, s, b, e) in enumerate(rows) if s <= day < e}
        for start in above:
            seen: dict[int, int] = {}
            person = start
            while person in above and person not in seen:
                seen[person] = above[person][1]
                person = above[person][0]
            if person == start and person in seen:
                on_cycle |= set(seen.values())
    text = [(f"p{p}", str(_DAY + timedelta(s)), f"p{b}", str(_DAY + timedelta(e))) for p, s, b, e in rows]
    assert gone(lines(*text)) == sorted(i + 1 for i in on_cycle)


# ---- periods ----------------------------------------------------------------------------------------------------

PLANS = "plan_id version valid_from valid_to currency timezone tier_method recorded_at"


def plan(key: str, version: int, start: str, end: str | None, known: str | None = None) -> Row:
    return (key, str(version), start, end, "USD", "UTC", "incremental", known)


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        ([plan("p", 1, "2024-01-01", "2025-01-01"), plan("p", 2, "2025-01-01", None)], []),
        ([plan("p", 1, "2024-01-01", "2025-01-02"), plan("p", 2, "2025-01-01", None)], [1, 2]),
        ([plan("p", 1, "2024-01-01", None), plan("p", 2, "2025-01-01", None), plan("q", 1, "2024-01-01", None)], [1, 2]),
        # a long version around a short one, found although its neighbour in time has ended
        ([plan("p", 1, "2020-01-01", "2026-01-01"), plan("p", 2, "2021-01-01", "2021-02-01"), plan("p", 3, "2022-01-01", "2022-02-01")], [1, 2, 3]),
        ([plan("p", 1, "2024-01-01", "2024-02-01"), plan("p", 2, "2024-03-01", None)], []),  # a gap is no overlap
        # the newest knowledge counts: version 1 was closed when version 2 came
        ([plan("p", 1, "2024-01-01", None, "2024-01-01T00:00:00Z"), plan("p", 1, "2024-01-01", "2025-01-01", "2025-01-01T00:00:00Z"),
          plan("p", 2, "2025-01-01", None, "2025-01-01T00:00:00Z")], []),
        # and what is broken today goes with its past
        ([plan("p", 1, "2024-01-01", "2025-01-01", "2024-01-01T00:00:00Z"), plan("p", 1, "2024-01-01", None, "2025-01-01T00:00:00Z"),
          plan("p", 2, "2025-01-01", None, "2025-01-01T00:00:00Z")], [1, 2, 3]),
    ],
)  # fmt: skip
def test_versions_of_a_plan_do_not_overlap(rows: list[Row], broken: list[int]) -> None:
    result = refined("plans", PLANS, rows)
    assert gone(result) == broken
    assert set(result.rejects["reason"]) <= {"plan_versions_do_not_overlap"}


def test_a_seller_is_on_one_plan_at_a_time() -> None:
    header = "rep_id plan_id version valid_from valid_to"
    rows = [
        ("a", "p", "1", "2024-01-01", "2025-01-01"), ("a", "q", "1", "2025-01-01", None),
        ("b", "p", "1", "2024-01-01", None), ("b", "q", "1", "2024-01-01", None), ("c", "p", "1", "2024-01-01", None),
    ]  # fmt: skip
    assert gone(refined("plan_assignments", header, rows)) == [3, 4]


def test_quotas_overlap_only_within_a_component() -> None:
    header = "rep_id component period_start period_end amount"
    rows = [
        ("a", "x", "2024-01-01", "2024-04-01", "1"), ("a", "x", "2024-04-01", "2024-07-01", "1"), ("a", "y", "2024-02-01", "2024-05-01", "1"),
        ("b", "x", "2024-01-01", "2024-04-01", "1"), ("b", "x", "2024-03-31", "2024-07-01", "1"), ("b", "y", "2024-01-01", "2024-04-01", "1"),
    ]  # fmt: skip
    assert gone(refined("quotas", header, rows)) == [4, 5]


# ---- tiers ------------------------------------------------------------------------------------------------------

TIERS = "plan_id version component tier from_attainment rate product_id"


def ladder(*steps: tuple[int, str, str | None], plan_id: str = "p", rate: str = "0.1") -> list[Row]:
    return [(plan_id, "1", "c", str(tier), edge, rate, product) for tier, edge, product in steps]


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        (ladder((1, "0", None)), []),
        (ladder((0, "0", None), (1, "1", None), (2, "1.5", None)), []),
        (ladder((1, "0.5", None), (2, "1", None)), [1, 2]),  # does not start at zero
        (ladder((1, "0", None), (2, "1", None), (3, "1.0", None)), [1, 2, 3]),  # an edge twice
        (ladder((1, "0", None), (2, "1.5", None), (3, "1", None)), [1, 2, 3]),  # falls
        (ladder((1, "0", None), (3, "1", None)), [1, 2]),  # tier 2 is not there
        (ladder((1, "0", None), (2, "1", None), (3, "0", "X"), (4, "1", "X")), []),  # a ladder of its own
        (ladder((1, "0", None), (2, "0", "X"), (3, "1", None), (4, "1", "X")), []),  # numbered through
        (ladder((1, "0", None), (2, "1", None), (3, "0.5", "X")), [1, 2, 3]),
        (ladder((1, "0.5", None)) + ladder((1, "0", None), plan_id="q"), [1]),
    ],
)
def test_ladders_start_at_zero_and_rise(rows: list[Row], broken: list[int]) -> None:
    result = refined("plan_tiers", TIERS, rows)
    assert gone(result) == broken
    assert set(result.rejects["reason"]) <= {"tiers_start_at_zero_and_rise"}


def test_a_ladder_that_lost_a_rung_to_another_reason_is_not_taken_for_the_whole() -> None:
    unreadable = [*ladder((1, "0", None), (2, "1", None)), ("p", "1", "c", "3", "1.5", "a lot", None)]
    result = refined("plan_tiers", TIERS, unreadable)
    assert result.rejects["reason"].to_list() == ["tiers_start_at_zero_and_rise"] * 2 + ["not_a_number"]
    conflicting = [
        *ladder((1, "0", None), (2, "1", None)),
        *ladder((2, "1", None), rate="0.2"),
        *ladder((1, "0", None), plan_id="q"),
    ]
    result = refined("plan_tiers", TIERS, conflicting)
    assert result.rejects["reason"].to_list() == [
        "tiers_start_at_zero_and_rise",
        "conflicting_duplicate",
        "conflicting_duplicate",
    ]


# ---- splits -----------------------------------------------------------------------------------------------------

CREDITS = "credit_id opportunity_id rep_id split_weight credited_amount credit_type credited_at component recorded_at"


def credited(*shares: tuple[str, str | None], amount: str = "100", component: str | None = None) -> list[Row]:
    """Credits of one deal: (weight, type)."""
    return [
        (f"c{i}", "o", f"r{i}", weight, amount, kind, "2025-01-01", component, None)
        for i, (weight, kind) in enumerate(shares)
    ]


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        (credited(("1", "primary")), []),
        (credited(("0.6", "primary"), ("0.4", None)), []),
        (credited(("0.33", "primary"), ("0.33", "primary"), ("0.34", "primary")), []),
        (credited(*[("0.33333333", "primary")] * 3), []),  # thirds as well as 8 decimals can
        (credited(*[("0.14285714", "primary")] * 7), []),  # sevenths
        (credited(*[("0.333", "primary")] * 3), [1, 2, 3]),
        (credited(("0.99999998", "primary")), [1]),
        (credited(("0.6", "primary"), ("0.6", "primary")), [1, 2]),
        (credited(("0.5", "primary")), [1]),
        (credited(("0.5", "overlay")), []),  # an overlay stands beside the deal
        (credited(("1", "primary"), ("0.5", "overlay"), ("1", "manager")), []),
        (credited(("0.7", "primary"), ("0.3", "overlay")), [1, 2]),  # of a broken deal everything goes
        ([*credited(("1", "primary")), ("c9", "o", "r0", "1", "-100", "primary", "2025-02-01", None, None)], []),  # taken back
        ([*credited(("1", "primary"), component="revenue"), ("c9", "o", "r0", "1", "100", None, "2025-01-01", "margin", None)], []),
        ([("c1", "o", "r1", "0.5", "1", None, "2025-01-01", "x", None), ("c2", "o", "r2", "0.5", "1", None, "2025-01-01", "y", None)], []),
        # corrected later: the newest version counts
        ([("c1", "o", "r1", "1", "1", None, "2025-01-01", None, "2025-01-01T00:00:00Z"),
          ("c1", "o", "r1", "0.5", "1", None, "2025-01-01", None, "2025-02-01T00:00:00Z"),
          ("c2", "o", "r2", "0.5", "1", None, "2025-01-01", None, "2025-02-01T00:00:00Z")], []),
    ],
)  # fmt: skip
def test_primary_splits_share_out_one_deal(rows: list[Row], broken: list[int]) -> None:
    result = refined("credits", CREDITS, rows)
    assert gone(result) == broken
    assert set(result.rejects["reason"]) <= {"splits_sum_to_one"}
