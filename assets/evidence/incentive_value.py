"""The table `incentive_value`."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.dimensions import find_present, number_words
from assets.evidence.group_sizes import hide_groups
from assets.evidence.marginal_value import value_moves
from assets.evidence.protection import Additive
from assets.evidence.sentences import say_average
from assets.evidence.suppression import DOMINANCE, blank, count_people, hide_small_cells
from assets.evidence.value_accounts import (
    AMOUNTS,
    GAIN,
    KEY,
    account_for_deals,
    gather_by_seller,
    split_over_tiers,
)
from assets.methods.cluster_bootstrap import bound_ratios
from assets.table import Made, table_asset
from expectations.contracts.evidence import INCENTIVE_VALUE

LEVEL: Final = 0
_NUMBERS: Final = (
    *AMOUNTS, "net_value", "net_value_per_dollar", "net_value_per_dollar_lo", "net_value_per_dollar_hi", "n", "n_accounts",
    "n_sellers",
)  # fmt: skip
_ANY: Final = {"plan_id": pl.lit(""), "tier": pl.lit(-1, pl.Int64)}
"""Stands for all plans, or all tiers: no name of any."""
_c = pl.col


@table_asset(INCENTIVE_VALUE)
def incentive_value(
    *,
    deal_outcomes: pl.LazyFrame,
    deal_incentives: pl.LazyFrame,
    plans: pl.LazyFrame,
    plan_tiers: pl.LazyFrame,
    plan_assignments: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    complaints: pl.LazyFrame,
    company: Company,
) -> Made:
    """What a dollar of incentive went with, once a year of churn, refunds, complaints and clawbacks is in.

    One row per `plan_id` and `tier`, all versions of the plan together. Steps: take the deals that have had 365 days; put each
    in the tier that held its seller's credit before it, or split it by pay over the tiers it crossed; add up exact cents; draw
    whole sellers for the interval. It is an average and no effect: the deals might have come without the money.

    And one row of level 4 per `plan_change` into the plan (`tier` null): by how much net value changed with each dollar by which the
    move changed pay, beside sellers who were not moved. Where the move did not change pay beyond chance there is no such number.
    """
    methods = plans.group_by("plan_id", "version").agg(_c("tier_method").last())
    parts = split_over_tiers(
        deal_incentives.join(methods, on=["plan_id", "version"], how="left"), plan_tiers
    ).collect()
    accounts = account_for_deals(
        deal_outcomes=deal_outcomes,
        deal_incentives=deal_incentives,
        customer_events=customer_events,
        complaints=complaints,
        company=company,
    )
    accounts = accounts.collect().lazy()
    rows = gather_by_seller(parts.lazy(), accounts)
    hidden = hide_groups(deal_outcomes, find_present(deal_outcomes, company))
    facts = {"deals_in_account": rows["opportunity_id"].n_unique()}
    tiers = value_tiers(rows, hidden, company.reporting_currency).collect()
    moves = list(value_moves(deal_outcomes, accounts, plan_assignments, company))
    table = pl.concat([tiers, pl.DataFrame(moves, schema=INCENTIVE_VALUE.schema)])
    return Made(table.sort(INCENTIVE_VALUE.key).lazy(), facts)


def value_tiers(rows: pl.DataFrame, hidden: pl.DataFrame, currency: str) -> pl.LazyFrame:
    """Add up plans and tiers.

    Args:
        rows: from `gather_by_seller`.
        hidden: from `hide_groups`: no plan or tier that other tables hide is shown.
        currency: of the amounts.

    Returns:
        The columns of the contract INCENTIVE_VALUE, sorted by key.
    """
    if rows.is_empty():
        return INCENTIVE_VALUE.empty()
    by_seller = rows.group_by(*KEY, "rep_id").agg(*(_c(name).sum() for name in AMOUNTS)).sort(*KEY, "rep_id")
    paid = _c("incentive_paid").sort(descending=True)
    dominated = (
        paid.sum() - paid.get(0) - paid.get(1, null_on_oob=True).fill_null(0) < DOMINANCE * paid.get(0)
    ).alias("dominated")
    cells = (
        rows.group_by(KEY)
        .agg(*count_people(), *(_c(name).sum() for name in AMOUNTS))
        .join(by_seller.group_by(KEY).agg(dominated), on=list(KEY))
        .sort(KEY)
        .with_row_index("cell")
        .with_columns(net_value=GAIN)
    )  # fmt: skip
    placed = by_seller.join(cells.select("cell", *KEY), on=list(KEY)).sort("cell", "rep_id")
    low, high = bound_ratios(
        number_words(placed["rep_id"]).cast(pl.Int64).to_numpy(),
        placed["cell"].cast(pl.Int64).to_numpy(),
        placed.select(GAIN).to_series().to_numpy(),
        placed["incentive_paid"].to_numpy(),
        clusters=placed["rep_id"].n_unique(),
        cells=len(cells),
    )
    money = [
        (_c(name).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(18, 2)).alias(name)
        for name in (*AMOUNTS, "net_value")
    ]
    return (
        _hide(cells, hidden)
        .with_columns(
            pl.Series("net_value_per_dollar_lo", low).fill_nan(None),
            pl.Series("net_value_per_dollar_hi", high).fill_nan(None),
            net_value_per_dollar=pl.when(_c("incentive_paid") > 0).then(
                _c("net_value") / _c("incentive_paid")
            ),
            currency=pl.lit(currency),
            evidence_level=pl.lit(LEVEL, pl.Int64),
            plan_change=pl.lit(None, pl.String),
            warnings=pl.lit(""),
        )
        .with_columns(*money, pl.selectors.float().round(8))
        .lazy()
        .pipe(blank, _NUMBERS)
        .with_columns(sentence=say_average())
        .select(INCENTIVE_VALUE.schema.names())
        .sort(KEY)
    )


def _hide(cells: pl.DataFrame, hidden: pl.DataFrame) -> pl.DataFrame:
    """Mark rows that stay hidden: small, dominated by deals or by pay, of a plan or tier that other tables hide, or protectors.

    No total is published here, but `churn_by_incentive` tells how many mature deals a plan and a tier have.
    """
    plans, tiers = (hidden.filter(_c("dimension") == d)["value"].implode() for d in ("plan", "tier"))
    kept_apart = _c("plan_id").is_in(plans) | _c("tier").cast(pl.String).is_in(tiers)
    key = list(KEY)
    sizes = cells.select(
        *key, "n", "n_accounts", "largest", "second", is_known=False,
        n_sellers=pl.when(_c("dominated").fill_null(value=False)).then(0).otherwise("n_sellers"),
    )  # fmt: skip
    known = pl.lit(value=True)
    totals = [
        sizes.group_by(name).agg(_c("n").sum()).with_columns(is_known=known, **{other: _ANY[other]})
        for name, other in (key, key[::-1])
    ]
    every = pl.concat([sizes, *totals], how="diagonal_relaxed")
    equations = pl.concat(
        every.filter(_c(name) != _ANY[name]).select(
            *key, equation=pl.format(f"{name} {{}}", name), is_total=_c(other) == _ANY[other]
        )
        for name, other in (key, key[::-1])
    )
    marked = hide_small_cells(
        every, equations, key, additive=[Additive("n")], always=cells.filter(kept_apart).select(key)
    )
    return cells.join(marked.select(*key, "suppressed"), on=key, how="left", maintain_order="left")
