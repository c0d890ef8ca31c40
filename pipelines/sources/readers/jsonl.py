"""JSON lines: one object per line, its values kept as the text that was written.

Python's own parser, line by line: it is the only one at hand that keeps `1234.50` and long numbers as text and sees
a key that is there twice. Tables of tens of millions of rows are better off as Parquet or CSV.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipelines.sources.readers.frame import SOURCE_RECORD, Bad, Numbers, SourceFile, UnreadableError
from pipelines.sources.readers.opening import describe_bad_utf8
from pipelines.sources.readers.records import MAX_RECORD

_BATCH = 50_000  # lines held as Python objects at a time


class _DuplicateKeyError(ValueError):
    """An object names a key twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _DuplicateKeyError
    return made


def _no_constant(word: str) -> Any:
    raise ValueError(word)  # NaN and Infinity are no JSON


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=str, parse_int=str, parse_constant=_no_constant
)


def read_jsonl(path: Path, name: str, new_file: Callable[[str], Path]) -> SourceFile:
    """Read one UTF-8 file of JSON lines.

    Raises UnreadableError for bytes that are no UTF-8, a cut-off last line, a line over MAX_RECORD, a single JSON
    array or object instead of lines.
    """
    columns: dict[str, None] = {}  # in order of appearance
    parts: list[Path] = []
    numbers: list[int] = []
    reasons: list[str] = []
    records = blank = 0
    last = ""
    lines = _lines(path)
    while batch := list(islice(lines, _BATCH)):
        good: list[int] = []
        values: list[dict[str, Any]] = []
        for line in batch:
            if not line.strip():
                blank += 1
                continue
            records, last = records + 1, line
            value = _parse(line)
            if isinstance(value, str):
                numbers.append(records)
                reasons.append(value)
            else:
                good.append(records)
                values.append(value)
        parts.append(_write_part(new_file(".parquet"), values, good))
        columns.update(dict.fromkeys(key for value in values for key in value))
    _judge(path, records, numbers, last)
    bad = Bad(np.array(numbers, np.int64), tuple(reasons))
    schema = pl.Schema([*((c, pl.String()) for c in columns), (SOURCE_RECORD, pl.Int64())])
    rows = pl.scan_parquet(parts, schema=schema, glob=False, missing_columns="insert")
    notes = {"blank_lines_skipped": blank} if blank else {}
    return SourceFile(name, tuple(columns), rows, records, lambda wanted: _raw_text(path, wanted), bad, notes)


def _lines(path: Path) -> Iterator[str]:
    offset = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_RECORD + 1):
            if len(line) > MAX_RECORD:
                raise UnreadableError(
                    f"the line at offset {offset:,} is longer than 1 MiB", "One JSON object per line is read"
                )
            try:
                text = line.decode("utf-8-sig" if offset == 0 else "utf-8")
            except UnicodeDecodeError as error:
                raise describe_bad_utf8(error, offset) from None
            offset += len(line)
            yield text


def _write_part(part: Path, values: list[dict[str, Any]], numbers: list[int]) -> Path:
    keys = list(dict.fromkeys(key for value in values for key in value))
    cells = {key: pl.Series(key, [_text(value.get(key)) for value in values], pl.String()) for key in keys}
    frame = pl.DataFrame({**cells, SOURCE_RECORD: pl.Series(SOURCE_RECORD, numbers, pl.Int64())})
    frame.write_parquet(part, compression="zstd", compression_level=1)
    return part


def _parse(line: str) -> dict[str, Any] | str:
    """The object of a line, or the reason why there is none."""
    try:
        value = _DECODER.decode(line)
    except _DuplicateKeyError:
        return "duplicate_json_key"
    except (ValueError, RecursionError):
        return "bad_json"
    return value if isinstance(value, dict) else "not_an_object"


def _text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case True:
            return "true"
        case False:
            return "false"
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)  # how the contracts write lists of ids
    return json.dumps(value, ensure_ascii=False)


def _judge(path: Path, records: int, numbers: list[int], last: str) -> None:
    if not records:
        raise UnreadableError("the file holds only blank lines", "Export it again")
    if numbers and numbers[-1] == records and not last.endswith("\n") and last.lstrip().startswith("{"):
        raise UnreadableError("the file looks cut off: its last line is half an object", "Fetch it again")
    if len(numbers) == records:
        with path.open("rb") as file:
            first = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        raise UnreadableError(
            "no line is a JSON object",
            "Write one object per line, not one array or one indented object"
            if first in b"[{"
            else "Is this JSON lines?",
        )


def _raw_text(path: Path, numbers: Numbers) -> list[str]:
    wanted, found, record = set(numbers.tolist()), [], 0
    for line in _lines(path):
        record += bool(line.strip())
        if record in wanted and line.strip():
            found.append(line.rstrip("\r\n"))
            wanted.discard(record)
            if not wanted:
                break
    return found
