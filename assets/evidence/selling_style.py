"""The table `selling_style`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.dimensions import find_present
from assets.evidence.group_sizes import hide_groups
from assets.evidence.styles import CELL, compose_styles, count_contacts, count_needs
from assets.table import table_asset
from expectations.contracts.listening import SELLING_STYLE


@table_asset(SELLING_STYLE)
def selling_style(
    activities: pl.LazyFrame,
    accounts: pl.LazyFrame,
    reps: pl.LazyFrame,
    feedback: pl.LazyFrame,
    deal_outcomes: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """How teams sell: hard or soft.

    One row per team (as known today; `all`) and fiscal quarter with activities. Parts: unasked outbound contact, calls per account-month, contact after
    a refusal, discovery and meetings, needs recorded per deal won, more discount at the end of the month, effort sustained to the end
    of the quarter. The composite is their mean in standard deviations over all team-quarters shown, positive for harder selling; every part is
    published beside it.

    Do not read the composite across firms, or as good and bad: what it goes with is for the outcome tables to say. How much of what goes with
    the incentive goes through the way of selling is told deal by deal in `incentive_effects`: its rows on mediation part the
    difference within a seller's pay period into what goes through discount, length of the cycle, a close at the period's end and
    touches, and the direct rest; whether style moves before outcomes is told in `lead_lags`. Teams side by side tell neither:
    they differ in more than how they sell.
    """
    teams = reps.select("rep_id", "team")
    contacts = count_contacts(activities, accounts, teams, company)
    needs = count_needs(feedback, deal_outcomes, teams, company)
    cells = contacts.join(needs, on=CELL, how="left").collect().sort(CELL)
    hidden = hide_groups(deal_outcomes, find_present(deal_outcomes, company))
    quarters = hidden.filter(pl.col("dimension") == "cohort_quarter").select(quarter="value")
    return compose_styles(cells, quarters).lazy().select(SELLING_STYLE.schema.names())
