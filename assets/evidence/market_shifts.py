"""The table `market_shifts`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.shifts import detect_shifts, list_answers, list_items
from assets.table import table_asset
from expectations.contracts.listening import MARKET_SHIFTS


@table_asset(MARKET_SHIFTS)
def market_shifts(
    *,
    feedback: pl.LazyFrame,
    feedback_events: pl.LazyFrame,
    board_reports: pl.LazyFrame,
    themes: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    deals: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Which shifts in what customers speak of were seen late.

    One row per theme and channel (who heard it; `all`). Steps: find the largest change of the theme's weekly share of what
    was said (PELT, binomial; chance by permutation, false discoveries over all rows at 5 %); watch what was written down with a
    CUSUM to see when the firm could first have known; look up when a board report named the theme, and when something said since
    the change was decided and shipped. Stages not reached are censored: their days run to the end of observation.

    Do not read a change as its cause, and do not compare `seen_days` across channels of very different volume.
    """
    items = list_items(
        feedback=feedback, themes=themes, customer_events=customer_events, deals=deals, company=company
    )
    answers = list_answers(
        feedback_events=feedback_events,
        board_reports=board_reports,
        themes=themes,
        items=items,
        company=company,
    )
    return detect_shifts(items, answers, company).lazy().select(MARKET_SHIFTS.schema.names())
