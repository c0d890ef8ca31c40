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
        matrix: (equations, numbers), 1 for a part, -1 for the total, or so many times that.
    """

    matrix: csr_matrix

    @classmethod
    def of(
        cls,
        equation: Integers,
        number: Integers,
        is_total: Flags,
        *,
        equations: int,
        numbers: int,
        times: Floats | float = 1.0,
    ) -> Sums:
        """From one row per member: which equation, which number, whether it is the total, how many times it counts."""
        signs = np.where(is_total, -1.0, 1.0) * times
        return cls(csr_matrix((signs, (equation, number)), shape=(equations, numbers)))


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far apart each number has been seen to lie in ways things could be. Hiding more never makes a range narrower.

    Attributes:
        low: (numbers,) the least value seen.
        high: (numbers,) the largest.
    """

    low: Floats
    high: Floats

    @classmethod
    def start(cls, values: Floats) -> Ranges:
        """Nothing seen but the truth."""
        return cls(values.copy(), values.copy())

    def measure(self, asked: Integers) -> Floats:
        """How wide the ranges of some numbers are as far as is known."""
        widths: Floats = (self.high - self.low)[asked]
        return widths

    def widen(self, places: Integers, point: Floats) -> None:
        """Any solution is a way things could be, for all numbers at once: what was seen of a range is never more than there is."""
        self.low[places] = np.minimum(self.low[places], point)
        self.high[places] = np.maximum(self.high[places], point)


def measure_widths(
    sums: Sums, values: Floats, hidden: Flags, asked: Integers, enough: Floats, seen: Ranges | None = None
) -> Floats:
    """How wide the range is in which a hidden number can lie, for all anybody can tell.

    Args:
        sums: the equations.
        values: (numbers,) the true numbers, >= 0.
        hidden: (numbers,) which of them are hidden.
        asked: (m,) places of hidden numbers.
        enough: (m,) width at which looking further is not needed.
        seen: what was seen of the same numbers when no more of them were hidden; what is seen now is added.

    Returns:
        (m,) the width, or at least `enough` where it is known to be that wide. Numbers without an upper limit count as wide
        as the sum of all hidden numbers and `enough`.
    """
    seen = seen or Ranges.start(values)
    top = float(values[hidden].sum() + enough.max(initial=1.0))

    def find_narrow() -> Integers:
        return np.flatnonzero(seen.measure(asked) < enough - _SLACK)

    def find_system(targets: Integers) -> tuple[_System, Integers, Integers]:
        """What hangs together with some numbers, the places of all that, and where in it they stand."""
        places = np.flatnonzero(hidden & np.isin(component, component[targets]))
        inside = sums.matrix[:, places]
        system = _System(inside[np.diff(inside.indptr) > 0], values[places], top)
        return system, places, np.searchsorted(places, targets)

    narrow = find_narrow()
    component = _find_components(sums, hidden) if narrow.size else np.empty(0)
    if narrow.size:
        system, places, targets = find_system(asked[narrow])
        for sign in (1.0, -1.0):
            seen.widen(places, system.reach(targets, enough[narrow], sign))
        narrow = find_narrow()
    # any corner of what is possible shows many ranges at once; then numbers that hang together are tried one by one, others together
    rng = np.random.default_rng(narrow.size)
    tried, corners = np.zeros(asked.size, dtype=np.bool_), True
    while (left := narrow[~tried[narrow]]).size:
        if corners:
            chosen, weights = left, rng.normal(size=left.size)
        else:
            _, first = np.unique(component[asked[left]], return_index=True)
            chosen, weights = left[first], np.ones(first.size)
            tried[chosen] = True
        system, places, targets = find_system(asked[chosen])
        for sign in (1.0, -1.0):
            seen.widen(places, system.push(targets, sign * weights))
        narrow = find_narrow()
        corners = corners and narrow.size < left.size
    return seen.measure(asked)


def _find_components(sums: Sums, hidden: Flags) -> Integers:
    """(numbers,) which hidden numbers hang together by equations; numbers that are shown stand alone."""
    members = sums.matrix.tocoo()
    inside = hidden[members.col]
    size = sums.matrix.shape[1]
    nodes = size + sums.matrix.shape[0]
    edges = csr_matrix(
        (np.ones(int(inside.sum())), (members.col[inside], size + members.row[inside])), shape=(nodes, nodes)
    )
    component: Integers = connected_components(edges, directed=False)[1][:size]
    return component


@dataclass(frozen=True, slots=True)
class _System:
    """Equations between hidden numbers.

    Attributes:
        matrix: (equations, n).
        truth: (n,) the true numbers.
        top: no number is larger.
    """

    matrix: csr_matrix
    truth: Floats
    top: float

    def reach(self, targets: Integers, enough: Floats, sign: float) -> Floats:
        """A way things could be in which as many targets as possible lie far above, or below, where they are."""
        n, m = self.truth.size, targets.size
        pick = csr_matrix((np.ones(m), (np.arange(m), targets)), shape=(m, n))
        equal = hstack([self.matrix, csr_matrix((self.matrix.shape[0], m))]).tocsr()
        bounds = np.concatenate([np.tile([0.0, self.top], (n, 1)), np.column_stack([np.zeros(m), enough])])
        cost = np.concatenate([np.zeros(n), -np.ones(m)])
        # what is moved towards one side is at most the distance from the truth
        limit = hstack([-sign * pick, identity(m)]).tocsr()
        found = linprog(
            cost,
            A_ub=limit,
            b_ub=-sign * self.truth[targets],
            A_eq=equal,
            b_eq=self.matrix @ self.truth,
            bounds=bounds,
        )
        return self.truth if found.x is None else np.asarray(found.x[:n], dtype=np.float64)

    def push(self, targets: Integers, weights: Floats) -> Floats:
        """The way things could be in which the targets, weighed, come to the least."""
        cost = np.zeros(self.truth.size)
        cost[targets] = weights
        found = linprog(cost, A_eq=self.matrix, b_eq=self.matrix @ self.truth, bounds=(0, self.top))
        # what can't be settled counts as known
        return self.truth if found.x is None else np.asarray(found.x, dtype=np.float64)
