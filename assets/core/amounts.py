"""How numbers are read: money, rates, counts, estimates. Nothing is rounded in silence; NaN never enters."""

from __future__ import annotations

import re
from decimal import Decimal

import polars as pl

from assets.core.reading import Parsed, Steps, cleaned, trimmed
from assets.landing import Reading
from expectations.model import Column, Kind

MOST_MONEY = Decimal(10) ** 12
"""Largest amount believed, either sign: far below where sums of Decimal(18,2) could wrap."""

_DECIMALS: dict[Kind, int] = {Kind.MONEY: 2, Kind.RATE: 8, Kind.COUNT: 0}
_LIMIT: dict[Kind, Decimal] = {
    Kind.MONEY: MOST_MONEY,
    Kind.RATE: Decimal(10) ** 10 - 1,
    Kind.COUNT: Decimal(10) ** 18,
}
_WIDE = 38  # digits that a Decimal of polars holds
_ULPS = 2 * 2.0**-52  # noise of a float sum or two, relative


def _number_pattern(reading: Reading) -> str:
    """The one way a number may be written under this reading; group `int` and `frac` are found by position."""
    digits = "[0-9]+"
    if reading.thousands:
        digits = rf"(?:[0-9]{{1,3}}(?:{re.escape(reading.thousands)}[0-9]{{3}})+|[0-9]+)"
    number = rf"(?:{digits}(?:{re.escape(reading.decimal)}[0-9]+)?|{re.escape(reading.decimal)}[0-9]+)"
    mark = f"[{re.escape(reading.currency_symbols)}]* ?" if reading.currency_symbols else ""
    after = f" ?[{re.escape(reading.currency_symbols)}]*" if reading.currency_symbols else ""
    # the sign may stand before or after the currency
    plain = f"(?:[+-]?{mark}|{mark}[+-]){number}{after}" if mark else f"[+-]?{number}"
    if reading.parentheses_negative:
        plain = rf"(?:{plain}|\({mark}{number}{after}\))"
    return f"^{plain}$"


def _canonical(text: pl.Expr, reading: Reading) -> pl.Expr:
    """Text that matches the pattern, as digits with a decimal point and a leading minus."""
    plain = text
    if reading.currency_symbols or reading.parentheses_negative or reading.thousands:
        keep = re.escape(reading.decimal)
        bare = text.str.replace_all(f"[^0-9{keep}]", "")
        negative = text.str.contains(r"^\(|-")
        plain = pl.when(negative).then(pl.lit("-") + bare).otherwise(bare)
    return plain.str.replace(reading.decimal, ".", literal=True) if reading.decimal != "." else plain


def read_number(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """Money (2 decimals), rate (8) or count (0), in exactly the declared format, digit by digit and never through a float.

    Zeros beyond the allowed decimals lose nothing and are dropped and counted (databases export NUMERIC(19,4)).
    """
    places = _DECIMALS[column.kind]
    steps = Steps(column.name)
    text = steps.take(cleaned(raw, reading))
    looks_right = steps.take(text.str.contains(_number_pattern(reading)))
    plain = steps.take(_canonical(pl.when(looks_right).then(text), reading))
    lossy = steps.take(plain.str.contains(rf"\.[0-9]{{{places}}}[0-9]*[1-9]"))
    number = plain.str.strip_prefix("+").cast(pl.Decimal(_WIDE, places), strict=False)
    number = steps.take(pl.when(lossy.not_()).then(number))
    value = steps.take(_within(number, column.kind))
    faults = [
        (looks_right.not_(), "not_a_number"),
        (lossy, "too_many_decimals"),
        (text.is_not_null() & value.is_null(), "out_of_range"),
    ]
    wide = plain.str.contains(rf"\.[0-9]{{{places + 1},}}$")
    return steps.done(value, faults, {"trimmed": trimmed(text, raw), "trailing_zeros": wide & lossy.not_()})


def read_estimate(column: Column, raw: pl.Expr, reading: Reading) -> Parsed:
    """A finite float from text in the declared format."""
    steps = Steps(column.name)
    text = steps.take(cleaned(raw, reading))
    looks_right = steps.take(text.str.contains(_number_pattern(reading)))
    value = _canonical(pl.when(looks_right).then(text), reading).cast(pl.Float64(), strict=False)
    return steps.done(value, [(looks_right.not_(), "not_a_number")], {})


def number_from_exact(column: Column, raw: pl.Expr) -> Parsed:
    """A number that the file holds as an integer or a decimal of any scale."""
    steps = Steps(column.name)
    places = _DECIMALS.get(column.kind)
    if places is None:
        return steps.done(raw.cast(pl.Float64()), [], {})
    number = steps.take(raw.cast(pl.Decimal(_WIDE, places), strict=False))
    exact = steps.take(raw == number)
    value = steps.take(_within(pl.when(exact).then(number), column.kind))
    faults = [
        (exact.not_(), "too_many_decimals"),
        (raw.is_not_null() & value.is_null(), "out_of_range"),
    ]
    return steps.done(value, faults, {})


def number_from_float(column: Column, raw: pl.Expr, dtype: pl.DataType) -> Parsed:
    """A number that the file holds as a float: it must be the float nearest to a number with the allowed decimals.

    A float stands for a decimal when dividing its rounded integral cents gives it back (division is correctly rounded), or
    when it is that close to integral cents that only a sum of floats lies between.
    """
    steps = Steps(column.name)
    finite = raw.is_finite()
    number = steps.take(pl.when(finite).then(raw).cast(pl.Float64()))
    if column.kind is Kind.ESTIMATE:
        return steps.done(number, [(finite.not_(), "not_a_number")], {})
    places = _DECIMALS[column.kind]
    scale = 10.0**places
    fits = number.abs() <= float(_LIMIT[column.kind])
    scaled = steps.take(pl.when(fits).then(number) * scale)
    cents = steps.take(scaled.round())
    exact = steps.take(
        ((cents / scale).cast(dtype) == raw) | ((scaled - cents).abs() <= 1e-9 + _ULPS * scaled.abs())
    )
    whole = pl.when(exact & (cents.abs() < 2.0**63)).then(cents).cast(pl.Int64(), strict=False)
    unit = pl.lit(Decimal(1).scaleb(-places))
    value = steps.take((whole.cast(pl.Decimal(_WIDE, 0)) * unit).cast(column.dtype, strict=False))
    faults = [
        (finite.not_(), "not_a_number"),
        (fits.not_(), "out_of_range"),
        (exact.not_(), "too_many_decimals"),
        (raw.is_not_null() & value.is_null(), "out_of_range"),
    ]
    return steps.done(value, faults, {})


def _within(number: pl.Expr, kind: Kind) -> pl.Expr:
    """The number in the kind's own dtype; null outside the kind's limit."""
    limit = _LIMIT[kind]
    dtype = pl.Int64() if kind is Kind.COUNT else pl.Decimal(18, _DECIMALS[kind])
    return pl.when(number.is_between(pl.lit(-limit), pl.lit(limit))).then(number).cast(dtype, strict=False)
