"""What the firm is: the settings that definitions depend on. Read once from the configuration, never from a file here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal


@dataclass(frozen=True, slots=True)
class Churn:
    """How a customer is lost: a contract that ends, or `days` without any activity."""

    kind: Literal["contract", "inactivity"] = "contract"
    days: int = 0

    def __post_init__(self) -> None:
        if self.kind == "inactivity" and self.days < 1:
            raise ValueError("churn by inactivity needs a number of days of at least 1")


@dataclass(frozen=True, slots=True)
class Company:
    """Settings of one run. All dates are inclusive local calendar dates.

    `sources` are the source tables the configuration maps, `columns` their mapped columns, `complete_until` the
    configured days up to which a source is complete.
    """

    reporting_currency: str
    timezone: str
    as_of: date
    fiscal_start_month: int = 1
    churn: Churn = field(default_factory=Churn)
    cooling_off_days: int = 14
    sources: frozenset[str] = frozenset()
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    complete_until: Mapping[str, date] = field(default_factory=dict)

    def has(self, table: str, column: str = "") -> bool:
        """Whether a source table (and a column of it) is mapped at all."""
        return table in self.sources and (not column or column in self.columns.get(table, frozenset()))
