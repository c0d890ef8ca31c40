"""What reading one landed column gives: a typed value, a reason where it may not stand, and what was coerced.

Everything is a polars expression over the column itself, so a table is read in one vectorised pass. Only the vocabulary
of reading is here; how each kind of value is read stands in `words`, `amounts` and `moments`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import polars as pl

from assets.landing import Reading

WARNING_PREFIX = "warning "
"""Marks, among the notes of a column, what is kept but worth a warning; every other note is a coercion."""


@dataclass(frozen=True)
class Parsed:
    """One column, read.

    `value` has the contract's dtype. `reason` is text, null where the value (or its absence) may stand. `notes` maps
    the name of a coercion (or, with WARNING_PREFIX, of a warning) to a boolean expression per row. `steps` are columns
    that the others stand on, each on the steps before it: see `with_steps`. `time_known` says, of instants, whether the source gave
    a time of day and not only a day.
    """

    value: pl.Expr
    reason: pl.Expr
    notes: Mapping[str, pl.Expr] = field(default_factory=dict)
    steps: tuple[pl.Expr, ...] = ()
    time_known: pl.Expr | None = None


class Steps:
    """Intermediate results of reading one column, under names of their own, so that each is computed once.

    polars finds common parts of expressions, but not inside `when`: without this a timestamp is parsed fifteen times.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self._taken: list[pl.Expr] = []

    def take(self, expression: pl.Expr) -> pl.Expr:
        """Make the expression a step; returns the column that will hold it."""
        name = f"_step{len(self._taken)}:{self._column}"
        self._taken.append(expression.alias(name))
        return pl.col(name)

    def done(
        self, value: pl.Expr, faults: Sequence[tuple[pl.Expr, str]], notes: Mapping[str, pl.Expr]
    ) -> Parsed:
        """The column, read: its value as the last step, the first fault of each row as its reason."""
        return Parsed(self.take(value), first_reason(faults), notes, tuple(self._taken))


def with_steps(rows: pl.LazyFrame, parsed: Iterable[Parsed]) -> pl.LazyFrame:
    """The rows with the steps of all columns, as few passes as the longest of them needs."""
    for stage in zip_longest(*(p.steps for p in parsed)):
        rows = rows.with_columns(step for step in stage if step is not None)
    return rows


def with_reason(parsed: Parsed, faults: Sequence[tuple[pl.Expr, str]]) -> Parsed:
    """The same with further faults, for rows that have none yet."""
    return replace(parsed, reason=pl.coalesce(parsed.reason, first_reason(faults)))


def first_reason(faults: Sequence[tuple[pl.Expr, str]]) -> pl.Expr:
    """The name of the first fault that is true in a row; null where none is (a null condition counts as false)."""
    if not faults:
        return pl.lit(None, dtype=pl.String())
    return pl.coalesce(*(pl.when(condition).then(pl.lit(name)) for condition, name in faults))


def cleaned(raw: pl.Expr, reading: Reading) -> pl.Expr:
    """Text without the blanks around it; null where it is blank or one of the declared null tokens."""
    text = raw.str.strip_chars()
    return pl.when(text.is_in(list({"", *reading.null_tokens})).not_()).then(text)


def trimmed(text: pl.Expr, raw: pl.Expr) -> pl.Expr:
    """Whether blanks around a value had to be taken away: `text` is `raw`, cleaned."""
    return text.str.len_bytes() != raw.str.len_bytes()
