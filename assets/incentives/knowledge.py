"""Which version of a row was known when: rows of one key with different `recorded_at` are versions, all kept.

As known at t is the newest version recorded at or before t; as final is the newest of all. No commission rule belongs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import polars as pl


class Knowledge(Enum):
    """Whose knowledge prices a deal."""

    AS_KNOWN = "as known when it happened"
    AS_FINAL = "as known today"


def span_versions(rows: pl.LazyFrame, key: Sequence[str]) -> pl.LazyFrame:
    """Add `known_from` and `known_until`, the half-open time in which each version was the newest known.

    Args:
        rows: has `recorded_at`, UTC and never null, unique on key + recorded_at.
        key: columns that name a row whatever its version.

    Returns:
        The rows, `recorded_at` renamed `known_from`; `known_until` is null on the version that still holds.
    """
    until = pl.col("recorded_at").shift(-1).over(key, order_by="recorded_at")
    return rows.with_columns(known_until=until).rename({"recorded_at": "known_from"})


def holds(knowledge: Knowledge, at: str = "at") -> pl.Expr:
    """Whether the version counts: the newest known at the time in column `at`, or the newest of all."""
    until = pl.col("known_until")
    if knowledge is Knowledge.AS_FINAL:
        return until.is_null()
    return (pl.col("known_from") <= pl.col(at)) & (until.is_null() | (pl.col(at) < until))
