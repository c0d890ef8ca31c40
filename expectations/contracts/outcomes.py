"""Marts on what happened to the customer after the sale."""

from __future__ import annotations

import polars as pl

from expectations.columns import VOCABULARY
from expectations.columns.outcomes import HORIZONS_DAYS
from expectations.model import Audience, Layer, Reference, Rule, Table, pick

_c = pl.col
_PER_HORIZON = (
    "mature churned complaints mis_sale_complaints refunded clawed_back cancel_requested started".split()  # noqa: SIM905
)
_AT_HORIZONS = " ".join(f"{name}_{days}d" for days in HORIZONS_DAYS for name in _PER_HORIZON)


def _null_unless_mature(days: int) -> Rule:
    return Rule(
        f"outcomes_at_{days}_days_wait_until_mature",
        _c(f"mature_{days}d") | (_c(f"churned_{days}d").is_null() & _c(f"complaints_{days}d").is_null()),
        "Young cohorts would look better than they are.",
    )


DEAL_OUTCOMES = Table(
    Layer.MARTS,
    "deal_outcomes",
    title="One flat table: each won deal, its incentive, and what happened to the customer.",
    grain="one row per won deal",
    key=("opportunity_id",),
    columns=pick(
        VOCABULARY,
        "opportunity_id!! account_id rep_id product_id segment region plan_id version tier closed_at closed_on cohort_month cohort_quarter "
        "amount currency emcr emcr_as_final emcr_forward emcr_with_spiff emcr_lowest emcr_highest base_rate relative_intensity emcr_quintile "
        "intensity_band is_pivotal days_to_period_end period_end_close null_reason incentive_cost_share closing_load month_end cycle_days "
        "discount_share touches_30d touches_after_refusal_30d is_vulnerable is_target_profile is_retroactive is_accelerator is_cliff has_cap has_clawback has_contest "
        "is_all_variable clock_start_on churned_on other_exit_on exit_reason days_to_churn "
        "observed_until outcome_null_reason days_to_first_feedback mrr revenue_kept_12m account_known contradicted " + _AT_HORIZONS,
    ),
    rules=(
        *(_null_unless_mature(days) for days in HORIZONS_DAYS),
        Rule("churn_is_not_before_the_clock", _c("days_to_churn") >= 0, "An event before the clock is an event on day 0."),
    ),
    references=(Reference("account_id", "accounts"),),
    audience=Audience.ANALYST,
    query="SELECT emcr_quintile, count(*) AS deals, avg(churned_180d::INT) AS churn_180d FROM marts.deal_outcomes WHERE mature_180d GROUP BY ALL ORDER BY ALL",
    do_not="Do not average an outcome without its `mature_` flag: immature deals are null, not zero.",
)  # fmt: skip

ACCOUNT_SPELLS = Table(
    Layer.MARTS,
    "account_spells",
    title="Counting-process intervals: who owned the customer when, and how it ended.",
    grain="one row per account, deal and interval [start_day, stop_day)",
    key=("account_id", "opportunity_id", "start_day"),
    columns=pick(
        VOCABULARY,
        "account_id!! opportunity_id!! start_day!! stop_day!! owner_rep_id rep_id emcr_at_sale owner_emcr touches mrr churn_event "
        "other_exit_event complaints",
    ),
    rules=(
        Rule("intervals_are_not_empty", _c("stop_day") > _c("start_day"), "An empty interval has no time at risk."),
        Rule("an_interval_ends_once", ~(_c("churn_event") & _c("other_exit_event")), "Churn and other exits exclude each other."),
    ),
    audience=Audience.ANALYST,
    query="SELECT count(*) AS intervals, sum(stop_day - start_day) AS days_at_risk, sum(churn_event::INT) AS churned FROM marts.account_spells",
    do_not="Do not classify an account by something that happens in a later interval: that is immortal time.",
)  # fmt: skip

ACCOUNT_MONTHS = Table(
    Layer.MARTS,
    "account_months",
    title="The panel: every active deal of every account, month by month.",
    grain="one row per account, active deal and calendar month",
    key=("account_id", "opportunity_id", "month"),
    columns=pick(
        VOCABULARY,
        "account_id!! opportunity_id month!! rep_id owner_rep_id exposure_days!! account_days!! churned complaints refunds feedback "
        "touches mrr_delta emcr_at_sale owner_emcr segment",
    ),
    rules=(
        Rule("account_days_fit_the_exposure", _c("account_days") <= _c("exposure_days") + 1e-6, "A day is divided, never multiplied."),
    ),
    audience=Audience.ANALYST,
    event_time="",
    partitioned=True,
    query="SELECT month, sum(complaints) AS complaints, sum(account_days) / 30.4375 AS account_months FROM marts.account_months GROUP BY month ORDER BY month",
    do_not="Do not sum deal columns over accounts, and do not use `exposure_days` as a denominator of account rates: `account_days` adds up.",
)  # fmt: skip

TABLES = (DEAL_OUTCOMES, ACCOUNT_SPELLS, ACCOUNT_MONTHS)
