"""Rows that stood in the last reading of a source and are gone from it: a tombstone each, so that nothing goes unseen.

What a source still holds counts as seen whatever became of it: rejected, deduplicated or waiting rows have not vanished.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from assets.core.settle import key_text
from expectations.model import Table

TOMBSTONES = pl.Schema(
    {
        "key": pl.String(),
        "rows": pl.Int64(),  # of that key, versions counted
        "last_read_at": pl.String(),  # ISO 8601 UTC
        "version": pl.String(),  # of the table that still holds the row, as long as it is kept
    }
)

_HASH = "_hash"


@dataclass(frozen=True)
class Reading:
    """The last good reading of the same source: its rows, when it was made, its version, and the tombstones it had."""

    frame: pl.LazyFrame
    rows: int
    at: str
    version: str
    tombstones: pl.DataFrame


@dataclass(frozen=True)
class Vanished:
    """`new` are tombstones of rows gone since the last reading, `all` those and the earlier ones whose rows stay away.

    `rows` counts the rows behind `new`, `before` the rows of the last reading.
    """

    new: pl.DataFrame
    all: pl.DataFrame
    rows: int
    before: int

    @property
    def share(self) -> float:
        """Share of the last reading's rows that are gone."""
        return self.rows / self.before if self.before else 0.0


def find_vanished(contract: Table, last: Reading, seen: pl.LazyFrame) -> Vanished:
    """Compare the keys of the last reading with the keys that the source holds now (`seen`: the key's columns, any order).

    Keys are compared by a hash of 64 bits: among ten million keys one that vanished is overlooked with a probability of
    three in a million.
    """
    key = list(contract.key)
    digest = pl.struct(key).hash().alias(_HASH)
    before = last.frame.select(digest).unique()
    gone = before.join(seen.select(digest).unique(), on=_HASH, how="anti").collect(engine="streaming")
    new = pl.DataFrame(schema=TOMBSTONES)
    if gone.height:
        rows = last.frame.select(*key, digest).join(gone.lazy(), on=_HASH, how="semi").collect()
        new = (
            rows.group_by(key_text(key).alias("key"))
            .agg(pl.len().cast(pl.Int64).alias("rows"))
            .with_columns(last_read_at=pl.lit(last.at), version=pl.lit(last.version))
            .select(TOMBSTONES.names())
            .sort("key")
        )
    kept = _without_returned(last.tombstones, seen, key).join(new, on="key", how="anti")
    return Vanished(
        new, pl.concat([kept, new]).sort("key", "last_read_at"), int(new["rows"].sum()), last.rows
    )


def _without_returned(tombstones: pl.DataFrame, seen: pl.LazyFrame, key: list[str]) -> pl.DataFrame:
    if tombstones.is_empty():
        return tombstones
    back = seen.select(key_text(key).alias("key")).join(tombstones.lazy(), on="key", how="semi").unique()
    return tombstones.join(back.collect(engine="streaming"), on="key", how="anti")
