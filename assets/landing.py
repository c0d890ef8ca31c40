"""The door: what a landed source table looks like before the core parses it. No reading happens here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import polars as pl

FILE = "_file"  # path of the landed file, relative to the configuration
RECORD = "_record"  # 1-based number of the data record in its file (the header is not counted)

REJECTS = pl.Schema(
    {
        "file": pl.String(),
        "record": pl.Int64(),
        "column": pl.String(),  # empty when the whole record is at fault
        "reason": pl.String(),
        "value": pl.String(),
        "raw": pl.String(),  # the record as it stands in the file
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How text of one source is to be understood. Defaults are strict: ISO dates, a decimal point, no grouping."""

    decimal: str = "."
    thousands: str = ""
    currency_symbols: str = ""  # characters that may stand before or after an amount
    parentheses_negative: bool = False
    date_format: str = ""  # strptime; empty = ISO 8601
    timestamp_format: str = ""
    null_tokens: tuple[str, ...] = ("",)
    timezone: str = ""  # zone of wall times without an offset; empty = they are rejected
    max_reject_share: float = 0.01
    max_contradiction_share: float = 0.25


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One file as it came. `records` were counted independently of the reader."""

    path: str
    sha256: str
    bytes: int
    records: int


@dataclass(frozen=True)
class Landed:
    """A source table at the door.

    `rows`: one text column per mapped contract column (native dtypes where the file is typed), plus FILE and RECORD.
    `rejects` (schema REJECTS): records that could not be read at all, or whose SQL expression gave null.
    `notes`: coercions counted by name, e.g. {"transcoded_utf16": 1}.
    `filtered`: records that the configured `where` left out. `raw` gives the raw text of some records: frame of
    (FILE, RECORD) in, same frame with a column `raw` out.
    Identity: sum of files' records = rows + rejects + filtered.
    """

    table: str
    rows: pl.LazyFrame
    rejects: pl.DataFrame
    files: tuple[LandedFile, ...]
    columns: frozenset[str]
    reading: Reading
    raw: Callable[[pl.DataFrame], pl.DataFrame]
    filtered: int = 0
    notes: tuple[tuple[str, int], ...] = ()


class LandingBlockedError(Exception):
    """A source can't be interpreted at all; says which file, why, and what to do. Blocks its table (exit 3)."""

    def __init__(self, table: str, file: str, reason: str, hint: str) -> None:
        said = f"{table}: {file}: {reason}. {hint}"
        # names of columns and files are other people's words: they break no line and steer no terminal
        super().__init__("".join(ch if ch.isprintable() else repr(ch)[1:-1] for ch in said))
        self.table, self.file, self.reason, self.hint = table, file, reason, hint


class SourceUnreachableError(Exception):
    """A source can't be reached (exit 5); the message says what was tried and what to do."""


class Landing(Protocol):
    """Where core tables get their rows: implemented by `pipelines.sources`."""

    def version(self, table: str) -> str | None:
        """Content hash of the table's source and of its mapping; None where the table is not mapped."""

    def read(self, table: str) -> Landed:
        """The landed table. Raises LandingBlockedError or SourceUnreachableError."""
