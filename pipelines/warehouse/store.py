"""The content-addressed store: immutable Parquet parts, a manifest per version, heads. Publishing is elsewhere.

    store/<layer>/<table>/<key>.parquet                  a whole table
    store/<layer>/<table>/month=YYYY-MM/<key>.parquet    one month, with its own small <key>.json
    store/<layer>/<table>/<key>.<side>.parquet           a side file
    store/<layer>/<table>/<key>.json                     the manifest, written last: it alone makes a version
    store/<layer>/<table>/HEAD.json                      the newest version, for readers outside any run
    rejects/<table>/<key>.parquet, <key>.duplicates.parquet   rejected rows and duplicates, for nobody else's eyes
    runs/<run_id>/heads/<layer>/<table>.json             what this run made or reused

Nothing is replaced in place but heads. A name is given only to a finished, flushed, re-read file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from assets.storage import Part, Staged, Version
from expectations.model import Table
from pipelines.warehouse.files import Files, StorageError, seal, unseal
from pipelines.warehouse.parquet import (
    count_rows,
    damaged,
    read_schema,
    require_schema,
    write_side,
    write_table,
)

REJECTS = "rejects"
NOT_REPRODUCIBLE = "not_reproducible"
_PRIVATE_SIDES = frozenset(
    {REJECTS, "duplicates", "tombstones", "rotation"}
)  # they hold raw ids and raw text

_TABLE = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*\Z")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])\Z")
_WORD = re.compile(r"[a-z][a-z0-9_]*\Z")


def hash_content(parts: Iterable[Part]) -> str:
    """One hash over the parts' bytes and months, whatever order they come in."""
    lines = sorted(f"{part.month} {part.sha256}" for part in parts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Store:
    """The `Warehouse` on a local home. Safe to use from any number of processes at once."""

    def __init__(self, home: Path, files: Files | None = None) -> None:
        self.home = home.absolute()
        self.files = files or Files(self.home)
        self.root = self.home / "store"

    # --- where things are --------------------------------------------------------------------------------------

    def folder(self, table: str, month: str = "") -> Path:
        """Folder of a table, or of one of its months. Raises ValueError on a name that is no table or month."""
        _require(_TABLE, table, "table")
        if not month:
            return self.root / table
        return self.root / table / f"month={_require(_MONTH, month, 'month')}"

    def manifest_path(self, table: str, key: str) -> Path:
        """The file that makes a version."""
        return self.folder(table) / f"{_require(_KEY, key, 'key')}.json"

    def part_path(self, part: Part) -> Path:
        """The Parquet file of a committed part."""
        return self.root / part.path

    def side_path(self, table: str, key: str, side: str) -> Path:
        """Where a side file of a version is, or would be."""
        _require(_KEY, key, "key")
        if _require(_WORD, side, "side") in _PRIVATE_SIDES:
            name = f"{key}.parquet" if side == REJECTS else f"{key}.{side}.parquet"
            return self.home / REJECTS / _require(_TABLE, table, "table").split("/")[1] / name
        return self.folder(table) / f"{key}.{side}.parquet"

    # --- finding -----------------------------------------------------------------------------------------------

    def find(self, table: str, key: str) -> Version | None:
        """The committed version of this recipe, if any.

        Raises StorageError where the manifest or one of its parts is missing, short or unreadable.
        """
        path = self.manifest_path(table, key)
        data = self.files.read(path)
        if data is None:
            return None
        version = _decode_version(unseal(data, path), path)
        for part in version.parts:
            self._require_part(part)
        return version

    def find_part(self, table: str, key: str, month: str) -> Part | None:
        """A committed month of this recipe, if any. Raises StorageError like `find`."""
        _require(_KEY, key, "key")
        path = self.folder(table, month) / f"{key}.json"
        data = self.files.read(path)
        if data is None:
            return None
        part = _decode_part(unseal(data, path), path)
        self._require_part(part)
        return part

    def versions(self, table: str) -> list[Version]:
        """Every committed version of a table, oldest first. Raises StorageError like `find`."""
        manifests = [
            p for p in self.files.entries(self.folder(table)) if p.suffix == ".json" and p.stem != "HEAD"
        ]
        found = [self.find(table, path.stem) for path in manifests]
        return sorted((v for v in found if v), key=lambda v: (v.created_at, v.key))

    def scan(self, contract: Table, version: Version, months: tuple[str, ...] | None = None) -> pl.LazyFrame:
        """The rows of a version, lazily, with the contract's schema; `months` leaves out all other months.

        Raises StorageError where a part can't be read, SchemaMismatchError where it is of another contract.
        """
        return self.scan_parts(contract, [p for p in version.parts if months is None or p.month in months])

    def scan_parts(self, contract: Table, parts: Iterable[Part]) -> pl.LazyFrame:
        """The rows of committed parts. Raises like `scan`."""
        paths = [self.part_path(part) for part in parts]
        for path in paths:
            require_schema(contract, read_schema(path), str(path))
        if not paths:
            return contract.empty()
        return pl.scan_parquet(paths, schema=contract.schema, hive_partitioning=False, glob=False)

    def read_side(self, table: str, key: str, side: str) -> pl.DataFrame | None:
        """A side file's rows; None where the version has none. Raises StorageError when it can't be read."""
        path = self.side_path(table, key, side)
        if not path.exists():
            return None
        read_schema(path)
        return pl.read_parquet(path, glob=False, hive_partitioning=False)

    # --- writing -----------------------------------------------------------------------------------------------

    def stage(
        self, contract: Table, frame: pl.LazyFrame, key: str, metadata: Mapping[str, str], month: str = ""
    ) -> Staged:
        """Write a frame, already sorted, to a temporary file; flush it, read it again, hash it.

        Raises SchemaMismatchError where the frame is not the contract's, StorageError where writing fails.
        """
        _require(_KEY, key, "key")
        final = self.folder(contract.path, month) / f"{key}.parquet"
        file = self.files.temporary(".parquet")
        self.files.produce(file, lambda path: write_table(frame, contract, metadata, path))
        require_schema(contract, read_schema(file), str(file))
        part = self._describe(file, month, key, str(final.relative_to(self.root)))
        self.files.protect(file)
        return Staged(contract.path, part, file)

    def keep_aside(self, staged: Staged, run_id: str) -> Path:
        """Move a file that failed its audit to where people can look at it, and return that path."""
        name = "-".join(filter(None, (staged.table.split("/")[1], staged.part.month)))
        target = self.run_folder(run_id) / "failed" / f"{name}.parquet"
        self.files.move(staged.file, target)
        return target

    def discard(self, staged: Staged) -> None:
        """Forget a staged file."""
        self.files.remove(staged.file)

    def commit(
        self, version: Version, staged: tuple[Staged, ...], sides: Mapping[str, pl.DataFrame]
    ) -> Version:
        """Put staged parts, side files and the manifest into the store, each if absent, the manifest last.

        `version.parts` may hold months reused from earlier versions; rows, hashes and parts of the result are the store's
        own. Where the key is taken, the first version is returned; if its bytes differ, its `facts` say so under
        `not_reproducible`. Raises StorageError; nothing is committed then.
        """
        differing: list[str] = []
        parts = {part.month: part for part in version.parts}
        for item in staged:
            part, same = self._put_part(item)
            parts[part.month] = part
            if not same:
                differing.append(part.path)
        for part in parts.values():
            self._require_part(part)
        for side, frame in sorted(sides.items()):
            self._put_side(self.side_path(version.table, version.key, side), frame)

        ordered = tuple(parts[month] for month in sorted(parts))
        final = replace(
            version,
            parts=ordered,
            rows=sum(part.rows for part in ordered),
            content_hash=hash_content(ordered),
            input_hashes=self._hash_inputs(version),
        )
        if self.files.put_bytes(self.manifest_path(version.table, version.key), seal(asdict(final))):
            return _note(final, differing)
        first = self.find(version.table, version.key)
        if first is None:
            raise StorageError(
                self.manifest_path(version.table, version.key), "read", "it was there a moment ago"
            )
        if first.content_hash != final.content_hash:
            differing.append(str(self.manifest_path(version.table, version.key).relative_to(self.root)))
        return _note(first, differing)

    def _put_part(self, item: Staged) -> tuple[Part, bool]:
        """Returns the part that holds the name, and whether its bytes are the staged ones."""
        final, part = self.part_path(item.part), item.part
        if not self.files.put(item.file, final) and self.files.digest(final) != part.sha256:
            part = replace(self._describe(final, part.month, part.key, part.path), checks=part.checks)
        if part.month:
            self.files.put_bytes(final.with_suffix(".json"), seal(asdict(part)))
        return part, part.sha256 == item.part.sha256

    def keep_sides(self, table: str, key: str, sides: Mapping[str, pl.DataFrame]) -> None:
        """Keep side files of a table that was blocked before it became a version, under a key of the caller's."""
        for side, frame in sorted(sides.items()):
            self._put_side(self.side_path(table, key, side), frame)

    def _put_side(self, final: Path, frame: pl.DataFrame) -> None:
        private = final.is_relative_to(self.home / REJECTS)
        if private:
            self.files.make_folder(self.home / REJECTS, mode=0o700)
        file = self.files.produce(self.files.temporary(".parquet"), lambda path: write_side(frame, path))
        self.files.protect(file, 0o400 if private else 0o444)
        self.files.put(file, final)

    def _hash_inputs(self, version: Version) -> dict[str, str]:
        """Content hashes of the inputs that are tables of this store (landing files are not)."""
        found = {t: self.find(t, key) for t, key in sorted(version.inputs.items()) if _TABLE.match(t)}
        return {table: upstream.content_hash for table, upstream in found.items() if upstream}

    def _describe(self, file: Path, month: str, key: str, path: str) -> Part:
        rows = count_rows(file)
        return Part(month, key, self.files.digest(file), rows, self.files.size(file), path)

    def _require_part(self, part: Part) -> None:
        path = self.part_path(part)
        size = self.files.size(path)
        if size != part.bytes:
            raise damaged(path, f"it has {size} bytes, its manifest says {part.bytes}")

    # --- heads -------------------------------------------------------------------------------------------------

    def run_folder(self, run_id: str) -> Path:
        """Folder of a run."""
        return self.home / "runs" / _require(_KEY, run_id, "run id")

    def record_head(self, run_id: str, version: Version) -> None:
        """Say that this run made or reused a version: its own readers see it first, all others from now on.

        Held against collection by a lock. Raises StorageError when the version was collected in the meantime.
        """
        head = seal({"table": version.table, "key": version.key})
        with self.files.lock(self.root / ".lock"):
            if self.find(version.table, version.key) is None:
                path = self.manifest_path(version.table, version.key)
                raise StorageError(path, "read", "it was collected as too old a moment ago", "run again")
            self.files.replace_bytes(self._run_head(run_id, version.table), head)
            self.files.replace_bytes(self.folder(version.table) / "HEAD.json", head)

    def head(self, table: str, run_id: str = "") -> Version | None:
        """The version a reader should take: this run's, else the newest recorded; None if there was never one.

        Raises StorageError where a head names what is not there.
        """
        paths = [self._run_head(run_id, table)] if run_id else []
        for path in [*paths, self.folder(table) / "HEAD.json"]:
            data = self.files.read(path)
            if data is None:
                continue
            key = str(unseal(data, path)["key"])
            version = self.find(table, key)
            if version is None:
                raise StorageError(
                    path, "follow", f"the store has no version {key}", "remove this file and run again"
                )
            return version
        return None

    def _run_head(self, run_id: str, table: str) -> Path:
        return self.run_folder(run_id) / "heads" / f"{_require(_TABLE, table, 'table')}.json"


def _require(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.match(text):
        raise ValueError(f"{text!r} is no {what} name the store can hold")
    return text


def _note(version: Version, differing: list[str]) -> Version:
    if not differing:
        return version
    return replace(version, facts={**version.facts, NOT_REPRODUCIBLE: differing})


def _decode_part(content: Mapping[str, Any], path: Path) -> Part:
    try:
        return Part(**{**content, "checks": tuple(content.get("checks", ()))})
    except TypeError as cause:
        raise damaged(path, "not a part's manifest") from cause


def _decode_version(content: Mapping[str, Any], path: Path) -> Version:
    try:
        parts = tuple(_decode_part(part, path) for part in content["parts"])
        return Version(**{**content, "parts": parts, "checks": tuple(content["checks"])})
    except (TypeError, KeyError) as cause:
        raise damaged(path, "not a version's manifest") from cause
