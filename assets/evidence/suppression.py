"""Small cells: which numbers of a table for everyone must stay hidden, and which others so that they can't be worked out.

A published total is an equation: the cells of a dimension add up to `all`, the quarters of a band to its `all` period.
A hidden cell that stands alone in an equation is the total minus the rest. So every equation with a hidden cell hides at
least one cell that would be large enough to show, or all that add up: what can be worked out is then never smaller than a
cell that may be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

MIN_SELLERS: Final = 5
MIN_ACCOUNTS: Final = 10


def hide_small_cells(cells: pl.DataFrame, equations: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Mark small cells and, in every equation that holds one, the smallest cell that protects it.

    Args:
        cells: one row per `key`, which may not be null, with `n_sellers` and `n_accounts` (Int64, distinct people behind
            the cell; null counts as 0).
        equations: one row per member of an equation: `equation` (any text that names it), the columns of `key`, and
            `is_total`, true for the member that the others add up to. Members that `cells` does not hold are ignored.
        key: columns that name a cell.

    Returns:
        `cells` in their order with `suppressed` (Boolean): fewer than `MIN_SELLERS` sellers or `MIN_ACCOUNTS` customers,
        or needed to protect such a cell. A total is hidden only where nothing else can protect.
    """
    sized = cells.with_row_index("_cell").with_columns(
        _small=(pl.col("n_sellers").fill_null(0) < MIN_SELLERS)
        | (pl.col("n_accounts").fill_null(0) < MIN_ACCOUNTS)
    )
    members = equations.join(
        sized.select(*key, "_cell", "_small", "n_accounts", "n_sellers"), on=list(key), how="inner"
    ).sort("equation", "is_total", "n_accounts", "n_sellers", *key)
    hidden = sized.filter("_small")["_cell"]
    while True:
        exposed = (
            members.with_columns(_hidden=pl.col("_cell").is_in(hidden.implode()))
            .filter(~_is_protected().over("equation") & ~pl.col("_hidden"))
            .group_by("equation", maintain_order=True)
            .first()
        )
        if exposed.is_empty():
            break
        hidden = pl.concat([hidden, exposed["_cell"]]).unique()
    return sized.with_columns(suppressed=pl.col("_cell").is_in(hidden.implode())).drop("_cell", "_small")


def _is_protected() -> pl.Expr:
    """Whether an equation gives nothing away.

    Nothing is hidden; or more than one cell is, and what they add up to is no smaller than a cell that may be shown: one of
    them, or the total of all.
    """
    hidden, part = pl.col("_hidden"), ~pl.col("is_total")
    return ~hidden.any() | (
        (hidden.sum() > 1) & ((hidden & ~pl.col("_small")).any() | (hidden | ~part).all())
    )


def blank(frame: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    """Null in `columns` wherever `suppressed`: a hidden number is unknown, never 0."""
    return frame.with_columns(pl.when(~pl.col("suppressed")).then(pl.col(c)).alias(c) for c in columns)
