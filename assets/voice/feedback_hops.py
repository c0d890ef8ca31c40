"""The table `feedback_hops`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.table import table_asset
from assets.voice.hops import follow_feedback
from assets.voice.separation import add_owners
from expectations.contracts.evidence import FEEDBACK_HOPS


@table_asset(FEEDBACK_HOPS)
def feedback_hops(
    *,
    feedback: pl.LazyFrame,
    feedback_events: pl.LazyFrame,
    board_reports: pl.LazyFrame,
    themes: pl.LazyFrame,
    holidays: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    deals: pl.LazyFrame,
    accounts: pl.LazyFrame,
    account_assignments: pl.LazyFrame,
    reporting_lines: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Where feedback waits, hop by hop: from the customer who said it to those who decide.

    One row per feedback item and hop it entered, key `feedback_id`, `hop`. First occurrences are lined up on the way
    expressed - captured - triaged - decided - shipped - told back; `board_seen` runs beside it from capture. Skipped hops
    have no row and are counted; an item still waiting is a censored row to the end of observation; a declined item ends
    hop `shipped` with its refusal as `outcome`. `owner_rep_id` looked after the customer on the day the hop was entered;
    `separation_at_capture` is how far the customer's owner stood from the board on the day of the capture. Do not average `days` over items that have left, and do not take hop
    `captured` for all that was said: what was never written down is not in the data.
    """
    hops = follow_feedback(
        feedback=feedback,
        feedback_events=feedback_events,
        board_reports=board_reports,
        themes=themes,
        holidays=holidays,
        customer_events=customer_events,
        deals=deals,
        company=company,
    )
    return add_owners(
        hops,
        feedback=feedback,
        deals=deals,
        accounts=accounts,
        account_assignments=account_assignments,
        reporting_lines=reporting_lines,
        company=company,
    )
