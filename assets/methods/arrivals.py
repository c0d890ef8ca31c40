"""How much credit arrived late in past pay periods, as it was known at any time: the history behind a forecast.

Every seller-period is a line over the days left: the share of its quota that came on days with fewer days left. What
became known after the period ended (late records, corrections, a changed quota) is a new line from that time on, so that
looking up a share is finding the line known at the time and reading it at the days left: no pair of deals is formed.
Floats: a forecast has no cents. What is forecast from it does not belong here (see `forward`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NEWEST: Final = 8
"""Completed periods a forecast looks back on (10-definitions, Forward)."""
ENOUGH: Final = 4
"""Fewer periods than that are no history."""


@dataclass(frozen=True)
class Arrivals:
    """Shares of quota that arrived on the last days of H seller-periods, in m lines.

    Attributes:
        period: (m,) seller-period of the line, rising.
        known: (m,) microseconds from which the line is the newest of its period, rising within a period.
        share: (m, D + 1) share of quota on days with fewer than d days left, d = 0 .. D; NaN where the period has no positive
            quota, or one of those days credit without a price.
    """

    period: Whole
    known: Whole
    share: Floats

    def find_lines(self, period: Whole, at: Whole) -> Whole:
        """The newest line of each period known at a time: its row, -1 where there is none."""
        first = self._first[period]
        row = self._first[period + 1] - 1
        # lines of a period are few: step back past those that were not known yet
        late = np.flatnonzero((row >= first) & (self.known[np.maximum(row, 0)] > at))
        while len(late):
            row[late] -= 1
            late = late[(row[late] >= first[late]) & (self.known[np.maximum(row[late], 0)] > at[late])]
        return np.where(row >= first, row, -1)

    @cached_property
    def _first(self) -> Whole:
        """First line of every period, and the end of the last."""
        last = int(self.period[-1]) + 1 if len(self.period) else 0
        return np.searchsorted(self.period, np.arange(last + 1))

    def read(self, line: Whole, days_left: Whole) -> Floats:
        """Shares of lines at the days left; NaN where the line is -1."""
        day = np.clip(days_left, 0, self.share.shape[1] - 1)
        return np.where(line >= 0, self.share[np.maximum(line, 0), day], np.nan)


def draw_lines(
    period: Whole, known: Whole, days_left: Whole, cents: Whole, gaps: Whole, quota: Floats, depth: int
) -> Arrivals:
    """Lines from news, one row of input per piece of news; a row may tell of a quota alone (0 cents).

    Args:
        period: (n,) seller-period, rising.
        known: (n,) microseconds, rising within a period; what came before the period ended is one time.
        days_left: (n,) days left in the period on the credit's day.
        cents: (n,) credit, signed.
        gaps: (n,) states of credit that have no price, signed.
        quota: (n,) cents of the quota known from then on, NaN where none is; the last row of a time counts.
        depth: D, the largest number of days left that is asked for.
    """
    if not len(period):
        empty = np.zeros(0, dtype=np.int64)
        return Arrivals(empty, empty, np.zeros((0, depth + 1)))
    is_new = np.r_[True, (np.diff(period) != 0) | (np.diff(known) != 0)]
    line = np.cumsum(is_new) - 1
    last = np.r_[np.flatnonzero(is_new)[1:] - 1, len(period) - 1]
    of = period[is_new]
    amount = quota[last]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = _sum_late(cents, line, days_left, of, depth) / amount[:, None]
    share[~(amount > 0)] = np.nan
    if gaps.any():
        share[_sum_late(gaps, line, days_left, of, depth) != 0] = np.nan
    return Arrivals(of, known[is_new], share)


def join_lines(parts: list[Arrivals]) -> Arrivals:
    """One history out of those of different seller-periods, rising."""
    return Arrivals(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("period", "known", "share"))
    )


def _sum_late(news: Whole, line: Whole, days_left: Whole, of: Whole, depth: int) -> Whole:
    """(m, D + 1) what of the news of each line and those before it of its period came on days with fewer than d days left."""
    grown = np.zeros((len(of), depth + 1), dtype=np.int64)
    # what came with r days left counts at every d above r
    np.add.at(grown, (line, np.clip(days_left + 1, 0, depth)), np.where(days_left < depth, news, 0))
    return _sum_within(np.cumsum(grown, axis=1), of)


def _sum_within(lines: Whole, of: Whole) -> Whole:
    """Running sums of lines within each period."""
    running = np.cumsum(lines, axis=0)
    first = np.flatnonzero(np.r_[True, np.diff(of) != 0])
    before = np.where(first[:, None] > 0, running[first - 1], 0)
    within: Whole = running - np.repeat(before, np.diff(np.r_[first, len(of)]), axis=0)
    return within


@dataclass(frozen=True, slots=True)
class Rest:
    """Credit still to come for n deals, as a share of quota: (n,) number of periods, mean, sample standard deviation."""

    n: Whole
    mean: Floats
    deviation: Floats


def average_newest(arrivals: Arrivals, newest: Whole, oldest: Whole, at: Whole, days_left: Whole) -> Rest:
    """The newest eight of the periods `oldest` .. `newest` (inclusive, consecutive numbers) that have a share.

    Args:
        arrivals: H seller-periods, those of one seller consecutive and in time.
        newest: (n,) last completed period, below `oldest` where there is none.
        oldest: (n,) first period of the seller.
        at: (n,) time of knowledge in microseconds.
        days_left: (n,) days left on the deal's day.
    """
    found = np.full((len(newest), NEWEST), np.nan)
    count = np.zeros(len(newest), dtype=np.int64)
    back = newest.copy()
    while (open_ := (back >= oldest) & (count < NEWEST)).any():
        rows = np.flatnonzero(open_)
        share = arrivals.read(arrivals.find_lines(back[rows], at[rows]), days_left[rows])
        hit = rows[~np.isnan(share)]
        found[hit, count[hit]] = share[~np.isnan(share)]
        count[hit] += 1
        back = np.where(open_, back - 1, back)
    return _describe(found, count)


def _describe(found: Floats, count: Whole) -> Rest:
    total = np.nansum(found, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(count > 0, total / count, np.nan)
        spread = np.nansum((found - mean[:, None]) ** 2, axis=1)
        return Rest(count, mean, np.where(count > 1, np.sqrt(spread / (count - 1)), np.nan))


@dataclass(frozen=True, slots=True)
class Stays:
    """m times in which a line counted for a plan: its period was over, its seller was on the plan, it was the newest known.

    Attributes:
        line: (m,) row of `Arrivals`.
        start: (m,) first day of the line's period.
        since: (m,) microseconds.
        until: (m,) microseconds, not included.
    """

    line: Whole
    start: Whole
    since: Whole
    until: Whole


def average_crew(arrivals: Arrivals, stays: Stays, at: Whole, days_left: Whole) -> Rest:
    """The seller-periods of a plan's sellers in the eight newest period starts, at n times.

    For every start, counts and sums over all its lines run along the times at which any of them came or went, so that a time
    is looked up, and no time meets every line.

    Args:
        arrivals: all seller-periods.
        stays: of one plan.
        at: (n,) time of knowledge in microseconds.
        days_left: (n,) days left on the deal's day.
    """
    number, total, squares = np.zeros(len(at), dtype=np.int64), np.zeros(len(at)), np.zeros(len(at))
    starts = np.zeros(len(at), dtype=np.int64)
    day = np.clip(days_left, 0, arrivals.share.shape[1] - 1)
    for start in np.unique(stays.start)[::-1]:
        if (starts >= NEWEST).all():
            break
        here = np.flatnonzero((stays.start == start) & ~np.isnan(arrivals.share[stays.line, 0]))
        if not len(here):
            continue
        time = np.concatenate([stays.since[here], stays.until[here]])
        sign = np.repeat([1, -1], len(here))
        order = np.argsort(time, kind="stable")
        share = arrivals.share[np.concatenate([stays.line[here]] * 2)[order]]
        sign = sign[order, None]
        # a line may have a share on its last days only
        has_share = ~np.isnan(share)
        share[~has_share] = 0.0
        count = np.cumsum(has_share * sign, axis=0)
        moment = np.searchsorted(time[order], at, side="right") - 1
        counts = np.flatnonzero((starts < NEWEST) & (moment >= 0) & (count[np.maximum(moment, 0), day] > 0))
        at_moment = moment[counts], day[counts]
        number[counts] += count[at_moment]
        total[counts] += np.cumsum(share * sign, axis=0)[at_moment]
        squares[counts] += np.cumsum(share**2 * sign, axis=0)[at_moment]
        starts[counts] += 1
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / number
        variance = (squares - total * mean) / (number - 1)
    # what running sums leave of nothing is nothing
    variance = np.where(variance < _NOTHING * np.maximum(1.0, mean**2), 0.0, variance)
    return Rest(number, np.where(number > 0, mean, np.nan), np.where(number > 1, np.sqrt(variance), np.nan))


_NOTHING: Final = 1e-12
