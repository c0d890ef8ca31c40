"""Credits as they became known: which seller was told of how much credit, for which deal, when.

A seller knows of a win from the earlier of the credit's and the deal's record; until the credit is recorded its amount is
deal amount x split. The deal's own credit is taken as first recorded. Nothing is priced here.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.knowledge import span_versions
from assets.incentives.pay_tables import PayTables
from assets.methods.exact import UNIT, as_money, divide_half_up, whole_cents, whole_units
from expectations.contracts.commission import CREDITS

COMPONENT: Final = "commission"
"""Component of a plan with one measure, and of a credit that names none."""


def book_credits(tables: PayTables) -> pl.LazyFrame:
    """The firm's credits, or, without any, each won deal credited to its seller in full.

    Returns:
        Columns of `core/credits`, one row per credit and version; `component` and `credit_type` never null. Without a
        credits table a deal that is no longer won credits 0.
    """
    if tables.company.has("credits"):
        return tables.credits.select(CREDITS.schema.names()).with_columns(
            pl.col("component").fill_null(COMPONENT), pl.col("credit_type").fill_null("primary")
        )
    won = pl.col("is_won") & pl.col("closed_at").is_not_null()
    won_by_now = won.cum_max().over("opportunity_id", order_by="recorded_at")
    return tables.opportunities.filter(won_by_now).select(
        credit_id="opportunity_id",
        opportunity_id="opportunity_id",
        rep_id="rep_id",
        component=pl.lit(COMPONENT),
        split_weight=pl.lit(1, dtype=pl.Decimal(18, 8)),
        credited_amount=pl.when(won).then("amount").otherwise(pl.lit(0, dtype=pl.Decimal(18, 2))),
        currency="currency",
        credit_type=pl.lit("primary"),
        credited_at="closed_at",
        recorded_at="recorded_at",
        knowledge_time_assumed="knowledge_time_assumed",
    )


def first_wins(opportunities: pl.LazyFrame) -> pl.LazyFrame:
    """Deals as first recorded as won: one row per opportunity_id.

    Returns:
        `opportunity_id`, `closed_at`, `closed_time_known`, `amount`, `currency`, `product_id`, `deal_assumed`.
    """
    return (
        opportunities.filter(pl.col("is_won"), pl.col("closed_at").is_not_null())
        .filter(pl.col("recorded_at") == pl.col("recorded_at").min().over("opportunity_id"))
        .select(
            "opportunity_id",
            "closed_at",
            pl.col("closed_time_known").fill_null(value=True),
            "amount",
            "currency",
            "product_id",
            pl.col("knowledge_time_assumed").fill_null(value=False).alias("deal_assumed"),
        )
    )


def newest(rows: pl.LazyFrame, key: str) -> pl.LazyFrame:
    """The newest version of every row."""
    return rows.filter(pl.col("recorded_at") == pl.col("recorded_at").max().over(key))


def oldest(rows: pl.LazyFrame, key: str) -> pl.LazyFrame:
    """The first version of every row."""
    return rows.filter(pl.col("recorded_at") == pl.col("recorded_at").min().over(key))


def stand_at(is_won: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """`at` and `time_known` of credit: the close of its deal while that is won, else when it was credited.

    A deal that was lost or reopened has no close that credit could stand at, whatever day its row still names.
    """
    c = pl.col
    at = pl.when(is_won).then("closed_at").otherwise("credited_at").alias("at")
    is_timed = (
        pl.when(is_won).then(c("closed_time_known").fill_null(value=True)).otherwise(pl.lit(value=True))
    )
    return at, is_timed.alias("time_known")


HOUSE: Final = "house"
"""Credit type of a deal that pays nobody: it has a row, and counts towards nobody's attainment."""

_NEWS: Final = (
    "opportunity_id", "rep_id", "component", "product_id", "at", "time_known", "amount", "currency", "known",
)  # fmt: skip


_STATE: Final = (
    "credit_id", "opportunity_id", "rep_id", "component", "product_id", "at", "time_known", "amount", "currency",
)  # fmt: skip
"""What is known of a credit at a time."""


def tell_news(booked: pl.LazyFrame, opportunities: pl.LazyFrame) -> pl.LazyFrame:
    """What sellers learned about credit, piece by piece.

    Every change of what was known of a credit takes the old state back and brings the new one, so that a sum over the
    pieces known at t is the credit as known at t.

    Args:
        booked: from `book_credits`.
        opportunities: core/opportunities, all versions.

    Returns:
        One row per piece of news: `opportunity_id`, `rep_id`, `component`, `product_id` (of the deal), `at` (place in canonical order, see
        `stand_at`), `time_known`, `amount` Decimal(18,2) signed,
        `currency` (null: the plan's), `known` (UTC), `pieces` Decimal 1 where a state is told, -1 where it is taken back. Credits
        without an amount and house credits tell nothing.
    """
    c = pl.col
    booked, opportunities = (
        frame.collect().lazy()
        for frame in (booked, opportunities.join(booked, on="opportunity_id", how="semi"))
    )
    credit = span_versions(booked, ["credit_id"]).with_columns(
        is_first=c("known_from") == c("known_from").min().over("credit_id")
    )
    deal = span_versions(
        opportunities.select(
            "opportunity_id",
            "recorded_at",
            "is_won",
            "closed_at",
            "closed_time_known",
            "amount",
            "currency",
            "product_id",
        ),
        ["opportunity_id"],
    ).with_columns(is_first=c("known_from") == c("known_from").min().over("opportunity_id"))
    times = pl.concat(
        [
            credit.select("credit_id", known="known_from"),
            credit.filter("is_first")
            .select("credit_id", "opportunity_id")
            .join(deal.select("opportunity_id", known="known_from"), on="opportunity_id")
            .select("credit_id", "known"),
        ]
    ).unique()
    # before its first version a row is there, but unknown
    began = c("is_first") | (c("known_from") <= c("known"))
    holds = began & (c("known_until").is_null() | (c("known") < c("known_until")))
    is_told = c("known_from") <= c("known")
    credits_then = times.join(credit, on="credit_id").filter(holds).with_columns(is_booked=is_told)
    deals_then = (
        times.join(credit.filter("is_first").select("credit_id", "opportunity_id"), on="credit_id")
        .join(deal, on="opportunity_id")
        .filter(holds)
        .select(
            "credit_id",
            "known",
            is_won=is_told & c("is_won") & c("closed_at").is_not_null(),
            closed_at="closed_at",
            closed_time_known="closed_time_known",
            deal_amount="amount",
            deal_currency="currency",
            product_id=pl.when(is_told).then("product_id"),
        )
    )
    share = as_money(
        divide_half_up(
            whole_cents(c("deal_amount")) * whole_units(c("split_weight")).cast(pl.Int128),
            pl.lit(UNIT, dtype=pl.Int128),
        )
    )
    states = (
        credits_then.join(deals_then, on=["credit_id", "known"], how="left")
        .with_columns(is_told=c("is_booked") | c("is_won").fill_null(value=False))
        .select(
            "credit_id",
            "opportunity_id",
            "rep_id",
            "component",
            "product_id",
            "credit_type",
            *stand_at(c("is_won").fill_null(value=False)),
            pl.when("is_booked").then("credited_amount").otherwise(share).alias("amount"),
            pl.when("is_booked").then("currency").otherwise("deal_currency").alias("currency"),
            "known",
            "is_told",
        )
        .with_columns(is_told=c("is_told") & c("amount").is_not_null() & (c("credit_type") != HOUSE))
        .sort("credit_id", "known")
        # what changed nothing is no news: most credits are recorded as their win foretold
        .filter(pl.any_horizontal(c(name).ne_missing(c(name).shift(1)) for name in (*_STATE, "is_told")))
        # a win that is lost before its credit is recorded is taken back, too
        .with_columns(
            taken_back=pl.when(c("credit_id") == c("credit_id").shift(-1)).then(c("known").shift(-1))
        )
        .filter("is_told")
    )  # fmt: skip
    news = [*_NEWS, "pieces"]
    one = pl.lit(1, dtype=pl.Decimal(18, 2))
    taken_back = states.filter(c("taken_back").is_not_null()).with_columns(
        amount=-c("amount"), known=c("taken_back"), pieces=-one
    )
    return pl.concat([states.with_columns(pieces=one).select(news), taken_back.select(news)])
