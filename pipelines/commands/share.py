"""Words that hand data out: query, export, catalog."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import duckdb

from expectations.contracts import TABLES
from expectations.dictionary import make_datapackage, write_dictionary
from expectations.model import Audience
from pipelines.exits import Exit, UsageError
from pipelines.terminal import clean, console, show_rows
from pipelines.warehouse.catalog import CATALOG, open_locked, write_catalog
from pipelines.warehouse.snapshots import Snapshot, latest_snapshot


class NothingPublishedError(Exception):
    """There is no snapshot yet."""


def newest_snapshot(home: Path) -> Snapshot:
    """The newest snapshot. Raises NothingPublishedError with what to do."""
    snapshot = latest_snapshot(home)
    if snapshot is None:
        raise NothingPublishedError(
            f"nothing is published in {home}: run `aftersale demo` or `aftersale run` first"
        )
    return snapshot


def run_query(home: Path, sql: str, form: str) -> Exit:
    """Print the rows of a query over the newest snapshot as a table, CSV or JSON. Raises UsageError in DuckDB's words."""
    with open_locked(newest_snapshot(home).path / CATALOG) as connection:
        try:
            cursor = connection.execute(sql)
        except duckdb.Error as error:
            raise UsageError(str(error)) from None
        columns = [c[0] for c in cursor.description or ()]
        if form == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            while rows := cursor.fetchmany(10_000):
                writer.writerows([_neutral(cell) for cell in row] for row in rows)
        elif form == "json":
            found = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            console().print(json.dumps(found, default=str, indent=1, ensure_ascii=False))
        else:
            show_rows("", columns, cursor.fetchall())
    return Exit.PUBLISHED


def _neutral(cell: object) -> object:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t"):
        return "'" + clean(cell)
    return cell


def export_wide(home: Path, folder: Path, *, wide: bool) -> Exit:
    """Copy what is safe to hand around: aggregates with small cells hidden, the board's page, the dictionary.

    Raises UsageError without `--wide` or where the folder holds something.
    """
    if not wide:
        raise UsageError(
            "say --wide: only tables safe to hand around are exported; analysts read published/latest itself"
        )
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: name a new folder")
    snapshot = newest_snapshot(home)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {
        path: facts["files"]
        for path, facts in sorted(snapshot.tables.items())
        if facts["files"] and TABLES[path.split("/")[1]].audience is Audience.WIDE
    }
    for name in (name for files in chosen.values() for name in files):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot.path / name, target)
    shutil.copyfile(snapshot.path / "board.html", folder / "board.html")
    write_catalog(folder / CATALOG, folder.absolute(), chosen)
    tables = [TABLES[path.split("/")[1]] for path in chosen]
    (folder / "data_dictionary.md").write_text(write_dictionary(tables))
    package = make_datapackage(
        chosen, name="aftersale-wide", version=str(snapshot.number), as_of=snapshot.as_of
    )
    (folder / "datapackage.json").write_text(json.dumps(package, indent=1))
    console().print(f"{len(chosen)} tables of snapshot {snapshot.number} are in {folder}.")
    return Exit.PUBLISHED


def rewrite_catalog(folder: Path) -> Exit:
    """Make the catalogue of a copied snapshot point at where it lies now. Raises UsageError where there are no tables."""
    folder = folder.absolute()
    files: dict[str, list[str]] = {}
    for file in sorted(folder.glob("*/**/*.parquet")):
        layer, table = (
            file.relative_to(folder).parts[0],
            file.relative_to(folder).parts[1].removesuffix(".parquet"),
        )
        if table in TABLES:
            files.setdefault(f"{layer}/{table}", []).append(str(file.relative_to(folder)))
    if not files:
        raise UsageError(
            f"{folder} holds no marts/*.parquet: name the folder of a snapshot, such as published/latest"
        )
    (folder / CATALOG).unlink(missing_ok=True)
    write_catalog(folder / CATALOG, folder, files)
    console().print(f"{folder / CATALOG} has {len(files)} views.")
    return Exit.PUBLISHED
