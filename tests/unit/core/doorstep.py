"""Rows at the door, without files: what the core tests feed to `refine`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from assets.company import Company
from assets.core.pseudonyms import Pseudonyms, demo_key
from assets.core.refine import Refined
from assets.core.subjects import refine_source
from assets.landing import FILE, RECORD, REJECTS, Landed, LandedFile, Reading

COMPANY = Company("USD", "America/New_York", date(2025, 6, 30))
NAMES = Pseudonyms(demo_key(7))


def land(
    table: str,
    header: str,
    rows: Sequence[Sequence[object]],
    reading: Reading | None = None,
    *,
    shuffle: int = 0,
) -> Landed:
    """A landed table of text: `header` names the columns, blanks between them; `shuffle` is a seed, 0 keeps the order.

    Record numbers follow the (shuffled) order, as they would in a file written in that order.
    """
    names = header.split()
    frame = pl.DataFrame(list(rows), schema=dict.fromkeys(names, pl.String), orient="row")
    if shuffle:
        frame = frame.sample(fraction=1, shuffle=True, seed=shuffle)
    return land_frame(table, frame, reading)


def land_frame(table: str, frame: pl.DataFrame, reading: Reading | None = None) -> Landed:
    """A landed table as it is, typed or not."""
    numbered = frame.with_columns(pl.lit("rows.csv").alias(FILE), (pl.int_range(pl.len()) + 1).alias(RECORD))

    def raw(records: pl.DataFrame) -> pl.DataFrame:
        return records.with_columns(pl.format("line {}", RECORD).alias("raw"))

    return Landed(
        table=table,
        rows=numbered.lazy(),
        rejects=pl.DataFrame(schema=REJECTS),
        files=(LandedFile("rows.csv", "0" * 64, 1, frame.height),),
        columns=frozenset(frame.columns),
        reading=reading or Reading(max_reject_share=1.0),
        raw=raw,
    )


def refined(table: str, header: str, rows: Sequence[Sequence[object]], **options: object) -> Refined:
    """Land and refine."""
    return refine_source(land(table, header, rows, **options), COMPANY, NAMES)  # type: ignore[arg-type]


def reasons(result: Refined) -> list[tuple[int, str, str]]:
    """(record, column, reason) of every reject."""
    return result.rejects.select("record", "column", "reason").rows()
