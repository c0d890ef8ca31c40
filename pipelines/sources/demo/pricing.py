"""What each credit of a quarter was worth to its seller: the demo's own, independent pricing of every deal."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from pipelines.sources.demo.deals import Deals, neighbour
from pipelines.sources.demo.draws import Draws, Flags, Floats, Ints
from pipelines.sources.demo.people import ENGINEER_PLAN_OF_TEAM, ENGINEERS, Sellers, team_of
from pipelines.sources.demo.plans import PLAN_OF_TEAM, cents, pay, plan_rows, quotas, typical_quota
from pipelines.sources.demo.planted import EXPOSURE_CEILING
from pipelines.sources.demo.values import DAY

PRIMARY, OVERLAY = 0, 1
CREDIT_TYPES = ("primary", "overlay")


@dataclass(frozen=True)
class Credits:
    """Credits of one quarter in canonical order within each seller. Money in cents, times in microseconds."""

    number: Ints  # the credit's number for life: deal and part
    deal: Ints  # position of the deal in the quarter's Deals
    rep: Ints
    kind: Ints  # position in CREDIT_TYPES
    weight: Ints  # basis points
    amount: Ints
    closed: Ints
    recorded: Ints
    earned: Ints  # pay with today's knowledge, rounded so that a period's entries add up
    quarter: Ints

    def take(self, which: Flags | Ints) -> Self:
        """The same facts for some credits."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


@dataclass(frozen=True)
class Prices:
    """Deal EMCR, one per element of the quarter's Deals, NaN for lost deals and where the quota was not known."""

    as_known: Floats
    as_final: Floats

    @property
    def exposure(self) -> Floats:
        """What the planted effects act on: as known, else as final, cut at the ceiling; 0 for lost deals."""
        exposure = np.where(np.isnan(self.as_known), self.as_final, self.as_known)
        return np.asarray(np.minimum(np.nan_to_num(exposure), EXPOSURE_CEILING))


def price(draws: Draws, sellers: Sellers, deals: Deals, quarter: int) -> tuple[Credits, Prices]:
    """Credits of all won deals of a quarter, and what the deals paid at the margin.

    As known: earlier credits of the same seller whose deal or credit was recorded by the close, at the quota recorded
    by then (10-definitions). The plan version is that of the close's day.
    """
    deal, rep, kind, weight, amount = _share_out(draws, deals)
    number = deals.code[deal] * 4 + np.where(kind == OVERLAY, 2, (rep != deals.rep[deal]).astype(np.int64))
    closed = deals.closed[deal]
    order = np.lexsort((deals.code[deal], closed, rep))
    deal, rep, kind, weight, amount, number, closed = (
        a[order] for a in (deal, rep, kind, weight, amount, number, closed)
    )
    known_at = deals.recorded[deal]  # never later than the credit's own recording
    # all credits of a deal are recorded together: half a split would be no split
    delay = np.where(
        draws.chance("credit late", number // 4, 0.04), 3 + draws.below("credit delay", number // 4, 22), 0
    )
    recorded = known_at + np.where(delay > 0, delay * DAY, 3_600_000_000)

    is_seller = rep < ENGINEERS
    seller = np.where(is_seller, rep, 0)
    team = np.where(is_seller, team_of(rep), rep - ENGINEERS)
    row = np.where(
        is_seller,
        plan_rows(PLAN_OF_TEAM, team % 4, closed // DAY),
        plan_rows(ENGINEER_PLAN_OF_TEAM, team % 4, closed // DAY),
    )
    quota = quotas(draws, seller, np.full(rep.size, quarter), typical_quota(row), sellers.territory[seller])
    final = np.where(is_seller, quota.final, 0)
    known = np.where(is_seller & (quota.revised > closed // DAY), quota.first, final)
    is_known = ~is_seller | (quota.recorded <= closed // DAY)

    before = _sum_before(rep, amount)
    unknown = _unknown_before(rep, closed, known_at, amount)
    added_final = pay(before + amount, final, row) - pay(before, final, row)
    added_known = pay(before - unknown + amount, known, row) - pay(before - unknown, known, row)
    earned = cents(pay(before + amount, final, row)) - cents(pay(before, final, row))

    primary = kind == PRIMARY
    count = deals.code.size

    def per_deal(values: Ints | Flags) -> Floats:
        return np.asarray(
            np.bincount(deal[primary], weights=values[primary], minlength=count), dtype=np.float64
        )

    with np.errstate(invalid="ignore", divide="ignore"):
        base = per_deal(amount) * 10_000
        as_final = per_deal(added_final) / base
        as_known = np.where(per_deal(~is_known) > 0, np.nan, per_deal(added_known) / base)
    credited = Credits(
        number, deal, rep, kind, weight, amount, closed, recorded, earned, np.full(rep.size, quarter)
    )
    return credited, Prices(as_known, as_final)


def _share_out(draws: Draws, deals: Deals) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Deal, seller, kind, weight and amount of each credit: the whole or 60 %, the neighbour's 40 %, the engineer's."""
    won = np.nonzero(deals.is_won)[0]
    split = won[deals.is_split[won]]
    helped = won[draws.chance("engineer", deals.code[won], 0.10)]
    two_fifths = np.where(deals.is_split, deals.amount * 2 // 5, 0)
    parts = (
        (
            won,
            deals.rep[won],
            PRIMARY,
            np.where(deals.is_split[won], 6_000, 10_000),
            (deals.amount - two_fifths)[won],
        ),
        (split, neighbour(deals.rep[split]), PRIMARY, np.full(split.size, 4_000), two_fifths[split]),
        (
            helped,
            ENGINEERS + team_of(deals.rep[helped]),
            OVERLAY,
            np.full(helped.size, 10_000),
            deals.amount[helped],
        ),
    )
    deal, rep, weight, amount = (np.concatenate([p[i] for p in parts]) for i in (0, 1, 3, 4))
    kind = np.concatenate([np.full(p[0].size, p[2]) for p in parts])
    return deal, rep, kind, weight, amount


def _sum_before(group: Ints, amount: Ints) -> Ints:
    """Sum of the earlier amounts of the same group; rows sorted by group."""
    total = np.cumsum(amount) - amount
    first = np.concatenate([[True], group[1:] != group[:-1]]) if group.size else np.zeros(0, dtype=bool)
    return np.asarray(total - np.maximum.accumulate(np.where(first, total, 0)))


def _unknown_before(group: Ints, closed: Ints, known_at: Ints, amount: Ints) -> Ints:
    """Sum of earlier amounts of the same group that nobody knew yet when the row closed.

    One pass per distance between two rows of a group, so as many as the longest group has rows.
    """
    unknown = np.zeros(group.size, dtype=np.int64)
    for distance in range(1, group.size):
        same = group[distance:] == group[:-distance]
        if not same.any():
            break
        hidden = same & (known_at[:-distance] > closed[distance:])
        unknown[distance:] += np.where(hidden, amount[:-distance], 0)
    return unknown
