"""Degrees of separation equal a slow walk up the tree, day by day and manager by manager."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from assets.methods.reporting_tree import find_distance, measure_distances

FIRST = date(2025, 1, 1)
DAYS = 12
SCHEMA = {
    "rep_id": pl.String,
    "manager_id": pl.String,
    "valid_from": pl.Date,
    "valid_to": pl.Date,
    "is_board": pl.Boolean,
}
Line = tuple[str, str | None, int, int | None, bool | None]


def tree(lines: list[Line]) -> pl.DataFrame:
    def day(number: int | None) -> date | None:
        return None if number is None else FIRST + timedelta(days=number)

    rows = [(rep, boss, day(start), day(stop), board) for rep, boss, start, stop, board in lines]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def walk_up(lines: list[Line], rep: str, day: int) -> tuple[int, bool] | None:
    """The oracle: one person, one day, one manager after the other."""
    steps, seen = 0, set()
    while rep not in seen:
        seen.add(rep)
        begun = [line for line in lines if line[0] == rep and line[2] <= day]
        if not begun:
            return None
        _, boss, _, stop, board = max(begun, key=lambda line: line[2])
        if stop is not None and stop <= day:
            return None
        if board or boss is None:
            return steps, not board
        rep, steps = boss, steps + 1
    return None


def ask(lines: list[Line], who: list[str]) -> dict[tuple[str, int], tuple[int, bool] | None]:
    asked = pl.LazyFrame(
        [(rep, FIRST + timedelta(days=d)) for rep in who for d in range(DAYS)],
        schema={"who": pl.String, "day": pl.Date},
        orient="row",
    )
    answers = find_distance(asked, measure_distances(tree(lines)).lazy(), "who", "day").collect()
    return {
        (r["who"], (r["day"] - FIRST).days): None
        if r["distance"] is None
        else (r["distance"], r["is_board_assumed"])
        for r in answers.to_dicts()
    }


PEOPLE = [f"p{i}" for i in range(8)]
ANY_LINES = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from([*PEOPLE, "nobody", None]),
        st.integers(0, DAYS - 1),
        st.one_of(st.none(), st.integers(1, DAYS)),
        st.sampled_from([False, False, False, True, None]),
    ).filter(lambda line: line[3] is None or line[3] > line[2]),
    max_size=24,
    unique_by=lambda line: (line[0], line[2]),
)


@settings(max_examples=150, deadline=None)
@given(ANY_LINES)
def test_answers_equal_a_slow_walk_on_any_tree_with_cycles_gaps_and_changes(lines: list[Line]) -> None:
    answers = ask(lines, PEOPLE)
    assert len(answers) == len(PEOPLE) * DAYS
    assert answers == {(p, d): walk_up(lines, p, d) for p in PEOPLE for d in range(DAYS)}


@settings(max_examples=60, deadline=None)
@given(ANY_LINES)
def test_intervals_never_overlap_and_row_order_does_not_matter(lines: list[Line]) -> None:
    found = measure_distances(tree(lines))
    assert_frame_equal(found, measure_distances(tree(lines[::-1])))
    overlap = found.filter(pl.col("starts_on") < pl.col("ends_before").shift(1).over("rep_id"))
    assert overlap.is_empty()


def test_a_founder_who_sells_is_no_step_away_and_depth_has_no_limit() -> None:
    lines: list[Line] = [("p0", None, 0, None, True)]
    lines += [(f"p{i}", f"p{i - 1}", 0, None, False) for i in range(1, 31)]
    answers = ask(lines, ["p0", "p30"])
    assert answers["p0", 0] == (0, False)
    assert answers["p30", 5] == (30, False)


def test_a_root_that_nobody_marked_counts_as_the_board_and_says_so() -> None:
    assert ask([("p0", None, 0, None, None), ("p1", "p0", 0, None, None)], ["p1"])["p1", 3] == (1, True)


def test_the_nearest_board_member_on_the_path_counts() -> None:
    lines: list[Line] = [
        ("chair", None, 0, None, True),
        ("ceo", "chair", 0, None, True),
        ("p1", "ceo", 0, None, False),
    ]
    assert ask(lines, ["p1"])["p1", 0] == (1, False)


def test_a_cycle_a_gap_and_a_manager_without_a_line_have_no_path() -> None:
    lines: list[Line] = [
        ("top", None, 0, None, True),
        ("a", "b", 0, None, False),
        ("b", "a", 0, None, False),
        ("c", "gone", 0, None, False),
        ("d", "top", 0, 4, False),
        ("d", "top", 6, None, False),
    ]
    answers = ask(lines, ["a", "b", "c", "d"])
    assert {answers[who, 3] for who in "abc"} == {None}
    assert [answers["d", day] for day in (3, 4, 5, 6)] == [(1, False), None, None, (1, False)]


def test_of_two_managers_at_once_the_one_who_came_last_counts_from_then_on() -> None:
    lines: list[Line] = [
        ("top", None, 0, None, True),
        ("m", "top", 0, None, False),
        ("a", "m", 0, None, False),
        ("a", "top", 5, None, False),
    ]
    answers = ask(lines, ["a"])
    assert [answers["a", 4], answers["a", 5]] == [(2, False), (1, False)]
