"""Many tests at once: which of them would be called, at which share of false calls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def adjust_p_values(p: npt.ArrayLike) -> Floats:
    """q-values of Benjamini and Hochberg (1995): the false-discovery rate at which each test would be called.

    Args:
        p: (n,) p-values in [0, 1] of one family; NaN are no tests.

    Returns:
        (n,) q-values in [0, 1], NaN where `p` is.

    Raises:
        ValueError: when a p-value is outside [0, 1].
    """
    values = np.atleast_1d(np.asarray(p, dtype=np.float64))
    real = ~np.isnan(values)
    if np.any((values[real] < 0) | (values[real] > 1)):
        raise ValueError("p-values must lie in [0, 1]")
    order = np.argsort(values[real], kind="stable")
    tests = order.size
    stepped = values[real][order] * tests / np.arange(1, tests + 1)
    ranked = np.empty(tests)
    ranked[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    q = np.full(values.shape, np.nan)
    q[real] = ranked
    return q
