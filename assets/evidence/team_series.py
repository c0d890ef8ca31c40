"""Teams quarter by quarter: what their pay hangs on, how they sell, and what becomes of their customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from assets.core.deals import fiscal_quarter
from assets.evidence.dimensions import number_words
from assets.evidence.exposure import DAYS_PER_MONTH
from assets.evidence.suppression import count_people, is_small
from assets.methods.clusters import Floats

_c = pl.col
_CELL: Final = ("team", "quarter")
_UNIT: Final = 10**8
_DAY_UNITS: Final = 10**6

Stage = Literal["pay", "behaviour", "outcome"]

SERIES: Final[dict[str, Stage]] = {
    "revenue_weight_share": "pay",
    "emcr_mean": "pay",
    "style_composite": "behaviour",
    "churn_rate": "outcome",
    "complaint_rate": "outcome",
}
"""Columns of `lay_out_series`, and which stage of the way from pay to the customer each of them is."""
STAGES: Final[tuple[Stage, ...]] = ("pay", "behaviour", "outcome")
"""In the order in which the claim has them move."""


@dataclass(frozen=True, slots=True)
class TeamSeries:
    """Series of teams, side by side.

    Attributes:
        teams: names in order.
        quarters: numbers of consecutive fiscal quarters (year x 4 + place from 0).
        tables: by series, (teams, quarters); NaN where not known or of too few people.
        people: `team`, `n_sellers`, `n_accounts`, as the series of outcomes have them.
    """

    teams: list[str]
    quarters: list[int]
    tables: dict[str, Floats]
    people: pl.DataFrame


def lay_out_series(
    *,
    value_drift: pl.LazyFrame,
    selling_style: pl.LazyFrame,
    deal_outcomes: pl.LazyFrame,
    account_months: pl.LazyFrame,
    reps: pl.LazyFrame,
    fiscal_start_month: int,
    last_whole_month: str,
) -> TeamSeries:
    """Lay out every series of `SERIES`.

    Args:
        value_drift: the mart; its teams.
        selling_style: the mart; its teams.
        deal_outcomes: the mart; `emcr_mean` is over the deals that the team won in the quarter.
        account_months: the mart; rates are of the customers whose deals the team sold, in the calendar time in which they happen.
        reps: core table; teams as known today.
        fiscal_start_month: of the firm.
        last_whole_month: YYYY-MM; quarters with a month after it are not over and left out.

    Returns:
        The series. Cells that the marts hide are not known here, nor are cells of deals and outcomes that would be too small there.
    """
    teams = reps.filter(_c("team").is_not_null()).select("rep_id", "team")
    rates, people = _rate_outcomes(account_months, teams, fiscal_start_month)
    parts = [
        value_drift.filter(_c("dimension") == "team").select(
            "quarter", "revenue_weight_share", team="organisation"
        ),
        selling_style.filter(~_c("team").is_in(["all", "unknown"])).select(*_CELL, "style_composite"),
        _average_emcr(deal_outcomes, teams),
        rates,
    ]
    cells = pl.concat([p.collect() for p in parts], how="diagonal")
    told = cells.group_by(_CELL).agg(_c(name).drop_nulls().first() for name in SERIES)
    number = _c("quarter").str.slice(0, 4).cast(pl.Int64) * 4 + _c("quarter").str.slice(6).cast(pl.Int64) - 1
    numbered = told.with_columns(number=number).filter(
        _c("number") <= _last_quarter(last_whole_month, fiscal_start_month)
    )
    known = numbered.filter(pl.any_horizontal(_c(name).is_not_null() for name in SERIES))
    names = known["team"].unique().sort().to_list()
    first, last = known["number"].min(), known["number"].max()
    quarters = (
        list(range(int(first), int(last) + 1)) if isinstance(first, int) and isinstance(last, int) else []
    )
    row = number_words(known["team"]).to_numpy()
    column = (known["number"] - (first or 0)).to_numpy()
    tables = {}
    for name in SERIES:
        tables[name] = np.full((len(names), len(quarters)), np.nan)
        tables[name][row, column] = known[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return TeamSeries(names, quarters, tables, people)


def _average_emcr(deal_outcomes: pl.LazyFrame, teams: pl.LazyFrame) -> pl.LazyFrame:
    """Mean deal EMCR per team and quarter of the close, from exact sums of eight decimals."""
    return (
        deal_outcomes.filter(_c("emcr").is_not_null(), _c("cohort_quarter").is_not_null())
        .join(teams, on="rep_id", how="inner")
        .group_by("team", quarter="cohort_quarter")
        .agg(*count_people(), _sum=(_c("emcr") * _UNIT).round().cast(pl.Int64).sum())
        .filter(~is_small())
        .select(*_CELL, emcr_mean=_c("_sum") / _c("n") / _UNIT)
    )


def _rate_outcomes(
    account_months: pl.LazyFrame, teams: pl.LazyFrame, fiscal_start_month: int
) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Customers lost and complaints per 1,000 account-months, per team and quarter, and the people of each team.

    Rates are null without a source of the events. Months are the largest table there is: they are added up by seller in a stream before
    anything else, and accounts are counted by a hash of their names.
    """
    first = (_c("month") + "-01").str.to_date("%Y-%m-%d")
    events = ("churned", "complaints")
    rows = (
        account_months.filter(_c("opportunity_id").is_not_null())
        .select(
            "rep_id",
            *(_c(name).cast(pl.Int64) for name in events),
            account=_c("account_id").hash(),
            quarter=fiscal_quarter(first, fiscal_start_month),
            units=(_c("account_days") * _DAY_UNITS).round().cast(pl.Int64),
        )
        .join(teams, on="rep_id", how="inner")
    )
    sellers = (
        rows.group_by("team", "quarter", "rep_id")
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            _c("units").sum(),
            *(_c(name).sum() for name in events),
            *(_c(name).is_not_null().any().alias(f"knows_{name}") for name in events),
        )
        .collect(engine="streaming")
    )
    accounts = rows.group_by(_CELL).agg(n_accounts=_c("account").n_unique().cast(pl.Int64))
    of_team = rows.group_by("team").agg(n_accounts=_c("account").n_unique().cast(pl.Int64))
    largest = _c("n").sort(descending=True)
    cells = sellers.group_by(_CELL).agg(
        _c("n").sum(),
        _c("units").sum(),
        *(_c(name).sum() for name in events),
        *(_c(f"knows_{name}").any() for name in events),
        n_sellers=pl.len().cast(pl.Int64),
        largest=largest.first(),
        second=largest.get(1, null_on_oob=True).fill_null(0),
    )
    months = _c("units") / (_DAY_UNITS * DAYS_PER_MONTH)
    rates = {
        rate: pl.when(_c(f"knows_{name}") & (months > 0)).then(1000 * _c(name) / months)
        for rate, name in zip(("churn_rate", "complaint_rate"), events, strict=True)
    }
    shown = cells.join(accounts.collect(engine="streaming"), on=_CELL, how="left").filter(~is_small())
    people = sellers.group_by("team").agg(n_sellers=_c("rep_id").n_unique().cast(pl.Int64))
    counted = people.join(of_team.collect(engine="streaming"), on="team", how="left").sort("team")
    return shown.lazy().select(*_CELL, **rates), counted


def _last_quarter(last_whole_month: str, fiscal_start_month: int) -> int:
    """Number of the last fiscal quarter all of whose months are over."""
    year, month = (int(part) for part in last_whole_month.split("-"))
    place = (month - fiscal_start_month) % 12
    ends_in = year + (1 if month >= fiscal_start_month > 1 else 0)
    return ends_in * 4 + place // 3 - (0 if place % 3 == 2 else 1)
