"""Who was at risk of which outcome, when: the rows behind `incentive_effects`, one array per fact.

A deal that is followed through steps of tenure stays one row with its time at risk in each step; it is laid out as a panel
of deals and months only where an estimator needs that. No estimate is made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from assets.company import Company
from assets.core.deals import fiscal_quarter
from assets.evidence.retention import follow_deals
from assets.evidence.specifications import CONFOUNDERS, EXPOSURES, MEDIATORS, OWNER_EXPOSURES, Outcome
from assets.methods.clusters import Flags, Floats
from assets.outcomes.ownership import add_owner_intensity
from assets.voice.hops import MICROSECONDS_PER_DAY, REFUSALS, hop_end, observation_end

_c = pl.col

TENURE_STEP_DAYS: Final = 30
LAG_EDGES_DAYS: Final = (0, 1, 2, 4, 7, 14, 30, 60, 90, 180)
DAYS_TO_END_BINS: Final = (5, 10, 20, 30, 45, 60)
BEFORE_DAYS: Final = 180
_FACTS: Final = tuple(
    dict.fromkeys(
        [
            "account_id",
            "rep_id",
            "period",
            "days_to_end_bin",
            "next_emcr",
            "owner_rep_id",
            "owner_period",
            *CONFOUNDERS,
            *MEDIATORS,
            *(e.column for e in (*EXPOSURES, *OWNER_EXPOSURES)),
        ]
    )
)
"""All that a specification may ask of a deal: a panel is filtered forty times, and other columns would be copied each time."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows at risk of one outcome.

    Attributes:
        rows: n rows in a fixed order: those columns of `describe_deals` that a specification may ask for.
        events: (n, K) events in each step.
        risk: (n, K) time at risk in each step, up to the event.
        planned: (n, K) the same as if there had been no event; equals `risk` where days are not used.
        mature_share: share of rows that could have been watched to the horizon.
        noun: what a row is, in the plural.
    """

    rows: pl.DataFrame
    events: Floats
    risk: Floats
    planned: Floats
    mature_share: float
    noun: str = "deals"

    def take(self, which: pl.Series) -> Panel:
        """The rows for which `which` (Boolean) holds."""
        kept = which.fill_null(value=False)
        if kept.all():
            return self
        mask = kept.to_numpy()
        risk = self.risk[mask]
        return replace(
            self,
            rows=self.rows.filter(kept),
            events=self.events[mask],
            risk=risk,
            planned=risk if self.planned is self.risk else self.planned[mask],
        )

    def of_owners(self) -> Panel:
        """The same rows as of who looked after the customer: the owner in the seller's place, and the quarter it was said in."""
        seen = self.rows.with_columns(rep_id="owner_rep_id", period="owner_period")
        return replace(self, rows=seen).take(seen["rep_id"].is_not_null())


def describe_deals(deal_outcomes: pl.LazyFrame, deal_incentives: pl.LazyFrame) -> pl.LazyFrame:
    """Every won deal with a seller and a day of close, as an estimator sees it.

    Args:
        deal_outcomes: the mart.
        deal_incentives: the mart; its pay periods.

    Returns:
        All columns of `deal_outcomes` and `period` (first day of the seller's pay period, else the fiscal quarter),
        `days_to_end_bin` (null without a pay period), `next_emcr` (mean EMCR of the seller's deals of his next period: a future
        that nobody knew), sorted by deal.
    """
    periods = (
        deal_incentives.filter(_c("credit_type") == "primary", _c("period_start").is_not_null())
        .group_by("opportunity_id", "rep_id")
        .agg(_c("period_start").min())
    )
    bins = pl.sum_horizontal((_c("days_to_period_end") >= edge).cast(pl.Int64) for edge in DAYS_TO_END_BINS)
    deals = (
        deal_outcomes.filter(_c("rep_id").is_not_null(), _c("closed_on").is_not_null())
        .join(periods, on=["opportunity_id", "rep_id"], how="left")
        .with_columns(
            period=pl.coalesce(_c("period_start").dt.to_string("%Y-%m-%d"), "cohort_quarter"),
            days_to_end_bin=pl.when(_c("days_to_period_end").is_not_null()).then(bins.cast(pl.String)),
        )
    )
    # eight decimals as whole numbers: a sum that no order of rows can change
    units = (_c("emcr") * 1e8).round().cast(pl.Int64)
    ahead = (
        deals.filter(_c("emcr").is_not_null())
        .group_by("rep_id", "period")
        .agg(_units=units.sum(), _count=_c("emcr").count())
        .sort("rep_id", "period")
        .select(
            "rep_id",
            "period",
            next_emcr=(_c("_units") / _c("_count") / 1e8).shift(-1).over("rep_id"),
        )
    )
    return deals.join(ahead, on=["rep_id", "period"], how="left").sort("opportunity_id")


def build_panel(
    outcome: Outcome, deals: pl.LazyFrame, feedback_hops: pl.LazyFrame, company: Company
) -> Panel | None:
    """The rows at risk of an outcome; None where its source is absent.

    Args:
        outcome: of `OUTCOMES`.
        deals: from `describe_deals`.
        feedback_hops: the mart.
        company: sources and ends of observation.
    """
    if outcome.name == "churn_180d":
        return _follow_churn(deals, outcome.horizon_days)
    if outcome.hop:
        items = _gather_feedback(deals, feedback_hops, outcome.hop, company)
        follow = _follow_capture if outcome.hop == "captured" else _follow_hop
        return follow(items, company, outcome)
    column = {
        "complaint_180d": "complaints_180d",
        "refund_180d": "refunded_180d",
        "clawback_180d": "clawed_back_180d",
    }
    return _count_mature(deals, column[outcome.name], repeats=outcome.repeats)


def _lay_out(
    happened: Flags, lasted: Floats, watched: Floats, edges: Sequence[int]
) -> tuple[Floats, Floats, Floats]:
    """(n, K) events, time at risk up to the event, and time at risk as planned, in the steps between edges.

    A time at an edge belongs to the step that ends there. Nobody is at risk after the event.
    """
    lower, upper = np.array(edges[:-1], dtype=np.float64), np.array(edges[1:], dtype=np.float64)
    risk, until = (np.clip(time[:, None] - lower, 0.0, upper - lower) for time in (lasted, watched))
    planned = np.where(happened[:, None], until * (risk > 0), risk)
    events = np.zeros_like(risk)
    step = np.minimum(np.searchsorted(upper, lasted, side="left"), upper.size - 1)
    events[happened, step[happened]] = 1.0
    return events, risk, planned


def _keep_facts(rows: pl.DataFrame) -> pl.DataFrame:
    """What a specification may ask for; words as numbers in their order, which are filtered, compared and counted sooner."""
    facts = rows.select(name for name in _FACTS if name in rows.columns)
    words = facts.select(pl.col(pl.String))
    return facts.with_columns(word.cast(pl.Enum(word.drop_nulls().unique().sort())) for word in words)


def _follow_churn(deals: pl.LazyFrame, horizon: int) -> Panel | None:
    rows = follow_deals(deals).sort("opportunity_id").collect()
    if rows.is_empty():
        return None
    # day d is the (d + 1)-th day at risk, so an event on day 0 has one; the horizon's own day belongs to its last step
    edges = [*range(0, horizon, TENURE_STEP_DAYS), horizon + 1]
    lasted = rows["duration"].to_numpy().astype(np.float64) + 1
    watched = rows["follow_up"].to_numpy().astype(np.float64) + 1
    churned = rows["is_churn"].to_numpy() & (lasted <= horizon + 1)
    return Panel(
        _keep_facts(rows), *_lay_out(churned, lasted, watched, edges), float((watched > horizon).mean())
    )


def _count_mature(deals: pl.LazyFrame, column: str, *, repeats: bool) -> Panel | None:
    """Outcomes of mature deals as they are: those that repeat over the days that the deal was active."""
    every = deals.filter(_c("account_id").is_not_null()).collect()
    rows = every.filter(_c(column).is_not_null())
    if rows.is_empty():
        return None
    events = rows[column].cast(pl.Float64).to_numpy()[:, None]
    risk = np.ones_like(events)
    if repeats:
        horizon = int(column.rsplit("_", 1)[1].removesuffix("d"))
        end = pl.coalesce("churned_on", "other_exit_on")
        lasted = (end - _c("closed_on")).dt.total_days().fill_null(horizon).clip(0, horizon) + 1
        risk = rows.select(lasted.cast(pl.Float64)).to_series().to_numpy()[:, None]
    return Panel(_keep_facts(rows), events, risk, risk, rows.height / every.height)


def _gather_feedback(
    deals: pl.LazyFrame, feedback_hops: pl.LazyFrame, hop: str, company: Company
) -> pl.DataFrame:
    """Items that entered a hop, with the facts of their deal.

    Beside them stand `owner_rep_id`, `owner_emcr` and `owner_period`: who looked after the customer when the hop was entered, how
    that person was paid in the month before, and the fiscal quarter.
    """
    entered = add_owner_intensity(
        feedback_hops.filter(_c("hop") == hop), deals, "entered_at", company.timezone, months_before=1
    )
    day = _c("entered_at").dt.convert_time_zone(company.timezone).dt.date()
    return (
        entered.select(
            "feedback_id",
            "opportunity_id",
            "hop",
            "entered_at",
            "days",
            "censored",
            "outcome",
            "owner_rep_id",
            "owner_emcr",
            owner_period=fiscal_quarter(day, company.fiscal_start_month),
        )
        .join(deals, on="opportunity_id", how="inner")
        .sort("feedback_id")
        .collect()
    )


def _follow_capture(items: pl.DataFrame, company: Company, outcome: Outcome) -> Panel | None:
    """What customers said at least a horizon before the end, until it was written down.

    What is not yet written down is not in the data, so fresh items would look fast; those of which every wait up to the horizon
    could have been seen are not truncated.
    """
    horizon, end = outcome.horizon_days, observation_end(company, "feedback")
    rows = items.filter(_c("entered_at") + pl.duration(days=horizon) <= pl.lit(end))
    if rows.is_empty():
        return None
    days = rows["days"].to_numpy().astype(np.float64)
    written = days <= horizon
    arrays = _lay_out(written, _wait(days, horizon), np.full(days.size, float(horizon)), LAG_EDGES_DAYS)
    return Panel(_keep_facts(rows), *arrays, rows.height / items.height, "pieces of feedback")


def _follow_hop(items: pl.DataFrame, company: Company, outcome: Outcome) -> Panel | None:
    """Everything that reached the step before, from then until it arrives: what still waits, or is refused, is censored there."""
    if items.is_empty():
        return None
    horizon = outcome.horizon_days
    refused = _c("outcome").is_in(REFUSALS).fill_null(value=False) & (_c("hop") == "shipped")
    arrived, days, since = items.select(
        (~_c("censored") & ~refused & (_c("days") <= horizon)).alias("arrived"),
        "days",
        since=(pl.lit(hop_end(company, outcome.hop)) - _c("entered_at")).dt.total_microseconds(),
    )
    watched = np.clip(since.to_numpy() / MICROSECONDS_PER_DAY, days.to_numpy(), None)
    arrays = _lay_out(
        arrived.to_numpy(), _wait(days.to_numpy(), horizon), _wait(watched, horizon), LAG_EDGES_DAYS
    )
    return Panel(_keep_facts(items), *arrays, float((watched >= horizon).mean()), "pieces of feedback")


def _wait(days: Floats, horizon: int) -> Floats:
    """Days waited, up to the horizon; at the same moment is the shortest wait there is."""
    return np.maximum(np.minimum(days.astype(np.float64), horizon), 1.0 / 24)


def complaints_before(deals: pl.LazyFrame, customer_events: pl.LazyFrame) -> Panel | None:
    """A negative control: complaints of the account before a deal closed, which the deal can't have caused.

    Only accounts that were customers already are at risk: from their first deal on, at most `BEFORE_DAYS` before the close.
    """
    earlier = deals.filter(_c("account_id").is_not_null()).with_columns(
        _days=(_c("closed_on") - _c("closed_on").min().over("account_id")).dt.total_days()
    )
    rows = earlier.filter(_c("_days") > 0).with_columns(_c("_days").clip(upper_bound=BEFORE_DAYS))
    complaints = customer_events.filter(
        _c("kind") == "complaint", ~_c("contradicted"), _c("account_id").is_not_null()
    ).select("account_id", "date")
    before = (_c("closed_on") - _c("date")).dt.total_days()
    counts = (
        rows.select("opportunity_id", "account_id", "closed_on", "_days")
        .join(complaints, on="account_id", how="inner")
        .filter(before.is_between(1, _c("_days")))
        .group_by("opportunity_id")
        .agg(_complaints=pl.len())
    )
    found = (
        rows.join(counts, on="opportunity_id", how="left")
        .with_columns(_c("_complaints").fill_null(0))
        .sort("opportunity_id")
        .collect()
    )
    if found.is_empty():
        return None
    events = found["_complaints"].cast(pl.Float64).to_numpy()[:, None]
    risk = found["_days"].cast(pl.Float64).to_numpy()[:, None]
    return Panel(_keep_facts(found), events, risk, risk, 1.0)
