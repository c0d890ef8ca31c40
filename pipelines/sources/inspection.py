"""A first look at every source, for `aftersale check`: what maps, what is missing, what that switches off."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from assets.core.parse import parse
from assets.core.pseudonyms import list_kinds
from assets.core.reading import with_steps
from assets.landing import Landed, LandingBlockedError, Reading, SourceUnreachableError
from expectations.model import Table
from expectations.reasons import advise
from pipelines.sources.config import Configuration, Source
from pipelines.sources.landing import ConfiguredLanding
from pipelines.sources.mapping import Plan

_NAME_LIKE = r"[\s@]"  # ids are codes; a blank or an @ means that somebody's name or address is used as one


@dataclass(frozen=True)
class TableReport:
    """One configured table. `problem` is empty where its head can be read; `reached` is false where it can't even be opened.

    `mapped`: (contract column, source column or SQL). `missing`: columns that must be mapped and are not. `left_out`:
    optional columns that the source lacks. `unused`: source columns that nothing reads. `rejects`: (reason, count) in
    the head. `warnings`: sentences.
    """

    table: str
    source: str
    problem: str = ""
    reached: bool = True
    files: int = 0
    records: int = 0
    mapped: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    rejects: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourcesReport:
    """All configured tables, and for the others what their absence switches off: (table, sentence)."""

    configuration: Path
    tables: tuple[TableReport, ...]
    absent: tuple[tuple[str, str], ...]

    @property
    def usable(self) -> bool:
        """Whether nothing found so far would block."""
        return not any(t.problem or t.missing for t in self.tables)

    @property
    def reached(self) -> bool:
        """Whether every source is there to be looked at."""
        return all(t.reached for t in self.tables)


def inspect_sources(configuration: Configuration) -> SourcesReport:
    """Look at the head of every source; writes nothing that stays, and raises nothing for a bad source."""
    with tempfile.TemporaryDirectory(prefix="aftersale-check-") as folder:
        landing = ConfiguredLanding(configuration, Path(folder), first_look=True)
        reports = tuple(_inspect(landing, configuration, name) for name in configuration.sources)
        landing.close()
    absent = tuple(
        (name, table.switches_off)
        for name, table in configuration.tables.items()
        if name not in configuration.sources
    )
    return SourcesReport(configuration.file, reports, absent)


def _inspect(landing: ConfiguredLanding, configuration: Configuration, table: str) -> TableReport:
    source = configuration.sources[table]
    where = source.path or _origin(source)
    try:
        plan = landing.outline(table)
    except (LandingBlockedError, SourceUnreachableError) as error:
        return TableReport(table, where, str(error), _reached(error))
    known = TableReport(
        table,
        where,
        mapped=tuple((m.column, m.renamed or m.expression) for m in plan.mapped),
        missing=plan.missing,
        left_out=plan.optional,
        unused=plan.unused,
    )
    try:
        landed = landing.sample(table)
    except (LandingBlockedError, SourceUnreachableError) as error:
        return replace(known, problem=str(error), reached=_reached(error))
    contract, rows = configuration.tables[table], landed.rows.collect()
    counts = Counter(landed.rejects["reason"].to_list())
    counts.update(_unreadable(contract, rows, landed.reading, configuration.company.timezone))
    return replace(
        known,
        files=len(landed.files),
        records=sum(file.records for file in landed.files),
        rejects=tuple(sorted((advise(reason), n) for reason, n in counts.items())),
        warnings=(
            *_absent_objects(landing, configuration, table),
            *_all_left_out(rows, landed),
            *_warnings(configuration, contract, plan, rows),
        ),
    )


def _origin(source: Source) -> str:
    if source.preset is not None:
        return f"preset {source.preset}"
    return (
        "rows in the configuration"
        if source.rows is not None
        else "database"
        if source.sql
        else source.delta.path
        if source.delta
        else "query"
    )


def _absent_objects(landing: ConfiguredLanding, configuration: Configuration, table: str) -> list[str]:
    """What a preset would use and the firm does not land."""
    preset = configuration.preset(table)
    if preset is None:
        return []
    entries = configuration.sources[table].entries
    absent = [
        n
        for n in preset.objects
        if n not in entries or not landing.located.paths_if_any(table, n, entries[n])
    ]
    return [f"made without {', '.join(absent)}: what they would tell is null"] if absent else []


def _unreadable(contract: Table, rows: pl.DataFrame, reading: Reading, zone: str) -> list[str]:
    """Why the core would reject rows, one reason a row, as far as single cells tell."""
    read = [
        parse(column, rows.schema[column.name], reading, zone)
        for column in contract.door
        if column.kept and column.name in rows.schema
    ]
    if not read:
        return []
    reasons = with_steps(rows.lazy(), read).select(pl.coalesce(*(one.reason for one in read)).alias("reason"))
    return reasons.collect()["reason"].drop_nulls().to_list()


def _all_left_out(rows: pl.DataFrame, landed: Landed) -> list[str]:
    """Nothing is left of what was looked at: seldom what somebody wants."""
    if rows.height or not landed.filtered:
        return []
    return [f"all {landed.filtered:,} records looked at are left out: deleted, test data, or by `where`"]


def _reached(error: Exception) -> bool:
    return not isinstance(error, SourceUnreachableError)


def _warnings(configuration: Configuration, contract: Table, plan: Plan, rows: pl.DataFrame) -> list[str]:
    """Ids that look like names and are not hidden, by count; the values themselves are not shown.

    Whatever is no id (a region, a team) is a word, and may hold a blank; people stand under pseudonyms.
    """
    said = []
    for column, kind in list_kinds(contract, configuration.tables).items():
        if (
            kind in configuration.pseudonymised
            or column not in plan.columns
            or rows.schema.get(column) != pl.String
        ):
            continue
        found = int(rows[column].str.strip_chars().str.contains(_NAME_LIKE).sum())
        if found:
            said.append(
                f"{column}: {found:,} of {rows.height:,} ids hold a blank or an @ and may be names; map a code, or write "
                f"'pseudonymise: [{column}]'"
            )
    return said
