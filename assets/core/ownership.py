"""Who looks after an account, and when."""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from assets.core.directory import Directory

_c = pl.col

SUPPORTING_ROLES: Final = ("engineer", "manager", "executive")
"""Assigned to an account beside its owner, never instead of one."""


def held_assignments(account_assignments: pl.LazyFrame, directory: Directory) -> pl.LazyFrame:
    """Assignments that make an owner, with the account resolved: `account_id`, `owner_rep_id`, `valid_from`, `valid_to`."""
    return directory.resolve(
        account_assignments.filter(~_c("role").is_in(SUPPORTING_ROLES)).select(
            "account_id", "valid_from", "valid_to", owner_rep_id="rep_id"
        )
    )


def owner_on(rows: pl.LazyFrame, held: pl.LazyFrame, day: str) -> pl.LazyFrame:
    """Add `owner_rep_id`: the person with the newest assignment that holds on that day (ties: lowest id), null if none does.

    Args:
        rows: `account_id` (resolved) and the Date `day`.
        held: as `held_assignments` gives them; several may hold at once.
        day: column of `rows`.
    """
    key = ["account_id", day]
    holds = (_c("valid_from") <= _c(day)) & (_c("valid_to").is_null() | (_c(day) < _c("valid_to")))
    owners = (
        rows.select(key)
        .unique()
        .join(held, on="account_id", how="inner")
        .filter(holds)
        .filter(_c("valid_from") == _c("valid_from").max().over(key))
        .group_by(key)
        .agg(_c("owner_rep_id").min())
    )
    return rows.join(owners, on=key, how="left")


def owner_spells(held: pl.LazyFrame) -> pl.LazyFrame:
    """Who owned each account when: no day of an account lies in two rows, one on which nobody held it lies in none.

    Almost always a newer assignment simply takes over, and a look at the neighbour tells how long each lasts. Where an
    older one comes back, because the newer one ended first, or several begin on one day, `owner_on` judges each edge.

    Args:
        held: as `held_assignments` gives them.

    Returns:
        `account_id`, `owner_rep_id`, `owned_from`, `owned_to` (inclusive; null: ever after), in no order.
    """
    order = ["valid_from", "owner_rep_id"]
    open_end = pl.lit(date.max)
    ends = _c("valid_to").fill_null(open_end)
    comes_back = (ends < _c("_next").fill_null(open_end)) & (_c("_longest") > ends)
    judged = (
        held.with_columns(_end=ends)
        .with_columns(
            _next=_c("valid_from").shift(-1).over("account_id", order_by=order),
            _longest=_c("_end").cum_max().shift(1).over("account_id", order_by=order),
        )
        .with_columns(
            _tangled=(comes_back | (_c("_next") == _c("valid_from")))
            .fill_null(value=False)
            .any()
            .over("account_id")
        )
        .collect()
        .lazy()
    )
    simple = judged.filter(~_c("_tangled")).select(
        "account_id", "owner_rep_id", "valid_from", until=pl.min_horizontal("valid_to", "_next")
    )
    tangled = judged.filter("_tangled").select(held.collect_schema().names())
    edges = pl.concat([tangled.select("account_id", edge=name) for name in ("valid_from", "valid_to")])
    turns = owner_on(edges.filter(_c("edge").is_not_null()).unique(), tangled, "edge").select(
        "account_id",
        "owner_rep_id",
        valid_from="edge",
        until=_c("edge").shift(-1).over("account_id", order_by="edge"),
    )
    return pl.concat([simple, turns.filter(_c("owner_rep_id").is_not_null())]).select(
        "account_id",
        "owner_rep_id",
        owned_from="valid_from",
        owned_to=_c("until") - pl.duration(days=1),
    )
