"""The numbers of the board's page: what each is, from which mart it comes, and how it is said. A table of facts at the end.

All are descriptive (evidence level 0): a comparison says "associated with", nothing is called an effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import polars as pl

from assets.board.figures import Figure, Marts, Measure, name_of
from assets.board.listening import find_fidelity, find_needs_heard, find_shift_delay, find_steps, find_style
from assets.board.money import find_higher_tiers, find_paid_early
from assets.evidence.suppression import count_people, is_small
from assets.methods.differences import subtract_estimates
from assets.methods.rates import estimate_share
from assets.methods.survival import fit_cumulative_incidence, read_horizons

HIGH_INTENSITY: Final = 1.25  # the edge of a band of 10-definitions: a quarter above the plan's base rate
LEADING: Final = {
    "emcr_quintile": "commission on the next dollar, in fifths",
    "closing_load": "closing load of the seller's month",
    "month_end": "closing in the last five days of the month",
}
"""Dimensions compared at their ends, in words: the first that has groups."""

_c = pl.col


def _is_small(rows: pl.DataFrame) -> bool:
    """Whether too few people stand behind rows, or one seller all but alone."""
    return bool(rows.select(count_people()).select(is_small()).item())


def _hides_quarter(marts: Marts, name: str) -> bool:
    """Whether another table hides the deals of a quarter: then they are counted nowhere."""
    cohort = (_c("dimension") == "cohort_quarter") & (_c("value") == name) & _c("suppressed")
    return any(not table.filter(cohort).is_empty() for table in (marts.churn, marts.complaints))


def _closed_in(marts: Marts, quarter: int, needs: str) -> tuple[pl.DataFrame, float, str] | None:
    """Deals of a quarter with a known `needs`, their share of all, and the quarter's name; None without any."""
    when = name_of(quarter)
    if marts.deals[needs].null_count() == len(marts.deals):
        return None
    closed = marts.deals.filter(_c("cohort_quarter") == when)
    known = closed.filter(_c(needs).is_not_null())
    return known, len(known) / max(len(closed), 1), when


def _middle_emcr(marts: Marts, quarter: int) -> Figure | None:
    """Median of deal EMCR with the distribution-free interval of order statistics (Conover 1999, 3.2)."""
    found = _closed_in(marts, quarter, "emcr")
    if found is None:
        return None
    deals, known, when = found
    if _is_small(deals) or _hides_quarter(marts, when):
        return Figure(None, None, None, None, when, None, known, suppressed=True)
    values = deals["emcr"].sort().to_numpy()
    n = len(values)
    reach = 1.959964 * np.sqrt(n) / 2
    ranks = (np.ceil(n / 2), np.floor(n / 2 - reach), np.ceil(n / 2 + 1 + reach))
    middle, lo, hi = (float(values[int(np.clip(rank, 1, n)) - 1]) for rank in ranks)
    return Figure(middle, lo, hi, n, when, 1.0, known)


def _share_of_closed(marts: Marts, quarter: int, *, needs: str, holds: pl.Expr) -> Figure | None:
    found = _closed_in(marts, quarter, needs)
    if found is None:
        return None
    deals, known, when = found
    return _share(marts, deals, holds, when, 1.0, known)


def _share(
    marts: Marts, deals: pl.DataFrame, holds: pl.Expr, when: str, mature: float, known: float
) -> Figure:
    if _is_small(deals) or _hides_quarter(marts, when):
        return Figure(None, None, None, None, when, None, known, suppressed=True)
    share = estimate_share(deals.select(holds.sum()).item(), len(deals))
    return Figure(float(share.estimate), float(share.lo), float(share.hi), len(deals), when, mature, known)


def _lost(marts: Marts, quarter: int, *, days: int, quarters_back: int) -> Figure | None:
    """Share lost within `days`, of the deals closed so many quarters earlier."""
    when = name_of(quarter - quarters_back)
    cohorts = marts.churn.filter((_c("dimension") == "cohort_quarter") & (_c("horizon_days") == days))
    if cohorts["cif_churn"].null_count() == len(cohorts) and not cohorts["suppressed"].any():
        return None
    row = _one(cohorts.filter(_c("value") == when))
    if row is None:
        return Figure(None, None, None, None, when, None)
    return Figure(
        *_read_churn(row), row["n"], when, row["mature_share"], 1.0, row["suppressed"]
    )  # fmt: skip


def _read_churn(row: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Incidence with the interval that draws whole sellers; the plain one where there is none (nobody was lost)."""
    limits = (row["cif_churn_seller_lo"], row["cif_churn_seller_hi"])
    lo, hi = (row["cif_churn_lo"], row["cif_churn_hi"]) if None in limits else limits
    return row["cif_churn"], lo, hi


def _complaint_rate(marts: Marts, quarter: int, *, category: str) -> Figure | None:
    everyone = marts.complaints.filter((_c("dimension") == "all") & (_c("category") == category))
    if everyone.is_empty():
        return None
    when = name_of(quarter)
    row = _one(everyone.filter(_c("period") == when))
    if row is None:
        return Figure(None, None, None, None, when, None)
    return Figure(
        row["rate_per_1000"], row["rate_per_1000_lo"], row["rate_per_1000_hi"], row["n"], when, 1.0, 1.0, row["suppressed"]
    )  # fmt: skip


def _one(rows: pl.DataFrame) -> dict[str, Any] | None:
    return rows.row(0, named=True) if len(rows) == 1 else None


def _ends(table: pl.DataFrame) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Highest and lowest known group of the leading dimension."""
    for dimension in LEADING:
        groups = table.filter((_c("dimension") == dimension) & (_c("value") != "unknown")).sort("value_order")
        if len(groups) >= 2:
            return groups.row(-1, named=True), groups.row(0, named=True)
    return None


def _lost_gap(marts: Marts, quarter: int) -> Figure | None:
    """Difference of two incidences; limits from theirs."""
    ends = _ends(marts.churn.filter(_c("horizon_days") == 180))
    if ends is None:
        return None
    high, low = ends
    groups = (high["value"], low["value"], high["dimension"])
    numbers = [number for row in ends for number in _read_churn(row)]
    when = f"all quarters to {name_of(quarter)}"
    hidden = high["suppressed"] or low["suppressed"]
    if hidden or any(x is None for x in numbers):
        return Figure(None, None, None, None, when, None, suppressed=hidden, groups=groups)
    gap = subtract_estimates(tuple(numbers[:3]), tuple(numbers[3:]))
    mature = min(row["mature_share"] for row in ends)
    return Figure(gap.estimate, gap.lo, gap.hi, high["n"] + low["n"], when, mature, groups=groups)


def _left_hop(marts: Marts, quarter: int, *, hop: str, days: int, quarters_back: int) -> Figure | None:
    """Share of items that left a hop within `days`, of those that entered it so many quarters earlier."""
    rows = marts.hops.filter(_c("hop") == hop)
    if rows.is_empty():
        return None
    number = quarter - quarters_back
    entered = rows.filter(_c("quarter") == number)
    when = name_of(number)
    rest = rows.filter(_c("quarter") != number)
    # how many entered in all quarters is told by feedback_lag_by_incentive: the rest must not be few people either
    if _is_small(entered) or (not rest.is_empty() and _is_small(rest)):
        return Figure(None, None, None, None, when, None, suppressed=True)
    steps = fit_cumulative_incidence(entered.lazy(), duration="days", causes=(1,)).drop("cause")
    at = read_horizons(steps, [], [days]).collect().row(0, named=True)
    followed = entered.select((_c("time_since") >= days).mean()).item()
    return Figure(at["incidence"], at["incidence_lo"], at["incidence_hi"], len(entered), when, followed)


_DEALS = "Of the deals closed in {when}, {value} "
_CAUTION = " This is an association, not evidence of a cause."

MEASURES: Final = (
    Measure("Commission on the next dollar, median deal", "money of pay per money of credit", _middle_emcr,
            "Half of the deals closed in {when} paid their sellers {value} or more on the money they brought.", chapter="intensity"),
    Measure("Deals paid over 1.25 times the base rate", "share of 1",
            partial(_share_of_closed, needs="relative_intensity", holds=_c("relative_intensity") > HIGH_INTENSITY),
            _DEALS + "paid their sellers more than 1.25 times the plan's base rate.", chapter="intensity"),
    Measure("Commission paid before the outcome could be known", "share of 1", find_paid_early,
            "Of the commission on deals closed in {when}, {value} was paid before it could be known whether the customer stayed 90 days; "
            "n counts sellers.", chapter="intensity"),
    Measure("Deals closed in the last five days of the month", "share of 1",
            partial(_share_of_closed, needs="month_end", holds=_c("month_end")),
            _DEALS + "were closed in the last five days of a month, which are about a sixth of all days.", chapter="rhythm"),
    Measure("Contacts that pressed on the customer", "share of 1", partial(find_style, part="outbound_pressure", per="n"),
            "Of the contacts with customers in {when}, {value} were outbound and not asked for.", chapter="style"),
    Measure("Needs written down per deal won", "needs per deal", partial(find_style, part="needs_per_deal", per="won_deals"),
            "In {when} sellers wrote down {value} needs, unasked, per deal they won; n counts deals.", chapter="style"),
    Measure("Customers lost within 180 days", "share of 1", partial(_lost, days=180, quarters_back=2),
            _DEALS + "had lost their customer 180 days later.", chapter="outcomes"),
    Measure("Difference in customers lost, highest against lowest group", "points", _lost_gap,
            "Deals by {dimension}: group {high} is associated with a share of customers lost within 180 days that is {value} "
            "against group {low}, over {when}." + _CAUTION, has_quarter=False, chapter="outcomes"),
    Measure("Complaints", "complaints per 1,000 account-months", partial(_complaint_rate, category="all"),
            "In {when} there were {value} complaints per 1,000 account-months.", chapter="outcomes"),
    Measure("Kept per dollar of incentive, tiers above the first", "money per money", find_higher_tiers,
            "One unit of incentive money paid in tiers above the first went with {value} of net value kept after a year, against {low} in "
            "the first tier, over {when}. It is an average: many of these deals would have come anyway.", has_quarter=False,
            chapter="outcomes"),
    Measure("Steps between customers and the board", "steps", find_steps,
            "In {when} whoever looked after a customer stood {value} steps from the board, on average over customer days; n counts "
            "customers.", chapter="distance"),
    Measure("What gets through to the board", "share of 1", find_fidelity,
            "Of what was written down over {when}, {value} gets through every hop, each within 90 days; the weakest hop is {low}; "
            "n counts customers.", has_quarter=False, chapter="distance"),
    Measure("Needs that sellers hear", "share of 1", find_needs_heard,
            "Of the needs that customers had over {when}, unasked, sellers heard an estimated {value}{low}.",
            has_quarter=False, chapter="heard late"),
    Measure("Feedback seen by the board within 90 days", "share of 1", partial(_left_hop, hop="board_seen", days=90, quarters_back=1),
            "Of the feedback captured in {when}, {value} reached the board within 90 days.", chapter="heard late"),
    Measure("Days until the board saw the largest shift", "days", find_shift_delay,
            "The largest rise in what customers speak of (theme {high}, from the week of {when}) {low} after {value} days.",
            has_quarter=False, chapter="heard late"),
)  # fmt: skip
"""The story in order: what is paid for, when it is sold, how, what becomes of the customers, how far the board is, what it hears late."""
