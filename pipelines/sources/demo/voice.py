"""What customers said: complaints, feedback, and how long it took to reach those who decide."""

from __future__ import annotations

from math import log

import numpy as np
import polars as pl

from pipelines.sources.demo.deals import Deals, account_segment
from pipelines.sources.demo.draws import Draws, Floats, Ints
from pipelines.sources.demo.lives import Lives, product_of
from pipelines.sources.demo.people import depth_of, seller_ids, team_of
from pipelines.sources.demo.planted import (
    CAPTURE_LAG_RATIO_PER_10PP,
    COMPLAINT_RATIO_PER_10PP,
    EXPOSURE_CENTRE,
    LAG_RATIO_PER_STEP,
    SHIFT_MONTH,
    SHIFT_SHARE,
    SHIFT_THEME,
    SURVEYED,
    TOLD_OTHERS_TOO,
    TOLD_SELLER_FIRST,
    TOLD_SELLER_TOO,
    UNHEARD_SEGMENT,
    Effect,
)
from pipelines.sources.demo.reference import PRODUCTS, THEMES, theme_id
from pipelines.sources.demo.values import DAY, always, at_work, flags, ids, moments, money, words

_DAYS_PER_COMPLAINT = 30.4375 / 0.020  # 20 per 1,000 account-months at the centre of the exposure
_COMPLAINTS_A_DEAL = 2
_WATCHED_DAYS = 540
_CATEGORIES = ("mis_sale", "service", "billing", "product", "other")
_SEVERITIES = ("low", "medium", "high", "critical")
_SOURCES = ("seller", "support", "survey", "research")
_TOLD_AGAIN = 50_000_000_000  # added to the number of an item told a second time
_SHIFT_DAY = int(np.datetime64(SHIFT_MONTH, "D").astype(np.int64))


def complaint_table(draws: Draws, deals: Deals, lives: Lives, effect: Effect, stop: int) -> pl.DataFrame:
    """`complaints`: a Poisson process per deal while it lasts, its rate rising with the exposure as planted."""
    known = np.nonzero(lives.is_served)[0]
    which = np.repeat(known, _COMPLAINTS_A_DEAL)
    nth = np.tile(np.arange(_COMPLAINTS_A_DEAL), known.size)
    row = deals.code[which] * _COMPLAINTS_A_DEAL + nth
    tens = (lives.exposure[which] - EXPOSURE_CENTRE) / 0.10
    gap = draws.exponential("complaint", row) * _DAYS_PER_COMPLAINT / COMPLAINT_RATIO_PER_10PP[effect] ** tens
    after = np.where(nth == 1, gap + np.roll(gap, 1), gap)
    day = deals.closed[which] // DAY + 1 + np.minimum(after, _WATCHED_DAYS).astype(np.int64)
    received = at_work(draws, "complaint time", row, day)
    happens = (after < _WATCHED_DAYS) & (received < np.minimum(lives.ended[which], stop))
    which, row, tens, received = which[happens], row[happens], tens[happens], received[happens]
    mis_sold = draws.uniform("mis-sale", row) < np.clip(
        0.20 + 0.08 * log(COMPLAINT_RATIO_PER_10PP[effect]) / log(1.25) * tens, 0.05, 0.8
    )
    category = np.where(mis_sold, 0, 1 + draws.below("category", row, 4))
    resolved = received + (1 + draws.below("resolved", row, 45)) * DAY
    escalated = received + DAY
    is_closed = resolved < stop
    upheld = draws.chance("upheld", row, 0.4)
    severity = draws.weighted("severity", row, (0.4, 0.35, 0.2, 0.05))
    code = deals.code[which]
    direct = draws.chance("names the deal", row, 0.8)
    return pl.DataFrame(
        {
            "_row": row,
            "complaint_id": ids("C", row, 11),
            "account_id": ids("A", deals.account[which], 9),
            "opportunity_id": ids("O", code, 10, direct),
            "subscription_id": ids("S", code, 10, lives.started[which] <= received),
            "product_id": words(product_of(draws, code), [p.product_id for p in PRODUCTS]),
            "received_at": moments(received),
            "escalated_at": moments(escalated, (severity >= 2) & (escalated < np.minimum(stop, resolved))),
            "resolved_at": moments(resolved, is_closed),
            "category": words(category, _CATEGORIES),
            "severity": words(severity, _SEVERITIES),
            "is_upheld": flags(upheld, is_closed),
            "redress": money((1 + draws.below("redress", row, 60)) * 2_500, is_closed & upheld),
            "channel": words(draws.below("complaint channel", row, 3), ("email", "call", "web")),
        }
    )


def feedback_tables(
    draws: Draws, deals: Deals, lives: Lives, effect: Effect, stop: int
) -> dict[str, pl.DataFrame]:
    """`feedback` and `feedback_events`: every hop waits longer the further its seller is from the board.

    An item said but not yet written down is not in the data: that is the point of the lag.
    """
    row = np.concatenate([deals.code * 2 + nth for nth in range(2)])
    which = np.tile(np.arange(deals.code.size), 2)
    speaks = draws.uniform("speaks", row) < np.where(row % 2 == 0, 0.40, 0.12)
    speaks &= lives.is_served[which]
    row, which = row[speaks], which[speaks]
    said_day = lives.started[which] // DAY + 2 + draws.below("said", row, 400)
    said = at_work(draws, "said time", row, said_day)
    in_service = said < np.minimum(lives.ended[which], stop)
    row, which, said, said_day = row[in_service], which[in_service], said[in_service], said_day[in_service]

    theme = np.where(
        (said_day >= _SHIFT_DAY) & draws.chance("shifted", row, SHIFT_SHARE),
        SHIFT_THEME,
        draws.below("theme", row, len(THEMES)),
    )
    is_deaf = (account_segment(draws, deals.account[which]) == UNHEARD_SEGMENT).astype(np.int64)
    source = draws.weighted("source", row, (TOLD_SELLER_FIRST[0], 0.3, SURVEYED, 0.05))
    unheard = (source == 0) & (
        draws.uniform("unheard", row) >= np.array(TOLD_SELLER_FIRST)[is_deaf] / TOLD_SELLER_FIRST[0]
    )
    source = np.where(unheard, 1, source)
    solicited = (source == 2) | draws.chance("solicited", row, 0.2)
    is_unmet = draws.chance("unmet", row, 0.6)

    # some needs are told twice: to a seller and to support, a few weeks later
    again = draws.uniform("told again", row) < np.where(
        source == 0, TOLD_OTHERS_TOO, np.array(TOLD_SELLER_TOO)[is_deaf]
    )
    said_again = said + (3 + draws.below("told again after", row, 38)) * DAY
    twice = np.nonzero(again & is_unmet & (said_again < np.minimum(lives.ended[which], stop)))[0]
    source = np.concatenate([source, np.where(source[twice] == 0, 1, 0)])
    row = np.concatenate([row, row[twice] + _TOLD_AGAIN])
    which, theme, solicited, is_unmet = (
        np.concatenate([a, a[twice]]) for a in (which, theme, solicited, is_unmet)
    )
    said, said_day = (
        np.concatenate([said, said_again[twice]]),
        np.concatenate([said_day, said_again[twice] // DAY]),
    )

    steps = depth_of(team_of(deals.rep[which]), said_day)
    slower = LAG_RATIO_PER_STEP ** (steps - 3)
    tens = (lives.exposure[which] - EXPOSURE_CENTRE) / 0.10

    def later(hop: str, since: Ints, mean_days: float | Floats) -> Ints:
        waited = draws.exponential(f"lag {hop}", row) * mean_days * slower
        return since + (np.minimum(waited, 3_000) * 86_400).astype(np.int64) * 1_000_000

    captured = later("captured", said, 6.0 * CAPTURE_LAG_RATIO_PER_10PP[effect] ** tens)
    written = captured < stop
    feedback = pl.DataFrame(
        {
            "_row": row,
            "feedback_id": ids("F", row, 11),
            "account_id": ids("A", deals.account[which], 9),
            "opportunity_id": ids("O", deals.code[which], 10, draws.chance("feedback names deal", row, 0.85)),
            "rep_id": seller_ids(deals.rep[which], source == 0),
            "theme_id": words(theme, [theme_id(i) for i in range(len(THEMES))]),
            "expressed_at": moments(said),
            "captured_at": moments(captured),
            "source": words(source, _SOURCES),
            "need": words(is_unmet.astype(np.int64), ("met", "unmet")),
            "solicited": flags(solicited),
        }
    ).filter(pl.Series(written))

    triaged = later("triaged", captured, 8.0)
    decided = later("decided", triaged, 20.0)
    shipped = later("shipped", decided, 45.0)
    told = later("told_back", shipped, 12.0)
    seen = later("board_seen", captured, 40.0)
    kept = ~draws.chance("lost at triage", row, 0.12)
    ruled = kept & ~draws.chance("lost at decision", row, 0.15)
    declined = draws.chance("declined", row, 0.35)
    built = ruled & ~declined & ~draws.chance("never built", row, 0.2)
    hops = (
        ("triaged", kept, triaged),
        ("decided", ruled, decided),
        ("shipped", built, shipped),
        ("told_back", built & ~draws.chance("never told", row, 0.3), told),
        ("board_seen", draws.chance("reaches the board", row, 0.35), seen),
    )
    manager = ids("M", team_of(deals.rep[which]), 6)
    verdict = words(declined.astype(np.int64), ("accepted", "declined"))
    events = []
    for number, (hop, happens, when) in enumerate(hops):
        there = np.nonzero(written & happens & (when < stop))[0]
        events.append(
            pl.DataFrame(
                {
                    "_row": row[there] * 8 + number,
                    "feedback_id": ids("F", row[there], 11),
                    "hop": always(hop, there.size),
                    "occurred_at": moments(when[there]),
                    "outcome": verdict.gather(there) if hop == "decided" else always(None, there.size),
                    "actor_id": manager.gather(there),
                }
            )
        )
    return {"feedback": feedback, "feedback_events": pl.concat(events)}
