"""Sandwich variances and the wild bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from assets.methods.clusters import (
    bootstrap_scores,
    cluster_covariance,
    describe_influence,
    infer,
    sum_by_cluster,
)
from assets.methods.design import Design
from assets.methods.hazard import Chunk, fit_hazard
from assets.methods.poisson import fit_poisson


def test_interval_and_p_value_are_of_student_with_clusters_less_one() -> None:
    from scipy.stats import t

    found = infer(0.3, 0.1, clusters=12)
    assert found.hi - found.estimate == pytest.approx(0.1 * t.ppf(0.975, 11))
    assert found.p_value == pytest.approx(2 * t.sf(3.0, 11))


def test_one_cluster_has_no_error() -> None:
    assert np.isnan(cluster_covariance(np.eye(2), np.ones((1, 2)), 100)).all()
    assert np.isnan(infer(0.3, float("nan"), 1).lo)


def test_sums_by_cluster() -> None:
    sums = sum_by_cluster(np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]), np.array([2, 0, 2]), 3)
    assert_array_equal(sums, [[2, 20], [0, 0], [5, 50]])


def false_alarms(clusters: int, *, bootstrap: bool, samples: int = 400) -> float:
    """Share of samples without an association that are called one; clusters of very unequal size."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(samples):
        sizes = rng.lognormal(0, 1.0, clusters)
        scores = rng.normal(size=clusters) * sizes
        estimate = float(scores.sum() / sizes.sum())
        influence = (scores - sizes * estimate) / sizes.sum()
        if bootstrap:
            p = bootstrap_scores(estimate, influence, sizes / sizes.sum(), draws=399).p_value
        else:
            error = float((clusters / (clusters - 1) * (influence**2).sum()) ** 0.5)
            p = infer(estimate, error, clusters).p_value
        alarms += p <= 0.05
    return alarms / samples


def test_the_wild_bootstrap_keeps_its_promise_where_students_interval_does_not() -> None:
    assert false_alarms(10, bootstrap=False) > 0.10
    assert 0.01 < false_alarms(10, bootstrap=True) < 0.07


def draw_influence(clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    influence = rng.normal(size=clusters)
    return influence - influence.mean(), np.full(clusters, 1 / clusters)


def test_all_signs_of_few_clusters_need_no_luck() -> None:
    parts = draw_influence(9, 2)
    assert bootstrap_scores(0.4, *parts, seed=1) == bootstrap_scores(0.4, *parts, seed=2)


@pytest.mark.parametrize("estimate", [0.0, 0.6, -2.5, 8.0])
def test_the_interval_holds_what_the_p_value_does_not_reject(estimate: float) -> None:
    influence, leverage = draw_influence(20, 3)
    found = bootstrap_scores(estimate, influence, leverage)
    assert found.lo < estimate < found.hi
    assert (found.lo <= 0 <= found.hi) == (found.p_value > 0.05)
    moved = bootstrap_scores(estimate + 3, influence, leverage)
    assert (moved.lo, moved.hi) == pytest.approx((found.lo + 3, found.hi + 3))


def test_five_clusters_can_reject_nothing_and_have_no_interval() -> None:
    found = bootstrap_scores(0.4, *draw_influence(5, 4))
    assert np.isnan(found.lo)
    assert np.isnan(found.hi)


def test_many_equal_clusters_give_students_interval() -> None:
    influence, leverage = draw_influence(39, 5)
    found = bootstrap_scores(0.3, influence, leverage)
    plain = infer(0.3, found.error, 39)
    assert found.hi - found.lo == pytest.approx(plain.hi - plain.lo, rel=0.1)


def test_information_by_cluster_adds_up() -> None:
    """Of an absorbed Poisson with steps and of a hazard: the parts of few clusters are the whole."""
    rng = np.random.default_rng(6)
    n = 900
    group, x = rng.integers(0, 60, n), rng.normal(size=(n, 2))
    risk = rng.uniform(0, 2, (n, 3)) * (rng.uniform(size=(n, 3)) < 0.8)
    events = rng.poisson(0.3 * risk * np.exp(0.3 * x[:, :1])).astype(float)
    for absorbed in (group, np.zeros(n, dtype=int)):
        fit = fit_poisson(x, events, risk, absorbed, group // 6, ["a", "b"])
        assert_allclose(fit.by_cluster.sum(axis=0), fit.information, rtol=1e-9, atol=1e-9)
        influence, leverage = describe_influence(fit.information, fit.scores, fit.by_cluster, 3)
        assert influence.sum() == pytest.approx(0, abs=1e-8)
        assert leverage.sum() == pytest.approx(1)
    once = (events > 0).astype(float)
    rows = Chunk(Design.of(np.column_stack([np.ones(n), x])), once, np.ones(n), risk, group // 6)
    hazard = fit_hazard(lambda: [rows], ["s", "t", "c", "a", "b"], 10)
    assert_allclose(hazard.by_cluster.sum(axis=0), hazard.information, rtol=1e-9)
    assert fit_poisson(x, events, risk, group, group, ["a", "b"]).by_cluster.shape[0] == 0
