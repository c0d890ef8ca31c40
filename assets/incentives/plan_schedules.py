"""Plans as they were known over time, compiled for pricing: every set of rows that was ever the newest is one state.

A plan is joint where one component's pay hangs on another's (a product, a gate, a cap over several): it is priced as a
whole (see `replay`). What contradicts itself is refused with a reason, never approximated.
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
        rules: one row per schedule: `KEY`, `combine` (never null), `measure`, `rate_basis`, `weight`, `cap`, `floor`, `n_paid`
            (components that pay), `has_product_tiers` of the plan, `is_joint` (its pay is no sum over components),
            `needs_quota`, `refused` (why it cannot be priced, or null).
        schedules: compiled, by `KEY`. A gate component is compiled as one unit of money, paid once the gate is open.
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
    components = _in_state(states, component).with_columns(_COMBINE.alias("combine"))
    tiers = _tiers_in_state(states, tier, components)
    rules = (
        pl.concat([components.select("state", "component", product_id=pl.lit("")), tiers.select(KEY)])
        .unique()
        .join(
            components.select(
                "state", "component", "measure", "weight", "rate_basis", "combine", "gate_attainment", "gate_from"
            ),
            on=["state", "component"],
            how="left",
        )
        .join(facts, on="state", how="inner")
        .join(_list_lumps(tiers), on=KEY, how="left")
        .with_columns(_COMBINE.alias("combine"))
        .with_columns(**_judge_plans())
        .sort(KEY)
    )  # fmt: skip
    schedules = compile_schedules(
        rules.select(*KEY, "tier_method", "gate_attainment", "gate_from", "cap", "floor"), tiers, KEY
    )
    assumed = pl.concat(
        f.select("state", assumed="knowledge_time_assumed")
        for f in (_in_state(states, plan), _in_state(states, tier), components)
    )
    flags = assumed.group_by("state").agg(plan_assumed=pl.col("assumed").fill_null(value=False).any())
    return PlanBook(
        states=states.join(flags, on="state", how="left").sort("state"),
        rules=rules.join(
            schedules.rows.select(*KEY, "_needs_quota"), on=KEY, how="left", maintain_order="left"
        )
        .with_columns(needs_quota=pl.col("_needs_quota") | _NEEDS_ATTAINMENT)
        .select(
            *KEY, "combine", "measure", "rate_basis", "weight", "cap", "floor", "gate_attainment", "n_paid",
            "has_product_tiers", "is_joint", "needs_quota", "refused",
        ),
        schedules=schedules,
    )  # fmt: skip


def _in_state(states: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that were the newest in each state."""
    spans = rows.rename({"known_from": "_from", "known_until": "_until"})
    return states.join(spans, on=["plan_id", "version"]).filter(
        pl.col("_from") <= pl.col("known_from"),
        pl.col("_until").is_null() | (pl.col("known_from") < pl.col("_until")),
    )


_COMBINE: Final = pl.col("combine").fill_null("additive")
_NEEDS_ATTAINMENT: Final = (pl.col("rate_basis") == "target").fill_null(value=False) | (
    pl.col("combine") != "additive"
)


def _tiers_in_state(states: pl.DataFrame, tier: pl.DataFrame, components: pl.DataFrame) -> pl.DataFrame:
    """Tiers of every state; a gate has none of its own and pays one unit from 0, which its gate withholds."""
    gates = components.filter(pl.col("combine") == "gate").select("state", "component")
    stated = (
        _in_state(states, tier)
        .with_columns(pl.col("product_id").fill_null(""))
        .join(gates, on=["state", "component"], how="anti")
    )
    names = (*KEY, "tier", "from_attainment", "rate", "lump_bonus")
    opened = gates.with_columns(
        product_id=pl.lit(""),
        tier=pl.lit(1).cast(tier.schema["tier"]),
        from_attainment=pl.lit(0).cast(tier.schema["from_attainment"]),
        rate=pl.lit(0).cast(tier.schema["rate"]),
        lump_bonus=pl.lit(1).cast(tier.schema["lump_bonus"]),
        knowledge_time_assumed=pl.lit(value=False),
    )
    both = (*names, "knowledge_time_assumed")
    return pl.concat([stated.select(both), opened.select(both)])


def _list_lumps(tiers: pl.DataFrame) -> pl.DataFrame:
    return tiers.group_by(KEY).agg(has_lumps=(pl.col("lump_bonus").fill_null(0) != 0).any())


def _judge_plans() -> dict[str, pl.Expr]:
    """How the components of each state hang together, per row of rules."""
    combine, plan = pl.col("combine"), "state"
    n_paid = pl.col("component").filter(combine != "gate").n_unique().over(plan)
    has_bounds = pl.col("cap").is_not_null() | pl.col("floor").is_not_null()
    has_product_tiers = (pl.col("product_id") != "").any().over(plan)
    is_factor = combine == "multiplicative"
    contradicts = (
        (is_factor & (pl.col("rate_basis") == "credit").fill_null(value=False))
        | (is_factor & pl.col("has_lumps").fill_null(value=False))
        | ((combine == "gate") & pl.col("gate_attainment").is_null())
    )
    return {
        "n_paid": n_paid,
        "has_product_tiers": has_product_tiers,
        "is_joint": (combine != "additive").any().over(plan)
        | (has_bounds & ((n_paid > 1) | has_product_tiers)),
        "refused": pl.when(contradicts.any().over(plan)).then(pl.lit(UNSUPPORTED)),
    }
