"""Bad files, and tricky files that are good: a table of facts (what the file holds, what must come of it).

`write_company` puts a case into a folder as a whole small company, so that the same facts can be run through
`ConfiguredLanding` or through the command. What single values mean is the core's business; these facts end at the door.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
import yaml

HEADER = "account_id,segment,region,created_at"
GOOD = [f"A{n},enterprise,EMEA,2024-01-0{n}T09:00:00Z" for n in range(1, 6)]
PLAIN = "\n".join([HEADER, *GOOD, ""]).encode()
JSON_LINES = [
    {"account_id": f"A{n}", "segment": "smb", "region": "EMEA", "created_at": f"2024-01-0{n}T09:00:00Z"}
    for n in range(1, 6)
]


@dataclass(frozen=True)
class Case:
    """One file of `table` and its outcome: rows and rejects (record, reason), or a block (words of reason, hint)."""

    name: str
    data: bytes
    rows: int = 0
    rejects: tuple[tuple[int, str], ...] = ()
    blocked: str = ""
    hint: str = ""
    file: str = "accounts.csv"
    table: str = "accounts"
    options: Mapping[str, object] = field(default_factory=dict)
    filtered: int = 0
    notes: tuple[str, ...] = ()
    others: Mapping[str, bytes] = field(default_factory=dict)  # more files beside it
    cells: tuple[tuple[str, int, str | None], ...] = ()  # (column, record, text) to be found in the rows
    unreachable: bool = False


def text(*lines: str, end: str = "\n") -> bytes:
    """Lines as UTF-8, each with a line end."""
    return "".join(line + end for line in lines).encode()


def json_lines(*lines: object) -> bytes:
    """Objects, or text as it stands, one per line."""
    return text(*(line if isinstance(line, str) else json.dumps(line) for line in lines))


def parquet(frame: pl.DataFrame, row_group_size: int | None = None) -> bytes:
    """A frame as Parquet bytes."""
    out = io.BytesIO()
    frame.write_parquet(out, row_group_size=row_group_size)
    return out.getvalue()


def zipped(data: bytes) -> bytes:
    """Gzip with a fixed time stamp."""
    return gzip.compress(data, mtime=0)


def zstd(data: bytes) -> bytes:
    """One Zstandard frame."""
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


_FRAME = pl.DataFrame(JSON_LINES)
_TALL = parquet(pl.DataFrame({"account_id": [f"A{n}" for n in range(20_000)], "segment": ["x"] * 20_000}))
_UTF16 = {"encoding": "utf-16"}


def _broken_page(data: bytes) -> bytes:
    """Parquet with sound footer and damaged pages."""
    return data[:64] + bytes(b ^ 0x5A for b in data[64:4064]) + data[4064:]


ACCEPTED = (
    Case("plain", PLAIN, rows=5),
    Case("utf8_mark", b"\xef\xbb\xbf" + PLAIN, rows=5),
    Case("crlf", PLAIN.replace(b"\n", b"\r\n"), rows=5),
    Case("old_mac_line_ends", PLAIN.replace(b"\n", b"\r"), rows=5, cells=(("segment", 5, "enterprise"),)),
    Case(
        "mixed_line_ends",
        text(HEADER, GOOD[0]) + text(GOOD[1], end="\r\n") + text(GOOD[2], end="\r") + text(GOOD[3]),
        rows=4,
    ),
    Case("no_last_line_end", PLAIN[:-1], rows=5),
    Case("header_only", text(HEADER), rows=0),
    Case("header_only_without_line_end", HEADER.encode(), rows=0),
    Case(
        "columns_in_another_order",
        text("region,created_at,account_id", "EMEA,2024-01-01,A1"),
        rows=1,
        cells=(("account_id", 1, "A1"),),
    ),
    Case(
        "unknown_columns_ignored",
        text(HEADER + ",shoe_size", *(g + ",44" for g in GOOD)),
        rows=5,
        notes=("unused_column:shoe_size",),
    ),
    Case("blanks_around_header_names", text(" account_id , segment", "A1,x"), rows=1),
    Case("unnamed_columns", text("account_id,segment,,", "A1,x,,"), rows=1),
    Case(
        "quoted_newline",
        text(HEADER, 'A1,"two\nlines",EMEA,', GOOD[1]),
        rows=2,
        cells=(("segment", 1, "two\nlines"),),
    ),
    Case(
        "quoted_crlf_and_delimiter",
        text(HEADER, 'A1,"a,b\r\nc",EMEA,', GOOD[1], end="\r\n"),
        rows=2,
        cells=(("segment", 1, "a,b\r\nc"),),
    ),
    Case(
        "doubled_quotes",
        text(HEADER, 'A1,"a ""b"" c",EMEA,', GOOD[1]),
        rows=2,
        cells=(("segment", 1, 'a "b" c'),),
    ),
    Case(
        "quoted_record_that_looks_like_rows",
        text(HEADER, 'A1,"x\nA9,enterprise,EMEA,2024-01-01\n",EMEA,', GOOD[1]),
        rows=2,
    ),
    Case(
        "inch_mark_in_bare_field",
        text(HEADER, 'A1,5" pipe,EMEA,', GOOD[1]),
        rows=2,
        cells=(("segment", 1, '5" pipe'),),
    ),
    Case(
        "single_inch_marks_in_many_rows",
        text(HEADER, *(f'A{n},{n}" pipe,EMEA,' for n in range(1, 40))),
        rows=39,
        cells=(("segment", 39, '39" pipe'),),
    ),
    Case("empty_quoted_cell", text(HEADER, 'A1,"",EMEA,'), rows=1),
    Case(
        "all_cells_quoted", text(*('"' + line.replace(",", '","') + '"' for line in (HEADER, *GOOD))), rows=5
    ),
    Case(
        "blank_lines_between",
        text(HEADER, GOOD[0], "", GOOD[1], "   ", GOOD[2], ""),
        rows=3,
        notes=("blank_lines_skipped",),
        cells=(("account_id", 3, "A3"),),
    ),
    Case("blank_lines_before_header", text("", "", HEADER, GOOD[0]), rows=1),
    Case(
        "row_of_delimiters_is_a_record",
        text(HEADER, GOOD[0], ",,,"),
        rows=2,
        cells=(("account_id", 2, None),),
    ),
    Case("leading_zeros_stay", text(HEADER, "007,x,y,"), rows=1, cells=(("account_id", 1, "007"),)),
    Case("formula_stays_text", text(HEADER, '=cmd|\' /C calc\'!A0,x,"=HYPERLINK(""http://x"")",'), rows=1),
    Case("terminal_escapes_stay_text", text(HEADER, "A1,\x1b[31mred\x1b[0m,EMEA,"), rows=1),
    Case("hash_is_no_comment", text(HEADER, "#1,x,EMEA,"), rows=1, cells=(("account_id", 1, "#1"),)),
    Case(
        "null_words_stay_text",
        text(HEADER, "A1,NULL,nan,"),
        rows=1,
        cells=(("segment", 1, "NULL"), ("region", 1, "nan")),
    ),
    Case("utf16_with_mark", PLAIN.decode().encode("utf-16"), rows=5, notes=("transcoded_utf16",)),
    Case("utf16_declared", PLAIN.decode().encode("utf-16-le"), rows=5, options={"encoding": "utf-16-le"}),
    Case("utf32_with_mark", PLAIN.decode().encode("utf-32"), rows=5, notes=("transcoded_utf32",)),
    Case(
        "cp1252_declared",
        text(HEADER, "A1,Müller,EMEA,").decode().encode("cp1252"),
        rows=1,
        options={"encoding": "cp1252"},
        cells=(("segment", 1, "Müller"),),
    ),
    Case(
        "shift_jis_declared",
        text(HEADER, "A1,大阪,JP,").decode().encode("shift_jis"),
        rows=1,
        options={"encoding": "shift_jis"},
        cells=(("segment", 1, "大阪"),),
    ),
    Case("semicolons_declared", PLAIN.replace(b",", b";"), rows=5, options={"delimiter": ";"}),
    Case("tabs_by_suffix", PLAIN.replace(b",", b"\t"), rows=5, file="accounts.tsv"),
    Case(
        "pipes_declared", PLAIN.replace(b",", b"|"), rows=5, file="accounts.txt", options={"delimiter": "|"}
    ),
    Case(
        "quotes_switched_off",
        text(HEADER, 'A1,"x,EMEA,', 'A2,y",EMEA,'),
        rows=2,
        options={"quote": ""},
        cells=(("segment", 1, '"x'),),
    ),
    Case(
        "single_quotes_declared",
        text(HEADER, "A1,'a,b',EMEA,"),
        rows=1,
        options={"quote": "'"},
        cells=(("segment", 1, "a,b"),),
    ),
    Case("gzip", zipped(PLAIN), rows=5, file="accounts.csv.gz", notes=("decompressed",)),
    Case("gzip_in_two_members", zipped(PLAIN[:60]) + zipped(PLAIN[60:]), rows=5, file="accounts.csv.gz"),
    Case("zstd", zstd(PLAIN), rows=5, file="accounts.csv.zst", notes=("decompressed",)),
    Case("zstd_in_two_frames", zstd(PLAIN[:60]) + zstd(PLAIN[60:]), rows=5, file="accounts.csv.zst"),
    Case(
        "zstd_with_a_skippable_frame",
        b"\x50\x2a\x4d\x18\x02\0\0\0ab".join((zstd(PLAIN), b"")),
        rows=5,
        file="accounts.csv.zst",
    ),
    Case("zstd_of_json_lines", zstd(json_lines(*JSON_LINES)), rows=5, file="accounts.jsonl.zst"),
    Case("zstd_without_the_suffix", zstd(PLAIN), rows=5),
    Case("gzip_without_the_suffix", zipped(PLAIN), rows=5),
    Case("gzip_of_utf16", zipped(PLAIN.decode().encode("utf-16")), rows=5, file="accounts.csv.gz"),
    Case(
        "glob_of_two",
        PLAIN,
        rows=6,
        options={"path": "accounts*.csv"},
        others={"accounts2.csv": text(HEADER, "B1,smb,APAC,")},
    ),
    Case(
        "glob_with_different_columns",
        PLAIN,
        rows=6,
        options={"path": "accounts*.csv"},
        others={"accounts2.csv": text("tier,account_id", "1,B1")},
        notes=("column_missing_in_files:segment", "unused_column:tier"),
    ),
    Case("json_lines", json_lines(*JSON_LINES), rows=5, file="accounts.jsonl"),
    Case(
        "json_lines_mark_and_blank_line",
        b"\xef\xbb\xbf" + json_lines(JSON_LINES[0], "", JSON_LINES[1]),
        rows=2,
        file="accounts.jsonl",
        notes=("blank_lines_skipped",),
    ),
    Case(
        "json_numbers_keep_their_text",
        json_lines('{"account_id": 100, "segment": 1234.50, "region": 12345678901234567890.12}'),
        rows=1,
        file="accounts.jsonl",
        cells=(("account_id", 1, "100"), ("segment", 1, "1234.50"), ("region", 1, "12345678901234567890.12")),
    ),
    Case(
        "json_null_missing_and_nested",
        json_lines('{"account_id": "A1", "segment": null, "region": {"x": 1}}', '{"account_id": "A2"}'),
        rows=2,
        file="accounts.jsonl",
        cells=(("segment", 1, None), ("region", 2, None)),
    ),
    Case("parquet", parquet(_FRAME), rows=5, file="accounts.parquet"),
    Case(
        "parquet_typed_and_categorical",
        parquet(
            _FRAME.with_columns(
                pl.col("segment").cast(pl.Categorical), pl.col("created_at").str.to_datetime(time_zone="UTC")
            )
        ),
        rows=5,
        file="accounts.parquet",
    ),
    Case("parquet_without_rows", parquet(_FRAME.clear()), rows=0, file="accounts.parquet"),
    Case(
        "parquet_written_row_by_row",
        parquet(pl.concat([_FRAME] * 60), row_group_size=1),
        rows=300,
        file="accounts.parquet",
    ),
    Case("where_leaves_out", PLAIN, rows=3, filtered=2, options={"where": "account_id > 'A2'"}),
    Case(
        "name_with_blank_mapped",
        text("Account ID,segment", "A1,x"),
        rows=1,
        options={"columns": {"account_id": "Account ID"}},
    ),
    Case(
        "expression",
        PLAIN,
        rows=5,
        options={"columns": {"segment": "upper(segment) || '!'"}},
        cells=(("segment", 1, "ENTERPRISE!"),),
    ),
    Case(
        "null_tokens_before_expressions",
        text(HEADER, "A1,x,y,n/a", "A2,x,y,2024-01-01"),
        rows=2,
        options={"null_tokens": ["", "n/a"], "columns": {"created_at": "CAST(created_at AS DATE)"}},
    ),
    Case(
        "own_column_called_like_ours",
        text(HEADER + ",_file,_record", GOOD[0] + ",f,r"),
        rows=1,
        options={"columns": {"region": "_file || _record"}},
        cells=(("region", 1, "fr"),),
    ),
)

REJECTED = (
    Case(
        "ragged_short",
        text(HEADER, GOOD[0], "A2,smb", GOOD[2]),
        rows=2,
        rejects=((2, "ragged"),),
        cells=(("account_id", 3, "A3"),),
    ),
    Case("ragged_long", text(HEADER, GOOD[0], GOOD[1] + ",extra", GOOD[2]), rows=2, rejects=((2, "ragged"),)),
    Case(
        "bare_decimal_comma", text(HEADER, "A1,1,5,EMEA,", GOOD[1], GOOD[2]), rows=2, rejects=((1, "ragged"),)
    ),
    Case(
        "unclosed_quote_first",
        text(HEADER, 'A1,"abc,EMEA,', *GOOD[1:]),
        rows=4,
        rejects=((1, "unclosed_quote"),),
        cells=(("account_id", 2, "A2"),),
    ),
    Case(
        "unclosed_quote_last",
        text(HEADER, *GOOD[:4], 'A5,"abc,EMEA,'),
        rows=4,
        rejects=((5, "unclosed_quote"),),
    ),
    Case(
        "unclosed_quote_before_a_quoted_row",
        text(HEADER, 'A1,"abc,EMEA,', 'A2,"x",EMEA,', GOOD[2]),
        rows=2,
        rejects=((1, "unclosed_quote"),),
    ),
    Case(
        "text_after_closing_quote",
        text(HEADER, 'A1,"abc" x,EMEA,', GOOD[1]),
        rows=1,
        rejects=((1, "unclosed_quote"),),
    ),
    Case(
        "backslash_escapes",
        text(HEADER, 'A1,"say \\"hi\\"",EMEA,', GOOD[1]),
        rows=1,
        rejects=((1, "unclosed_quote"),),
    ),
    Case(
        "repeated_header",
        text(HEADER, *GOOD[:2], HEADER, *GOOD[2:]),
        rows=5,
        rejects=((3, "repeated_header"),),
        cells=(("account_id", 6, "A5"),),
    ),
    Case(
        "repeated_header_last_without_line_end",
        text(HEADER, GOOD[0]) + HEADER.encode(),
        rows=1,
        rejects=((2, "repeated_header"),),
    ),
    Case("footer_short", text(HEADER, *GOOD, "Total: 5"), rows=5, rejects=((6, "footer"),)),
    Case("footer_without_line_end", text(HEADER, *GOOD) + b"5 rows", rows=5, rejects=((6, "footer"),)),
    Case("footer_as_wide_as_the_table", text(HEADER, *GOOD, "Total,,,"), rows=5, rejects=((6, "footer"),)),
    Case(
        "footer_after_blank_line",
        text(HEADER, *GOOD, "", "Pipeline Report", "Copyright (c) Example Inc"),
        rows=5,
        rejects=((6, "footer"), (7, "footer")),
    ),
    Case("account_called_total_stays", text(HEADER, "Total Wine,retail,,", GOOD[1]), rows=2),
    Case(
        "several_faults",
        text(HEADER, GOOD[0], "x", 'A2,"q,EMEA,', HEADER, GOOD[2], "", GOOD[3], GOOD[4], "Total: 5"),
        rows=4,
        rejects=((2, "ragged"), (3, "unclosed_quote"), (4, "repeated_header"), (8, "footer")),
        cells=(("account_id", 5, "A3"), ("account_id", 7, "A5")),
    ),
    Case(
        "ragged_among_bare_returns",
        text(HEADER, GOOD[0], "x,y", GOOD[2], GOOD[3], end="\r"),
        rows=3,
        rejects=((2, "ragged"),),
    ),
    Case(
        "ragged_in_gzip",
        zipped(text(HEADER, GOOD[0], "x,y", GOOD[2])),
        rows=2,
        rejects=((2, "ragged"),),
        file="accounts.csv.gz",
    ),
    Case(
        "json_bad_line",
        json_lines(JSON_LINES[0], '{"account_id": "A2",', JSON_LINES[2]),
        rows=2,
        rejects=((2, "bad_json"),),
        file="accounts.jsonl",
    ),
    Case(
        "json_duplicate_keys",
        json_lines(JSON_LINES[0], '{"account_id": "A2", "account_id": "A3"}'),
        rows=1,
        rejects=((2, "duplicate_json_key"),),
        file="accounts.jsonl",
    ),
    Case(
        "json_nested_duplicate_keys",
        json_lines(JSON_LINES[0], '{"account_id": "A2", "region": {"a": 1, "a": 2}}'),
        rows=1,
        rejects=((2, "duplicate_json_key"),),
        file="accounts.jsonl",
    ),
    Case(
        "json_not_an_object",
        json_lines(JSON_LINES[0], '["A2"]', "17"),
        rows=1,
        rejects=((2, "not_an_object"), (3, "not_an_object")),
        file="accounts.jsonl",
    ),
    Case(
        "json_nan",
        json_lines(JSON_LINES[0], '{"account_id": "A2", "segment": NaN}'),
        rows=1,
        rejects=((2, "bad_json"),),
        file="accounts.jsonl",
    ),
    Case(
        "json_two_objects_on_a_line",
        json_lines(JSON_LINES[0], '{"account_id": "A2"}{"account_id": "A3"}'),
        rows=1,
        rejects=((2, "bad_json"),),
        file="accounts.jsonl",
    ),
    Case(
        "json_nested_too_deep",
        json_lines(JSON_LINES[0], '{"account_id": ' + "[" * 5000 + "]" * 5000 + "}"),
        rows=1,
        rejects=((2, "bad_json"),),
        file="accounts.jsonl",
    ),
    Case(
        "expression_gives_null",
        text(HEADER, "A1,x,y,2024-01-01", "A2,x,y,soon", "A3,x,y,"),
        rows=2,
        rejects=((2, "expression"),),
        options={"columns": {"created_at": "CAST(created_at AS DATE)"}},
    ),
    Case(
        "where_cannot_be_decided",
        text(HEADER, "A1,1,y,", "A2,many,y,", "A3,,y,", "A4,9,y,"),
        rows=1,
        filtered=2,
        rejects=((2, "where"),),
        options={"where": "CAST(segment AS INTEGER) > 5"},
    ),
    Case(
        "division_by_zero",
        text(HEADER, "A1,5,0,", "A2,6,2,"),
        rows=1,
        rejects=((1, "expression"),),
        options={"columns": {"segment": "CAST(segment AS INTEGER) // CAST(region AS INTEGER)"}},
    ),
)

BLOCKED = (
    Case("zero_bytes", b"", blocked="0 bytes"),
    Case("only_blank_lines", b"\n\n  \n", blocked="no header"),
    Case("only_a_mark", b"\xef\xbb\xbf", blocked="no header"),
    Case(
        "invalid_utf8",
        text(HEADER, "A1,M?ller,EMEA,").replace(b"?", b"\xfc"),
        blocked="0xFC at offset 41",
        hint="cp1252",
    ),
    Case(
        "invalid_utf8_in_header", PLAIN.replace(b"segment", b"seg\xffment"), blocked="0xFF", hint="encoding"
    ),
    Case("utf16_without_mark", PLAIN.decode().encode("utf-16-le"), blocked="NUL", hint="utf-16-le"),
    Case("nul_byte", text(HEADER, "A1,x\0y,EMEA,"), blocked="NUL byte at offset"),
    Case(
        "wrong_declared_encoding",
        text(HEADER, "A1,大阪,JP,"),
        blocked="not ascii",
        options={"encoding": "us-ascii"},
    ),
    Case("half_a_utf16_character", PLAIN.decode().encode("utf-16")[:-1], blocked="not utf-16"),
    Case("wrong_delimiter", PLAIN.replace(b",", b";"), blocked="delimiter is not ','", hint='";"'),
    Case("wrong_delimiter_tabs", PLAIN.replace(b",", b"\t"), blocked="delimiter is not", hint="\\t"),
    Case(
        "wrong_delimiter_with_decimal_commas",
        text("account_id;segment", "A1;1,5", "A2;2,5"),
        blocked="delimiter is not",
        hint='";"',
    ),
    Case(
        "declared_delimiter_wrong",
        PLAIN,
        blocked="delimiter is not ';'",
        hint='","',
        options={"delimiter": ";"},
    ),
    Case("required_column_missing", text("segment,region", "x,y"), blocked="no column for account_id"),
    Case(
        "required_column_renamed",
        PLAIN.replace(b"account_id", b"acount_id"),
        blocked="account_id",
        hint="acount_id",
    ),
    Case(
        "mapped_column_missing",
        PLAIN,
        blocked="no column 'Segmnt'",
        hint="segment",
        options={"columns": {"segment": "Segmnt"}},
    ),
    Case("duplicate_header", text("account_id,segment,segment", "A1,x,y"), blocked="'segment' twice"),
    Case(
        "duplicate_header_after_trimming",
        text("account_id,segment, segment ", "A1,x,y"),
        blocked="'segment' twice",
    ),
    Case(
        "duplicate_column_in_another_unicode_form",
        text("account_id,caf\u00e9,cafe\u0301", "A1,x,y"),
        blocked="twice",
    ),
    Case(
        "header_with_open_quote",
        text('account_id,"segment,region', "A1,x"),
        blocked="quote that never closes",
    ),
    Case("excel_sep_line", text("sep=;", "account_id;segment", "A1;x"), blocked="delimiter"),
    Case("no_header", text(*GOOD), blocked="no column for account_id"),
    Case("most_records_ragged", text(HEADER, *(g + ",1" for g in GOOD)), blocked="5 of 5 records"),
    Case("cut_off_record", PLAIN[:-25], blocked="cut off"),
    Case("cut_off_in_quotes", text(HEADER, *GOOD) + b'A6,"half of a', blocked="cut off"),
    Case("one_endless_line", text(HEADER, "A1," + "x" * (1 << 20) + ",y,"), blocked="longer than 1 MiB"),
    Case("excel_workbook_named_csv", b"PK\x03\x04" + b"\0" * 64, blocked="Excel workbook"),
    Case("old_excel_named_csv", b"\xd0\xcf\x11\xe0" + b"\0" * 64, blocked="Excel"),
    Case("parquet_named_csv", parquet(_FRAME), blocked="is Parquet"),
    Case(
        "workbook_cut_off",
        b"PK\x03\x04" + b"\0" * 64,
        blocked="not readable as an Excel",
        hint="CSV",
        file="accounts.xlsx",
    ),
    Case("workbook_by_name_only", PLAIN, blocked="not readable as an Excel workbook", file="accounts.xlsx"),
    Case(
        "workbook_with_a_password", b"\xd0\xcf\x11\xe0" + b"\0" * 64, blocked="password", file="accounts.xlsx"
    ),
    Case("old_workbook", b"\xd0\xcf\x11\xe0", blocked=".xls spreadsheets", hint="CSV", file="accounts.xls"),
    Case("unknown_kind", PLAIN, blocked="'.dat' are not read", file="accounts.dat"),
    Case("gzip_cut_off", zipped(PLAIN * 50)[:-20], blocked="ends too early", file="accounts.csv.gz"),
    Case(
        "gzip_corrupt",
        zipped(PLAIN)[:30] + b"\xff\xff" + zipped(PLAIN)[32:],
        blocked="gzip",
        file="accounts.csv.gz",
    ),
    Case("gzip_trailing_rubbish", zipped(PLAIN) + b"rubbish", blocked="corrupt", file="accounts.csv.gz"),
    Case(
        "gzip_bomb",
        zipped(HEADER.encode() + b"\n" * (8 << 20)),
        blocked="over 200 times",
        file="accounts.csv.gz",
    ),
    Case("zstd_cut_off", zstd(PLAIN * 50)[:-5], blocked="ends too early", file="accounts.csv.zst"),
    Case("zstd_corrupt", zstd(PLAIN)[:4] + b"\xff" * 20, blocked="zstd", file="accounts.csv.zst"),
    Case("zstd_trailing_rubbish", zstd(PLAIN) + b"rubbish", blocked="corrupt", file="accounts.csv.zst"),
    Case(
        "zstd_bomb",
        zstd(HEADER.encode() + b"\n" * (8 << 20)),
        blocked="over 200 times",
        file="accounts.csv.zst",
    ),
    Case("zstd_only_by_name", PLAIN, blocked="not zstd", file="accounts.csv.zst"),
    Case("gzip_named_zst", zipped(PLAIN), blocked="not zstd", file="accounts.csv.zst"),
    Case("gzip_only_by_name", PLAIN, blocked="not gzip", file="accounts.csv.gz"),
    Case("zlib_without_gzip", zlib.compress(PLAIN), blocked="not gzip", file="accounts.csv.gz"),
    Case(
        "json_array_in_a_file",
        json.dumps(JSON_LINES, indent=1).encode(),
        blocked="no line is a JSON object",
        hint="one object per line",
        file="accounts.jsonl",
    ),
    Case("json_cut_off", json_lines(*JSON_LINES)[:-20], blocked="cut off", file="accounts.jsonl"),
    Case(
        "json_invalid_utf8",
        json_lines(*JSON_LINES) + b'{"account_id": "\xff"}\n',
        blocked="not UTF-8",
        file="accounts.jsonl",
    ),
    Case("csv_named_jsonl", PLAIN, blocked="no line is a JSON object", file="accounts.jsonl"),
    Case("json_blank", b"\n\n", blocked="blank", file="accounts.jsonl"),
    Case("parquet_cut_off", _TALL[:-100], blocked="not readable as Parquet", file="accounts.parquet"),
    Case("parquet_first_half", _TALL[: len(_TALL) // 2], blocked="Parquet", file="accounts.parquet"),
    Case("parquet_damaged_pages", _broken_page(_TALL), blocked="Parquet", file="accounts.parquet"),
    Case(
        "parquet_head_cut_off",
        parquet(pl.concat([_FRAME] * 40), row_group_size=5)[3_000:],
        blocked="Parquet",
        file="accounts.parquet",
    ),
    Case(
        "parquet_head_mostly_cut_off",  # polars panics over this one
        parquet(pl.concat([_FRAME] * 40), row_group_size=5)[21_400:],
        blocked="Parquet",
        file="accounts.parquet",
    ),
    Case(
        "query_over_parquet_without_columns",
        parquet(pl.DataFrame()),
        blocked="no columns",
        file="accounts.parquet",
        options={"files": {"a": {"path": "accounts.parquet"}}, "query": "SELECT * FROM a", "path": None},
    ),
    Case(
        "line_end_and_escape_in_a_column_name",
        text('"a\nb\x1b[31m",segment', "A1,x"),
        blocked="\\x1b[31m",
        hint="no column for account_id",
    ),
    Case("csv_named_parquet", PLAIN, blocked="not readable as Parquet", file="accounts.parquet"),
    Case("parquet_zero_bytes", b"", blocked="0 bytes", file="accounts.parquet"),
    Case(
        "parquet_required_column_missing",
        parquet(_FRAME.rename({"account_id": "AccountId"})),
        blocked="account_id",
        hint="AccountId",
        file="accounts.parquet",
    ),
    Case(
        "glob_with_required_column_missing_in_one",
        PLAIN,
        blocked="'account_id' is missing",
        options={"path": "accounts*.csv"},
        others={"accounts2.csv": text("segment,region", "x,y")},
    ),
    Case(
        "expression_names_no_column",
        PLAIN,
        blocked="'sgment'",
        hint="segment",
        options={"columns": {"segment": "upper(sgment)"}},
    ),
    Case(
        "expression_with_syntax_error",
        PLAIN,
        blocked="not valid SQL",
        options={"columns": {"segment": "upper(segment"}},
    ),
    Case(
        "expression_breaks_out",
        PLAIN,
        blocked="not one expression",
        options={"columns": {"segment": "segment), (region"}},
    ),
    Case(
        "expression_with_subquery",
        PLAIN,
        blocked="not one expression",
        options={"columns": {"segment": "(SELECT max(region) FROM source)"}},
    ),
    Case(
        "expression_reads_a_file",
        PLAIN,
        blocked="SQL",
        options={"columns": {"segment": "read_text('/etc/passwd')"}},
    ),
    Case(
        "expression_asks_the_clock",
        PLAIN,
        blocked="current_date",
        options={"columns": {"segment": "current_date"}},
    ),
    Case("expression_rolls_dice", PLAIN, blocked="random", options={"columns": {"segment": "random()"}}),
    Case("where_with_syntax_error", PLAIN, blocked="not valid SQL", options={"where": "region = "}),
    Case("missing_file", PLAIN, blocked="no file at", options={"path": "acounts.csv"}, unreachable=True),
    Case("empty_glob", PLAIN, blocked="no file at", options={"path": "landing/*.csv"}, unreachable=True),
    Case(
        "folder_instead_of_file",
        PLAIN,
        blocked="no file at",
        hint="./*",
        options={"path": "."},
        unreachable=True,
    ),
    Case(
        "bucket",
        PLAIN,
        blocked="read are local files and s3://",
        options={"path": "ftp://lake/accounts/*.parquet"},
        unreachable=True,
    ),
)

CASES = (*ACCEPTED, *REJECTED, *BLOCKED)

_OTHERS = {
    "accounts": PLAIN,
    "reps": text("rep_id,role,hired_on", "R1,hunter,2020-01-01"),
    "opportunities": text(
        "opportunity_id,account_id,rep_id,created_at,closed_at,stage,is_won,amount,currency",
        "O1,A1,R1,2024-02-01T09:00:00Z,2024-03-01T09:00:00Z,Won,true,1000.00,USD",
    ),
}


def write_company(folder: Path, case: Case) -> Path:
    """Put a case into `folder` as a company with nothing else wrong; returns its `aftersale.yaml`.

    Rejects are allowed up to any share, so that one bad row in five doesn't block.
    """
    sources: dict[str, object] = {}
    for table, data in _OTHERS.items():
        (folder / f"{table}.csv").write_bytes(data)
        sources[table] = {"path": f"{table}.csv"}
    if case.file != f"{case.table}.csv":
        (folder / f"{case.table}.csv").unlink(missing_ok=True)
    for name, data in {case.file: case.data, **case.others}.items():
        (folder / name).write_bytes(data)
    source = {"path": case.file, "max_reject_share": 1.0, **case.options}
    sources[case.table] = {name: value for name, value in source.items() if value is not None}
    company = {"reporting_currency": "USD", "timezone": "America/New_York", "as_of": "2024-12-31"}
    config = folder / "aftersale.yaml"
    config.write_text(yaml.safe_dump({"company": company, "sources": sources}, sort_keys=False), "utf-8")
    return config
