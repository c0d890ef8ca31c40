"""The slope against statsmodels: same line, same Newey-West interval."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from assets.methods.trend import fit_slope


@pytest.mark.parametrize("n", [6, 12, 40, 130])
def test_slope_and_interval_are_those_of_statsmodels(n: int) -> None:
    generator = np.random.default_rng(n)
    time = 2020 + np.arange(n) / 4
    noise = np.convolve(generator.normal(size=n + 4), [1, 0.8, 0.5, 0.3, 0.1], mode="valid")
    y = 0.6 + 0.03 * (time - 2020) + 0.02 * noise
    lags = max(1, int(4 * (n / 100) ** (2 / 9)))
    fit = sm.OLS(y, sm.add_constant(time - time.mean())).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True
    )
    found = fit_slope(time, y)
    assert found.n == n
    assert found.estimate == pytest.approx(fit.params[1], rel=1e-9)
    assert (found.lo, found.hi) == pytest.approx(tuple(fit.conf_int()[1]), rel=1e-7)


def test_what_does_not_move_has_no_slope() -> None:
    found = fit_slope(np.arange(8), np.full(8, 0.75))
    assert (found.estimate, found.lo, found.hi) == (0, 0, 0)


def test_few_points_give_no_slope() -> None:
    assert np.isnan(fit_slope(np.arange(5), np.arange(5)).estimate)


def test_time_must_rise() -> None:
    with pytest.raises(ValueError, match="rise"):
        fit_slope([0, 1, 1, 2, 3, 4], np.zeros(6))
