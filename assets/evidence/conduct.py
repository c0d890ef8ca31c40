"""What a regulator would ask of each seller, counted: one row of `INDICATORS` per question, as a table of facts.

An indicator counts events among cases (deals, or reviews), both by seller, fiscal quarter of the close and segment. What is
expected of a seller is what everybody's rate in the same quarter and segment would bring. More is worth a look, never a
proof: sellers differ in customers and products too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.dimensions import ALL
from assets.methods.bands import CLOSING_LOAD

_c = pl.col

CELL: Final = ("indicator", "rep_id", "period")
REPLACED_WITHIN_DAYS: Final = 30
OUTCOME_DAYS: Final = 90
SPIKE_LOAD: Final = CLOSING_LOAD.cuts[-1][0]
NO_SEGMENT: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Indicator:
    """One question about a seller's deals.

    Attributes:
        name: word in the column `indicator`.
        events: what is counted, per deal; null where it can't be known, and then the deal is no case.
        among: which deals are cases.
        compared_with: which cases give the rate that is expected; all of them unless said.
    """

    name: str
    events: pl.Expr
    among: pl.Expr = pl.lit(value=True)  # noqa: RUF009 - an expression is a value
    compared_with: pl.Expr = pl.lit(value=True)  # noqa: RUF009


INDICATORS: Final = (
    Indicator("cancellations", _c("churned_180d")),
    Indicator("cooling_off_cancellations", _c("cancelled_in_cooling_off")),
    Indicator("never_activated", _c("never_activated")),
    Indicator("complaints", _c("complaints_180d")),
    Indicator("mis_sale_complaints", _c("mis_sale_complaints_180d")),
    Indicator("escalated_complaints", _c("escalated_180d")),
    Indicator("refunds", _c("refunded_90d")),
    Indicator("clawbacks", _c("clawed_back_180d")),
    Indicator("losses_without_clawback", ~_c("clawed_back_180d"), among=_c("churned_180d")),
    Indicator("closing_spikes", _c("closing_load") > SPIKE_LOAD),
    Indicator("period_end_closes", _c("period_end_close")),
    Indicator("threshold_closes", _c("is_pivotal")),
    Indicator("replacements", _c("replaces_across_period_end")),
    Indicator("vulnerable_cancellations", _c("churned_180d"), among=_c("is_vulnerable"), compared_with=~_c("is_vulnerable")),
    Indicator("without_consent", ~_c("consented")),
)  # fmt: skip


def describe_cases(
    *,
    deal_outcomes: pl.LazyFrame,
    deal_incentives: pl.LazyFrame,
    opportunities: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    complaints: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Won deals with a day of close, and beside their outcomes what only regulators ask for.

    Returns:
        The columns of `deal_outcomes`, and `segment` without nulls, `cancelled_in_cooling_off`, `never_activated`,
        `escalated_180d`, `replaces_across_period_end`, `consented`; each null where it can't be known, or its source is absent.
    """
    start, until = _c("closed_on"), _c("observed_until")
    cooling = timedelta(days=company.cooling_off_days)
    requests = customer_events.filter((_c("kind") == "cancel_request") & ~_c("contradicted"))
    early = requests.group_by("opportunity_id").agg(requested_on=_c("date").min())
    escalated = (
        customer_events.filter((_c("kind") == "complaint") & ~_c("contradicted"))
        .join(
            complaints.filter(_c("escalated_at").is_not_null()), left_on="event_id", right_on="complaint_id", how="semi"
        )
        .join(deal_outcomes.select("opportunity_id", "closed_on"), on="opportunity_id")
        .filter((_c("date") - start).dt.total_days() <= 180)
        .group_by("opportunity_id")
        .agg(escalated=pl.len().cast(pl.Int64))
    )  # fmt: skip
    newest = (
        opportunities.sort("opportunity_id", "recorded_at", nulls_last=False)
        .group_by("opportunity_id")
        .agg(_c("consented").last())
    )
    dormant = (_c("days_to_churn") <= company.churn.days).fill_null(value=False)
    idle = (
        ~_c("started_90d")
        if company.churn.kind == "contract"
        else pl.when(_long_seen(company.churn.days)).then(dormant)
    )
    within = pl.min_horizontal("churned_on", "requested_on") <= start + cooling
    can_end = company.has("subscriptions") or company.has("subscription_events")
    return (
        deal_outcomes.filter(start.is_not_null() & _c("rep_id").is_not_null())
        .join(early, on="opportunity_id", how="left")
        .join(escalated, on="opportunity_id", how="left")
        .join(newest, on="opportunity_id", how="left")
        .join(_find_replacements(deal_outcomes, deal_incentives, subscriptions), on="opportunity_id", how="left")
        .with_columns(
            segment=_c("segment").fill_null(NO_SEGMENT),
            cancelled_in_cooling_off=pl.when((start + cooling <= until) & can_end & _c("account_id").is_not_null()).then(within.fill_null(value=False)),
            never_activated=idle,
            escalated_180d=pl.when(_c("mature_180d") & company.has("complaints", "escalated_at")).then(_c("escalated").fill_null(0)),
            replaces_across_period_end=pl.when(_c("account_id").is_not_null() & company.has("subscriptions")).then(
                _c("replaces").fill_null(value=False)
            ),
        )
    )  # fmt: skip


def _long_seen(days: int) -> pl.Expr:
    return _c("clock_start_on") + timedelta(days=days) <= _c("observed_until")


def _find_replacements(
    deal_outcomes: pl.LazyFrame, deal_incentives: pl.LazyFrame, subscriptions: pl.LazyFrame
) -> pl.LazyFrame:
    """Deals that follow, or come before, the end of the same customer's contract for the same product in another pay period.

    The pay period is the seller's; without one the calendar month of the close.
    """
    periods = (
        deal_incentives.filter((_c("credit_type") == "primary") & _c("period_start").is_not_null())
        .group_by("opportunity_id")
        .agg(_c("period_start").min(), _c("period_end").min())
    )
    month = _c("closed_on").dt.month_start()
    sold = (
        deal_outcomes.join(periods, on="opportunity_id", how="left")
        .filter(_c("account_id").is_not_null() & _c("product_id").is_not_null())
        .select(
            "opportunity_id", "account_id", "product_id", "closed_on",
            begins=pl.coalesce("period_start", month), ends=pl.coalesce("period_end", month.dt.offset_by("1mo")),
        )
    )  # fmt: skip
    ended = subscriptions.filter(_c("ended_at").is_not_null()).select(
        "account_id", "product_id", earlier="opportunity_id", ended_on=_c("ended_at").dt.date()
    )
    apart = (_c("ended_on") - _c("closed_on")).dt.total_days().abs() <= REPLACED_WITHIN_DAYS
    elsewhere = (_c("ended_on") < _c("begins")) | (_c("ended_on") >= _c("ends"))
    return (
        sold.join(ended, on=["account_id", "product_id"])
        .filter(apart & elsewhere & (_c("earlier") != _c("opportunity_id")).fill_null(value=True))
        .select("opportunity_id", replaces=pl.lit(value=True))
        .unique()
    )


def count_events(cases: pl.LazyFrame) -> pl.DataFrame:
    """Events and cases of every indicator.

    Args:
        cases: from `describe_cases`.

    Returns:
        One row per indicator, seller, `quarter` and `segment`: `observed` events, `cases`, and `of_compared`,
        `compared`, the events and cases that the expected rate is made of (a case may be in one and not the other).
        Whole numbers. Indicators without a case have no row.
    """
    parts = []
    by = ["rep_id", "segment", _c("cohort_quarter").alias("quarter")]
    for indicator in INDICATORS:
        events = indicator.events.cast(pl.Int64)
        known = events.is_not_null()
        inside = (indicator.among & known).fill_null(value=False)
        compared = indicator.compared_with.fill_null(value=False) & known
        if indicator.compared_with.meta.eq(pl.lit(value=True)):
            compared = inside
        parts.append(
            cases.group_by(by)
            .agg(
                observed=events.filter(inside).sum(),
                cases=inside.sum().cast(pl.Int64),
                of_compared=events.filter(compared).sum(),
                compared=compared.sum().cast(pl.Int64),
            )
            .filter((_c("cases") > 0) | (_c("compared") > 0))
            .with_columns(indicator=pl.lit(indicator.name))
        )
    return pl.concat(pl.collect_all(parts))


def count_reviews(quality_reviews: pl.LazyFrame, quarter: pl.Expr) -> pl.DataFrame:
    """Failed reviews among all, in the shape of `count_events`; `quarter` names the fiscal quarter of `reviewed_at`."""
    known = quality_reviews.filter(_c("passed").is_not_null()).with_columns(quarter=quarter)
    failed = (~_c("passed")).sum().cast(pl.Int64)
    return (
        known.group_by("rep_id", "quarter")
        .agg(observed=failed, cases=pl.len().cast(pl.Int64))
        .with_columns(
            segment=pl.lit(NO_SEGMENT), of_compared="observed", compared="cases", indicator=pl.lit("failed_reviews")
        )
        .collect()
    )  # fmt: skip


def expect_events(counts: pl.DataFrame) -> pl.DataFrame:
    """What everybody's rate in the same quarter and segment would bring each seller.

    Args:
        counts: from `count_events` and `count_reviews`.

    Returns:
        One row per indicator, seller and `period` (quarter, or `all`) with a case: `observed`, `cases` (Int64), `expected`
        (Float64). Expected counts are added as whole numbers of 1e-9, so the order of the rows does not matter.
    """
    stratum = ["indicator", "quarter", "segment"]
    rates = counts.group_by(stratum).agg(rate=_c("of_compared").sum() / _c("compared").sum())
    whole = (_c("cases") * _c("rate").fill_nan(0.0) * 1e9).round().cast(pl.Int64)
    cells = (
        counts.filter(_c("cases") > 0)
        .join(rates, on=stratum)
        .with_columns(whole=whole)
        .rename({"quarter": "period"})
    )
    both = pl.concat([cells, cells.with_columns(period=pl.lit(ALL))])
    return (
        both.group_by(CELL)
        .agg(_c("observed", "cases", "whole").sum())
        .select(*CELL, "observed", "cases", expected=_c("whole") / 1e9)
        .sort(CELL)
    )


def find_product_skew(cases: pl.LazyFrame) -> pl.DataFrame:
    """The product that each seller sold most beyond what everybody sold to the same segments in the same quarter.

    Returns:
        As `expect_events`, with `tests`, the number of products the worst was picked from; indicator `product_skew`.
    """
    by = ["rep_id", "quarter", "segment"]
    sold = (
        cases.filter(_c("product_id").is_not_null())
        .group_by("rep_id", "segment", "product_id", quarter="cohort_quarter")
        .agg(n=pl.len().cast(pl.Int64))
        .collect()
    )
    market = sold.group_by("quarter", "segment", "product_id").agg(_c("n").sum())
    shares = market.with_columns(share=_c("n") / _c("n").sum().over("quarter", "segment")).drop("n")
    own = sold.group_by(by).agg(cases=_c("n").sum())
    expected = (
        own.join(shares, on=["quarter", "segment"])
        .join(sold, on=[*by, "product_id"], how="left")
        .with_columns(whole=(_c("cases") * _c("share") * 1e9).round().cast(pl.Int64), observed=_c("n").fill_null(0))
        .rename({"quarter": "period"})
    )  # fmt: skip
    both = pl.concat([expected, expected.with_columns(period=pl.lit(ALL))])
    products = both.group_by("rep_id", "period", "product_id").agg(_c("observed", "cases", "whole").sum())
    excess = (_c("observed") * 10**9 - _c("whole")).alias("excess")
    total = (
        pl.concat([own, own.with_columns(quarter=pl.lit(ALL))])
        .group_by("rep_id", period="quarter")
        .agg(_c("cases").sum())
    )  # fmt: skip
    return (
        products.with_columns(excess)
        .sort("rep_id", "period", "excess", "product_id", descending=[False, False, True, False])
        .group_by("rep_id", "period", maintain_order=True)
        .agg(_c("observed", "whole").first(), tests=pl.len().cast(pl.Int64))
        .join(total, on=["rep_id", "period"])
        .select(
            pl.lit("product_skew").alias("indicator"), "rep_id", "period", "observed", "cases", "tests",
            expected=_c("whole") / 1e9,
        )
    )  # fmt: skip
