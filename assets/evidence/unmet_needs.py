"""The table `unmet_needs`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.needs import estimate_needs, list_needs
from assets.table import table_asset
from expectations.contracts.listening import UNMET_NEEDS


@table_asset(UNMET_NEEDS)
def unmet_needs(
    feedback: pl.LazyFrame,
    themes: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    feedback_hops: pl.LazyFrame,
    deal_outcomes: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """What is not being heard: needs voiced to sellers, to others, to both, and by that how many there are in all.

    One row per group of customers, fiscal quarter and kind of feedback (solicited, unsolicited, unknown: never together). A need is an
    account's unmet need on a theme; it is heard by those who write it down within 90 days. Sellers and all others
    (support, complaints, surveys, exits, research) are two lists; what both missed follows from how far they overlap
    (Chapman). Met: shipped, or said to be met, within 365 days of being written down.

    Do not read the estimate without its caveat: customers who speak to everybody make it too low.
    """
    needs = list_needs(
        feedback=feedback,
        themes=themes,
        customer_events=customer_events,
        feedback_hops=feedback_hops,
        deal_outcomes=deal_outcomes,
        company=company,
    )
    return estimate_needs(needs).lazy().select(UNMET_NEEDS.schema.names())
