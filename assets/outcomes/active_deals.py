"""On which days a deal is active: the time at risk that spells, months and rates share."""

from __future__ import annotations

import polars as pl

from assets.outcomes.deal_outcomes import NEVER_STARTED

_c = pl.col


def is_active() -> pl.Expr:
    """Deals that are active on some day."""
    return (
        _c("account_id").is_not_null()
        & (_c("closed_on") <= _c("observed_until"))
        & (_c("outcome_null_reason") != NEVER_STARTED).fill_null(value=True)
    ).fill_null(value=False)


def active_deals(deal_outcomes: pl.LazyFrame) -> pl.LazyFrame:
    """Add `active_from` and `active_to`, both inclusive: from the close to the loss, the other exit or the end of sight.

    The day of the exit is the last active day, so an event on day 0 has one day at risk. Deals without an account, without a
    day of close, closed after the end of observation, or whose service never began, are never active.

    Returns:
        The active deals only, every column of `deal_outcomes` and the two days.
    """
    end = pl.coalesce("churned_on", "other_exit_on", "observed_until")
    return deal_outcomes.filter(is_active()).with_columns(
        active_from="closed_on", active_to=pl.max_horizontal("closed_on", end)
    )
