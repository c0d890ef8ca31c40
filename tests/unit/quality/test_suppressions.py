"""What is hidden is counted, in every table that hides anything."""

from __future__ import annotations

import polars as pl

from assets.quality.suppressions import COUNTED_BY, count_suppressed
from expectations.contracts import TABLES


def test_every_table_that_can_hide_a_row_is_counted() -> None:
    assert COUNTED_BY.keys() == {name for name, table in TABLES.items() if "suppressed" in table.by_name}


def test_hidden_rows_are_counted_by_what_the_table_is_read_by() -> None:
    effects = pl.LazyFrame(
        {"outcome": ["churn_180d", "churn_180d", "refund_180d"], "suppressed": [True, True, False]}
    )
    plans = pl.LazyFrame({"plan_id": ["P", "Q"], "suppressed": [True, True]})
    counted = count_suppressed({"incentive_effects": effects, "plan_features": plans}).collect()
    found = {row["table"]: (row["dimension"], row["rows_with_reason"]) for row in counted.to_dicts()}
    assert found == {"incentive_effects": ("churn_180d", 2), "plan_features": ("plan", 2)}
