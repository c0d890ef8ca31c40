"""Rows as files of every kind that is read."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import polars as pl
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from tests.fuzz.damage import flip_bits, piece_lost, piece_twice, put_bytes
from tests.fuzz.rows import Rows

_TIMES = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DTYPES = (
    pl.String(), pl.Categorical(), pl.Binary(), pl.Int8(), pl.Int64(), pl.UInt32(), pl.Float32(), pl.Float64(), pl.Boolean(), pl.Date(),
    pl.Datetime("ms"), pl.Datetime("ns", "UTC"), pl.Datetime("us", "Asia/Kathmandu"), pl.Time(), pl.Duration("us"), pl.Decimal(38, 10),
    pl.Decimal(12, 0), pl.Null(),
)  # fmt: skip


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
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4)) if frame.width else 0):
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
    names = list(dict.fromkeys(name for row in rows for name in row))
    for row in [names, *([row.get(name) for name in names] for row in rows)]:
        book.active.append([_workbook_cell(rng, value) for value in row])
    out = io.BytesIO()
    book.save(out)
    # packed again: with the same times whenever it is made, and now and then damaged inside, where it is still a workbook
    damaged = rng.random() < 0.4
    changed = io.BytesIO()
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            data = old.read(part)
            if part.startswith("docProps/"):
                data = _TIMES.sub(b"2025-01-01T00:00:00Z", data)
            if damaged and part.startswith("xl/") and rng.random() < 0.3:
                data = rng.choice([put_bytes, flip_bits, piece_twice, piece_lost])(rng, data)
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
