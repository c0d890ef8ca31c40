"""From sellers to deals: the exposure of a deal is what its primary credits added to pay, per money credited.

Not here: how one seller's credit is priced (see `deal_incentives`), and what happened to the customer.
"""

from __future__ import annotations

from typing import Final

import polars as pl

_EXACT: Final = pl.Decimal(38, 10)  # sums of pay must not depend on the order of the rows
_PAID_TYPES: Final = ("primary", "overlay", "manager")  # house and windfall credits pay nobody for selling
_ONE: Final = 1.000001  # split weights that add up to one, rounded

CREDITED_LATER: Final = "credited_later"
"""Reason of a row that exists only as final: the credit came to this seller after it was first recorded."""


def deal_exposures(deal_incentives: pl.LazyFrame) -> pl.LazyFrame:
    """Exposure of every credited deal (10-definitions, Deal EMCR).

    emcr = added pay of primary credits / primary credited money. Components that share a deal out (their split weights
    add up to one) add up; components that each credit the whole deal count its money once. Sellers paid in different
    currencies are brought into one at the close date. Any primary seller null: the deal is null.

    Args:
        deal_incentives: the mart of that name.

    Returns:
        One row per opportunity_id, in any order. `emcr`, `emcr_as_final`, `emcr_forward`, `emcr_with_spiff`, `emcr_lowest`,
        `emcr_highest`, `base_rate` (weighted by credited money): money of pay per money of credit, Float64, eight
        decimals; `relative_intensity` = emcr / base_rate; `incentive_cost_share` = all added pay (primary, overlay,
        manager, SPIFF) / deal amount; `is_pivotal` (any primary); and of the primary seller with the largest split weight
        (ties: lowest rep_id): `rep_id`, `plan_id`, `version`, `tier`, `days_to_period_end`. `null_reason` says why
        `emcr` is null: `no_primary_credit`, or the reason of the first primary seller that has one.
    """
    c = pl.col
    currencies = c("plan_currency").drop_nulls().n_unique().over("opportunity_id")
    rows = (
        deal_incentives.with_columns(
            _fx=pl.when(currencies > 1).then(c("rate_to_reporting").cast(pl.Float64)).otherwise(1.0),
            _is_first=(c("null_reason") != CREDITED_LATER).fill_null(value=True),
        )
        .with_columns(
            x=_money("credited_amount"),
            x_final=_money("credited_amount_final"),
            pay=_money("added_pay"),
            pay_final=_money("added_pay_final"),
            pay_with_spiff=_exact(c("added_pay") + c("spiff_amount").cast(pl.Float64)),
            **{f"pay_{n}": _exact(c(n) * c("credited_amount").cast(pl.Float64)) for n in _BY_RATE},
        )
        .with_columns(deal_amount=_money("deal_amount"))
    )
    primary = rows.filter(c("credit_type") == "primary")
    as_known = primary.filter("_is_first")
    known = _share_out(as_known, "x", "pay", "pay_with_spiff", *(f"pay_{n}" for n in _BY_RATE))
    final = _share_out(primary.filter(c("x_final").is_not_null()), "x_final", "pay_final")
    return (
        rows.select("opportunity_id")
        .unique()
        .join(known, on="opportunity_id", how="left")
        .join(final, on="opportunity_id", how="left")
        .join(_describe_sellers(as_known), on="opportunity_id", how="left")
        .join(_sum_cost(rows.filter("_is_first")), on="opportunity_id", how="left")
        .select(
            "opportunity_id",
            c("pay").alias("emcr"),
            c("pay_final").alias("emcr_as_final"),
            c("pay_emcr_forward").alias("emcr_forward"),
            c("pay_with_spiff").alias("emcr_with_spiff"),
            c("pay_emcr_lowest").alias("emcr_lowest"),
            c("pay_emcr_highest").alias("emcr_highest"),
            c("pay_base_rate").alias("base_rate"),
            pl.when(c("pay_base_rate") != 0)
            .then(c("pay") / c("pay_base_rate"))
            .round(8)
            .alias("relative_intensity"),
            "is_pivotal",
            "days_to_period_end",
            "plan_id",
            "version",
            "tier",
            "rep_id",
            pl.when(c("pay").is_null())
            .then(
                pl.coalesce(
                    "null_reason",
                    pl.when(c("rep_id").is_null()).then(pl.lit("no_primary_credit")),
                    pl.lit("no_fx_rate"),
                )
            )
            .alias("null_reason"),
            "incentive_cost_share",
        )
    )


_BY_RATE: Final = ("emcr_forward", "emcr_lowest", "emcr_highest", "base_rate")


def _exact(money: pl.Expr) -> pl.Expr:
    return (money * pl.col("_fx")).cast(_EXACT)


def _money(name: str) -> pl.Expr:
    return _exact(pl.col(name).cast(pl.Float64))


def _sum_if_all(name: str) -> pl.Expr:
    """Sum, null when any term is null."""
    return pl.when(pl.col(name).is_not_null().all()).then(pl.col(name).sum())


def _share_out(sellers: pl.LazyFrame, credit: str, *pay: str) -> pl.LazyFrame:
    """Each sum of pay per money credited, by deal; the money of components that repeat the deal counts once."""
    components = sellers.group_by("opportunity_id", "component").agg(
        *(_sum_if_all(name) for name in (credit, *pay)), pl.col("split_weight").cast(pl.Decimal(38, 8)).sum()
    )
    shares_out = pl.col("split_weight").sum().cast(pl.Float64) <= _ONE
    once = pl.when(shares_out).then(_sum_if_all(credit)).otherwise(pl.col(credit).max())
    deals = components.group_by("opportunity_id").agg(
        *(_sum_if_all(name) for name in pay), once.alias("_once")
    )
    divisor = pl.col("_once").cast(pl.Float64)
    return deals.select(
        "opportunity_id",
        *(
            pl.when(divisor > 0).then((pl.col(name).cast(pl.Float64) / divisor).round(8)).alias(name)
            for name in pay
        ),
    )


def _describe_sellers(sellers: pl.LazyFrame) -> pl.LazyFrame:
    """What a deal takes from its largest primary seller, and why it is null if it is."""
    facts = ("rep_id", "plan_id", "version", "tier", "days_to_period_end")
    reasons = sellers.filter(pl.col("emcr_as_known").is_null()).sort("rep_id", "component")
    first_reason = reasons.group_by("opportunity_id", maintain_order=True).agg(pl.col("null_reason").first())
    return (
        sellers.sort(
            pl.col("split_weight").fill_null(0), "rep_id", "component", descending=[True, False, False]
        )
        .group_by("opportunity_id", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in facts),
            # one unknown among certain misses is unknown, one certain hit is enough
            is_pivotal=pl.col("is_pivotal").any(ignore_nulls=False),
        )
        .join(first_reason, on="opportunity_id", how="left")
    )


def _sum_cost(rows: pl.LazyFrame) -> pl.LazyFrame:
    """All added pay per deal amount."""
    amount = pl.col("deal_amount").max().cast(pl.Float64)
    pay = _sum_if_all("pay_with_spiff").cast(pl.Float64)
    return (
        rows.filter(pl.col("credit_type").is_in(_PAID_TYPES))
        .group_by("opportunity_id")
        .agg(incentive_cost_share=pl.when(amount > 0).then((pay / amount).round(8)))
    )
