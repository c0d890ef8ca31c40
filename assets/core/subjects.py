"""Every source table on its way into the core: the contract, its group rules, and how its key is made where it is absent."""

from __future__ import annotations

from pathlib import Path

from assets.company import Company
from assets.core import commission, crm, reference, retention, voice
from assets.core.groups import GroupCheck
from assets.core.pseudonyms import Pseudonyms
from assets.core.refine import Refined, refine
from assets.landing import Landed
from expectations.contracts import SOURCES

GROUP_RULES: dict[str, GroupCheck] = {
    name: check
    for subject in (crm, commission, retention, voice, reference)
    for name, check in subject.GROUP_RULES.items()
}
"""Implementations of all group rules by name."""


def refine_source(
    landed: Landed, company: Company, pseudonyms: Pseudonyms, spill: Path | None = None
) -> Refined:
    """Refine a landed source table by the contract of its name. See `refine`; raises KeyError for an unknown table."""
    contract = SOURCES[landed.table]
    made_from = retention.MADE_FROM.get(landed.table, ())
    return refine(contract, landed, company, pseudonyms, GROUP_RULES, made_from=made_from, spill=spill)
