"""Changes of level: the example and the run lengths of NIST, and series with and without a planted change."""

from __future__ import annotations

import numpy as np
import pytest
import ruptures

from assets.methods.change_points import SHORTEST, _segment, average_run_length, find_change, run_cusum

NIST = [
    324.925, 324.675, 324.725, 324.350, 325.350, 325.225, 324.125, 324.525, 325.225, 324.600,
    324.625, 325.150, 328.325, 327.250, 327.825, 328.500, 326.675, 327.775, 326.875, 328.350,
]  # fmt: skip


def test_the_nist_example_signals_at_observation_14() -> None:
    found = run_cusum(NIST, target=325, k=0.3175, h=4.1959)
    assert found.first_signal + 1 == 14
    assert [round(float(v), 4) for v in found.upper[12:16]] == [3.0075, 4.94, 7.4475, 10.63]


def test_a_series_on_target_never_signals_and_one_that_falls_does_only_two_sided() -> None:
    assert run_cusum(np.zeros(50), 0, 0.5, 4).first_signal == -1
    falling = -np.arange(10.0)
    assert run_cusum(falling, 0, 0.5, 4).first_signal == 3
    assert run_cusum(falling, 0, 0.5, 4, two_sided=False).first_signal == -1


@pytest.mark.parametrize(("h", "published"), [(4, 167.68), (5, 465.43)])
def test_run_lengths_between_false_alarms_are_those_published(h: float, published: float) -> None:
    assert average_run_length(0.5, h) == pytest.approx(published, abs=0.015)


def test_run_lengths_equal_a_simulation() -> None:
    rng = np.random.default_rng(1)
    runs = [
        next(i for start in [rng.normal(1, 1, 200)] if (i := run_cusum(start, 0, 0.5, 4).first_signal) >= 0)
        + 1
        for _ in range(2_000)
    ]
    assert np.mean(runs) == pytest.approx(average_run_length(0.5, 4, shift=1), rel=0.03)


def test_a_planted_change_lies_in_its_interval() -> None:
    inside, exact = 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        totals = rng.poisson(16, 120)
        hits = rng.binomial(totals, np.where(np.arange(120) < 70, 0.08, 0.35))
        found = find_change(hits, totals, seed)
        assert found.found >= 1
        assert found.p == 0.001
        inside += found.lo <= 70 <= found.hi
        exact += abs(found.at - 70) <= 3
    # the binomial bound: fewer than 25 of 30 come about once in 100 times at 95 %
    assert inside >= 25
    assert exact >= 25


def cost_of(y: np.ndarray, n: np.ndarray, ends: list[int]) -> float:
    """Minus twice the binomial log-likelihood of levels, from its definition, and a penalty for each."""
    total = 0.0
    for start, end in zip([0, *ends], ends, strict=False):
        hits, among = y[start:end].sum(), n[start:end].sum()
        for count in (hits, among - hits):
            total -= 2 * count * np.log(count / among) if count else 0.0
    return total + 3 * np.log(y.size) * len(ends)


@pytest.mark.parametrize("seed", range(6))
def test_the_levels_are_those_that_pelt_finds(seed: int) -> None:
    class Binomial(ruptures.base.BaseCost):  # type: ignore[misc]
        model, min_size = "binomial", SHORTEST

        def fit(self, signal: np.ndarray) -> Binomial:
            self.signal = signal
            return self

        def error(self, start: int, end: int) -> float:
            y, n = self.signal[start:end].T
            return cost_of(y, n, [end - start]) - 3 * np.log(end - start)

    rng = np.random.default_rng(seed)
    totals = rng.poisson(9, 60) * (rng.uniform(size=60) < 0.9)
    levels = ([0.1, 0.1, 0.1], [0.1, 0.4, 0.1], [0.1, 0.6, 0.25])[seed % 3]
    hits = rng.binomial(totals, np.repeat(levels, 20))
    y, n = hits.astype(float), totals.astype(float)
    pelt = ruptures.Pelt(custom_cost=Binomial(), min_size=SHORTEST, jump=1).fit(np.column_stack([y, n]))
    theirs = [int(end) for end in pelt.predict(pen=3 * np.log(60))]
    ours = _segment(y, n)
    assert (ours[-1], len(ours)) == (60, len(theirs))
    assert np.diff([0, *ours]).min() >= SHORTEST
    # as good; weeks without data may belong to either side
    assert cost_of(y, n, ours) == pytest.approx(cost_of(y, n, theirs), rel=1e-12)
    assert (len(ours) > 1) == (seed % 3 > 0)


def test_quiet_series_are_called_no_more_often_than_stated() -> None:
    """PELT and a p of 5 % together: at most 5 in 100; 80 series, so at most 11 by the binomial bound at 1 in 1,000."""
    calls = 0
    for seed in range(80):
        rng = np.random.default_rng(1_000 + seed)
        totals = rng.poisson(16, 120)
        found = find_change(rng.binomial(totals, 0.1), totals, seed)
        calls += found.found > 0 and found.p <= 0.05
    assert calls <= 11


def test_periods_without_data_say_nothing_and_short_series_are_refused() -> None:
    totals = np.where(np.arange(60) % 3 == 0, 0, 12)
    hits = np.where(np.arange(60) < 30, 1, 6) * (totals > 0)
    found = find_change(hits, totals, 0)
    assert 28 <= found.at <= 31
    assert found.lo <= 30 <= found.hi
    with pytest.raises(ValueError, match="at least"):
        find_change([1] * 10, [2] * 10, 0)
