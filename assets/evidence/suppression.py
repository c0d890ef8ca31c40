"""Small cells: which numbers of a table for everyone must stay hidden, and which others so that they can't be worked out.

Hidden is a cell of fewer than five sellers or ten customers, and one that two sellers dominate (the rest is less than a
tenth of the largest, so the second could work the largest out: the p % rule). A published total is an equation: the
groups of a dimension add up to `all`, the quarters of a group to its `all` period. So further cells are hidden, first by
rule, then as long as an attacker can tell a hidden count of a small cell too closely (`protection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from assets.evidence.protection import Additive, Relation, list_secrets
from assets.methods.disclosure import MIN_ACCOUNTS, MIN_SELLERS

DOMINANCE: Final = 0.10
"""Least share of the largest seller's deals that all but the two largest must have between them."""

_c = pl.col


def count_people(*, seller: str = "rep_id", account: str = "account_id") -> list[pl.Expr]:
    """`n`, `n_accounts`, `n_sellers`, `largest`, `second`: what `hide_small_cells` needs to know of a cell's rows."""
    by_seller = _c(seller).drop_nulls().unique_counts().sort(descending=True)
    return [
        pl.len().cast(pl.Int64).alias("n"),
        _c(account).drop_nulls().n_unique().cast(pl.Int64).alias("n_accounts"),
        _c(seller).drop_nulls().n_unique().cast(pl.Int64).alias("n_sellers"),
        by_seller.get(0, null_on_oob=True).fill_null(0).cast(pl.Int64).alias("largest"),
        by_seller.get(1, null_on_oob=True).fill_null(0).cast(pl.Int64).alias("second"),
    ]


def is_small(*, knows_largest: bool = True) -> pl.Expr:
    """Whether a cell is too small, or (where that is known) too much one seller's, to be shown; columns as of `count_people`."""
    few = (_c("n_sellers").fill_null(0) < MIN_SELLERS) | (_c("n_accounts").fill_null(0) < MIN_ACCOUNTS)
    if not knows_largest:
        return few
    rest = _c("n") - _c("largest") - _c("second")
    return few | (rest < DOMINANCE * _c("largest")).fill_null(value=False)


def hide_small_cells(
    cells: pl.DataFrame,
    equations: pl.DataFrame,
    key: Sequence[str],
    *,
    additive: Sequence[Additive] = (),
    relations: Sequence[Relation] = (),
    always: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Mark small cells, and cells that protect them.

    Args:
        cells: one row per `key`, which may not be null, with `n_sellers`, `n_accounts` (null counts as 0) and the columns of
            `additive`; with `n`, `largest`, `second` as of `count_people` the dominance rule holds, too. Where `is_known` (if
            there), another table shows the cell: it is never small and can't be hidden.
        equations: one row per member of an equation: `equation` (any text that names it), `family` (where `additive` names
            some), the columns of `key`, and `is_total`, true for the member that the others add up to. Members that `cells` does not hold
            are ignored. Where `number` (if there) is not null, the member is that number of its cell and the equation is between
            these only; it counts in no rule.
        key: columns that name a cell.
        additive: the numbers shown that add up; none: cells are protected by rule only.
        relations: between additive numbers; each of them is protected also from whoever reasons from one to the other.
        always: cells (columns of `key`, or some of them) hidden whatever their size, as another table hides them.

    Returns:
        `cells` in their order with `suppressed` (Boolean). A total is hidden only where nothing else can protect.
    """
    if "number" not in equations.columns:
        equations = equations.with_columns(number=pl.lit(None, pl.String))
    known = _c("is_known") if "is_known" in cells.columns else pl.lit(value=False)
    sized = cells.with_row_index("_cell").with_columns(
        _small=~known & is_small(knows_largest="largest" in cells.columns), _known=known
    )
    members = equations.join(
        sized.select(*key, "_cell", "_small", "_known", "n_accounts", "n_sellers"), on=list(key), how="inner"
    ).sort("equation", "is_total", "n_accounts", "n_sellers", *key)
    # a total without parts, or parts without their total, say nothing
    says = _c("is_total").any() & ~_c("is_total").all()
    members = members.filter(says.over("equation"))
    ties = members.filter(_c("number").is_not_null())
    members = members.filter(_c("number").is_null())
    hidden = sized["_small"].to_numpy().copy()
    if always is not None and always.height:
        named = sized.join(always.unique(), on=always.columns, how="semi")["_cell"]
        hidden[named.to_numpy()] = True
    secrets = list(list_secrets(sized, members, ties, additive, relations)) if additive and len(sized) else []
    while True:
        hidden = _protect_by_rule(members, hidden)
        more = sorted({cell for together in secrets for cell in together.protect(hidden)})
        if not more:
            break
        hidden[more] = True
    return sized.with_columns(suppressed=pl.Series(hidden, dtype=pl.Boolean)).drop(
        "_cell", "_small", "_known"
    )


def _protect_by_rule(members: pl.DataFrame, hidden: np.ndarray) -> np.ndarray:
    """In every equation that holds a small cell alone, hide the smallest other one."""
    hidden = hidden.copy()
    while True:
        marked = members.with_columns(_hidden=pl.Series(hidden[members["_cell"].to_numpy()]))
        exposed = (
            marked.filter(~_is_protected().over("equation") & ~_c("_hidden") & ~_c("_known"))
            .group_by("equation", maintain_order=True)
            .first()
        )
        if exposed.is_empty():
            return hidden
        hidden[exposed["_cell"].to_numpy()] = True


def _is_protected() -> pl.Expr:
    """Whether an equation gives nothing away.

    Nothing is hidden; or more than one cell is, and what they add up to is no smaller than a cell that may be shown: one of
    them, or the total of all.
    """
    hidden, part = _c("_hidden"), ~_c("is_total")
    return ~hidden.any() | ((hidden.sum() > 1) & ((hidden & ~_c("_small")).any() | (hidden | ~part).all()))


def blank(frame: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    """Null in `columns` wherever `suppressed`: a hidden number is unknown, never 0."""
    return frame.with_columns(pl.when(~_c("suppressed")).then(_c(c)).alias(c) for c in columns)
