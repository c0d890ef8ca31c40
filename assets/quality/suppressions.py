"""`suppressions`: how many cells of the published tables were too small to show."""

from __future__ import annotations

import polars as pl

from assets.table import table_asset
from expectations.contracts import quality

_c = pl.col


def count_suppressed(tables: dict[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Suppressed cells per table and dimension (`incentive_value`: plan), tables and dimensions without any left out."""
    counts = [
        frame.filter("suppressed")
        .group_by(
            _c("dimension") if "dimension" in frame.collect_schema() else _c("plan_id").alias("dimension")
        )
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
    incentive_value: pl.LazyFrame,
    value_drift: pl.LazyFrame,
    sales_rhythm: pl.LazyFrame,
    quota_bunching: pl.LazyFrame,
    plan_change_effects: pl.LazyFrame,
    customer_distance: pl.LazyFrame,
    unmet_needs: pl.LazyFrame,
    market_shifts: pl.LazyFrame,
    selling_style: pl.LazyFrame,
    lead_lags: pl.LazyFrame,
) -> pl.LazyFrame:
    """Cells hidden because fewer than 5 sellers or 10 customers stand behind them, two sellers dominate, or to protect such a cell.

    Grain: table and dimension. Which cells they are is said in the tables themselves (`suppressed`).
    """
    return count_suppressed(
        {
            "churn_by_incentive": churn_by_incentive,
            "complaints_by_incentive": complaints_by_incentive,
            "feedback_lag_by_incentive": feedback_lag_by_incentive,
            "incentive_value": incentive_value,
            "value_drift": value_drift,
            "sales_rhythm": sales_rhythm,
            "quota_bunching": quota_bunching.with_columns(dimension=pl.lit("plan")),
            "plan_change_effects": plan_change_effects.with_columns(dimension=_c("outcome")),
            "customer_distance": customer_distance.with_columns(dimension=pl.lit("segment")),
            "unmet_needs": unmet_needs,
            "market_shifts": market_shifts.with_columns(dimension=pl.lit("theme")),
            "selling_style": selling_style.with_columns(dimension=pl.lit("team")),
            "lead_lags": lead_lags.with_columns(dimension=_c("link")),
        }
    )
