"""How far the board is from the customers, month by month: who looks after them, and how many managers stand between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

from assets.core.directory import Directory
from assets.core.ownership import owner_on
from assets.evidence.dimensions import ALL
from assets.methods.calendar import list_months

CELL: Final = ["segment", "month"]
UNKNOWN: Final = "unknown"

_c = pl.col
_DAY: Final = pl.duration(days=1)


def merge_active_days(deals: pl.LazyFrame) -> pl.LazyFrame:
    """Days on which an account is a customer, whatever the number of its deals.

    Args:
        deals: `account_id`, `active_from`, `active_to` (both inclusive).

    Returns:
        `account_id`, `starts_on`, `ends_before`: disjoint, not touching.
    """
    so_far = _c("active_to").cum_max().shift(1)
    is_new = (_c("active_from") > so_far + _DAY).fill_null(value=True)
    return (
        deals.select("account_id", "active_from", "active_to")
        .sort("account_id", "active_from", "active_to")
        .with_columns(_span=is_new.cum_sum().over("account_id"))
        .group_by("account_id", "_span")
        .agg(starts_on=_c("active_from").min(), ends_before=_c("active_to").max() + _DAY)
        .drop("_span")
    )


def cut_by_owner(spans: pl.LazyFrame, held: pl.LazyFrame, sold: pl.LazyFrame) -> pl.LazyFrame:
    """Cut spans wherever the owner may change.

    Args:
        spans: from `merge_active_days`.
        held: assignments, as `held_assignments` gives them.
        sold: the same columns; who sold the account its newest deal stands in where nobody is assigned.

    Returns:
        `account_id`, `starts_on`, `ends_before`, `owner_rep_id` (null: nobody), in no order.
    """
    edges = pl.concat(
        [f.select("account_id", _edge=end) for f in (held, sold) for end in ("valid_from", "valid_to")]
    ).unique()
    changes = (
        spans.join(edges, on="account_id", how="inner")
        .filter((_c("_edge") > _c("starts_on")) & (_c("_edge") < _c("ends_before")))
        .select("account_id", "ends_before", starts_on="_edge")
    )
    pieces = pl.concat([spans.select("account_id", "ends_before", "starts_on"), changes]).with_columns(
        ends_before=pl.min_horizontal(
            "ends_before", _c("starts_on").shift(-1).over("account_id", order_by="starts_on")
        )
    )
    assigned = owner_on(pieces, held, "starts_on").rename({"owner_rep_id": "_assigned"})
    return owner_on(assigned, sold, "starts_on").select(
        "account_id", "starts_on", "ends_before", owner_rep_id=pl.coalesce("_assigned", "owner_rep_id")
    )


def place_customers(owned: pl.LazyFrame, distances: pl.LazyFrame) -> pl.LazyFrame:
    """The parts of owned days on which the owner has a path to the board: adds `distance`, `is_board_assumed`."""
    tree = distances.select(
        "distance", "is_board_assumed", owner_rep_id="rep_id", _from="starts_on", _to="ends_before"
    )
    return _overlap(owned.join(tree, on="owner_rep_id", how="inner"))


def weigh_by_revenue(placed: pl.LazyFrame, deals: pl.LazyFrame) -> pl.LazyFrame:
    """The same parts once per deal active on them, with the deal's `cents` (Int64, null: unknown).

    Args:
        placed: from `place_customers`.
        deals: `account_id`, `active_from`, `active_to`, `cents`.
    """
    bought = deals.select("account_id", "cents", _from="active_from", _to=_c("active_to") + _DAY)
    return _overlap(placed.join(bought, on="account_id", how="inner"))


def _overlap(rows: pl.LazyFrame) -> pl.LazyFrame:
    return (
        rows.with_columns(
            starts_on=pl.max_horizontal("starts_on", "_from"),
            ends_before=pl.min_horizontal("ends_before", "_to"),
        )
        .filter(_c("starts_on") < _c("ends_before"))
        .drop("_from", "_to")
    )


def spread_over_months(pieces: pl.LazyFrame) -> pl.LazyFrame:
    """One row per piece and calendar month it touches: adds `month` (its first day) and `days` (Int64 > 0)."""
    first = _c("_first")
    inside = pl.min_horizontal("ends_before", first.dt.offset_by("1mo")) - pl.max_horizontal(
        "starts_on", first
    )
    return (
        pieces.with_columns(_first=list_months(_c("starts_on"), _c("ends_before")))
        .explode("_first", empty_as_null=False, keep_nulls=False)
        .with_columns(month=first, days=inside.dt.total_days())
        .drop("_first", "starts_on", "ends_before")
    )


def count_owner_changes(owned: pl.LazyFrame) -> pl.LazyFrame:
    """Days on which a customer passes from one owner to another: `account_id`, `day`."""
    before = [
        _c(name).shift(1).over("account_id", order_by="starts_on") for name in ("owner_rep_id", "ends_before")
    ]
    return owned.filter((before[0] != _c("owner_rep_id")) & (before[1] == _c("starts_on"))).select(
        "account_id", day="starts_on"
    )


def in_each_cell(rows: pl.LazyFrame, summary: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.LazyFrame:
    """`summary` of the rows in the four cells that each belongs to: its own segment and month, or `all` of either.

    Args:
        rows: with `segment` and `month`, a day of it.
        summary: of rows with `segment` and `month` (YYYY-MM), by `CELL`. It is called once for each kind of cell, so that
            memory holds one.
    """
    named = rows.with_columns(_c("month").dt.strftime("%Y-%m"))
    kinds = [[], ["segment"], ["month"], CELL]
    parts = [named.with_columns(pl.lit(ALL).alias(name) for name in kind) for kind in kinds]
    return pl.concat([summary(part).collect() for part in parts]).lazy()


def sum_in_cells(rows: pl.LazyFrame, *by: str, **sums: pl.Expr) -> pl.LazyFrame:
    """Sums by `CELL` and `by`; the rows are summed up once, and the few sums then put into their cells."""
    summed = rows.group_by("segment", "month", *by).agg(**sums).collect().lazy()
    return in_each_cell(summed, lambda part: part.group_by(*CELL, *by).agg(pl.col(*sums).sum()))


def segments_of(accounts: pl.LazyFrame, directory: Directory) -> pl.LazyFrame:
    """`account_id` (surviving), `segment` as known today; `unknown` where it is not."""
    survivors = directory.accounts.filter(_c("_survivor") == _c("account_id")).select("account_id")
    return survivors.join(accounts.select("account_id", "segment"), on="account_id", how="left").with_columns(
        _c("segment").fill_null(UNKNOWN)
    )
