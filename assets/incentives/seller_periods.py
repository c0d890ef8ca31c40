"""Every pay period that a seller had, with or without a deal, and the stretches of it spent on one plan version."""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from assets.incentives.credit_places import find_periods_today
from assets.incentives.credits import COMPONENT
from assets.incentives.firm import Firm
from assets.incentives.knowledge import Knowledge, holds
from assets.incentives.plans_today import PLAN, PlansToday
from assets.methods.calendar import list_months
from assets.methods.exact import as_money, divide_half_up, whole_cents

SPAN: Final = ("rep_id", "plan_id", "period_start")
"""Names a seller's pay period on a plan; `plan_id` is null where the seller had none."""

_c = pl.col


def list_quotas_today(firm: Firm) -> pl.DataFrame:
    """Newest quotas: `rep_id`, `component`, `period_start`, `period_end`, `quota_amount`, one row each."""
    return (
        firm.quotas.filter(holds(Knowledge.AS_FINAL))
        .select("rep_id", "component", "period_start", "period_end", "quota_amount")
        .unique()
        .sort("rep_id", "component", "period_start")
    )


def list_seller_periods(
    firm: Firm, placed: pl.DataFrame, results: pl.DataFrame, plans: PlansToday
) -> pl.DataFrame:
    """Pay periods that have begun: those of credits, of quotas, of measured results, and of guaranteed pay.

    A seller who is guaranteed something (a draw, a floor) has a period whatever is sold; such periods are looked for from the
    firm's first period on.

    Args:
        firm: from `read_firm`.
        placed: from `place_credits`.
        results: from `read_results_today`.
        plans: from `read_plans_today`.

    Returns:
        One row per `SPAN`, sorted: `period_end` (exclusive). Of two periods that start on one day the longer one is kept.
    """
    as_of = firm.company.as_of
    quotas = list_quotas_today(firm)
    ends = ["rep_id", "period_start", "period_end"]
    of_credits = placed.select("rep_id", "plan_id", "period_start", "period_end").drop_nulls("period_start")
    with_quota = _on_plans(quotas.select(ends), plans.terms)
    first = pl.concat([of_credits["period_start"], quotas["period_start"]]).min()
    asked = [results.select("rep_id", "component", on="period_start")]
    if isinstance(first, date):
        asked.append(_guaranteed_months(plans, first, as_of))
    places = _hold_terms(pl.concat(asked), plans.terms).with_columns(
        at=_c("on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    found = find_periods_today(places.lazy(), firm)
    others = found.select("rep_id", "plan_id", "period_start", "period_end").collect()
    return (
        pl.concat([of_credits, with_quota, others.drop_nulls("period_start")])
        .filter(_c("period_start") <= as_of)
        .group_by(SPAN)
        .agg(_c("period_end").max())
        .sort(SPAN)
    )


def _on_plans(periods: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """Periods with each plan that the seller was on in them; null where on none."""
    on = _overlap(periods, terms).select("rep_id", "plan_id", "period_start", "period_end").unique()
    none = periods.unique().join(on, on=["rep_id", "period_start", "period_end"], how="anti")
    return pl.concat([on, none.with_columns(plan_id=pl.lit(None, dtype=pl.String)).select(on.columns)])


def _overlap(periods: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """Periods joined to the terms that held on some day of them, with `held_from` and `held_until` (exclusive)."""
    until = _c("holds_until")
    return (
        periods.lazy()
        .unique()
        .join(terms.lazy(), on="rep_id")
        .filter(_c("holds_from") < _c("period_end"), until.is_null() | (until > _c("period_start")))
        .with_columns(
            held_from=pl.max_horizontal("holds_from", "period_start"),
            held_until=pl.min_horizontal("holds_until", "period_end"),
        )
        .filter(_c("held_from") < _c("held_until"))
        .collect()
    )


def _hold_terms(asked: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """Days of sellers with the plan that held on them."""
    until = _c("holds_until")
    held = (
        asked.lazy()
        .unique()
        .join(terms.lazy().select("rep_id", "plan_id", "period", "fiscal_start_month", "holds_from", "holds_until"), on="rep_id")
        .filter(_c("holds_from") <= _c("on"), until.is_null() | (_c("on") < until))
        .drop("holds_from", "holds_until")
        .collect()
    )  # fmt: skip
    return asked.unique().join(held, on=["rep_id", "component", "on"], how="left")


def _guaranteed_months(plans: PlansToday, first: date, as_of: date) -> pl.DataFrame:
    """A day in every month of the terms that guarantee pay: `rep_id`, `component`, `on`."""
    lead = plans.components.filter("is_lead").select(*PLAN, "component")
    start = pl.max_horizontal("holds_from", pl.lit(first))
    stop = pl.min_horizontal("holds_until", pl.lit(as_of) + pl.duration(days=1))
    return (
        plans.terms.filter(_c("draw").is_not_null() | _c("floor").is_not_null())
        .join(lead, on=PLAN, how="left")
        .select("rep_id", _c("component").fill_null(COMPONENT), start=start, stop=stop)
        .filter(_c("start") < _c("stop"))
        .with_columns(month=list_months(_c("start"), _c("stop")))
        .explode("month", empty_as_null=False)
        .select("rep_id", "component", on=pl.max_horizontal("start", "month"))
    )


def cut_into_segments(spans: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """The stretches of each period that are paid on their own.

    Under `segment_prorated` each plan version is one, and what is stated per period is prorated by days, half up to cents;
    otherwise the whole period is one, under the version that held last.

    Args:
        spans: from `list_seller_periods`.
        terms: newest assignments.

    Returns:
        One row per segment, sorted: `SPAN`, `period_end`, `version`, `segment` (from 1), `days`, `period_days`,
        `is_prorated`, `versions` (how many of the plan held), and per segment `cap`, `floor`, `draw`, `target_incentive` Decimal(18,2); `draw_kind`,
        `plan_currency`. Periods without a plan have none.
    """
    held = (
        _overlap(spans.drop_nulls("plan_id"), terms)
        .filter(_c("plan_id") == _c("plan_id_right"))
        .drop("plan_id_right")
        .sort(*SPAN, "held_from")
    )
    is_prorated = (_c("mid_period_policy") == "segment_prorated").fill_null(value=False)
    policy = is_prorated.last().over(SPAN)
    # two assignments to one version that touch are one stretch; a return to it after another version is not
    changed = (_c("version") != _c("version").shift()) | (_c("held_from") != _c("held_until").shift())
    number = changed.fill_null(value=True).cast(pl.Int64).cum_sum().over(SPAN)
    segments = (
        held.with_columns(is_prorated=policy, segment=pl.when(policy).then(number).otherwise(1))
        .group_by(*SPAN, "segment", maintain_order=True)
        .agg(
            _c("period_end", "is_prorated").last(),
            _c("version", "cap", "floor", "draw", "draw_kind", "target_incentive", "plan_currency").last(),
            versions=_c("version").n_unique().cast(pl.Int64),
            held_days=(_c("held_until") - _c("held_from")).dt.total_days().sum(),
        )
        .with_columns(period_days=(_c("period_end") - _c("period_start")).dt.total_days())
        .with_columns(days=pl.when("is_prorated").then("held_days").otherwise("period_days"))
        .drop("held_days")
    )
    money = ("cap", "floor", "draw", "target_incentive")
    return segments.with_columns(prorate(name).alias(name) for name in money)


def prorate(name: str) -> pl.Expr:
    """Money of a period times `days` over `period_days`, half up to cents."""
    days, whole = (_c(n).cast(pl.Int128) for n in ("days", "period_days"))
    return as_money(divide_half_up(whole_cents(_c(name)) * days, whole))
