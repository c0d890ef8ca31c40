"""Up to which day outcomes could have been seen: the clock's far end, one day for the whole firm."""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from assets.company import Company

_c = pl.col

_OUTCOME_SOURCES: Final = (
    "subscriptions",
    "subscription_events",
    "customer_activity",
    "complaints",
    "feedback",
    "ledger",
)
_CHURN_SOURCES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "contract": {"subscriptions": ("started_at", "ended_at"), "subscription_events": ("effective_at",)},
    "inactivity": {"customer_activity": ("occurred_at",)},
}
"""Per kind of churn: the sources it is seen in, and their moments. A silence there is what churn looks like, so such a
source is only believed up to its newest event; any other is taken as complete until `as_of`."""


def has_churn_source(company: Company) -> bool:
    """Whether a loss could be seen at all. Inactivity can always be seen: sales themselves are activity."""
    return company.churn.kind == "inactivity" or company.has("subscriptions")


def last_observed_day(
    company: Company,
    deals: pl.LazyFrame,
    subscriptions: pl.LazyFrame,
    subscription_events: pl.LazyFrame,
    customer_activity: pl.LazyFrame,
) -> date:
    """`observed_until` = min(as_of, `complete_until` of each outcome source present) (10-definitions, Clock and maturity).

    `complete_until` of a source: as configured, else its newest event where churn is seen in it, else `as_of`. Where churn
    is inactivity and no activity was brought, the won deals are that source. Moments count in the company's zone.
    """
    frames = {
        "subscriptions": subscriptions,
        "subscription_events": subscription_events,
        "customer_activity": customer_activity,
    }
    moments = _CHURN_SOURCES[company.churn.kind]
    until = [company.as_of]
    for source in _OUTCOME_SOURCES:
        if not company.has(source):
            continue
        if source in company.complete_until:
            until.append(company.complete_until[source])
        elif source in moments:
            until += _newest_day(frames[source], moments[source], company)
    if company.churn.kind == "inactivity" and not company.has("customer_activity"):
        until += _newest_day(deals, ("closed_at",), company)
    return min(until)


def _newest_day(frame: pl.LazyFrame, moments: tuple[str, ...], company: Company) -> list[date]:
    """The day of the newest event that is not after `as_of`; none where there is no event."""
    day = _c("moment").dt.convert_time_zone(company.timezone).dt.date()
    days = pl.concat([frame.select(moment=name) for name in moments]).select(day=day)
    newest: date | None = days.filter(_c("day") <= company.as_of).max().collect().item()
    return [] if newest is None else [newest]
