"""The mart `plan_features`: what each tier of each plan version looks like, with today's knowledge, at a typical quota."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from assets.company import Company
from assets.incentives.firm import list_quotas
from assets.incentives.knowledge import Knowledge, holds
from assets.incentives.plan_schedules import KEY, PlanBook, read_plan_book
from assets.incentives.terms import list_terms
from assets.methods.disclosure import MIN_SELLERS
from assets.methods.exact import UNIT, as_money, as_units, whole_cents, whole_units
from assets.methods.plan_shape import describe_tiers
from assets.table import table_asset
from expectations.contracts.incentives import PLAN_FEATURES

_PLAN: Final = ("plan_id", "version")
_REVENUE_MEASURES: Final = ("revenue", "bookings", "activity", "market_share")

PLAN_FLAGS: Final = (
    "is_retroactive", "is_accelerator", "is_cliff", "has_cap", "has_clawback", "has_contest", "is_all_variable",
)  # fmt: skip
"""What may make a plan, or a tier of it, high-powered."""
_OF_SELLERS: Final = (
    "median_quota_amount", "tier_from_amount", "jump_amount", "base_rate", "accelerator_ratio", "leverage", "convexity",
    "is_all_variable",
)  # fmt: skip
"""What follows from the quotas and the pay of a plan's sellers."""


@table_asset(PLAN_FEATURES)
def plan_features(
    plans: pl.LazyFrame,
    plan_components: pl.LazyFrame,
    plan_tiers: pl.LazyFrame,
    plan_assignments: pl.LazyFrame,
    quotas: pl.LazyFrame,
    spiffs: pl.LazyFrame,
    reps: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Which plan features are high-powered.

    One row per plan version, component and tier, newest versions. Steps: compile the plan; take the median quota and target
    incentive of its sellers; describe tiers, jumps and convexity at that quota; add what else raises the stakes.

    Do not assume that sellers face the median quota: a jump in money scales with each seller's own. Where fewer than five sellers
    are on a plan version, what follows from their quotas and pay is blank: a median of so few is somebody's own. `n_sellers` is blank on
    one version beside such a one, too, so that it can't be worked out.
    """
    described = describe_plans(
        plans, plan_components, plan_tiers, plan_assignments, quotas, spiffs, reps, company
    )
    return hide_few_sellers(described, plans)


def describe_plans(
    plans: pl.LazyFrame,
    plan_components: pl.LazyFrame,
    plan_tiers: pl.LazyFrame,
    plan_assignments: pl.LazyFrame,
    quotas: pl.LazyFrame,
    spiffs: pl.LazyFrame,
    reps: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Rows of `marts/plan_features` in any order (10-definitions, plan_features), nothing hidden. Tiers without a plan have no row.

    `n_sellers` are those with a quota in the median, or those on the plan where they are fewer; `suppressed` marks rows of some
    sellers but too few.
    """
    c = pl.col
    book = read_plan_book(plans, plan_components, plan_tiers)
    newest = book.states.filter(c("known_until").is_null())
    terms = list_terms(plans, plan_assignments).filter(holds(Knowledge.AS_FINAL))
    incentive = terms.group_by(_PLAN).agg(
        target_incentive=_median("target_incentive"), on_plan=c("rep_id").n_unique()
    )
    keys = (
        book.rules.join(newest.select("state", *_PLAN), on="state")
        .join(_median_quotas(terms, quotas), on=[*_PLAN, "component"], how="left")
        .join(incentive, on=_PLAN, how="left")
    )
    shapes = _describe(keys, book, newest)
    tiers = _newest(plan_tiers, [*_PLAN, "component", "tier"]).with_columns(c("product_id").fill_null(""))
    by = [*_PLAN, "component", "product_id"]
    tier_number = c("tier").rank("ordinal").over(by).cast(pl.Int64)
    plan = _newest(plans, list(_PLAN)).select(
        *_PLAN,
        "tier_method",
        "cap",
        (c("clawback_method").is_not_null() | c("clawback_schedule").is_not_null()).alias("has_clawback"),
    )
    rows = (
        tiers.with_columns(
            tier_number=tier_number,
            is_accelerator=(c("rate") > c("rate").shift(1).over(by, order_by="tier")).fill_null(value=False),
        )
        .join(plan, on=_PLAN)
        .join(shapes.lazy(), on=[*by, "tier_number"], how="left")
        .join(_revenue_share(plan_components), on=_PLAN, how="left")
        .join(_contests(plans, spiffs, company), on=_PLAN, how="left")
        .join(_salaries(terms.lazy(), reps), on=_PLAN, how="left")
    )
    return rows.with_columns(
        product_id=pl.when(c("product_id") != "").then("product_id"),
        is_retroactive=c("tier_method") == "retroactive",
        has_cap=c("cap").is_not_null(),
        revenue_weight_share=c("revenue_weight_share").fill_null(1.0),
        suppressed=c("n_sellers").is_between(1, MIN_SELLERS - 1).fill_null(value=False),
    ).select(c(name).cast(dtype) for name, dtype in PLAN_FEATURES.schema.items())


def hide_few_sellers(features: pl.LazyFrame, plans: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of `describe_plans` without what so few sellers' quotas and pay are behind; the plan's own terms stay.

    How many sellers all plans of a time have is told by other tables. So beside each hidden plan version, of those that held in its
    time, the one with the fewest sellers shows everything but how many.
    """
    c = pl.col
    shown = [pl.when(~c("suppressed")).then(c(name)).alias(name) for name in _OF_SELLERS]
    return (
        features.join(_pair_hidden(features, plans), on=_PLAN, how="left")
        .with_columns(
            *shown,
            n_sellers=pl.when(~c("suppressed") & c("_in_pair").is_null()).then("n_sellers"),
            null_reason=pl.when("suppressed").then(pl.lit("few_sellers")).otherwise("null_reason"),
        )
        .drop("_in_pair")
    )


def _pair_hidden(features: pl.LazyFrame, plans: pl.LazyFrame) -> pl.LazyFrame:
    """Per hidden version the smallest that is shown and held at the same time: `plan_id`, `version`, `_in_pair`."""
    c = pl.col
    held = _newest(plans, list(_PLAN)).select(*_PLAN, "valid_from", "valid_to")
    versions = (
        features.group_by(_PLAN)
        .agg(c("suppressed").any(), c("n_sellers").max())
        .filter(c("n_sellers") > 0)
        .join(held, on=_PLAN)
    )
    of_other = [c(name).alias(f"other_{name}") for name in (*_PLAN, "valid_from", "valid_to", "n_sellers")]
    overlaps = (c("valid_from") < c("other_valid_to")).fill_null(value=True) & (
        c("other_valid_from") < c("valid_to")
    ).fill_null(value=True)
    return (
        versions.filter("suppressed")
        .join(versions.filter(~c("suppressed")).select(of_other), how="cross")
        .filter(overlaps)
        .sort("other_n_sellers", "other_plan_id", "other_version")
        .unique(_PLAN, keep="first", maintain_order=True)
        .select(plan_id="other_plan_id", version="other_version", _in_pair=pl.lit(value=True))
        .unique()
    )


def _newest(rows: pl.LazyFrame, key: list[str]) -> pl.LazyFrame:
    return rows.filter(pl.col("recorded_at") == pl.col("recorded_at").max().over(key))


def _median(money: str) -> pl.Expr:
    """Inverted-CDF median of money: a value that occurs."""
    cents = whole_cents(pl.col(money)).cast(pl.Int64).drop_nulls().sort()
    return as_money(cents.get((cents.len() + 1) // 2 - 1, null_on_oob=True).cast(pl.Int128))


def _median_quotas(terms: pl.DataFrame, quotas: pl.LazyFrame) -> pl.DataFrame:
    """Median over the quotas of the plan's sellers whose pay period meets their time on the plan."""
    c = pl.col
    return (
        list_quotas(quotas)
        .filter(holds(Knowledge.AS_FINAL))
        .drop("month")
        .unique()
        .join(terms.select("rep_id", *_PLAN, "holds_from", "holds_until"), on="rep_id")
        .filter(
            c("period_end") > c("holds_from"),
            c("holds_until").is_null() | (c("period_start") < c("holds_until")),
        )
        .group_by(*_PLAN, "component")
        .agg(quota_amount=_median("quota_amount"), with_quota=c("rep_id").n_unique())
    )


def _describe(keys: pl.DataFrame, book: PlanBook, newest: pl.DataFrame) -> pl.DataFrame:
    """Tiers of every schedule in money, shares of target pay at the median target incentive; lumps are money as they are."""
    c = pl.col
    schedules = replace(
        book.schedules, rows=book.schedules.rows.join(newest.select("state"), on="state", how="semi")
    )
    is_factor = c("combine") == "multiplicative"
    is_target = (c("rate_basis") == "target").fill_null(value=False) | is_factor
    # a factor has no weight: it is worth the whole target incentive while the others stand at their target
    weight = pl.when(is_factor).then(pl.lit(UNIT, dtype=pl.Int64)).otherwise(whole_units(c("weight")))
    target = whole_cents(c("target_incentive")) * weight.cast(pl.Int128)
    worth = keys.with_columns(target_pay=as_units(pl.when(is_target).then(target)))
    is_known = ~is_target | c("target_pay").is_not_null()
    described = describe_tiers(worth.select(*KEY, "quota_amount", "target_pay"), schedules).drop(
        "from_attainment", "rate", "is_retroactive", "is_accelerator", "has_cap"
    )
    money = ("jump_amount", "pay_at_double", "base_rate", "accelerator_ratio", "convexity", "is_cliff")
    shaped = described.join(worth, on=KEY).with_columns(pl.when(is_known).then(c(n)).alias(n) for n in money)
    # a plan pays its components together; tiers of single products are alternatives, not additions
    incentive = c("target_incentive").cast(pl.Float64)
    double = c("pay_at_double").cast(pl.Float64)
    sums = double.filter(c("combine") == "additive")
    factors = (double / incentive).filter(is_factor)
    top = (
        shaped.filter(c("tier_number") == 1, c("product_id") == "")
        .sort("state", "component")
        .group_by("state", maintain_order=True)
        .agg(
            paid=pl.when(sums.len() == 0)
            .then(incentive.first())
            .when(sums.is_not_null().all())
            .then(sums.sort().sum()),
            factor=pl.when(factors.is_not_null().all()).then(factors.product()),
        )
        .select("state", pay=c("paid") * c("factor"))
    )
    caps = book.schedules.rows.group_by("state").agg(cap=c("_cap").first().cast(pl.Float64) / 100)
    return (
        shaped.join(top, on="state", how="left")
        .join(caps, on="state", how="left")
        .select(
            *_PLAN,
            "component",
            "product_id",
            "tier_number",
            "tier_from_amount",
            "jump_amount",
            "base_rate",
            "accelerator_ratio",
            "convexity",
            "is_cliff",
            pl.when(incentive > 0).then((pl.coalesce("cap", "pay") / incentive).round(8)).alias("leverage"),
            c("quota_amount").alias("median_quota_amount"),
            pl.min_horizontal("on_plan", "with_quota").alias("n_sellers"),
            pl.coalesce(
                "null_reason", pl.when(c("base_rate") == 0).then(pl.lit("base_rate_zero"))
            ).alias("null_reason"),
        )
    )  # fmt: skip


def _revenue_share(plan_components: pl.LazyFrame) -> pl.LazyFrame:
    """Weight on revenue, bookings, activity and market share over all weights; gates weigh nothing, margin is neither."""
    c = pl.col
    weight = c("weight").cast(pl.Float64)
    total = weight.sum()
    return (
        _newest(plan_components, [*_PLAN, "component"])
        .filter(c("combine").fill_null("additive") != "gate")
        .sort(*_PLAN, "component")
        .group_by(_PLAN, maintain_order=True)
        .agg(
            revenue_weight_share=pl.when(total > 0).then(
                (weight.filter(c("measure").is_in(_REVENUE_MEASURES)).sum() / total).round(8)
            )
        )
    )


def _contests(plans: pl.LazyFrame, spiffs: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Whether a contest ran while the plan version did; unknown without SPIFF data."""
    c = pl.col
    versions = _newest(plans, list(_PLAN)).select(*_PLAN, "valid_from", "valid_to")
    if not company.has("spiffs"):
        return versions.select(*_PLAN, has_contest=pl.lit(None, dtype=pl.Boolean))
    contests = (
        _newest(spiffs, ["spiff_id"])
        .filter(c("is_contest").fill_null(value=False))
        .select("plan_id", "valid_from", "valid_to")
    )
    overlaps = (c("valid_from_contest") < c("valid_to")).fill_null(value=True) & (
        c("valid_to_contest") > c("valid_from")
    )
    named = versions.join(contests, on="plan_id", suffix="_contest").filter(overlaps).select(_PLAN)
    # plans are few: every contest for all plans meets every version
    for_all = (
        versions.join(contests.filter(c("plan_id").is_null()), how="cross", suffix="_contest")
        .filter(overlaps)
        .select(_PLAN)
    )
    found = pl.concat([named, for_all]).unique().with_columns(has_contest=pl.lit(value=True))
    return versions.join(found, on=_PLAN, how="left").select(*_PLAN, c("has_contest").fill_null(value=False))


def _salaries(terms: pl.LazyFrame, reps: pl.LazyFrame) -> pl.LazyFrame:
    """Whether the plan's sellers have no base salary; a missing salary is not 0."""
    salary = pl.col("base_salary")
    return (
        terms.select(*_PLAN, "rep_id")
        .join(reps.select("rep_id", "base_salary"), on="rep_id", how="left")
        .group_by(_PLAN)
        .agg(
            is_all_variable=pl.when((salary > 0).any())
            .then(pl.lit(value=False))
            .when(salary.is_not_null().all())
            .then(pl.lit(value=True))
        )
    )


def flag_tiers(plan_features: pl.LazyFrame) -> pl.LazyFrame:
    """`PLAN_FLAGS` of every `plan_id`, `version` and `tier`: true where any of its components or products has the feature."""
    return plan_features.group_by(*_PLAN, "tier").agg(
        pl.col(name).any(ignore_nulls=False) for name in PLAN_FLAGS
    )
