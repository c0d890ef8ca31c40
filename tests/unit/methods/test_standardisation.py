"""Direct standardisation, on the best known example of a comparison that turns around."""

from __future__ import annotations

import polars as pl
import pytest

from assets.methods.standardisation import disagree, standardise


def test_kidney_stones_turn_around() -> None:
    """Charig et al. (1986) as told by Julious and Mullee (1994): A is better in both strata and worse in all."""
    cured = pl.DataFrame(
        {"treatment": ["A", "A", "B", "B"], "stones": ["large", "small", "large", "small"], "good": [192, 81, 55, 234], "n": [263, 87, 80, 270]}
    ).with_columns(cured=pl.col("good") / pl.col("n"))  # fmt: skip
    weights = cured.group_by("stones").agg(weight=pl.col("n").sum())
    got = standardise(cured, weights, ["treatment"], ["stones"], ["cured"])
    a = (192 / 263 * 343 + 81 / 87 * 357) / 700
    b = (55 / 80 * 343 + 234 / 270 * 357) / 700
    assert got["cured_standardised"].to_list() == pytest.approx([a, b])
    assert a > b
    crude = cured.group_by("treatment", maintain_order=True).agg(
        crude=pl.col("good").sum() / pl.col("n").sum()
    )
    both = got.join(crude, on="treatment")
    turned = both.select(
        disagree(
            pl.col("crude"),
            pl.col("crude").last(),
            pl.col("cured_standardised"),
            pl.col("cured_standardised").last(),
        )
    )
    assert turned.to_series().to_list() == [True, False]


def test_strata_that_a_group_does_not_have_are_left_out_and_said() -> None:
    estimates = pl.DataFrame({"group": ["a", "a", "b"], "stratum": [1, 2, 1], "rate": [0.2, None, 0.5]})
    weights = pl.DataFrame({"stratum": [1, 2, 3], "weight": [2, 3, 5]})
    got = standardise(estimates, weights, ["group"], ["stratum"], ["rate"])
    assert got.rows() == [("a", 0.2, 0.2), ("b", 0.5, 0.2)]


def test_weights_may_hold_within_columns_of_the_group() -> None:
    estimates = pl.DataFrame({"group": ["a", "a"], "hop": ["x", "y"], "stratum": [1, 1], "rate": [0.1, 0.9]})
    weights = pl.DataFrame({"hop": ["x", "y"], "stratum": [1, 1], "weight": [4, 7]})
    got = standardise(estimates, weights, ["group", "hop"], ["stratum"], ["rate"])
    assert got.select("hop", "rate_standardised", "standardised_share").rows() == [
        ("x", 0.1, 1.0),
        ("y", 0.9, 1.0),
    ]
