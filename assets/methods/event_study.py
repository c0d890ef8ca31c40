"""What changed after units were treated, at different times, beside units that were not: an event study.

Interaction-weighted estimator of Sun and Abraham (2021): one coefficient per cohort and period relative to its change, within
units and calendar periods, averaged over cohorts by their shares; a two-way regression with one treatment dummy would weigh
early cohorts as comparisons of late ones, with any sign (Goodman-Bacon 2021). Who counts as treated and compared is not decided
here (see `assets.evidence.plan_changes`). Errors are clustered by unit; with few units, or few on a side, the wild cluster bootstrap
with the null imposed takes the place of the t interval, which is too short there (MacKinnon and Webb 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from assets.methods.clusters import FEW_CLUSTERS, bootstrap_scores
from assets.methods.within import Flags, Floats, Ints, Panel, WithinFit, describe_influence, fit_within

UNTREATED: Final = -1
"""Cohort of units that are never treated."""
REFERENCE: Final = -1
"""Relative period all others are compared with: the last one before the change."""
FEW_ON_A_SIDE: Final = 20
"""Fewer treated units, or fewer untreated ones, are few, however many there are of the others."""


@dataclass(frozen=True, slots=True)
class EventRows:
    """Rows of units over time, each standing for `weight` observations.

    Attributes:
        unit: (n,) codes; rows of a unit must stand together.
        time: (n,) calendar periods.
        cohort: (n,) code >= 0 of the units that changed together, `UNTREATED` for those that never do.
        relative: (n,) period relative to the change: 0 is the first after it, -1 the last before; ignored where untreated.
        outcome: (n,) mean outcome of the row.
        weight: (n,) observations behind it, > 0.
    """

    unit: Ints
    time: Ints
    cohort: Ints
    relative: Ints
    outcome: Floats
    weight: Floats


@dataclass(frozen=True, slots=True)
class Contrast:
    """An estimate with its clustered standard error and its interval; units of the outcome. NaN where the data can't tell."""

    estimate: float
    error: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class EventStudy:
    """A fitted event study.

    Attributes:
        relative: (k,) relative periods, rising, `REFERENCE` included.
        periods: k contrasts with the reference period; that of the reference itself is 0 by construction.
        average: mean over the periods from 0 on, weighted by treated observations.
        treated_mean: mean outcome of treated units over the same observations; less `average`, what it would have been unchanged.
        pre_trend_p: Wald test (F, clustered) that all periods before the reference are 0; NaN where there are none.
        n: observations (sum of weights). n_treated, n_compared: units of each kind.
    """

    relative: Ints
    periods: tuple[Contrast, ...]
    average: Contrast
    treated_mean: float
    pre_trend_p: float
    n: float
    n_treated: int
    n_compared: int

    @property
    def is_of_few(self) -> bool:
        """Whether so few units stand behind it that no t interval holds."""
        return _are_few(self.n_treated, self.n_compared)


def _are_few(treated: int, compared: int) -> bool:
    return min(treated, compared) < FEW_ON_A_SIDE or treated + compared < FEW_CLUSTERS


_NOTHING: Final = Contrast(*(float("nan"),) * 5)


def fit_event_study(rows: EventRows, level: float = 0.95) -> EventStudy:
    """Fit the interaction-weighted event study.

    Args:
        rows: with treated and untreated units; rows outside the window of interest are for the caller to leave out.
        level: of the intervals.

    Returns:
        EventStudy. Without untreated units, without treated ones, or without the reference period nothing can be told:
        every contrast is NaN. Limits are NaN where so few units rule out no value: fewer than six.
    """
    treated = rows.cohort != UNTREATED
    pairs = np.stack([rows.cohort, rows.relative], axis=1)[treated]
    cells, where = np.unique(pairs, axis=0, return_inverse=True)
    where = where.reshape(-1)
    weights = np.bincount(where, weights=rows.weight[treated], minlength=len(cells))
    is_reference = cells[:, 1] == REFERENCE
    column = np.full(len(rows.unit), -1, dtype=np.int64)
    number = np.where(is_reference, -1, np.cumsum(~is_reference) - 1)
    column[treated] = number[where]
    relative = np.unique(cells[:, 1]) if len(cells) else np.empty(0, dtype=np.int64)
    counts = (len(np.unique(rows.unit[treated])), len(np.unique(rows.unit[~treated])))
    can_be_told = min(counts) > 0 and is_reference.any()
    panel = Panel(rows.unit, rows.time, rows.outcome, rows.weight, column)
    fit = fit_within(panel, int((~is_reference).sum()))
    # a cohort that was not seen in the reference period has nothing to be compared with
    anchored = np.isin(cells[:, 0], cells[is_reference, 0])[~is_reference]
    usable = fit.is_identified & anchored & can_be_told
    own, share = cells[~is_reference], np.where(usable, weights[~is_reference], 0.0)
    periods = [_weigh(own[:, 1] == r, share) for r in relative]
    after = _weigh(own[:, 1] >= 0, share)
    contrast = _contrast_few if _are_few(*counts) else _contrast_many
    found = contrast(panel, fit, np.array([after, *periods]), level)
    contrasts = tuple(
        Contrast(0.0, 0.0, 0.0, 0.0, 1.0) if r == REFERENCE and can_be_told else period
        for r, period in zip(relative, found[1:], strict=True)
    )
    totals = np.bincount(where, weights=(rows.weight * rows.outcome)[treated], minlength=len(cells))
    means = totals[~is_reference] / weights[~is_reference]
    before = [w for r, w in zip(relative, periods, strict=True) if r < REFERENCE and w.any()]
    return EventStudy(
        relative=relative,
        periods=contrasts,
        average=found[0],
        treated_mean=float(after @ means) if after.any() else float("nan"),
        pre_trend_p=_test_zero(fit.estimate, fit.covariance, before, fit.freedom),
        n=float(rows.weight.sum()),
        n_treated=counts[0],
        n_compared=counts[1],
    )


def _weigh(chosen: Flags, share: Floats) -> Floats:
    """(p,) shares of the chosen coefficients, adding up to 1; all 0 where none is usable."""
    weight = np.where(chosen, share, 0.0)
    total = weight.sum()
    return weight / total if total > 0 else weight


def _contrast_many(panel: Panel, fit: WithinFit, weights: Floats, level: float) -> list[Contrast]:
    """Weighted sums of the coefficients with t intervals."""
    del panel
    return [_contrast(fit, weight, level) for weight in weights]


def _contrast(fit: WithinFit, weight: Floats, level: float) -> Contrast:
    used = weight > 0
    if not used.any():
        return _NOTHING
    value = float(weight[used] @ fit.estimate[used])
    error = float(np.sqrt(weight[used] @ fit.covariance[np.ix_(used, used)] @ weight[used]))
    reach = float(t_distribution.ppf((1 + level) / 2, fit.freedom)) * error
    p_value = float(2 * t_distribution.sf(abs(value) / error, fit.freedom)) if error > 0 else float("nan")
    return Contrast(value, error, value - reach, value + reach, p_value)


def _contrast_few(panel: Panel, fit: WithinFit, weights: Floats, level: float) -> list[Contrast]:
    """The same with intervals and p values of the wild cluster bootstrap; NaN limits where no value can be ruled out."""
    contrasts = _contrast_many(panel, fit, weights, level)
    told = np.flatnonzero(weights.any(axis=1))
    if told.size:
        influence, leverage = describe_influence(panel, fit, weights[told])
        for i, moved, share in zip(told, influence.T, leverage.T, strict=True):
            found = bootstrap_scores(contrasts[i].estimate, moved, share, level=level)
            contrasts[i] = replace(contrasts[i], low=found.lo, high=found.hi, p_value=found.p_value)
    return contrasts


def _test_zero(estimate: Floats, covariance: Floats, weights: list[Floats], freedom: int) -> float:
    """P of the joint hypothesis that every weighted mean is 0."""
    if not weights:
        return float("nan")
    a = np.array(weights)
    known = np.isfinite(estimate)
    mean = a[:, known] @ estimate[known]
    spread = a[:, known] @ covariance[np.ix_(known, known)] @ a[:, known].T
    rank = int(np.linalg.matrix_rank(spread, hermitian=True))
    if not rank:
        return float("nan")
    wald = float(mean @ np.linalg.pinv(spread, hermitian=True) @ mean)
    return float(f_distribution.sf(wald / rank, rank, freedom))
