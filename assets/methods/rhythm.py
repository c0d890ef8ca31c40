"""When a firm sells: does the pace follow a period, which one, how far do peaks stand above troughs, and what comes after.

Time is cut into fiscal months and each month into thirds. A candidate period is read in phases finer than itself: a month
in its thirds, a quarter, half or year in its months. Which sign or shape a rhythm has is never assumed.

Uncertainty comes from drawing sellers and whole cycles anew, both at once (the pigeonhole bootstrap of Owen 2007, which
errs on the wide side): sellers of one firm share good and bad quarters, so sellers alone would make intervals too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from assets.methods.fiscal import MONTHS_IN

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

THIRDS: Final = 3
FULL_CYCLES: Final = 2
"""A period seen less than twice can't be told from a trend."""
PERMUTATIONS: Final = 999
_SLACK: Final = 1e-9  # equal patterns differ in the last digits, by the order of adding


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive fiscal months under observation.

    Attributes:
        month: (m,) running numbers without gaps, a multiple of 12 at the start of a fiscal year.
        days: (m, 3) days of each third.
    """

    month: Ints
    days: Floats


@dataclass(frozen=True, slots=True)
class Cycles:
    """A candidate period laid over a span, cell by cell: thirds of months for `month`, months for the longer ones.

    Attributes:
        phase: (c,) from 0.
        cycle: (c,) from 0, in order.
        time: (c,) month of the cell, from 0.
        days: (c,) days of the cell.
        phases: how many phases a cycle has.
        is_full: (k,) per cycle, whether every phase of it lies in the span.
    """

    phase: Ints
    cycle: Ints
    time: Floats
    days: Floats
    phases: int
    is_full: npt.NDArray[np.bool_]

    @property
    def is_identifiable(self) -> bool:
        """Whether two full cycles are there."""
        return int(self.is_full.sum()) >= FULL_CYCLES


def lay_cycles(span: Span, period: str) -> Cycles:
    """Lay the period `month`, `quarter`, `half` or `year` over a span."""
    months = MONTHS_IN[period]
    fine = THIRDS if months == 1 else 1
    at = np.repeat(np.arange(span.month.size), fine)
    number = span.month[at] // months
    cycle = number - number[0]
    phase = np.tile(np.arange(fine), span.month.size) if months == 1 else span.month[at] % months
    days = span.days.ravel() if months == 1 else span.days.sum(axis=1)
    phases = max(fine, months)
    return Cycles(phase, cycle, at.astype(np.float64), days, phases, np.bincount(cycle) == phases)


@dataclass(frozen=True, slots=True)
class PeriodTest:
    """Which period the pace follows.

    Attributes:
        statistic: by identifiable period, the share of the variation that its phases explain, as standard deviations above
            the mean of its permutations.
        p_value: one for all candidates: how often chance alone gives some candidate a statistic as large as the largest
            here. None without an identifiable candidate.
        candidate_p: by period, the same for the candidate's own statistic (still against the largest of all candidates).
        found: the period with the largest statistic where `p_value` is at most 5 %.
    """

    statistic: Mapping[str, float]
    p_value: float | None
    candidate_p: Mapping[str, float]
    found: str | None


def find_period(counts: Floats, span: Span, seed: int, permutations: int = PERMUTATIONS) -> PeriodTest:
    """Find the period of a pace by permuting phases: thirds within their month, months over the whole span.

    The statistic of the longer candidates is the share of the months' squared deviations from a straight line that phases
    of the year explain on top of that line; months are permuted after the line is taken out (Freedman and Lane 1983). That
    of `month` is the share that thirds of the month explain of what is left of the thirds once a climb is taken out. Pace is
    a count per day, and a month weighs as much as it has days. All candidates see the same permutation, so the largest of
    their statistics holds the error rate of looking at four (Westfall and Young 1993), whatever depends on whatever.

    A month's level that wanders over years looks like a year's rhythm; months in a quarter are compared too closely for that.

    Args:
        counts: (m, 3) what is counted, by month and third.
        span: the months.
        seed: of the permutations; same seed, same answer.
        permutations: how many.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    m = span.month.size
    months = np.vstack([np.arange(m), rng.permuted(np.tile(np.arange(m), (permutations, 1)), axis=1)])
    thirds = np.concatenate(
        [
            np.tile(np.arange(THIRDS), (1, m, 1)),
            rng.permuted(np.tile(np.arange(THIRDS), (permutations, m, 1)), axis=2),
        ]
    )
    explained: dict[str, Floats] = {}
    for period in MONTHS_IN:
        cycles = lay_cycles(span, period)
        if not cycles.is_identifiable:
            continue
        if period == "month":
            explained[period] = _explain_thirds(counts, span, thirds)
        else:
            explained[period] = _explain_months(counts.sum(axis=1), cycles, months)
    if not explained:
        return PeriodTest({}, None, {}, None)
    scaled = {period: _standardise(values) for period, values in explained.items()}
    largest = np.max(list(scaled.values()), axis=0)
    candidate_p = {
        period: float((largest >= values[0] - _SLACK).sum()) / largest.size
        for period, values in scaled.items()
    }
    best = max(scaled, key=lambda period: scaled[period][0])
    p_value = candidate_p[best]
    statistic = {period: float(values[0]) for period, values in scaled.items()}
    return PeriodTest(statistic, p_value, candidate_p, best if p_value <= 0.05 else None)


def _explain_thirds(counts: Floats, span: Span, order: Ints) -> Floats:
    """Share of the thirds' variation that the third of the month explains, per permutation: (r, m, 3) -> (r,).

    A pace that climbs through a quarter climbs through each of its months too, and a rush at the end of a quarter is one
    at the end of a month. So where the quarter can be judged, a third is compared with itself and its two neighbours, which
    takes out a climb, and only from the second third of a quarter to the end of its second month, away from either end.
    """
    pace = np.take_along_axis(np.broadcast_to(counts / span.days, order.shape), order, axis=2)
    if not lay_cycles(span, "quarter").is_identifiable:
        deviation = pace - pace.mean(axis=2, keepdims=True)
        return _explain(deviation.reshape(order.shape[0], -1), np.tile(np.arange(THIRDS), span.month.size))
    line = pace.reshape(order.shape[0], -1)
    deviation = line[:, 1:-1] - (line[:, :-2] + line[:, 1:-1] + line[:, 2:]) / 3
    place = (np.repeat(span.month % 3, THIRDS) * THIRDS + np.tile(np.arange(THIRDS), span.month.size))[1:-1]
    inner = (place >= 1) & (place < 2 * THIRDS)
    return _explain(deviation[:, inner], place[inner] % THIRDS)


def _explain(deviation: Floats, phase: Ints) -> Floats:
    """Share of the squares of (r, c) deviations that the means of their phases (c,) make up, per row."""
    total = (deviation**2).sum(axis=1)
    sums = deviation @ np.eye(THIRDS)[phase]
    by_phase = (sums**2 / np.bincount(phase, minlength=THIRDS)).sum(axis=1)
    return np.asarray(np.where(total > _SLACK, by_phase / np.maximum(total, _SLACK), 0.0))


def _explain_months(counts: Floats, cycles: Cycles, order: Ints) -> Floats:
    """Share of variation about a straight line that phases explain, per permutation: (r, m) of positions -> (r,)."""
    root = np.sqrt(cycles.days)
    line, _ = np.linalg.qr(np.column_stack([root, root * cycles.time]))
    phases = root[:, None] * (cycles.phase[:, None] == np.unique(cycles.phase)[None, :])
    left, sizes, _ = np.linalg.svd(phases - line @ (line.T @ phases), full_matrices=False)
    basis = left[:, sizes > 1e-8 * sizes.max(initial=1.0)]
    pace = counts / root  # counts per day, weighted by the root of the days
    deviation = pace - line @ (line.T @ pace)
    total = float((deviation**2).sum())
    if total <= _SLACK:
        return np.zeros(order.shape[0])
    moved = deviation[order]
    # a permuted series has a line of its own again
    moved = moved - (moved @ line) @ line.T
    return np.asarray(((moved @ basis) ** 2).sum(axis=1) / (moved**2).sum(axis=1))


def _standardise(values: Floats) -> Floats:
    spread = values[1:].std()
    return (values - values[1:].mean()) / spread if spread > _SLACK else np.zeros_like(values)


def index_phases(totals: Floats, cycles: Cycles, weights: Floats) -> Floats:
    """Pace by phase as a ratio to the mean pace, a straight-line trend taken out.

    The slope is that within phases (a quarter's third month against other third months), so that a peak at the end of each
    cycle is no trend; phases are averaged, and their mean taken, by days.

    Args:
        totals: (b, c) what is counted, per replicate and cell.
        cycles: the candidate period.
        weights: (b, k) how often each cycle is drawn.

    Returns:
        (b, phases); NaN where a replicate holds none of the phase, or nothing at all.
    """
    weight = weights[:, cycles.cycle] * cycles.days
    pace = totals / cycles.days
    membership = np.eye(cycles.phases)[cycles.phase]
    with np.errstate(divide="ignore", invalid="ignore"):
        days = weight @ membership
        mean_time = (weight * cycles.time) @ membership / days
        apart = cycles.time - mean_time[:, cycles.phase]
        known = weight > 0
        across = np.where(known, weight * apart * pace, 0.0).sum(axis=1)
        squares = np.where(known, weight * apart**2, 0.0).sum(axis=1)
        slope = np.where(squares > _SLACK, across / squares, 0.0)
        middle = (weight * cycles.time).sum(axis=1) / weight.sum(axis=1)
        level = pace - slope[:, None] * (cycles.time - middle[:, None])
        by_phase = (weight * level) @ membership / days
        typical = cycles.days @ membership / np.bincount(cycles.phase, minlength=cycles.phases)
        mean = (by_phase * typical).sum(axis=1, keepdims=True) / typical.sum()
        return np.asarray(np.where(mean > 0, by_phase / mean, np.nan))


def divide_by_phase(numerator: Floats, denominator: Floats, cycles: Cycles, weights: Floats) -> Floats:
    """A ratio of sums by phase, such as won over closed: (b, c) and (b, c) -> (b, phases), NaN where nothing is below."""
    membership = np.eye(cycles.phases)[cycles.phase]
    weight = weights[:, cycles.cycle]
    below = (denominator * weight) @ membership
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, (numerator * weight) @ membership / below, np.nan))


def share_at_end(totals: Floats, cycles: Cycles, weights: Floats) -> Floats:
    """Share of full cycles' totals that falls into their last third of phases: (b, c) -> (b,)."""
    weight = np.where(cycles.is_full[cycles.cycle], weights[:, cycles.cycle], 0.0)
    is_last = cycles.phase >= cycles.phases - cycles.phases // THIRDS
    return _divide((totals * weight * is_last).sum(axis=1), (totals * weight).sum(axis=1))


def compare_across_ends(before: Floats, after: Floats, span: Span, period: str, weights: Floats) -> Floats:
    """What comes in the first days of the next period over what came in the last days of this one.

    Args:
        before: (b, m) totals of the last days of every month.
        after: (b, m) totals of the first days, as many, of every month.
        span: the months.
        period: the candidate; only the months in which one of its cycles ends, and which are followed, count.
        weights: (b, k) how often each cycle is drawn; that of the cycle that ends counts.

    Returns:
        (b,) ratio; NaN where nothing came before.
    """
    months = MONTHS_IN[period]
    ends = np.flatnonzero((span.month[:-1] + 1) % months == 0)
    weight = weights[:, span.month[ends] // months - span.month[0] // months]
    return _divide((after[:, ends + 1] * weight).sum(axis=1), (before[:, ends] * weight).sum(axis=1))


def _divide(above: Floats, below: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan))
