"""What every reader hands over: the records of one file, before any mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.landing import REJECTS

# names no source uses, so that a user's own `_file` or `_record` column stays theirs
SOURCE_FILE = "aftersale:file"
SOURCE_RECORD = "aftersale:record"

Numbers = npt.NDArray[np.int64]


class UnreadableError(Exception):
    """A file can't be interpreted at all. `hint` says what to do; landing adds the table, and the file if left out."""

    def __init__(self, reason: str, hint: str, file: str = "") -> None:
        super().__init__(f"{reason}. {hint}")
        self.reason, self.hint, self.file = reason, hint, file


@dataclass(frozen=True)
class Bad:
    """Records that can't be read: 1-based numbers and reasons, in file order."""

    numbers: Numbers
    reasons: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.reasons)


NO_BAD = Bad(np.empty(0, np.int64), ())


def _sound(columns: Sequence[str]) -> None:
    """What was made or parsed here decodes."""
    del columns


@dataclass(frozen=True)
class SourceFile:
    """One file, read as it stands.

    `rows`: its own columns plus SOURCE_RECORD (Int64, 1-based, header not counted), without the bad records.
    `records` is counted by the splitter, not by the reader behind `rows`: records = rows + bad.
    `raw` gives the text of records by ascending number. `typed`: decoding may still fail (Parquet). `prove` raises
    UnreadableError where some columns can't be decoded; nobody decodes them before.
    """

    path: str
    columns: tuple[str, ...]
    rows: pl.LazyFrame
    records: int
    raw: Callable[[Numbers], list[str]]
    bad: Bad = NO_BAD
    notes: Mapping[str, int] = field(default_factory=dict)
    typed: bool = False
    prove: Callable[[Sequence[str]], None] = _sound

    def rejects(self) -> pl.DataFrame:
        """The bad records (schema REJECTS), raw text kept."""
        if not len(self.bad):
            return pl.DataFrame(schema=REJECTS)
        return pl.DataFrame(
            {
                "file": [self.path] * len(self.bad),
                "record": self.bad.numbers,
                "column": [""] * len(self.bad),
                "reason": self.bad.reasons,
                "value": [None] * len(self.bad),
                "raw": self.raw(self.bad.numbers),
            },
            schema=REJECTS,
        )
