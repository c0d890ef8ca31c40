"""The table `board_scorecard`."""

from __future__ import annotations

import polars as pl

from assets.board.scorecard import score
from assets.company import Company
from assets.table import table_asset
from expectations.contracts.board import BOARD_SCORECARD


@table_asset(BOARD_SCORECARD)
def board_scorecard(
    deal_outcomes: pl.LazyFrame,
    churn_by_incentive: pl.LazyFrame,
    complaints_by_incentive: pl.LazyFrame,
    incentive_value: pl.LazyFrame,
    conduct_indicators: pl.LazyFrame,
    feedback_hops: pl.LazyFrame,
    selling_style: pl.LazyFrame,
    customer_distance: pl.LazyFrame,
    unmet_needs: pl.LazyFrame,
    market_shifts: pl.LazyFrame,
    themes: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """At most fifteen numbers for the board, each with interval, change, grade, evidence level and a plain sentence.

    They tell one story, chapter by chapter: intensity, rhythm, style, outcomes, distance, what was heard late. One row per `organisation`, `quarter` and `position`, for the last fiscal quarter that had ended. Numbers come from the
    marts and are blank where too few people stand behind them. Do not quote a number without its sentence.
    """
    return score(
        deal_outcomes=deal_outcomes,
        churn_by_incentive=churn_by_incentive,
        complaints_by_incentive=complaints_by_incentive,
        incentive_value=incentive_value,
        conduct_indicators=conduct_indicators,
        feedback_hops=feedback_hops,
        selling_style=selling_style,
        customer_distance=customer_distance,
        unmet_needs=unmet_needs,
        market_shifts=market_shifts,
        themes=themes,
        company=company,
    )
