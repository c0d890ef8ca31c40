"""Which reader a file goes to: by its name, checked against its first bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.sources.readers.compression import strip_suffix
from pipelines.sources.readers.delimited import DELIMITERS, read_delimited
from pipelines.sources.readers.frame import SourceFile, UnreadableError
from pipelines.sources.readers.jsonl import read_jsonl
from pipelines.sources.readers.opening import open_plain
from pipelines.sources.readers.records import Dialect
from pipelines.sources.readers.typed import read_parquet
from pipelines.sources.readers.workbook import read_workbook
from pipelines.sources.settings import Layout

HEAD = 1 << 18  # bytes of a text file that a first look reads
HEAD_RECORDS = 10_000  # the same for Parquet

_TEXT = frozenset({".csv", ".txt", *DELIMITERS})
_LINES = frozenset({".jsonl", ".ndjson", ".json"})
_PARQUET = frozenset({".parquet", ".pq"})
_WORKBOOKS = frozenset({".xlsx", ".xlsm"})
_OTHER_SHEETS = frozenset({".xls", ".xlsb", ".ods"})
_FIRST_BYTES = {
    b"PK\x03\x04": ("a ZIP archive or Excel workbook", _WORKBOOKS),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook, or one with a password", frozenset[str]()),
    b"PAR1": ("Parquet", _PARQUET),
}


@dataclass(frozen=True)
class Wanted:
    """How to read one file: the name reports give it, its layout, the columns its header should have.

    `head`: only about that many bytes, for a first look.
    """

    shown: str
    layout: Layout
    expected: frozenset[str] = frozenset()
    head: int | None = None


def read_file(path: Path, wanted: Wanted, new_file: Callable[[str], Path]) -> tuple[SourceFile, str]:
    """One file with the reader of its kind, and the SHA-256 of the bytes that were read (empty: not hashed here).

    `new_file(suffix)` names a file in the workspace. Raises UnreadableError or OSError.
    """
    suffix = _suffix(path)
    _check_first_bytes(path, suffix)
    if suffix in _PARQUET:
        return read_parquet(path, wanted.shown, HEAD_RECORDS if wanted.head else None), ""
    if suffix in _WORKBOOKS:
        return _read_workbook(path, wanted, new_file), ""
    plain = open_plain(path, wanted.layout.encoding, new_file, wanted.head)
    if suffix in _LINES:
        file = read_jsonl(plain.path, wanted.shown, new_file)
    else:
        delimiter = wanted.layout.delimiter or DELIMITERS.get(suffix, ",")
        dialect = Dialect(delimiter, wanted.layout.quote)
        file = read_delimited(plain.path, wanted.shown, dialect, new_file, wanted.expected)
    return replace(file, notes={**plain.notes, **file.notes}), plain.sha256


def is_parquet(path: Path) -> bool:
    """Whether a name says Parquet."""
    return path.suffix.lower() in _PARQUET


def is_whole(path: Path) -> bool:
    """Whether even a first look needs the whole file."""
    return path.suffix.lower() in _WORKBOOKS


def _read_workbook(path: Path, wanted: Wanted, new_file: Callable[[str], Path]) -> SourceFile:
    layout, limit = wanted.layout, HEAD_RECORDS if wanted.head else None
    return read_workbook(
        path, wanted.shown, new_file, sheet=layout.sheet, header_row=layout.header_row, limit=limit
    )


def _suffix(path: Path) -> str:
    suffix = Path(strip_suffix(path.name.lower())).suffix
    if suffix in _TEXT | _LINES | _PARQUET | _WORKBOOKS:
        return suffix
    if suffix in _OTHER_SHEETS:
        raise UnreadableError(f"{suffix} spreadsheets are not read", "Save it as .xlsx or CSV (UTF-8)")
    raise UnreadableError(
        f"files called {suffix or path.name!r} are not read",
        "Read are .csv .tsv .txt .jsonl .parquet .xlsx, text also as .gz and .zst",
    )


def _check_first_bytes(path: Path, suffix: str) -> None:
    with path.open("rb") as file:
        first = file.read(4)
    if not first:
        hint = "Export it again; a file without rows still has a header"
        raise UnreadableError("the file has 0 bytes", hint)
    kind, suffixes = _FIRST_BYTES.get(first, ("", frozenset()))
    if kind and suffix not in suffixes:
        hint = "Export it as CSV (UTF-8), or correct its name"
        raise UnreadableError(f"the file is {kind}, whatever its name says", hint)
