"""Tables of selling and paying: opportunities, activities, credits, the ledger, accounts and who looks after them."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from pipelines.sources.demo.deals import ACCOUNTS_A_YEAR, SEGMENTS, Deals, account_segment, neighbour
from pipelines.sources.demo.draws import Draws, Flags, Ints
from pipelines.sources.demo.lives import Lives, product_of
from pipelines.sources.demo.people import (
    CURRENCY_OF_TEAM,
    ENGINEERS,
    REGION_OF_TEAM,
    TEAM,
    ZONE_OF_TEAM,
    Sellers,
    seller_ids,
    team_of,
)
from pipelines.sources.demo.plans import PLAN_OF_TEAM, RETENTION_QUOTA, STAFF_TARGET
from pipelines.sources.demo.pricing import CREDIT_TYPES, PRIMARY, Credits
from pipelines.sources.demo.reference import PRODUCTS, SPIFF_AMOUNT, SPIFF_PLAN, SPIFF_PRODUCT, spiff_runs
from pipelines.sources.demo.values import (
    DAY,
    SECOND,
    always,
    at_work,
    day_number,
    days,
    distinct,
    flags,
    ids,
    moments,
    money,
    quarter_start,
    quarter_starts,
    quarters_of,
    series,
    shares,
    words,
)

_LOST_REASONS = ("price", "no decision", "competitor", "timing")
_INDUSTRIES = ("retail", "manufacturing", "health", "finance", "public", "software")
_CHANNELS = ("call", "email", "meeting", "demo", "visit")
_OUTCOMES = ("no answer", "talked", "follow-up agreed")


def opportunity_table(draws: Draws, deals: Deals, lives: Lives, is_open: Flags) -> pl.DataFrame:
    """`opportunities`. Open deals have no close; three in ten of them have no amount yet."""
    code = deals.code
    is_won = deals.is_won & ~is_open
    in_last_week = quarter_starts(quarters_of(deals.closed // DAY) + 1) - deals.closed // DAY <= 7
    discount = draws.below("discount", code, 12) + np.where(
        in_last_week, draws.below("late discount", code, 15), 0
    )
    list_amount = -(-deals.amount * 100 // ((100 - discount) * 1_000)) * 1_000
    has_amount = ~(is_open & draws.chance("no amount yet", code, 0.3))
    return pl.DataFrame(
        {
            "_row": code,
            "opportunity_id": ids("O", code, 10),
            "account_id": ids("A", deals.account, 9),
            "rep_id": seller_ids(deals.rep),
            "product_id": words(product_of(draws, code), [p.product_id for p in PRODUCTS]),
            "created_at": moments(deals.created),
            "closed_at": moments(deals.closed, ~is_open),
            "stage": words(np.where(is_open, 2, is_won.astype(np.int64)), ("lost", "won", "negotiation")),
            "is_won": flags(is_won),
            "amount": money(deals.amount, has_amount),
            "currency": words(team_of(deals.rep) % 4, CURRENCY_OF_TEAM),
            "list_amount": money(list_amount, has_amount),
            "term_months": series(lives.term, pl.Int64(), is_won),
            "starts_on": days(lives.started // DAY, is_won),
            "lost_reason": words(draws.below("lost", code, 4), _LOST_REASONS, ~is_won & ~is_open),
            "consented": flags(draws.chance("consented", code, 0.97), is_won),
            "recorded_at": moments(np.where(is_open, deals.created, deals.recorded)),
        }
    )


def activity_table(draws: Draws, deals: Deals, lives: Lives, start: int, stop: int) -> pl.DataFrame:
    """`activities` of deals in [start, stop): about ten per won deal, most before the close.

    One hash gives the time and one all the words: this is the largest table.
    """
    code = deals.code
    before = np.where(
        deals.is_won, 5 + draws.below("touches before", code, 4), 2 + draws.below("touches before", code, 2)
    )
    after = np.where(lives.is_served, 1 + draws.below("touches after", code, 3), 0)
    count = before + after
    which = np.repeat(np.arange(code.size), count)
    nth = np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
    row = code[which] * 16 + nth
    is_before = nth < before[which]
    share = draws.uniform("touch", row)
    # the last touches come shortly before the close; later ones spread over the first year of service
    from_day = np.where(is_before, deals.created[which] // DAY, lives.started[which] // DAY)
    to_day = np.where(
        is_before, deals.closed[which] // DAY, np.minimum(lives.ended[which] // DAY, from_day + 365)
    )
    day = from_day + (np.where(is_before, np.sqrt(share), share) * (to_day - from_day)).astype(np.int64)
    bits = draws.bits("touch words", row)
    when = day * DAY + (13 * 3600 + (bits >> np.uint64(44)).astype(np.int64) % 3_600) * 1_000_000
    inside = (when >= start) & (when < stop)
    which, row, is_before, when, bits = (a[inside] for a in (which, row, is_before, when, bits))

    def per_mille(shift: int) -> Ints:
        return np.asarray((bits >> np.uint64(shift)).astype(np.int64) % 1_000)

    channel = np.searchsorted([350, 700, 880, 960], per_mille(0), side="right")
    outbound = per_mille(10) < np.where(is_before, 850, 500)
    return pl.DataFrame(
        {
            "_row": row,
            "activity_id": ids("T", row, 12),
            "account_id": ids("A", deals.account, 9).gather(which),
            "rep_id": seller_ids(deals.rep).gather(which),
            "occurred_at": moments(when),
            "channel": words(channel, _CHANNELS),
            "direction": words(outbound.astype(np.int64), ("inbound", "outbound")),
            "outcome": words(per_mille(20) % 3, _OUTCOMES),
            "solicited": flags(per_mille(27) < 200),
            "opted_out": flags(per_mille(34) < 10),
        }
    )


def credit_table(deals: Deals, credited: Credits) -> pl.DataFrame:
    """`credits`, in the currency of the seller's plan, which is the deal's."""
    return pl.DataFrame(
        {
            "_row": credited.number,
            "credit_id": ids("K", credited.number, 11),
            "opportunity_id": ids("O", deals.code[credited.deal], 10),
            "rep_id": seller_ids(credited.rep),
            "component": always("commission", credited.number.size),
            "split_weight": shares(credited.weight),
            "credited_amount": money(credited.amount),
            "currency": words(team_of(deals.rep[credited.deal]) % 4, CURRENCY_OF_TEAM),
            "credit_type": words(credited.kind, CREDIT_TYPES),
            "credited_at": moments(credited.closed),
            "recorded_at": moments(credited.recorded),
        }
    )


def ledger_table(draws: Draws, deals: Deals, lives: Lives, credited: Credits, stop: int) -> pl.DataFrame:
    """`ledger`: pay per credit, SPIFFs, and pay taken back when the customer left within 180 days of the close."""
    code = deals.code[credited.deal]
    closed_day = credited.closed // DAY
    left = lives.take(credited.deal)
    returned = left.ended + 10 * DAY
    is_returned = (
        (credited.kind == PRIMARY)
        & left.is_served
        & left.is_churn
        & (left.ended - credited.closed <= 180 * DAY)
        & (returned < stop)
        & (credited.earned > 0)
    )
    on_spiff_plan = (credited.rep < ENGINEERS) & (team_of(credited.rep) % 4 == PLAN_OF_TEAM.index(SPIFF_PLAN))
    is_spiff = (
        (credited.kind == PRIMARY)
        & on_spiff_plan
        & spiff_runs(closed_day)
        & (product_of(draws, code) == SPIFF_PRODUCT)
    )
    start = quarter_starts(quarters_of(closed_day))
    everything = np.ones(credited.number.size, dtype=bool)
    kinds = (
        ("earn", everything, credited.earned, start, credited.recorded),
        ("clawback", is_returned, -credited.earned, quarter_starts(quarters_of(returned // DAY)), returned),
        ("spiff", is_spiff, SPIFF_AMOUNT * credited.weight // 10_000, start, credited.recorded),
    )
    parts = []
    for part, (entry_type, which, amount, period, booked) in enumerate(kinds):
        number = credited.number[which] * 4 + part
        paid = booked[which] + 30 * DAY
        parts.append(
            pl.DataFrame(
                {
                    "_row": number,
                    "entry_id": ids("L", number, 12),
                    "rep_id": seller_ids(credited.rep[which]),
                    "credit_id": ids("K", credited.number[which], 11),
                    "entry_type": always(entry_type, number.size),
                    "amount": money(amount[which]),
                    "currency": words(team_of(deals.rep[credited.deal[which]]) % 4, CURRENCY_OF_TEAM),
                    "period_start": days(period[which]),
                    "booked_at": moments(booked[which]),
                    "paid_at": moments(paid, paid < stop),
                    "reverses_entry_id": ids(
                        "L", number - part, 12, np.full(number.size, entry_type == "clawback")
                    ),
                }
            )
        )
    return pl.concat(parts)


def retention_pay_table(results: pl.DataFrame, quarter: int, stop: int) -> pl.DataFrame:
    """`ledger`: what success managers earn by retention, booked on the last day of the quarter. No deal carries it.

    Args:
        results: `component_results` of the quarter, one row per team.
        quarter: The quarter.
        stop: First moment that nobody knows.
    """
    team = np.arange(results.height)
    achieved = (results["achieved"] * 100).cast(pl.Int64).to_numpy()
    earned = (2 * STAFF_TARGET * achieved + RETENTION_QUOTA) // (2 * RETENTION_QUOTA)
    number = 900_000_000_000 + team * 400 + quarter
    start = np.full(team.size, quarter_start(quarter))
    booked = np.full(team.size, (quarter_start(quarter + 1) - 1) * DAY + 20 * 3600 * SECOND)
    paid = booked + 30 * DAY
    return pl.DataFrame(
        {
            "_row": number,
            "entry_id": ids("L", number, 12),
            "rep_id": results["rep_id"],
            "credit_id": always(None, team.size),
            "entry_type": always("earn", team.size),
            "amount": money(earned),
            "currency": always("USD", team.size),
            "period_start": days(start),
            "booked_at": moments(booked),
            "paid_at": moments(paid, paid < stop),
            "reverses_entry_id": always(None, team.size),
        }
    )


def _merged(draws: Draws, account: Ints) -> Flags:
    """Accounts merged into the next of the book; that one has an odd number and stays."""
    return np.asarray((account % 2 == 0) & draws.chance("merged", account, 0.016))


def _child(draws: Draws, account: Ints) -> Flags:
    """Accounts whose parent is the next but one of the book."""
    return np.asarray((account % 4 == 0) & ~_merged(draws, account) & draws.chance("child", account, 0.06))


def account_tables(draws: Draws, sellers: Sellers, account: Ints, until: date) -> dict[str, pl.DataFrame]:
    """`accounts` and `account_assignments` of the accounts that deals name, and of those they were merged into."""
    for _ in range(2):  # a parent may itself have been merged
        merged, child = _merged(draws, account), _child(draws, account)
        account = distinct(np.concatenate([account, (account + 1)[merged], (account + 2)[child]]))
    merged, child = _merged(draws, account), _child(draws, account)
    rep, year = account // ACCOUNTS_A_YEAR // 40, account // ACCOUNTS_A_YEAR % 40
    team = team_of(rep)
    opened = quarter_starts(year * 4) - 200 - draws.below("account age", account, 600)
    return {
        "accounts": pl.DataFrame(
            {
                "_row": account,
                "account_id": ids("A", account, 9),
                "name": "Customer " + pl.Series(values=account).cast(pl.String),
                "segment": words(account_segment(draws, account), SEGMENTS),
                "region": words(team % 4, REGION_OF_TEAM),
                "industry": words(draws.below("industry", account, 6), _INDUSTRIES),
                "timezone": words(team % 4, ZONE_OF_TEAM),
                "created_at": moments(at_work(draws, "account time", account, opened)),
                "parent_account_id": ids("A", account + 2, 9, child),
                "merged_into_id": ids("A", account + 1, 9, merged),
                "is_target_profile": flags(draws.chance("target profile", account, 0.7)),
                "is_vulnerable": flags(draws.chance("vulnerable", account, 0.05)),
                "deleted": flags(np.zeros(account.size, dtype=bool)),
            }
        ),
        "account_assignments": _assignments(
            draws, sellers, account, np.maximum(opened, sellers.hired[rep]), until
        ),
    }


def _assignments(draws: Draws, sellers: Sellers, account: Ints, since: Ints, until: date) -> pl.DataFrame:
    """The seller, the neighbour after a reassignment or a leaver, and the team's success manager."""
    last = day_number(until)
    rep, year = account // ACCOUNTS_A_YEAR // 40, account // ACCOUNTS_A_YEAR % 40
    moves = draws.chance("reassigned", account, 0.10)
    moved = quarter_starts(year * 4) + 60 + draws.below("reassigned on", account, 840)
    left = sellers.left[rep]
    change = np.where(moves, np.minimum(moved, left), left)
    changed = (change <= last) & (change > since)
    success = np.maximum(since, quarter_starts(year * 4))
    blocks = (
        (account, seller_ids(rep), "hunter", since, changed, np.zeros(account.size, dtype=np.int64)),
        (
            account[changed],
            seller_ids(neighbour(rep[changed])),
            "hunter",
            change[changed],
            np.zeros(int(changed.sum()), dtype=bool),
            np.where(moves & (moved < left), 1, 2)[changed],
        ),
        (
            account,
            ids("C", rep // TEAM, 6),
            "success",
            success,
            np.zeros(account.size, dtype=bool),
            account * 0,
        ),
    )
    return pl.concat(
        pl.DataFrame(
            {
                "_row": who * 4 + number,
                "account_id": ids("A", who, 9),
                "rep_id": people,
                "role": always(role, who.size),
                "valid_from": days(start),
                "valid_to": days(np.resize(change, start.size), ended),
                "reason": words(reason, ("new", "reassigned", "leaver")),
            }
        )
        for number, (who, people, role, start, ended, reason) in enumerate(blocks)
    )
