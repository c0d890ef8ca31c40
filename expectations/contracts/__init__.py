"""One module per subject; each lists its tables in `TABLES`. The registry of all of them by bare name is here."""

from __future__ import annotations

from expectations.contracts import (
    board,
    commission,
    conduct,
    crm,
    deals,
    effects,
    evidence,
    incentives,
    listening,
    outcomes,
    pay,
    quality,
    reference,
    retention,
    rhythm,
    voice,
)
from expectations.model import Table

_SOURCE_MODULES = (crm, commission, retention, voice, reference)
_DERIVED_MODULES = (
    deals,
    incentives,
    pay,
    outcomes,
    evidence,
    conduct,
    rhythm,
    effects,
    listening,
    board,
    quality,
)

SOURCES: dict[str, Table] = {t.name: t for module in _SOURCE_MODULES for t in module.TABLES}
"""The tables a firm may map onto, by name."""

TABLES: dict[str, Table] = SOURCES | {t.name: t for module in _DERIVED_MODULES for t in module.TABLES}
"""Every table by its bare name, which is unique across layers."""
