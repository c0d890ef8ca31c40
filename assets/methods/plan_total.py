"""What a plan of several components pays in all, exactly: T = clamp(G M A, floor, cap).

A is the sum of what additive components have earned (the target incentive where a plan has none), M the product of the
shares of multiplicative ones, G one if every gate is open and else nothing. Every part is a quotient of whole numbers
(pay for a share of a quota has no end in decimals), so the arithmetic is numpy's on whole numbers of any size: no
product overflows and nothing is rounded before the end. What the parts are worth does not belong here (see `commission`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from assets.methods.exact import CENT, UNIT

ADDITIVE, MULTIPLICATIVE, GATE, ABSENT = 0, 1, 2, 3
"""How a part enters the total; absent parts are padding."""

PAY_UNIT: Final = 10**18
"""Units of one unit of money in which additive parts are stated."""

Wholes = npt.NDArray[np.object_]
"""Python's whole numbers."""
Floats = npt.NDArray[np.float64]
_MISSING: Final[Any] = None


@dataclass(frozen=True, slots=True)
class Quotient:
    """n exact numbers: `top` / `bottom`, `bottom` > 0, (n,) each."""

    top: Wholes
    bottom: Wholes

    def __sub__(self, other: Quotient) -> Quotient:
        return Quotient(
            self.top * other.bottom - other.top * self.bottom,
            self.bottom * other.bottom,
        )

    def __mul__(self, other: Quotient) -> Quotient:
        return Quotient(self.top * other.top, self.bottom * other.bottom)

    def over(self, divisor: Wholes | int) -> Quotient:
        """Divided by positive whole numbers."""
        return Quotient(self.top, self.bottom * divisor)

    def floats(self) -> Floats:
        """The nearest floats."""
        nearest: Floats = (self.top / self.bottom).astype(np.float64)
        return nearest

    def round(self, units: int = 1) -> Wholes:
        """Whole `1/units`, ties away from zero."""
        size = (2 * np.abs(self.top) * units + self.bottom) // (2 * self.bottom)
        rounded: Wholes = np.where(self.top < 0, -size, size)
        return rounded


@dataclass(frozen=True, slots=True)
class PlanParts:
    """J parts of n plans at one moment.

    Attributes:
        kind: (n, J) one of ADDITIVE, MULTIPLICATIVE, GATE, ABSENT.
        top: (n, J) numerator of the part: additive in 1e-18 of money, multiplicative as a share of 1, gates positive once open.
        bottom: (n, J) denominator, positive.
        target: (n,) target incentive in cents, the sum of a plan without additive parts.
        floor: (n,) cents, None where there is none.
        cap: (n,) cents, None where there is none.
    """

    kind: npt.NDArray[np.int8]
    top: Wholes
    bottom: Wholes
    target: Wholes
    floor: Wholes
    cap: Wholes

    def __len__(self) -> int:
        return len(self.kind)

    def part(self, j: npt.NDArray[np.int64]) -> Quotient:
        """The part in slot j of each plan."""
        rows = np.arange(len(self))
        return Quotient(self.top[rows, j], self.bottom[rows, j])


def total_pay(parts: PlanParts) -> Quotient:
    """T in 1e-18 of money."""
    return bound_pay(multiply_factors(parts) * add_sums(parts), parts)


def bound_pay(pay: Quotient, parts: PlanParts) -> Quotient:
    """Pay in 1e-18 of money under the plans' floor and cap; the cap is applied last."""
    top, bottom = pay.top, pay.bottom
    for bound, is_lower in ((parts.floor, True), (parts.cap, False)):
        has_bound = np.not_equal(bound, _MISSING)
        limit = np.where(has_bound, bound, 0) * CENT
        is_beyond = (top < limit * bottom) if is_lower else (top > limit * bottom)
        binds = has_bound & is_beyond.astype(bool)
        top, bottom = np.where(binds, limit, top), np.where(binds, 1, bottom)
    return Quotient(top, bottom)


def add_sums(parts: PlanParts, without: npt.NDArray[np.int64] | None = None) -> Quotient:
    """A, in 1e-18 of money; `without` leaves out one slot of each plan."""
    count = len(parts)
    top, bottom = _fill(0, count), _fill(1, count)
    has_sum = np.zeros(count, dtype=bool)
    for j in range(parts.kind.shape[1]):
        has_sum |= parts.kind[:, j] == ADDITIVE
        counts = _counts(parts, j, ADDITIVE, without)
        part_top = np.where(counts, parts.top[:, j], 0)
        part_bottom = np.where(counts, parts.bottom[:, j], 1)
        top, bottom = top * part_bottom + part_top * bottom, bottom * part_bottom
    return Quotient(np.where(has_sum, top, parts.target * CENT), np.where(has_sum, bottom, 1))


def multiply_factors(parts: PlanParts, without: npt.NDArray[np.int64] | None = None) -> Quotient:
    """G times M; `without` leaves out one slot of each plan."""
    count = len(parts)
    top, bottom = _fill(1, count), _fill(1, count)
    for j in range(parts.kind.shape[1]):
        is_factor = _counts(parts, j, MULTIPLICATIVE, without)
        is_shut = _counts(parts, j, GATE, without) & (parts.top[:, j] <= 0).astype(bool)
        top = np.where(is_shut, 0, top * np.where(is_factor, parts.top[:, j], 1))
        bottom = bottom * np.where(is_factor, parts.bottom[:, j], 1)
    return Quotient(top, bottom)


def share_as_quotient(by_rate: Wholes, quota_cents: Wholes) -> Quotient:
    """f(attainment) of tiers whose rates are slopes of f: C / Q, C in 1e-18 and Q in cents."""
    return Quotient(by_rate, quota_cents * CENT)


def pay_as_quotient(by_rate: Wholes, by_lump: Wholes, target_units: Wholes, quota_cents: Wholes) -> Quotient:
    """Pay of an additive component in 1e-18 of money.

    Args:
        by_rate: (n,) C without lumps, in 1e-18.
        by_lump: (n,) lumps in 1e-18 of money.
        target_units: (n,) target incentive x weight in 1e-10 of money; None where rates are money per credit.
        quota_cents: (n,) Q in cents, positive where there is a target.
    """
    is_target = np.not_equal(target_units, _MISSING)
    bottom = np.where(is_target, quota_cents * UNIT, 1)
    scale = np.where(is_target, target_units, 1)
    return Quotient(by_rate * scale + by_lump * bottom, bottom)


def wholes(values: list[Any], fill: int | None = None) -> Wholes:
    """Python's whole numbers as an array; None becomes `fill`."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array if fill is None else np.where(np.equal(array, _MISSING), fill, array)


def _fill(value: int, count: int) -> Wholes:
    return np.full(count, value, dtype=object)


def _counts(
    parts: PlanParts, j: int, kind: int, without: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.bool_]:
    counts: npt.NDArray[np.bool_] = parts.kind[:, j] == kind
    return counts if without is None else counts & (without != j)
