"""Where records begin and end in delimited text: an RFC 4180 splitter on numpy arrays, independent of any CSV reader.

A record is good when every quoted field ends before a delimiter or a line end. Quotes inside an unquoted field are
ordinary characters. Where a quoted field never ends properly, only the physical line it opens on is given up and
splitting goes on at the next line, so one stray quote costs one line. Memory is bounded by the window.
Nothing here knows of headers, columns or encodings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.sources.readers.frame import Numbers, UnreadableError

WINDOW = 8 << 20
MAX_RECORD = 1 << 20  # a longer "record" is a stray quote or a wrong line end
_SMALL = 1 << 14  # window after a bad line; doubles while all is well

_LF, _CR = 10, 13
_LINE = re.compile(rb"[^\r\n]*+")

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Dialect:
    """Delimiter and quote, one ASCII character each; an empty quote means that nothing is quoted."""

    delimiter: str = ","
    quote: str = '"'

    @cached_property
    def field(self) -> str:
        """Regular expression of one well-formed field."""
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        bare = rf"[^{d}\r\n]*+"
        return rf"(?>{q}(?:[^{q}]|{q}{q})*+{q}(?=[{d}\r\n]|\Z)|(?!{q}){bare})" if self.quote else bare

    @cached_property
    def record(self) -> re.Pattern[bytes]:
        """A whole record up to its line end."""
        more = rf"(?>{re.escape(self.delimiter)}{self.field})*+"
        return re.compile(rf"{self.field}{more}(?=[\r\n]|\Z)".encode())

    def cells(self, record: bytes) -> list[bytes]:
        """The fields of one good record, quotes removed."""
        found, at = [], 0
        one = re.compile(self.field.encode())
        while match := one.match(record, at):
            found.append(self._unquoted(match.group()))
            at = match.end() + 1
            if at > len(record):
                break
        return found

    def _unquoted(self, cell: bytes) -> bytes:
        quote = self.quote.encode()
        return cell[1:-1].replace(quote * 2, quote) if quote and cell.startswith(quote) else cell

    def requoted(self, record: bytes) -> bytes:
        """One good record with every field quoted, which any reader understands."""
        quote = self.quote.encode()
        quoted = (quote + cell.replace(quote, quote * 2) + quote for cell in self.cells(record))
        return self.delimiter.encode().join(quoted)


@dataclass(frozen=True)
class Piece:
    """Neighbouring records. Offsets count from `base` in the file; `data` are the bytes from there.

    start, end (n,): content without the line end; after (n,): where the next record begins. fields (n,).
    bad (n,): the quoting is broken. literal (n,): quotes as ordinary characters. bare_cr: a line ends in CR alone.
    """

    base: int
    data: Bytes
    start: Numbers
    end: Numbers
    after: Numbers
    fields: Numbers
    bad: npt.NDArray[np.bool_]
    literal: npt.NDArray[np.bool_]
    bare_cr: bool = False

    def content(self, index: int) -> bytes:
        """The bytes of one record."""
        return self.data[self.start[index] : self.end[index]].tobytes()

    @property
    def stop(self) -> int:
        """Offset in the file where the next piece begins."""
        return self.base + int(self.after[-1])


def split_file(path: Path, dialect: Dialect, begin: int = 0, window: int = WINDOW) -> Iterator[Piece]:
    """Yield the pieces of a file from offset `begin`, which must be the start of a record.

    Raises UnreadableError for a physical line longer than MAX_RECORD.
    """
    with path.open("rb") as file:
        file.seek(begin)
        head = _Head(file, begin)
        span = window
        while head.fill(span):
            view = np.frombuffer(head.buffer, np.uint8, count=min(span, head.left), offset=head.at)
            last = head.finished and len(view) == head.left
            piece, trouble = _split_window(view, dialect, head.offset, last=last)
            if piece is None and not trouble and not last and len(view) <= MAX_RECORD:
                span = 4 * span  # not one whole record yet
                continue
            if piece is not None:
                yield piece
                head.at += piece.stop - piece.base
                span = min(2 * max(span, _SMALL), window)
            if piece is None or trouble:
                head.fill(MAX_RECORD + 3)
                rescued = _split_one(head.buffer, head.at, head.offset, dialect)
                yield rescued
                head.at += rescued.stop - rescued.base
                span = _SMALL


@dataclass
class _Head:
    """Bytes read ahead: `buffer[at:]` is still to be split, and begins at a record."""

    file: BinaryIO
    begin: int
    buffer: bytes = b""
    at: int = 0
    finished: bool = False

    @property
    def left(self) -> int:
        return len(self.buffer) - self.at

    @property
    def offset(self) -> int:
        """Where `at` lies in the file."""
        return self.begin + self.at

    def fill(self, wanted: int) -> bool:
        """Read until `wanted` bytes are left or the file ends; False when nothing is left."""
        if self.left < wanted and not self.finished:
            more = self.file.read(max(wanted - self.left, 4 * MAX_RECORD))
            self.begin, self.buffer, self.at = self.offset, self.buffer[self.at :] + more, 0
            self.finished = not more
            return self.fill(wanted)
        return self.left > 0


def _split_window(view: Bytes, dialect: Dialect, base: int, *, last: bool) -> tuple[Piece | None, bool]:
    """Whole, good records at the head of a window, and whether the record after them needs a closer look."""
    ends, quotes, trouble_at = _line_ends(view, dialect, last=last)
    delimiters = np.flatnonzero(view == ord(dialect.delimiter))
    if quotes is not None:
        delimiters = delimiters[quotes[delimiters] == 0]
    limit = trouble_at if trouble_at is not None else len(view)
    ends = ends[ends < limit]
    after = ends + 1
    start = np.concatenate([[0], after[:-1]]) if len(ends) else np.empty(0, np.int64)
    tail = int(after[-1]) if len(after) else 0
    if last and trouble_at is None and tail < len(view):  # the last record has no line end
        ends, after = np.append(ends, len(view)), np.append(after, len(view))
        start = np.append(start, tail)
    too_long = np.flatnonzero(after - start > MAX_RECORD)
    if len(too_long):
        ends, after, start = (a[: too_long[0]] for a in (ends, after, start))
    if not len(ends):
        return None, trouble_at is not None or bool(len(too_long))
    follows_cr = (ends < len(view)) & (view[np.minimum(ends, len(view) - 1)] == _LF) & (ends > start)
    end = ends - (follows_cr & (view[np.maximum(ends - 1, 0)] == _CR))
    before = np.searchsorted(delimiters, after)
    fields = np.diff(before, prepend=0) + 1
    bare = bool(((ends < len(view)) & (view[np.minimum(ends, len(view) - 1)] == _CR)).any())
    no = np.zeros(len(ends), np.bool_)
    piece = Piece(base, view, start, end, after, fields.astype(np.int64), no, no, bare)
    return piece, trouble_at is not None or bool(len(too_long))


def _line_ends(view: Bytes, dialect: Dialect, *, last: bool) -> tuple[Numbers, Bytes | None, int | None]:
    """Offsets of line ends outside quotes, the quote parity per byte, and where the quoting first breaks."""
    ends = view == _LF
    returns = np.flatnonzero(view == _CR)
    if len(returns):
        # a CR at the very end of a window may be half of CRLF: it waits, unless the file ends here
        following = view[np.minimum(returns + 1, len(view) - 1)]
        bare = returns[(following != _LF) & ((returns + 1 < len(view)) | last)]
        ends[bare] = True
    is_quote = view == ord(dialect.quote) if dialect.quote else None
    if is_quote is None or not is_quote.any():
        return np.flatnonzero(ends), None, None
    inside = np.cumsum(is_quote, dtype=np.uint8) & 1
    at = np.flatnonzero(is_quote)
    opening = at[inside[at] == 1]
    closing = at[inside[at] == 0]
    stops = np.zeros(256, np.bool_)
    stops[[ord(dialect.delimiter), _LF, _CR, ord(dialect.quote)]] = True
    wrong_open = opening[(opening > 0) & ~stops[view[np.maximum(opening - 1, 0)]]]
    wrong_close = closing[(closing + 1 < len(view)) & ~stops[view[np.minimum(closing + 1, len(view) - 1)]]]
    troubles = [int(w[0]) for w in (wrong_open, wrong_close) if len(w)]
    if not troubles and last and inside[-1]:
        troubles = [len(view)]  # the last quote never closes: its record is what remains
    found = np.flatnonzero(ends & (inside == 0)).astype(np.int64)
    return found, inside.astype(np.uint8), min(troubles) if troubles else None


def _split_one(buffer: bytes, at: int, offset: int, dialect: Dialect) -> Piece:
    """The record at `buffer[at]`: good with literal quotes, or its first physical line, given up."""
    stop = at + MAX_RECORD + 3
    match = dialect.record.match(buffer, at, stop)
    good = match is not None and match.end() - at < MAX_RECORD
    line = _LINE.match(buffer, at, stop)
    end = match.end() if match and good else line.end() if line else at
    if end - at >= MAX_RECORD:
        raise UnreadableError(
            f"the line at offset {offset:,} is longer than {MAX_RECORD >> 20} MiB",
            "Is this delimited text, and are its line ends intact?",
        )
    crlf = buffer[end : end + 2] == b"\r\n"
    after = min(end + (2 if crlf else 1), len(buffer))
    fields = len(dialect.cells(buffer[at:end])) if good else 0
    start, stop_, next_, width = (np.array([n], np.int64) for n in (0, end - at, after - at, fields))
    view = np.frombuffer(buffer, np.uint8, count=after - at, offset=at)
    bare = not crlf and buffer[end : end + 1] == b"\r"
    return Piece(offset, view, start, stop_, next_, width, np.array([not good]), np.array([good]), bare)
