"""Delimited text: polars where the file is well formed, and the same polars on a copy without the bad records elsewhere.

Every file is first walked once by the splitter, which counts records, checks the encoding, and finds what no reader
may guess at: ragged records, broken quotes, repeated headers, footers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.sources.readers.frame import NO_BAD, SOURCE_RECORD, Bad, Numbers, SourceFile, UnreadableError
from pipelines.sources.readers.opening import describe_bad_utf8
from pipelines.sources.readers.records import Dialect, Piece, split_file

DELIMITERS = {".tsv": "\t", ".tab": "\t", ".psv": "|"}
CANDIDATES = (",", ";", "\t", "|")

_BOM = b"\xef\xbb\xbf"
_BLANK = "blank_lines_skipped"
_LAST = 3  # records at the end that may be a footer
_TOTAL = re.compile(r"(?:grand |sub)?-?totals?|sum|sums", re.IGNORECASE)
_CLOSING = re.compile(
    r"[^\w]*(?:(?:grand |sub)?-?totals?|sums?|end of|\d+ (?:rows?|records?)|rows?\b|records?\b|count\b|generated\b"
    r"|exported\b|report\b|copyright\b|confidential\b|source\s*:)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Header:
    """Column names in file order; unnamed ones are empty.

    `bytes` as they stand, `after` = offset of the first record. `plain`: any CSV reader splits it the same way.
    """

    names: tuple[str, ...]
    bytes: bytes
    after: int
    plain: bool


def read_header(path: Path, dialect: Dialect) -> Header:
    """The first record that is not blank.

    Raises UnreadableError where there is none, where it is broken, or where a column name is there twice.
    """
    begin = len(_BOM) if _starts_with_bom(path) else 0
    for piece in split_file(path, dialect, begin, window=1 << 16):
        for index in range(len(piece.start)):
            content = piece.content(index)
            if not content.strip():
                continue
            if piece.bad[index]:
                raise UnreadableError(
                    "the header has a quote that never closes", "Repair the first line of the file"
                )
            ordinary = piece.base + int(piece.start[index]) == begin and not (
                piece.literal[index] or piece.bare_cr
            )
            names = _names_of(content, dialect, piece.base)
            return Header(names, content, piece.base + int(piece.after[index]), bool(ordinary))
    raise UnreadableError("the file has no header", "The first line must name the columns")


def _names_of(content: bytes, dialect: Dialect, base: int) -> tuple[str, ...]:
    if b"\0" in content:
        raise UnreadableError(
            "the header holds NUL bytes",
            "If the file is UTF-16 without a mark, declare 'encoding: utf-16-le'",
        )
    try:
        names = [unicodedata.normalize("NFC", cell.decode()).strip() for cell in dialect.cells(content)]
    except UnicodeDecodeError as error:
        raise describe_bad_utf8(error, base) from None
    twice = [name for name, count in Counter(n for n in names if n).items() if count > 1]
    if twice:
        raise UnreadableError(
            f"the header names {twice[0]!r} twice", "Rename one of the two columns in the file"
        )
    return tuple(names)


@dataclass
class _Walk:
    """What one pass over a file finds."""

    records: int = 0
    blank: int = 0
    plain: bool = True  # polars reads the file as it lies, record for record
    pieces: list[tuple[int, int]] = field(default_factory=list)  # (records before, offset)
    numbers: list[Numbers] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    widths: Counter[int] = field(default_factory=Counter)
    tail: list[tuple[int, bytes, int, bool]] = field(
        default_factory=list
    )  # number, content, fields, after a blank line
    ended: bool = True  # the last record has a line end


def read_delimited(
    path: Path,
    name: str,
    dialect: Dialect,
    new_file: Callable[[str], Path],
    expected: frozenset[str] = frozenset(),
) -> SourceFile:
    """Read one UTF-8 file; `name` is what reports call it, `new_file(suffix)` names a file in the workspace.

    `expected` are column names the header should have; they tell a wrong delimiter.

    Raises UnreadableError where the whole file can't be trusted: no or duplicate header, bytes that are no UTF-8,
    a cut-off last record, more ragged records than good ones.
    """
    header = read_header(path, dialect)
    _judge_delimiter(header, dialect, expected)
    walk = _walk(path, dialect, header)
    _judge_end(walk, header)
    _judge_widths(walk, header)
    bad = _bad_of(walk)
    notes = {_BLANK: walk.blank} if walk.blank else {}
    source = path
    if not walk.plain or len(bad):
        source = new_file(".csv")
        _write_clean(path, source, dialect, header, bad)
    rows = _scan(source, dialect, header, bad)
    columns = tuple(n for n in header.names if n)

    def raw(numbers: Numbers) -> list[str]:
        return _raw_text(path, dialect, header, walk.pieces, numbers)

    return SourceFile(name, columns, rows, walk.records, raw, bad, notes)


def _starts_with_bom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == _BOM


def _walk(path: Path, dialect: Dialect, header: Header) -> _Walk:
    walk, width = _Walk(plain=header.plain), len(header.names)
    was_blank = False
    for piece in split_file(path, dialect, header.after):
        _check_text(piece)
        blank = _blank(piece, width)
        numbers = walk.records + np.cumsum(~blank)
        walk.pieces.append((walk.records, piece.base))
        walk.records, walk.blank = int(numbers[-1]), walk.blank + int(blank.sum())
        walk.plain &= not (piece.bare_cr or bool(blank.any()) or bool(piece.literal.any()))
        ragged = (piece.fields != width) & ~piece.bad & ~blank
        if ragged.any():
            walk.widths.update(piece.fields[ragged].tolist())
        repeated = _repeats(piece, header)
        wrong = np.flatnonzero(ragged | piece.bad | repeated)
        walk.numbers.append(numbers[wrong])
        walk.reasons += [
            "unclosed_quote" if piece.bad[i] else "repeated_header" if repeated[i] else "ragged"
            for i in wrong
        ]
        kept = np.flatnonzero(~blank)[-_LAST:]
        seen = [
            (int(numbers[i]), piece.content(i), int(piece.fields[i]), bool(blank[i - 1] if i else was_blank))
            for i in kept
        ]
        walk.tail = (walk.tail + seen)[-_LAST:]
        was_blank = bool(blank[-1])
        walk.ended = was_blank or int(piece.end[-1]) < int(piece.after[-1])
    return walk


def _check_text(piece: Piece) -> None:
    data = piece.data[: int(piece.after[-1])].tobytes()
    if b"\0" in data:
        raise UnreadableError(
            f"there is a NUL byte at offset {piece.base + data.index(0):,}",
            "If the file is UTF-16 without a mark, declare 'encoding: utf-16-le'; otherwise export it again as text",
        )
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise describe_bad_utf8(error, piece.base) from None


def _blank(piece: Piece, width: int) -> npt.NDArray[np.bool_]:
    blank: npt.NDArray[np.bool_] = piece.start == piece.end
    if width > 1:  # a line of blanks only would be one field too few at least
        for i in np.flatnonzero((piece.fields == 1) & ~blank & ~piece.bad):
            blank[i] = not piece.content(int(i)).strip()
    return blank


def _repeats(piece: Piece, header: Header) -> npt.NDArray[np.bool_]:
    """Records that are the header again, found by searching its bytes, not record by record."""
    same = np.zeros(len(piece.start), np.bool_)
    data = piece.data.tobytes()
    at = data.find(header.bytes)
    while at >= 0:
        index = int(np.searchsorted(piece.start, at))
        if index < len(same) and piece.start[index] == at and piece.end[index] == at + len(header.bytes):
            same[index] = True
        at = data.find(header.bytes, at + 1)
    return same


def _judge_delimiter(header: Header, dialect: Dialect, expected: frozenset[str]) -> None:
    """Block where another delimiter finds more of the expected columns, or the only column is visibly several."""
    here = len(expected.intersection(header.names))
    for other in CANDIDATES:
        if other == dialect.delimiter or other.encode() not in header.bytes:
            continue
        names = [c.decode().strip() for c in Dialect(other, dialect.quote).cells(header.bytes)]
        if len(expected.intersection(names)) > here or (len(header.names) == 1 < len(names) and not here):
            shown = {"\t": "\\t"}.get(other, other)
            raise UnreadableError(
                f"the delimiter is not {dialect.delimiter!r}: the header is {header.bytes[:200].decode(errors='replace')!r}",
                f"Declare 'delimiter: \"{shown}\"'",
            )


def _judge_end(walk: _Walk, header: Header) -> None:
    """Name footers among the last records, and block a file whose last record is cut off."""
    width = len(header.names)
    numbers = np.concatenate(walk.numbers) if walk.numbers else np.empty(0, np.int64)
    reason_of = dict(zip(numbers.tolist(), walk.reasons, strict=True))
    for number, content, fields, after_blank in reversed(walk.tail):
        if not _is_footer(content.decode(), fields, width, after_blank=after_blank):
            break
        reason_of[number] = "footer"
    if not walk.ended and walk.tail:
        number, _, fields, _ = walk.tail[-1]
        said = reason_of.get(number)
        if said == "unclosed_quote" or (said == "ragged" and fields < width):
            has = "an open quote" if said == "unclosed_quote" else f"{fields} of {width} fields"
            raise UnreadableError(
                f"the file looks cut off: its last record has {has} and no line end",
                "It may still be being written, or the transfer broke: fetch it again",
            )
    walk.numbers = [np.array(sorted(reason_of), np.int64)]
    walk.reasons = [reason_of[n] for n in sorted(reason_of)]


def _is_footer(text: str, fields: int, width: int, *, after_blank: bool) -> bool:
    if fields != width:
        return fields < width and (after_blank or bool(_CLOSING.match(text)))
    # as wide as the table: only a bare word of summing up, with at least half of the other cells empty
    cells = [c.strip().strip('"').strip() for c in re.split(r"[,;\t|]", text)]
    filled = [c for c in cells if c]
    word = filled[0].rstrip(": ") if filled else ""
    return width > 2 and bool(_TOTAL.fullmatch(word)) and len(filled) <= (len(cells) + 1) // 2


def _judge_widths(walk: _Walk, header: Header) -> None:
    """More ragged records than good ones: it's the header or the delimiter that is wrong."""
    ragged = walk.reasons.count("ragged")
    if ragged > 1 and 2 * ragged > walk.records:
        usual, _ = max(walk.widths.items(), key=lambda item: (item[1], -item[0]))
        raise UnreadableError(
            f"{ragged:,} of {walk.records:,} records don't have the {len(header.names)} fields of the header, most have {usual}",
            "Check the delimiter, the quote and the header",
        )


def _bad_of(walk: _Walk) -> Bad:
    return Bad(np.concatenate(walk.numbers), tuple(walk.reasons)) if walk.reasons else NO_BAD


def _write_clean(path: Path, copy: Path, dialect: Dialect, header: Header, bad: Bad) -> None:
    """The file without bad records and blank lines, every line end LF or CRLF, literal quotes quoted."""
    records = 0
    with copy.open("wb") as out:
        names = (f"c{i}" for i in range(len(header.names)))  # the real ones are given to the reader
        out.write(dialect.delimiter.join(names).encode() + b"\n")
        for piece in split_file(path, dialect, header.after):
            blank = _blank(piece, len(header.names))
            numbers = records + np.cumsum(~blank)
            records = int(numbers[-1])
            kept = ~blank & ~np.isin(numbers, bad.numbers)
            if piece.literal[0]:  # always a piece of its own
                if kept[0]:
                    out.write(dialect.requoted(piece.content(0)) + b"\n")
                continue
            data = piece.data.copy()
            data[piece.end[piece.after - piece.end == 1]] = ord("\n")  # a bare CR becomes LF, LF stays
            edges = np.flatnonzero(np.diff(kept, prepend=False, append=False))
            for first, beyond in zip(edges[::2], edges[1::2], strict=True):
                out.write(data[piece.start[first] : piece.after[beyond - 1]].tobytes())


def _scan(path: Path, dialect: Dialect, header: Header, bad: Bad) -> pl.LazyFrame:
    """Text columns lazily; record numbers are those of the original file."""
    names = [name or f"aftersale:unnamed {i}" for i, name in enumerate(header.names)]
    rows = pl.scan_csv(
        path,
        separator=dialect.delimiter,
        quote_char=dialect.quote or None,
        infer_schema=False,
        new_columns=names,
        row_index_name=SOURCE_RECORD,
        row_index_offset=1,
        glob=False,
    )
    number = pl.col(SOURCE_RECORD).cast(pl.Int64)
    if len(bad):
        # the k-th good record is k plus the bad ones before it
        shifts = bad.numbers - np.arange(len(bad))
        number = number.map_batches(
            lambda s: pl.Series(s.name, s.to_numpy() + np.searchsorted(shifts, s.to_numpy(), side="right")),
            return_dtype=pl.Int64,
            is_elementwise=True,
        )
    return rows.select(*(pl.col(n) for n in header.names if n), number.alias(SOURCE_RECORD))


def _raw_text(
    path: Path, dialect: Dialect, header: Header, pieces: list[tuple[int, int]], numbers: Numbers
) -> list[str]:
    """Text of records (ascending numbers), reading again only the pieces that hold them."""
    firsts = np.array([first for first, _ in pieces], np.int64)
    holder = np.searchsorted(firsts, numbers, side="left") - 1
    found: list[str] = []
    for index in np.unique(holder):
        wanted = numbers[holder == index]
        records = pieces[index][0]
        for piece in split_file(path, dialect, pieces[index][1]):
            blank = _blank(piece, len(header.names))
            here = records + np.cumsum(~blank)
            at = np.searchsorted(here, wanted[(wanted > records) & (wanted <= here[-1])], side="left")
            found += [piece.content(i).decode() for i in at]
            records = int(here[-1])
            if records >= wanted[-1]:
                break
    return found
