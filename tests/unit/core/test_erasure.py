"""Forgetting at the door: rows go and are counted, pointers go and rows stay, other mentions are blotted out."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from assets.core.erasure import BLOTTED, blot_out, fingerprint, forget, mentions, places
from assets.core.subjects import refine_source
from assets.landing import FILE, RECORD, REJECTS, Landed, LandedFile
from expectations.contracts import SOURCES
from tests.unit.core.doorstep import COMPANY, NAMES, land, land_frame

ERASED = {"account": frozenset({"A7"}), "rep": frozenset({"7"})}


def deals() -> Landed:
    rows = [
        ("O1", "A1", "1", "2025-01-02T00:00:00Z", "true", "1.00", "USD"),
        ("O2", " A7", "1", "2025-01-02T00:00:00Z", "true", "1.00", "USD"),
        ("O7", "A1", "7", "2025-01-02T00:00:00Z", "true", "1.00", "USD"),
        ("7", "A77", "1", "2025-01-02T00:00:00Z", "true", "1.00", "USD"),
    ]
    return land("opportunities", "opportunity_id account_id rep_id closed_at is_won amount currency", rows)


def test_rows_of_the_erased_stop_at_the_door_and_are_counted() -> None:
    landed = forget(SOURCES["opportunities"], deals(), ERASED)
    refined = refine_source(landed, COMPANY, NAMES)
    assert sorted(refined.frame.collect()["opportunity_id"]) == ["7", "O1"]
    assert (refined.counts.rows_in, refined.counts.filtered) == (4, 2)
    assert refined.coercions["records_erased"] == 2
    assert places(deals(), ERASED).rows() == [("rows.csv", 2), ("rows.csv", 3)]


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.String])
def test_ids_are_found_in_typed_files_too(dtype: type[pl.DataType]) -> None:
    frame = pl.DataFrame({"rep_id": pl.Series(["7", "8", None]).cast(dtype)})
    landed = forget(SOURCES["reps"], land_frame("reps", frame), ERASED)
    assert landed.rows.collect()["rep_id"].cast(pl.Float64).to_list() == [8.0, None]
    assert landed.filtered == 1


def test_a_pointer_at_the_erased_goes_and_its_row_stays() -> None:
    lines = land(
        "reporting_lines",
        "rep_id valid_from manager_id",
        [("1", "2025-01-01", "7"), ("2", "2025-01-01", "1")],
    )
    rows = forget(SOURCES["reporting_lines"], lines, ERASED).rows.collect()
    assert rows.select("rep_id", "manager_id").rows() == [("1", None), ("2", "1")]
    accounts = land(
        "accounts", "account_id parent_account_id merged_into_id", [("A1", "A7", "A7"), ("A2", "A1", None)]
    )
    rows = forget(SOURCES["accounts"], accounts, ERASED).rows.collect()
    assert rows.select("parent_account_id", "merged_into_id").rows() == [(None, None), ("A1", None)]


def test_unread_records_that_mention_the_erased_go_as_well() -> None:
    rejects = pl.DataFrame(
        [("rows.csv", n, "", "ragged", None, raw) for n, raw in ((5, "x,A7,y"), (6, "x,A77"), (7, "A7"))],
        schema=REJECTS,
        orient="row",
    )
    landed = replace(deals(), rejects=rejects, files=(LandedFile("rows.csv", "0", 1, 7),))
    forgotten = forget(SOURCES["opportunities"], landed, ERASED)
    assert forgotten.rejects["record"].to_list() == [6]
    assert forgotten.filtered == 4
    assert (
        forgotten.rows.select(FILE, RECORD).collect().height + forgotten.rejects.height + forgotten.filtered
        == 7
    )


def test_side_files_lose_keys_and_mentions() -> None:
    erased = {"account": frozenset({"A7", "a.b"})}
    side = pl.DataFrame({"raw": ["A7,x", "A77,x", None, "axb", "say a.b!"], "record": [1, 2, 3, 4, 5]})
    assert blot_out(side, erased)["raw"].to_list() == [BLOTTED, "A77,x", None, "axb", BLOTTED]
    assert mentions(side, erased)
    assert not mentions(blot_out(side, erased), erased)
    tombstones = pl.DataFrame({"key": ["A7", "A8"], "rows": [1, 1]})
    assert blot_out(tombstones, erased)["key"].to_list() == ["A8"]


def test_nobody_erased_changes_nothing_and_no_recipe() -> None:
    landed = deals()
    assert forget(SOURCES["opportunities"], landed, {}) is landed
    assert fingerprint({}) == fingerprint({"account": frozenset()}) == {}
    assert fingerprint(ERASED) != fingerprint({"account": frozenset({"A7"})})
