"""Numbers of small cells, and what else is published that bounds them: which cell to hide next so that none is told too closely.

A published total is an equation, and so is what holds between different numbers of a cell. Who has all of it and a linear program
must not be able to place a size of a small cell more closely than the size of a cell that may be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from assets.methods.disclosure import MIN_ACCOUNTS, Ranges, Sums, measure_widths

PROTECTED_SHARE: Final = 0.2
"""Width of the protected range, as a share of the count, where that is more than `MIN_ACCOUNTS`."""

_SLACK: Final = 1e-6
_c = pl.col


@dataclass(frozen=True, slots=True)
class Additive:
    """A published number that adds up.

    Attributes:
        name: its column in the cells; null counts as 0.
        is_size: sizes (deals, items, months) must stay open by `least` or a fifth; other counts of a small cell must not be told
            exactly unless they are 0.
        families: families of equations in which it adds up; empty: all.
        least: how far apart the limits of a size must stay at least: the size of a cell that may be shown.
        width: a column that says where (not null) and how far apart the limits must stay for those who reason from one number to
            another, if that is less than for those who only add up.
        is_distinct: people, who may stand in several parts: each part is no more than the total, all together no less. They are not asked
            for; they bound what is.
        of: a column (Boolean) that marks the cells whose number is protected; empty: the small ones.
    """

    name: str
    is_size: bool = True
    families: tuple[str, ...] = ()
    least: int = MIN_ACCOUNTS
    width: str = ""
    is_distinct: bool = False
    of: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """What holds between different numbers of every cell, so that one bounds another.

    Attributes:
        parts: names of additive numbers that together come to `whole`, or to no more.
        whole: names of additive numbers.
        is_equal: they come to it.
        times: `whole` counts so many times.
    """

    parts: tuple[str, ...]
    whole: tuple[str, ...]
    is_equal: bool = False
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Secrets:
    """Numbers of the cells that bound each other, and what may not be told too closely of them.

    The numbers stand one after the other, each with a place per cell; behind them what a relation leaves over, which nobody shows.

    Attributes:
        sums: the equations.
        values: the truth.
        cells: how many cells there are.
        numbers: how many numbers.
        known: (cells,) shown in another table: can't be hidden.
        asked: places of the numbers of small cells.
        needed: how wide each one's range must be.
        seen: the ranges as far as known; hiding more only widens them.
    """

    sums: Sums
    values: np.ndarray
    cells: int
    numbers: int
    known: np.ndarray
    asked: np.ndarray
    needed: np.ndarray
    seen: Ranges

    def protect(self, hidden: np.ndarray) -> Iterator[int]:
        """Cells to hide next, because a number can be told too closely; none when all hold."""
        unseen = self._spread(hidden, rest=True)
        widths = measure_widths(self.sums, self.values, unseen, self.asked, self.needed, self.seen)
        closed = unseen | self._spread(self.known, rest=True)
        exposed = widths < self.needed - _SLACK
        for place, needed in zip(self.asked[exposed].tolist(), self.needed[exposed].tolist(), strict=True):
            for chosen in _choose_protector(self.sums, self.values, closed, unseen, place, needed):
                yield chosen % self.cells

    def _spread(self, marked: np.ndarray, *, rest: bool) -> np.ndarray:
        spread = np.full(self.values.size, rest)
        spread[: self.cells * self.numbers] = np.tile(marked, self.numbers)
        return spread


def list_secrets(
    sized: pl.DataFrame,
    members: pl.DataFrame,
    ties: pl.DataFrame,
    additive: Sequence[Additive],
    relations: Sequence[Relation],
) -> Iterator[Secrets]:
    """What may not be told by all numbers together; and by adding up alone, where that must leave more open."""
    yield _state_secrets(sized, members, ties, additive, relations)
    if alone := [replace(number, width="") for number in additive if number.width]:
        yield _state_secrets(sized, members, ties.clear(), alone, ())


@dataclass(slots=True)
class _Sheet:
    """Numbers one after the other, each with its place, and what holds between places.

    Attributes:
        values: the truth, piece by piece.
        stated: equations, rows of `equation` (its name), `_cell` (a place), `is_total`, `times`.
    """

    values: list[np.ndarray]
    stated: list[pl.DataFrame] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The first place that is free."""
        return sum(map(len, self.values))

    def state(self, equations: pl.DataFrame) -> None:
        """Take in equations; without `times` everything counts once."""
        if "times" not in equations.columns:
            equations = equations.with_columns(times=pl.lit(1.0))
        self.stated.append(equations.select("equation", _c("_cell").cast(pl.Int64), "is_total", "times"))


def _state_secrets(
    sized: pl.DataFrame,
    members: pl.DataFrame,
    ties: pl.DataFrame,
    additive: Sequence[Additive],
    relations: Sequence[Relation],
) -> Secrets:
    size = len(sized)
    first = {number.name: place * size for place, number in enumerate(additive)}
    sheet = _Sheet([sized[number.name].fill_null(0).cast(pl.Float64).to_numpy() for number in additive])
    for number in additive:
        inside = members.filter(_c("family").is_in(number.families)) if number.families else members
        named = inside.with_columns(pl.format("{}\t{}", pl.lit(number.name), "equation").alias("equation"))
        if number.is_distinct:
            _state_people(sheet, named, first[number.name], size)
        else:
            sheet.state(named.with_columns(_c("_cell").cast(pl.Int64) + first[number.name]))
    of_number = _c("number").replace_strict(first, return_dtype=pl.Int64)
    sheet.state(ties.with_columns(_c("_cell").cast(pl.Int64) + of_number))
    for place, relation in enumerate(relations):
        _state_relation(sheet, f"relation {place}", relation, first, size)
    asked = [_ask(sized, number, sheet.values[first[number.name] // size]) for number in additive]
    truth = np.concatenate(sheet.values)
    return Secrets(
        sums=state_sums(pl.concat(sheet.stated), truth.size),
        values=truth,
        cells=size,
        numbers=len(additive),
        known=sized["_known"].to_numpy(),
        asked=np.concatenate([cells + at for (cells, _), at in zip(asked, first.values(), strict=True)]),
        needed=np.concatenate([needed for _, needed in asked]),
        seen=Ranges.start(truth),
    )


def _state_people(sheet: _Sheet, members: pl.DataFrame, start: int, size: int) -> None:
    """People may stand in several parts: each part is no more than the total, all together are no less.

    What is left over in each such sentence is a further number of the sheet. The people of a cell stand `start` places behind it.
    """
    people = sheet.values[start // size]
    held = members.select(
        "equation",
        "is_total",
        _cell=_c("_cell").cast(pl.Int64) + start,
        people=pl.Series(people[members["_cell"].to_numpy()]),
    )
    signed = pl.when("is_total").then(-_c("people")).otherwise("people")
    over = held.group_by("equation", maintain_order=True).agg(left=signed.sum())
    totals = held.filter("is_total").select("equation", total="_cell", of_total="people")
    under = held.filter(~_c("is_total")).join(totals, on="equation", maintain_order="left")
    named = pl.format("{}\t{}", "equation", "_cell").alias("equation")
    rest = pl.int_range(pl.len(), dtype=pl.Int64) + sheet.end
    sheet.state(held)
    sheet.state(over.select("equation", _cell=rest, is_total=pl.lit(value=True)))
    sheet.state(under.select(named, "_cell", is_total=pl.lit(value=False)))
    sheet.state(under.select(named, _cell="total", is_total=pl.lit(value=True)))
    sheet.state(under.select(named, _cell=rest + len(over), is_total=pl.lit(value=False)))
    left = np.concatenate([over["left"].to_numpy(), (under["of_total"] - under["people"]).to_numpy()])
    sheet.values.append(np.maximum(left, 0.0))


def _state_relation(sheet: _Sheet, name: str, relation: Relation, first: dict[str, int], size: int) -> None:
    """The same equation in every cell; where the parts come to no more, what is left over is a further number."""
    terms = [(first[part], 1.0, False) for part in relation.parts]
    terms += [(first[whole], relation.times, True) for whole in relation.whole]
    if not relation.is_equal:
        signed = [sheet.values[at // size] * (times if is_total else -times) for at, times, is_total in terms]
        terms.append((sheet.end, 1.0, False))
        sheet.values.append(np.maximum(sum(signed), 0.0))
    for at, times, is_total in terms:
        cell = pl.int_range(size, dtype=pl.Int64)
        sheet.state(
            pl.select(
                equation=pl.format("{}\t{}", pl.lit(name), cell),
                _cell=cell + at,
                is_total=pl.lit(is_total),
                times=pl.lit(times, pl.Float64),
            )
        )


def _ask(sized: pl.DataFrame, number: Additive, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cells whose number is protected, and how far apart the limits of each must stay."""
    if number.is_distinct:
        return np.empty(0, dtype=np.int64), np.empty(0)
    marked = sized[number.of].fill_null(value=False) if number.of else sized["_small"]
    cells = np.flatnonzero(marked.to_numpy())
    mine = cells if number.is_size else cells[values[cells] > 0]
    width = width_to_keep(values[mine], is_size=number.is_size, least=number.least)
    if number.width:
        said = sized[number.width].cast(pl.Float64).to_numpy()[mine]
        width = np.where(np.isnan(said), width, said)
    return mine, width


def width_to_keep(values: np.ndarray, *, is_size: bool, least: int = MIN_ACCOUNTS) -> np.ndarray:
    """How far apart the limits of a small cell's number must stay."""
    return np.maximum(least, PROTECTED_SHARE * values) if is_size else np.ones_like(values)


def state_sums(members: pl.DataFrame, numbers: int) -> Sums:
    """The equations as a matrix; `members` has `equation`, `_cell` (the place of a number), `is_total`, `times`."""
    names = members["equation"].unique().sort()
    codes = members["equation"].cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()
    return Sums.of(
        codes,
        members["_cell"].cast(pl.Int64).to_numpy(),
        members["is_total"].to_numpy(),
        equations=len(names),
        numbers=numbers,
        times=members["times"].to_numpy(),
    )


def _choose_protector(
    sums: Sums, values: np.ndarray, closed: np.ndarray, hidden: np.ndarray, place: int, needed: float
) -> list[int]:
    """The number to hide for one that is exposed: in an equation with it, large enough, as small as can be; totals last.

    `closed` ones can't be chosen: hidden already, or known anyway. A number that is 0 protects too, but is the last resort. None is
    left only where everything that bears on the exposed number is hidden, or told by another table.
    """
    matrix, columns = sums.matrix, sums.matrix.T.tocsr()
    spare: list[int] = []
    reached, seen = {place}, np.zeros(len(values), dtype=bool)
    while reached:
        seen[list(reached)] = True
        rows = np.unique(np.concatenate([columns[i].indices for i in reached] or [np.empty(0, int)]))
        near = matrix[rows]
        parts = set(near.indices[near.data > 0].tolist())
        ranked = sorted(
            np.unique(near.indices[~closed[near.indices]]).tolist(),
            key=lambda i: (i not in parts, values[i] < needed, abs(values[i] - needed), i),
        )
        if ranked and values[ranked[0]] > 0:
            return ranked[:1]
        spare += ranked
        # nothing left beside it: look beside the hidden cells it hangs together with
        reached = set(near.indices[hidden[near.indices]].tolist()) - set(np.flatnonzero(seen).tolist())
    return sorted(spare, key=lambda i: (-values[i], i))[:1]
