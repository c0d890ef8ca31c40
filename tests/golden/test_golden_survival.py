"""Golden numbers of ../shared/design/04-evidence.md for survival, and lifelines as oracle where it can be one."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from assets.methods.survival import (
    compare_survival,
    fit_cumulative_incidence,
    fit_kaplan_meier,
    read_horizons,
    read_quantile,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what lifelines and pandas warn of among themselves
    from lifelines import AalenJohansenFitter, KaplanMeierFitter
    from lifelines.datasets import load_leukemia, load_rossi
    from lifelines.statistics import multivariate_logrank_test


@pytest.fixture(scope="module")
def leukemia() -> pl.LazyFrame:
    data = load_leukemia()
    return pl.LazyFrame(
        {
            "duration": data["t"].to_numpy(),
            "event": data["status"].to_numpy(),
            "placebo": data["Rx"].to_numpy(),
        }
    )


def test_leukemia_kaplan_meier(leukemia: pl.LazyFrame) -> None:
    steps = fit_kaplan_meier(leukemia, ["placebo"])
    treated = read_horizons(steps, ["placebo"], [6, 10, 16, 23]).filter(placebo=0).collect()
    assert treated["survival"].round(4).to_list() == [0.8571, 0.7529, 0.6275, 0.4482]
    assert read_quantile(steps, ["placebo"]).collect()["quantile"].to_list() == [23, 8]


def test_leukemia_log_rank(leukemia: pl.LazyFrame) -> None:
    test = compare_survival(leukemia, "placebo").row(0, named=True)
    assert test["statistic"] == pytest.approx(16.793, abs=5e-4)
    assert test["degrees_of_freedom"] == 1
    assert test["p_value"] == pytest.approx(4.17e-5, rel=1e-2)


def test_rossi_kaplan_meier_with_the_interval_of_lifelines() -> None:
    data = load_rossi()
    rows = pl.LazyFrame({"duration": data["week"].to_numpy(), "event": data["arrest"].to_numpy()})
    ours = read_horizons(fit_kaplan_meier(rows), [], [26, 52]).collect()
    assert ours["survival"].round(4).to_list() == [0.875, 0.7361]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = KaplanMeierFitter().fit(data["week"], data["arrest"]).confidence_interval_.loc[[26.0, 52.0]]
    assert_allclose(ours.select("survival_lo", "survival_hi").to_numpy(), theirs.to_numpy(), rtol=1e-10)


def test_log_rank_of_several_groups_is_that_of_lifelines() -> None:
    data = load_rossi()
    decade = data["age"] // 10
    rows = pl.LazyFrame(
        {"duration": data["week"].to_numpy(), "event": data["arrest"].to_numpy(), "decade": decade.to_numpy()}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = multivariate_logrank_test(data["week"], decade, data["arrest"])
    ours = compare_survival(rows, "decade").row(0, named=True)
    assert ours["statistic"] == pytest.approx(theirs.test_statistic, rel=1e-9)
    assert ours["p_value"] == pytest.approx(theirs.p_value, rel=1e-7)


def test_aalen_johansen() -> None:
    durations, causes = [2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 1, 0, 1, 2, 0, 1]
    fitted = fit_cumulative_incidence(pl.LazyFrame({"duration": durations, "cause": causes}))
    ours = read_horizons(fitted, ["cause"], [2, 4, 6, 9]).filter(cause=1).collect()
    assert ours["incidence"].round(4).to_list() == [0.125, 0.25, 0.4062, 0.7188]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = AalenJohansenFitter(calculate_variance=True).fit(durations, causes, event_of_interest=1)
    theirs = fit.confidence_interval_.loc[[2.0, 4.0, 6.0]].to_numpy()
    # lifelines 0.30 calls the lower limit upper
    assert_allclose(
        ours.head(3).select("incidence_lo", "incidence_hi").to_numpy(), np.sort(theirs), rtol=1e-9
    )


def test_lag_example_counts_those_who_still_wait() -> None:
    rows = pl.LazyFrame({"duration": [5, 8, 8, 12, 20, 30], "event": [True, True, False, True, False, True]})
    steps = fit_kaplan_meier(rows)
    assert read_horizons(steps, [], [5, 8, 12]).collect()["survival"].round(4).to_list() == [
        0.8333,
        0.6667,
        0.4444,
    ]
    assert read_quantile(steps, []).collect()["quantile"].item() == 12
    completed = rows.filter("event").collect()["duration"]
    assert completed.median() == 10  # what leaving them out would say
