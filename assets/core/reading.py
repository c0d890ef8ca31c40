"""What reading one landed column gives: a typed value, a reason where it may not stand, and what was coerced.

Everything is a polars expression over the column itself, so a table is read in one vectorised pass. Only the vocabulary
of reading is here; how each kind of value is read stands in `words`, `amounts` and `moments`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from assets.landing import Reading

WARNING_PREFIX = "warning "
"""Marks, among the notes of a column, what is kept but worth a warning; every other note is a coercion."""


@dataclass(frozen=True)
class Parsed:
    """One column, read.

    `value` has the contract's dtype. `reason` is text, null where the value (or its absence) may stand. `notes` maps
    the name of a coercion (or, with WARNING_PREFIX, of a warning) to a boolean expression per row.
    """

    value: pl.Expr
    reason: pl.Expr
    notes: Mapping[str, pl.Expr] = field(default_factory=dict)


def first_reason(faults: Sequence[tuple[pl.Expr, str]]) -> pl.Expr:
    """The name of the first fault that is true in a row; null where none is (a null condition counts as false)."""
    reason = pl.lit(None, dtype=pl.String())
    for condition, name in reversed(faults):
        reason = pl.when(condition.fill_null(value=False)).then(pl.lit(name)).otherwise(reason)
    return reason


def cleaned(raw: pl.Expr, reading: Reading) -> pl.Expr:
    """Text without the blanks around it; null where it is blank or one of the declared null tokens."""
    text = raw.str.strip_chars()
    return pl.when(text.is_in(list({"", *reading.null_tokens})).not_()).then(text)


def trimmed(raw: pl.Expr, reading: Reading) -> pl.Expr:
    """Whether blanks around a value had to be taken away."""
    return (cleaned(raw, reading) != raw).fill_null(value=False)
