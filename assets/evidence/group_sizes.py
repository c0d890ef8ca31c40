"""Which groups of deals are too small to show, decided once for all tables that group deals.

A group hidden in one table and shown in another is not hidden. So every such table hides at least the groups that are too
small among the deals it follows or among those that another table follows, with the same groups that protect them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from assets.evidence.dimensions import (
    Dimension,
    Groups,
    find_nested,
    group_rows,
    list_columns,
    number_words,
    state_equations,
)
from assets.evidence.suppression import Additive, count_people, hide_small_cells, is_small
from assets.outcomes.active_deals import is_active
from assets.outcomes.deal_outcomes import JUDGED

_c = pl.col
_GROUP: Final = ["dimension", "value"]


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
    people = pl.DataFrame({name: number_words(rows[name]) for name in ("account_id", "rep_id")})
    cells = groups.cells
    for population in ("followed", "rated"):
        inside = rows[f"_{population}"]
        part = Groups(groups.cells, {name: code.filter(inside) for name, code in groups.codes.items()})
        counted = part.summarise(
            people.filter(inside), lambda rows: rows.group_by("cell").agg(count_people())
        )
        small = counted.select("cell", is_small().alias(f"small_{population}"), *_SIZES)
        cells = cells.join(
            small.rename({name: f"{name}_{population}" for name in _SIZES}), on="cell", how="left"
        )
    # a population that a group has nobody in shows no row of it
    either = _c("small_followed").fill_null(value=False) | _c("small_rated").fill_null(value=False)
    sized = cells.with_columns(
        n=pl.when(either).then(0).otherwise(pl.max_horizontal("n_followed", "n_rated")),
        **{
            name: pl.when(either).then(0).otherwise(pl.max_horizontal(f"{name}_followed", f"{name}_rated"))
            for name in _SIZES
            if name != "n"
        },
    )
    equations = state_equations(sized, nested=find_nested(groups))
    additive = [Additive("n_followed"), Additive("n_rated")]
    hidden = hide_small_cells(sized, equations, _GROUP, additive=additive)
    return hidden.filter("suppressed").select(_GROUP)


_SIZES: Final = ("n", "n_accounts", "n_sellers", "largest", "second")
