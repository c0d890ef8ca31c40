"""The partial likelihood, held against lifelines and published numbers; why it is needed where everybody has the event."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from assets.methods.design import Design
from assets.methods.poisson import PoissonFit, fit_poisson
from assets.methods.risk_sets import compare_clustered, expand_risk_sets, fit_stratified_cox

ROSSI = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]


def plain_errors(fit: PoissonFit) -> np.ndarray:
    return np.sqrt(np.diag(np.linalg.inv(fit.information)))


def test_rossi_gives_the_published_numbers() -> None:
    d = pytest.importorskip("lifelines.datasets").load_rossi()
    n = len(d)
    fit = fit_stratified_cox(
        d[ROSSI].to_numpy(float), np.zeros(n), d["week"].to_numpy(float), d["arrest"].to_numpy(float), np.zeros(n, dtype=int),
        np.arange(n), ROSSI,
    )  # fmt: skip
    found = {
        k: (round(b, 4), round(s, 4))
        for k, b, s in zip(fit.names, fit.coefficients, plain_errors(fit), strict=True)
    }
    assert found["fin"] == (-0.3794, 0.1914)
    assert found["age"] == (-0.0574, 0.0220)
    assert found["prio"] == (0.0915, 0.0286)
    assert round(fit.log_likelihood, 4) == -658.7477
    assert fit.groups == d["arrest"].sum()


def test_robust_errors_are_those_of_lin_and_wei() -> None:
    lifelines = pytest.importorskip("lifelines")
    d = lifelines.datasets.load_rossi()
    n = len(d)
    d["week"] = d["week"] + np.arange(n) / 1_000  # without ties, which packages treat differently here
    fit = fit_stratified_cox(
        d[ROSSI].to_numpy(float), np.zeros(n), d["week"].to_numpy(float), d["arrest"].to_numpy(float), np.zeros(n, dtype=int),
        np.arange(n), ROSSI,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = lifelines.CoxPHFitter().fit(d, "week", "arrest", robust=True)
    factor = n / (n - 1) * (fit.n - 1) / (fit.n - 7)  # theirs is without
    assert_allclose(fit.errors / factor**0.5, theirs.standard_errors_.to_numpy(), rtol=1e-6)


def test_risk_sets_are_who_was_there() -> None:
    # second stratum: one event and nobody to hold it against but itself; third: no event
    entry, exit_ = np.array([0.0, 0, 2, 0, 0, 0]), np.array([3.0, 5, 4, 9, 1, 2])
    event, stratum = np.array([1.0, 1, 0, 1, 0, 0]), np.array([0, 0, 0, 1, 2, 2])
    row, group, chosen, weight = expand_risk_sets(entry, exit_, event, stratum)
    sets = {g: set(row[group == g].tolist()) for g in set(group.tolist())}
    assert sets == {0: {0, 1, 2}, 1: {1}}
    assert [int(row[(group == g) & (chosen > 0)][0]) for g in (0, 1)] == [0, 1]
    assert (weight == 1).all()


def paired(seed: int, n: int = 4_000) -> tuple[np.ndarray, ...]:
    """Pairs with a frailty of their own, everybody followed to the event; a hazard ratio of 1 / 1.2."""
    rng = np.random.default_rng(seed)
    pair = np.repeat(np.arange(n // 2), 2)
    x = rng.normal(size=n)
    time = rng.exponential(1 / (np.exp(rng.normal(size=n // 2))[pair] * 1.2**-x))
    return x[:, None], time, pair, pair // 20


def test_where_everybody_has_the_event_absorbed_effects_mislead_and_risk_sets_do_not() -> None:
    x, time, pair, cluster = paired(3)
    everybody = np.ones(time.size)
    right = fit_stratified_cox(x, np.zeros(time.size), time, everybody, pair, cluster, ["x"])
    edges = np.array([0, 0.05, 0.2, 0.5, 1, 2, 5, 1_000])
    risk = np.clip(time[:, None] - edges[:-1], 0, np.diff(edges))
    events = ((time[:, None] > edges[:-1]) & (time[:, None] <= edges[1:])).astype(float)
    wrong = fit_poisson(x, events, risk, pair, cluster, ["x"])
    truth = -np.log(1.2)
    assert abs(right.coefficients[0] - truth) < 3 * right.errors[0]
    assert (
        wrong.coefficients[-1] < truth - 0.05
    )  # away from nothing, whatever the sample: the baseline takes the frailty in


def test_the_clustered_log_rank_test_is_the_plain_one_where_clusters_are_subjects() -> None:
    rng = np.random.default_rng(5)
    n = 4_000
    group, time = rng.integers(0, 3, n), rng.exponential(size=n).round(2) + 0.01
    event = (rng.uniform(size=n) < 0.6).astype(float)
    ours = compare_clustered(group, time, event, np.arange(n))
    statistics = pytest.importorskip("lifelines.statistics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = statistics.multivariate_logrank_test(time, group, event)
    assert ours is not None
    assert ours.degrees_of_freedom == 2
    # robust and model-based variance agree only up to sampling
    assert ours.statistic == pytest.approx(theirs.test_statistic, rel=0.15)


def test_subjects_in_clusters_are_no_independent_witnesses() -> None:
    """Groups assigned by cluster, clusters of their own hazard: the plain test cries out, the clustered one keeps its level."""
    plain = clustered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(60), 20)
        time = rng.exponential(np.exp(-0.8 * rng.normal(size=60))[cluster])
        event, group = np.ones(1_200), cluster % 2
        tests = (compare_clustered(group, time, event, c) for c in (np.arange(1_200), cluster))
        found = [t.p_value < 0.05 for t in tests if t is not None]
        plain, clustered = plain + found[0], clustered + found[1]
    assert plain > 30
    assert clustered < 12


def test_one_group_is_no_comparison() -> None:
    assert compare_clustered(np.zeros(9, dtype=int), np.arange(1.0, 10), np.ones(9), np.arange(9)) is None


@pytest.mark.parametrize("ties", [False, True])
def test_running_sums_are_the_risk_sets_laid_out(ties: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strata large and small, clusters across them, a covariate that a stratum has in common."""
    rng = np.random.default_rng(11)
    n = 1_500
    stratum, cluster = rng.integers(0, 9, n) ** 2, rng.integers(0, 60, n)
    x = np.column_stack([rng.normal(size=n), stratum / 7, rng.integers(0, 3, n)])
    time = rng.exponential(np.exp(-0.4 * x[:, 0]) * 30) + 0.01
    time = np.ceil(time) if ties else time
    event = (rng.uniform(size=n) < 0.7).astype(float)
    cells, marks = np.unique(x[:, 2], return_inverse=True)[1], np.eye(3)[:, 1:]
    design = Design(cells, marks, x[:, :2])
    names = ["one", "two", "x", "shared"]
    by_sums = fit_stratified_cox(design, np.zeros(n), time, event, stratum, cluster, names)
    monkeypatch.setattr("assets.methods.risk_sets._MANY_PAIRS", np.inf)
    by_pair = fit_stratified_cox(design, np.zeros(n), time, event, stratum, cluster, names)
    assert by_sums.names == by_pair.names == ("one", "two", "x")
    assert by_sums.dropped == by_pair.dropped == ("shared",)
    for fact in ("coefficients", "information", "scores", "covariance"):
        assert_allclose(getattr(by_sums, fact), getattr(by_pair, fact), rtol=1e-8, atol=1e-8)
    assert by_sums.log_likelihood == pytest.approx(by_pair.log_likelihood, rel=1e-10)
    for count in ("n", "subjects", "events", "groups"):
        assert getattr(by_sums, count) == getattr(by_pair, count)
