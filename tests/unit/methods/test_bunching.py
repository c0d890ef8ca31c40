"""Bunching: the exact case of the design, and a slow, literal implementation that iterates, against the one in use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.methods.bunching import (
    Layout,
    Side,
    can_fit,
    fit_bunching,
    lay_bins,
    resample_residuals,
    trace_counterfactual,
)
from assets.methods.resampling import draw_totals, draw_weights

SIDES: tuple[Side, ...] = ("none", "left", "right")


def fit_slowly(
    counts: np.ndarray, layout: Layout, degree: int, side: Side
) -> tuple[float, float, np.ndarray]:
    """Chetty et al. (2011), word by word: regress with a dummy per window bin, raise one side by the excess, repeat.

    Returns:
        Excess in the excess bins, missing mass, counterfactual.
    """
    j, window = layout.position.astype(float), np.flatnonzero(layout.is_window)
    kept = ~layout.is_set_aside
    dummies = np.zeros((j.size, window.size))
    dummies[window, np.arange(window.size)] = 1
    design = np.column_stack([*(j**p for p in range(degree + 1)), dummies])
    beyond = {
        "none": np.zeros(j.size, bool),
        "left": j < j[window].min(),
        "right": j > j[window].max(),
    }[side]
    raised, previous = counts.astype(float), np.inf
    for _ in range(100_000):
        coefficients = np.linalg.lstsq(design[kept], raised[kept], rcond=None)[0]
        counterfactual = design[:, : degree + 1] @ coefficients[: degree + 1]
        net = (counts - counterfactual)[window].sum()
        if abs(net - previous) < 1e-11 * max(1.0, abs(net)):
            break
        previous = net
        raised = np.where(beyond, counts * (1 + net / counts[beyond].sum() if beyond.any() else 1), counts)
    above = counts - counterfactual
    return above[layout.is_excess].sum(), -above[layout.is_missing].sum(), counterfactual


def test_the_exact_case() -> None:
    """04-evidence: counts 100 - 2j for j = -10..10, 50 more at 0, quadratic: B = 50, c0 = 100, b = 0.5."""
    j = np.arange(-10, 11)
    fit = fit_bunching(100 - 2 * j + 50 * (j == 0), lay_bins(-10, 10, (0, 0)), 2, "none")
    assert fit.excess_mass == pytest.approx([50])
    assert fit.height == pytest.approx([100])
    assert fit.normalised_excess == pytest.approx([0.5])
    counts = 100 - 2 * j + 50 * (j == 0)
    assert trace_counterfactual(counts, lay_bins(-10, 10, (0, 0)), 2, "none") == pytest.approx(100 - 2 * j)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("degree", [2, 4, 7])
def test_the_constraint_is_the_fixed_point_of_its_iteration(side: Side, degree: int) -> None:
    j = np.arange(-20, 20)
    rng = np.random.default_rng(4)
    counts = (
        rng.poisson(200 - 3 * j + 0.05 * j**2) + 80 * (j == 0) + 30 * (j == 1) - 25 * ((j < 0) & (j > -4))
    )
    layout = lay_bins(-20, 19, (0, 2), (-3, -1))
    excess, missing, counterfactual = fit_slowly(counts, layout, degree, side)
    fit = fit_bunching(counts, layout, degree, side)
    assert fit.excess_mass[0] == pytest.approx(excess, abs=1e-6)
    assert fit.missing_mass[0] == pytest.approx(missing, abs=1e-6)
    assert trace_counterfactual(counts, layout, degree, side) == pytest.approx(counterfactual, abs=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_bunchers_are_put_back_on_the_side_they_came_from(side: Side) -> None:
    """A tenth of every bin on one side moved to bin 0: the constraint finds the counts as they were before."""
    j = np.arange(-15, 11)
    before = 100.0 - 2 * j
    beyond = j < 0 if side == "left" else j > 0
    moved = np.where(beyond, 0.1 * before, 0)
    counts = before - moved + np.where(j == 0, moved.sum(), 0)
    layout = lay_bins(-15, 10, (0, 0))
    fit = fit_bunching(counts, layout, 1, side)
    assert fit.excess_mass == pytest.approx([moved.sum()])
    assert trace_counterfactual(counts, layout, 1, side) == pytest.approx(before)
    other: Side = "right" if side == "left" else "left"
    for wrong in (other, "none"):
        assert abs(fit_bunching(counts, layout, 1, wrong).excess_mass[0] - moved.sum()) > 1


@given(
    st.lists(st.integers(5, 500), min_size=30, max_size=30),
    st.integers(0, 3),
    st.sampled_from(SIDES),
    st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_any_counts_equal_the_slow_implementation(
    counts: list[int], degree: int, side: Side, window: int
) -> None:
    layout = lay_bins(-15, 14, (0, window - 1), (-window, -1))
    aside = np.isin(layout.position, [8, 9])
    layout = Layout(layout.position, layout.is_excess, layout.is_missing, aside)
    c = np.array(counts)
    fit = fit_bunching(c, layout, degree, side)
    if (
        abs(fit.shift[0]) < 0.5
    ):  # the iteration contracts; where it would not, there is nothing to compare with
        excess, missing, _ = fit_slowly(c, layout, degree, side)
        assert fit.excess_mass[0] == pytest.approx(excess, abs=1e-4)
        assert fit.missing_mass[0] == pytest.approx(missing, abs=1e-4)
    # the defining equation, whether an iteration finds it or not
    if side != "none":
        window_bins = layout.is_window
        beyond = layout.position < -window if side == "left" else layout.position >= window
        net = (c - trace_counterfactual(c, layout, degree, side))[window_bins].sum()
        assert fit.shift[0] * c[beyond].sum() == pytest.approx(net, abs=1e-6)


def test_rows_are_fitted_one_by_one() -> None:
    rng = np.random.default_rng(2)
    counts = rng.poisson(50, (5, 21)).astype(float)
    layout = lay_bins(-10, 10, (0, 1), (-2, -1))
    together = fit_bunching(counts, layout, 3, "left")
    for i in range(5):
        assert fit_bunching(counts[i], layout, 3, "left").excess_mass[0] == pytest.approx(
            together.excess_mass[i]
        )
    double = fit_bunching(2 * counts, layout, 3, "left")
    assert double.excess_mass == pytest.approx(2 * together.excess_mass)
    assert double.normalised_excess == pytest.approx(together.normalised_excess)


def test_too_few_bins_are_refused() -> None:
    assert not can_fit(lay_bins(-3, 3, (0, 1), (-2, -1)), 3)
    assert not can_fit(lay_bins(-2, 30, (0, 1), (-2, -1)), 3), "nothing below the window"
    with pytest.raises(ValueError, match="too few bins"):
        fit_bunching(np.ones(7), lay_bins(-3, 3, (0, 1), (-2, -1)), 3, "left")


def test_errors_drawn_anew_spread_like_the_errors() -> None:
    """A flat line: the variance of B over replicates is that of the drawn error of its bin and of the mean of the rest."""
    j = np.arange(-20, 21)
    counts = 100 + 10.0 * np.where(j % 2 == 0, 1, -1)
    counts[20] = 160
    layout = lay_bins(-20, 20, (0, 0))
    drawn = resample_residuals(counts, layout, 0, "none", replicates=4_000, seed=3)
    spread = fit_bunching(drawn, layout, 0, "none").excess_mass
    assert spread.mean() == pytest.approx(60, abs=1)
    assert spread.std() == pytest.approx(10 * np.sqrt(1 + 1 / 40), rel=0.05)
    exact = 100.0 - 2 * j + 50 * (j == 0)
    still = resample_residuals(exact, layout, 2, "left", replicates=3, seed=3)
    assert fit_bunching(still, layout, 1, "none").excess_mass.std() < 10


def test_totals_are_those_of_the_weights() -> None:
    own = np.random.default_rng(1).integers(0, 9, (7, 4)).astype(float)
    assert (draw_totals(own, 20, seed=5) == draw_weights(7, 20, seed=5) @ own).all()
    assert (draw_totals(np.zeros((0, 4)), 2, seed=5) == 0).all()


def test_chunks_of_replicates_draw_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    own = np.arange(28.0).reshape(7, 4)
    whole = draw_totals(own, 20, seed=5)
    monkeypatch.setattr("assets.methods.resampling._WEIGHTS_AT_ONCE", 21)
    assert (draw_totals(own, 20, seed=5) == whole).all()
