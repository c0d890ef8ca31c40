"""What could not be priced is counted by reason."""

from __future__ import annotations

import polars as pl

from assets.quality.coverage import count_unpriced


def test_every_reason_is_counted() -> None:
    mart = pl.LazyFrame(
        {
            "emcr_as_known": [0.1, 0.2, None, None, None, None],
            "null_reason": [None, "base_rate_zero", "no_quota", "no_quota", "tiers_leave_gap", "not_a_sale"],
            "emcr_forward": [0.1, None, None, None, None, None],
            "forward_null_reason": [None, "no_history", None, None, None, None],
        }
    )
    known, forward = count_unpriced(mart)
    assert (known["column"], known["rows"], known["null_share"]) == ("emcr_as_known", 6, 4 / 6)
    # a price whose relative intensity is null is a price
    assert known["detail"] == "no_quota: 2, not_a_sale: 1, tiers_leave_gap: 1"
    assert (forward["column"], forward["detail"]) == ("emcr_forward", "no_history: 1")
    assert known["present"]


def test_a_firm_without_pay_has_nothing_to_count() -> None:
    mart = pl.LazyFrame(
        schema={
            "emcr_as_known": pl.Float64,
            "null_reason": pl.String,
            "emcr_forward": pl.Float64,
            "forward_null_reason": pl.String,
        }
    )
    assert [(row["rows"], row["present"], row["detail"]) for row in count_unpriced(mart)] == [
        (0, False, ""),
        (0, False, ""),
    ]
