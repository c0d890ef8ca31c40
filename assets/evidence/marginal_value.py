"""What one more unit of incentive money bought: the effect of a move between plans on net value over its effect on pay.

Both are event studies of money per seller and month (`plan_changes`), on the same sellers and days, so their quotient has the interval of
Fieller. Sellers are followed up to the last day whose deals have had their year; months without a deal count as nothing sold and
nothing paid, and what more or fewer deals brought is therefore in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from math import isnan
from typing import Any, Final

import polars as pl

from assets.company import Company
from assets.evidence.moves import (
    ALL_MOVES,
    cast_roles,
    list_designs,
    list_moves,
    list_spans,
    relative_quarter,
)
from assets.evidence.plan_changes import PRE_TREND_P, fit_cells, make_cells
from assets.evidence.sentences import Bought, say_bought
from assets.evidence.value_accounts import FOLLOWED_DAYS, GAIN
from assets.methods.disclosure import MIN_ACCOUNTS, MIN_SELLERS
from assets.methods.event_study import EventStudy
from assets.methods.fieller import divide_estimates
from expectations.cautions import Caution

_c = pl.col

LEVEL: Final = 4
_CENTS: Final = 100


def value_moves(
    deal_outcomes: pl.LazyFrame, accounts: pl.LazyFrame, plan_assignments: pl.LazyFrame, company: Company
) -> Iterator[dict[str, Any]]:
    """One row per kind of move between plans.

    Args:
        deal_outcomes: the mart.
        accounts: from `account_for_deals`.
        plan_assignments: core table.
        company: currency and day of the table.

    Returns:
        Rows of the contract INCENTIVE_VALUE, without amounts: totals of sellers who were moved and of others are no account of a plan.
    """
    who = deal_outcomes.filter(_c("rep_id").is_not_null(), _c("closed_on").is_not_null())
    ends = who.select(_c("observed_until").min()).collect().item()
    deals = (
        who.select("opportunity_id", "rep_id", "closed_on")
        .join(accounts, on="opportunity_id")
        .select("rep_id", "account_id", "closed_on", paid="incentive_paid", net=GAIN)
        .collect()
    )
    moves = list_moves(plan_assignments)
    if deals.is_empty() or moves.is_empty() or not isinstance(ends, date):
        return
    last = min(ends, company.as_of) - timedelta(days=FOLLOWED_DAYS)
    spans = list_spans(plan_assignments, deals, last).join(deals, on="rep_id", how="semi")
    for change, treated in list_designs(moves):
        if change != ALL_MOVES:
            people = cast_roles(treated, moves, spans)
            yield _value(change, str(treated["to_plan"][0]), people, deals, company)


def _value(
    change: str, plan_id: str, people: pl.DataFrame, deals: pl.DataFrame, company: Company
) -> dict[str, Any]:
    followed = (
        deals.lazy()
        .join(people.lazy(), on="rep_id")
        .filter(_c("closed_on") >= _c("from_on"), _c("closed_on") < _c("until_on"))
        .with_columns(month=_c("closed_on").dt.month_start(), relative=relative_quarter("closed_on"))
        .collect()
    )

    def study(value: pl.Expr) -> EventStudy:
        rows = followed.with_columns(_value=value)
        return fit_cells(make_cells("_value", people, rows, _CENTS, per_day=True))

    net, paid = study(_c("net")), study(_c("paid"))
    # a whole number that brings pay to the size of net value, so that the covariance is not lost in rounding
    known = not (isnan(net.average.error) or isnan(paid.average.error)) and paid.average.error > 0
    times = max(1, round(net.average.error / paid.average.error)) if known else 1
    both = study(_c("net") + times * _c("paid"))
    covariance = (both.average.error**2 - net.average.error**2 - (times * paid.average.error) ** 2) / (
        2 * times
    )
    sellers = net.n_treated + net.n_compared
    ratio = (
        divide_estimates(
            (net.average.estimate, net.average.error),
            (paid.average.estimate, paid.average.error),
            covariance,
            sellers - 1,
        )
        if known
        else None
    )
    cautions = {
        *({Caution.FEW_CLUSTERS} if net.is_of_few else ()),
        *({Caution.PRE_TREND} if min(net.pre_trend_p, paid.pre_trend_p) < PRE_TREND_P / 2 else ()),
        *({Caution.NO_WITHIN_VARIATION} if ratio is None else ()),
    }
    customers = followed["account_id"].n_unique()
    hidden = min(net.n_treated, net.n_compared) < MIN_SELLERS or customers < MIN_ACCOUNTS
    row: dict[str, Any] = {
        "plan_id": plan_id, "plan_change": change, "currency": company.reporting_currency, "evidence_level": LEVEL, "suppressed": hidden,
        "warnings": "" if hidden else ", ".join(sorted(cautions)),
    }  # fmt: skip
    numbers = (ratio.estimate, ratio.lo, ratio.hi) if ratio and not hidden else None
    about = Bought(
        change, paid.average.estimate, net.average.estimate, followed.height, net.n_treated, net.n_compared, company.reporting_currency,
        hidden, frozenset(cautions),
    )  # fmt: skip
    row["sentence"] = say_bought(about, numbers)
    if hidden:
        return row
    row |= {"n": followed.height, "n_accounts": customers, "n_sellers": sellers}
    if numbers is not None:
        names = ("net_value_per_dollar", "net_value_per_dollar_lo", "net_value_per_dollar_hi")
        row |= {name: round(value, 8) for name, value in zip(names, numbers, strict=True)}
    return row
