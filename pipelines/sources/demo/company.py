"""The whole company, quarter by quarter: `simulate`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.sources.demo import planted
from pipelines.sources.demo.deals import SEGMENTS, Deals, count_won, sell
from pipelines.sources.demo.dirt import Soiler
from pipelines.sources.demo.draws import Draws, Ints
from pipelines.sources.demo.lives import live, retention_tables
from pipelines.sources.demo.people import FIRST_YEAR, TEAM, Sellers, hire, people_tables, period_tables
from pipelines.sources.demo.plans import plan_tables
from pipelines.sources.demo.planted import Effect, Format, Truth
from pipelines.sources.demo.pricing import price
from pipelines.sources.demo.reference import reference_tables, theme_id
from pipelines.sources.demo.sales import (
    account_tables,
    activity_table,
    credit_table,
    ledger_table,
    opportunity_table,
    retention_pay_table,
)
from pipelines.sources.demo.values import DAY, day_number, distinct, ids, quarter_of
from pipelines.sources.demo.voice import complaint_table, feedback_tables
from pipelines.sources.demo.writing import Folder, clear

LAST_DAY = date(2025, 12, 31)
REFERENCE_YEARS = (2023, 2026)
"""From the start of the first to the start of the second a company wins exactly the deals asked for."""
_DEALS_A_QUARTER = (
    6.0  # fewer than any seller's mean, so that enough sellers are made before they are counted
)


def simulate(
    out: Path,
    *,
    deals: int = 6_000,
    months: int = 36,
    seed: int = 1,
    effect: Effect = "harm",
    fmt: Format = "parquet",
    dirt: float = 0.003,
    until: date = LAST_DAY,
) -> Truth:
    """Write the source files of a made-up company, its `aftersale.yaml` and its `truth.json`.

    Every row is drawn from its own number, never from its neighbours: the same seed gives the same bytes, and with
    more months or a later end a company keeps every row it had (what was open may have ended since).

    Args:
        out: Folder; created, or emptied of an earlier simulation's files.
        deals: Size of the company: deals it wins in the 36 months of 2023-2025. It decides how many sellers there are
            (about eight deals a seller and quarter), so other spans hold proportionally more or fewer.
        months: Calendar months written, ending with the month of `until`.
        seed: Any whole number.
        effect: Which direction is planted; confounders stay on in all of them.
        fmt: File format. The values are the same.
        dirt: Share of rows with a planted fault in the tables that get any.
        until: Last day; nothing after it is known.

    Returns:
        The planted truth, which is also in `truth.json`.

    Raises:
        ForeignFilesError: `out` holds files of somebody else.
        ValueError: no deals, no months, a share outside 0 to 1, or a start before the company opened.
    """
    month = until.year * 12 + until.month - months
    first = date(month // 12, month % 12 + 1, 1)
    if deals < 1 or months < 1 or not 0 <= dirt < 1 or first.year < FIRST_YEAR:
        raise ValueError(
            f"simulate needs deals and months of at least 1, dirt from 0 to below 1, and a start from {FIRST_YEAR} on"
        )
    clear(out)
    draws = Draws(seed)
    start, stop = day_number(first) * DAY, (day_number(until) + 1) * DAY
    quarters = range(quarter_of(day_number(first)), quarter_of(day_number(until)) + 1)
    sellers = _staff(draws, deals)
    truth = Truth(seed, deals, months, effect, fmt, dirt, f"{first:%Y-%m}", until.isoformat(), sellers.count)
    truth.hazard_ratio_per_10pp = planted.HAZARD_RATIO_PER_10PP[effect]
    truth.complaint_ratio_per_10pp = planted.COMPLAINT_RATIO_PER_10PP[effect]
    truth.capture_lag_ratio_per_10pp = planted.CAPTURE_LAG_RATIO_PER_10PP[effect]
    truth.market_shift = {
        "theme": planted.SHIFT_THEME,
        "theme_id": theme_id(planted.SHIFT_THEME),
        "from": planted.SHIFT_MONTH,
        "share": planted.SHIFT_SHARE,
    }
    truth.unheard = {
        "segment": SEGMENTS[planted.UNHEARD_SEGMENT],
        "sellers_hear": planted.share_sellers_hear(in_unheard_segment=True),
        "sellers_hear_elsewhere": planted.share_sellers_hear(in_unheard_segment=False),
    }

    folder = Folder(out, fmt, Soiler(draws, dirt, deals))
    folder.add(
        plan_tables(until) | people_tables(draws, sellers, until) | reference_tables(draws, first, until)
    )
    accounts = [np.zeros(0, dtype=np.int64)]
    # deals of the quarter after the last may be open already
    for quarter in (*quarters, quarters.stop):
        if quarter in quarters:
            periods = period_tables(draws, sellers, quarter, until)
            folder.add(periods)
            if "component_results" in periods:
                folder.add({"ledger": retention_pay_table(periods["component_results"], quarter, stop)})
        sold = sell(draws, sellers, quarter)
        accounts.append(
            _follow(draws, sellers, sold, quarter=quarter, span=(start, stop), folder=folder, truth=truth)
        )
    customers = account_tables(draws, sellers, distinct(np.concatenate(accounts)), until)
    truth.count(
        merged_accounts=customers["accounts"]["merged_into_id"].count(),
        reassigned_accounts=customers["account_assignments"].filter(pl.col("reason") != "new").height,
    )
    folder.add(customers)
    folder.close(truth)
    return truth


def _staff(draws: Draws, deals: int) -> Sellers:
    """As few sellers as win `deals` in the reference years; the last pair wins only what is missing."""
    start, stop = (day_number(date(year, 1, 1)) * DAY for year in REFERENCE_YEARS)
    quarters = range(quarter_of(start // DAY), quarter_of(stop // DAY))
    enough = int(deals / (_DEALS_A_QUARTER * len(quarters))) + 2 * TEAM
    while True:
        sellers = hire(draws, enough + enough % 2)
        won = [count_won(draws, sellers, q, start, stop) for q in quarters]
        rep, rank = (np.concatenate([w[i] for w in won]) for i in range(2))
        total = np.cumsum(np.bincount(rep // 2, minlength=sellers.count // 2))
        if total[-1] > deals:
            break
        enough *= 2
    pair = int(np.searchsorted(total, deals, side="right"))
    missing = deals - (int(total[pair - 1]) if pair else 0)
    return sellers.first(2 * pair + 2, pace_of_last_pair=float(np.sort(rank[rep // 2 == pair])[missing]))


def _follow(
    draws: Draws,
    sellers: Sellers,
    sold: Deals,
    *,
    quarter: int,
    span: tuple[int, int],
    folder: Folder,
    truth: Truth,
) -> Ints:
    """Price the deals of a quarter, live their lives, write what the firm knows of them; returns their accounts."""
    (start, stop), effect = span, truth.effect
    credited, prices = price(draws, sellers, sold, quarter)
    lives = live(draws, sellers, sold, prices.exposure, effect)
    is_known = (sold.closed >= start) & (sold.recorded < stop)
    is_open = (sold.created < stop) & (sold.recorded >= stop)
    seen = is_known | is_open
    folder.add(
        {
            "opportunities": opportunity_table(draws, sold.take(seen), lives.take(seen), is_open[seen]),
            "activities": activity_table(draws, sold.take(seen), lives.take(seen), start, stop),
        }
    )
    credited = credited.take(is_known[credited.deal] & (credited.recorded < stop))
    closed, fates = sold.take(is_known), lives.take(is_known)
    folder.add(
        {
            "credits": credit_table(sold, credited),
            "ledger": ledger_table(draws, sold, lives, credited, stop),
            **retention_tables(draws, closed, fates, stop),
            "complaints": complaint_table(draws, closed, fates, effect, stop),
            **feedback_tables(draws, closed, fates, effect, stop),
        }
    )
    won = is_known & sold.is_won
    truth.count(
        won_deals=won.sum(),
        lost_deals=(is_known & ~sold.is_won).sum(),
        open_deals=is_open.sum(),
        split_deals=(won & sold.is_split).sum(),
        deals_pushed_over_quota=(won & sold.is_pushed).sum(),
        deals_entered_late=(won & (sold.recorded > sold.closed)).sum(),
        credits_recorded_late=(credited.recorded - credited.closed > DAY).sum(),
    )
    folder.add_truth(
        pl.DataFrame(
            {
                "opportunity_id": ids("O", sold.code[won], 10),
                "emcr_as_known": pl.Series(prices.as_known[won]).fill_nan(None),
                "emcr_as_final": prices.as_final[won],
                "is_pushed": sold.is_pushed[won],
            }
        )
    )
    return distinct(sold.account[seen])
