"""Poisson with absorbed effects, held against pyfixest, statsmodels and dummies."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from assets.methods.design import EstimationError
from assets.methods.poisson import fit_poisson, mark_levels


def draw(n: int = 6_000, groups: int = 300, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    effect = rng.normal(size=groups) * 0.6
    x = rng.normal(size=n) + 0.5 * effect[group]  # what the effects are there for
    period = rng.integers(0, 6, n)
    risk = rng.uniform(0.3, 2.0, n)
    y = rng.poisson(0.15 * risk * np.exp(0.3 * x + effect[group] + 0.1 * period)).astype(float)
    return {"x": x, "y": y, "risk": risk, "group": group, "period": period, "cluster": group // 8}


def test_two_ways_agree_with_pyfixest() -> None:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyfixest

        d = draw()
        frame = pd.DataFrame(d | {"log_risk": np.log(d["risk"])})
        theirs = pyfixest.fepois(
            "y ~ x | group + period", frame, vcov={"CRV1": "cluster"}, offset="log_risk", fixef_tol=1e-11, iwls_tol=1e-11,
            ssc=pyfixest.ssc(k_adj=False, G_adj=False),
        )  # fmt: skip
    names, marks = mark_levels(pl.Series("period", d["period"]))
    ours = fit_poisson(
        np.column_stack([marks, d["x"]]), d["y"], d["risk"], d["group"], d["cluster"], [*names, "x"]
    )
    place = ours.place("x")
    assert ours.coefficients[place] == pytest.approx(float(theirs.coef()["x"]), rel=1e-7)
    # theirs without any small-sample factor, ours with G / (G - 1) (n - 1) / (n - p)
    count = ours.scores.shape[0]
    factor = count / (count - 1) * (ours.n - 1) / (ours.n - ours.coefficients.size)
    assert ours.errors[place] == pytest.approx(float(theirs.se()["x"]) * factor**0.5, rel=1e-5)


def test_one_group_is_an_ordinary_poisson_regression() -> None:
    import statsmodels.api as sm

    d = draw(2_000)
    ours = fit_poisson(d["x"][:, None], d["y"], d["risk"], np.zeros(2_000, dtype=int), d["cluster"], ["x"])
    model = sm.GLM(d["y"], sm.add_constant(d["x"]), family=sm.families.Poisson(), offset=np.log(d["risk"]))
    theirs = model.fit(tol=1e-13)
    assert ours.coefficients[0] == pytest.approx(theirs.params[1], rel=1e-9)
    assert ours.log_likelihood == pytest.approx(theirs.llf, rel=1e-12)
    assert np.linalg.inv(ours.information)[0, 0] ** 0.5 == pytest.approx(theirs.bse[1], rel=1e-9)


def test_steps_in_columns_are_the_panel_laid_out() -> None:
    """One row with K steps gives what K rows with dummies give: the same model, a K-th of the rows."""
    rng = np.random.default_rng(3)
    n, steps = 1_500, 4
    group, x = rng.integers(0, 60, n), rng.normal(size=n)
    risk = rng.uniform(0, 30, (n, steps)) * (rng.uniform(size=(n, steps)) < 0.8)
    y = rng.poisson(0.01 * risk * np.exp(0.3 * x)[:, None] * np.array([1, 2, 0.5, 1])).astype(float)
    wide = fit_poisson(x[:, None], y, risk, group, group % 30, ["x"])
    long = pl.DataFrame(
        {
            "y": y.ravel(),
            "risk": risk.ravel(),
            "step": np.tile(np.arange(steps), n),
            "row": np.repeat(np.arange(n), steps),
        }
    ).filter(pl.col("risk") > 0)
    row = long["row"].to_numpy()
    names, marks = mark_levels(long["step"])
    tall = fit_poisson(
        np.column_stack([marks, x[row]]), long["y"].to_numpy(), long["risk"].to_numpy(), group[row], group[row] % 30, [*names, "x"]
    )  # fmt: skip
    assert_allclose(wide.coefficients, tall.coefficients, rtol=1e-8)
    assert_allclose(wide.covariance, tall.covariance, rtol=1e-7, atol=1e-12)
    assert wide.log_likelihood == pytest.approx(tall.log_likelihood, rel=1e-10)
    assert wide.n == tall.n


def test_effects_take_out_what_a_plain_regression_takes_for_the_exposure() -> None:
    d = draw(20_000, 800, seed=5)
    plain = fit_poisson(d["x"][:, None], d["y"], d["risk"], np.zeros(20_000, dtype=int), d["cluster"], ["x"])
    within = fit_poisson(d["x"][:, None], d["y"], d["risk"], d["group"], d["cluster"], ["x"])
    assert abs(within.coefficients[0] - 0.3) < 3 * within.errors[0]
    assert plain.coefficients[0] - 0.3 > 5 * plain.errors[0]


def test_an_exposure_constant_within_groups_has_no_estimate() -> None:
    d = draw(1_000)
    fit = fit_poisson(
        np.column_stack([d["x"], d["group"] / 7]), d["y"], d["risk"], d["group"], d["cluster"], ["x", "per group"]
    )  # fmt: skip
    assert fit.dropped == ("per group",)
    with pytest.raises(EstimationError, match="no_within_variation"):
        fit.place("per group")


def test_groups_without_an_event_say_nothing() -> None:
    d = draw(2_000)
    silent = d["group"] % 3 == 0
    y = np.where(silent, 0.0, d["y"])
    columns = ("risk", "group", "cluster")
    some = fit_poisson(d["x"][~silent, None], y[~silent], *(d[c][~silent] for c in columns), ["x"])
    both = fit_poisson(d["x"][:, None], y, *(d[c] for c in columns), ["x"])
    assert_array_equal(some.coefficients, both.coefficients)
    assert_array_equal(some.covariance, both.covariance)


def test_an_infinite_ratio_is_said() -> None:
    d = draw(2_000)
    never = (np.arange(2_000) % 5 == 0).astype(float)
    with pytest.raises(EstimationError, match="separated"):
        fit_poisson(
            never[:, None], np.where(never > 0, 0, d["y"]), d["risk"], d["group"], d["cluster"], ["never"]
        )


@given(st.integers(0, 10_000))
def test_time_in_other_units_and_rows_in_another_order_change_nothing(seed: int) -> None:
    d = draw(400, 20, seed=seed)
    order = np.random.default_rng(seed).permutation(400)
    one = fit_poisson(d["x"][:, None], d["y"], d["risk"], d["group"], d["cluster"], ["x"])
    other = fit_poisson(
        d["x"][order, None], d["y"][order], d["risk"][order] * 30.4375, d["group"][order], d["cluster"][order], ["x"]
    )  # fmt: skip
    assert_allclose(one.coefficients, other.coefficients, rtol=1e-7, atol=1e-9)
    assert_allclose(one.covariance, other.covariance, rtol=1e-6)
