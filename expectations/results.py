"""What a check says: one result per sentence that must hold, in three groups per table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from expectations.model import Severity


class Group(StrEnum):
    """The checks an orchestrator shows per table."""

    CONTRACT = "contract"
    KEYS = "keys"
    STATISTICS = "statistics"


@dataclass(frozen=True, slots=True)
class Result:
    """Whether one sentence held. `evaluated` and `failed` count rows; `detail` never holds a value out of the data."""

    group: Group
    check: str
    severity: Severity
    passed: bool
    evaluated: int
    failed: int
    detail: str = ""

    @property
    def blocks(self) -> bool:
        """Whether this result keeps the table from being committed."""
        return not self.passed and self.severity is not Severity.WARN

    def to_json(self) -> dict[str, Any]:
        """As remembered in a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Result:
        """As read back from a manifest; keys that a manifest adds (run, time) are left aside."""
        known = {name: stored[name] for name in cls.__slots__}
        return cls(**{**known, "group": Group(known["group"]), "severity": Severity(known["severity"])})
