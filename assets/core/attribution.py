"""Which deal an event belongs to: a ladder of rungs, the first that holds wins, so each event counts once and only once."""

from __future__ import annotations

from typing import Final

import polars as pl

_c = pl.col

RUNGS: Final = ("opportunity", "subscription", "product", "latest")
"""In this order (10-definitions, Attribution); an event that no rung holds is attributed to `none`."""


def attribute(events: pl.LazyFrame, deals: pl.LazyFrame) -> pl.LazyFrame:
    """Tie each event to at most one won deal.

    Its own opportunity; else its subscription's; else the account's latest won deal of the same product closed on or
    before its day; else the account's latest won deal closed on or before it. A named deal that was not won, or is
    missing, holds nothing: the next rung is tried. Deals of one day rank by (closed_at, opportunity_id).

    Args:
        events: `account_id` (resolved), `product_id`, `date`, `named_opportunity_id`, `subscription_opportunity_id` and
            anything else.
        deals: `opportunity_id`, `account_id` (resolved), `product_id`, `closed_on`, `closed_at`.

    Returns:
        The events' columns plus `opportunity_id` and `attribution`, one row per event, in no order.
    """
    won = deals.select("opportunity_id", "account_id", "product_id", "closed_on", "closed_at")
    ids = won.select("opportunity_id")
    named = ids.select(named_opportunity_id="opportunity_id", _opportunity="opportunity_id")
    contracted = ids.select(subscription_opportunity_id="opportunity_id", _subscription="opportunity_id")
    found = events.join(named, on="named_opportunity_id", how="left").join(
        contracted, on="subscription_opportunity_id", how="left"
    )
    found = _latest(found, won, ["account_id", "product_id"], "_product")
    found = _latest(found, won, ["account_id"], "_latest")
    return found.with_columns(
        opportunity_id=pl.coalesce(f"_{rung}" for rung in RUNGS),
        attribution=pl.coalesce(
            *(pl.when(_c(f"_{rung}").is_not_null()).then(pl.lit(rung)) for rung in RUNGS), pl.lit("none")
        ),
    ).drop(f"_{rung}" for rung in RUNGS)


def _latest(events: pl.LazyFrame, won: pl.LazyFrame, by: list[str], name: str) -> pl.LazyFrame:
    """Add `name`: the last deal with equal `by` that closed on or before the event's day."""
    last_of_day = (
        won.filter(*(_c(key).is_not_null() for key in (*by, "closed_on")))
        .group_by(*by, "closed_on")
        .agg(_c("opportunity_id").sort_by("closed_at", "opportunity_id").last().alias(name))
        .sort("closed_on")
    )
    # both sides are sorted by day just here; the check would only repeat that it can't see it per key
    return (
        events.sort("date")
        .join_asof(last_of_day, left_on="date", right_on="closed_on", by=by, strategy="backward", check_sortedness=False)
        .drop("closed_on")
    )  # fmt: skip
