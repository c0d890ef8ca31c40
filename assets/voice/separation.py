"""How far from the board the person stood who looked after the customer when something was written down."""

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


def add_separation(
    hops: pl.LazyFrame,
    *,
    feedback: pl.LazyFrame,
    deals: pl.LazyFrame,
    accounts: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    reporting_lines: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Add `separation_at_capture` to the rows of `feedback_hops`.

    It is the distance to the board of the account's owner on the local day of the capture; where nobody is assigned, of the
    seller of the deal; null where neither has a path.
    """
    directory = Directory.of(accounts, company)
    captured = _c("captured_at").dt.convert_time_zone(company.timezone).dt.date()
    items = (
        hops.select("feedback_id", "account_id", "opportunity_id")
        .unique()
        .join(feedback.select("feedback_id", _captured_on=captured), on="feedback_id", how="left")
        .join(deals.select("opportunity_id", "rep_id"), on="opportunity_id", how="left")
    )
    owned = owner_on(items, held_assignments(account_assignments, directory), "_captured_on").with_columns(
        owner_rep_id=pl.coalesce("owner_rep_id", "rep_id")
    )
    placed = find_distance(owned, place_people(reporting_lines).lazy(), "owner_rep_id", "_captured_on")
    return hops.join(
        placed.select("feedback_id", separation_at_capture="distance"), on="feedback_id", how="left"
    )
