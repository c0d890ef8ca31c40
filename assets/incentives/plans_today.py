"""Plans and assignments with today's knowledge: what each version pays for, and who was on it when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.incentives.knowledge import Knowledge, holds
from assets.incentives.terms import list_terms

PLAN: Final = ("plan_id", "version")
DEAL_MEASURES: Final = ("revenue", "bookings", "margin")
"""Measures that deals carry; the others come from `component_results`."""

MEASURES: Final = (
    *DEAL_MEASURES,
    "activity",
    "market_share",
    "retention",
    "satisfaction",
    "quality",
    "feedback",
)
SELLING_MEASURES: Final = ("revenue", "bookings", "activity", "market_share")
CUSTOMER_MEASURES: Final = ("retention", "satisfaction", "quality")


@dataclass(frozen=True, slots=True)
class PlansToday:
    """Newest versions of the plan tables.

    Attributes:
        terms: assignments as `terms.list_terms` gives them, the newest only.
        plans: `PLAN` and the plan's columns.
        components: `PLAN`, `component`, `measure`, `weight` Decimal(18,8), `rate_basis`, `combine`, `gate_attainment`,
            `gate_from`, `is_lead` (the component that stands for the plan: carried by deals if any is, then the largest
            weight, then the first name). A plan without components pays for revenue, per unit of credit.
        tiers: `PLAN`, `component`, `tier`, `from_attainment`, `rate`, `lump_bonus`, `product_id` (null: all products).
    """

    terms: pl.DataFrame
    plans: pl.DataFrame
    components: pl.DataFrame
    tiers: pl.DataFrame


def read_plans_today(
    plans: pl.LazyFrame,
    plan_components: pl.LazyFrame,
    plan_tiers: pl.LazyFrame,
    plan_assignments: pl.LazyFrame,
) -> PlansToday:
    """Read the newest versions of small tables, sorted."""
    c = pl.col
    tiers = _newest(plan_tiers, [*PLAN, "component", "tier"])
    stated = _newest(plan_components, [*PLAN, "component"])
    assumed = (
        tiers.select(*PLAN, "component")
        .unique()
        .join(stated, on=PLAN, how="anti")
        .with_columns(
            measure=pl.lit("revenue"),
            weight=pl.lit(1, dtype=pl.Decimal(18, 8)),
            rate_basis=pl.lit("credit"),
            combine=pl.lit("additive"),
            gate_attainment=pl.lit(None, dtype=pl.Decimal(18, 8)),
            gate_from=pl.lit(None, dtype=pl.String),
        )
    )
    combine, basis = c("combine").fill_null("additive"), c("rate_basis").fill_null("credit")
    filled = stated.select(assumed.columns).with_columns(
        combine=combine,
        # a multiplier is a share of target pay, whatever it says of itself
        rate_basis=pl.when(combine == "multiplicative").then(pl.lit("target")).otherwise(basis),
    )
    components = pl.concat([filled, assumed]).sort(*PLAN, "component")
    by_standing = (
        (c("combine") == "gate").cast(pl.Int64),
        (~c("measure").is_in(DEAL_MEASURES)).cast(pl.Int64),
        -c("weight"),
        c("component"),
    )
    lead = (
        components.sort(*PLAN, *by_standing).group_by(PLAN, maintain_order=True).agg(c("component").first())
    )
    return PlansToday(
        terms=list_terms(plans, plan_assignments).filter(holds(Knowledge.AS_FINAL)),
        plans=_newest(plans, list(PLAN)).sort(PLAN),
        components=components.join(
            lead.with_columns(is_lead=pl.lit(value=True)), on=[*PLAN, "component"], how="left"
        )
        .with_columns(c("is_lead").fill_null(value=False))
        .sort(*PLAN, "component"),
        tiers=tiers.sort(*PLAN, "component", "tier"),
    )


def read_results_today(component_results: pl.LazyFrame) -> pl.DataFrame:
    """Newest results: `rep_id`, `component`, `period_start`, `achieved`, one row each."""
    key = ["rep_id", "component", "period_start"]
    return _newest(component_results, key).select(*key, "achieved").sort(key)


def _newest(rows: pl.LazyFrame, key: list[str]) -> pl.DataFrame:
    kept = pl.all().exclude("recorded_at", "knowledge_time_assumed")
    return rows.filter(pl.col("recorded_at") == pl.col("recorded_at").max().over(key)).select(kept).collect()
