"""Plans as they were known over time, compiled for pricing: every set of rows that was ever the newest is one state.

What cannot be priced yet (one component's pay hanging on another's) is refused with a reason, never approximated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.incentives.knowledge import span_versions
from assets.methods.commission import Schedules, compile_schedules

KEY: Final = ("state", "component", "product_id")
"""Names a schedule: knowledge state of a plan version, component, product with its own tiers ("" for all others)."""

UNSUPPORTED: Final = "unsupported_combination"


@dataclass(frozen=True, slots=True)
class PlanBook:
    """Every plan version in every state of knowledge.

    Attributes:
        states: `state` (number), `plan_id`, `version`, `known_from`, `known_until` (half-open; null: still), `plan_assumed`.
        rules: one row per schedule: `KEY`, `has_bounds` (cap or floor), `rate_basis`, `weight`, `n_paid` (components that pay),
            `refused` (why it cannot be priced, or null).
        schedules: compiled, by `KEY`.
    """

    states: pl.DataFrame
    rules: pl.DataFrame
    schedules: Schedules


def read_plan_book(plans: pl.LazyFrame, plan_components: pl.LazyFrame, plan_tiers: pl.LazyFrame) -> PlanBook:
    """Compile plans, components and tiers, all versions.

    A plan without components has one per component of its tiers, paid per unit of credit. Tiers of a product replace the
    component's tiers for deals in that product.
    """
    version = ["plan_id", "version"]
    by_kind = {
        "plan": span_versions(plans, version),
        "component": span_versions(plan_components, [*version, "component"]),
        "tier": span_versions(plan_tiers, [*version, "component", "tier"]),
    }
    plan, component, tier = (frame.collect() for frame in by_kind.values())
    states = (
        pl.concat(f.select(*version, "known_from") for f in (plan, component, tier))
        .unique()
        .sort(*version, "known_from")
        .with_columns(known_until=pl.col("known_from").shift(-1).over(version))
        .with_row_index("state")
    )
    facts = _in_state(states, plan).select(
        "state", "tier_method", "cap", "floor", plan_assumed="knowledge_time_assumed"
    )
    tiers = _in_state(states, tier).with_columns(pl.col("product_id").fill_null(""))
    components = _in_state(states, component)
    rules = (
        pl.concat([components.select("state", "component", product_id=pl.lit("")), tiers.select(KEY)])
        .unique()
        .join(
            components.select(
                "state",
                "component",
                "measure",
                "weight",
                "rate_basis",
                "combine",
                "gate_attainment",
                "gate_from",
            ),
            on=["state", "component"],
            how="left",
        )
        .join(facts, on="state", how="inner")
        .sort(KEY)
    )
    has_lumps = tiers.group_by(KEY).agg(has_lumps=(pl.col("lump_bonus").fill_null(0) != 0).any())
    rules = (
        rules.join(has_lumps, on=KEY, how="left")
        .with_columns(_N_PAID.alias("n_paid"))
        .with_columns(
            has_bounds=pl.col("cap").is_not_null() | pl.col("floor").is_not_null(), refused=_refuse()
        )
    )
    schedules = compile_schedules(
        rules.select(*KEY, "tier_method", "gate_attainment", "gate_from", "cap", "floor"), tiers, KEY
    )
    assumed = pl.concat(
        f.select("state", assumed="knowledge_time_assumed")
        for f in (_in_state(states, plan), tiers, components)
    )
    flags = assumed.group_by("state").agg(plan_assumed=pl.col("assumed").fill_null(value=False).any())
    return PlanBook(
        states=states.join(flags, on="state", how="left").sort("state"),
        rules=rules.select(*KEY, "has_bounds", "rate_basis", "weight", "n_paid", "refused"),
        schedules=schedules,
    )


def _in_state(states: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that were the newest in each state."""
    spans = rows.rename({"known_from": "_from", "known_until": "_until"})
    return states.join(spans, on=["plan_id", "version"]).filter(
        pl.col("_from") <= pl.col("known_from"),
        pl.col("_until").is_null() | (pl.col("known_from") < pl.col("_until")),
    )


_COMBINE: Final = pl.col("combine").fill_null("additive")
_N_PAID: Final = pl.col("component").filter(_COMBINE != "gate").n_unique().over("state")


def _refuse() -> pl.Expr:
    """Why a component cannot be priced on its own, per row of rules."""
    has_bounds = pl.col("cap").is_not_null() | pl.col("floor").is_not_null()
    # cap and floor bind on the sum over components
    hangs_on_others = (_COMBINE != "additive").any().over("state") | ((pl.col("n_paid") > 1) & has_bounds)
    # shares of target pay are scaled after pricing, which money amounts inside the plan would not survive
    is_target = (pl.col("rate_basis") == "target").fill_null(value=False)
    is_unscalable = is_target & (has_bounds | pl.col("has_lumps").fill_null(value=False))
    return pl.when(hangs_on_others | is_unscalable).then(pl.lit(UNSUPPORTED))
