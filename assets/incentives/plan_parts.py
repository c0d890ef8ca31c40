"""The components of plans that pay as a whole: what each deal's plan consisted of, at which quota, with which results.

A component on a measure that no deal carries is worth its result (`component_results`); credit, where a deal gives any,
wins. Nothing is priced here.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.firm import Firm
from assets.incentives.knowledge import Knowledge, holds
from assets.incentives.pay_periods import find_periods
from assets.incentives.plan_schedules import UNSUPPORTED
from assets.methods.exact import as_money, whole_cents, whole_units
from assets.methods.pay_curve import prorate
from assets.methods.plan_total import ADDITIVE, GATE, MULTIPLICATIVE

_KINDS: Final = {"additive": ADDITIVE, "multiplicative": MULTIPLICATIVE, "gate": GATE}
_MEASURED: Final = ("activity", "market_share", "retention", "satisfaction", "quality", "feedback")


def list_parts(
    cases: pl.DataFrame, steps: pl.DataFrame, pieces: pl.DataFrame, firm: Firm, knowledge: Knowledge
) -> pl.DataFrame:
    """Components of the plan of every case, one row each.

    Args:
        cases: `case`, `state`, terms, pay period and days that count, as `replay` lists them.
        steps: rows to price, with `case` and `component`.
        pieces: credit of other deals, with `case` and `component`.
        firm: what prices are looked up in.
        knowledge: which versions count; as known at `at`.

    Returns:
        `case`, `slot` (from 0), `component`, `kind` (see `plan_total`), `state`, `quota_amount` (of the days that count; of the
        result's own period where a result counts), `target_units` (Int128, 1e-10 of money; null where rates are money),
        `achieved` (Int128, 1e-10; null where credit counts), `grows` (priced piece by piece), `days_counted` of `days_in_period`, `reason` (why the plan cannot be
        priced, or null), `refused` (it contradicts itself), `known_at`, `assumed`.
    """
    c = pl.col
    credited = pl.concat(
        [steps.select("case", "component"), pieces.select("case", "component")]
    ).unique().with_columns(is_credited=pl.lit(value=True))  # fmt: skip
    facts = (
        "case", "rep_id", "at", "on", "state", "period", "fiscal_start_month", "period_start", "period_end", "days_counted",
        "days_in_period", "is_changed", "target_incentive",
    )  # fmt: skip
    rules = firm.book.rules.filter(c("product_id") == "")
    planned = cases.select(facts).join(
        rules.select(
            "state", "component", "combine", "measure", "rate_basis", "weight", "has_product_tiers", "refused"
        ),
        on="state",
    )
    # what an earlier plan of the period paid on other components is pay all the same
    earlier = (
        pieces.filter("is_paid_piece")
        .select("case", "component")
        .unique()
        .join(planned.select("case", "component"), on=["case", "component"], how="anti")
        .join(cases.select(facts), on="case")
        .with_columns(combine=pl.lit("additive"), has_product_tiers=pl.lit(value=False))
    )
    parts = pl.concat([planned, earlier.select(set(planned.columns) & set(earlier.columns))], how="diagonal")
    parts = parts.join(credited, on=["case", "component"], how="left").with_columns(
        kind=c("combine").replace_strict(_KINDS, return_dtype=pl.Int8),
        is_measured=c("measure").is_in(_MEASURED).fill_null(value=False) & c("is_credited").is_null(),
    )
    parts = _add_quotas(parts, firm, knowledge)
    parts = _add_results(parts, firm, knowledge)
    is_target = (c("rate_basis") == "target").fill_null(value=False) & (c("kind") == ADDITIVE)
    units = whole_cents(c("target_incentive")) * whole_units(c("weight")).cast(pl.Int128)
    needs_target = is_target | ~(c("kind") == ADDITIVE).any().over("case")
    needs_quota = is_target | (c("kind") != ADDITIVE)
    is_missing = c("is_measured") & (c("kind") != ADDITIVE) & c("achieved").is_null()
    missing = "component_result_not_known" if knowledge is Knowledge.AS_KNOWN else "no_component_result"
    reasons = {
        UNSUPPORTED: c("has_other_period"),
        "no_target_incentive": needs_target & (c("target_incentive").is_null() | (is_target & c("weight").is_null())),
        missing: is_missing,
        "no_quota": needs_quota & c("quota_amount").is_null(),
        "quota_not_positive": needs_quota & (c("quota_amount") <= 0),
    }  # fmt: skip
    zero = pl.lit(0, dtype=pl.Int128)
    return parts.with_columns(
        target_units=pl.when(is_target).then(units),
        achieved=pl.when("is_measured").then(
            (whole_units(c("achieved")).cast(pl.Int128) * 100).fill_null(zero)
        ),
        grows=(c("kind") == ADDITIVE) & ~c("is_measured") & (c("is_changed") | c("has_product_tiers")),
        slot=c("component").rank("ordinal").over("case").cast(pl.Int64) - 1,
        reason=pl.coalesce(
            pl.when(broken.fill_null(value=False)).then(pl.lit(name)) for name, broken in reasons.items()
        ),
    ).select(
        "case", "slot", "component", "kind", "state", "quota_amount", "target_units", "achieved", "grows", "days_counted",
        "days_in_period", "reason", "refused", "known_at", "assumed",
    )  # fmt: skip


def _add_quotas(parts: pl.DataFrame, firm: Firm, knowledge: Knowledge) -> pl.DataFrame:
    """The quota of every component for the days that count; `has_other_period` where its pay period is another one."""
    c = pl.col
    asked = parts.rename({"period_start": "case_start", "period_end": "case_end"})
    found = find_periods(asked.lazy(), firm, knowledge).collect()
    is_other = (c("period_start") != c("case_start")) | (c("period_end") != c("case_end"))
    return found.with_columns(
        has_other_period=c("quota_known_at").is_not_null() & is_other & ~c("is_measured"),
        quota_amount=as_money(prorate(whole_cents(c("quota_amount")))),
        known_at="quota_known_at",
        assumed="quota_assumed",
    ).drop("quota_known_at", "quota_assumed", "case_start", "case_end")


def _add_results(parts: pl.DataFrame, firm: Firm, knowledge: Knowledge) -> pl.DataFrame:
    """`achieved` of measured components, with the quota of its own period.

    An additive component is worth this period's result, a factor or gate the newest one that was known.
    """
    c = pl.col
    measured = parts.filter("is_measured").select(
        "case", "component", "rep_id", "at", "kind", this_start="period_start", this_end="period_end"
    )
    results = firm.results.lazy().rename({"period_start": "result_start"})
    own_quota = (
        firm.quotas.lazy()
        .select("rep_id", "component", "period_start", "quota_amount", "known_from", "known_until", "quota_assumed")
        .unique()
        .rename({"period_start": "result_start"})
    )  # fmt: skip
    is_this = c("result_start") == c("this_start")
    may_count = is_this if knowledge is Knowledge.AS_FINAL else is_this | (c("kind") != ADDITIVE)
    found = (
        measured.lazy()
        .join(results, on=["rep_id", "component"])
        .filter(holds(knowledge), c("result_start") <= c("this_start"), may_count)
        .sort("case", "component", "result_start")
        .group_by("case", "component", maintain_order=True)
        .last()
    )
    with_quota = (
        found.select("case", "component", "rep_id", "at", "result_start", "achieved", "known_from", "result_assumed")
        .rename({"known_from": "result_known_at"})
        .join(own_quota, on=["rep_id", "component", "result_start"], how="left")
        .filter(c("known_from").is_null() | holds(knowledge))
        .select(
            "case", "component", "achieved", "result_known_at", "result_assumed",
            result_quota="quota_amount", result_quota_known_at="known_from", result_quota_assumed="quota_assumed",
        )
        .collect()
    )  # fmt: skip
    return parts.join(with_quota, on=["case", "component"], how="left").with_columns(
        quota_amount=pl.when(c("achieved").is_not_null()).then("result_quota").otherwise("quota_amount"),
        known_at=pl.when(c("achieved").is_not_null())
        .then(pl.max_horizontal("result_known_at", "result_quota_known_at"))
        .otherwise("known_at"),
        assumed=c("assumed")
        | c("result_assumed").fill_null(value=False)
        | c("result_quota_assumed").fill_null(value=False),
    )
