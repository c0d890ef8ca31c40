"""No row disappears, order decides nothing, and what shares a key is told apart: duplicate, version, conflict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.core.identities import Counts, IdentityBrokenError, blocked_by, check_identity
from assets.core.refine import refine
from assets.core.subjects import GROUP_RULES, refine_source
from assets.landing import FILE, RECORD, REJECTS, LandingBlockedError, Reading
from expectations.contracts import SOURCES
from tests.unit.core.doorstep import COMPANY, NAMES, land, land_frame, reasons, refined

DEALS = "opportunity_id account_id rep_id closed_at is_won amount currency recorded_at"
OPEN = {"max_reject_share": 1.0}


def deal(
    key: str = "o1",
    closed: str | None = "2025-01-05T10:00:00Z",
    amount: str | None = "100",
    **other: str | None,
) -> tuple[str | None, ...]:
    row: dict[str, str | None] = {
        "opportunity_id": key, "account_id": "a", "rep_id": "r", "closed_at": closed, "is_won": "true",
        "amount": amount, "currency": "USD", "recorded_at": None,
    }  # fmt: skip
    return tuple((row | other).values())


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


# ---- what comes out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", sorted(SOURCES))
def test_every_source_table_comes_out_with_its_contract_even_without_rows(table: str) -> None:
    contract = SOURCES[table]
    landed = land(
        table, " ".join(c.name for c in contract.door if c.presence.value in ("required", "mapped")), []
    )
    result = refine_source(landed, COMPANY, NAMES)
    assert result.frame.collect_schema() == contract.schema
    assert result.counts == Counts(0, 0, 0, 0, 0, 0)
    assert result.rejects.schema == REJECTS


def test_missing_optional_columns_are_typed_nulls_and_personal_ones_never_enter() -> None:
    frame = refined("accounts", "account_id name", [("A1", "Ann Miller")]).frame.collect()
    assert "name" not in frame.columns
    assert frame.row(0) == ("A1", *[None] * (frame.width - 1))


def test_a_column_that_must_be_mapped_blocks_when_it_is_not_there() -> None:
    with pytest.raises(LandingBlockedError, match="closed_at is missing"):
        refined("opportunities", "opportunity_id account_id rep_id is_won amount currency", [])


def test_sellers_come_out_under_pseudonyms_that_join() -> None:
    people = refined("reps", "rep_id", [("ann",), ("bob",)]).frame.collect()
    lines = refined(
        "reporting_lines",
        "rep_id valid_from manager_id",
        [("ann", "2024-01-01", "bob"), ("bob", "2024-01-01", None)],
    )
    frame = lines.frame.collect()
    assert set(frame["rep_id"]) == set(people["rep_id"]) == {NAMES.of("rep", "ann"), NAMES.of("rep", "bob")}
    assert frame.filter(rep_id=NAMES.of("rep", "ann"))["manager_id"].item() == NAMES.of("rep", "bob")
    assert frame["rep_id"].is_sorted()


def test_rejects_carry_file_record_column_value_and_raw_text() -> None:
    result = refined("opportunities", DEALS, [deal(), deal("o2", amount="1.005"), deal("o3", rep_id=None)])
    assert result.rejects.rows() == [
        ("rows.csv", 2, "amount", "too_many_decimals", "1.005", "line 2"),
        ("rows.csv", 3, "rep_id", "missing", "", "line 3"),
    ]


def test_rejects_of_the_door_stay_among_the_rejects() -> None:
    landed = land("accounts", "account_id", [("A1",)])
    ragged = pl.DataFrame([("rows.csv", 2, "", "ragged", "", "A2,x,y")], schema=REJECTS, orient="row")
    file = replace(landed.files[0], records=4)
    result = refine_source(
        replace(landed, rejects=ragged, files=(file,), filtered=2, notes=(("transcoded", 1),)), COMPANY, NAMES
    )
    assert result.counts == Counts(rows_in=4, rows_out=1, rejected=1, deduplicated=0, not_yet=0, filtered=2)
    assert result.rejects.rows() == ragged.rows()
    assert result.coercions == {"transcoded": 1}


def test_a_broken_row_rule_rejects_with_its_name_and_the_values_that_break_it() -> None:
    result = refined(
        "reps",
        "rep_id hired_on left_on",
        [("a", "2024-05-01", "2024-04-30"), ("b", "2024-05-01", "2024-05-01"), ("c", "2024-05-01", None)],
    )
    assert reasons(result) == [(1, "", "left_on_is_not_before_hired_on")]
    assert result.rejects["value"].item() == "hired_on=2024-05-01, left_on=2024-04-30"


def test_warnings_and_coercions_are_counted_and_rows_kept() -> None:
    rows = [("A1", " A1", "Emea"), ("A2", None, None)]
    result = refined("accounts", "account_id merged_into_id region", rows)
    assert result.counts.rows_out == 2
    assert result.coercions == {"merged_into_id: trimmed": 1}
    assert result.warnings == {"account_is_not_merged_into_itself": 1}


# ---- time -------------------------------------------------------------------------------------------------------


def test_as_of_is_an_inclusive_local_day() -> None:
    times = [
        "2025-07-01T03:59:59Z",
        "2025-07-01T04:00:00Z",
        "2026-08-05T03:59:59Z",
        "2026-08-05T04:00:00Z",
    ]  # as_of + 400 = 2026-08-04
    result = refined("opportunities", DEALS, [deal(f"o{i}", t) for i, t in enumerate(times)])
    assert result.frame.collect()["opportunity_id"].to_list() == ["o0"]
    assert result.counts.not_yet == 2
    assert reasons(result) == [(4, "closed_at", "too_far_in_future")]


def test_whether_the_time_of_a_close_is_known() -> None:
    closes = ["2025-01-05", "2025-01-05T10:00:00Z", "2025-01-05T00:00:00Z", None]
    frame = refined("opportunities", DEALS, [deal(f"o{i}", t) for i, t in enumerate(closes)]).frame.collect()
    assert frame["closed_time_known"].to_list() == [False, True, False, False]
    typed = pl.DataFrame(
        {
            "opportunity_id": ["x"],
            "account_id": "a",
            "rep_id": "r",
            "closed_at": [date(2025, 1, 5)],
            "is_won": True,
            "amount": 1.5,
            "currency": "USD",
        }
    )
    row = refine_source(land_frame("opportunities", typed), COMPANY, NAMES).frame.collect().row(0, named=True)
    assert row["closed_time_known"] is False
    assert (row["closed_at"], row["amount"]) == (utc(2025, 1, 5, 5), Decimal("1.50"))


def test_a_missing_recorded_at_is_the_event_time_and_says_so() -> None:
    rows = [deal("o1"), deal("o2", recorded_at="2025-01-07T00:00:00Z"), deal("o3", closed=None)]
    frame = refined("opportunities", DEALS, rows).frame.collect()
    assert frame["recorded_at"].to_list() == [utc(2025, 1, 5, 10), utc(2025, 1, 7), utc(1970, 1, 1)]
    assert frame["knowledge_time_assumed"].to_list() == [True, False, True]


def test_a_day_stands_in_as_its_local_midnight_and_without_one_a_row_was_always_known() -> None:
    quota = refined(
        "quotas",
        "rep_id component period_start period_end amount",
        [("r", "c", "2025-01-01", "2025-04-01", "5")],
    )
    assert quota.frame.collect()["recorded_at"].item() == utc(2025, 1, 1, 5)
    tier = refined(
        "plan_tiers",
        "plan_id version component tier from_attainment rate",
        [("p", "1", "c", "1", "0", "0.1")],
    )
    assert tier.frame.collect()["recorded_at"].item() == utc(1970, 1, 1)


# ---- what shares a key ------------------------------------------------------------------------------------------


def test_exact_duplicates_leave_one_and_name_winner_and_loser() -> None:
    result = refined(
        "opportunities", DEALS, [deal(), deal("o2"), deal(currency="usd"), deal(amount="100.00")]
    )
    assert result.frame.collect()["opportunity_id"].to_list() == ["o1", "o2"]
    assert result.duplicates.drop("key").rows() == [
        ("rows.csv", 3, "rows.csv", 1),
        ("rows.csv", 4, "rows.csv", 1),
    ]
    assert all(key.startswith("opportunity_id=o1") for key in result.duplicates["key"])


def test_versions_are_all_kept() -> None:
    rows = [deal(amount=str(n), recorded_at=f"2025-02-0{n}T00:00:00Z") for n in (1, 2, 3)]
    result = refined("opportunities", DEALS, rows)
    assert result.frame.collect()["amount"].to_list() == [Decimal(1), Decimal(2), Decimal(3)]


def test_one_key_at_one_knowledge_time_with_two_contents_rejects_both() -> None:
    same = {"recorded_at": "2025-02-01T00:00:00Z"}
    result = refined(
        "opportunities",
        DEALS,
        [deal(**same), deal(amount="101", **same), deal(amount="102", recorded_at="2025-03-01T00:00:00Z")],
    )
    assert reasons(result) == [(1, "", "conflicting_duplicate"), (2, "", "conflicting_duplicate")]
    assert result.frame.collect()["amount"].to_list() == [Decimal(102)]


def test_without_recorded_at_a_different_close_is_a_conflict_not_a_version() -> None:
    result = refined("opportunities", DEALS, [deal(), deal(closed="2025-01-06T10:00:00Z")])
    assert [r[2] for r in reasons(result)] == ["conflicting_duplicate"] * 2


def test_an_assumed_time_that_meets_a_stated_one_gives_way() -> None:
    stated = {"recorded_at": "2025-01-05T10:00:00Z"}  # the close itself
    result = refined("opportunities", DEALS, [deal(), deal(**stated)])
    assert result.frame.collect()["knowledge_time_assumed"].to_list() == [False]
    assert result.duplicates["record"].to_list() == [1]
    result = refined("opportunities", DEALS, [deal(), deal(amount="7", **stated)])
    assert [r[2] for r in reasons(result)] == ["conflicting_duplicate"] * 2


def test_null_and_value_conflict_and_lists_compare_by_content() -> None:
    header = "report_id sent_at theme_ids"
    same = [("r", "2025-01-01", "a,b"), ("r", "2025-01-01", "a, b")]
    assert refined("board_reports", header, same).counts.deduplicated == 1
    assert refined("board_reports", header, [*same, ("r", "2025-01-01", "b,a")]).counts.rejected == 3
    assert refined("board_reports", header, [*same, ("r", "2025-01-01", None)]).counts.rejected == 3


def test_equal_purchases_without_an_id_are_not_duplicates() -> None:
    row = ("A|1", "2025-01-01T10:00:00Z", "order", "5", "1")
    rows = [row, row, (*row[:4], "2"), ("A", *row[1:])]
    header = "account_id occurred_at kind amount units"
    frame = refined("customer_activity", header, rows).frame.collect()
    assert frame.height == 4
    assert frame["event_id"].n_unique() == 4
    for seed in range(1, 5):
        again = refined("customer_activity", header, rows, shuffle=seed).frame.collect()
        assert again.equals(frame)
    named = refined("customer_activity", f"event_id {header}", [("e1", *row), ("e1", *row), (None, *row)])
    assert (named.counts.rows_out, named.counts.deduplicated) == (2, 1)


# ---- identities -------------------------------------------------------------------------------------------------

_CELLS = st.tuples(
    st.sampled_from(["o1", "o2", "o3", "1E+05", "", None]),
    st.sampled_from(
        ["2025-01-05", "2025-06-30T23:00:00-04:00", "2025-08-01", "2029-01-01", "2023-02-29", None]
    ),
    st.sampled_from(["100", "-3.5", "1e3", "0.001", "1000000000001", None]),
    st.sampled_from(["USD", "eur", "??", None]),
    st.sampled_from(["2025-02-01T00:00:00Z", "2025-01-05T05:00:00Z", None]),
)


@settings(max_examples=60)
@given(rows=st.lists(_CELLS, max_size=25), seed=st.integers(1, 9))
def test_whatever_comes_every_row_and_cent_has_a_fate_and_order_decides_nothing(
    rows: list[tuple[str | None, ...]], seed: int
) -> None:
    deals = [
        deal(key or "", closed, amount, currency=currency, recorded_at=known)
        for key, closed, amount, currency, known in rows
    ]
    result = refined("opportunities", DEALS, deals)
    assert result.counts.rows_in == len(rows) == result.counts.accounted
    assert result.rejects.height == result.counts.rejected
    assert result.rejects["record"].n_unique() == result.counts.rejected
    assert result.duplicates.height == result.counts.deduplicated
    assert not set(result.rejects["record"]) & set(result.duplicates["record"])
    frame = result.frame.collect()
    assert frame.height == result.counts.rows_out
    assert not frame.select("opportunity_id", "recorded_at").is_duplicated().any()
    readable = sum(Decimal(r[2]) for r in rows if r[2] in ("100", "-3.5"))
    assert sum(m.rows_in for m in result.money if m.column == "amount") == readable
    assert all(m.holds for m in result.money)
    shuffled = refined("opportunities", DEALS, deals, shuffle=seed)
    assert shuffled.frame.collect().equals(frame)
    assert shuffled.counts == result.counts
    assert shuffled.money == result.money


def test_money_is_accounted_for_per_currency_and_fate() -> None:
    rows = [
        deal("o1", amount="1.01"), deal("o2", amount="2", currency="EUR"), deal("o2", amount="2", currency="eur"),
        deal("o3", amount="4", rep_id=None), deal("o4", "2025-07-02", amount="8"), deal("o5", amount="0.001"),
    ]  # fmt: skip
    usd, eur = (m for m in reversed(refined("opportunities", DEALS, rows).money) if m.column == "amount")
    assert (usd.currency, eur.currency) == ("USD", "EUR")
    assert (usd.rows_in, usd.out, usd.rejected, usd.deduplicated, usd.not_yet) == tuple(
        map(Decimal, ("13.01", "1.01", "4", "0", "8"))
    )
    assert (eur.rows_in, eur.out, eur.rejected, eur.deduplicated, eur.not_yet) == tuple(
        map(Decimal, ("4", "2", "0", "2", "0"))
    )


def test_sums_far_beyond_a_decimal_of_18_digits_stay_exact() -> None:
    rows = [deal(f"o{i:06}", amount="999999999999.99") for i in range(20_000)]
    (identity,) = (m for m in refined("opportunities", DEALS, rows).money if m.column == "amount")
    assert identity.rows_in == Decimal("999999999999.99") * 20_000


def test_a_reader_that_loses_a_record_is_found_out() -> None:
    landed = land("accounts", "account_id", [("A1",), ("A2",)])
    file = replace(landed.files[0], records=3)
    with pytest.raises(IdentityBrokenError, match="3 records came in, 2 are accounted for"):
        refine_source(replace(landed, files=(file,)), COMPANY, NAMES)
    with pytest.raises(IdentityBrokenError):
        check_identity("t", Counts(5, 1, 1, 1, 1, 0))


def test_spilled_rows_give_the_same_table(tmp_path: Path) -> None:
    rows = [
        deal(f"o{i % 40}", amount=str(i % 3), recorded_at=f"2025-01-{1 + i % 28:02}T00:00:00Z")
        for i in range(200)
    ]
    landed = land("opportunities", DEALS, rows)
    here, there = (
        refine_source(landed, COMPANY, NAMES, spill) for spill in (None, tmp_path / "rows.parquet")
    )
    assert here.frame.collect().equals(there.frame.sort("opportunity_id", "recorded_at").collect())
    assert here.rejects.equals(there.rejects)
    assert here.duplicates.equals(there.duplicates)
    assert (here.counts, here.money, here.coercions) == (there.counts, there.money, there.coercions)


def test_several_files_may_hold_one_table() -> None:
    landed = land("accounts", "account_id", [("A1",), ("A1",)])
    rows = landed.rows.with_columns(pl.Series(FILE, ["b.csv", "a.csv"]), pl.lit(1).alias(RECORD))
    files = tuple(replace(landed.files[0], path=p, records=1) for p in ("a.csv", "b.csv"))
    result = refine_source(replace(landed, rows=rows, files=files), COMPANY, NAMES)
    assert result.duplicates.row(0)[0] == "b.csv"
    assert result.counts.rows_out == 1


# ---- blocking ---------------------------------------------------------------------------------------------------


def test_more_rejects_than_allowed_block_and_say_why() -> None:
    rows = [(f"A{i}", "yes" if i else "maybe") for i in range(100)]
    result = refined("accounts", "account_id deleted", rows)
    assert blocked_by(result, Reading(max_reject_share=0.01)) is None  # 1 of 100 is not more than 1 %
    blocked = blocked_by(result, Reading(max_reject_share=0.009))
    assert blocked is not None
    assert (blocked.table, blocked.count, blocked.share, blocked.limit) == ("accounts", 1, 0.01, 0.009)
    assert blocked.reasons == (("not_a_flag", 1),)
    assert "1 of 100 records rejected" in blocked.sentence


def test_a_block_says_what_to_do_about_its_reason() -> None:
    landed = land("opportunities", DEALS, [deal(closed="2025-01-05 10:00:00")])
    blocked = blocked_by(refine_source(landed, COMPANY, NAMES), Reading())
    assert blocked is not None
    assert "1 wall_time_without_zone (write `timezone: UTC`" in blocked.sentence


def test_records_left_out_by_where_dilute_nothing() -> None:
    landed = land("accounts", "account_id deleted", [("A1", "maybe"), ("A2", "no")])
    landed = replace(landed, filtered=998, files=(replace(landed.files[0], records=1000),))
    blocked = blocked_by(refine_source(landed, COMPANY, NAMES), Reading(max_reject_share=0.4))
    assert blocked is not None
    assert blocked.share == 0.5


def test_an_empty_required_table_blocks_and_an_optional_one_does_not() -> None:
    blocked = blocked_by(refined("accounts", "account_id", []), Reading())
    assert blocked is not None
    assert "must not be empty" in blocked.sentence
    assert blocked_by(refined("products", "product_id", []), Reading()) is None


def test_a_group_rule_without_an_implementation_is_an_error_not_a_pass() -> None:
    landed = land(
        "quotas",
        "rep_id component period_start period_end amount",
        [("r", "c", "2025-01-01", "2025-04-01", "5")],
    )
    with pytest.raises(KeyError, match="quotas_do_not_overlap"):
        refine(SOURCES["quotas"], landed, COMPANY, NAMES, {})
    declared = {rule.name for table in SOURCES.values() for rule in table.group_rules}
    assert declared == set(GROUP_RULES)
