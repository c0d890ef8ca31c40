"""From a source's own columns to contract columns: which is renamed, which is computed, which is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from expectations.model import Presence, Table
from pipelines.sources.hints import nearest
from pipelines.sources.readers.frame import UnreadableError

_NAME_LIKE = re.compile(r"[A-Za-z_][\w .#$-]*\Z")
_CONSTANTS = frozenset({"true", "false", "null"})


@dataclass(frozen=True)
class Mapped:
    """How one contract column is made. `renamed` is the source column, empty for an SQL `expression`."""

    column: str
    renamed: str = ""
    expression: str = ""
    required: bool = False  # must be mapped: a file without it can't be read as if it were empty
    personal: bool = False  # allowed at the door, never kept


@dataclass(frozen=True)
class Plan:
    """How a table is made, and what it lacks."""

    mapped: tuple[Mapped, ...]
    missing: tuple[str, ...]  # contract columns that must be mapped and are not
    optional: tuple[str, ...]  # contract columns that may be missing and are
    unused: tuple[str, ...]  # source columns that nothing uses

    @property
    def columns(self) -> frozenset[str]:
        """Contract columns that the table will have."""
        return frozenset(m.column for m in self.mapped)


def plan_columns(
    contract: Table, wanted: Mapping[str, str], available: Iterable[str], where: str = ""
) -> Plan:
    """Match a contract with a source.

    `wanted`: contract column -> source column or SQL expression, as configured. A contract column that is not in it is
    taken by its own name where the source has it. `where` only tells which columns are used. Raises UnreadableError where `wanted` names a column that the
    source lacks.
    """
    names = tuple(available)
    have = frozenset(names)
    mapped: list[Mapped] = []
    missing: list[str] = []
    optional: list[str] = []
    for column in contract.door:
        text = wanted.get(column.name, column.name)
        required, personal = column.presence in {Presence.MAPPED, Presence.REQUIRED}, not column.kept
        if text in have:
            mapped.append(Mapped(column.name, renamed=text, required=required, personal=personal))
        elif column.name in wanted:
            if _NAME_LIKE.match(text) and text.casefold() not in _CONSTANTS:
                raise UnreadableError(f"there is no column {text!r} for {column.name}", nearest(text, names))
            mapped.append(Mapped(column.name, expression=text, required=required, personal=personal))
        elif column.presence in {Presence.MAPPED, Presence.REQUIRED}:
            missing.append(column.name)
        else:
            optional.append(column.name)
    used = {m.renamed for m in mapped}
    sql = " ".join(
        (where, *(m.expression for m in mapped))
    ).casefold()  # a mention is enough not to be called unused
    unused = tuple(n for n in names if n not in used and n.casefold() not in sql)
    return Plan(tuple(mapped), tuple(missing), tuple(optional), unused)


def describe_missing(contract: Table, plan: Plan, available: Iterable[str]) -> UnreadableError:
    """The block for required columns that the source lacks, with the nearest names it has."""
    names = list(available)
    hints = []
    for column in plan.missing:
        hint = nearest(column, names)
        example = hint.split("'")[1] if hint.startswith("did you mean") else "its name in the file"
        hints.append(f"columns: {{{column}: {example}}}")
    what = ", ".join(plan.missing)
    return UnreadableError(
        f"no column for {what}, which {contract.name} needs",
        f"Map it, for instance '{hints[0]}'; the source has {', '.join(names[:20]) or 'no columns'}",
    )
