"""Deals of one quarter: who sells what to whom, when, for how much, and who pushes the last one over the quota."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from pipelines.sources.demo.draws import Draws, Flags, Floats, Ints
from pipelines.sources.demo.people import Sellers, team_of
from pipelines.sources.demo.plans import PLAN_OF_TEAM, plan_rows, quotas, typical_quota
from pipelines.sources.demo.planted import BUNCHING_FROM, BUNCHING_REACH, BUNCHING_SHARE
from pipelines.sources.demo.values import DAY, at_work, quarter_start

WON_SLOTS, LOST_SLOTS = 20, 20
_SLOTS = 64
SEGMENTS = ("small", "medium", "enterprise")
_SEGMENT_SHARES = (0.5, 0.35, 0.15)
_SEGMENT_SIZE = np.array([0.6, 1.1, 2.0])
ACCOUNTS_A_YEAR = 128
"""Accounts in a seller's book for one calendar year; each deal falls on one of them."""
_TYPICAL_DEALS = 8.0
_SPREAD = 0.5  # standard deviation of the logarithm of a deal's size
_FULL_PERFORMANCE = 1.02  # what the average seller reaches of the quota


@dataclass(frozen=True)
class Deals:
    """Deals, one per element. Times in microseconds UTC, money in cents."""

    code: Ints  # the deal's number for life: seller, quarter, slot
    rep: Ints
    slot: Ints
    is_won: Flags
    account: Ints
    segment: Ints
    created: Ints
    closed: Ints
    recorded: Ints
    amount: Ints
    is_split: Flags  # 60/40 with the neighbour
    is_pushed: Flags  # made larger to reach the quota

    def take(self, which: Flags | Ints) -> Self:
        """The same facts for some deals."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def account_segment(draws: Draws, account: Ints) -> Ints:
    """Position in SEGMENTS."""
    return draws.weighted("segment", account, _SEGMENT_SHARES)


def neighbour(rep: Ints) -> Ints:
    """The colleague a seller splits deals with; always in the same team."""
    return np.asarray(rep ^ 1)


def _codes(rep: Ints, quarter: int, slots: Ints) -> Ints:
    return np.asarray((rep[:, None] * 400 + quarter) * _SLOTS + slots[None, :])


def _won_slots(draws: Draws, sellers: Sellers, quarter: int) -> tuple[Ints, Ints]:
    """Seller and code of every deal won in a quarter. Able sellers win more."""
    rep = np.arange(sellers.count)
    noise = draws.normal("deals", rep * 400 + quarter)
    won = np.clip(np.rint(_TYPICAL_DEALS * np.exp(0.22 * sellers.ability + 0.15 * noise)), 2, WON_SLOTS)
    slots = np.arange(WON_SLOTS)
    mask = (slots[None, :] < won[:, None]) & sellers.active(quarter)[:, None]
    position = np.nonzero(mask)
    rep, code = rep[position[0]], _codes(rep, quarter, slots)[position]
    comes_about = _rank(draws, code) < sellers.pace[rep]
    return rep[comes_about], code[comes_about]


def _rank(draws: Draws, code: Ints) -> Floats:
    """What a seller's pace is compared with."""
    return draws.uniform("comes about", code)


def _closing_times(draws: Draws, code: Ints, quarter: int) -> Ints:
    """Closes crowd towards the quarter's end; slot 0 is the deal that waits for the last working days."""
    start = quarter_start(quarter)
    length = quarter_start(quarter + 1) - start
    share = draws.uniform("close", code)
    spread = share**0.65
    last_days = 1 - share * 6 / length
    day = start + np.minimum(
        (np.where(code % _SLOTS == 0, last_days, spread) * length).astype(np.int64), length - 1
    )
    at_desk = np.busday_offset(day.astype("datetime64[D]"), 0, roll="modifiedpreceding").astype(np.int64)
    return at_work(draws, "close time", code, at_desk)


def _entered(draws: Draws, code: Ints, closed: Ints, is_won: Flags) -> Ints:
    """When the firm knew of a close: at once, but for 2 % of the wins, which are entered up to twelve days late."""
    late = is_won & draws.chance("entered late", code, 0.02)
    return closed + np.where(late, (1 + draws.below("days late", code, 12)) * DAY, 0)


def count_won(draws: Draws, sellers: Sellers, quarter: int, start: int, stop: int) -> tuple[Ints, Floats]:
    """Seller and rank (to compare with a pace) of deals won from `start` and known before `stop`."""
    rep, code = _won_slots(draws, sellers, quarter)
    closed = _closing_times(draws, code, quarter)
    inside = (closed >= start) & (_entered(draws, code, closed, np.ones(code.size, dtype=bool)) < stop)
    return rep[inside], _rank(draws, code[inside])


def sell(draws: Draws, sellers: Sellers, quarter: int) -> Deals:
    """All deals of a quarter, won and lost, in the order of their codes."""
    rep, code = _won_slots(draws, sellers, quarter)
    lost_slots = _SLOTS // 2 + np.arange(LOST_SLOTS)
    everyone = np.arange(sellers.count)
    lost = 0.65 * np.bincount(rep, minlength=sellers.count) + draws.uniform(
        "lost deals", everyone * 400 + quarter
    )
    position = np.nonzero(np.arange(LOST_SLOTS)[None, :] < lost.astype(np.int64)[:, None])
    is_won = np.concatenate([np.ones(code.size, dtype=bool), np.zeros(position[0].size, dtype=bool)])
    rep = np.concatenate([rep, everyone[position[0]]])
    code = np.concatenate([code, _codes(everyone, quarter, lost_slots)[position]])

    account = (rep * 40 + quarter // 4) * ACCOUNTS_A_YEAR + draws.below("account", code, ACCOUNTS_A_YEAR)
    segment = account_segment(draws, account)
    closed = _closing_times(draws, code, quarter)
    cycle = np.clip(35 * np.exp(0.8 * draws.normal("cycle", code)), 2, 180).astype(np.int64)
    amount, is_split, is_pushed = _amounts(
        draws, sellers, quarter, rep=rep, code=code, segment=segment, is_won=is_won
    )
    deals = Deals(
        code=code,
        rep=rep,
        slot=code % _SLOTS,
        is_won=is_won,
        account=account,
        segment=segment,
        created=at_work(draws, "created time", code, closed // DAY - cycle),
        closed=closed,
        recorded=_entered(draws, code, closed, is_won),
        amount=amount,
        is_split=is_split,
        is_pushed=is_pushed,
    )
    return deals.take(np.argsort(code))


def _amounts(
    draws: Draws, sellers: Sellers, quarter: int, *, rep: Ints, code: Ints, segment: Ints, is_won: Flags
) -> tuple[Ints, Flags, Flags]:
    """Amounts in whole tens, which deals are split, and which were pushed over the quota.

    A seller who would end just below the quota makes the last deal larger. That deal is never split, so the
    neighbour's quarter is unchanged.
    """
    quarters = np.full(sellers.count, quarter)
    everyone = np.arange(sellers.count)
    row = plan_rows(PLAN_OF_TEAM, team_of(everyone) % 4, np.full(sellers.count, quarter_start(quarter)))
    typical = typical_quota(row)
    quota = quotas(draws, everyone, quarters, typical, sellers.territory).final
    mean = typical * _FULL_PERFORMANCE / _TYPICAL_DEALS * np.exp(0.28 * sellers.territory)
    size = mean[rep] * _SEGMENT_SIZE[segment] * np.exp(_SPREAD * draws.normal("size", code) - _SPREAD**2 / 2)
    amount = np.maximum(np.rint(size / 1_000).astype(np.int64), 50) * 1_000

    together = sellers.active(quarter) & sellers.active(quarter)[neighbour(everyone)]
    slot = code % _SLOTS
    is_split = is_won & (slot > 0) & together[rep] & draws.chance("split", code, 0.12)

    own = np.where(is_won, amount - np.where(is_split, amount * 2 // 5, 0), 0)
    total = np.bincount(rep, weights=own, minlength=sellers.count)
    total += np.bincount(
        neighbour(rep), weights=np.where(is_split, amount * 2 // 5, 0), minlength=sellers.count
    )
    attained = total / quota
    pushes = (
        (attained >= BUNCHING_FROM)
        & (attained < 1)
        & draws.chance("pushes", everyone * 400 + quarter, BUNCHING_SHARE)
    )
    reach = 1 + BUNCHING_REACH * draws.uniform("reach", everyone * 400 + quarter)
    missing = np.ceil((quota * reach - total) / 1_000).astype(np.int64) * 1_000
    is_pushed = is_won & (slot == 0) & pushes[rep]
    return np.where(is_pushed, amount + missing[rep], amount), is_split, is_pushed
