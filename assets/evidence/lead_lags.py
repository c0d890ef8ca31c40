"""The table `lead_lags`."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any, Final

import numpy as np
import polars as pl

from assets.company import Company
from assets.evidence.suppression import blank, is_small
from assets.evidence.team_series import SERIES, STAGES, TeamSeries, lay_out_series
from assets.methods.cross_lagged import Lead, fit_leads
from assets.methods.false_discovery import adjust_p_values
from assets.table import table_asset
from expectations.contracts.listening import LEAD_LAGS

_c = pl.col

LAGS: Final = 2
"""Quarters looked back, all at once: more would leave three years of quarters little to compare."""
_NUMBERS: Final = (
    "estimate", "estimate_lo", "estimate_hi", "p_value", "q_value", "n", "teams", "quarters", "n_accounts", "n_sellers",
)  # fmt: skip
_WORDS: Final = {
    "revenue_weight_share": "the share of target pay that hangs on selling",
    "emcr_mean": "commission on the next dollar",
    "style_composite": "hard selling",
    "churn_rate": "customers lost",
    "complaint_rate": "complaints",
}


@table_asset(LEAD_LAGS)
def lead_lags(
    *,
    value_drift: pl.LazyFrame,
    selling_style: pl.LazyFrame,
    deal_outcomes: pl.LazyFrame,
    account_months: pl.LazyFrame,
    reps: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Whether pay drifts before behaviour, and behaviour before outcomes: which team series tells of which, later.

    One row per pair of series of different stages, in both directions, and lag in quarters. Steps: lay pay, style and outcomes of
    each team side by side by fiscal quarter, hidden cells left out; regress each series on two quarters' past of itself and of the
    other, team and quarter effects taken out (`assets/methods/cross_lagged.py`); count false discoveries over all rows.

    A lead is no cause: what comes first may only be quicker to follow something else. A pair in which both directions tell is
    no lead of either. A few years of quarters tell large leads only: a wide interval is not a nil.
    """
    # the day after the last one observed lies in the first month that is not over
    after = company.as_of + timedelta(days=1)
    series = lay_out_series(
        value_drift=value_drift,
        selling_style=selling_style,
        deal_outcomes=deal_outcomes,
        account_months=account_months,
        reps=reps,
        fiscal_start_month=company.fiscal_start_month,
        last_whole_month=f"{after.replace(day=1) - timedelta(days=1):%Y-%m}",
    )
    return find_leads(series)


def find_leads(series: TeamSeries) -> pl.LazyFrame:
    """Rows of `marts/lead_lags`, sorted; pairs of which a series is not known anywhere have none."""
    known = [name for name, table in series.tables.items() if np.isfinite(table).any()]
    rows = [
        _write(series, leading, following, lead)
        for leading, following in permutations(known, 2)
        if SERIES[leading] != SERIES[following]
        for lead in fit_leads(series.tables[leading], series.tables[following], LAGS)
    ]
    table = pl.DataFrame(
        rows, schema={name: LEAD_LAGS.schema[name] for name in LEAD_LAGS.schema if name != "q_value"}
    )
    p_values = (
        table.select(pl.when(~_c("suppressed")).then("p_value").fill_null(np.nan)).to_series().to_numpy()
    )
    return (
        table.with_columns(q_value=pl.Series(adjust_p_values(p_values), dtype=pl.Float64).fill_nan(None))
        .with_columns(pl.selectors.float().round_sig_figs(9))
        .lazy()
        .pipe(blank, _NUMBERS)
        .select(LEAD_LAGS.schema.names())
        .sort(LEAD_LAGS.key)
    )


def _write(series: TeamSeries, leading: str, following: str, lead: Lead) -> dict[str, Any]:
    told = [np.isfinite(series.tables[name]).any(axis=1) for name in (leading, following)]
    names = [series.teams[i] for i in np.flatnonzero(np.all(told, axis=0))]
    counted = series.people.filter(_c("team").is_in(names)).select(_c("n_sellers", "n_accounts").sum())
    people, hidden = counted.row(0), bool(counted.select(is_small(knows_largest=False)).item())
    numbers = {
        "estimate": lead.estimate,
        "estimate_lo": lead.lo,
        "estimate_hi": lead.hi,
        "p_value": lead.p_value,
    }
    return {
        "link": " to ".join(sorted((SERIES[leading], SERIES[following]), key=STAGES.index)),
        "leading_series": leading,
        "following_series": following,
        "lag_quarters": lead.lag,
        "is_claimed_order": STAGES.index(SERIES[leading]) < STAGES.index(SERIES[following]),
        **{name: None if np.isnan(value) else value for name, value in numbers.items()},
        "n": lead.n,
        "teams": lead.n_units,
        "quarters": lead.n_periods,
        "n_sellers": people[0],
        "n_accounts": people[1],
        "lead_null_reason": "few_people" if hidden else lead.reason or None,
        "suppressed": hidden,
        "sentence": _say(leading, following, lead, hidden=hidden),
    }  # fmt: skip


def _say(leading: str, following: str, lead: Lead, *, hidden: bool) -> str:
    first, then = _WORDS[leading], _WORDS[following]
    later = "a quarter later" if lead.lag == 1 else f"{lead.lag} quarters later"
    if hidden or lead.reason:
        return f"No number for {then} {later} than {first}: {'few people' if hidden else lead.reason.replace('_', ' ')}."
    said = (
        f"Where {first} stood one standard deviation above the team's usual, {then} {later} stood {abs(lead.estimate):.2f} standard "
        f"deviations {'higher' if lead.estimate >= 0 else 'lower'} (95 % CI {lead.lo:.2f} to {lead.hi:.2f}), beyond what the past of both told"
    )
    nil = (
        "; the interval holds 0: no lead is shown, and none within it is ruled out"
        if lead.lo <= 0 <= lead.hi
        else ""
    )
    return f"{said}{nil}; {lead.n_units} teams over {lead.n_periods} quarters; what comes first need not be the cause."
