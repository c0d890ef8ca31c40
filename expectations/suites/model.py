"""An expectation as a fact: which one of Great Expectations, on which column, within which bounds, and why these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from expectations.model import Severity, Table

Bound = float | int | str | list[str] | None


@dataclass(frozen=True)
class Expectation:
    """One entry of a suite.

    `kind` is the class name in `great_expectations.expectations`; `arguments` its own words. `columns` are what it reads.
    `reason` says why the bounds stand where they stand. `optional`: the column may be empty because its source is
    absent; otherwise an expectation that found no value to look at has failed.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    reason: str
    arguments: Mapping[str, Bound] = field(default_factory=dict)
    severity: Severity = Severity.WARN
    optional: bool = False

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError(f"expectation {self.name}: a threshold without a reason is a guess")


def between(
    name: str,
    column: str,
    low: float | None,
    high: float | None,
    reason: str,
    *,
    severity: Severity = Severity.WARN,
    optional: bool = False,
) -> Expectation:
    """Every value of a column lies within inclusive bounds."""
    bounds: dict[str, Bound] = {"column": column, "min_value": low, "max_value": high}
    return Expectation(name, "ExpectColumnValuesToBeBetween", (column,), reason, bounds, severity, optional)


def mean_between(
    name: str,
    column: str,
    low: float,
    high: float,
    reason: str,
    *,
    severity: Severity = Severity.WARN,
    optional: bool = False,
) -> Expectation:
    """The mean of a column lies within inclusive bounds."""
    bounds: dict[str, Bound] = {"column": column, "min_value": low, "max_value": high}
    return Expectation(name, "ExpectColumnMeanToBeBetween", (column,), reason, bounds, severity, optional)


def mostly_filled(
    name: str, column: str, share: float, reason: str, *, severity: Severity = Severity.WARN
) -> Expectation:
    """At least this share of the rows has a value."""
    bounds: dict[str, Bound] = {"column": column, "mostly": share}
    return Expectation(name, "ExpectColumnValuesToNotBeNull", (column,), reason, bounds, severity)


def several_values(
    name: str, column: str, at_least: int, reason: str, *, severity: Severity = Severity.WARN
) -> Expectation:
    """A column has at least so many different values."""
    bounds: dict[str, Bound] = {"column": column, "min_value": at_least}
    return Expectation(name, "ExpectColumnUniqueValueCountToBeBetween", (column,), reason, bounds, severity)


def derived_from(contract: Table) -> tuple[Expectation, ...]:
    """What the contract itself says of words and bounds, asked a second time by an engine that shares no code with it."""
    reason = "The contract says so; a second opinion on the first check."
    derived = []
    for column in contract.stored:
        if column.values and column.closed:
            arguments: dict[str, Bound] = {"column": column.name, "value_set": list(column.values)}
            derived.append(
                Expectation(
                    f"{column.name}_is_a_declared_word", "ExpectColumnValuesToBeInSet", (column.name,), reason,
                    arguments, Severity.BLOCK, optional=True,
                )
            )  # fmt: skip
        if column.minimum is not None or column.maximum is not None:
            derived.append(
                between(
                    f"{column.name}_is_within_bounds", column.name, column.minimum, column.maximum, reason,
                    severity=Severity.BLOCK, optional=True,
                )
            )  # fmt: skip
    return tuple(derived)
