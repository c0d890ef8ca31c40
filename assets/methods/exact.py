"""Exact money arithmetic: whole numbers of 128 bits inside, decimals and rounded floats at the border.

Money of two decimals becomes whole cents, rates and attainments of eight decimals become whole 1e-8, and pay, their
product, is a whole number of 1e-18: nothing is rounded before the end. No commission rule belongs here.
"""

from __future__ import annotations

from decimal import Decimal

import polars as pl

MONEY = pl.Decimal(18, 2)
RATE = pl.Decimal(18, 8)
PAY = pl.Decimal(38, 18)  # unrounded pay: cents times 1e-8 times 1e-8

UNIT = 10**8  # one, in units of 1e-8
CENT = 10**16  # one cent, in units of 1e-18


def whole_cents(money: pl.Expr) -> pl.Expr:
    """Money of any decimal type with up to two decimals as Int128 cents."""
    return money.cast(pl.Decimal(38, 2)).to_physical()


def whole_units(rate: pl.Expr) -> pl.Expr:
    """A rate or attainment of up to eight decimals as Int64 units of 1e-8."""
    return rate.cast(pl.Decimal(38, 8)).to_physical().cast(pl.Int64)


def divide_half_up(numerator: pl.Expr, denominator: pl.Expr | int) -> pl.Expr:
    """Quotient of whole numbers, ties away from zero, as Int128; null where the denominator is not positive.

    Args:
        numerator: Int128, at most 8e37 in size.
        denominator: Int128 or a literal.
    """
    by = denominator if isinstance(denominator, pl.Expr) else pl.lit(denominator, dtype=pl.Int128)
    rounded = (numerator.abs() * 2 + by) // (by * 2)
    return pl.when(by > 0).then(rounded * numerator.sign())


def as_pay(whole: pl.Expr) -> pl.Expr:
    """Int128 units of 1e-18 as Decimal(38, 18), unchanged in value."""
    return (whole.cast(pl.Decimal(38, 0)) * pl.lit(Decimal("1e-18"), dtype=PAY)).cast(PAY)


def whole_pay(pay: pl.Expr) -> pl.Expr:
    """The way back: Decimal(38, 18) as Int128 units of 1e-18."""
    return pay.cast(PAY).to_physical()


def as_money(cents: pl.Expr) -> pl.Expr:
    """Int128 cents as Decimal(18, 2)."""
    return (cents.cast(pl.Decimal(38, 0)) * pl.lit(Decimal("0.01"), dtype=pl.Decimal(38, 2))).cast(MONEY)


def as_units(whole: pl.Expr) -> pl.Expr:
    """Int128 units of 1e-10 of money as Decimal(38, 10), unchanged in value: a product of money and a rate."""
    return (whole.cast(pl.Decimal(38, 0)) * pl.lit(Decimal("1e-10"), dtype=pl.Decimal(38, 10))).cast(
        pl.Decimal(38, 10)
    )


def round_to_cents(whole: pl.Expr) -> pl.Expr:
    """Int128 units of 1e-18 rounded to whole cents (Int128), ties away from zero, as `ROUND_HALF_UP` does."""
    return divide_half_up(whole, CENT)


def as_estimate(units: pl.Expr) -> pl.Expr:
    """Whole units of 1e-8 as the nearest Float64."""
    # polars divides by a constant by multiplying with its inverse, which misses the nearest float; round() does not
    return (units.cast(pl.Float64) / UNIT).round(8)


def ratio_of_wholes(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """Quotient of whole numbers as Float64 rounded half up to eight decimals; the numerator stays under 8e29."""
    return as_estimate(divide_half_up(numerator * UNIT, denominator))


def pay_per_credit(pay: pl.Expr, credit: pl.Expr) -> pl.Expr:
    """Unrounded pay per unit of credit: the one division behind every EMCR.

    Args:
        pay: Decimal(38, 18), for instance a sum of `added_pay`.
        credit: money, Decimal with two decimals.

    Returns:
        Float64, money per unit of credit, rounded half up to eight decimals; null unless credit is positive.
    """
    return as_estimate(divide_half_up(whole_pay(pay), whole_cents(credit) * UNIT))
