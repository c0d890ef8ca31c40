"""Counts and what they are worth: intervals of shares and rates, ratios, shrinkage.

All functions take arrays (or scalars) that broadcast and give float64 arrays of that shape. No counting is done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import betaincinv, digamma, gammainc, gammaincinv, gammaln, ndtri

Floats = npt.NDArray[np.float64]

COMMON_OUTCOME: Final = (
    0.15  # share of events above which a hazard ratio is no risk ratio (10-definitions, E-value)
)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its limits, float64 arrays of one shape."""

    estimate: Floats
    lo: Floats
    hi: Floats


def estimate_share(successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Share of successes with Wilson's score interval (Wilson 1927); NaN without trials.

    Raises:
        ValueError: when successes are negative or exceed trials.
    """
    x, n = _pair(successes, trials)
    if np.any((x < 0) | (x > n)):
        raise ValueError("successes must lie between 0 and trials")
    z = float(ndtri((1 + level) / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
        centre = (x + z**2 / 2) / (n + z**2)
        half = z / (n + z**2) * np.sqrt(x * (n - x) / n + z**2 / 4)
    # at the rims the limits are 0 and 1 exactly, not but for rounding
    lo, hi = np.where(x == 0, 0.0, centre - half), np.where(x == n, 1.0, centre + half)
    return Interval(p, np.where(n > 0, lo, np.nan), np.where(n > 0, hi, np.nan))


def estimate_rate(counts: npt.ArrayLike, exposure: npt.ArrayLike = 1.0, level: float = 0.95) -> Interval:
    """Events per unit of exposure with Garwood's exact Poisson interval (Garwood 1936); NaN without exposure.

    Raises:
        ValueError: when a count or an exposure is negative.
    """
    y, t = _pair(counts, exposure)
    if np.any(y < 0) or np.any(t < 0):
        raise ValueError("counts and exposures must not be negative")
    tail = (1 - level) / 2
    lower = np.where(y > 0, gammaincinv(np.where(y > 0, y, 1.0), tail), 0.0)
    upper = gammaincinv(y + 1, 1 - tail)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Interval(*(np.where(t > 0, v / t, np.nan) for v in (y, lower, upper)))


def compare_rates(
    counts: npt.ArrayLike,
    exposure: npt.ArrayLike,
    base_counts: npt.ArrayLike,
    base_exposure: npt.ArrayLike,
    level: float = 0.95,
) -> Interval:
    """Ratio of two Poisson rates.

    With events on both sides the interval is log-normal, exp(log ratio +- z sqrt(1/y1 + 1/y0)), with z to two decimals (1.96) as the
    reference value of 04-evidence has it. Where one side has no events that has no width, and the limits are the exact
    conditional ones (Clopper and Pearson 1934, on y1 of y1 + y0).

    Returns:
        Interval; the estimate is 0 with no events, inf with none in the base, NaN when both are none or an exposure is 0.
    """
    y1, t1, y0, t0 = (
        np.asarray(v, dtype=np.float64)
        for v in np.broadcast_arrays(counts, exposure, base_counts, base_exposure)
    )
    usable = (t1 > 0) & (t0 > 0)
    z, tail = round(float(ndtri((1 + level) / 2)), 2), (1 - level) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = t0 / t1
        ratio = y1 / y0 * scale
        spread = np.exp(z * np.sqrt(1 / y1 + 1 / y0))
        share_lo = np.where(y1 > 0, betaincinv(y1, y0 + 1, tail), 0.0)
        share_hi = np.where(y0 > 0, betaincinv(y1 + 1, y0, 1 - tail), 1.0)
        both = (y1 > 0) & (y0 > 0)
        lo = np.where(both, ratio / spread, scale * share_lo / (1 - share_lo))
        hi = np.where(both, ratio * spread, scale * share_hi / (1 - share_hi))
    nothing = ~usable | ((y1 == 0) & (y0 == 0))
    return Interval(*(np.where(nothing, np.nan, v) for v in (ratio, lo, hi)))


def e_value(
    ratio: npt.ArrayLike,
    scale: Literal["risk", "rate", "odds", "hazard"] = "risk",
    *,
    event_share: npt.ArrayLike = 0.0,
) -> Floats:
    """How strong an unmeasured confounder would have to be with both to explain a ratio away (VanderWeele and Ding 2017).

    Args:
        ratio: > 0; below 1 it is inverted.
        scale: odds ratios become risk ratios by their square root; hazard ratios with more than 15 % events by
            (1 - 0.5^sqrt(HR)) / (1 - 0.5^sqrt(1/HR)), rarer ones are taken as they are.
        event_share: share of subjects with the event, for hazard ratios.

    Returns:
        >= 1; NaN at NaN.
    """
    given = np.asarray(ratio, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(given < 1, 1 / given, given)
        common = (1 - 0.5 ** np.sqrt(above)) / (1 - 0.5 ** np.sqrt(1 / above))
        is_common = np.asarray(event_share, dtype=np.float64) > COMMON_OUTCOME
        risk = {"odds": np.sqrt(above), "hazard": np.where(is_common, common, above)}.get(scale, above)
        value: Floats = risk + np.sqrt(risk * (risk - 1))
    return value


def e_value_bound(
    lo: npt.ArrayLike,
    hi: npt.ArrayLike,
    scale: Literal["risk", "rate", "odds", "hazard"] = "risk",
    *,
    event_share: npt.ArrayLike = 0.0,
) -> Floats:
    """E-value of the limit nearer 1; 1.0 where the interval holds 1."""
    low, high = _pair(lo, hi)
    nearer = np.where(low > 1, low, high)
    bound = e_value(nearer, scale, event_share=event_share)
    return np.where(np.isnan(low) | np.isnan(high), np.nan, np.where((low <= 1) & (high >= 1), 1.0, bound))


@dataclass(frozen=True, slots=True)
class GammaPrior:
    """Rates spread over units as Gamma(shape alpha, rate beta): mean alpha / beta per unit of exposure."""

    alpha: float
    beta: float

    def shrink(self, counts: npt.ArrayLike, exposure: npt.ArrayLike, level: float = 0.95) -> Interval:
        """Posterior mean and equal-tailed interval of each unit's rate: Gamma(alpha + y, beta + t)."""
        shape, rate = self._posterior(counts, exposure)
        tail = (1 - level) / 2
        return Interval(shape / rate, gammaincinv(shape, tail) / rate, gammaincinv(shape, 1 - tail) / rate)

    def chance_above(
        self, threshold: npt.ArrayLike, counts: npt.ArrayLike, exposure: npt.ArrayLike
    ) -> Floats:
        """Posterior probability that a unit's rate is above a threshold, for instance 1.5 x the base rate."""
        shape, rate = self._posterior(counts, exposure)
        chance: Floats = 1 - gammainc(shape, rate * np.asarray(threshold, dtype=np.float64))
        return chance

    def _posterior(self, counts: npt.ArrayLike, exposure: npt.ArrayLike) -> tuple[Floats, Floats]:
        y, t = _pair(counts, exposure)
        return self.alpha + y, self.beta + t


def fit_gamma_prior(counts: npt.ArrayLike, exposure: npt.ArrayLike) -> GammaPrior | None:
    """Maximum-likelihood gamma prior of Poisson rates (George, Makov and Smith 1993): the marginal is negative binomial.

    Args:
        counts: (n,) events, whole numbers >= 0.
        exposure: (n,) > 0.

    Returns:
        The prior; None when the units do not differ by more than Poisson noise (the likelihood has no maximum) or there
        are fewer than two.
    """
    y, t = _pair(counts, exposure)
    mean = y.sum() / t.sum() if y.size else 0.0
    # the likelihood rises without end towards no spread unless the counts vary more than Poisson counts do
    excess = float(((y - mean * t) ** 2 - y).sum())
    if y.size < 2 or mean == 0 or excess <= 0:
        return None

    def minus_log_likelihood(logs: Floats) -> tuple[float, Floats]:
        alpha, beta = np.exp(logs)
        terms = (
            gammaln(alpha + y)
            - gammaln(alpha)
            + alpha * np.log(beta / (beta + t))
            + y * np.log(t / (beta + t))
        )
        by_alpha = digamma(alpha + y) - digamma(alpha) + np.log(beta / (beta + t))
        by_beta = alpha / beta - (alpha + y) / (beta + t)
        return -float(terms.sum()), -np.array([alpha * by_alpha.sum(), beta * by_beta.sum()])

    start = np.log([1.0, 1.0 / mean])
    fit = minimize(minus_log_likelihood, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    alpha, beta = np.exp(fit.x)
    return GammaPrior(float(alpha), float(beta))


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.broadcast_arrays(np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64))
    return a, b
