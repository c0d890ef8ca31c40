"""Sandwich variances and the wild bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from assets.methods.clusters import bootstrap_scores, cluster_covariance, infer, sum_by_cluster


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


def false_alarms(clusters: int, seed: int, bootstrap: bool) -> float:
    """Share of no-association samples called an association; a mean over clusters of very unequal spread."""
    rng = np.random.default_rng(seed)
    alarms = 0
    for _ in range(600):
        sizes = rng.lognormal(0, 1.0, clusters)
        scores = (rng.normal(size=clusters) * sizes)[:, None]
        information = np.array([[sizes.sum()]])
        estimate = float(scores.sum() / information[0, 0])
        centred = scores - sizes[:, None] * estimate
        if bootstrap:
            p = bootstrap_scores(estimate, information, centred, 0, draws=399).p_value
        else:
            error = float(cluster_covariance(information, centred, 10_000)[0, 0] ** 0.5)
            p = infer(estimate, error, 10**6).p_value
        alarms += p < 0.05
    return alarms / 600


def test_the_wild_bootstrap_keeps_its_promise_where_the_normal_interval_does_not() -> None:
    assert false_alarms(10, 1, bootstrap=False) > 0.12
    assert false_alarms(10, 1, bootstrap=True) < 0.09


def test_all_signs_of_few_clusters_need_no_luck() -> None:
    scores = np.random.default_rng(2).normal(size=(9, 2))
    one, two = (bootstrap_scores(0.4, np.eye(2) * 9, scores, 1, seed=seed) for seed in (1, 2))
    assert one == two
    assert one.lo < 0.4 < one.hi
