"""The density test at a threshold: the trap it must refuse, and what it must let pass."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.density import find_density_jump


def test_the_regression_discontinuity_trap_is_refused_with_its_reason() -> None:
    data = pytest.importorskip("causaldata").gov_transfers_density
    running = data.load_pandas().data["Income_Centered"].to_numpy()
    jump = find_density_jump(running, 0.0)
    assert jump is not None
    assert jump.statistic < -3
    assert "times as many just below" in jump.refuses
    # published with another estimator of the density (Cattaneo, Jansson and Ma, jackknife): T = -4.51, the same side
    published = pytest.importorskip("rddensity").rddensity(running, c=0, vce="jackknife")
    assert round(float(published.test["t_jk"]), 2) == -4.51


def test_nobody_sorts_and_nothing_is_refused() -> None:
    found = [find_density_jump(np.random.default_rng(s).gamma(3, 1, 5_000), 2.5) for s in range(300)]
    statistics = np.array([f.statistic for f in found])
    assert abs(statistics.mean()) < 0.35
    assert np.mean([f.p_value < 0.05 for f in found]) < 0.10
    assert np.mean([bool(f.refuses) for f in found]) < 0.04


def test_those_who_move_over_the_threshold_are_seen() -> None:
    rng = np.random.default_rng(3)
    attainment = rng.normal(1.0, 0.25, 6_000)
    pushed = (attainment > 0.94) & (attainment < 1) & (rng.uniform(size=6_000) < 0.5)
    jump = find_density_jump(np.where(pushed, 1 + 0.05 * rng.uniform(size=6_000), attainment), 1.0)
    assert jump is not None
    assert jump.log_ratio > 0.3
    assert "just above" in jump.refuses


def test_too_few_units_say_nothing() -> None:
    assert find_density_jump(np.linspace(-1, 1, 300), 0.0) is None
