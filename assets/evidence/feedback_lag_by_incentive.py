"""The table `feedback_lag_by_incentive`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.lags import estimate_lags
from assets.table import table_asset
from expectations.contracts.evidence import FEEDBACK_LAG_BY_INCENTIVE


@table_asset(FEEDBACK_LAG_BY_INCENTIVE)
def feedback_lag_by_incentive(
    feedback_hops: pl.LazyFrame, deal_outcomes: pl.LazyFrame, company: Company
) -> pl.LazyFrame:
    """Feedback lag by incentive band, and by every other way to group the deals that the feedback is about.

    One row per `dimension`, `value` and `hop`; items are grouped by `solicited`, `separation` (steps from the board) and
    `owner_emcr_quintile` (commission on the next dollar of the customer's owner in the month the hop was entered, in the fifths of the
    deals), too. Kaplan-Meier medians with items still waiting as censored, shares within 30 and 90 days with refusals competing. Hop `captured` is a reverse-time estimate: conditional on being captured at all,
    without an interval. Do not read it as the lag of all that was said, and do not average completed items instead.
    """
    return estimate_lags(feedback_hops, deal_outcomes, company)
