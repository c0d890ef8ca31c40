"""Subjects counted by group and distinct time, and what runs along the times of a group: the ground of `survival`.

Groups are few and times may be as many as subjects, so a group is a slice of arrays, not a key to look up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.methods.clusters import Floats, Ints

Numbers = TypeVar("Numbers", Floats, Ints)


@dataclass(frozen=True, slots=True)
class Steps:
    """Counts per group and distinct time, rising; every group starts with a step at time 0.

    Attributes:
        table: `by`, `time`, `n` subjects of the group.
        starts: first step of each group.
        leaving: (steps,) subjects whose time it is.
        at_risk: (steps,) subjects just before it.
        counts: by name, (steps,) what was counted.
    """

    table: pl.DataFrame
    starts: Ints
    leaving: Ints
    at_risk: Ints
    counts: dict[str, Ints]

    def add_up(self, terms: Numbers) -> Numbers:
        """Running sums within groups."""
        return self._run(np.cumsum, terms)

    def multiply(self, factors: Floats) -> Floats:
        """Running products within groups."""
        return self._run(np.cumprod, factors)

    def shift(self, values: Floats, first: float) -> Floats:
        """The value of the step before."""
        moved = np.concatenate([[first], values[:-1]])
        moved[self.starts] = first
        return moved

    def find_read(self, horizons: Sequence[int]) -> Ints:
        """Steps that are looked up at the horizons, and the last of each group."""
        time = self.table["time"].to_numpy()
        last = np.append(self.starts, time.size)[1:] - 1
        places = [np.minimum(place, last) for h in horizons for place in look_up(time, self.starts, h)]
        return np.unique(np.concatenate([last, *places]))

    def _run(self, running: Callable[..., Numbers], values: Numbers) -> Numbers:
        out = np.empty_like(values)
        for a, b in pairwise([*self.starts.tolist(), values.size]):
            running(values[a:b], out=out[a:b])
        return out


def count_by_time(
    rows: pl.LazyFrame, by: Sequence[str], duration: str, counts: Mapping[str, pl.Expr]
) -> Steps:
    """Count the rows of every group by distinct time.

    Args:
        rows: one row per subject; those with a null among `by`, `duration` and `counts` are left out. Rows that are sorted by
            duration already cost no second sort.
        by: columns of the group; none makes one group.
        duration: column of the time, >= 0.
        counts: by name, whole numbers to add up.
    """
    seen = rows.select(*by, pl.col(duration).alias("time"), **counts).drop_nulls().collect()
    groups, group = _number_groups(seen, by)
    none = np.zeros(groups.height, dtype=np.int64)
    group = np.concatenate([np.arange(groups.height, dtype=group.dtype), group])
    time = _narrow(np.concatenate([none, seen["time"].to_numpy()]))
    order = np.argsort(time, kind="stable")
    order = order[np.argsort(group[order], kind="stable")]
    group, time = group[order], time[order]
    first = np.flatnonzero(np.append(group.size > 0, (group[1:] != group[:-1]) | (time[1:] != time[:-1])))

    def count(values: Ints) -> Ints:
        ordered = np.concatenate([none, values])[order]
        return np.add.reduceat(ordered, first) if first.size else ordered

    leaving = count(np.ones(seen.height, dtype=np.int64))
    group = group[first]
    starts = np.flatnonzero(np.append(group.size > 0, group[1:] != group[:-1]))
    sizes = np.diff(np.append(starts, group.size))
    n = np.repeat(np.add.reduceat(leaving, starts) if starts.size else leaving, sizes)
    gone: Ints = np.cumsum(leaving) - leaving
    table = groups[group].with_columns(time=pl.Series(time[first]).cast(seen.schema["time"]), n=n)
    counted = {name: count(seen[name].to_numpy()) for name in counts}
    return Steps(table, starts, leaving, n - gone + np.repeat(gone[starts], sizes), counted)


def look_up(time: npt.NDArray[np.generic], starts: Ints, moment: int) -> tuple[Ints, Ints]:
    """In each group of rising times: the last row at or before a moment, the first at or after it (else the row past the end)."""
    ends = np.append(starts, time.size)[1:]
    groups = list(zip(starts.tolist(), ends.tolist(), strict=True))
    before = [a + int(np.searchsorted(time[a:b], moment, side="right")) - 1 for a, b in groups]
    ahead = [a + int(np.searchsorted(time[a:b], moment, side="left")) for a, b in groups]
    return np.array(before, dtype=np.int64), np.array(ahead, dtype=np.int64)


def _number_groups(rows: pl.DataFrame, by: Sequence[str]) -> tuple[pl.DataFrame, npt.NDArray[np.number]]:
    """The groups, sorted, and (n,) the number of each row's."""
    groups = rows.select(by).unique().sort(by) if by else pl.DataFrame(height=min(rows.height, 1))
    if not by:
        return groups, _narrow(np.zeros(rows.height, dtype=np.int64))
    named = groups.with_row_index("_group")
    number = rows.select(by).join(named, on=list(by), how="left", maintain_order="left")["_group"]
    return groups, _narrow(number.to_numpy())


def _narrow(values: npt.NDArray[np.number]) -> npt.NDArray[np.number]:
    """Small whole numbers in 16 bits: those are sorted by counting."""
    small = np.iinfo(np.int16)
    is_small = (
        values.dtype.kind in "iu" and values.size and small.min <= values.min() <= values.max() <= small.max
    )
    return values.astype(np.int16) if is_small else values


def find_starts(table: pl.DataFrame, by: Sequence[str]) -> Ints:
    """First row of each group of rows that stand together."""
    if not by:
        return np.zeros(min(table.height, 1), dtype=np.int64)
    changes = table.select(pl.any_horizontal(pl.col(c).ne_missing(pl.col(c).shift()) for c in by)).to_series()
    found = changes.to_numpy().copy()
    found[:1] = True
    return np.flatnonzero(found)
