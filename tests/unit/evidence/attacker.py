"""Somebody who has every published table and a linear program, and wants to know the small cells.

Written against the tables as they are published: which numbers add up to which, and which can't exceed which, is read off their
keys (`published.py`); nothing is taken from the code that hides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_array, csr_matrix, hstack, identity, vstack
from scipy.sparse.csgraph import connected_components

Key = tuple[str, ...]  # table, number, and what names the row
_ROUNDING = 1e-5  # what follows from numbers published with 8 decimals may miss by more than those
_MOST = 1e5
"""No number of an organisation is larger: what has no limit ends here."""


@dataclass
class Attacker:
    """What is known: numbers by key (None is hidden), sums that hold between them, and what is at most what.

    Attributes:
        known: published numbers.
        sums: a total and the parts that make it up.
        totals: parts, and what they come to by another table.
        limits: numbers that together are no more than others together, times a factor.
    """

    known: dict[Key, float | None] = field(default_factory=dict)
    sums: list[tuple[Key, list[Key]]] = field(default_factory=list)
    totals: list[tuple[list[Key], float]] = field(default_factory=list)
    limits: list[tuple[list[Key], list[Key], float]] = field(default_factory=list)

    def read(self, table: str, number: str, rows: Iterable[tuple[Key, float | None]]) -> None:
        """Take in the numbers of a table: rows (what names the row, number)."""
        self.known |= {(table, number, *key): value for key, value in rows}

    def add_up(self, total: Key, parts: Iterable[Key]) -> None:
        """Parts that make up a total; nothing follows where one of them was never published."""
        members = list(parts)
        if members and self._has(total, *members):
            self.sums.append((total, members))

    def link(self, one: Key, other: Key) -> None:
        """The same number in two places."""
        self.add_up(one, [other])

    def come_to(self, parts: Iterable[Key], value: float | None) -> None:
        """Parts whose sum another table tells; None where it hides it."""
        members = list(parts)
        if members and value is not None and self._has(*members):
            self.totals.append((members, value))

    def at_most(self, small: Iterable[Key], large: Iterable[Key], times: float = 1.0) -> None:
        """Numbers that together are no more than others together, times a factor."""
        parts, whole = list(small), list(large)
        if self._has(*parts, *whole):
            self.limits.append((parts, whole, times))

    def _has(self, *keys: Key) -> bool:
        return all(key in self.known for key in keys)

    def bound(self, wanted: Mapping[Key, float]) -> dict[Key, tuple[float, float]]:
        """Least and largest value of hidden numbers, from all that is known together.

        `wanted` says how wide a range must be before the attacker gives up on it; narrower ones are exact.
        """
        if not wanted:
            return {}
        place = {key: i for i, key in enumerate(key for key, value in self.known.items() if value is None)}
        exact = [([(part, 1.0) for part in parts] + [(total, -1.0)], 0.0) for total, parts in self.sums]
        exact += [([(part, 1.0) for part in parts], value) for parts, value in self.totals]
        less = [
            ([(key, 1.0) for key in small] + [(key, -times) for key in large], _ROUNDING)
            for small, large, times in self.limits
        ]
        equal, level = self._state(exact, place)
        below, most = self._state(less, place)
        rows, right = vstack([equal, below]).tocsr(), np.concatenate([level, most])
        is_equal = np.arange(rows.shape[0]) < equal.shape[0]
        system = _System(rows[is_equal], right[is_equal], rows[~is_equal], right[~is_equal])
        ranges = system.bound({place[key]: enough for key, enough in wanted.items()})
        return {key: ranges[place[key]] for key in wanted}

    def _state(
        self, sentences: Sequence[tuple[list[tuple[Key, float]], float]], place: Mapping[Key, int]
    ) -> tuple[csr_matrix, np.ndarray]:
        """Sentences about hidden numbers as rows of a matrix and what they come to; those about none are left out."""
        at: list[int] = []
        columns: list[int] = []
        signs: list[float] = []
        right: list[float] = []
        for members, value in sentences:
            if not any(key in place for key, _ in members):
                continue
            right.append(
                value - sum(sign * (self.known[key] or 0.0) for key, sign in members if key not in place)
            )
            for key, sign in members:
                if key in place:
                    at.append(len(right) - 1)
                    columns.append(place[key])
                    signs.append(sign)
        return csr_matrix((signs, (at, columns)), shape=(len(right), len(place))), np.array(right)


@dataclass(frozen=True)
class _System:
    """What numbers come to, what they are at most, and that none is negative."""

    equal: csr_matrix
    level: np.ndarray
    below: csr_matrix
    most: np.ndarray

    def bound(self, asked: Mapping[int, float]) -> dict[int, tuple[float, float]]:
        """Least and largest value of the numbers in these places; at least as far apart as asked for, or exact."""
        rows = vstack([self.equal, self.below])
        _, together = connected_components(
            block_array([[None, rows], [rows.T, None]]).tocsr(), directed=False
        )
        together = together[rows.shape[0] :]
        near = np.flatnonzero(np.isin(together, together[list(asked)]))
        inside, together = self._keep(near), together[near]
        wanted = np.array([asked.get(i, 0.0) for i in near.tolist()])
        low, high = inside._bound(wanted, together)
        return {i: (low[k], high[k]) for i in asked for k in [int(np.searchsorted(near, i))]}

    def _keep(self, columns: np.ndarray) -> _System:
        equal, below = self.equal[:, columns], self.below[:, columns]
        says, limits = np.diff(equal.indptr) > 0, np.diff(below.indptr) > 0
        return _System(equal[says], self.level[says], below[limits], self.most[limits])

    def _bound(self, wanted: np.ndarray, together: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = wanted.size
        end = self._solve(np.zeros(n))
        assert end.status == 0, end.message
        start = np.maximum(end.x, 0.0)
        low, high = start.copy(), start.copy()
        wide = wanted - 1e-6
        narrow = np.flatnonzero(wanted > 0)
        # any solution is a way things could be, for all numbers at once
        for sign in (1.0, -1.0):
            found = self._spread(start, narrow, wanted[narrow], sign)
            low, high = np.minimum(low, found), np.maximum(high, found)
        narrow = narrow[(high - low < wide)[narrow]]
        rng = np.random.default_rng(n)
        tried, corners = np.zeros(n, dtype=bool), True
        while (left := narrow[~tried[narrow]]).size:
            if corners:  # a corner of what is possible shows many ranges at once
                chosen, weights = left, rng.normal(size=left.size)
            else:  # numbers that hang together are tried one by one, those that do not at once
                _, first = np.unique(together[left], return_index=True)
                chosen, weights = left[first], np.ones(first.size)
                tried[chosen] = True
            near = np.flatnonzero(np.isin(together, together[chosen]))
            inside, cost = self._keep(near), np.zeros(near.size)
            cost[np.searchsorted(near, chosen)] = weights
            for sign in (1.0, -1.0):
                end = inside._solve(sign * cost)
                assert end.status == 0, end.message
                low[near], high[near] = np.minimum(low[near], end.x), np.maximum(high[near], end.x)
            narrow = narrow[(high - low < wide)[narrow]]
            corners = corners and narrow.size < left.size
        return low, high

    def _spread(self, start: np.ndarray, places: np.ndarray, enough: np.ndarray, sign: float) -> np.ndarray:
        """A way things could be in which as many of the numbers as possible lie far to one side of where they started."""
        n, m = start.size, len(places)
        pick = csr_matrix((np.ones(m), (np.arange(m), places)), shape=(m, n))
        nothing = csr_matrix((self.equal.shape[0] + self.below.shape[0], m))
        cost = np.concatenate([np.zeros(n), -np.ones(m)])
        limit = hstack([-sign * pick, identity(m)])
        end = self._solve(
            cost,
            equal=hstack([self.equal, nothing[: self.equal.shape[0]]]),
            below=vstack([hstack([self.below, nothing[self.equal.shape[0] :]]), limit]),
            most=np.concatenate([self.most, -sign * start[places]]),
            bounds=[(0, _MOST)] * n + [(0, e) for e in enough],
        )
        return np.maximum(end.x[:n], 0.0) if end.status == 0 else start

    def _solve(self, cost: np.ndarray, **changes: Any) -> Any:
        with_ = {"equal": self.equal, "below": self.below, "most": self.most, "bounds": (0, _MOST)} | changes
        return linprog(
            cost,
            A_eq=with_["equal"],
            b_eq=self.level,
            A_ub=with_["below"],
            b_ub=with_["most"],
            bounds=with_["bounds"],
        )
