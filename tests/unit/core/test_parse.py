"""Every way a value may be written, and what must come of it (06-trust, table of inputs). A fact is one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from assets.core.parse import parse
from assets.core.reading import with_steps
from assets.core.words import _time_zones
from assets.landing import Reading
from expectations.columns import VOCABULARY
from expectations.contracts import SOURCES
from expectations.model import Kind, Presence

ZONE = "America/New_York"
ISO = Reading()
GERMAN = Reading(decimal=",", thousands=".")
LEDGER = Reading(thousands=",", currency_symbols="$€", parentheses_negative=True)
SLASHES = Reading(date_format="%d/%m/%Y")
BERLIN = Reading(timezone="Europe/Berlin")
NEW_YORK = Reading(timezone=ZONE)
AMERICAN = Reading(timezone=ZONE, timestamp_format="%m/%d/%Y %I:%M %p", date_format="%m/%d/%Y")
WITH_NA = Reading(null_tokens=("NA", "-"))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def wall(*parts: int) -> datetime:
    return utc(*parts).replace(tzinfo=None)


def read(
    name: str, values: list[Any], reading: Reading = ISO, dtype: Any = pl.String, **changes: Any
) -> pl.DataFrame:
    """Columns `value`, `reason`, and one per note that is true somewhere."""
    column = replace(VOCABULARY[name], **changes)
    parsed = parse(column, pl.DataFrame(schema={"x": dtype}).schema["x"], reading, ZONE)
    rows = pl.DataFrame({name: pl.Series(values, dtype=dtype)}).lazy()
    frame = (
        with_steps(rows, [parsed])
        .select(
            value=parsed.value,
            reason=parsed.reason,
            **{k: v.fill_null(value=False) for k, v in parsed.notes.items()},
        )
        .collect()
    )
    assert frame.schema["value"] == column.dtype
    return frame


D = Decimal
TEXT_FACTS: list[tuple[str, Reading, str | None, Any, str | None]] = [
    # money: exactly the declared format, never rounded
    ("amount", ISO, "1234.5", D("1234.50"), None),
    ("amount", ISO, "-0.01", D("-0.01"), None),
    ("amount", ISO, "+5", D("5.00"), None),
    ("amount", ISO, " 7 ", D("7.00"), None),
    ("amount", ISO, "12.345", None, "too_many_decimals"),
    ("amount", ISO, "0.005", None, "too_many_decimals"),
    ("amount", ISO, "12.3400", D("12.34"), None),
    ("amount", ISO, "$1,234.50", None, "not_a_number"),
    ("amount", ISO, "1,234.50", None, "not_a_number"),
    ("amount", ISO, "1.234,50", None, "not_a_number"),
    ("amount", ISO, "(100.00)", None, "not_a_number"),
    ("amount", ISO, "1e3", None, "not_a_number"),
    ("amount", ISO, "NaN", None, "not_a_number"),
    ("amount", ISO, "inf", None, "not_a_number"),
    ("amount", ISO, "-Infinity", None, "not_a_number"),
    ("amount", ISO, "5.", None, "not_a_number"),
    ("amount", ISO, "--5", None, "not_a_number"),
    ("amount", ISO, "1 000", None, "not_a_number"),
    ("amount", ISO, "0x1F", None, "not_a_number"),
    ("amount", ISO, "١٢", None, "not_a_number"),
    ("amount", ISO, "=1+1", None, "not_a_number"),
    ("amount", ISO, "1000000000000", D("1000000000000.00"), None),
    ("amount", ISO, "1000000000000.01", None, "out_of_range"),
    ("amount", ISO, "-1000000000000.01", None, "out_of_range"),
    ("amount", ISO, "9" * 60, None, "out_of_range"),
    ("amount", ISO, "", None, None),
    ("amount", ISO, "   ", None, None),
    ("amount", ISO, None, None, None),
    ("amount", ISO, "NA", None, "not_a_number"),
    ("amount", WITH_NA, "NA", None, None),
    ("amount", WITH_NA, "-", None, None),
    ("amount", WITH_NA, "", None, None),
    ("amount", GERMAN, "1.234,50", D("1234.50"), None),
    ("amount", GERMAN, "1234,5", D("1234.50"), None),
    ("amount", GERMAN, "-1.234.567,89", D("-1234567.89"), None),
    ("amount", GERMAN, "1234.5", None, "not_a_number"),
    ("amount", GERMAN, "1.23,4", None, "not_a_number"),
    ("amount", LEDGER, "$1,234.50", D("1234.50"), None),
    ("amount", LEDGER, "(1,234.50)", D("-1234.50"), None),
    ("amount", LEDGER, "($1,234.50)", D("-1234.50"), None),
    ("amount", LEDGER, "-$5", D("-5.00"), None),
    ("amount", LEDGER, "$-5", D("-5.00"), None),
    ("amount", LEDGER, "5 €", D("5.00"), None),
    ("amount", LEDGER, "12,34", None, "not_a_number"),
    ("amount", LEDGER, "(5", None, "not_a_number"),
    ("amount", LEDGER, "£5", None, "not_a_number"),
    ("amount", LEDGER, "$", None, "not_a_number"),
    ("redress", ISO, "-1", None, "out_of_range"),
    # rates: eight decimals, never through a float
    ("rate", ISO, "0.1", D("0.10000000"), None),
    ("rate", ISO, "0.12345678", D("0.12345678"), None),
    ("rate", ISO, "0.123456789", None, "too_many_decimals"),
    ("rate", ISO, "12 %", None, "not_a_number"),
    ("rate", ISO, "10000000000", None, "out_of_range"),
    ("fte", ISO, "2", D("2.00000000"), None),
    ("fte", ISO, "2.00000001", None, "out_of_range"),
    ("weight", ISO, "1.5", None, "out_of_range"),
    # counts
    ("version", ISO, "3", 3, None),
    ("version", ISO, "3.0", 3, None),
    ("version", ISO, "3.5", None, "too_many_decimals"),
    ("version", ISO, "-1", None, "out_of_range"),
    ("version", ISO, "9" * 19, None, "out_of_range"),
    ("fiscal_start_month", ISO, "13", None, "out_of_range"),
    # flags
    *[("is_won", ISO, word, True, None) for word in ("true", "TRUE", "t", "yes", "Y", "1", " true ")],
    *[("is_won", ISO, word, False, None) for word in ("false", "False", "f", "no", "N", "0")],
    ("is_won", ISO, "maybe", None, "not_a_flag"),
    ("is_won", ISO, "2", None, "not_a_flag"),
    ("is_won", ISO, "", None, None),
    # ids: text always
    ("account_id", ISO, "007", "007", None),
    ("account_id", ISO, "12E5", "12E5", None),
    ("account_id", ISO, "1E+05", None, "id_turned_into_number"),
    ("account_id", ISO, "1.23457E+11", None, "id_turned_into_number"),
    ("account_id", ISO, "1,23457e+11", None, "id_turned_into_number"),
    ("account_id", ISO, " A1\t", "A1", None),
    ("account_id", ISO, "e\u0301", "\u00e9", None),
    ("account_id", ISO, "'; DROP TABLE deals; --", "'; DROP TABLE deals; --", None),
    ("account_id", ISO, "", None, None),
    ("currency", ISO, "USD", "USD", None),
    ("currency", ISO, "usd", "USD", None),
    ("currency", ISO, "Dollar", None, "not_a_currency"),
    ("timezone", ISO, "Europe/Berlin", "Europe/Berlin", None),
    ("timezone", ISO, "Mars/Base", None, "unknown_time_zone"),
    # categories
    ("direction", ISO, "outbound", "outbound", None),
    ("direction", ISO, " Outbound", "outbound", None),
    ("direction", ISO, "sideways", None, "unknown_word"),
    ("channel", ISO, "CALL", "call", None),
    ("channel", ISO, "Fax", "Fax", None),
    ("outcome", ISO, "Reached", "Reached", None),
    # lists and documents
    ("theme_ids", ISO, "a, b,,c", ["a", "b", "c"], None),
    ("theme_ids", ISO, " , ", None, None),
    ("theme_ids", ISO, None, None, None),
    ("clawback_schedule", ISO, "[[0, 1.0], [3, 0.5]]", "[[0, 1.0], [3, 0.5]]", None),
    ("clawback_schedule", ISO, "[[0, 1.0]", None, "not_json"),
    # days
    ("hired_on", ISO, "2024-02-29", date(2024, 2, 29), None),
    ("hired_on", ISO, "2023-02-29", None, "day_or_time_does_not_exist"),
    ("hired_on", ISO, "2024-13-01", None, "day_or_time_does_not_exist"),
    ("hired_on", ISO, "31/12/2024", None, "not_a_date"),
    ("hired_on", ISO, "01/02/2024", None, "not_a_date"),
    ("hired_on", ISO, "2024-1-5", None, "not_a_date"),
    ("hired_on", ISO, "20240105", None, "not_a_date"),
    ("hired_on", ISO, "0001-01-01", None, None),
    ("hired_on", ISO, "9999-12-31", None, None),
    ("hired_on", ISO, "1899-12-31", None, "year_before_1900"),
    ("hired_on", ISO, "2999-12-31", date(2999, 12, 31), None),
    ("hired_on", ISO, "2024-03-01T02:00:00Z", date(2024, 2, 29), None),  # the evening before in New York
    ("hired_on", ISO, "2024-03-01T00:00:00Z", date(2024, 3, 1), None),  # how loaders write a mere day
    ("hired_on", ISO, "2024-03-01 23:59", date(2024, 3, 1), None),
    ("hired_on", SLASHES, "31/12/2024", date(2024, 12, 31), None),
    ("hired_on", SLASHES, "01/02/2024", date(2024, 2, 1), None),
    ("hired_on", SLASHES, "12/31/2024", None, "not_a_date"),
    ("hired_on", SLASHES, "2024-12-31", None, "not_a_date"),
    ("hired_on", SLASHES, "31/12/24", None, "year_before_1900"),
    # instants
    ("closed_at", ISO, "2024-01-01T10:00:00Z", utc(2024, 1, 1, 10), None),
    ("closed_at", ISO, "2024-01-01 10:00:00+02:00", utc(2024, 1, 1, 8), None),
    ("closed_at", ISO, "2024-01-01T10:00-0530", utc(2024, 1, 1, 15, 30), None),
    ("closed_at", ISO, "2024-01-01T10:00:00.5+02", utc(2024, 1, 1, 8, 0, 0, 500000), None),
    ("closed_at", ISO, "2020-06-01 15:25:50.638 UTC", utc(2020, 6, 1, 15, 25, 50, 638000), None),
    ("closed_at", ISO, "2024-01-01T10:00:00", None, "wall_time_without_zone"),
    ("closed_at", ISO, "2024-01-01", utc(2024, 1, 1, 5), None),
    ("closed_at", ISO, "2023-02-29T10:00:00Z", None, "day_or_time_does_not_exist"),
    ("closed_at", ISO, "2024-01-01T24:00:00Z", None, "day_or_time_does_not_exist"),
    ("closed_at", ISO, "2024-01-01T10:00:60Z", None, "not_a_timestamp"),
    ("closed_at", ISO, "yesterday", None, "not_a_timestamp"),
    ("closed_at", ISO, "1704103200", None, "not_a_timestamp"),
    ("closed_at", ISO, "0001-01-01T00:00:00", None, None),
    ("closed_at", ISO, "9999-12-31T23:59:59Z", None, None),
    ("closed_at", ISO, "0024-01-01T00:00:00Z", None, "year_before_1900"),
    ("closed_at", BERLIN, "2024-07-01 12:00:00", utc(2024, 7, 1, 10), None),
    ("closed_at", BERLIN, "2024-07-01 12:00:00Z", utc(2024, 7, 1, 12), None),
    ("closed_at", NEW_YORK, "2024-03-10T02:30:00", None, "wall_time_does_not_exist"),
    ("closed_at", NEW_YORK, "2024-11-03T01:30:00", utc(2024, 11, 3, 5, 30), None),  # the earlier of two
    ("closed_at", AMERICAN, "03/31/2024 11:30 PM", utc(2024, 4, 1, 3, 30), None),
    ("closed_at", AMERICAN, "03/31/2024", utc(2024, 3, 31, 4), None),
    ("closed_at", AMERICAN, "2024-03-31T23:30:00Z", None, "not_a_timestamp"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reading", "text", "value", "reason"), TEXT_FACTS)
def test_text_is_read_as_declared(
    name: str, reading: Reading, text: str | None, value: Any, reason: str | None
) -> None:
    row = read(name, [text], reading).row(0, named=True)
    assert row["reason"] == reason
    if reason is None:
        assert row["value"] == value


NATIVE_FACTS: list[tuple[str, Any, Any, Any, str | None]] = [
    ("amount", pl.Float64, 0.1, D("0.10"), None),
    ("amount", pl.Float64, 0.1 + 0.2, D("0.30"), None),
    ("amount", pl.Float64, 123456789.01, D("123456789.01"), None),
    ("amount", pl.Float64, 999999999999.99, D("999999999999.99"), None),
    ("amount", pl.Float64, 1.005, None, "too_many_decimals"),
    ("amount", pl.Float64, 999999999.001, None, "too_many_decimals"),
    ("amount", pl.Float64, float("nan"), None, "not_a_number"),
    ("amount", pl.Float64, float("inf"), None, "not_a_number"),
    ("amount", pl.Float64, 1e13, None, "out_of_range"),
    ("amount", pl.Float64, 1e300, None, "out_of_range"),
    ("amount", pl.Float64, None, None, None),
    ("amount", pl.Float32, 123.45, D("123.45"), None),
    ("amount", pl.Int64, 5, D("5.00"), None),
    ("amount", pl.Int64, 10**13, None, "out_of_range"),
    ("amount", pl.Decimal(38, 4), D("1.5000"), D("1.50"), None),
    ("amount", pl.Decimal(38, 4), D("1.5001"), None, "too_many_decimals"),
    ("rate", pl.Float64, 0.12345678, D("0.12345678"), None),
    ("rate", pl.Float64, 0.123456789, None, "too_many_decimals"),
    ("version", pl.Int32, 3, 3, None),
    ("version", pl.Float64, 3.0, 3, None),
    ("version", pl.Float64, 3.5, None, "too_many_decimals"),
    ("is_won", pl.Boolean, True, True, None),
    ("is_won", pl.Int8, 1, True, None),
    ("is_won", pl.Int8, 2, None, "not_a_flag"),
    ("is_won", pl.Float64, 0.0, False, None),
    ("account_id", pl.Int64, 7, "7", None),
    ("account_id", pl.Float64, 7.0, "7", None),
    ("account_id", pl.Float64, 7.5, None, "id_turned_into_number"),
    ("account_id", pl.Float64, 1e17, None, "id_turned_into_number"),
    ("account_id", pl.Categorical, "A1", "A1", None),
    ("account_id", pl.List(pl.String), ["A1"], None, "unreadable_type"),
    ("direction", pl.Categorical, "Inbound", "inbound", None),
    ("theme_ids", pl.List(pl.String), ["a ", "", None], ["a"], None),
    ("hired_on", pl.Date, date(2024, 1, 5), date(2024, 1, 5), None),
    ("hired_on", pl.Date, date(9999, 12, 31), None, None),
    ("hired_on", pl.Datetime("us", "UTC"), utc(2024, 3, 1, 2), date(2024, 2, 29), None),
    ("hired_on", pl.Datetime("us", "UTC"), utc(2024, 3, 1), date(2024, 3, 1), None),
    ("hired_on", pl.Datetime("ns"), wall(2024, 3, 1, 23), date(2024, 3, 1), None),
    ("closed_at", pl.Datetime("ns", "UTC"), utc(2024, 1, 1, 10), utc(2024, 1, 1, 10), None),
    ("closed_at", pl.Datetime("ms", "Europe/Berlin"), utc(2024, 1, 1, 10), utc(2024, 1, 1, 10), None),
    ("closed_at", pl.Datetime("us"), wall(2024, 1, 1, 10), None, "wall_time_without_zone"),
    ("closed_at", pl.Date, date(2024, 1, 1), utc(2024, 1, 1, 5), None),
    ("closed_at", pl.Null, None, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "dtype", "raw", "value", "reason"), NATIVE_FACTS)
def test_typed_files_obey_the_same_rules(
    name: str, dtype: Any, raw: Any, value: Any, reason: str | None
) -> None:
    row = read(name, [raw], ISO, dtype).row(0, named=True)
    assert row["reason"] == reason
    if reason is None:
        assert row["value"] == value


@pytest.mark.parametrize(
    ("name", "reading", "text", "note"),
    [
        ("account_id", ISO, " A1", "trimmed"),
        ("account_id", ISO, "e\u0301", "unicode_normalised"),
        ("account_id", ISO, "12.0", "warning id_written_as_float"),
        ("currency", ISO, "usd", "letter_case"),
        ("direction", ISO, "Inbound", "letter_case"),
        ("channel", ISO, "fax", "warning unknown_word"),
        ("amount", ISO, "12.3400", "trailing_zeros"),
        ("hired_on", ISO, "9999-12-31", "sentinel_as_null"),
        ("hired_on", ISO, "2024-03-01T02:00:00Z", "time_of_day_dropped"),
        ("closed_at", ISO, "0001-01-01", "sentinel_as_null"),
        ("closed_at", ISO, "2024-01-01T10:00:00.1234567Z", "below_microseconds_dropped"),
        ("closed_at", NEW_YORK, "2024-11-03T01:30:00", "earlier_of_two_wall_times"),
    ],
)
def test_every_coercion_is_counted(name: str, reading: Reading, text: str, note: str) -> None:
    clean = {
        "account_id": "A1",
        "currency": "USD",
        "direction": "inbound",
        "channel": "call",
        "amount": "12.34",
    }
    plain = clean.get(name, "2024-01-01" if name == "hired_on" else "2024-01-01T10:00:00.123456Z")
    frame = read(name, [text, plain, None], reading)
    assert frame[note].to_list() == [True, False, False]
    assert frame["reason"].null_count() == 3


def test_a_wall_time_in_a_typed_file_takes_the_declared_zone() -> None:
    values = [wall(2024, 3, 10, 2, 30), wall(2024, 11, 3, 1, 30), wall(1, 1, 1)]
    frame = read("closed_at", values, NEW_YORK, pl.Datetime("us"))
    assert frame["reason"].to_list() == ["wall_time_does_not_exist", None, None]
    assert frame["value"].to_list() == [None, utc(2024, 11, 3, 5, 30), None]
    assert frame["earlier_of_two_wall_times"].to_list() == [False, True, False]
    assert frame["sentinel_as_null"].to_list() == [False, False, True]


def test_a_day_starts_at_one_where_the_clocks_jump_at_midnight() -> None:
    column = VOCABULARY["closed_at"]
    parsed = parse(column, pl.String(), ISO, "America/Asuncion")
    rows = pl.DataFrame({"closed_at": ["2023-10-01"]}).lazy()
    row = with_steps(rows, [parsed]).select(v=parsed.value, r=parsed.reason).collect().row(0)
    assert row == (utc(2023, 10, 1, 4), None)  # 00:00 does not exist; 01:00 at -03:00


def test_null_is_missing_only_where_the_contract_requires_a_value() -> None:
    for name, absent in (("amount", ""), ("account_id", " "), ("closed_at", "9999-12-31"), ("is_won", None)):
        assert read(name, [absent], presence=Presence.REQUIRED)["reason"].to_list() == ["missing"]
        assert read(name, [absent], presence=Presence.MAPPED)["reason"].to_list() == [None]


def test_a_fault_is_never_both_a_value_and_a_silent_null() -> None:
    """Whatever is written: a value, or a reason, or a declared null."""
    junk = [
        "x",
        "1",
        "1.123456789",
        "nan",
        "2024-01-01",
        "true",
        "[]",
        "=cmd|' /C calc'!A0",
        "\x1b[31m",
        "💥",
        "a" * 5000,
    ]
    for column in VOCABULARY.values():
        frame = read(column.name, junk)
        silent = frame.filter(pl.col("value").is_null() & pl.col("reason").is_null())
        assert silent.is_empty(), column.name


def test_every_accepted_time_zone_is_one_that_polars_knows() -> None:
    noon = pl.Series([utc(2024, 1, 1, 12)])
    for zone in _time_zones():
        noon.dt.convert_time_zone(zone)


def test_every_kind_has_a_reader_for_text() -> None:
    for kind in Kind:
        column = next(c for c in VOCABULARY.values() if c.kind is kind)
        assert read(column.name, [None])["reason"].to_list() == [None]


def test_contracts_spell_their_words_in_lower_case_as_the_reader_takes_for_granted() -> None:
    words = {word for table in SOURCES.values() for column in table.columns for word in column.values}
    assert words
    assert all(word == word.lower() for word in words)


@pytest.mark.parametrize("table", sorted(SOURCES))
def test_reading_streams_so_that_memory_does_not_grow_with_the_file(table: str) -> None:
    """Some expressions (`replace_strict` is one) make the engine hold the whole table before the next step."""
    columns = SOURCES[table].door
    rows = pl.LazyFrame(schema={c.name: pl.String() for c in columns})
    parsed = [parse(c, pl.String(), Reading(timezone=ZONE), ZONE) for c in columns]
    read = with_steps(rows, parsed).select(p.value for p in parsed)
    plan = read.show_graph(plan_stage="physical", engine="streaming", raw_output=True, show=False)
    assert plan is not None
    assert "in-memory-map" not in plan
    assert "multiplexer" not in plan
