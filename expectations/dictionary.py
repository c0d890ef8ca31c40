"""Contracts as people and tools read them: data dictionary, Frictionless data package, plain explanations. No data."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from expectations.contracts import SOURCES, TABLES
from expectations.model import Column, Kind, Layer, Presence, Table
from expectations.reasons import explain_reason, known_words

# https://datapackage.org/standard/table-schema/ (version 2.0)
_FRICTIONLESS: dict[Kind, dict[str, str]] = {
    Kind.ID: {"type": "string"},
    Kind.TEXT: {"type": "string"},
    Kind.CATEGORY: {"type": "string"},
    Kind.MONEY: {"type": "number"},
    Kind.RATE: {"type": "number"},
    Kind.ESTIMATE: {"type": "number"},
    Kind.COUNT: {"type": "integer"},
    Kind.FLAG: {"type": "boolean"},
    Kind.TIMESTAMP: {"type": "datetime"},
    Kind.DATE: {"type": "date"},
    Kind.LIST: {"type": "list"},
    Kind.DOCUMENT: {"type": "object"},
}

_PROMISE = {
    Presence.REQUIRED: "never null",
    Presence.MAPPED: "must be mapped",
    Presence.DERIVED: "made here",
    Presence.OPTIONAL: "",
}


def comment_on(column: Column) -> str:
    """One line for a database comment: meaning and unit."""
    return f"{column.description} Unit: {column.unit}." if column.unit else column.description


def published_tables() -> list[Table]:
    """Every table that can appear in a snapshot, in the order of the registry."""
    return [table for table in TABLES.values() if table.layer is not Layer.CORE]


def _limits(column: Column) -> str:
    parts = [_PROMISE[column.presence]]
    if column.values:
        parts.append(("one of " if column.closed else "usually ") + ", ".join(column.values))
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"{column.minimum:g} to {column.maximum:g}")
    elif column.minimum is not None:
        parts.append(f"at least {column.minimum:g}")
    elif column.maximum is not None:
        parts.append(f"at most {column.maximum:g}")
    if column.sensitivity.value != "public":
        parts.append(column.sensitivity.value)
    return "; ".join(p for p in parts if p)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def describe_table(table: Table) -> str:
    """One table's page in Markdown: grain, key, columns, rules, a runnable query, what not to do."""
    lines = [
        f"### {table.path}",
        "",
        f"{table.title} Grain: {table.grain}. Key: {', '.join(table.row_key)}.",
        "",
    ]
    if table.layer is not Layer.CORE:
        lines += [f"Audience: {table.audience}.", ""]
    if table.partitioned:
        lines += ["Cut by calendar month.", ""]
    if table.switches_off:
        lines += [f"Without it: {table.switches_off}.", ""]
    lines += ["| column | type | meaning | unit | promise |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {c.name} | {c.kind} | {_cell(c.description)} | {_cell(c.unit)} | {_cell(_limits(c))} |"
        for c in table.columns
    ]
    rules = [(r.name, r.reason, r.severity) for r in table.rules]
    rules += [(g.name, g.reason, g.severity) for g in table.group_rules]
    if rules:
        lines += ["", "| rule | why | when broken |", "| --- | --- | --- |"]
        lines += [f"| {name} | {_cell(reason)} | {severity} |" for name, reason, severity in rules]
    if table.query:
        lines += ["", "```sql", table.query, "```", "", table.do_not]
    return "\n".join([*lines, ""])


def write_dictionary(tables: Iterable[Table] | None = None) -> str:
    """The data dictionary: published tables first, then the tables a firm maps onto."""
    chosen = list(tables) if tables is not None else None
    published = published_tables() if chosen is None else chosen
    text = [
        "# Data dictionary",
        "",
        "Made from the contracts in `expectations/contracts`; do not edit by hand.",
        "Null means unknown or not yet knowable, never zero. Money is exact; estimates carry their interval beside them.",
        "",
        "## Published tables",
        "",
        *(describe_table(t) for t in published),
    ]
    if chosen is None:
        text += ["## Source tables", "", *(describe_table(t) for t in SOURCES.values())]
    return "\n".join(text)


def _field(column: Column) -> dict[str, Any]:
    constraints: dict[str, Any] = {}
    if column.presence is Presence.REQUIRED:
        constraints["required"] = True
    if column.values and column.closed:
        constraints["enum"] = list(column.values)
    if column.minimum is not None:
        constraints["minimum"] = column.minimum
    if column.maximum is not None:
        constraints["maximum"] = column.maximum
    field: dict[str, Any] = {
        "name": column.name,
        **_FRICTIONLESS[column.kind],
        "description": column.description,
    }
    if column.unit:
        field["unit"] = column.unit
    if constraints:
        field["constraints"] = constraints
    return field


def make_datapackage(
    files: Mapping[str, list[str]], *, name: str, version: str, as_of: str
) -> dict[str, Any]:
    """A Frictionless data package (https://datapackage.org) of a snapshot.

    `files` maps table paths to the relative paths of their Parquet files. Tables without a file are left out.
    """
    resources = [
        {
            "name": table.name.replace("_", "-"),
            "path": paths if len(paths) > 1 else paths[0],
            "format": "parquet",
            "mediatype": "application/vnd.apache.parquet",
            "title": table.title,
            "description": f"{table.title} Grain: {table.grain}. {table.do_not}".strip(),
            "audience": table.audience.value,
            "schema": {"fields": [_field(c) for c in table.stored], "primaryKey": list(table.row_key)},
        }
        for table in published_tables()
        if (paths := sorted(files.get(table.path, [])))
    ]
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": name,
        "title": "aftersale: sales incentives and what happened to the customer afterwards",
        "version": version,
        "as_of": as_of,
        "resources": resources,
    }


def explain(name: str) -> str:
    """A table's or a column's contract, or a reason, in Markdown. Raises KeyError with the nearest names when there is none.

    `name` is `table`, `layer/table`, `layer.table`, `column` or `table.column`; or a word out of a column of reasons or
    warnings; or a rule's name.
    """
    wanted = name.strip().lower().replace("/", ".")
    parts = wanted.split(".")
    if parts[-1] in TABLES and (len(parts) == 1 or TABLES[parts[-1]].layer.value == parts[0]):
        return describe_table(TABLES[parts[-1]])
    holders = [
        t for t in TABLES.values() if parts[-1] in t.by_name and (len(parts) == 1 or t.name == parts[-2])
    ]
    if holders:
        column = holders[0].by_name[parts[-1]]
        lines = [
            f"### {column.name}",
            "",
            comment_on(column),
            "",
            f"Type: {column.kind} ({column.dtype}).",
            "",
        ]
        lines += [f"- {t.path}: {_limits(t.by_name[column.name]) or 'may be null'}" for t in holders]
        warnings = [f"- {t.path}: {t.do_not}" for t in holders if t.do_not]
        return "\n".join([*lines, *(["", "Mind:", *warnings] if warnings else []), ""])
    if said := explain_reason(wanted):
        return said
    known = sorted({*TABLES, *(c for t in TABLES.values() for c in t.by_name), *known_words()})
    close = difflib.get_close_matches(parts[-1], known, n=3)
    raise KeyError(
        f"no table, column or reason is called {name!r}"
        + (f"; did you mean {', '.join(close)}?" if close else "")
    )


if __name__ == "__main__":
    sys.stdout.write(write_dictionary())
