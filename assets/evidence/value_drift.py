"""The mart `value_drift`: what target pay hangs on, quarter by quarter."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.evidence.exposure import name_quarter, number_quarter
from assets.evidence.suppression import blank, hide_small_cells
from assets.incentives.exchange import Exchange
from assets.incentives.plans_today import (
    CUSTOMER_MEASURES,
    MEASURES,
    PLAN,
    SELLING_MEASURES,
    PlansToday,
    read_plans_today,
)
from assets.methods.calendar import list_months
from assets.methods.disclosure import MIN_ACCOUNTS, MIN_SELLERS
from assets.methods.trend import fit_slope
from assets.table import table_asset
from expectations.contracts.pay import VALUE_DRIFT

_c = pl.col
_UNIT: Final = ("dimension", "organisation")
_PERIODS_A_YEAR: Final = {"month": 12.0, "quarter": 4.0, "half": 2.0, "year": 1.0}

COMPANY: Final = "company"
TEAM: Final = "team"

_SHARE_OF: Final = {"market_share": "market_share_share"} | {
    m: f"{m}_share" for m in ("revenue", "bookings", "activity", "retention", "satisfaction", "quality")
}
_OTHERS: Final = tuple(m for m in MEASURES if m not in _SHARE_OF)
_SHARES: Final = (
    *_SHARE_OF.values(),
    "other_share",
    "revenue_weight_share",
    "customer_weight_share",
    "gated_share",
)
_SLOPES: Final = ("slope_per_year", "slope_per_year_lo", "slope_per_year_hi")


@table_asset(VALUE_DRIFT)
def value_drift(
    plans: pl.LazyFrame,
    plan_components: pl.LazyFrame,
    plan_tiers: pl.LazyFrame,
    plan_assignments: pl.LazyFrame,
    quotas: pl.LazyFrame,
    fx_rates: pl.LazyFrame,
    reps: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """What target pay hangs on, quarter by quarter: selling, or the customer.

    One row per team, or the whole company, and fiscal quarter since the firm's first quota. Steps: list which seller was on which plan for
    how many days of the quarter; weigh each plan's measures by target incentive (per year, in reporting currency) and days; hide units of fewer than
    five sellers, and what would give them away; put a line through the quarters that are shown.

    Do not read it as pay, and do not take the slope for a cause: it says what plans promised.
    """
    today = read_plans_today(plans, plan_components, plan_tiers, plan_assignments)
    first = quotas.select(_c("period_start").min()).collect().item()
    exchange = Exchange(fx_rates, company.reporting_currency)
    weighed = weigh_sellers(today, reps, exchange, company, first)
    return share_target_pay(weighed, today).lazy()


def weigh_sellers(
    today: PlansToday, reps: pl.LazyFrame, exchange: Exchange, company: Company, first: object
) -> pl.DataFrame:
    """How much target pay each seller had under each plan version in each fiscal quarter.

    Args:
        today: newest plans and assignments.
        reps: core/reps: team, last day of employment, currency.
        exchange: the firm's rates; those of `as_of` count for every quarter.
        company: `as_of`, fiscal year.
        first: first day looked at (date); None: the first assignment.

    Returns:
        One row per seller, plan version and quarter: `rep_id`, `team`, `PLAN`, `quarter` (number), `target` Float64: target incentive of
        those days in reporting currency; null where the incentive or the rate is unknown.
    """
    people = reps.select("rep_id", "team", "left_on").collect()
    stop = pl.lit(company.as_of) + pl.duration(days=1)
    held = (
        today.terms.join(people, on="rep_id", how="left")
        .with_columns(
            start=pl.max_horizontal("holds_from", pl.lit(first, dtype=pl.Date)),
            stop=pl.min_horizontal("holds_until", _c("left_on") + pl.duration(days=1), stop),
        )
        .filter(_c("start") < _c("stop"))
    )
    # months, because a fiscal quarter is three of them wherever the year starts
    days = (
        pl.min_horizontal("stop", _c("month").dt.offset_by("1mo")) - pl.max_horizontal("start", "month")
    ).dt.total_days()
    monthly = (
        held.with_columns(month=list_months(_c("start"), _c("stop")))
        .explode("month", empty_as_null=False)
        .with_columns(
            days=days,
            quarter=number_quarter(_c("month"), company.fiscal_start_month),
            policy=pl.lit("booking"),
            # one rate for all quarters: what a currency did is no drift of the plans
            on=pl.lit(company.as_of),
        )
    )
    rated = exchange.find_rate(
        monthly.lazy(), "rate", currency="plan_currency", day="on", fixed_day="on", policy="policy"
    ).collect()
    a_year = _c("period").replace_strict(_PERIODS_A_YEAR, default=4.0, return_dtype=pl.Float64)
    target = _c("target_incentive").cast(pl.Float64) * a_year * _c("rate").cast(pl.Float64)
    return (
        rated.with_columns(yearly=target)
        .group_by("rep_id", "team", *PLAN, "quarter")
        .agg(
            # one incentive per assignment: the days add up exactly, the rest is a product
            target=pl.when(_c("yearly").is_not_null().all()).then(
                (_c("yearly") * _c("days")).sort().sum() / 365.25
            )
        )
        .sort("quarter", "rep_id", *PLAN)
    )


def share_target_pay(weighed: pl.DataFrame, today: PlansToday) -> pl.DataFrame:
    """Rows of `marts/value_drift`, sorted.

    Args:
        weighed: from `weigh_sellers`.
        today: newest plans.
    """
    units = pl.concat(
        [
            weighed.with_columns(dimension=pl.lit(COMPANY), organisation=pl.lit(COMPANY)),
            weighed.filter(_c("team").is_not_null()).with_columns(
                dimension=pl.lit(TEAM), organisation="team"
            ),
        ]
    )
    by = [*_UNIT, "quarter"]
    rows = units.join(_plan_shares(today), on=PLAN, how="left").sort(*by, "rep_id", *PLAN)
    has_target = _c("target").is_not_null() & _c("revenue_weight_share").is_not_null()
    weight = pl.when(has_target).then("target")
    cells = rows.group_by(by, maintain_order=True).agg(
        *(
            pl.when(weight.sum() > 0).then((weight * _c(name)).sum() / weight.sum()).alias(name)
            for name in _SHARES
        ),
        n_sellers=_c("rep_id").n_unique().cast(pl.Int64),
        sellers_without_target=_c("rep_id").filter(~has_target).n_unique().cast(pl.Int64),
    )
    # no customers stand behind a plan: sellers alone decide what is small
    sized = cells.with_columns(
        n_accounts=_c("n_sellers") * (MIN_ACCOUNTS // MIN_SELLERS), quarter_number="quarter"
    )
    hidden = hide_small_cells(sized, _state_equations(sized), by).drop("n_accounts")
    shown = (
        blank(hidden.lazy(), [*_SHARES, "n_sellers", "sellers_without_target"])
        .collect()
        .join(_fit_slopes(hidden), on=_UNIT, how="left")
        .with_columns(pl.when(~_c("suppressed")).then(name).alias(name) for name in (*_SLOPES, "quarters"))
    )
    return (
        # adding nothing takes the sign off a zero
        shown.with_columns(pl.selectors.float().round(8) + 0.0, quarter=name_quarter(_c("quarter")))
        .select(_c(name).cast(dtype) for name, dtype in VALUE_DRIFT.schema.items())
        .sort(VALUE_DRIFT.key)
    )


def _plan_shares(today: PlansToday) -> pl.DataFrame:
    """Shares of every plan version's target pay, gates apart: `PLAN` and `_SHARES`."""
    paid = _c("combine") != "gate"
    weight = _c("weight").cast(pl.Float64).filter(paid)
    measure = _c("measure").filter(paid)

    def share(*measures: str) -> pl.Expr:
        return pl.when(weight.sum() > 0).then(
            weight.filter(measure.is_in(list(measures))).sum() / weight.sum()
        )

    return today.components.group_by(PLAN, maintain_order=True).agg(
        *(share(m).alias(name) for m, name in _SHARE_OF.items()),
        other_share=share(*_OTHERS),
        revenue_weight_share=share(*SELLING_MEASURES),
        customer_weight_share=share(*CUSTOMER_MEASURES),
        gated_share=(~paid).any().cast(pl.Float64),
    )


def _state_equations(cells: pl.DataFrame) -> pl.DataFrame:
    """The sellers of the teams of a quarter are those of the company."""
    return cells.select(
        "dimension",
        "organisation",
        "quarter",
        equation=pl.format("teams of {}", "quarter"),
        is_total=_c("dimension") == COMPANY,
    )


def _fit_slopes(cells: pl.DataFrame) -> pl.DataFrame:
    """A line through the quarters of each unit that are shown: what is hidden must not show in the slope either."""
    rows = []
    shown = cells.filter(~_c("suppressed"), _c("revenue_weight_share").is_not_null()).sort(
        *_UNIT, "quarter_number"
    )
    for (dimension, organisation), unit in shown.group_by(_UNIT, maintain_order=True):
        slope = fit_slope(unit["quarter_number"].to_numpy() / 4, unit["revenue_weight_share"].to_numpy())
        values = (slope.estimate, slope.lo, slope.hi)
        rows.append(
            {"dimension": dimension, "organisation": organisation, "quarters": slope.n}
            | dict(zip(_SLOPES, values, strict=True))
        )
    schema = {"dimension": pl.String, "organisation": pl.String, "quarters": pl.Int64} | dict.fromkeys(
        _SLOPES, pl.Float64
    )
    return pl.DataFrame(rows, schema=schema).with_columns(pl.selectors.float().fill_nan(None))
