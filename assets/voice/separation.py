"""Who looked after the customer while something waited, and how far from the board that person stood."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.core.deals import newest
from assets.core.directory import Directory
from assets.core.ownership import held_assignments, owner_on
from assets.methods.reporting_tree import find_distance, measure_distances

_c = pl.col


def place_people(reporting_lines: pl.LazyFrame) -> pl.DataFrame:
    """Everybody's distance to the board, from the newest version of each line; see `measure_distances`."""
    lines = reporting_lines.with_columns(_line=pl.struct("rep_id", "valid_from"))
    return measure_distances(newest(lines, "_line").drop("_line").collect())


def add_owners(
    hops: pl.LazyFrame,
    *,
    feedback: pl.LazyFrame,
    deals: pl.LazyFrame,
    accounts: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    reporting_lines: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Add `owner_rep_id` and `separation_at_capture` to the rows of `feedback_hops`.

    The owner is the account's on the local day on which the item entered the hop, the separation the distance to the board of its
    owner on the day of the capture; where nobody is assigned, the seller of the deal stands in. Null where there is neither, or
    no path.
    """
    held = held_assignments(account_assignments, Directory.of(accounts, company))

    def day(moment: str) -> pl.Expr:
        return _c(moment).dt.convert_time_zone(company.timezone).dt.date()

    sold = hops.join(deals.select("opportunity_id", "rep_id"), on="opportunity_id", how="left")
    items = (
        sold.select("feedback_id", "account_id", "rep_id")
        .unique()
        .join(feedback.select("feedback_id", _day=day("captured_at")), on="feedback_id", how="left")
    )
    placed = find_distance(
        _find_owner(items, held, "_day"), place_people(reporting_lines).lazy(), "owner_rep_id", "_day"
    )
    return (
        _find_owner(sold.with_columns(_day=day("entered_at")), held, "_day")
        .drop("_day", "rep_id")
        .join(placed.select("feedback_id", separation_at_capture="distance"), on="feedback_id", how="left")
    )


def _find_owner(rows: pl.LazyFrame, held: pl.LazyFrame, day: str) -> pl.LazyFrame:
    return owner_on(rows, held, day).with_columns(owner_rep_id=pl.coalesce("owner_rep_id", "rep_id"))
