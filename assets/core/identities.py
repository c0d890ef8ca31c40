"""No row and no cent disappears: what came in equals what went out plus what was kept aside, each with a name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import polars as pl

from assets.landing import Reading
from expectations.model import Kind, Table
from expectations.reasons import advise

_SHOWN_REASONS = 5
_MOST_DIGITS = pl.Decimal(38, 2)


class IdentityBrokenError(Exception):
    """Rows or money got lost between the door and the core: a defect of the program, never of the data."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of one table, by what became of them. `rows_in` were counted in the files, independently of the reader."""

    rows_in: int
    rows_out: int
    rejected: int
    deduplicated: int
    not_yet: int
    filtered: int

    @property
    def accounted(self) -> int:
        """Rows whose fate is known."""
        return self.rows_out + self.rejected + self.deduplicated + self.not_yet + self.filtered


@dataclass(frozen=True, slots=True)
class MoneyIdentity:
    """Sums of one money column in one currency (empty: the table has none), over rows in which it could be read."""

    column: str
    currency: str
    rows_in: Decimal
    out: Decimal
    rejected: Decimal
    deduplicated: Decimal
    not_yet: Decimal

    @property
    def holds(self) -> bool:
        """Whether every cent is accounted for."""
        return self.rows_in == self.out + self.rejected + self.deduplicated + self.not_yet


@dataclass(frozen=True, slots=True)
class BlockedTable:
    """A table that must not go on: too many rejects, or nothing left of a table that must not be empty.

    `reasons` are the most frequent ones with their counts. `sentence` says it to people.
    """

    table: str
    count: int
    share: float
    limit: float
    reasons: tuple[tuple[str, int], ...]
    sentence: str


class Judged(Protocol):
    """What `blocked_by` looks at; `assets.core.refine.Refined` is one."""

    @property
    def table(self) -> str:
        """Bare name."""

    @property
    def required(self) -> bool:
        """Whether a firm must bring it."""

    @property
    def counts(self) -> Counts:
        """Rows by fate."""

    @property
    def rejects(self) -> pl.DataFrame:
        """Rejected records."""


def check_identity(table: str, counts: Counts) -> None:
    """Raise IdentityBrokenError unless every row that came in is accounted for."""
    if counts.rows_in != counts.accounted:
        raise IdentityBrokenError(
            f"{table}: {counts.rows_in} records came in, {counts.accounted} are accounted for: {counts}"
        )


def money_identities(contract: Table, **frames: pl.LazyFrame) -> tuple[MoneyIdentity, ...]:
    """Sums of every money column per currency, exact, of the frames named like the sums of a MoneyIdentity.

    Raises IdentityBrokenError when a cent is missing.
    """
    columns = [c.name for c in contract.stored if c.kind is Kind.MONEY]
    if not columns:
        return ()
    currency = pl.col("currency") if "currency" in contract.by_name else pl.lit(None, dtype=pl.String())
    sums: dict[str, dict[tuple[str, str], Decimal]] = {}
    for fate, frame in frames.items():
        table = (
            frame.group_by(currency.fill_null("").alias("_currency"))
            .agg(pl.col(columns).cast(_MOST_DIGITS).sum())
            .collect()
        )
        sums[fate] = {(c, row["_currency"]): row[c] for row in table.iter_rows(named=True) for c in columns}
    cells = sorted(set().union(*sums.values()))
    found = tuple(
        MoneyIdentity(
            column=column,
            currency=word,
            **{fate: sums[fate].get((column, word), Decimal("0.00")) for fate in frames},
        )
        for column, word in cells
    )
    for identity in found:
        if not identity.holds:
            raise IdentityBrokenError(f"{contract.name}: money is not accounted for: {identity}")
    return found


def blocked_by(refined: Judged, reading: Reading) -> BlockedTable | None:
    """Why the table must not go on; None when it may.

    It is blocked when more than `max_reject_share` of its records (those left out by `where` not counted) are rejected,
    and when a required table has no row left.
    """
    counts = refined.counts
    records = counts.rows_in - counts.filtered
    share = counts.rejected / records if records else 0.0
    too_many = share > reading.max_reject_share
    if not too_many and not (refined.required and counts.rows_out == 0):
        return None
    reasons = tuple(
        sorted(Counter(refined.rejects["reason"].to_list()).items(), key=lambda item: (-item[1], item[0]))
    )[:_SHOWN_REASONS]
    if too_many:
        most = ", ".join(f"{count} {advise(reason)}" for reason, count in reasons)
        sentence = f"{counts.rejected} of {records} records rejected, over the limit of {reading.max_reject_share:.2%}: {most}"
    else:
        sentence = f"no row is left of {counts.rows_in} records, and the table must not be empty"
    return BlockedTable(refined.table, counts.rejected, share, reading.max_reject_share, reasons, sentence)
