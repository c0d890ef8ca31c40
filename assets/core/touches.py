"""Outbound contact with accounts, and how it is counted without sorting or joining the activities as a whole."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.core.directory import Directory
from assets.core.windows import Window

_c = pl.col


def has_touches(company: Company) -> bool:
    """Whether the firm's sources can tell an outbound touch at all: a null count then means none known, never zero."""
    return company.has("activities", "direction")


def outbound_touches(activities: pl.LazyFrame, directory: Directory) -> pl.LazyFrame:
    """Outbound activities as `account_id` (resolved) and `touched_on` (local day), one row each, in no order."""
    outbound = _outbound(activities).select("account_id", "occurred_at")
    return directory.resolve(outbound, {"touched_on": "occurred_at"}).select("account_id", "touched_on")


def count_by_account(activities: pl.LazyFrame) -> pl.LazyFrame:
    """`account_id` as the source writes it (merges are not followed), `touches` (Int64); in no order."""
    return _outbound(activities).group_by("account_id").agg(touches=pl.len().cast(pl.Int64))


def _outbound(activities: pl.LazyFrame) -> pl.LazyFrame:
    return activities.filter(_c("direction") == "outbound", _c("account_id").is_not_null())


def count_by_day(touches: pl.LazyFrame) -> pl.LazyFrame:
    """`account_id`, `touched_on`, `touches` (Int64): one row per account and day with any, in no order."""
    return touches.group_by("account_id", "touched_on").agg(touches=pl.len().cast(pl.Int64))


def touches_before(deals: pl.LazyFrame, touches: pl.LazyFrame, days: int) -> pl.LazyFrame:
    """Touches in the `days` whole local days before the day of the close.

    The day of the close itself is left out: what came before the signature and what after it can't be told apart there.

    Args:
        deals: `opportunity_id`, `account_id` (resolved), `closed_on`.
        touches: as `outbound_touches` gives them.
        days: length of the window.

    Returns:
        `opportunity_id`, `touches`: only deals with any.
    """
    window = Window(on="account_id", day="closed_on", other_day="touched_on", first=-days, last=-1)
    closes = deals.select("opportunity_id", "account_id", "closed_on")
    pairs = window.pairs(closes, count_by_day(window.near(closes, touches)))
    return pairs.group_by("opportunity_id").agg(_c("touches").sum())
