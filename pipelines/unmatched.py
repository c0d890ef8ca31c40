"""Ids of one source that no row of another has: the pipeline goes on, and those rows join nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl

_MOST = 0.5  # a few are every firm's; where half fit nothing, two systems name the same thing differently


def say_unmatched(snapshot: Path) -> str:
    """One sentence about the columns of ids of which at least half fit no other table; empty where there are none."""
    coverage = snapshot / "quality" / "source_coverage.parquet"
    if not coverage.is_file():
        return ""
    found = (
        pl.scan_parquet(coverage)
        .filter(
            pl.col("column").fill_null("") != "",
            pl.col("broken_references") > 0,
            pl.col("broken_references") >= pl.col("rows") * _MOST,
        )
        .sort("table", "column")
        .select("table", "column", "broken_references", "rows")
        .collect()
    )
    if found.is_empty():
        return ""
    columns = ", ".join(
        f"{table}.{column} {broken:,} of {rows:,}" for table, column, broken, rows in found.iter_rows()
    )
    return (
        f"Ids that fit no row of the table they point to: {columns}. Those rows join nothing: "
        "map the id that the other system has, as docs/connect says"
    )
