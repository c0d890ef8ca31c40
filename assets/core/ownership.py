"""Who looks after an account on a day."""

from __future__ import annotations

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
