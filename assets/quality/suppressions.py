"""`suppressions`: how many cells of the published tables were too small to show."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.table import table_asset
from expectations.contracts import quality

_c = pl.col
_DIMENSION: Final = _c("dimension")

COUNTED_BY: Final = {
    "churn_by_incentive": _DIMENSION,
    "complaints_by_incentive": _DIMENSION,
    "feedback_lag_by_incentive": _DIMENSION,
    "incentive_value": _c("plan_id"),
    "incentive_effects": _c("outcome"),
    "plan_change_effects": _c("outcome"),
    "plan_features": pl.lit("plan"),
    "value_drift": _DIMENSION,
    "sales_rhythm": _DIMENSION,
    "quota_bunching": pl.lit("plan"),
    "customer_distance": pl.lit("segment"),
    "unmet_needs": _DIMENSION,
    "market_shifts": pl.lit("theme"),
    "selling_style": pl.lit("team"),
    "lead_lags": _c("link"),
    "board_scorecard": _c("measure_name"),
}
"""Every table that hides rows, and what its rows are counted by."""


def count_suppressed(tables: dict[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Suppressed rows per table and dimension, as `COUNTED_BY` says; tables and dimensions without any left out."""
    counts = [
        frame.filter("suppressed")
        .group_by(COUNTED_BY[name].alias("dimension"))
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
    incentive_effects: pl.LazyFrame,
    plan_features: pl.LazyFrame,
    value_drift: pl.LazyFrame,
    sales_rhythm: pl.LazyFrame,
    quota_bunching: pl.LazyFrame,
    plan_change_effects: pl.LazyFrame,
    customer_distance: pl.LazyFrame,
    unmet_needs: pl.LazyFrame,
    market_shifts: pl.LazyFrame,
    selling_style: pl.LazyFrame,
    lead_lags: pl.LazyFrame,
    board_scorecard: pl.LazyFrame,
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
            "incentive_effects": incentive_effects,
            "plan_features": plan_features,
            "value_drift": value_drift,
            "sales_rhythm": sales_rhythm,
            "quota_bunching": quota_bunching,
            "plan_change_effects": plan_change_effects,
            "customer_distance": customer_distance,
            "unmet_needs": unmet_needs,
            "market_shifts": market_shifts,
            "selling_style": selling_style,
            "lead_lags": lead_lags,
            "board_scorecard": board_scorecard,
        }
    )
