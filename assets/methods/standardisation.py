"""Direct standardisation: what a group would show if its customers were mixed like everybody's (Breslow and Day 1987, 2.3)."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_c = pl.col


def standardise(
    estimates: pl.DataFrame,
    weights: pl.DataFrame,
    by: Sequence[str],
    stratum: Sequence[str],
    values: Sequence[str],
) -> pl.DataFrame:
    """Weighted means of estimates over strata, weights those of everybody.

    Args:
        estimates: one row per `by` and `stratum`, with `values` (Float64, null: not estimated there).
        weights: `stratum` and `weight` (whole numbers > 0), one row per stratum of everybody, and those of `by` within which
            they hold.
        by: columns of the group.
        stratum: columns of the stratum.
        values: columns to standardise.

    Returns:
        One row per `by`, sorted: `{value}_standardised` for each, the mean over the strata in which it is known, and
        `standardised_share`, the share of everybody's weight in the strata in which the first of them is.
    """
    within = [name for name in weights.columns if name in by]
    total = (
        weights.group_by(within).agg(_total=_c("weight").sum())
        if within
        else weights.select(_total=_c("weight").sum())
    )
    placed = (
        estimates.join(weights, on=[*within, *stratum], how="inner")
        .join(total, on=within, how="left") if within else estimates.join(weights, on=list(stratum)).join(total, how="cross")
    ).sort(*by, *stratum)  # fmt: skip
    means = []
    for value in values:
        known = _c(value).is_not_null()
        weight = _c("weight").filter(known)
        # sums in the order of the strata, so that they are the same however the rows came
        mean = (_c(value).filter(known) * weight).sum() / weight.sum()
        means.append(pl.when(known.any()).then(mean).alias(f"{value}_standardised"))
    covered = _c("weight").filter(_c(values[0]).is_not_null()).sum() / _c("_total").first()
    return placed.group_by(by, maintain_order=True).agg(*means, standardised_share=covered)


def disagree(crude: pl.Expr, crude_reference: pl.Expr, standardised: pl.Expr, reference: pl.Expr) -> pl.Expr:
    """Whether a group lies above its reference as it is and below it when standardised, or the other way: Simpson's reversal."""
    return (crude - crude_reference).sign() * (standardised - reference).sign() < 0
