"""Credits in batches of whole sellers, so that a firm of any size is priced in the same memory. Nothing is priced here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.incentives.credits import tell_news

BATCH: Final = 75_000
"""Credits priced at a time: large enough that small tables are joined seldom, small enough for a laptop."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some sellers and everything their prices hang on.

    Attributes:
        sellers: their rep_ids; null where nobody was credited.
        booked: all versions of every credit that was ever theirs, also those of other sellers.
        opportunities: all versions of the deals credited.
    """

    sellers: pl.Series
    booked: pl.LazyFrame
    opportunities: pl.LazyFrame

    def news(self) -> pl.LazyFrame:
        """What these sellers learned about credit, from `credits.tell_news`."""
        return self.of_sellers(tell_news(self.booked, self.opportunities))

    def of_sellers(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows of these sellers: a credit may have moved from or to somebody else."""
        return rows.join(self.sellers.to_frame().lazy(), on="rep_id", how="semi", nulls_equal=True)


_OF_DEALS: Final = (
    "opportunity_id", "recorded_at", "knowledge_time_assumed", "is_won", "closed_at", "closed_time_known", "amount",
    "currency", "product_id",
)  # fmt: skip


def cut_sellers(booked: pl.LazyFrame, others: pl.Series, size: int) -> list[pl.Series]:
    """Batches of whole sellers (rep_ids), in order of rep_id.

    Args:
        booked: from `credits.book_credits`.
        others: rep_ids of sellers who may have no credit.
        size: credits in a batch, about.
    """
    credited = booked.group_by("rep_id").agg(n=pl.len().cast(pl.Int64)).collect()
    idle = others.unique().alias("rep_id").to_frame().with_columns(n=pl.lit(0, dtype=pl.Int64))
    numbered = (
        pl.concat([credited, idle])
        .group_by("rep_id")
        .agg(pl.col("n").sum())
        .sort("rep_id")
        .with_columns(batch=(pl.col("n").cum_sum() - pl.col("n")) // size)
    )
    parts = numbered.partition_by("batch", maintain_order=True) or [numbered]
    return [part["rep_id"] for part in parts]


def take_batch(sellers: pl.Series, booked: pl.LazyFrame, opportunities: pl.LazyFrame) -> Batch:
    """Read what the prices of some sellers hang on."""
    theirs = booked.join(sellers.to_frame().lazy(), on="rep_id", how="semi", nulls_equal=True)
    names = theirs.select("credit_id").unique().collect(engine="streaming")
    versions = booked.join(names.lazy(), on="credit_id", how="semi").collect(engine="streaming")
    deals = (
        opportunities.select(_OF_DEALS)
        .join(versions.lazy().select("opportunity_id").unique(), on="opportunity_id", how="semi")
        .collect(engine="streaming")
    )
    return Batch(sellers, versions.lazy(), deals.lazy())
