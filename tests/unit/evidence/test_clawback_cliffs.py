"""When clawback ends, and whether losses around that day are counted as they happened."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from assets.evidence.clawback_cliffs import Cliff, end_clawbacks, find_cliff
from tests.unit.evidence.conftest import FrameOf


def plan(schedule: str | None, method: str = "schedule", version: int = 1) -> dict[str, object]:
    return {"plan_id": "AE", "version": version, "clawback_method": method, "clawback_schedule": schedule}


@pytest.mark.parametrize(
    ("schedule", "months"),
    [
        ("[[0, 1.0], [3, 0.5], [6, 0]]", [6]),
        ("[[6, 0.0], [0, 1.0], [9, 0]]", [6]),  # in no order; for good from month 6 on
        ("[[0, 1.0], [3, 0], [6, 0.5], [12, 0]]", [12]),  # nothing for a while is not for good
        ("[[0, 1.0], [3, 0.5]]", []),
        ("[[0, 0]]", []),
        ("not a schedule", []),
        (None, []),
    ],
)
def test_clawback_ends_where_nothing_is_taken_back_any_more(
    frame_of: FrameOf, schedule: str | None, months: list[int]
) -> None:
    assert end_clawbacks(frame_of("plans", [plan(schedule)]))["end_month"].to_list() == months
    assert end_clawbacks(frame_of("plans", [plan(schedule, "recompute")])).is_empty()


def lose(days: list[int], *, watched: int = 400) -> pl.LazyFrame:
    """Deals of 1 January 2024, lost on given days from the start of the clock, which is the close; the clawback of 5 months ends on day 152."""
    rows = [(d, True) for d in days] + [(watched, False)] * 50
    return pl.LazyFrame(
        {
            "plan_id": "AE", "version": 1, "closed_on": date(2024, 1, 1), "clock_start_on": date(2024, 1, 1),
            "duration": [d for d, _ in rows], "is_churn": [c for _, c in rows],
        }
    )  # fmt: skip


def test_losses_and_days_are_counted_by_window(frame_of: FrameOf) -> None:
    plans = frame_of("plans", [plan("[[0, 1], [5, 0]]")])
    end = (date(2024, 6, 1) - date(2024, 1, 1)).days
    assert end == 152
    # on the last day before it, on the day itself, on the last day of its window, on the first after
    days = [end - 1, end, end + 29, end + 30]
    found = find_cliff(lose(days), plans)
    assert found is not None
    at = (
        50 + 3
    ) * 30 - 29  # the one of `end - 1` is gone, the one of `end` has one day, the others all thirty
    around = 54 * 30 + (50 * 30 + 1)
    assert found.ratio[0] == pytest.approx((2 / at) / (2 / around))
    assert found.events == 4
    assert find_cliff(lose([end, end + 1]), frame_of("plans", [])) is None


def test_a_cliff_is_beyond_chance_and_large_enough(frame_of: FrameOf) -> None:
    plans = frame_of("plans", [plan("[[0, 1], [5, 0]]")])
    steady = [d for d in range(100, 240) for _ in range(3)]
    held = [d if d < 120 or d >= 152 else 152 + d % 7 for d in steady]
    for days, is_found in ((steady, False), (held, True)):
        found = find_cliff(lose(days), plans)
        assert found is not None
        assert found.is_found == is_found
    assert not Cliff((1.09, 1.01, 1.18), 4_500).is_found
    assert not Cliff((3.0, 1.1, 9.0), 19).is_found
    late = lose(steady).with_columns(closed_on=pl.lit(date(2024, 1, 1)) - timedelta(days=200))
    # the clock starts after clawback has ended: nobody was held up by it
    assert find_cliff(late, plans) is None
