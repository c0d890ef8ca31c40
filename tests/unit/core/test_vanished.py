"""Rows that vanish upstream leave a tombstone; those still there in any form do not."""

from __future__ import annotations

import polars as pl
from doorstep import refined
from hypothesis import given
from hypothesis import strategies as st

from assets.core.vanished import TOMBSTONES, Reading, Vanished, find_vanished
from expectations.contracts import SOURCES

HEADER = "rep_id component period_start period_end amount recorded_at"
QUOTAS = [
    ("R1", "revenue", "2025-01-01", "2025-04-01", "100.00", "2025-01-01T00:00:00Z"),
    ("R1", "revenue", "2025-01-01", "2025-04-01", "110.00", "2025-02-01T00:00:00Z"),
    ("R2", "revenue", "2025-01-01", "2025-04-01", "100.00", "2025-01-01T00:00:00Z"),
    ("R3", "revenue", "2025-01-01", "2025-04-01", "100.00", "2025-01-01T00:00:00Z"),
]
NONE = pl.DataFrame(schema=TOMBSTONES)


def compare(
    before: list[tuple[str, ...]], now: list[tuple[str, ...]], tombstones: pl.DataFrame = NONE
) -> Vanished:
    first, second = refined("quotas", HEADER, before), refined("quotas", HEADER, now)
    last = Reading(first.frame, first.counts.rows_out, "2025-05-01T00:00:00+00:00", "v1", tombstones)
    return find_vanished(SOURCES["quotas"], last, second.seen)


def test_a_key_that_is_gone_leaves_one_tombstone_with_all_its_versions() -> None:
    found = compare(QUOTAS, QUOTAS[2:])
    assert (found.rows, found.before, found.new.height) == (2, 4, 1)
    row = found.new.row(0, named=True)
    assert (row["rows"], row["last_read_at"], row["version"]) == (2, "2025-05-01T00:00:00+00:00", "v1")
    assert "component=revenue, period_start=2025-01-01" in row["key"]
    assert "R1" not in row["key"]  # people are under their pseudonyms here, too


def test_a_row_that_is_now_rejected_or_dated_later_is_still_there() -> None:
    broken = [(*QUOTAS[2][:4], "a lot", QUOTAS[2][5]), QUOTAS[3]]
    assert compare(QUOTAS[2:], broken).rows == 0


def test_an_older_version_that_is_gone_is_no_vanished_key() -> None:
    assert compare(QUOTAS, QUOTAS[1:]).rows == 0


def test_tombstones_stay_until_the_row_comes_back() -> None:
    gone = compare(QUOTAS, QUOTAS[:3]).all
    assert compare(QUOTAS[:3], QUOTAS[:3], gone).all.equals(gone)
    assert compare(QUOTAS[:3], QUOTAS, gone).all.is_empty()
    both = compare(QUOTAS[:3], QUOTAS[:2], gone)
    assert (both.rows, both.all.height) == (1, 2)


@given(before=st.sets(st.integers(0, 30)), now=st.sets(st.integers(0, 30)))
def test_exactly_the_difference_of_the_keys_vanishes(before: set[int], now: set[int]) -> None:
    frames = [
        pl.LazyFrame({"product_id": [f"P{i}" for i in ids]}, {"product_id": pl.String})
        for ids in (before, now)
    ]
    found = find_vanished(SOURCES["products"], Reading(frames[0], len(before), "", "", NONE), frames[1])
    assert set(found.new["key"]) == {f"product_id=P{i}" for i in before - now}
    assert found.share == (len(before - now) / len(before) if before else 0.0)
