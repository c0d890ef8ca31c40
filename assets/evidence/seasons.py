"""What `sales_rhythm` tells of tables that go by fiscal quarter: sums over seasons, which they take for known when they hide cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

SEASONS: Final = "seasons"
"""Family of the equations that `add_seasons` states."""

_c = pl.col


def add_seasons(
    cells: pl.DataFrame, quarter: str, by: Sequence[str], numbers: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What `sales_rhythm` tells of fiscal quarters: sums over the quarters of one season, and over every second quarter.

    Its phases are the months of a quarter, a half and a year, so whoever adds three of them up has a sum over the quarters of a
    table that goes by quarter. A sum over a single quarter is left out: where that is small, the phases are thin and hidden.

    Args:
        cells: with `quarter` (YYYY-Qn) and `by` (text).
        quarter: name of that column.
        by: other columns of the cell's key.
        numbers: what adds up, whole numbers or sums of them.

    Returns:
        The sums, as cells that are known (`is_known`, the season in `quarter`), and equations as `hide_small_cells` takes them.
    """
    number = _c(quarter).str.extract(r"^\d{4}-Q(\d)$", 1).cast(pl.Int64)
    dated = cells.filter(number.is_not_null())
    named = [pl.format("season {}", number), pl.format("half {}", number % 2)]
    members = pl.concat(dated.with_columns(_season=name) for name in named)
    members = members.filter(_c(quarter).n_unique().over("_season", *by) > 1)
    totals = (
        members.group_by("_season", *by)
        .agg(_c(list(numbers)).sum())
        .with_columns(_c("_season").alias(quarter), is_known=pl.lit(value=True))
    )
    rows = [
        frame.select(
            *by,
            quarter,
            equation=pl.concat_str("_season", *by, separator="\t"),
            family=pl.lit(SEASONS),
            is_total=pl.lit(is_total),
        )
        for frame, is_total in ((members, False), (totals, True))
    ]
    return totals.drop("_season"), pl.concat(rows)
