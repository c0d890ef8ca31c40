"""Presets: how the tables that usual loaders land from a known system become source tables. The facts are in presets/*.yaml.

A preset names the system's objects with the columns it reads (`?`: may be absent) and, per source table, a query over
them. Loaders spell alike what they mean alike, so a column is found in any of its spellings (`account_id`, `AccountId`,
`property_account_id`); what a loader did not bring is null to the query. Rows that the system or the loader marks as
deleted carry `gone`, whatever their way to say it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.sources.hints import nearest
from pipelines.sources.readers.frame import UnreadableError
from pipelines.sources.strict_yaml import read_document

OBJECT = "<object>"
"""Stands in a path for the name of each object that a table is made of."""
GONE = "gone"
Frame = tuple[pl.LazyFrame, tuple[str, ...]]
_OWN, _CURRENCY = "{own}", "{currency}"
_FOLDER = Path(__file__).parent / "presets"

# how systems and loaders say that a row was deleted, in folded spelling: a flag, or the time it happened
_DELETED_FLAGS = ("isdeleted", "deleted", "fivetrandeleted")  # also _deleted and __deleted
_DELETED_TIMES = ("sdcdeletedat", "abcdcdeletedat", "deletedat")
_TRUE = ("true", "t", "yes", "y", "1")


@dataclass(frozen=True)
class SystemObject:
    """One table of a system. `columns`: as the query calls them, and whether they must be there."""

    name: str
    columns: Mapping[str, bool]
    prefixes: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def find(self, available: Iterable[str]) -> dict[str, str]:
        """Column of the query -> the source's own spelling of it, for those that it has."""
        spelt: dict[str, str] = {}
        for name in available:
            spelt.setdefault(_fold(name), name)
        found = {}
        for column in self.columns:
            names = [f"{p}{_fold(column)}" for p in ("", *self.prefixes)]
            if hit := next((spelt[n] for n in names if n in spelt), None):
                found[column] = hit
        return found

    def own(self, available: Iterable[str], mentioned: Collection[str]) -> list[str]:
        """Columns beyond the query's that a user asked for: those whose case-folded name is `mentioned`."""
        taken = {column.casefold() for column in (*self.columns, GONE)}
        return [n for n in available if n.casefold() in mentioned and n.casefold() not in taken]

    def marks(self, available: Iterable[str]) -> list[str]:
        """Columns that say whether a row was deleted."""
        known = {*_DELETED_FLAGS, *self.deleted, *_DELETED_TIMES}
        return [n for n in available if _fold(n) in known]

    def reads(self, available: Iterable[str], mentioned: Collection[str] = ()) -> set[str]:
        """The source's columns that are read at all."""
        names = tuple(available)
        return {*self.find(names).values(), *self.own(names, mentioned), *self.marks(names)}


@dataclass(frozen=True)
class TablePreset:
    """How one source table is made. `objects`: by name, and whether they must be there; the first is the main one."""

    system: str
    table: str
    objects: Mapping[str, bool]
    query: str
    where: str
    columns: Mapping[str, SystemObject]

    @property
    def main(self) -> str:
        """The object that a plain path names, and whose other columns a user may use."""
        return next(iter(self.objects))

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """What may take the place of an optional main object: its history."""
        return tuple(n for n in self.objects if n == f"{self.main}_history")


@dataclass(frozen=True)
class Preset:
    """All that is known of one system."""

    name: str
    system: str
    objects: Mapping[str, SystemObject]
    tables: Mapping[str, TablePreset]


def list_presets() -> tuple[str, ...]:
    """The names that `preset:` may have."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@cache
def read_preset(name: str) -> Preset:
    """One preset; KeyError where there is none of that name."""
    if name not in list_presets():
        raise KeyError(name)
    value: Any = read_document(_FOLDER / f"{name}.yaml").value
    prefixes, deleted = tuple(value.get("prefixes", ())), tuple(value.get("deleted", ()))
    objects = {
        key: SystemObject(key, _marked(text), prefixes, deleted) for key, text in value["objects"].items()
    }
    tables = {}
    for table, made in value["tables"].items():
        used = _marked(made["from"])
        tables[table] = TablePreset(
            value["system"], table, used, made["query"], made.get("where", ""), {k: objects[k] for k in used}
        )
    return Preset(name, value["system"], objects, tables)


def place_files(preset: TablePreset, path: str) -> dict[str, str]:
    """The path of every object. Raises ValueError where a plain path can't say where all of them are."""
    if OBJECT in path:
        return {name: path.replace(OBJECT, name) for name in preset.objects}
    others = [name for name, needed in preset.objects.items() if needed and name != preset.main]
    if others:
        raise ValueError(
            f"{preset.table} are made of several files ({', '.join((preset.main, *others))}): write {OBJECT} in the path "
            f"where their names differ, such as landing/{OBJECT}/*.parquet, or name each under 'files'"
        )
    return {preset.main: path}


def fill_currency(preset: TablePreset, currency: str) -> str:
    """The query, with the company's currency for systems that name none; where own columns go stays marked."""
    return preset.query.replace(_CURRENCY, currency)


def insert_own(query: str, own: Iterable[str]) -> str:
    """The query with the columns of the main object that a user asked for and it does not make itself."""
    return query.replace(_OWN, "".join(f', own."{name}"' for name in own))


def words_of(*texts: str) -> frozenset[str]:
    """What might be column names in SQL, case-folded."""
    return frozenset(word.casefold() for text in texts for word in re.findall(r"[A-Za-z_][\w$]*", text))


def harmonise(
    known: SystemObject, rows: pl.LazyFrame, available: Iterable[str], mentioned: Collection[str] = ()
) -> Frame:
    """An object's rows as the query expects them: text under the preset's names, what is absent null, `gone` as text.

    Source columns whose case-folded name is `mentioned` stay as well. Raises UnreadableError for a missing column.
    """
    available = tuple(available)
    found = known.find(available)
    for column, needed in known.columns.items():
        if needed and column not in found:
            hint = f"{nearest(column, available)}; or map the table without the preset"
            raise UnreadableError(f"the column {column!r} of {known.name} is missing", hint)
    schema = rows.collect_schema()
    own = known.own(available, mentioned)
    cells = [
        _as_text(found[c], schema).alias(c) if c in found else pl.lit(None, pl.String).alias(c)
        for c in known.columns
    ]
    frame = rows.select(
        *cells, *(_as_text(n, schema) for n in own), _gone(known, available, schema).alias(GONE)
    )
    return frame, (*known.columns, *own, GONE)


def adapt(
    preset: TablePreset, frames: Mapping[str, Frame], asked: Iterable[str]
) -> tuple[dict[str, Frame], tuple[str, ...]]:
    """All objects of the preset as its query expects them, and the main object's columns that the texts `asked` name."""
    mentioned = words_of(*asked)
    made = {
        name: harmonise(known, *frames[name], mentioned if name == preset.main else ())
        if name in frames
        else absent(known)
        for name, known in preset.columns.items()
    }
    return made, tuple(n for n in made[preset.main][1] if n.casefold() in mentioned)


def absent(known: SystemObject) -> Frame:
    """An object that the firm does not land."""
    columns = (*known.columns, GONE)
    return pl.LazyFrame(schema=dict.fromkeys(columns, pl.String())), columns


def _gone(known: SystemObject, available: Iterable[str], schema: pl.Schema) -> pl.Expr:
    flags = {*_DELETED_FLAGS, *known.deleted}
    marks = []
    for name in known.marks(available):
        text = _as_text(name, schema).str.strip_chars()
        marks.append(text.str.to_lowercase().is_in(_TRUE) if _fold(name) in flags else text != "")
    said = (
        pl.any_horizontal(*(mark.fill_null(value=False) for mark in marks)) if marks else pl.lit(value=False)
    )
    return said.cast(pl.String)


def _as_text(name: str, schema: pl.Schema) -> pl.Expr:
    column, dtype = pl.col(name), schema[name]
    if isinstance(dtype, pl.Datetime):
        return column.dt.to_string("iso")
    if isinstance(dtype, pl.List):
        return column.cast(pl.List(pl.String)).list.join(",")
    return column if dtype == pl.String else column.cast(pl.String)


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _marked(text: str) -> dict[str, bool]:
    return {word.removesuffix("?"): not word.endswith("?") for word in text.split()}
