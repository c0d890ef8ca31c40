"""Excel workbooks (.xlsx, .xlsm): one sheet, its cells as the text a careful person would type off the screen.

Row by row in Python: a sheet has at most a million of them; larger tables are better off as Parquet or CSV.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipelines.extras import MissingExtraError, import_extra
from pipelines.sources.hints import nearest
from pipelines.sources.readers.compression import CHUNK, check_ratio
from pipelines.sources.readers.frame import SOURCE_RECORD, Bad, Numbers, SourceFile, UnreadableError
from pipelines.sources.readers.typed import rows_as_json

MAX_BYTES = 1 << 30  # of all parts, decompressed: a full sheet of a few columns is a tenth of it
_BATCH = 20_000
_NOISE_DIGITS = 12  # a number that is so short in the 15 digits that Excel keeps was meant to be so short
_PADDED = re.compile(r"0{2,}\Z")  # a number format that shows leading zeros
_DAMAGED = "Open it in Excel and save it again, or save the sheet as CSV (UTF-8)"


@dataclass
class _Sheet:
    """What one pass over a sheet gathers."""

    columns: tuple[str, ...]
    parts: list[Path] = field(default_factory=list)
    records: int = 0
    blank: int = 0
    padded: int = 0
    shortened: int = 0
    bad: dict[int, tuple[str, str]] = field(default_factory=dict)  # record -> reason, text


def read_workbook(
    path: Path,
    name: str,
    new_file: Callable[[str], Path],
    *,
    sheet: str | None = None,
    header_row: int | None = None,
    limit: int | None = None,
) -> SourceFile:
    """Read one sheet, or its first `limit` records.

    Without `sheet` the only visible one; without `header_row` the first row that holds anything names the columns.
    Text stays as it is. Numbers are exact, without the digits that binary arithmetic leaves beyond Excel's own fifteen;
    a format of zeros (`00000`) pads them as on the screen. Dates are ISO. A row with an error cell, a formula that was
    never calculated, or a cell beyond the header is a reject. Raises UnreadableError for anything else than a sound
    workbook with a header.
    """
    formulas = _check_parts(path)
    with _open(path, calculated=True) as book, _open(path, calculated=False) as written:
        chosen = _choose(book, sheet)
        beside = _rows(written[chosen.title]) if formulas else repeat(())
        return _finish(_gather(_rows(chosen), beside, new_file, header_row, limit), name)


def sheet_header(path: Path) -> tuple[str, ...]:
    """The columns of a workbook's only sheet; raises UnreadableError."""
    _check_parts(path)
    with _open(path, calculated=True) as book:
        rows = _rows(_choose(book, None))
        return _header(next((r for r in rows if any(c.value is not None for c in r)), ()))


def _check_parts(path: Path) -> bool:
    """Whether any sheet holds formulas; blocks archives that are no workbook or expand beyond reason."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if "xl/workbook.xml" not in {part.filename for part in parts}:
                raise UnreadableError("the ZIP archive holds no Excel workbook", "Is this the right file?")
            made = sum(part.file_size for part in parts)
            check_ratio(made, path.stat().st_size)
            if made > MAX_BYTES:
                raise UnreadableError("it decompresses to over 1 GiB", "Save the sheet as CSV (UTF-8)")
            return any(
                _holds_formula(archive, part.filename)
                for part in parts
                if part.filename.startswith("xl/worksheets/") and part.filename.endswith(".xml")
            )
    # NotImplementedError is zipfile's word for a compression it does not know, RuntimeError for an encrypted part
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise UnreadableError(f"not readable as an Excel workbook ({error})", _DAMAGED) from None


def _holds_formula(archive: zipfile.ZipFile, part: str) -> bool:
    tail = b""
    with archive.open(part) as file:
        while chunk := file.read(CHUNK):
            if b"<f>" in (seen := tail + chunk) or b"<f " in seen or b"<f/" in seen:
                return True
            tail = chunk[-2:]
    return False


@contextmanager
def _open(path: Path, *, calculated: bool) -> Iterator[Any]:
    try:
        library = import_extra("openpyxl")
    except MissingExtraError as error:
        raise UnreadableError(str(error), "Or save the sheet as CSV (UTF-8)") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about looks: styles, validation lists
            book = library.load_workbook(path, read_only=True, data_only=calculated, keep_links=False)
            try:
                yield book
            finally:
                book.close()
    except (UnreadableError, OSError):
        raise
    except Exception as error:  # noqa: BLE001
        # the library checks little, so that a damaged part ends in whatever error its absence makes
        said = (str(error).splitlines() or [""])[0][:160]
        raise UnreadableError(f"not readable as an Excel workbook ({said})", _DAMAGED) from None


def _choose(book: Any, wanted: str | None) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if wanted is not None:
        if wanted not in sheets:
            raise UnreadableError(f"there is no sheet {wanted!r}", _as_sentence(nearest(wanted, sheets)))
        return sheets[wanted]
    visible = [title for title, sheet in sheets.items() if sheet.sheet_state == "visible"]
    if len(visible) != 1:
        shown = ", ".join(repr(title) for title in visible)
        raise UnreadableError(
            f"the workbook has the sheets {shown}" if visible else "the workbook has no visible sheet",
            f"Say which: 'sheet: {visible[0]}'" if visible else "Name one with 'sheet'",
        )
    return sheets[visible[0]]


def _as_sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    sheet.reset_dimensions()  # what the file claims of its size is often wrong
    return iter(sheet.iter_rows())


def _gather(
    rows: Iterator[tuple[Any, ...]],
    written: Iterator[Any],
    new_file: Callable[[str], Path],
    header_row: int | None,
    limit: int | None,
) -> _Sheet:
    both = zip(rows, written, strict=False)
    first: tuple[Any, ...] = ()
    for at, (row, _) in enumerate(both, start=1):
        if at == header_row or (header_row is None and any(cell.value is not None for cell in row)):
            first = row
            break
    sheet = _Sheet(_header(first))
    while batch := list(islice(both, _BATCH)):
        _add(sheet, batch, new_file(".parquet"))
        if limit is not None and sheet.records >= limit:
            break
    return sheet


def _header(row: Sequence[Any]) -> tuple[str, ...]:
    """The columns' names, empty where there is none; trailing empty cells are no columns."""
    names = ["" if cell.value is None else str(cell.value).strip() for cell in row]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise UnreadableError(
            "the sheet has no header", "Name its row with 'header_row', or its sheet with 'sheet'"
        )
    twice = [n for i, n in enumerate(names) if n and n in names[:i]]
    if twice:
        raise UnreadableError(
            f"the header names {twice[0]!r} twice", "Rename one of the two columns in the file"
        )
    return tuple(names)


def _add(sheet: _Sheet, batch: Sequence[tuple[Any, Any]], part: Path) -> None:
    cells: dict[str, list[str | None]] = {name: [] for name in sheet.columns if name}
    numbers: list[int] = []
    for row, written in batch:
        texts = [_text(cell, sheet) for cell in row]
        while texts and texts[-1] is None:
            texts.pop()
        if not texts and not any(cell.data_type == "f" for cell in written):
            sheet.blank += 1
            continue
        sheet.records += 1
        if reason := _fault(row, written, len(texts), len(sheet.columns)):
            sheet.bad[sheet.records] = reason, json.dumps(texts, ensure_ascii=False)
            continue
        numbers.append(sheet.records)
        for name, text in zip(
            sheet.columns, [*texts, *repeat(None, len(sheet.columns) - len(texts))], strict=True
        ):
            if name:
                cells[name].append(text)
    frame = pl.DataFrame({**cells, SOURCE_RECORD: numbers}, schema=_schema(sheet))
    frame.write_parquet(part, compression="zstd", compression_level=1)
    sheet.parts.append(part)


def _fault(row: Sequence[Any], written: Sequence[Any], width: int, known: int) -> str:
    if any(cell.data_type == "e" for cell in row):
        return "spreadsheet_error"
    for index, cell in enumerate(written):
        if cell.data_type == "f" and (index >= len(row) or row[index].value is None):
            return "formula_not_calculated"
    return "ragged" if width > known else ""


def _text(cell: Any, sheet: _Sheet) -> str | None:
    value = cell.value
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            midnight = value.time().replace(tzinfo=None).isoformat() == "00:00:00"
            return value.date().isoformat() if midnight else value.isoformat()
        case date():
            return value.isoformat()
        case int() | float():
            return _number(value, str(cell.number_format), sheet)
    return str(value)


def _number(value: float, shown: str, sheet: _Sheet) -> str:
    exact = Decimal(repr(value))
    kept = Decimal(f"{value:.15g}").normalize()
    if exact != kept and len(kept.as_tuple().digits) <= _NOISE_DIGITS:
        sheet.shortened += 1
        exact = kept
    text = f"{exact.normalize():f}"
    if _PADDED.match(shown) and text.isdigit() and len(text) < len(shown):
        sheet.padded += 1
        text = text.zfill(len(shown))
    return text


def _schema(sheet: _Sheet) -> pl.Schema:
    return pl.Schema([*((n, pl.String()) for n in sheet.columns if n), (SOURCE_RECORD, pl.Int64())])


def _finish(sheet: _Sheet, name: str) -> SourceFile:
    rows = pl.scan_parquet(sheet.parts, glob=False) if sheet.parts else pl.LazyFrame(schema=_schema(sheet))

    def raw(numbers: Numbers) -> list[str]:
        good = np.array([n for n in numbers.tolist() if n not in sheet.bad], np.int64)
        texts = iter(rows_as_json(rows, good) if len(good) else ())
        return [sheet.bad[n][1] if n in sheet.bad else next(texts) for n in numbers.tolist()]

    bad = Bad(np.array(list(sheet.bad), np.int64), tuple(reason for reason, _ in sheet.bad.values()))
    counted = {
        "blank_rows_skipped": sheet.blank,
        "numbers_padded_as_shown": sheet.padded,
        "binary_digits_dropped": sheet.shortened,
    }
    notes = {note: count for note, count in counted.items() if count}
    columns = tuple(n for n in sheet.columns if n)
    return SourceFile(name, columns, rows, sheet.records, raw, bad, notes)
