"""`catalog.duckdb`: views with comments over a snapshot's Parquet files; locked queries over it.

Views read `coalesce(getvariable('snapshot_dir'), '<absolute folder>') || '/marts/...'`, so the file opens from any
folder and survives a copy with one SET VARIABLE. No table data lives in the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from expectations.contracts import TABLES
from expectations.dictionary import comment_on
from expectations.model import Table

CATALOG = "catalog.duckdb"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _view(table: Table, folder: str, files: Sequence[str], prefix: str) -> list[str]:
    """SQL that makes one view and its comments. Identifiers come from contracts, which allow snake case only."""
    name = f"{table.layer.value}.{table.name}"
    base = f"coalesce(getvariable('snapshot_dir'), {_literal(folder)})"
    is_cut = len(files) > 1 or "/month=" in files[0]
    target = f"/{prefix}/{table.name}/*/*.parquet" if is_cut else f"/{files[0]}"
    columns = ", ".join(f'"{column.name}"' for column in table.stored)
    # months are in the rows where they belong to the table; the folder's name must not become a column
    source = f"read_parquet({base} || {_literal(target)}, hive_partitioning = false)"
    return [
        f"CREATE VIEW {name} AS SELECT {columns} FROM {source}",
        f"COMMENT ON VIEW {name} IS {_literal(f'{table.title} Grain: {table.grain}. {table.do_not}'.strip())}",
        *(f'COMMENT ON COLUMN {name}."{c.name}" IS {_literal(comment_on(c))}' for c in table.stored),
    ]


def write_catalog(target: Path, folder: Path, files: Mapping[str, Sequence[str]]) -> None:
    """Write the catalogue of a snapshot.

    Args:
        target: the file to make; it must not exist.
        folder: absolute folder that the snapshot will have when it is read.
        files: table path to its Parquet files, relative to the folder.
    """
    build = target.with_suffix(".building")
    build.unlink(missing_ok=True)
    with duckdb.connect(str(build)) as connection:
        for schema in ("marts", "quality", "restricted"):
            connection.execute(f"CREATE SCHEMA {schema}")
        # a view is bound when it is made: point it at the files as they lie now
        connection.execute(f"SET VARIABLE snapshot_dir = {_literal(str(target.parent))}")
        for path in sorted(files):
            if files[path]:
                table = TABLES[path.split("/")[1]]
                for statement in _view(table, str(folder), files[path], files[path][0].split("/")[0]):
                    connection.execute(statement)
    build.rename(target)


def open_locked(catalog: Path) -> duckdb.DuckDBPyConnection:
    """The catalogue read-only, with no way out of its folder: no other file, no extension, no setting can be reached.

    Raises FileNotFoundError when there is no catalogue.
    """
    catalog = catalog.resolve()
    if not catalog.is_file():
        raise FileNotFoundError(f"{catalog} is missing: publish a snapshot first (aftersale run)")
    connection = duckdb.connect(str(catalog), read_only=True)
    connection.execute(f"SET VARIABLE snapshot_dir = {_literal(str(catalog.parent))}")
    connection.execute(f"SET allowed_directories = [{_literal(str(catalog.parent))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
