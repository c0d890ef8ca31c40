"""Credits in batches of whole sellers, so that a firm of any size is priced in the same memory. Nothing is priced here.

Ids are long texts that every join would hash again: inside they are numbers that sort as their texts do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from assets.incentives.credits import book_credits, tell_news
from assets.incentives.pay_tables import PayTables

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


IDS: Final = ("opportunity_id", "rep_id")


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers stand for: every id in the order of its text."""

    sellers: pl.Series
    deals: pl.Series

    def tell(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the texts of `IDS`."""
        ids = (self.deals, self.sellers)
        return rows.with_columns(
            texts.gather(rows[name]).alias(name) for name, texts in zip(IDS, ids, strict=True)
        )


def number_ids(tables: PayTables) -> tuple[PayTables, Names]:
    """The tables with numbers for sellers and for credited deals."""
    of_sellers = ("opportunities", "credits", "quotas", "plan_assignments", "component_results", "reps")
    frames: dict[str, pl.LazyFrame] = {name: getattr(tables, name) for name in of_sellers}
    sellers = _list_ids([frame.select("rep_id") for frame in frames.values()])
    deals = _list_ids([book_credits(tables).select("opportunity_id")])
    numbered = {name: frame.with_columns(_number("rep_id", sellers)) for name, frame in frames.items()}
    for name in ("opportunities", "credits"):
        numbered[name] = numbered[name].with_columns(_number("opportunity_id", deals))
    return replace(tables, **numbered), Names(sellers, deals)  # type: ignore[arg-type]  # only frames are replaced


_OF_DEALS: Final = (
    "opportunity_id", "recorded_at", "knowledge_time_assumed", "is_won", "closed_at", "closed_time_known", "amount",
    "currency", "product_id",
)  # fmt: skip


def cut_batches(tables: PayTables, size: int) -> Iterator[Batch]:
    """Every seller who was credited or has a quota, in batches in order of rep_id; the tables are read once.

    Args:
        tables: what is priced, in numbers (see `number_ids`).
        size: credits in a batch, about.
    """
    c = pl.col
    booked = book_credits(tables)
    credits_ = booked.with_columns(c("credit_id").rank("dense")).collect()
    crews = _cut_sellers(credits_, tables.quotas, size)
    of_credit = credits_.join(crews, on="rep_id", nulls_equal=True).select("credit_id", "batch").unique()
    credits_ = credits_.join(of_credit, on="credit_id")
    of_deal = credits_.select("opportunity_id", "batch").unique()
    deals = tables.opportunities.select(_OF_DEALS).join(of_deal.lazy(), on="opportunity_id")
    parts = [_Parts(frame) for frame in (credits_, deals.collect(engine="streaming"))]
    del credits_, of_credit, of_deal
    for crew in crews.partition_by("batch", maintain_order=True) or [crews]:
        yield Batch(crew["rep_id"], *(part.take(crew["batch"].first()).lazy() for part in parts))


class _Parts:
    """A frame cut by `batch`; a part that was taken needs no more memory."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._none = frame.clear().drop("batch")
        self._parts = frame.partition_by("batch", as_dict=True, include_key=False)

    def take(self, number: object) -> pl.DataFrame:
        return self._parts.pop((number,), self._none)


def take_sellers(sellers: pl.Series, booked: pl.LazyFrame, opportunities: pl.LazyFrame) -> Batch:
    """What the prices of some sellers hang on, read alone."""
    theirs = booked.join(sellers.to_frame().lazy(), on="rep_id", how="semi", nulls_equal=True)
    names = theirs.select("credit_id").unique().collect(engine="streaming")
    versions = booked.join(names.lazy(), on="credit_id", how="semi").collect(engine="streaming")
    deals = (
        opportunities.select(_OF_DEALS)
        .join(versions.lazy().select("opportunity_id").unique(), on="opportunity_id", how="semi")
        .collect(engine="streaming")
    )
    return Batch(sellers, versions.lazy(), deals.lazy())


def _list_ids(columns: list[pl.LazyFrame]) -> pl.Series:
    return pl.concat(columns).drop_nulls().unique().collect(engine="streaming").to_series().sort()


def _number(name: str, ids: pl.Series) -> pl.Expr:
    """Place of each id among all; null for others."""
    return pl.col(name).cast(pl.Enum(ids), strict=False).to_physical()


def _cut_sellers(credits_: pl.DataFrame, quotas: pl.LazyFrame, size: int) -> pl.DataFrame:
    """`rep_id` and `batch` of everybody with a credit or a quota, in order."""
    idle = quotas.select("rep_id", n=pl.lit(0, dtype=pl.Int64)).collect()
    return (
        pl.concat([credits_.select("rep_id", n=pl.lit(1, dtype=pl.Int64)), idle])
        .group_by("rep_id")
        .agg(pl.col("n").sum())
        .sort("rep_id")
        .select("rep_id", batch=(pl.col("n").cum_sum() - pl.col("n")) // size)
    )
