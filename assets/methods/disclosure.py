"""What hidden numbers of a table can still be worked out from those that are shown: linear programming, as an attacker would.

Every number shown is a constant, every published sum an equation, every hidden number an unknown that is not negative. The
least and the largest value that an unknown can take are all that can be known of it (Fischetti and Salazar 2001). Which
numbers deserve protection is decided where they are published; how many people are too few is the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, hstack, identity
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MIN_SELLERS: Final = 5
MIN_ACCOUNTS: Final = 10
"""Fewer sellers, or customers, than this are too few to show a number of."""

_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Sums:
    """Equations between numbers: in each the parts less the total are 0.

    Attributes:
        matrix: (equations, numbers), 1 for a part, -1 for the total.
    """

    matrix: csr_matrix

    @classmethod
    def of(
        cls, equation: Integers, number: Integers, is_total: Flags, *, equations: int, numbers: int
    ) -> Sums:
        """From one row per member: which equation, which number, whether it is the total."""
        signs = np.where(is_total, -1.0, 1.0)
        return cls(csr_matrix((signs, (equation, number)), shape=(equations, numbers)))


def measure_widths(sums: Sums, values: Floats, hidden: Flags, asked: Integers, enough: Floats) -> Floats:
    """How wide the range is in which a hidden number can lie, for all anybody can tell.

    Args:
        sums: the equations.
        values: (numbers,) the true numbers, >= 0.
        hidden: (numbers,) which of them are hidden.
        asked: (m,) places of hidden numbers.
        enough: (m,) width at which looking further is not needed.

    Returns:
        (m,) the width, or at least `enough` where it is known to be that wide. Numbers without an upper limit count as wide
        as the sum of all hidden numbers and `enough`.
    """
    places = np.flatnonzero(hidden)
    unknown = np.full(values.size, -1)
    unknown[places] = np.arange(places.size)
    inside = sums.matrix[:, places]
    inside = inside[np.diff(inside.indptr) > 0]
    truth = values[places]
    targets = unknown[asked]
    top = float(truth.sum() + enough.max(initial=1.0))
    # any solution is a way things could be, for all numbers at once: what was seen of a range is never more than there is
    low, high = truth.copy(), truth.copy()
    narrow = np.arange(targets.size)
    while narrow.size:
        for sign in (1.0, -1.0):
            _widen(low, high, _reach(inside, truth, targets[narrow], enough[narrow], top, sign))
        left = narrow[(high - low)[targets[narrow]] < enough[narrow] - _SLACK]
        if left.size == narrow.size:
            break
        narrow = left
    _, component = connected_components(abs(inside).T @ abs(inside), directed=False)
    for i in narrow:
        target = targets[i]
        if high[target] - low[target] >= enough[i] - _SLACK:
            continue
        together = np.flatnonzero(component == component[target])
        rows = inside[:, together]
        rows = rows[np.diff(rows.indptr) > 0]
        cost = (together == target).astype(np.float64)
        if rows.shape[0] == 0:
            high[target] = top
            continue
        for sign in (1.0, -1.0):
            end = linprog(sign * cost, A_eq=rows, b_eq=rows @ truth[together], bounds=(0, top))
            if end.x is not None:  # what can't be settled counts as known
                point = truth.copy()
                point[together] = end.x
                _widen(low, high, point)
    widths: Floats = (high - low)[targets]
    return widths


def _widen(low: Floats, high: Floats, point: Floats) -> None:
    np.minimum(low, point, out=low)
    np.maximum(high, point, out=high)


def _reach(
    matrix: csr_matrix, truth: Floats, targets: Integers, enough: Floats, top: float, sign: float
) -> Floats:
    """A way things could be in which as many numbers as possible lie far above, or below, where they are."""
    n, m = truth.size, targets.size
    if m == 0:
        return truth
    pick = csr_matrix((np.ones(m), (np.arange(m), targets)), shape=(m, n))
    equal = hstack([matrix, csr_matrix((matrix.shape[0], m))]).tocsr()
    bounds = np.concatenate([np.tile([0.0, top], (n, 1)), np.column_stack([np.zeros(m), enough])])
    cost = np.concatenate([np.zeros(n), -np.ones(m)])
    # what is moved towards one side is at most the distance from the truth
    limit = hstack([-sign * pick, identity(m)]).tocsr()
    found = linprog(
        cost, A_ub=limit, b_ub=-sign * truth[targets], A_eq=equal, b_eq=matrix @ truth, bounds=bounds
    )
    return truth if found.x is None else np.asarray(found.x[:n], dtype=np.float64)
