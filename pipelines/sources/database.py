"""Databases as sources: one SELECT read through ADBC, batch by batch, into a Parquet file that is landed like any other.

With a `cursor` only rows at or above the newest seen one, less an overlap, are fetched again; with a `key` the ids that
are there now are fetched as well, and rows whose id is gone go. All of it in one read-only transaction. Numbers that
Arrow has no exact type for come as text, so that nothing passes through a float.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.allowed import Allow
from pipelines.sources.readers.sql import quote_name
from pipelines.sources.settings import Database

# scheme -> (module, statements that begin its transaction)
_DRIVERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "postgresql": (
        "adbc_driver_postgresql.dbapi",
        ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET LOCAL TimeZone = 'UTC'", "SET LOCAL DateStyle = 'ISO'"),
    ),
    "sqlite": ("adbc_driver_sqlite.dbapi", ()),
}  # fmt: skip
_ROW_GROUP = 131_072


class DatabaseError(Exception):
    """The database can't be reached, or refuses the query; the message holds no address and no password."""


class NoSuchTableError(DatabaseError):
    """The database can be asked, and has no such table."""


class Cursor(Protocol):
    """What is used of a DB-API cursor."""

    def execute(self, sql: str) -> Any:
        """Run one statement."""

    def fetchone(self) -> Any:
        """Its next row."""

    def fetchall(self) -> Any:
        """Its rows, where they are few."""

    def fetch_record_batch(self) -> pa.RecordBatchReader:
        """Its rows, batch by batch."""


@dataclass(frozen=True)
class Fetched:
    """What one look at the database brought. `moved`: rows that were sent; the others are those of the last look."""

    path: Path
    rows: int
    moved: int


def fetch(database: Database, folder: Path, *, allow: Allow = frozenset, limit: int | None = None) -> Fetched:
    """Bring the rows into `folder` and return the file; with a `limit` a first look, which remembers nothing.

    Of columns that `allow` leaves out nothing is asked but their names; the key is always asked. Raises DatabaseError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with asking(database) as (cursor, address):
        return _fetch(_Query(database, address, cursor, allow), folder, limit)


@contextmanager
def asking(database: Database) -> Iterator[tuple[Cursor, str]]:
    """A cursor inside one read-only transaction, and the address. Every error is a DatabaseError without the address."""
    address = _address(database)
    try:
        with _session(address) as cursor:
            yield cursor, address
    except (DatabaseError, pl.exceptions.PolarsError):
        raise
    except Exception as error:
        if type(error).__module__.startswith(("adbc_driver_manager", "pyarrow", "builtins")):
            said = " ".join(str(error).replace(address, "the address").split())[:300]
            raise (NoSuchTableError if _names_no_table(error) else DatabaseError)(said) from None
        raise


def _names_no_table(error: Exception) -> bool:
    return getattr(error, "sqlstate", None) == "42P01" or "no such table" in str(error)


def _fetch(query: _Query, folder: Path, limit: int | None) -> Fetched:
    database = query.database
    target, state = folder / "rows.parquet", folder / "state.json"
    if limit is not None:
        moved = _stream(query.rows(limit=limit), folder / "head.parquet", query)
        return Fetched(folder / "head.parquet", moved, moved)
    known = _remembered(state, target, query.identity)
    newest = query.newest() if database.cursor else None
    since = _before(known, database.overlap) if known is not None and database.cursor else None
    fresh = folder / "fresh.parquet"
    moved = _stream(query.rows(since=since), fresh, query)
    if since is None:
        _write(pl.scan_parquet(fresh, glob=False), target)
    else:
        keys = folder / "keys.parquet"
        _stream(query.keys(), keys, query)
        _merge(target, fresh, keys, database.key)
    if database.cursor:
        draft = state.with_suffix(".new")
        draft.write_text(json.dumps({"identity": query.identity, "newest": newest, "sha256": _hash(target)}))
        draft.replace(state)
    return Fetched(target, int(pl.scan_parquet(target).select(pl.len()).collect().item()), moved)


@dataclass
class _Query:
    database: Database
    address: str
    cursor: Cursor
    allow: Allow

    @property
    def source(self) -> str:
        """What stands behind FROM."""
        if self.database.query is not None:
            return f"({self.database.query.rstrip().rstrip(';')}\n) AS wanted"
        return ".".join(quote_name(part) for part in str(self.database.table).split("."))

    @cached_property
    def cells(self) -> list[str]:
        """What stands behind SELECT: a column each."""
        self.cursor.execute(f"SELECT * FROM {self.source} LIMIT 0")
        with self.cursor.fetch_record_batch() as reader:
            fields = list(reader.schema)
        allowed = self.allow([field.name for field in fields]) | set(self.database.key)
        return [
            self._cell(field) if field.name in allowed else f"CAST(NULL AS TEXT) AS {quote_name(field.name)}"
            for field in fields
        ]

    @cached_property
    def identity(self) -> str:
        """Hash of what is asked of which database; where it changes, everything is fetched again."""
        parts = urlsplit(self.address)
        said = [
            parts.scheme,
            parts.hostname,
            parts.port,
            parts.path,
            self.source,
            self.database.cursor,
            self.database.key,
            self.cells,
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def rows(self, since: str | None = None, limit: int | None = None) -> str:
        """The SELECT of all rows, or of those that may have changed."""
        sql = f"SELECT {', '.join(self.cells)} FROM {self.source}"
        if since is not None:
            value = since if since.lstrip("-").isdigit() else "'" + since.replace("'", "''") + "'"
            name = quote_name(str(self.database.cursor))
            sql += f" WHERE {name} >= {value} OR {name} IS NULL"
        if self.database.key:
            # by bytes, as rows are merged, whatever the database's own collation
            by = "" if self.address.startswith("sqlite") else ' COLLATE "C"'
            sql += f" ORDER BY {', '.join(f'CAST({quote_name(k)} AS TEXT){by}' for k in self.database.key)}"
        return sql if limit is None else f"{sql} LIMIT {limit}"

    def keys(self) -> str:
        """The SELECT of the keys that are there now."""
        names = ", ".join(f"CAST({quote_name(k)} AS TEXT) AS {quote_name(k)}" for k in self.database.key)
        return f"SELECT {names} FROM {self.source}"

    def newest(self) -> str | None:
        """The newest cursor, as text."""
        self.cursor.execute(
            f"SELECT CAST(max({quote_name(str(self.database.cursor))}) AS TEXT) FROM {self.source}"
        )
        row = self.cursor.fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def _cell(self, field: pa.Field) -> str:
        name = quote_name(field.name)
        kind = field.type
        exact = (
            pa.types.is_temporal(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_integer(kind)
            or pa.types.is_string(kind)
        )
        if field.name in self.database.key or not exact or self.address.startswith("sqlite"):
            return f"CAST({name} AS TEXT) AS {name}"  # SQLite types values, not columns
        return name


def _stream(sql: str, path: Path, query: _Query) -> int:
    """Write the answer batch by batch; returns the number of rows."""
    query.cursor.execute(sql)
    rows = 0
    draft = path.with_suffix(".part")
    with query.cursor.fetch_record_batch() as reader:
        schema = reader.schema
        if query.address.startswith("sqlite"):  # a column without a value has no type there
            schema = pa.schema([pa.field(name, pa.string()) for name in schema.names])
        with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
            for batch in reader:
                rows += batch.num_rows
                writer.write_batch(batch.cast(schema), row_group_size=_ROW_GROUP)
    draft.replace(path)
    return rows


def _merge(target: Path, fresh: Path, keys: Path, key: list[str]) -> None:
    """The last look's rows without those that came again or are gone, and those that came; sorted by key."""
    old, new, there = (pl.scan_parquet(path, glob=False) for path in (target, fresh, keys))
    kept = old.join(new.select(key), on=key, how="anti").join(there.select(key), on=key, how="semi")
    _write(pl.concat([kept, new]).sort(key, maintain_order=True), target)


def _write(rows: pl.LazyFrame, target: Path) -> None:
    """One writer for every look, so that the same rows are the same bytes."""
    draft = target.with_suffix(".part")
    rows.sink_parquet(draft, row_group_size=_ROW_GROUP, maintain_order=True)
    draft.replace(target)


def _remembered(state: Path, target: Path, identity: str) -> str | None:
    """The newest cursor of the last look, where it asked the same and its rows are still what they were."""
    try:
        known = json.loads(state.read_text())
        same = known["identity"] == identity and known["sha256"] == _hash(target)
        return str(known["newest"]) if same and known["newest"] is not None else None
    except (OSError, ValueError, KeyError):
        return None


def _before(newest: str, overlap: int) -> str:
    """The newest cursor less the overlap: seconds for an instant, units for a number."""
    if newest.lstrip("-").isdigit():
        return str(int(newest) - overlap)
    moment = datetime.fromisoformat(newest) - timedelta(seconds=overlap)
    return moment.isoformat(sep="T" if "T" in newest else " ")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _address(database: Database) -> str:
    if database.uri is not None:
        return database.uri
    address = os.environ.get(str(database.uri_env), "")
    if not address:
        raise DatabaseError(
            f"the environment variable {database.uri_env} is not set: put the database's address there"
        )
    if urlsplit(address).scheme not in _DRIVERS:
        raise DatabaseError(
            f"the address in {database.uri_env} starts with none of {', '.join(f'{s}://' for s in _DRIVERS)}"
        )
    return address


@contextmanager
def _session(address: str) -> Iterator[Cursor]:
    module, begin = _DRIVERS[urlsplit(address).scheme]
    uri = address
    if urlsplit(address).scheme == "sqlite":
        path = Path(address.removeprefix("sqlite://"))
        if not path.is_file():
            raise DatabaseError(f"there is no file {path}")
        uri = f"file:{path}?mode=ro"
    with import_module(module).connect(uri) as connection, connection.cursor() as cursor:
        for statement in begin:
            cursor.execute(statement)
        yield cursor
