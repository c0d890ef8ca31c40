"""The rhythm of sales: a planted period is found, a finer or a coarser one is not, and nothing is found in nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assets.methods.resampling import derive_seed, draw_weights, read_interval
from assets.methods.rhythm import (
    Span,
    compare_across_ends,
    divide_by_phase,
    find_period,
    index_phases,
    lay_cycles,
    share_at_end,
)

DAYS = np.array([11.0, 10.0, 10.0])


def months(count: int, first: int = 24_000) -> Span:
    return Span(np.arange(first, first + count), np.tile(DAYS, (count, 1)))


def sell(pace: np.ndarray, span: Span, seed: int = 1) -> np.ndarray:
    """Deals at a pace (m, 3) per day, Poisson."""
    return np.random.default_rng(seed).poisson(pace * span.days).astype(np.float64)


PATTERNS = {
    "month": np.tile([0.8, 1.0, 1.2], 36),
    "quarter": np.repeat(np.tile([0.8, 1.0, 1.2], 12), 3),
    "half": np.repeat(np.tile([0.8, 1, 1, 1, 1, 1.2], 6), 3),
    "year": np.repeat(np.tile([*np.ones(11), 2], 3), 3),
}
# what climbs through a quarter climbs through its months too, and a quarter's last days are a month's
QUARTERS = {
    "a climb": np.tile(np.linspace(0.5, 1.5, 9), 12),
    "a rush in the last third": np.tile([*np.ones(8), 2.5], 12),
    "a rush in the last two thirds": np.tile([*np.ones(7), 1.7, 2.5], 12),
    "a lull at the end": np.tile([*np.ones(8), 0.2], 12),
}


@pytest.mark.parametrize("turn", [1, -1], ids=["peaks", "troughs"])
@pytest.mark.parametrize("period", PATTERNS)
def test_a_planted_period_is_found_whatever_its_sign(period: str, turn: int) -> None:
    span = months(36)
    pattern = PATTERNS[period] if turn == 1 else 2 - PATTERNS[period]
    found = find_period(sell(12 * pattern.reshape(36, 3), span), span, seed=3)
    assert found.found == period
    assert found.p_value == found.candidate_p[period] <= 0.01
    if period != "month":
        assert found.candidate_p["month"] > 0.2


@pytest.mark.parametrize("shape", QUARTERS)
def test_the_shape_of_a_quarter_is_no_rhythm_of_its_months(shape: str) -> None:
    span = months(36)
    found = find_period(sell(4 * QUARTERS[shape].reshape(36, 3), span), span, seed=3)
    assert found.found == "quarter"
    assert found.candidate_p["month"] > 0.2


def test_without_a_rhythm_one_in_twenty_is_called_one() -> None:
    """A trend is no rhythm; 200 firms without one, so 10 +- 3.1 false alarms are expected."""
    span = months(36)
    trend = 3 * (1 + 0.02 * np.arange(36)[:, None]) * np.ones(3)
    alarms = sum(
        find_period(sell(trend, span, s), span, s, permutations=199).found is not None for s in range(200)
    )
    assert 1 <= alarms <= 20


def test_p_equals_that_of_all_permutations() -> None:
    """Six months, quarter alone: every one of the 720 orders, by a straightforward regression."""
    span = Span(np.arange(24_000, 24_006), np.full((6, 3), 10.0))
    # thirds alike, so that the month's statistic is 0 in every permutation
    monthly = np.array([30, 45, 75, 33, 40, 96.0])
    counts = np.tile(monthly[:, None], (1, 3))
    time = np.column_stack([np.ones(6), np.arange(6)])
    full = np.column_stack([time, np.eye(3)[np.arange(6) % 3][:, 1:]])

    def left(design: np.ndarray, y: np.ndarray) -> float:
        return float(((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum())

    residual = monthly - time @ np.linalg.lstsq(time, monthly, rcond=None)[0]
    explained = [
        1 - left(full, residual[list(order)]) / left(time, residual[list(order)])
        for order in itertools.permutations(range(6))
    ]
    exact = float(np.mean(np.array(explained) >= explained[0] - 1e-9))
    found = find_period(counts, span, seed=5, permutations=9_999)
    assert found.candidate_p["quarter"] == pytest.approx(exact, abs=0.01)


def test_a_period_needs_two_full_cycles() -> None:
    span = months(10, first=24_002)  # March to December
    assert {p: lay_cycles(span, p).is_identifiable for p in PATTERNS} == {
        "month": True,
        "quarter": True,
        "half": False,
        "year": False,
    }
    found = find_period(sell(np.full((10, 3), 4.0), span), span, seed=1)
    assert set(found.statistic) == {"month", "quarter"}
    nothing = find_period(np.full((1, 3), 9.0), months(1), seed=1)
    assert (nothing.p_value, nothing.found) == (None, None)


def test_the_same_seed_gives_the_same_answer_and_constant_sales_none() -> None:
    span = months(24)
    counts = sell(np.full((24, 3), 2.0), span)
    assert find_period(counts, span, 7) == find_period(counts, span, 7)
    assert find_period(counts, span, 7) != find_period(counts, span, 8)
    assert find_period(span.days * 2, span, 7).p_value == 1.0
    assert derive_seed("a", "bc") != derive_seed("ab", "c")


def test_bookings_20_25_55_stand_one_mean_apart() -> None:
    """The worked example of the design: last third 0.55, peak-to-trough 1.05; over two equal quarters."""
    span = Span(np.arange(24_000, 24_006), np.full((6, 3), 10.0))
    cycles = lay_cycles(span, "quarter")
    booked = np.array([[20, 25, 55, 20, 25, 55.0]])
    once = np.ones((1, 2))
    index = index_phases(booked, cycles, once)[0]
    assert index == pytest.approx([0.6, 0.75, 1.65])
    assert index.max() - index.min() == pytest.approx(1.05)
    assert share_at_end(booked, cycles, once) == pytest.approx(0.55)


def test_a_trend_moves_no_index_and_longer_phases_are_no_peaks() -> None:
    span = months(36)
    cycles = lay_cycles(span, "year")
    phase = np.where(cycles.phase == 11, 1.5, 1.0)
    pace = 100 * phase / phase.mean() + 2.0 * (cycles.time - cycles.time.mean())
    index = index_phases((pace * cycles.days)[None, :], cycles, np.ones((1, 3)))[0]
    assert index == pytest.approx(np.array([1.0] * 11 + [1.5]) / (12.5 / 12))
    uneven = Span(span.month, np.tile([10.0, 10.0, 9.0], (36, 1)))
    thirds = lay_cycles(uneven, "month")
    even = index_phases(5 * thirds.days[None, :], thirds, np.ones((1, 36)))[0]
    assert even == pytest.approx([1, 1, 1])


def test_what_follows_a_period_counts_only_at_its_end() -> None:
    span = months(9)
    before, after = np.full((1, 9), 50.0), np.full((1, 9), 40.0)
    before[0, [2, 5]] = [100, 300]  # ends of two quarters that are followed
    after[0, [3, 6]] = [25, 75]
    once = np.ones((1, 3))
    assert compare_across_ends(before, after, span, "quarter", once) == pytest.approx(0.25)
    twice_the_first = np.array([[2.0, 0, 1]])
    assert compare_across_ends(before, after, span, "quarter", twice_the_first) == pytest.approx(0.25)
    assert np.isnan(compare_across_ends(np.zeros((1, 9)), after, span, "quarter", once)[0])


def test_ratios_are_of_sums_not_means_of_ratios() -> None:
    cycles = lay_cycles(months(6), "quarter")
    won, closed = np.array([[1, 0, 0, 9, 0, 0.0]]), np.array([[10, 0, 1, 10, 0, 1.0]])
    rate = divide_by_phase(won, closed, cycles, np.ones((1, 2)))[0]
    assert rate[[0, 2]] == pytest.approx([0.5, 0.0])
    assert np.isnan(rate[1])
    weighted = divide_by_phase(won, closed, cycles, np.array([[3.0, 1.0]]))[0]
    assert weighted[0] == pytest.approx(12 / 40)


def test_an_interval_holds_its_estimate_and_leaves_out_what_means_nothing() -> None:
    values = np.array([[5.0, 1.0, np.nan], [1.0, np.nan, 2.0], [2.0, np.nan, 2.0], [3.0, np.nan, 2.0]])
    interval = read_interval(values, units=30)
    assert interval.lo[0] == 1.0
    assert interval.hi[0] == 5.0
    assert np.isnan(interval.lo[1:]).all()
    assert np.isnan(read_interval(values, units=1).lo).all()
    # 101 even replicates of 5 units: sqrt(5/4) x t(4) = 3.10 standard deviations, so 0.1 % at either end
    even = np.concatenate([[50.0], np.arange(101.0)])
    assert (float(read_interval(even, 5).lo), float(read_interval(even, 5).hi)) == (0, 100)
    assert (float(read_interval(even, 10**6).lo), float(read_interval(even, 10**6).hi)) == (2, 98)
    weights = draw_weights(7, 50, seed=1)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights[0] == 1).all()
    assert draw_weights(0, 5, seed=1).shape == (6, 0)


def test_intervals_cover_a_planted_index() -> None:
    """Sellers of unequal size, shocks shared by a cycle: the pigeonhole interval covers in at least 90 of 100 firms."""
    span = months(24)
    cycles = lay_cycles(span, "quarter")
    truth = np.array([0.8, 1.0, 1.2])
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        size = rng.gamma(2.0, 0.5, 40)[:, None]
        shock = rng.gamma(20, 1 / 20, (8, 3)).ravel()
        own = rng.poisson(size * truth[cycles.phase] * shock * cycles.days / 5)
        totals = draw_weights(40, 999, seed) @ own
        index = index_phases(totals, cycles, draw_weights(8, 999, seed + 1))
        interval = read_interval(index, units=8)
        covered += bool(interval.lo[2] <= truth[2] <= interval.hi[2])
    assert covered >= 90
