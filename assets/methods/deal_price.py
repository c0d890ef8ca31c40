"""From credited sellers to the deal: one marginal rate per deal, whoever shares it."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.methods.exact import PAY, UNIT, as_pay, divide_half_up, whole_cents, whole_pay

DEAL_COLUMNS: Final = {
    "deal_emcr": pl.Float64(),
    "deal_relative_intensity": pl.Float64(),
    "deal_is_pivotal": pl.Boolean(),
    "deal_added_pay": PAY,
    "deal_null_reason": pl.String(),
}


def combine_credits(priced: pl.LazyFrame, deal: str = "opportunity_id") -> pl.LazyFrame:
    """Price whole deals out of their priced credits.

    Args:
        priced: one row per deal, `rep_id`, `component`, `credit_type` (null means primary): `credited_amount`, `added_pay`,
            `emcr`, `base_rate`, `is_pivotal`, `null_reason`, as `price_positions` gives them. Money in one currency per deal:
            sellers paid in several are converted before.
        deal: column that names the deal.

    Returns:
        One row per deal that has a primary credit, in any order, with `DEAL_COLUMNS`: `deal_emcr` = added pay of primary
        credits / their credited amounts, summed over components; `deal_relative_intensity` = deal_emcr / sum of w_i base_i
        with w_i the share of the credited amount; `deal_is_pivotal` if any primary credit is; `deal_added_pay` of all
        credits that are priced (primary, overlay, manager), unrounded: over the deal amount it is the incentive cost
        share. `deal_emcr` is null, with the reason, when any primary credit has none.
    """
    is_primary = pl.col("credit_type").fill_null("primary") == "primary"
    cents = whole_cents(pl.col("credited_amount"))
    weighted = cents.cast(pl.Float64) * pl.col("base_rate")
    reason = pl.coalesce("null_reason", pl.when(pl.col("emcr").is_null()).then(pl.lit("emcr_missing")))
    components = (
        priced.with_columns(
            _primary=is_primary, _cents=cents, _pay=whole_pay(pl.col("added_pay")), _reason=reason
        )
        .group_by(deal, "component")
        .agg(
            pl.col("_pay").sum().alias("_all_pay"),
            pl.col("_pay").filter("_primary").sum(),
            pl.col("_cents").filter("_primary").sum(),
            # a sum over floats in group order: sorted first, so that equal rows give equal bytes
            weighted.filter("_primary").sort().sum().alias("_weighted"),
            (pl.col("base_rate").is_null() & pl.col("_primary")).any().alias("_base_unknown"),
            (pl.col("is_pivotal") & pl.col("_primary")).any(),
            pl.col("_reason").filter("_primary").min(),
            pl.col("_primary").any(),
        )
    )
    rate = divide_half_up(pl.col("_pay"), pl.col("_cents") * UNIT)
    base = pl.when(~pl.col("_base_unknown")).then(pl.col("_weighted") / pl.col("_cents").cast(pl.Float64))
    deals = (
        components.with_columns(
            _rate=pl.when("_primary").then(rate).cast(pl.Int64), _base=pl.when("_primary").then(base)
        )
        .group_by(deal)
        .agg(
            pl.col("_rate").sum(),
            pl.col("_base").sort().sum(),
            (pl.col("_base_unknown") & pl.col("_primary")).any(),
            pl.col("_all_pay").sum(),
            pl.col("is_pivotal").any(),
            pl.col("_reason").min(),
            pl.col("_primary").any(),
        )
        .filter("_primary")
    )
    emcr = pl.when(pl.col("_reason").is_null()).then(pl.col("_rate").cast(pl.Float64) / UNIT)
    return deals.select(
        deal,
        emcr.alias("deal_emcr"),
        pl.when(~pl.col("_base_unknown") & (pl.col("_base") != 0))
        .then(emcr / pl.col("_base"))
        .round(8)
        .alias("deal_relative_intensity"),
        pl.when(pl.col("_reason").is_null()).then(pl.col("is_pivotal")).alias("deal_is_pivotal"),
        as_pay(pl.col("_all_pay")).alias("deal_added_pay"),
        pl.col("_reason").alias("deal_null_reason"),
    )
