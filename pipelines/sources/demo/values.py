"""Plain arrays into typed columns: ids, money, moments, days, words. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from pipelines.sources.demo.draws import Draws, Flags, Ints

SECOND = 1_000_000
DAY = 86_400 * SECOND
Letters = npt.NDArray[np.uint8]
_EPOCH = date(1970, 1, 1)
_FOUR_DIGITS = np.frombuffer("".join(f"{n:04d}" for n in range(10_000)).encode(), dtype=np.uint32)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def quarter_start(quarter: int) -> int:
    """Day number of the first day of a quarter counted from 2000-Q1 = 0."""
    return day_number(date(2000 + quarter // 4, 1 + 3 * (quarter % 4), 1))


def quarter_starts(quarter: Ints) -> Ints:
    """The same for many quarters."""
    months = np.datetime64("2000-01", "M") + 3 * quarter
    return np.asarray(months.astype("datetime64[D]").astype(np.int64))


def quarter_of(day: int) -> int:
    """Quarter that holds a day number, counted from 2000-Q1 = 0."""
    return int(quarters_of(np.array([day]))[0])


def quarters_of(day: Ints) -> Ints:
    """The same for many days."""
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return np.asarray((month - 360) // 3)


def at_work(draws: Draws, purpose: str, key: Ints, day: Ints) -> Ints:
    """Microseconds of a moment from 14:00 to 21:00 UTC on the given days.

    At that time it is the same date in every zone the company works in, so no local date is a matter of opinion.
    """
    seconds = 14 * 3600 + draws.below(purpose, key, 7 * 3600)
    return np.asarray(day * DAY + seconds * SECOND)


def series(values: Ints, dtype: pl.DataType, where: Flags | None = None) -> pl.Series:
    """Whole numbers as a typed series; null where `where` is false."""
    column = pl.Series(values=values, dtype=pl.Int64).cast(dtype)
    return column if where is None else column.set(pl.Series(~where), None)


def moments(values: Ints, where: Flags | None = None) -> pl.Series:
    """Microseconds as UTC timestamps."""
    return series(values, pl.Datetime("us"), where).dt.replace_time_zone("UTC")


def days(values: Ints, where: Flags | None = None) -> pl.Series:
    """Day numbers as dates."""
    return series(values.astype(np.int32), pl.Date(), where)


def ids(letter: str | Letters, values: Ints, width: int, where: Flags | None = None) -> pl.Series:
    """A letter (one for all or one per row) and a number with leading zeros, `width` digits.

    The digits are looked up four at a time: a large company has a hundred million of them.
    """
    groups = -(-width // 4)
    digits = np.empty((values.size, groups), dtype=np.uint32)
    rest = values
    for group in range(groups - 1, -1, -1):
        higher = rest // 10_000
        digits[:, group] = _FOUR_DIGITS[rest - higher * 10_000]
        rest = higher
    text = np.empty((values.size, width + 1), dtype=np.uint8)
    text[:, 0] = ord(letter) if isinstance(letter, str) else letter
    text[:, 1:] = digits.view(np.uint8).reshape(values.size, groups * 4)[:, groups * 4 - width :]
    ends = np.arange(values.size + 1, dtype=np.int64) * (width + 1)
    array = pa.LargeStringArray.from_buffers(values.size, pa.py_buffer(ends), pa.py_buffer(text))
    column = pl.Series(pl.from_arrow(array), dtype=pl.String)
    return column if where is None else column.set(pl.Series(~where), None)


def distinct(values: Ints) -> Ints:
    """Distinct values, ascending. numpy's own hashing is ten times slower on millions of numbers."""
    ordered = np.sort(values)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if ordered.size else ordered


def fixed_point(values: Ints, precision: int, scale: int, where: Flags | None = None) -> pl.Series:
    """Scaled whole numbers as exact decimals: no division, no float."""
    limbs = np.empty((values.size, 2), dtype=np.int64)
    limbs[:, 0] = values
    limbs[:, 1] = values >> 63  # sign extension to 128 bits
    array = pa.Array.from_buffers(pa.decimal128(precision, scale), values.size, [None, pa.py_buffer(limbs)])
    column = pl.Series(pl.from_arrow(array))
    return column if where is None else pl.select(pl.when(pl.lit(pl.Series(where))).then(column)).to_series()


def money(cents: Ints, where: Flags | None = None) -> pl.Series:
    """Cents as Decimal(18,2)."""
    return fixed_point(cents, 18, 2, where)


def shares(basis_points: Ints, where: Flags | None = None) -> pl.Series:
    """Hundredths of a percent as Decimal(18,8)."""
    return fixed_point(basis_points * 10_000, 18, 8, where)


def words(index: Ints, choices: Sequence[str], where: Flags | None = None) -> pl.Series:
    """Words by their position in `choices`."""
    column = pl.Series(values=list(choices), dtype=pl.String).gather(pl.Series(values=index))
    return column if where is None else column.set(pl.Series(~where), None)


def flags(values: Flags, where: Flags | None = None) -> pl.Series:
    """Booleans."""
    column = pl.Series(values=values, dtype=pl.Boolean)
    return column if where is None else column.set(pl.Series(~where), None)


def always(word: str | None, count: int) -> pl.Series:
    """One word, or null, in every row."""
    return pl.Series([word], dtype=pl.String).new_from_index(0, count)
