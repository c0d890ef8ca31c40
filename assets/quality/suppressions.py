"""`suppressions`: how many cells of the published tables were too small to show."""

from __future__ import annotations

import polars as pl

from assets.table import table_asset
from expectations.contracts import quality


def count_suppressed(tables: dict[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Suppressed cells per table and dimension, tables and dimensions without any left out."""
    counts = [
        frame.filter("suppressed")
        .group_by("dimension")
        .agg(pl.len().cast(pl.Int64).alias("rows_with_reason"))
        .with_columns(pl.lit(name).alias("table"))
        for name, frame in tables.items()
    ]
    return pl.concat(counts, how="diagonal")


@table_asset(quality.SUPPRESSIONS)
def suppressions(
    churn_by_incentive: pl.LazyFrame,
    complaints_by_incentive: pl.LazyFrame,
    feedback_lag_by_incentive: pl.LazyFrame,
    sales_rhythm: pl.LazyFrame,
    quota_bunching: pl.LazyFrame,
) -> pl.LazyFrame:
    """Cells hidden because fewer than 5 sellers or 10 customers stand behind them, or to protect such a cell.

    Grain: table and dimension. Which cells they are is said in the tables themselves (`suppressed`).
    """
    return count_suppressed(
        {
            "churn_by_incentive": churn_by_incentive,
            "complaints_by_incentive": complaints_by_incentive,
            "feedback_lag_by_incentive": feedback_lag_by_incentive,
            "sales_rhythm": sales_rhythm,
            "quota_bunching": quota_bunching.with_columns(dimension=pl.lit("plan")),
        }
    )
