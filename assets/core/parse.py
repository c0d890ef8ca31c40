"""Read one landed column by its contract: text or typed, the same rules, as pure expressions.

`parse` chooses the reader by kind and dtype, then adds what every kind shares: bounds, and nulls where none may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from assets.core import amounts, moments, words
from assets.core.reading import Parsed, Steps, with_reason
from assets.landing import Reading
from expectations.model import Column, Kind, Presence

_NUMBERS = (Kind.MONEY, Kind.RATE, Kind.COUNT, Kind.ESTIMATE)
_WORDS = {
    Kind.ID: words.read_id,
    Kind.TEXT: words.read_text,
    Kind.CATEGORY: words.read_category,
    Kind.FLAG: words.read_flag,
    Kind.LIST: words.read_list,
    Kind.DOCUMENT: words.read_document,
    Kind.MONEY: amounts.read_number,
    Kind.RATE: amounts.read_number,
    Kind.COUNT: amounts.read_number,
    Kind.ESTIMATE: amounts.read_estimate,
}


def parse(column: Column, dtype: pl.DataType, reading: Reading, zone: str) -> Parsed:
    """Read the landed column of the same name.

    Args:
        column: the contract's column.
        dtype: dtype of the landed column; text, or what a typed file brought.
        reading: how this source writes numbers, times and nulls.
        zone: the company's IANA zone, for days where an instant is wanted and the other way round.

    Returns:
        value (dtype of the contract), reason (null where it may stand) and notes.
    """
    parsed = _by_dtype(column, dtype, reading, zone)
    faults = []
    if column.minimum is not None or column.maximum is not None:
        faults.append((_outside(column, parsed.value), "out_of_range"))
    if column.presence is Presence.REQUIRED:
        faults.append((parsed.value.is_null(), "missing"))
    return with_reason(parsed, faults)


def _by_dtype(column: Column, dtype: pl.DataType, reading: Reading, zone: str) -> Parsed:
    raw = pl.col(column.name)
    if isinstance(dtype, pl.Null):
        return _unread(column)
    if not isinstance(dtype, pl.String):
        native = _native(column, raw, dtype, reading, zone)
        if native is not None:
            return native
        if dtype.is_nested() or isinstance(dtype, (pl.Binary, pl.Object)):
            return _unread(column, [(raw.is_not_null(), "unreadable_type")])
        raw = raw.cast(pl.String())
    if column.kind is Kind.DATE:
        return moments.read_day(column, raw, reading, zone)
    if column.kind is Kind.TIMESTAMP:
        return moments.read_instant(column, raw, reading, zone)
    return _WORDS[column.kind](column, raw, reading)


def _unread(column: Column, faults: Sequence[tuple[pl.Expr, str]] = ()) -> Parsed:
    return Steps(column.name).done(pl.lit(None, dtype=column.dtype), faults, {})


def _native(column: Column, raw: pl.Expr, dtype: pl.DataType, reading: Reading, zone: str) -> Parsed | None:
    """The fast path of typed files; None where the value is better read as text."""
    if column.kind in _NUMBERS:
        if dtype.is_integer() or isinstance(dtype, pl.Decimal):
            return amounts.number_from_exact(column, raw)
        return amounts.number_from_float(column, raw, dtype) if dtype.is_float() else None
    if column.kind in (Kind.DATE, Kind.TIMESTAMP):
        return _native_moment(column, raw, dtype, reading, zone)
    return _native_word(column, raw, dtype)


def _native_moment(
    column: Column, raw: pl.Expr, dtype: pl.DataType, reading: Reading, zone: str
) -> Parsed | None:
    is_day = column.kind is Kind.DATE
    if isinstance(dtype, pl.Date):
        return moments.day_from_date(column, raw) if is_day else moments.instant_from_date(column, raw, zone)
    if isinstance(dtype, pl.Datetime):
        if is_day:
            return moments.day_from_instant(column, raw, dtype, zone)
        return moments.instant_from_instant(column, raw, dtype, reading)
    return None


def _native_word(column: Column, raw: pl.Expr, dtype: pl.DataType) -> Parsed | None:
    if column.kind is Kind.FLAG and isinstance(dtype, pl.Boolean):
        return Steps(column.name).done(raw, [], {})
    if column.kind is Kind.FLAG and dtype.is_numeric():
        return words.flag_from_number(column, raw)
    if column.kind in (Kind.ID, Kind.TEXT) and dtype.is_integer():
        return words.id_from_integer(column, raw)
    if column.kind in (Kind.ID, Kind.TEXT) and dtype.is_float():
        return words.id_from_float(column, raw)
    if column.kind is Kind.LIST and isinstance(dtype, pl.List):
        return words.list_from_list(column, raw)
    return None


def _outside(column: Column, value: pl.Expr) -> pl.Expr:
    """Whether a number breaks the contract's inclusive bounds; they are compared as decimals, never as floats."""
    outside = pl.lit(value=False)
    exact = column.kind in (Kind.MONEY, Kind.RATE)
    if column.minimum is not None:
        bound = Decimal(str(column.minimum)) if exact else column.minimum
        outside = outside | (value < pl.lit(bound))
    if column.maximum is not None:
        bound = Decimal(str(column.maximum)) if exact else column.maximum
        outside = outside | (value > pl.lit(bound))
    return outside
