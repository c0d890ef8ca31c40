"""What became of a sold deal: service, churn at the planted hazard, refunds, usage. Tables of retention."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import log
from typing import Self

import numpy as np
import polars as pl

from pipelines.sources.demo.deals import Deals
from pipelines.sources.demo.draws import Draws, Flags, Floats, Ints
from pipelines.sources.demo.people import CURRENCY_OF_TEAM, Sellers, team_of
from pipelines.sources.demo.planted import (
    ABILITY_LOG_HAZARD,
    EXPOSURE_CENTRE,
    HAZARD_RATIO_PER_10PP,
    TERRITORY_LOG_HAZARD,
    Effect,
)
from pipelines.sources.demo.reference import PRODUCTS
from pipelines.sources.demo.values import DAY, at_work, fixed_point, flags, ids, moments, money, words

_SEGMENT_LOG_HAZARD = np.array([0.15, 0.0, -0.20])
# Cumulative baseline hazard: (day, value); steep around each renewal. Constant multiples of it are proportional hazards.
_BASELINE = np.array([
    (0, 0.0), (90, 0.055), (340, 0.245), (380, 0.345), (705, 0.545), (745, 0.625), (1070, 0.805), (1110, 0.875),
    (3650, 1.9),
])  # fmt: skip
_NEVER = 100 * 365
TERMS = np.array([12, 24, 36])
END_REASONS = ("cancelled", "not_renewed", "non_payment", "business_closed")


@dataclass(frozen=True)
class Lives:
    """Fates of deals, one per element; meaningful where `is_served`. Times in microseconds, `ended` may lie far ahead."""

    is_served: Flags
    started: Ints
    ended: Ints
    reason: Ints  # position in END_REASONS
    term: Ints  # months
    monthly: Ints  # recurring revenue in cents
    exposure: Floats  # the deal's EMCR as the planted effects see it

    def take(self, which: Flags | Ints) -> Self:
        """The same facts for some deals."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @property
    def is_churn(self) -> Flags:
        """Whether the end, when it comes, is the customer's choice."""
        return np.asarray(self.reason < 2)


def live(draws: Draws, sellers: Sellers, deals: Deals, exposure: Floats, effect: Effect) -> Lives:
    """Draw the life of every deal.

    The hazard is the baseline times exp(planted log ratio x exposure in tens of points + segment + seller's ability
    + territory): proportional, with no frailty that a model with these terms would leave out.
    """
    code = deals.code
    per_point = log(HAZARD_RATIO_PER_10PP[effect]) / 0.10
    log_hazard = (
        per_point * (exposure - EXPOSURE_CENTRE)
        + _SEGMENT_LOG_HAZARD[deals.segment]
        + ABILITY_LOG_HAZARD * sellers.ability[deals.rep]
        + TERRITORY_LOG_HAZARD * sellers.territory[deals.rep]
    )
    budget = draws.exponential("churn", code) / np.exp(log_hazard)
    churn = np.where(budget < _BASELINE[-1, 1], np.interp(budget, _BASELINE[:, 1], _BASELINE[:, 0]), _NEVER)
    other = 30.4 / 0.003 * draws.exponential("other exit", code)
    lasted = np.maximum(1, np.minimum(np.minimum(churn, other), _NEVER)).astype(np.int64)
    at_renewal = (lasted + 25) % 365 < 40
    other_reason = 2 + draws.below("exit reason", code, 2)
    term = TERMS[draws.weighted("term", code, (0.75, 0.2, 0.05))]
    first_day = deals.closed // DAY + 1 + draws.below("start", code, 14)
    return Lives(
        is_served=deals.is_won & ~draws.chance("never started", code, 0.01),
        started=at_work(draws, "start time", code, first_day),
        ended=at_work(draws, "end time", code, first_day + lasted),
        reason=np.where(other < churn, other_reason, at_renewal.astype(np.int64)),
        term=term,
        monthly=deals.amount // term,
        exposure=exposure,
    )


def product_of(draws: Draws, code: Ints) -> Ints:
    """Position in PRODUCTS of what a deal sold."""
    return draws.weighted("product", code, tuple(p.share for p in PRODUCTS))


def retention_tables(draws: Draws, deals: Deals, lives: Lives, stop: int) -> dict[str, pl.DataFrame]:
    """`subscriptions`, `subscription_events`, `customer_activity` of deals, as known before `stop`."""
    known = lives.is_served & (lives.started < stop)
    deals, lives = deals.take(known), lives.take(known)
    code = deals.code
    over = lives.ended < stop
    product = product_of(draws, code)
    reason_known = over & ~(lives.is_churn & draws.chance("reason missing", code, 0.01))
    subscriptions = pl.DataFrame(
        {
            "_row": code,
            "subscription_id": ids("S", code, 10),
            "account_id": ids("A", deals.account, 9),
            "opportunity_id": ids("O", code, 10),
            "product_id": words(product, [p.product_id for p in PRODUCTS]),
            "started_at": moments(lives.started),
            "term_end": moments(lives.started + (lives.term * 487 // 16) * DAY),
            "ended_at": moments(lives.ended, over),
            "end_reason": words(lives.reason, END_REASONS, reason_known),
            "auto_renews": flags(draws.chance("auto renews", code, 0.7)),
            "mrr": money(lives.monthly),
            "currency": words(team_of(deals.rep) % 4, CURRENCY_OF_TEAM),
        }
    )
    return {
        "subscriptions": subscriptions,
        "subscription_events": _events(draws, deals, lives, stop),
        "customer_activity": _usage(draws, deals, lives, stop),
    }


_EVENTS = (
    "start",
    "renew",
    "upgrade",
    "downgrade",
    "cancel_request",
    "cancel",
    "refund",
    "dispute",
    "reactivate",
)


def _events(draws: Draws, deals: Deals, lives: Lives, stop: int) -> pl.DataFrame:
    """Every event that took effect before `stop`: one block per kind, then one table."""
    code, started, ended = deals.code, lives.started, lives.ended
    everyone = np.ones(code.size, dtype=bool)
    churned = lives.is_churn & (ended < stop)
    asked = np.maximum(started, ended - (3 + draws.below("notice", code, 40)) * DAY)
    lasted = ended - started
    midway = started + (lasted // DAY * draws.uniform("change at", code)).astype(np.int64) * DAY
    step = lives.monthly // 5
    nothing = np.zeros(code.size, dtype=np.int64)
    refunded = churned & (ended - deals.closed < 120 * DAY) & draws.chance("refund", code, 0.35)
    blocks: list[tuple[str, Flags, Ints, Ints, Ints]] = [
        ("start", everyone, started, lives.monthly, nothing),
        ("upgrade", draws.chance("upgrade", code, 0.08), midway, step, nothing),
        (
            "downgrade",
            ~draws.chance("upgrade", code, 0.08) & draws.chance("downgrade", code, 0.05),
            midway,
            -step,
            nothing,
        ),
        ("cancel_request", lives.is_churn, asked, nothing, nothing),
        ("cancel", churned, ended, -lives.monthly, nothing),
        ("refund", refunded, ended + 5 * DAY, nothing, lives.monthly * 2),
        ("dispute", draws.chance("dispute", code, 0.004), started + 30 * DAY, nothing, lives.monthly),
        (
            "reactivate",
            churned & draws.chance("reactivate", code, 0.02),
            ended + 15 * DAY,
            lives.monthly,
            nothing,
        ),
    ]
    blocks += [
        ("renew", lasted > year * 365 * DAY, started + year * 365 * DAY, nothing, nothing)
        for year in range(1, 10)
    ]
    parts = []
    for number, (kind, happens, when, change, amount) in enumerate(blocks):
        which = np.nonzero(happens & (when < stop))[0]
        row = code[which] * 20 + number
        parts.append(
            pl.DataFrame(
                {
                    "_row": row,
                    "event_id": ids("V", row, 12),
                    "subscription_id": ids("S", code[which], 10),
                    "kind": words(np.full(which.size, _EVENTS.index(kind)), _EVENTS),
                    "requested_at": moments(
                        asked[which], np.full(which.size, kind in {"cancel_request", "cancel"})
                    ),
                    "effective_at": moments(when[which]),
                    "mrr_delta": money(change[which], change[which] != 0),
                    "amount": money(amount[which], amount[which] != 0),
                }
            )
        )
    return pl.concat(parts)


def _usage(draws: Draws, deals: Deals, lives: Lives, stop: int) -> pl.DataFrame:
    """Usage of every 90 days of service, with an add-on bought now and then."""
    lasted = np.minimum(lives.ended, stop - 1) - lives.started
    times = np.minimum(lasted // (90 * DAY), 99)
    which = np.repeat(np.arange(deals.code.size), times)
    nth = np.arange(which.size) - np.repeat(np.cumsum(times) - times, times)
    row = deals.code[which] * 100 + nth
    bought = draws.chance("add-on", row, 0.1)
    return pl.DataFrame(
        {
            "_row": row,
            "event_id": ids("U", row, 12),
            "account_id": ids("A", deals.account[which], 9),
            "occurred_at": moments(lives.started[which] + (nth + 1) * 90 * DAY),
            "kind": words(bought.astype(np.int64), ("usage", "purchase")),
            "amount": money((1 + draws.below("add-on amount", row, 40)) * 5_000, bought),
            "units": fixed_point((1 + draws.below("units", row, 90)) * 10**8, 18, 8),
        }
    )
