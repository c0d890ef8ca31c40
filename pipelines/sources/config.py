"""`aftersale.yaml`: what a user may write in it, checked before anything runs. No source is opened here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from assets.company import Churn, Company
from assets.core.pseudonyms import IdKind, list_kinds
from expectations.contracts import SOURCES
from expectations.model import Presence, Sensitivity, Table
from pipelines.sources.config_errors import as_config_error
from pipelines.sources.hints import nearest
from pipelines.sources.preset import (
    OBJECT,
    TablePreset,
    fill_currency,
    list_presets,
    place_files,
    read_preset,
)
from pipelines.sources.settings import (
    Alerts,
    CompanySettings,
    FileEntry,
    Layout,
    PublishSettings,
    Root,
    ScheduleSettings,
    Source,
)
from pipelines.sources.strict_yaml import ConfigError, Document, read_document

__all__ = [
    "ConfigError",
    "Configuration",
    "FileEntry",
    "Source",
    "is_url",
    "load_config",
]

MAX_VANISHED_SHARE = 0.05
"""One row in twenty gone between two readings is a truncated export far more often than housekeeping."""
_TEXT_KEYS = frozenset({"rows"})  # cells of rows written in the file are text, as in any other source


def is_url(path: str) -> bool:
    """Whether a path names something that is not on this machine."""
    return len(urlsplit(path).scheme) > 1


@dataclass(frozen=True)
class Configuration:
    """A checked configuration. `file` is absolute; relative paths of sources are relative to its folder."""

    file: Path
    company: CompanySettings
    sources: Mapping[str, Source]
    tables: Mapping[str, Table]
    alerts: Alerts = field(default_factory=Alerts)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    publish: PublishSettings = field(default_factory=PublishSettings)

    def preset(self, table: str) -> TablePreset | None:
        """The preset that makes a table, if any."""
        name = self.sources[table].preset
        return None if name is None else read_preset(name).tables[table]

    @property
    def folder(self) -> Path:
        """What relative paths start from."""
        return self.file.parent

    def fingerprint(self, table: str) -> str:
        """SHA-256 (hex) of this table's own entry, so that an edit elsewhere in the file recomputes nothing here."""
        slice_ = self.sources[table].model_dump(
            mode="json", exclude={"complete_until", "on_block", "pseudonymise"}
        )
        return hashlib.sha256(json.dumps(slice_, sort_keys=True, ensure_ascii=True).encode()).hexdigest()

    def lineage(self, table: str) -> str:
        """SHA-256 (hex) of where the rows of a table come from and how they are named, not of how their cells are read."""
        slice_ = self.sources[table].model_dump(
            mode="json", include={"path", "files", "query", "sql", "delta", "rows", "where", "columns"}
        )
        identity = [self.company.demo_seed, slice_]
        return hashlib.sha256(json.dumps(identity, sort_keys=True, ensure_ascii=True).encode()).hexdigest()

    def max_vanished_share(self, table: str) -> float:
        """The configured limit. A made-up company is made anew with every option of its command: nothing is lost there."""
        configured = self.sources[table].max_vanished_share
        if configured is not None:
            return configured
        return 1.0 if self.company.demo_seed is not None else MAX_VANISHED_SHARE

    @cached_property
    def pseudonymised(self) -> frozenset[IdKind]:
        """Ids that are to stand under pseudonyms, by what they name: whichever table says so, all tables do it."""
        return frozenset(
            list_kinds(self.tables[name], self.tables)[column]
            for name, source in self.sources.items()
            for column in source.pseudonymise
        )

    @cached_property
    def declared_columns(self) -> Mapping[str, frozenset[str]]:
        """Columns that the configuration itself names, per table; a file may bring more under their own names."""
        return {
            name: frozenset(source.columns).union(*(source.rows or ()))
            for name, source in sorted(self.sources.items())
        }

    def company_for(self, as_of: date, columns: Mapping[str, frozenset[str]] | None = None) -> Company:
        """The settings of a run.

        `columns` are the mapped columns per table; left out, only those that the configuration names are known
        (`ConfiguredLanding.company_for` looks into the files as well).
        """
        settings = self.company
        churn = Churn(settings.churn.kind, settings.churn.days or 0)
        until = {name: s.complete_until for name, s in sorted(self.sources.items()) if s.complete_until}
        return Company(
            reporting_currency=settings.reporting_currency,
            timezone=settings.timezone,
            as_of=as_of,
            fiscal_start_month=settings.fiscal_start_month,
            churn=churn,
            cooling_off_days=settings.cooling_off_days,
            sources=frozenset(self.sources),
            columns=self.declared_columns if columns is None else columns,
            complete_until=until,
        )


def load_config(path: Path | str, tables: Mapping[str, Table] = SOURCES) -> Configuration:
    """Read and check `aftersale.yaml`; `tables` are the contracts of the source tables.

    Raises ConfigError with file, line, key and, where a name is unknown, the nearest valid one.
    """
    document = read_document(Path(path), _TEXT_KEYS)
    value = _with_short_files(document)
    _check_source_names(document, value, tables)
    try:
        root = Root.model_validate(value)
    except ValidationError as error:
        raise as_config_error(document, error) from None
    sources = {
        name: _from_preset(document, name, source, root.company) if source.preset is not None else source
        for name, source in root.sources.items()
    }
    for name, source in sources.items():
        _check_source(document, tables[name], source)
        _check_pseudonymised(document, tables[name], source, tables)
    return Configuration(
        Path(path).absolute(),
        root.company,
        sources,
        tables,
        root.alerts,
        root.schedule,
        root.publish,
    )


def _with_short_files(document: Document) -> dict[str, Any]:
    """The document's mapping, with `items: a.csv` of a query written out as `items: {path: a.csv}`."""
    if not isinstance(document.value, dict):
        raise document.error((), "must start with the keys 'company' and 'sources'")
    value: dict[str, Any] = {**document.value}
    sources = value.get("sources")
    if not isinstance(sources, dict):
        return value
    value["sources"] = {
        name: {
            **source,
            "files": {k: {"path": v} if isinstance(v, str) else v for k, v in source["files"].items()},
        }
        if isinstance(source, dict) and isinstance(source.get("files"), dict)
        else source
        for name, source in sources.items()
    }
    return value


def _check_source_names(document: Document, value: dict[str, Any], tables: Mapping[str, Table]) -> None:
    sources = value.get("sources")
    if not isinstance(sources, dict):
        return  # pydantic says it better
    for name in sources:
        if name not in tables:
            raise document.error(
                ("sources", name), f"no source table is called {name!r}: {nearest(name, tables)}"
            )
    missing = [name for name, table in tables.items() if table.required and name not in sources]
    if missing:
        raise document.error(("sources",), f"{', '.join(missing)} missing: nothing works without them")


def _from_preset(document: Document, table: str, source: Source, company: CompanySettings) -> Source:
    """The source with what its preset says: where each object lies, the query over them, which rows count."""
    at = ("sources", table)
    try:
        known = read_preset(str(source.preset))
    except KeyError:
        said = f"there is no preset {source.preset!r}: {nearest(str(source.preset), list_presets())}"
        raise document.error((*at, "preset"), said) from None
    if table not in known.tables:
        said = f"the preset {known.name} makes no {table}: {nearest(table, known.tables)}"
        raise document.error((*at, "preset"), said)
    made = known.tables[table]
    if source.query is not None or source.rows is not None or source.delta is not None:
        raise document.error(at, "a preset brings its own query: give it 'path', 'files' or 'sql'")
    try:
        files = _files_of(made, source)
    except ValueError as error:
        raise document.error((*at, "sql" if source.sql else "path"), str(error)) from None
    for name in source.files or {}:
        if name not in made.objects:
            said = f"{table} of {known.name} use no object {name!r}: {nearest(name, made.objects)}"
            raise document.error((*at, "files", name), said)
    where = " AND ".join(f"({part})" for part in (made.where, source.where) if part)
    changes = {
        "path": None,
        "sql": None,
        "files": files,
        "query": fill_currency(made, company.reporting_currency),
        "where": where or None,
        "timezone": source.timezone or "UTC",  # loaders land instants in UTC, mostly without saying so
    }
    return source.model_copy(update=changes)


def _files_of(made: TablePreset, source: Source) -> dict[str, FileEntry]:
    layout = {name: getattr(source, name) for name in Layout.model_fields}
    if source.sql is not None:
        if source.sql.key or source.sql.cursor:
            raise ValueError(
                "objects have keys and cursors of their own: name each under 'files', such as "
                f"files: {{{made.main}: {{sql: {{..., key: [id], cursor: updated_at}}}}}}"
            )
        asked = source.sql.table or source.sql.query or ""
        kind = "table" if source.sql.table else "query"
        return {
            name: FileEntry(sql=source.sql.model_copy(update={kind: one}), **layout)
            for name, one in place_files(made, asked).items()
        }
    if source.path is None:
        return dict(source.files or {})
    return {name: FileEntry(path=path, **layout) for name, path in place_files(made, source.path).items()}


def _check_source(document: Document, table: Table, source: Source) -> None:
    at = ("sources", table.name)
    kinds = [k for k in ("path", "files", "sql", "delta", "rows") if getattr(source, k) is not None]
    if len(kinds) != 1:
        given = f"found {' and '.join(kinds)}" if kinds else "found none"
        raise document.error(
            at, f"needs exactly one of 'path', 'files' with 'query', 'sql', 'delta', or 'rows': {given}"
        )
    if (source.files is None) != (source.query is None):
        raise document.error(
            (*at, "files" if source.query is None else "query"), "'files' and 'query' go together"
        )
    if source.on_block == "stale" and table.required:
        raise document.error(
            (*at, "on_block"), "'stale' is for optional tables; nothing works without this one"
        )
    if source.thousands == source.decimal:
        raise document.error((*at, "thousands"), f"{source.thousands!r} can't be the decimal mark as well")
    if source.preset is None and OBJECT in json.dumps(
        source.model_dump(mode="json", include={"sql", "path"})
    ):
        raise document.error(at, f"{OBJECT} stands for the objects of a preset: name one with 'preset'")
    _check_columns(document, table, source)
    _check_required(document, table, source)


def _check_columns(document: Document, table: Table, source: Source) -> None:
    at, door = ("sources", table.name), {c.name for c in table.door}
    named: list[tuple[tuple[str | int, ...], str]] = [((*at, "columns", c), c) for c in source.columns]
    if not source.columns:  # with a mapping, rows may have names of their own
        named += [((*at, "rows", i, c), c) for i, row in enumerate(source.rows or ()) for c in row]
    for path, column in named:
        if column not in door:
            raise document.error(path, f"{table.name} has no column {column!r}: {nearest(column, door)}")


def _check_required(document: Document, table: Table, source: Source) -> None:
    """Rows written in the file are known in full, so a missing column is an error with a line."""
    if source.rows is None:
        return
    given = set(source.columns).union(*source.rows)
    for column in table.door:
        needed = column.presence in {Presence.MAPPED, Presence.REQUIRED}
        if source.rows and needed and column.name not in given:
            raise document.error(
                ("sources", table.name, "rows"), f"the column {column.name!r} is missing from every row"
            )


def _check_pseudonymised(
    document: Document, table: Table, source: Source, tables: Mapping[str, Table]
) -> None:
    allowed = list_kinds(table, tables)
    for place, column in enumerate(source.pseudonymise):
        if column in allowed:
            continue
        said = f"{column!r} is no id of {table.name} that can be pseudonymised"
        if table.by_name.get(column, None) and table.by_name[column].sensitivity is Sensitivity.PSEUDONYM:
            said = f"{column!r} stands under pseudonyms anyway"
        raise document.error(
            ("sources", table.name, "pseudonymise", place), f"{said}: {nearest(column, allowed)}"
        )
