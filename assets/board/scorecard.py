"""The board's numbers put together: value, interval, change, grade and a sentence for each."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from assets.board.figures import Figure, Marts, Measure
from assets.board.measures import LEADING, MEASURES
from assets.company import Company
from assets.evidence.exposure import name_quarter, number_quarter
from assets.evidence.lags import number_causes
from expectations.contracts.board import BOARD_SCORECARD

ORGANISATION: Final = "all"
SHARES: Final = ("share of 1", "money of pay per money of credit", "points")
"""Units that are read in percent, and differences of them."""

GRADES: Final = (("A", 0.95, 0.95), ("B", 0.80, 0.50))
"""Grade, least share of known inputs, least mature share; below both: C.

A: at most one observation in twenty is missing, within what rounding hides. B: what is missing could move a share by a fifth of
its size at most, and half could be followed to the end.
"""

_c = pl.col


def score(
    *,
    deal_outcomes: pl.LazyFrame,
    churn_by_incentive: pl.LazyFrame,
    complaints_by_incentive: pl.LazyFrame,
    incentive_value: pl.LazyFrame,
    conduct_indicators: pl.LazyFrame,
    feedback_hops: pl.LazyFrame,
    selling_style: pl.LazyFrame,
    customer_distance: pl.LazyFrame,
    unmet_needs: pl.LazyFrame,
    market_shifts: pl.LazyFrame,
    themes: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Take at most fifteen numbers out of the marts.

    Args:
        deal_outcomes: the mart.
        churn_by_incentive: the mart.
        complaints_by_incentive: the mart.
        incentive_value: the mart.
        conduct_indicators: the mart; nothing of a single seller reaches the page.
        feedback_hops: the mart.
        selling_style: the mart.
        customer_distance: the mart.
        unmet_needs: the mart.
        market_shifts: the mart.
        themes: core; what people call them.
        company: `as_of` and the fiscal year.

    Returns:
        The columns of the contract BOARD_SCORECARD for the last fiscal quarter that had ended by `as_of`. Each measure has
        its place on the page; one whose source is absent has no row. Outcomes that need time are those of the newest
        quarter of deals that had it; the sentence names it. The change is against the quarter before that one.
    """
    # a quarter has ended when the day after as_of belongs to another
    tomorrow = pl.lit(company.as_of + timedelta(days=1))
    quarter = int(pl.select(number_quarter(tomorrow, company.fiscal_start_month)).item()) - 1
    sellers = deal_outcomes.select("opportunity_id", "rep_id")
    local_day = _c("entered_at").dt.convert_time_zone(company.timezone).dt.date()
    marts = Marts(
        deals=deal_outcomes.select(
            "account_id", "rep_id", "cohort_quarter", "emcr", "relative_intensity", "month_end",
        ).collect(),
        churn=churn_by_incentive.collect(),
        complaints=complaints_by_incentive.collect(),
        value=incentive_value.collect(),
        conduct=conduct_indicators.collect(),
        hops=number_causes(feedback_hops, company)
        .join(sellers, on="opportunity_id", how="left")
        .select(
            "hop", "account_id", "rep_id", "days", "time_since", "cause",
            quarter=number_quarter(local_day, company.fiscal_start_month),
        )
        .collect(),
        style=selling_style.collect(),
        distance=customer_distance.collect(),
        needs=unmet_needs.collect(),
        shifts=market_shifts.collect(),
        themes=themes.select("theme_id", "label").drop_nulls().collect(),
        quarter=quarter,
        fiscal_start_month=company.fiscal_start_month,
    )  # fmt: skip
    found = [
        (place, measure, measure.find(marts, quarter)) for place, measure in enumerate(MEASURES, start=1)
    ]
    page = pl.select(name_quarter(pl.lit(quarter))).item()
    rows = [
        {"organisation": ORGANISATION, "quarter": page, "position": place, **_line(measure, figure, marts)}
        for place, measure, figure in found
        if figure is not None
    ]
    return pl.LazyFrame(rows, schema=BOARD_SCORECARD.schema).with_columns(pl.selectors.float().round(8))


def _line(measure: Measure, figure: Figure, marts: Marts) -> dict[str, object]:
    before = measure.find(marts, marts.quarter - 1) if measure.has_quarter else None
    change = None
    if before is not None and before.value is not None and figure.value is not None:
        change = figure.value - before.value
    return {
        "chapter": measure.chapter,
        "measure_name": measure.name,
        "measure_value": figure.value,
        "measure_lo": figure.lo,
        "measure_hi": figure.hi,
        "measure_unit": measure.unit,
        "change_value": change,
        "n": None if figure.suppressed else figure.n,
        "mature_share": None if figure.suppressed else figure.mature_share,
        "quality_grade": _grade(figure),
        "evidence_level": 0,
        "suppressed": figure.suppressed,
        "sentence": _say(measure, figure, change),
    }


def _grade(figure: Figure) -> str:
    mature = figure.mature_share or 0.0
    return next((g for g, known, seen in GRADES if figure.known_share >= known and mature >= seen), "C")


def format_number(value: float | None, unit: str, *, signed: bool = False) -> str:
    """A number as people read it: shares and rates of pay in percent, differences in percentage points, others plainly."""
    if value is None:
        return "not known"
    if signed and abs(value) < (0.0005 if unit in SHARES else 0.005):
        return "no change"
    sign = "+" if signed else ""
    if unit in SHARES[:2]:
        return f"{100 * value:{sign}.1f} points" if signed else f"{100 * value:.1f} %"
    if unit == "points":
        return f"{100 * value:+.1f} points"
    return f"{value:{sign}.0f}" if unit == "days" else f"{value:{sign}.2f}"


def _say(measure: Measure, figure: Figure, change: float | None) -> str:
    if figure.suppressed:
        return f"{measure.name}: not shown, because too few sellers or customers stand behind it."
    if figure.value is None:
        return f"{measure.name}: nothing was observed for {figure.when}."
    high, low, dimension = figure.groups
    text = measure.sentence.format(
        value=format_number(figure.value, measure.unit),
        when=figure.when,
        high=high,
        low=low,
        dimension=LEADING.get(dimension, dimension),
    )
    facts = []
    if figure.lo is not None or figure.hi is not None:
        limits = [format_number(x, measure.unit) if x is not None else "any" for x in (figure.lo, figure.hi)]
        facts.append(f"95 % interval {limits[0]} to {limits[1]}")
    facts.append(f"n = {figure.n:,}")
    if figure.mature_share is not None and figure.mature_share < 1:
        facts.append(f"{100 * figure.mature_share:.0f} % of them observed long enough")
    if figure.known_share < GRADES[0][1]:
        facts.append(
            f"{100 * figure.known_share:.0f} % of the deals have a known pay; what is not on record yet is left out"
        )
    if change is not None:
        facts.append(f"{format_number(change, measure.unit, signed=True)} against the quarter before")
    return f"{text} ({'; '.join(facts)}; evidence level 0.)"
