"""What a seller had been credited when a deal closed, as known then and as known today.

Credits of one seller, component and pay period stand in canonical order (time of close, opportunity id). A deal sees the
credits before it; as known, only those recorded by its own close. No pair of deals is ever formed for that: a credit
recorded by its own close is known to every later deal, so it takes its canonical place; a credit recorded later can
only be known to deals that close at or after the recording, all of which follow it in canonical order, so it takes the
place of its recording. Both are then one running sum. Pricing does not belong here (see `commission`).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from assets.methods.exact import as_money, whole_cents


def sum_credit_before(
    positions: pl.LazyFrame,
    credits_known: pl.LazyFrame,
    by: Sequence[str],
    *,
    name: str = "credit_before",
    time: str = "closed_at",
    deal: str = "opportunity_id",
    known: str | None = "known_at",
    amount: str = "credited_amount",
) -> pl.LazyFrame:
    """Credit attained before each deal.

    Args:
        positions: deals to price: `by`, `time`, `deal`; further columns are kept.
        credits_known: what became known of every credit, one row per piece of news: `by`, `time` and `deal` of the credit's
            own deal, `amount` Decimal(18,2), `known`. A credit known once is one row. A credit whose amount was
            corrected later is one row per version holding the difference to the version before and the later time; a
            credit moved to another seller is a negative row here and a positive one there.
        by: columns that share one attainment, for instance rep_id, component, period_start.
        name: column to add.
        time: canonical time; `closed_at` as known, `credited_at` as final.
        deal: breaks ties of `time`, and marks the credits of the deal itself, which never count as before it.
        known: knowledge time, same type as `time`; None or null values mean known from the start (as final).
        amount: money, may be negative.

    Returns:
        The positions, in any order, with `name` Decimal(18,2): sum of `amount` over rows of the same `by` whose
        (`time`, `deal`) is less than the position's and whose `known` <= the position's `time`. 0 when there are none;
        null where `time` or a `by` column of the position is null.
    """
    numbered = positions.with_row_index("_row")
    # sorted: the frame may be computed twice, and both times a group must get the same number
    groups = positions.select(by).drop_nulls().unique().sort(by).with_row_index("_group")
    is_late = (pl.col(known) > pl.col(time)).fill_null(value=False) if known else pl.lit(value=False)
    news = credits_known.join(groups, on=by).select(
        "_group",
        pl.when(is_late).then(pl.col(known or time)).otherwise(pl.col(time)).alias("_at"),
        pl.when(is_late.not_()).then(pl.col(deal)).alias("_deal"),
        pl.lit(None, dtype=pl.get_index_type()).alias("_row"),
        whole_cents(pl.col(amount)).cast(pl.Int64).alias("_cents"),
    )
    deals = numbered.join(groups, on=by).select(
        "_group",
        pl.col(time).alias("_at"),
        pl.col(deal).alias("_deal"),
        "_row",
        pl.lit(0, dtype=pl.Int64).alias("_cents"),
    )
    # at one instant: late news first (it has no deal), then each deal before the credits of its own
    order = {"_group": False, "_at": False, "_deal": False, "_row": True}
    sums = (
        pl.concat([news, deals])
        .filter(pl.col("_at").is_not_null())
        .sort(*order, nulls_last=list(order.values()))
        .with_columns(pl.col("_cents").cum_sum().over("_group"))
        .filter(pl.col("_row").is_not_null())
        .select("_row", as_money(pl.col("_cents").cast(pl.Int128)).alias(name))
    )
    return numbered.join(sums, on="_row", how="left").drop("_row")
