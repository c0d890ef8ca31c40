"""`aftersale run --dry-run`: what would be recomputed, and why. Reads fingerprints and manifests, writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from assets.source_step import source_key
from assets.table import SourceAsset
from expectations.contracts import TABLES
from pipelines.exits import Exit, UsageError
from pipelines.graph import declared_assets, select_present, upstream_paths
from pipelines.sources.hints import nearest
from pipelines.terminal import console, show_rows
from pipelines.workshop import RunWorkshop


def plan(workshop: RunWorkshop) -> dict[str, str]:
    """Why each table would be made, by path; empty where it would be reused.

    A table below one that changes may still be reused, when that one comes out with the same bytes; the plan can't know.
    """
    present = select_present(declared_assets(), frozenset(workshop.configuration.sources))
    reasons: dict[str, str] = {}

    def explain(path: str) -> str:
        if path not in reasons:
            reasons[path] = _why(path)
        return reasons[path]

    def _why(path: str) -> str:
        asset = present[path]
        head = workshop.head(path)
        if head is None:
            return "never made"
        if head.code_version != workshop.code_version:
            return "the code changed"
        if isinstance(asset, SourceAsset):
            fingerprint = workshop.landing.version(asset.contract.name) or ""
            if head.key == source_key(asset.contract, workshop, fingerprint):
                return ""
            return (
                "its source changed"
                if head.inputs.get(f"landing/{asset.contract.name}") != fingerprint
                else "settings changed"
            )
        changed = [up for up in upstream_paths(asset, present) if explain(up)]
        return f"made from {', '.join(changed[:3])}{' ...' if len(changed) > 3 else ''}" if changed else ""

    for path in present:
        explain(path)
    return reasons


def explain_plan(workshop: RunWorkshop, select: Sequence[str]) -> Exit:
    """Print the plan, or the part of it that `select` names. Raises UsageError where it names no table of this company."""
    reasons = plan(workshop)
    wanted = {TABLES[word].path if word in TABLES else word for word in select}
    if unknown := sorted(wanted - set(reasons)):
        raise UsageError(f"no table is called {unknown[0]!r}: {nearest(unknown[0], reasons)}")
    chosen = {path: why for path, why in reasons.items() if not wanted or path in wanted}
    made = [(path, why) for path, why in chosen.items() if why]
    if made:
        show_rows(f"{len(made)} of {len(chosen)} tables would be made again", ("table", "because"), made)
    console().print(f"{len(chosen) - len(made)} tables would be reused. Nothing was written.")
    return Exit.PUBLISHED
