"""What people see of a table in the UI: schema, counts, a preview, identities, a chart. Numbers are made elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from assets.core.erasure import POINTERS, WHOSE
from assets.step import Step
from assets.storage import Version
from expectations.model import Column, Kind, Layer, Presence, Sensitivity, Severity, Table
from expectations.results import Group, Result

PREVIEW_ROWS = 5
INLINE_CHARACTERS = 1_000
"""Markdown of this length or more is hidden behind a click on Dagster's asset page."""

_LAST = (
    "files",
    "lineage",
    "version",
    "as_made_by_run",
)  # for whoever looks for a cause; below everything else
_SEVERITIES = {True: dg.AssetCheckSeverity.ERROR, False: dg.AssetCheckSeverity.WARN}


def asset_key(contract: Table) -> dg.AssetKey:
    """`layer/name`: the same name as contract, file and view."""
    return dg.AssetKey([contract.layer.value, contract.name])


def describe_columns(contract: Table) -> dg.TableSchema:
    """The contract's columns as Dagster shows them: unit and meaning, promises as constraints."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.dtype),
                description=f"{column.description} Unit: {column.unit}."
                if column.unit
                else column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.presence is not Presence.REQUIRED,
                    unique=contract.row_key == (column.name,),
                    other=_promises(column),
                ),
                tags={}
                if column.sensitivity is Sensitivity.PUBLIC
                else {"sensitivity": column.sensitivity.value},
            )
            for column in contract.stored
        ]
    )


def _promises(column: Column) -> list[str]:
    words = [f"one of {', '.join(column.values)}"] if column.values else []
    low = [f"at least {column.minimum:g}"] if column.minimum is not None else []
    high = [f"at most {column.maximum:g}"] if column.maximum is not None else []
    return words + low + high


def describe_lineage(contract: Table, upstream: Iterable[Table]) -> dg.TableColumnLineage:
    """Where ids come from: cheap, since a name means one thing everywhere."""
    sources = list(upstream)
    deps = {
        column.name: [
            dg.TableColumnDep(asset_key=asset_key(table), column_name=column.name)
            for table in sources
            if column.name in table.schema
        ]
        for column in contract.stored
        if column.kind is Kind.ID
    }
    return dg.TableColumnLineage(deps_by_column={name: found for name, found in deps.items() if found})


def describe_step(
    step: Step, preview: pl.DataFrame | None, charts: Mapping[str, str] | None = None
) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata of one materialisation, what people look for first. `charts` are Markdown by name."""
    version = step.version
    assert version is not None
    described: dict[str, dg.MetadataValue[Any]] = {
        "dagster/row_count": dg.MetadataValue.int(_rows(step, version)),
        "reused": dg.MetadataValue.bool(step.reused),
    }
    for name, markdown in (charts or {}).items():
        described[name] = dg.MetadataValue.md(markdown)
    if preview is not None and preview.height:
        described["preview"] = dg.MetadataValue.md(_as_markdown(preview))
    facts = {**version.facts, "version": version.key, "as_made_by_run": version.run_id}
    for name, fact in sorted(facts.items(), key=lambda item: (item[0] in _LAST, item[0])):
        described[name] = _metadata_value(fact)
    return described


def _rows(step: Step, version: Version) -> int:
    return version.rows or sum(part.rows for part in version.parts) + sum(s.part.rows for s in step.staged)


def _metadata_value(fact: object) -> dg.MetadataValue[Any]:
    if isinstance(fact, bool):
        return dg.MetadataValue.bool(fact)
    if isinstance(fact, int):
        return dg.MetadataValue.int(fact)
    if isinstance(fact, float):
        return dg.MetadataValue.float(fact)
    if isinstance(fact, Sequence) and fact and all(isinstance(row, Mapping) for row in fact):
        rows = [{str(name): str(cell) for name, cell in row.items()} for row in fact]
        return dg.MetadataValue.md(_as_markdown(pl.DataFrame(rows), len(rows)))
    if isinstance(fact, Mapping | Sequence) and not isinstance(fact, str):
        return dg.MetadataValue.json(fact)
    return dg.MetadataValue.text(str(fact))


_WHO = frozenset({*WHOSE, *POINTERS, "merged_into_id"})


def previewed(contract: Table) -> list[str]:
    """Columns of which rows may be shown, and so be kept in Dagster's database.

    At the door a firm's own words may hold anything, whatever the column is meant for: they stay in the store. So do ids
    of customers and sellers: who is erased from the tables must not live on in the database of the UI.
    """
    return [
        column.name
        for column in contract.stored
        if column.name not in _WHO
        and (
            contract.layer is not Layer.CORE
            or not (column.kind is Kind.TEXT or (column.kind is Kind.CATEGORY and not column.closed))
        )
    ]


def _as_markdown(frame: pl.DataFrame, rows: int = PREVIEW_ROWS) -> str:
    """The first rows and as many columns as are shown without a click, every cell escaped: data is not markup."""
    shown = frame.head(rows)
    cells = [[column, "---", *(_cell(value) for value in shown[column])] for column in shown.columns]
    width = max((n for n in range(1, len(cells) + 1) if _length(cells[:n]) < INLINE_CHARACTERS), default=0)
    taken = cells[: width or len(cells)]
    lines = ["| " + " | ".join(row) + " |" for row in zip(*taken, strict=True)]
    more = f"\n\n{len(cells) - len(taken)} more columns" if len(taken) < len(cells) else ""
    return "\n".join(lines) + more


def _cell(value: object) -> str:
    return "" if value is None else html.escape(str(value)).replace("|", "&#124;").replace("\n", " ")


def _length(columns: Sequence[Sequence[str]]) -> int:
    """Characters of a Markdown table of these columns, and of the line below it."""
    return sum(len(cell) + 3 for column in columns for cell in column) + 2 * len(columns[0]) + 20


def check_specs(contract: Table, groups: Iterable[Group]) -> list[dg.AssetCheckSpec]:
    """At most three checks a table; the single sentences are in their metadata and in `quality_results`."""
    texts = {
        Group.CONTRACT: "Dtypes, required values, words, bounds and row rules, on every row.",
        Group.KEYS: "No key twice.",
        Group.STATISTICS: "The Great Expectations suite of the table.",
    }
    key = asset_key(contract)
    return [
        dg.AssetCheckSpec(group.value, asset=key, description=texts[group], blocking=True) for group in groups
    ]


def check_results(
    contract: Table, groups: Iterable[Group], results: Iterable[Result]
) -> list[dg.AssetCheckResult]:
    """One Dagster result per group; a group nothing was evaluated for has failed, never passed by silence."""
    by_group: Mapping[Group, list[Result]] = {g: [r for r in results if r.group is g] for g in groups}
    shown = []
    for group, members in by_group.items():
        broken = [r for r in members if not r.passed]
        table = "\n".join(
            ["| check | severity | evaluated | failed |", "| --- | --- | --- | --- |"]
            + [f"| {r.check} | {r.severity} | {r.evaluated} | {r.failed} |" for r in (*broken, *members[:50])]
        )
        shown.append(
            dg.AssetCheckResult(
                check_name=group.value,
                asset_key=asset_key(contract),
                passed=bool(members) and not broken,
                severity=_SEVERITIES[not members or any(r.blocks for r in broken)],
                description=_summary(members, broken),
                metadata={
                    "evaluated": sum(r.evaluated for r in members),
                    "failed": sum(r.failed for r in members),
                    "sentences": len(members),
                    "results": dg.MetadataValue.md(table),
                },
            )
        )
    return shown


def _summary(members: list[Result], broken: list[Result]) -> str:
    if not members:
        return "nothing was evaluated"
    if not broken:
        return f"all {len(members)} sentences hold"
    first = max(broken, key=lambda r: (r.severity is not Severity.WARN, r.failed))
    return f"{first.check} fails for {first.failed} of {first.evaluated} rows"


def group_of(contract: Table) -> str:
    """The Dagster group: one room per subject."""
    return _GROUPS.get(
        contract.name, {Layer.CORE: "core", Layer.QUALITY: "quality"}.get(contract.layer, "marts")
    )


_GROUPS = {
    "plan_features": "incentives",
    "deal_incentives": "incentives",
    "rep_periods": "incentives",
    "clawbacks": "incentives",
    "deal_outcomes": "outcomes",
    "account_spells": "outcomes",
    "account_months": "outcomes",
    "feedback_hops": "voice",
    "sales_rhythm": "evidence",
    "quota_bunching": "evidence",
    "churn_by_incentive": "evidence",
    "complaints_by_incentive": "evidence",
    "feedback_lag_by_incentive": "evidence",
    "incentive_value": "evidence",
    "conduct_indicators": "evidence",
    "value_drift": "evidence",
    "incentive_effects": "evidence",
    "plan_change_effects": "evidence",
    "customer_distance": "evidence",
    "unmet_needs": "evidence",
    "market_shifts": "evidence",
    "selling_style": "evidence",
    "lead_lags": "evidence",
    "board_scorecard": "board",
}
