"""The table `complaints_by_incentive`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.complaint_rates import rate_complaints
from assets.table import Made, table_asset
from expectations.contracts.evidence import COMPLAINTS_BY_INCENTIVE


@table_asset(COMPLAINTS_BY_INCENTIVE)
def complaints_by_incentive(
    deal_outcomes: pl.LazyFrame, customer_events: pl.LazyFrame, company: Company
) -> Made:
    """Complaints by incentive band, and by every other way to group deals.

    One row per `dimension`, `value`, `category` and `period` (fiscal quarter of receipt, or `all`). Each complaint counts
    once, for the deal it is attributed to, within the 365 days from the close in which the deal is active; account-months
    divide each calendar day of an account equally among its active deals. Exact Poisson intervals; `expected` holds
    segment and tenure fixed. Do not compare rates across firms, and do not add up `n_accounts` over bands.
    """
    table, facts = rate_complaints(deal_outcomes, customer_events, company)
    return Made(table, facts)
