"""The table `churn_by_incentive`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.retention import estimate_churn
from assets.table import Made, table_asset
from expectations.contracts.evidence import CHURN_BY_INCENTIVE


@table_asset(CHURN_BY_INCENTIVE)
def churn_by_incentive(deal_outcomes: pl.LazyFrame, company: Company) -> Made:
    """Retention by incentive band, and by every other way to group deals.

    One row per `dimension`, `value` and `horizon_days`. Deals are followed from the start of the churn clock to churn,
    another exit or the last observed day: Kaplan-Meier with other exits censored, Aalen-Johansen with them competing
    (`cif_churn`, the headline). Groups of fewer than 5 sellers or 10 customers are blank, and so is what would give them
    away. Do not read a difference between bands as an effect, and do not use 1 - `survival` as the share that churned.
    """
    table, facts = estimate_churn(deal_outcomes, company)
    return Made(table, facts)
