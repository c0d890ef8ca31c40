"""Which of two series moves first: a vector autoregression of short panels, without the bias of short panels.

For units i (teams) over periods t (quarters), a_i and b_t free, K lags of both series at once:

    y_it = sum over k of (r_k y_i,t-k + c_k x_i,t-k) + a_i + b_t + e_it

c_k is what the leading series x tells of y, k periods later, beyond y's own past and x's other lags (Granger 1969, Econometrica 37:424;
lags one at a time would each carry part of the others). Means of units over time may not be taken out with errors still in
them: with so few periods as firms have, that makes whatever follows look as if it led, with the sign turned round (Nickell 1981,
Econometrica 49:1417). So the model is written in deviations from the unit's later periods (Arellano and Bover 1995), and the
regressors in it are told by their deviations from the unit's earlier periods (Hayakawa 2009, Econometric Theory 25:873): just
identified, without bias of first order however short the panel, at the price of wide intervals. Errors are clustered by unit,
t with one degree of freedom less than units: with ten units such intervals were measured to keep their level, those of a
bootstrap of units to be too short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from assets.methods.clusters import Flags, Floats, Ints, infer
from assets.methods.design import check_rank

LEAST_UNITS: Final = 8
LEAST_PERIODS: Final = 6
"""Fewer periods with a row leave three or less to compare: each needs one before and one after it."""
_NOTHING: Final = 1e-9  # share of a series' size that is only rounding


@dataclass(frozen=True, slots=True)
class Lead:
    """What one series tells of another `lag` periods later.

    Attributes:
        lag: periods that the leading series lies before.
        estimate: within units and periods, standard deviations of the following series per standard deviation of the leading one.
        lo: lower end of the interval.
        hi: upper end.
        p_value: two-sided, of no association.
        n: unit-periods in the regression.
        n_units: units among them.
        n_periods: periods among them.
        reason: why there is no estimate (NaN then): too_few_units, too_few_periods, no_variation; empty where there is one.
    """

    lag: int
    estimate: float
    lo: float
    hi: float
    p_value: float
    n: int
    n_units: int
    n_periods: int
    reason: str = ""


def fit_leads(leading: Floats, following: Floats, lags: int) -> tuple[Lead, ...]:
    """Fit the regression of `following` on `lags` lags of both series.

    Args:
        leading: (units, periods) x; NaN where not known.
        following: (units, periods) y, the same units and consecutive periods.
        lags: K >= 1.

    Returns:
        One Lead per lag, from 1.

    Raises:
        ValueError: when the shapes differ or there is no lag.
    """
    if leading.shape != following.shape or leading.ndim != 2 or lags < 1:
        raise ValueError("two tables of one shape and at least one lag")
    end = leading.shape[1]
    y = following[:, lags:]
    past = [series[:, lags - k : end - k] for series in (leading, following) for k in range(1, lags + 1)]
    known = np.logical_and.reduce([np.isfinite(table) for table in (y, *past)])
    # a row is compared with earlier and with later ones of its unit
    compared = known & (_count_before(known) > 0) & (_count_before(known[:, ::-1])[:, ::-1] > 0)
    sizes = int(compared.sum()), int(compared.any(axis=1).sum()), int(compared.any(axis=0).sum())
    if sizes[1] < LEAST_UNITS:
        return _say_nothing(lags, sizes, "too_few_units")
    if int(known.any(axis=0).sum()) < LEAST_PERIODS:
        return _say_nothing(lags, sizes, "too_few_periods")
    size = [float(np.abs(table[known]).max()) for table in (past[0], y)]
    y, *past = (_centre(table, known) for table in (y, *past))
    spread = [_spread_within(table, known) for table in (past[0], y)]
    if any(s <= _NOTHING * m for s, m in zip(spread, size, strict=True)):
        return _say_nothing(lags, sizes, "no_variation")
    # in standard deviations from here on
    y, past = y / spread[1], [table / spread[j >= lags] for j, table in enumerate(past)]
    later = np.stack([_leave_later(table, known, compared) for table in past])
    told_by = np.stack([_leave_earlier(table, known, compared) for table in past])
    outcome = _leave_later(y, known, compared)
    # einsum adds in one order on any number of threads
    products = np.einsum("iut,jut->uij", told_by, later)
    moments = np.einsum("iut,ut->ui", told_by, outcome)
    if check_rank(np.einsum("iut,jut->ij", later, later)) or check_rank(
        np.einsum("iut,jut->ij", told_by, told_by)
    ):
        return _say_nothing(lags, sizes, "no_variation")
    inverse = np.linalg.inv(products.sum(axis=0))
    coefficients = np.einsum("ij,j->i", inverse, moments.sum(axis=0))
    scores = moments - np.einsum("uij,j->ui", products, coefficients)
    influence = np.einsum("ui,ji->uj", scores, inverse)
    units = sizes[1]
    errors = np.sqrt(units / (units - 1) * (influence**2).sum(axis=0))
    found = [infer(float(coefficients[k]), float(errors[k]), units) for k in range(lags)]
    return tuple(Lead(k, f.estimate, f.lo, f.hi, f.p_value, *sizes) for k, f in enumerate(found, start=1))


def _say_nothing(lags: int, sizes: tuple[int, int, int], reason: str) -> tuple[Lead, ...]:
    return tuple(Lead(k, np.nan, np.nan, np.nan, np.nan, *sizes, reason) for k in range(1, lags + 1))


def _count_before(known: Flags) -> Ints:
    return np.asarray(np.cumsum(known, axis=1) - known, dtype=np.int64)


def _centre(table: Floats, known: Flags) -> Floats:
    """Without the period's mean over its known units; 0 where not known, so that sums leave it out."""
    filled = np.where(known, table, 0.0)
    mean = filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, filled - mean, 0.0)


def _spread_within(table: Floats, known: Flags) -> float:
    """Standard deviation around the unit's own mean."""
    mean = table.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return float(np.sqrt(np.where(known, (table - mean) ** 2, 0.0).sum() / max(int(known.sum()), 1)))


def _leave_earlier(table: Floats, known: Flags, compared: Flags) -> Floats:
    """Deviation of each compared row from the mean of the unit's earlier known rows, of equal variance for any number of them."""
    count = _count_before(known)
    mean = (np.cumsum(table, axis=1) - table) / np.maximum(count, 1)
    return np.where(compared, np.sqrt(count / (count + 1)) * (table - mean), 0.0)


def _leave_later(table: Floats, known: Flags, compared: Flags) -> Floats:
    return _leave_earlier(table[:, ::-1], known[:, ::-1], compared[:, ::-1])[:, ::-1]
