"""From a number to an input: valid rows of the demo company, changed in values, in structure and in bytes.

`make(seed, ...)` depends on nothing but its arguments. Nothing is judged here.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from pipelines.sources.demo import simulate

Rows = list[dict[str, Any]]
T = TypeVar("T", Rows, bytes)
ROWS = 12  # of a table, enough for duplicates, versions and groups

VALUES = (
    "", " ", "null", "NULL", "N/A", "-", "0", "-0", "00", "1", "+5", "--5", "1.", ".5", "1_000", "1e3", "1E+05", "NaN", "inf", "-inf",
    "0x1F", "1,5", "1.005", "12.0", "$1,234.50", "1.234,50", "(100.00)", "9" * 17, "9" * 19, "9" * 400, "0." + "0" * 60 + "1",
    "\u0663", "\uff11\uff12", "\u00a05", "5 %", "2023-02-29", "31/12/2024", "2024-13-01", "2024-1-1", "0001-01-01", "9999-12-31",
    "1899-12-31", "2099-01-01", "+12024-01-01", "-0001-01-01", "2024-01-01T25:00:00Z", "2024-12-31T23:59:60Z", "2024-01-01T00:00:00+15:00",
    "2024-01-01T00:00:00-00:00", "2024-03-10T02:30:00", "2024-11-03T01:30:00", "2024-01-01T10:00:00.1234567890Z", "1704067200", "45292",
    "true", "TRUE", "yes", "2", "maybe", "A1", " A1 ", "e\u0301", "\u00e9", "\u202eevil", "\ufeffA1", "a\u0000b", "\ud7ff", "\U0001f600" * 3,
    "=cmd|' /C calc'!A0", "<script>alert(1)</script>", "../../etc/passwd", "\x1b[31mred", "'; DROP TABLE deals; --", "a,b", 'a"b', "a\nb",
    "a\r\nb", "a\tb", "a;b", "a|b", "\\", "\\N", "{}", "[]", "x" * 3000,
)  # fmt: skip
BYTES = (b'"', b",", b"\n", b"\r", b"\r\n", b'""', b'"\n"', b"\0", b"\xff", b"\xef\xbb\xbf", b";", b"\t", b"|", b"{", b"}", b":", b"\\",
         b"\\u", b"\xc3", b"\x1a", b" ", b"\x80", b"=", b"PAR1", b"\x1f\x8b", b"null", b"1e999", b"\xed\xa0\x80")  # fmt: skip
DTYPES = (
    pl.String(), pl.Categorical(), pl.Binary(), pl.Int8(), pl.Int64(), pl.UInt32(), pl.Float32(), pl.Float64(), pl.Boolean(), pl.Date(),
    pl.Datetime("ms"), pl.Datetime("ns", "UTC"), pl.Datetime("us", "Asia/Kathmandu"), pl.Time(), pl.Duration("us"), pl.Decimal(38, 10),
    pl.Decimal(12, 0), pl.Null(),
)  # fmt: skip


@dataclass(frozen=True)
class Input:
    """The files of one table, and how the configuration reads them."""

    seed: int
    table: str
    files: Mapping[str, bytes]
    options: Mapping[str, Any] = field(default_factory=dict)
    story: tuple[str, ...] = ()  # what was done to it


def valid_rows(folder: Path) -> dict[str, Rows]:
    """A dozen valid rows of every source table."""
    simulate(folder, deals=200, months=12, dirt=0.0, fmt="csv")
    found = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found[path.stem] = [row for row, _ in zip(csv.DictReader(file), range(ROWS), strict=False)]
    return found


def make(seed: int, valid: Mapping[str, Rows]) -> Input:
    """The input of a seed."""
    rng = random.Random(seed)
    table = rng.choice(sorted(valid))
    story: list[str] = []
    parts = [valid[table]] if rng.random() < 0.8 else [valid[table][:5], valid[table][5:]]
    suffix = rng.choice(sorted(WRITERS))
    files = {}
    for number, part in enumerate(parts):
        rows = [dict(row) for row in part]
        for _ in range(_few(rng)):
            rows = _apply(rng, ROW_CHANGES, rows, story)
        data = WRITERS[suffix](rng, rows)
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            data = _apply(rng, BYTE_CHANGES, data, story)
        packed = suffix.endswith((".gz", ".zst"))
        files[f"{table}-{number}{suffix}"] = _zip(rng, data, story, suffix) if packed else data
    columns = list(valid[table][0])
    path = f"{table}-*{suffix}" if len(files) > 1 else next(iter(files))
    return Input(seed, table, files, _options(rng, path, columns), tuple(story))


def _few(rng: random.Random) -> int:
    return rng.choice((0, 0, 1, 1, 2, 4))


def _apply(
    rng: random.Random, changes: Mapping[str, Callable[[random.Random, T], T]], what: T, story: list[str]
) -> T:
    name = rng.choice(sorted(changes))
    story.append(name)
    return changes[name](rng, what)


# --- rows --------------------------------------------------------------------------------------------------------


def _cells(rng: random.Random, rows: Rows) -> Rows:
    for _ in range(rng.randint(1, 6) if rows else 0):
        row = rng.choice(rows)
        if row:
            row[rng.choice(sorted(row))] = rng.choice(VALUES)
    return rows


def _column_of_one_value(rng: random.Random, rows: Rows) -> Rows:
    name, value = _name(rng, rows), rng.choice(VALUES)
    return [{**row, name: value} for row in rows]


def _swap_cells(rng: random.Random, rows: Rows) -> Rows:
    one, two = _name(rng, rows), _name(rng, rows)
    return [{**row, one: row.get(two), two: row.get(one)} for row in rows]


def _without_column(rng: random.Random, rows: Rows) -> Rows:
    name = _name(rng, rows)
    return [{k: v for k, v in row.items() if k != name} for row in rows]


def _renamed_column(rng: random.Random, rows: Rows) -> Rows:
    name = _name(rng, rows)
    new = rng.choice(
        [
            name.upper(),
            f" {name} ",
            name[:-1],
            f"{name}_",
            "x",
            "",
            "a,b",
            'a"b',
            "a\nb",
            "select",
            "_file",
            *list(rows[0])[:2],
        ]
        if rows
        else ["x"]
    )
    return [{new if k == name else k: v for k, v in row.items()} for row in rows]


def _new_column(rng: random.Random, rows: Rows) -> Rows:
    return [{**row, rng.choice(["shoe_size", "Name", "_record"]): rng.choice(VALUES)} for row in rows]


def _other_order(rng: random.Random, rows: Rows) -> Rows:
    names = list(rows[0]) if rows else []
    rng.shuffle(names)
    return [{name: row[name] for name in names if name in row} for row in rows]


def _doubled_row(rng: random.Random, rows: Rows) -> Rows:
    return [*rows, *(dict(rng.choice(rows)) for _ in range(3))] if rows else rows


def _conflicting_row(rng: random.Random, rows: Rows) -> Rows:
    return _cells(rng, _doubled_row(rng, rows)[::-1])


def _ragged_objects(rng: random.Random, rows: Rows) -> Rows:
    return [{k: v for k, v in row.items() if rng.random() < 0.9} for row in rows]


def _numbers(rng: random.Random, rows: Rows) -> Rows:
    """Text that is a number becomes one, as JSON and Parquet have it."""
    del rng

    def read(value: Any) -> Any:
        try:
            return float(value) if "." in str(value) else int(value)
        except (ValueError, TypeError):
            return value

    return [{k: read(v) for k, v in row.items()} for row in rows]


def _nested(rng: random.Random, rows: Rows) -> Rows:
    name = _name(rng, rows)
    wrap = rng.choice([lambda v: {"value": v}, lambda v: [v], lambda v: [{"a": [v]}], lambda v: None, bool])
    return [{**row, name: wrap(row.get(name))} for row in rows]


def _no_rows(rng: random.Random, rows: Rows) -> Rows:
    return rows[: rng.randint(0, 1)]


def _many(rng: random.Random, rows: Rows) -> Rows:
    return [dict(row) for row in rows for _ in range(rng.randint(1, 40))]


def _name(rng: random.Random, rows: Rows) -> str:
    return rng.choice(sorted(rows[0])) if rows and rows[0] else "x"


ROW_CHANGES: dict[str, Callable[[random.Random, Rows], Rows]] = {
    f.__name__.strip("_"): f
    for f in (_cells, _column_of_one_value, _swap_cells, _without_column, _renamed_column, _new_column, _other_order, _doubled_row,
              _conflicting_row, _ragged_objects, _numbers, _nested, _no_rows, _many)
} | {"cells_again": _cells, "cells_once_more": _cells}  # fmt: skip


# --- files -------------------------------------------------------------------------------------------------------


def _delimited(rng: random.Random, rows: Rows, delimiter: str = ",") -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=delimiter, lineterminator=rng.choice(["\n", "\n", "\r\n", "\r"]),
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), escapechar="\\",
    )  # fmt: skip
    writer.writerows([names, *([_cell(row.get(name)) for name in names] for row in rows)])
    return out.getvalue().encode(errors="replace")


def _cell(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, dict | list) else str(value)


def _json_lines(rng: random.Random, rows: Rows) -> bytes:
    lines = [json.dumps(row, ensure_ascii=rng.random() < 0.5, allow_nan=True) for row in rows]
    return "".join(line + "\n" for line in lines).encode(errors="replace")


def _parquet(rng: random.Random, rows: Rows) -> bytes:
    texts = [{k: _cell(v) if isinstance(v, dict | list) else v for k, v in row.items()} for row in rows]
    try:
        frame = pl.DataFrame(texts, strict=False, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        frame = pl.DataFrame(
            [{k: _cell(v) for k, v in row.items()} for row in texts], infer_schema_length=None
        )
    for _ in range(_few(rng) if frame.width else 0):
        name, dtype = rng.choice(frame.columns), rng.choice(DTYPES)
        try:
            frame = frame.with_columns(_typed(rng, name, dtype))
        except pl.exceptions.PolarsError:
            continue
    out = io.BytesIO()
    compression = rng.choice(["zstd", "snappy", "uncompressed", "gzip", "lz4"])
    frame.write_parquet(
        out, compression=compression, row_group_size=max(rng.choice([1, 5, 1000]), frame.height // 400)
    )  # type: ignore[arg-type]
    return out.getvalue()


def _typed(rng: random.Random, name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name).cast(dtype, strict=False)
    shapes = {
        "list": pl.concat_list(column, column),
        "struct": pl.struct(x=column),
        "array": pl.concat_list(column, column).list.to_array(2),
    }
    return shapes.get(rng.choice(["plain"] * 6 + sorted(shapes)), column).alias(name)


def _workbook(rng: random.Random, rows: Rows) -> bytes:
    """Numbers, truths and days as cells of their own; what a workbook can't hold (control characters) as nothing."""
    book = Workbook()
    book.properties.created = book.properties.modified = datetime(2025, 1, 1)  # noqa: DTZ001 (a workbook knows no zone)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for row in [names, *([row.get(name) for name in names] for row in rows)]:
        book.active.append([_workbook_cell(rng, value) for value in row])
    out = io.BytesIO()
    book.save(out)
    if rng.random() < 0.6:
        return out.getvalue()
    # inside the archive, where changed bytes are still a workbook
    changed = io.BytesIO()
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            data = old.read(part)
            if part.startswith("xl/") and rng.random() < 0.3:
                data = rng.choice([_put_bytes, _flip_bits, _piece_twice, _piece_lost])(rng, data)
            new.writestr(zipfile.ZipInfo(part), data)
    return changed.getvalue()


def _workbook_cell(rng: random.Random, value: Any) -> Any:
    if isinstance(value, bool | None) or (isinstance(value, int | float) and abs(value) < 1e15):
        return value
    text = ILLEGAL_CHARACTERS_RE.sub("", _cell(value))[:3_000]
    if len(text) == len("2025-01-01") and rng.random() < 0.3:
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    return text


WRITERS: dict[str, Callable[[random.Random, Rows], bytes]] = {
    ".csv": _delimited, ".csv.gz": _delimited, ".jsonl": _json_lines, ".jsonl.gz": _json_lines, ".ndjson": _json_lines,
    ".parquet": _parquet, ".pq": _parquet, ".psv": lambda rng, rows: _delimited(rng, rows, "|"),
    ".xlsx": _workbook,
    ".csv.zst": _delimited, ".tsv": lambda rng, rows: _delimited(rng, rows, "\t"), ".txt": lambda rng, rows: _delimited(rng, rows, ";"),
}  # fmt: skip


# --- bytes -------------------------------------------------------------------------------------------------------


def _put_bytes(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        data = data[:at] + rng.choice(BYTES) + data[at + rng.choice((0, 0, 1, 3)) :]
    return data


def _flip_bits(rng: random.Random, data: bytes) -> bytes:
    broken = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return bytes(broken)


def _cut_off(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _head_cut_off(rng: random.Random, data: bytes) -> bytes:
    return data[rng.randint(0, len(data)) :]


def _piece_twice(rng: random.Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    stop = rng.randint(start, len(data))
    return data[:stop] + data[start:]


def _piece_lost(rng: random.Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + data[rng.randint(start, min(len(data), start + 200)) :]


def _lines_shuffled(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def _line_added(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    extra = rng.choice(
        [
            lines[0],
            b"\n",
            b"\n\n\n",
            b"Total,1,2\n",
            b"5 rows\n",
            b"sep=;\n",
            b",,,,\n",
            b'"\n',
            b"# note\n",
            b"[]\n",
            b"17\n",
            lines[-1],
        ]
    )
    at = rng.randint(0, len(lines))
    return b"".join([*lines[:at], extra, *lines[at:]])


def _other_encoding(rng: random.Random, data: bytes) -> bytes:
    name = rng.choice(
        ["utf-16", "utf-16-le", "utf-8-sig", "cp1252", "latin-1", "shift_jis", "utf-32", "utf-7"]
    )
    return data.decode("utf-8", "replace").encode(name, "replace")


def _other_delimiter(rng: random.Random, data: bytes) -> bytes:
    return data.replace(rng.choice([b",", b";", b"\t", b"|"]), rng.choice([b",", b";", b"\t", b"|"]))


def _other_line_ends(rng: random.Random, data: bytes) -> bytes:
    return data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\r", b"\x0b", "\u2028".encode(), b""]))


BYTE_CHANGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    f.__name__.strip("_"): f
    for f in (_put_bytes, _flip_bits, _cut_off, _head_cut_off, _piece_twice, _piece_lost, _lines_shuffled, _line_added, _other_encoding,
              _other_delimiter, _other_line_ends)
}  # fmt: skip


def _zip(rng: random.Random, data: bytes, story: list[str], suffix: str) -> bytes:
    """In two pieces, as programs that append do."""
    pieces = data[: len(data) // 2], data[len(data) // 2 :]
    pack = (
        partial(pa.compress, codec="zstd", asbytes=True)
        if suffix.endswith(".zst")
        else partial(gzip.compress, mtime=0)
    )
    packed = b"".join(pack(piece) for piece in pieces)
    if rng.random() < 0.3:
        packed = _apply(
            rng,
            {"bits": _flip_bits, "cut": _cut_off, "put": _put_bytes, "twice": _piece_twice},
            packed,
            story,
        )
    return packed if rng.random() < 0.95 else data


# --- how it is read ----------------------------------------------------------------------------------------------


def _options(rng: random.Random, path: str, columns: list[str]) -> dict[str, Any]:
    name, other = rng.choice(columns), rng.choice(columns)
    quoted = f'"{other}"'
    choices: list[dict[str, Any]] = [
        {"decimal": ",", "thousands": "."},
        {"thousands": ",", "currency_symbols": "$", "parentheses_negative": True},
        {"date_format": "%d/%m/%Y"},
        {"timestamp_format": "%Y-%m-%dT%H:%M:%SZ", "timezone": "Europe/Berlin"},
        {"timezone": "America/New_York"},
        {"null_tokens": ["", "NULL", "N/A", "-"]},
        {"encoding": rng.choice(["cp1252", "utf-16", "latin-1", "shift_jis"])},
        {"delimiter": rng.choice([",", ";", "\t", "|"])},
        {"quote": rng.choice(["'", ""])},
        {"where": f"{quoted} IS NOT NULL"},
        {"where": f"length({quoted}) % 2 = 0"},
        {"where": f"CAST({quoted} AS INTEGER) > 1"},
        {"columns": {name: f"upper({quoted})"}},
        {"columns": {name: f"CAST({quoted} AS DATE)"}},
        {"columns": {name: f"coalesce({quoted}, '7') || ''"}},
        {"columns": {name: other}},
    ]
    options: dict[str, Any] = {"path": path} | ({"delimiter": ";"} if path.endswith(".txt") else {})
    if rng.random() < 0.1:
        return {"files": {"a": {"path": path}}, "query": "SELECT DISTINCT * FROM a"}
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        options |= rng.choice(choices)
    return options
