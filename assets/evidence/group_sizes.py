"""Which groups of deals are too small to show, decided once for all tables that group deals.

A group hidden in one table and shown in another is not hidden. So every such table hides at least the groups that are too
small among the deals it follows or among those that another table follows, with the same groups that protect them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.evidence.dimensions import (
    ALL,
    CROSSED,
    FEATURES,
    VALUES,
    Dimension,
    Groups,
    find_nested,
    group_rows,
    list_columns,
    number_words,
    state_equations,
)
from assets.evidence.protection import Additive, Relation
from assets.evidence.seasons import add_seasons
from assets.evidence.suppression import hide_small_cells, is_small
from assets.outcomes.active_deals import is_active
from assets.outcomes.deal_outcomes import JUDGED

_c = pl.col
_GROUP: Final = ["dimension", "value"]
_SIZES: Final = ("n", "n_accounts", "n_sellers", "largest", "second")
_MARKS: Final = 1 << 24
"""Cells of a table of marks that is held at a time."""

Integers = npt.NDArray[np.int64]


def is_followed() -> pl.Expr:
    """Deals whose retention can be followed: an account, churn that can be judged, a clock that starts before the end."""
    return (
        _c("account_id").is_not_null() & can_be_judged() & (_c("clock_start_on") <= _c("observed_until"))
    ).fill_null(value=False)


def can_be_judged() -> pl.Expr:
    """Deals whose churn can be known at all."""
    return _c("outcome_null_reason").is_null() | _c("outcome_null_reason").is_in(JUDGED)


def is_rated() -> pl.Expr:
    """Deals that can have a rate of complaints: active, and nothing contradicts them."""
    return is_active() & ~_c("contradicted").fill_null(value=False)


def hide_groups(deal_outcomes: pl.LazyFrame, dimensions: Sequence[Dimension]) -> pl.DataFrame:
    """Groups that no table may show.

    Args:
        deal_outcomes: the mart.
        dimensions: from `find_present`.

    Returns:
        `dimension` and `value`, one row per hidden group.
    """
    if not dimensions:
        return pl.DataFrame(schema=dict.fromkeys(_GROUP, pl.String))
    followed, rated = is_followed(), is_rated()
    columns = [*list_columns(dimensions), "account_id", "rep_id"]
    rows = (
        deal_outcomes.filter(followed | rated)
        .select(*dict.fromkeys(columns), _followed=followed, _rated=rated)
        .collect()
    )
    groups = group_rows(rows, dimensions)
    people = _People.of(rows)
    cells = groups.cells
    for population in ("followed", "rated"):
        sizes = people.count(groups, rows[f"_{population}"])
        small = sizes.select("cell", is_small().alias(f"small_{population}"), *_SIZES)
        cells = cells.join(
            small.rename({name: f"{name}_{population}" for name in _SIZES}), on="cell", how="left"
        )
    # a population that a group has nobody in shows no row of it
    either = _c("small_followed").fill_null(value=False) | _c("small_rated").fill_null(value=False)
    sized = cells.with_columns(
        pl.when(either).then(0).otherwise(pl.max_horizontal(f"{name}_followed", f"{name}_rated")).alias(name)
        for name in _SIZES
    )
    equations = state_equations(sized, nested=find_nested(groups))
    cohorts = sized.filter(_c("dimension") == "cohort_quarter")
    seasons, sums = add_seasons(cohorts, "value", ["dimension"], ["n_followed", "n_rated", *_SIZES])
    hidden = hide_small_cells(
        pl.concat([sized.with_columns(is_known=pl.lit(value=False)), seasons], how="diagonal_relaxed"),
        pl.concat([equations, sums.select(equations.columns)]),
        _GROUP,
        additive=[Additive("n_followed"), Additive("n_rated")],
    )
    return hidden.filter("suppressed").select(_GROUP)


@dataclass(frozen=True, slots=True)
class _People:
    """Who stands behind each row, as small integers; rows in order of the account.

    Attributes:
        order: (n,) places of the rows.
        account: (n,) in that order, from 0; -1: none.
        seller: (n,) in that order, from 0; -1: none.
        sellers: how many there are.
    """

    order: Integers
    account: Integers
    seller: Integers
    sellers: int

    @classmethod
    def of(cls, rows: pl.DataFrame) -> _People:
        account, seller = (
            number_words(rows[name]).fill_null(-1).to_numpy().astype(np.int64)
            for name in ("account_id", "rep_id")
        )
        order = np.argsort(account, kind="stable")
        return cls(order, account[order], seller[order], int(seller.max(initial=-1)) + 1)

    def count(self, groups: Groups, inside: pl.Series) -> pl.DataFrame:
        """`cell` and what `count_people` says of the rows `inside` of it; cells of nobody left out."""
        chosen = inside.to_numpy()[self.order]
        kept, account, seller = self.order[chosen], self.account[chosen], self.seller[chosen]
        parts = [np.empty((0, 1 + len(_SIZES)), dtype=np.int64)]
        for code in groups.codes.values() if kept.size else ():
            first = int(code.min() or 0)  # type: ignore[arg-type]
            cell = code.to_numpy()[kept].astype(np.int64) - first
            n = np.bincount(cell)
            counts = (np.arange(n.size) + first, n, self._count_accounts(cell, account, n.size))
            parts.append(np.stack([*counts, *self._count_sellers(cell, seller, n.size)], axis=1)[n > 0])
        names = ["cell", *_SIZES]
        counted = pl.DataFrame(np.concatenate(parts), schema=dict.fromkeys(names, pl.Int64))
        return counted.with_columns(_c("cell").cast(pl.Int32))

    @staticmethod
    def _count_accounts(cell: Integers, account: Integers, cells: int) -> Integers:
        """Different accounts per cell. One account's rows stand together, so a stretch of accounts is marked at a time."""
        counted = np.zeros(cells, dtype=np.int64)
        accounts = int(account.max(initial=-1)) + 1
        stretch = max(1, min(accounts, _MARKS // cells))
        edges = np.searchsorted(account, np.arange(0, accounts + stretch, stretch))
        for start, stop in pairwise(edges.tolist()):
            if start < stop:
                seen = np.zeros((cells, stretch), dtype=np.bool_)
                seen[cell[start:stop], account[start:stop] % stretch] = True
                counted += seen.sum(axis=1)
        return counted

    def _count_sellers(
        self, cell: Integers, seller: Integers, cells: int
    ) -> tuple[Integers, Integers, Integers]:
        """Different sellers per cell, and the rows of the largest and of the second."""
        known = seller >= 0
        pairs = cell[known] * self.sellers + seller[known]
        if cells * self.sellers <= _MARKS:
            deals = np.bincount(pairs, minlength=cells * self.sellers)
            at = np.flatnonzero(deals)
            deals = deals[at]
        else:
            at, deals = np.unique(pairs, return_counts=True)
        owner = at // max(self.sellers, 1)
        by_size = np.lexsort((-deals, owner))
        owner, deals = owner[by_size], deals[by_size]
        starts = np.searchsorted(owner, np.arange(cells + 1))
        different = np.diff(starts)
        padded = np.append(deals, [0, 0])
        largest, second = (np.where(different > place, padded[starts[:-1] + place], 0) for place in (0, 1))
        return different, largest, second


def tie_people(cells: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Where a customer has one segment, and a seller one plan, people add up: equations for `hide_small_cells` between these numbers only.

    Args:
        cells: with `dimension`, `value`, the columns `by`, `n_accounts`, `n_sellers`.
        by: further columns of the key.
    """
    parts = []
    for dimension, number in (("segment", "n_accounts"), ("plan", "n_sellers")):
        is_total = _c("dimension") == ALL
        signed = pl.when(is_total).then(-_c(number)).otherwise(number)
        named = cells.filter(is_total | (_c("dimension") == dimension)).select(
            "dimension",
            "value",
            *by,
            equation=pl.concat_str(pl.lit(f"people of {dimension}"), *by, separator="\t"),
            family=pl.lit("people"),
            is_total=is_total,
            number=pl.lit(number),
            signed=signed,
        )
        parts.append(named.filter(_c("signed").sum().over("equation") == 0).drop("signed"))
    return pl.concat(parts)


def bound_by_people() -> tuple[list[Additive], list[Relation]]:
    """Customers and sellers of a cell are no more than its deals."""
    numbers = ("n_accounts", "n_sellers")
    families = (VALUES, CROSSED, FEATURES)
    people = [Additive(name, is_distinct=True, families=families) for name in numbers]
    return people, [Relation((name,), ("n",)) for name in numbers]
