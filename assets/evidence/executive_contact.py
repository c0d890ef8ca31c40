"""Which executives customers know, and how often that has to begin anew."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.core.directory import Directory
from assets.core.touches import outbound_touches
from assets.evidence.distances import sum_in_cells

EXECUTIVE: Final = "executive"

_c = pl.col


def list_executive_contacts(
    activities: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    reps: pl.LazyFrame,
    board: pl.DataFrame,
    directory: Directory,
) -> pl.LazyFrame:
    """Outbound touches by account and day, those of executives apart.

    Args:
        activities: core table.
        account_assignments: core table; an executive assigned to an account is a contact, too.
        reps: core table; role `executive`.
        board: `rep_id`, `starts_on`, `ends_before`: the days on which somebody sits on the board.
        directory: resolves accounts.

    Returns:
        `account_id`, `day`, `touches`, `_executive_touches`, `executive_contact_resets` (Int64), in no order. A reset is an executive contact
        of an account that is with another executive than its last one: the customer has to begin anew.
    """
    all_touches = (
        outbound_touches(activities, directory)
        .group_by("account_id", day="touched_on")
        .agg(touches=pl.len().cast(pl.Int64))
    )
    named = reps.filter(_c("role") == EXECUTIVE).select("rep_id", _always=pl.lit(value=True))
    seats = board.lazy().select("rep_id", _from="starts_on", _to="ends_before")
    candidates = pl.concat([named.select("rep_id"), seats.select("rep_id")]).unique()
    touches = directory.resolve(
        activities.filter((_c("direction") == "outbound") & _c("account_id").is_not_null())
        .join(candidates, on="rep_id", how="semi")
        .select("account_id", "rep_id", "occurred_at", "activity_id"),
        {"day": "occurred_at"},
    )
    on_board = ((_c("_from") <= _c("day")) & (_c("day") < _c("_to"))).fill_null(value=False)
    executive = (
        touches.join(named, on="rep_id", how="left")
        .join(seats, on="rep_id", how="left")
        .filter(_c("_always").fill_null(value=False) | on_board)
        .unique("activity_id")
        .select(
            "account_id",
            "rep_id",
            "day",
            _order=_c("occurred_at").dt.timestamp("us"),
            _touch=pl.lit(1, pl.Int64),
        )
    )
    assigned = directory.resolve(
        account_assignments.filter(_c("role") == EXECUTIVE).select("account_id", "rep_id", "valid_from")
    ).select(
        "account_id",
        "rep_id",
        day="valid_from",
        _order=_c("valid_from").cast(pl.Datetime("us")).dt.timestamp("us"),
        _touch=pl.lit(0, pl.Int64),
    )
    # nobody knows the order of two contacts at one moment: the ids decide, so that row order never does
    contacts = pl.concat([executive, assigned]).sort("account_id", "_order", "_touch", "rep_id")
    is_reset = (_c("rep_id") != _c("rep_id").shift(1).over("account_id")).fill_null(value=False)
    by_day = (
        contacts.with_columns(_reset=is_reset)
        .group_by("account_id", "day")
        .agg(
            _executive_touches=_c("_touch").sum(),
            executive_contact_resets=_c("_reset").sum().cast(pl.Int64),
        )
    )
    return all_touches.join(by_day, on=["account_id", "day"], how="full", coalesce=True)


def count_executive_contact(contacts: pl.LazyFrame) -> pl.LazyFrame:
    """Sums of `list_executive_contacts`, with the `segment` of its account beside each row, per cell."""
    counts = ("touches", "_executive_touches", "executive_contact_resets")
    return sum_in_cells(
        contacts.with_columns(month=_c("day").dt.month_start()), **{name: _c(name).sum() for name in counts}
    )
