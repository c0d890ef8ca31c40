"""Recurring revenue of a deal: what it started with, and how much of it was still there a year later."""

from __future__ import annotations

from typing import Final

import polars as pl

_c = pl.col

YEAR_DAYS: Final = 365
_MONEY: Final = pl.Decimal(18, 2)
_MOVES: Final = ("renew", "upgrade", "downgrade")
"""Events that change the revenue of a running subscription. Starts and ends are in the subscription itself."""


def recurring_revenue(
    clocks: pl.LazyFrame, subscriptions: pl.LazyFrame, ends: pl.LazyFrame, events: pl.LazyFrame
) -> pl.LazyFrame:
    """Revenue of each deal on the day its clock starts and 365 days later.

    `subscriptions.mrr` is the revenue a subscription starts with; renewals, upgrades and downgrades move it; its end takes
    the rest away. Subscriptions of one deal in several currencies, or one without revenue, make the deal's null.

    Args:
        clocks: `opportunity_id`, `clock_start_on`.
        subscriptions: `subscription_id`, `opportunity_id`, `started_on`, `mrr`, `currency`.
        ends: `subscription_id`, `ended_on`.
        events: `subscription_id`, `kind`, `effective_on`, `mrr_delta`.

    Returns:
        `opportunity_id`, `mrr` (Decimal(18,2), at the start), `mrr_year` (the same after 365 days), one row per deal with
        a subscription.
    """
    lines = subscriptions.join(clocks, on="opportunity_id", how="inner").join(
        ends.select("subscription_id", "ended_on"), on="subscription_id", how="left"
    )
    moves = (
        events.filter(_c("kind").is_in(_MOVES))
        .join(lines.select("subscription_id", "clock_start_on"), on="subscription_id", how="inner")
        .group_by("subscription_id")
        .agg(
            _c("mrr_delta").filter(_before(_c("effective_on"), _c("clock_start_on"), days)).sum().alias(name)
            for name, days in (("_moved", 0), ("_moved_year", YEAR_DAYS))
        )
    )
    return (
        lines.join(moves, on="subscription_id", how="left")
        .with_columns(
            _running(0, "_moved").alias("mrr"),
            _running(YEAR_DAYS, "_moved_year").alias("mrr_year"),
            _unknown=_c("mrr").is_null(),
        )
        .group_by("opportunity_id")
        .agg(
            _c("mrr", "mrr_year").sum(),
            _clear=~_c("_unknown").any() & (_c("currency").n_unique() == 1),
        )
        .select(
            "opportunity_id",
            *(pl.when("_clear").then(_c(name)).cast(_MONEY).alias(name) for name in ("mrr", "mrr_year")),
        )
    )


def _before(day: pl.Expr, start: pl.Expr, days: int) -> pl.Expr:
    return day <= start + pl.duration(days=days)


def _running(days: int, moved: str) -> pl.Expr:
    """Revenue of a subscription `days` after the deal's clock started: nothing before its start or from its end on."""
    runs = _before(_c("started_on"), _c("clock_start_on"), days) & ~_before(
        _c("ended_on"), _c("clock_start_on"), days
    ).fill_null(value=False)
    return pl.when(runs).then(_c("mrr") + _c(moved).fill_null(0)).otherwise(pl.lit(0, _MONEY))
