"""What hidden numbers of a table can still be worked out from those that are shown: linear programming, as an attacker would.

Every number shown is a constant, every published sum an equation, every hidden number an unknown that is not negative. The
least and the largest value that an unknown can take are all that can be known of it (Fischetti and Salazar 2001). Which
numbers deserve protection is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, hstack, identity
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

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
    batch = _reach(inside, truth, targets, enough, top)
    widths: Floats = np.minimum(batch, enough)
    _, component = connected_components(_neighbours(inside), directed=False)
    for i in np.flatnonzero(widths < enough - _SLACK):
        together = component == component[targets[i]]
        rows = inside[:, together]
        rows = rows[np.diff(rows.indptr) > 0]
        place = int(np.flatnonzero(np.flatnonzero(together) == targets[i])[0])
        widths[i] = _width_of(rows, truth[together], place, top)
    return widths


def _neighbours(matrix: csr_matrix) -> csr_matrix:
    return (abs(matrix).T @ abs(matrix)).tocsr()


def _reach(matrix: csr_matrix, truth: Floats, targets: Integers, enough: Floats, top: float) -> Floats:
    """Widths that two programs certify for many numbers at once: all up together, all down together."""
    n, m = truth.size, targets.size
    width = np.zeros(m)
    if m == 0:
        return width
    pick = csr_matrix((np.ones(m), (np.arange(m), targets)), shape=(m, n))
    equal = hstack([matrix, csr_matrix((matrix.shape[0], m))]).tocsr()
    bounds = np.concatenate([np.tile([0.0, top], (n, 1)), np.column_stack([np.zeros(m), enough])])
    cost = np.concatenate([np.zeros(n), -np.ones(m)])
    for sign in (1.0, -1.0):
        # what is moved towards one side is at most the distance from the truth
        limit = hstack([-sign * pick, identity(m)]).tocsr()
        found = linprog(
            cost, A_ub=limit, b_ub=-sign * truth[targets], A_eq=equal, b_eq=matrix @ truth, bounds=bounds
        )
        if found.x is not None:
            width += np.maximum(found.x[n:], 0.0)
    return width


def _width_of(matrix: csr_matrix, truth: Floats, place: int, top: float) -> float:
    if matrix.shape[0] == 0:
        return top
    cost = np.zeros(truth.size)
    cost[place] = 1.0
    ends = [linprog(sign * cost, A_eq=matrix, b_eq=matrix @ truth, bounds=(0, top)) for sign in (1.0, -1.0)]
    if any(end.x is None for end in ends):
        return 0.0  # what can't be settled counts as known
    return float(ends[1].x[place] - ends[0].x[place])
