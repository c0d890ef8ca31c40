"""The table `conduct_indicators`."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from assets.company import Company
from assets.evidence.conduct import (
    CELL,
    count_events,
    count_reviews,
    describe_cases,
    expect_events,
    find_product_skew,
)
from assets.evidence.conduct_money import measure_money
from assets.evidence.exposure import name_quarter, number_quarter
from assets.methods.false_discovery import adjust_p_values
from assets.methods.funnel import estimate_dispersion, find_limit, place_in_funnel
from assets.methods.rates import fit_gamma_prior
from assets.table import table_asset
from expectations.contracts.conduct import CONDUCT_INDICATORS

FALSE_DISCOVERY: Final = 0.05
WORTH_A_LOOK: Final = 1.5

_c = pl.col


@table_asset(CONDUCT_INDICATORS)
def conduct_indicators(
    *,
    deal_outcomes: pl.LazyFrame,
    deal_incentives: pl.LazyFrame,
    opportunities: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    complaints: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    quality_reviews: pl.LazyFrame,
    credits: pl.LazyFrame,  # noqa: A002 - parameters carry the names of the tables they read
    ledger: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """What regulators ask of each seller, with what chance alone would bring.

    One row per `rep_id`, `period` (fiscal quarter of the close, or `all`) and `indicator`. Steps: count events among cases;
    expect everybody's rate in the same quarter and segment; shrink the ratio; place it in a funnel as wide as sellers
    differ; flag at a false-discovery rate of 5 % among all indicators and sellers of a period. A flag says "investigate": it
    is no finding about a person, and never a ranking.
    """
    cases = describe_cases(
        deal_outcomes=deal_outcomes,
        deal_incentives=deal_incentives,
        opportunities=opportunities,
        customer_events=customer_events,
        complaints=complaints,
        subscriptions=subscriptions,
        company=company,
    )
    local_day = _c("reviewed_at").dt.convert_time_zone(company.timezone).dt.date()
    quarter = name_quarter(number_quarter(local_day, company.fiscal_start_month))
    cases = cases.collect().lazy()
    reviews = count_reviews(quality_reviews, quarter)
    counted = count_events(cases)
    counts = pl.concat([counted, reviews.select(counted.columns)])
    skew = find_product_skew(cases)
    events = pl.concat([expect_events(counts).with_columns(tests=pl.lit(1, pl.Int64)), skew], how="diagonal")
    money = measure_money(deal_outcomes, deal_incentives, credits, ledger)
    return judge_counts(events, money).lazy()


def judge_counts(events: pl.DataFrame, money: pl.DataFrame) -> pl.DataFrame:
    """Put every count beside what is expected and what is unusual.

    Args:
        events: from `expect_events` and `find_product_skew`.
        money: from `measure_money`: described, never flagged.

    Returns:
        The columns of the contract CONDUCT_INDICATORS, sorted by key.
    """
    placed = [_place(part) for _, part in events.sort(CELL).group_by("indicator", maintain_order=True)]
    empty = CONDUCT_INDICATORS.empty().collect()
    if placed:
        judged = _flag(pl.concat(placed))
        empty = judged.select(pl.col(n).cast(t) for n, t in CONDUCT_INDICATORS.schema.items())
    described = money.with_columns(reviews=pl.lit("described, not judged"), is_flagged=pl.lit(value=False))
    both = pl.concat([empty, described], how="diagonal")
    return (
        both.select(CONDUCT_INDICATORS.schema.names()).with_columns(pl.selectors.float().round(8)).sort(CELL)
    )


def _place(part: pl.DataFrame) -> pl.DataFrame:
    """One indicator: the prior is that of the sellers over all periods, the funnel each period's own."""
    whole = part.filter((_c("period") == "all") & (_c("expected") > 0))
    prior = fit_gamma_prior(whole["observed"].to_numpy(), whole["expected"].to_numpy())
    observed, expected = part["observed"].to_numpy(), part["expected"].to_numpy()
    nothing = np.full(len(part), np.nan)
    shrunk = prior.shrink(observed, expected) if prior else None
    chance = prior.chance_above(WORTH_A_LOOK, observed, expected) if prior else nothing
    described = part.with_columns(
        pl.Series("shrunken_ratio", shrunk.estimate if shrunk else nothing),
        pl.Series("shrunken_ratio_lo", shrunk.lo if shrunk else nothing),
        pl.Series("shrunken_ratio_hi", shrunk.hi if shrunk else nothing),
        pl.Series("chance_above_1_5", chance),
    )
    return pl.concat(
        [_place_period(each) for _, each in described.group_by("period", maintain_order=True)]
    ).with_columns(pl.selectors.float().fill_nan(None))


def _place_period(part: pl.DataFrame) -> pl.DataFrame:
    observed, expected = part["observed"].to_numpy(), part["expected"].to_numpy()
    dispersion = estimate_dispersion(observed, expected)
    point = place_in_funnel(observed, expected, dispersion=dispersion)
    p = np.where(expected > 0, np.minimum(point.chance * part["tests"].to_numpy(), 1.0), np.nan)
    return part.with_columns(
        pl.Series("ratio_to_expected", point.ratio),
        pl.Series("funnel_inner", point.limit_inner),
        pl.Series("funnel_outer", point.limit_outer),
        pl.Series("excess_p", p),
        dispersion=pl.lit(dispersion),
        expected_events="expected",
        indicator_value=_c("observed") / _c("cases"),
    )


def _flag(placed: pl.DataFrame) -> pl.DataFrame:
    """Flags of each period, all indicators and sellers one family, and how many stand just below and just above."""
    judged = []
    for _, part in placed.group_by("period", maintain_order=True):
        p = part["excess_p"].fill_null(np.nan).to_numpy()
        q = adjust_p_values(p)
        called = np.where(q <= FALSE_DISCOVERY, p, np.nan)
        tests = int((~np.isnan(p)).sum())
        cut = np.nanmax(called) if np.any(~np.isnan(called)) else FALSE_DISCOVERY / max(tests, 1)
        judged.append(part.with_columns(pl.Series("excess_q", q).fill_nan(None), p_cut=pl.lit(float(cut))))
    family = pl.concat(judged)
    limits = [
        part.with_columns(pl.Series("flagged_from", find_limit_for(part)).fill_nan(None))
        for _, part in family.group_by("indicator", "period", maintain_order=True)
    ]
    short = _c("flagged_from") - _c("observed")
    by = ["indicator", "period"]
    return (
        pl.concat(limits)
        .with_columns(is_flagged=(_c("excess_q") <= FALSE_DISCOVERY).fill_null(value=False))
        .with_columns(
            sellers_just_below=(short == 1).sum().over(by).cast(pl.Int64),
            sellers_just_above=((short <= 0) & (short >= -1)).sum().over(by).cast(pl.Int64),
            reviews=pl.when("is_flagged").then(pl.lit("investigate")).otherwise(pl.lit("nothing unusual")),
        )
    )


def find_limit_for(part: pl.DataFrame) -> np.ndarray:
    """Smallest count of each seller that would be flagged, the other sellers as they are."""
    # p is under the cut from the first count on that a seller like the others stays under with 1 - cut
    cut = part["p_cut"].to_numpy() / part["tests"].to_numpy()
    expected, dispersion = part["expected"].to_numpy(), part["dispersion"][0]
    limits = np.zeros(len(part))
    for value in np.unique(cut):
        same = cut == value
        limits[same] = find_limit(1 - float(value), expected[same], dispersion) + 1
    return np.where(expected > 0, limits, np.nan)
