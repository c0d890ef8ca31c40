"""Somebody who has every published table and a linear program, and wants to know the small cells.

Written against the tables as they are published: which rows add up to which is read off their keys, nothing is taken from
the code that hides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

Key = tuple[str, ...]  # table, number, dimension, value, and what else names the row


@dataclass
class Attacker:
    """What is known: numbers by key (None is hidden), and sums that hold between them."""

    known: dict[Key, float | None] = field(default_factory=dict)
    sums: list[tuple[Key, list[Key]]] = field(default_factory=list)

    def read(
        self,
        table: str,
        number: str,
        rows: Iterable[tuple[Key, float | None]],
        features: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Take in a table: rows ((dimension, value, ...), number). `features`: by dimension, the flag of every plan."""
        seen = dict(rows)
        groups: dict[tuple[str, Key], list[Key]] = defaultdict(list)
        crossed: dict[tuple[str, str, Key], list[Key]] = defaultdict(list)
        for key, value in seen.items():
            dimension, group, rest = key[0], key[1], key[2:]
            self.known[table, number, *key] = value
            if dimension == "emcr_quintile_within_segment":
                outer, inner = group.rsplit(": ", 1)
                crossed["segment", outer, rest].append(key)
                crossed["emcr_quintile", inner, rest].append(key)
            elif dimension != "all":
                groups[dimension, rest].append(key)
        for (_, rest), parts in groups.items():
            self._add(table, number, seen, ("all", "all", *rest), parts)
        for (dimension, group, rest), parts in crossed.items():
            self._add(table, number, seen, (dimension, group, *rest), parts)
        for flag, of_plan in (features or {}).items():
            for rest in {key[2:] for key in seen}:
                for side in set(of_plan.values()):
                    parts = [
                        ("plan", plan, *rest)
                        for plan, s in of_plan.items()
                        if s == side and ("plan", plan, *rest) in seen
                    ]
                    self._add(table, number, seen, (flag, side, *rest), parts)

    def add_quarters(self, table: str, number: str, whole: str = "all") -> None:
        """Numbers that add up over the last part of the key."""
        parts: dict[Key, list[Key]] = defaultdict(list)
        for key in self.known:
            if key[:2] == (table, number) and key[-1] != whole:
                parts[*key[:-1], whole].append(key)
        self.sums += [(total, members) for total, members in parts.items() if total in self.known]

    def link(self, one: Key, other: Key) -> None:
        """The same number in two tables."""
        if one in self.known and other in self.known:
            self.sums.append((one, [other]))

    def _add(self, table: str, number: str, seen: Mapping[Key, object], total: Key, parts: list[Key]) -> None:
        if total in seen and parts:
            self.sums.append(((table, number, *total), [(table, number, *part) for part in parts]))

    def bound(self, wanted: Mapping[Key, float]) -> dict[Key, tuple[float, float]]:
        """Least and largest value of hidden numbers, from all that is known together.

        `wanted` says how wide a range must be before the attacker gives up on it; narrower ones are exact.
        """
        unknown = [key for key, value in self.known.items() if value is None]
        place = {key: i for i, key in enumerate(unknown)}
        rows, columns, signs, right = [], [], [], []
        for total, parts in self.sums:
            members = [(part, 1.0) for part in parts] + [(total, -1.0)]
            if not any(key in place for key, _ in members):
                continue
            right.append(-sum(sign * (self.known[key] or 0.0) for key, sign in members if key not in place))
            for key, sign in members:
                if key in place:
                    rows.append(len(right) - 1)
                    columns.append(place[key])
                    signs.append(sign)
        matrix = csr_matrix((signs, (rows, columns)), shape=(len(right), len(unknown)))
        limits = np.array(right)
        low, high = np.full(len(unknown), np.inf), np.full(len(unknown), -np.inf)
        together = np.zeros(len(unknown))
        together[[place[key] for key in wanted]] = 1.0
        for sign in (1, -1):  # a first look at all of them at once
            end = (
                linprog(sign * together, A_eq=matrix, b_eq=limits, bounds=(0, None)) if limits.size else None
            )
            if end is not None and end.status == 0:
                low, high = np.minimum(low, end.x), np.maximum(high, end.x)
        for key, enough in wanted.items():
            i = place[key]
            if high[i] - low[i] >= enough:
                continue
            near_rows, near = _component(matrix, i)
            if not near_rows.size:
                low[i], high[i] = 0.0, np.inf
                continue
            cost = (near == i).astype(float)
            for sign in (1, -1):
                end = linprog(
                    sign * cost, A_eq=matrix[near_rows][:, near], b_eq=limits[near_rows], bounds=(0, None)
                )
                assert end.status in (0, 3), end.message
                if end.status == 3:
                    high[i] = np.inf
                else:  # a way things could be, for every number in it
                    low[near], high[near] = np.minimum(low[near], end.x), np.maximum(high[near], end.x)
        return {key: (float(low[place[key]]), float(high[place[key]])) for key in wanted}


def _component(matrix: csr_matrix, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that hang together with a column."""
    columns, rows = np.array([column]), np.array([], dtype=int)
    by_column = matrix.T.tocsr()
    while True:
        rows = np.unique(np.concatenate([by_column[c].indices for c in columns]))
        grown = np.unique(np.concatenate([matrix[r].indices for r in rows])) if rows.size else columns
        if grown.size == columns.size:
            return rows, columns
        columns = grown
