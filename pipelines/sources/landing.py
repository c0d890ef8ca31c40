"""The door as configured: every source table read to `assets.landing.Landed`, whatever its kind."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from glob import glob, has_magic
from itertools import count
from os.path import relpath
from pathlib import Path

import numpy as np
import polars as pl

from assets.company import Company
from assets.landing import (
    FILE,
    RECORD,
    REJECTS,
    Landed,
    LandedFile,
    LandingBlockedError,
    SourceUnreachableError,
)
from pipelines.sources.config import Configuration, FileEntry, Source, is_url
from pipelines.sources.fingerprints import FileHashes, Stamp, stamp_of
from pipelines.sources.mapping import Plan, describe_missing, plan_columns
from pipelines.sources.readers.delimited import DELIMITERS, read_delimited
from pipelines.sources.readers.frame import SOURCE_RECORD, SourceFile, UnreadableError
from pipelines.sources.readers.jsonl import read_jsonl
from pipelines.sources.readers.opening import open_plain
from pipelines.sources.readers.records import Dialect
from pipelines.sources.readers.typed import decode_fully, read_parquet
from pipelines.sources.transform import (
    QUERY,
    compute,
    null_tokens,
    rename,
    run_query,
    stack,
    union_columns,
)
from pipelines.sources.transform import (
    Table as MappedTable,
)

INLINE = "aftersale.yaml"  # stands for the file where rows are written in the configuration

_LEFT_BEHIND_SECONDS = 86_400  # longer than any run

_TEXT = frozenset({".csv", ".txt", *DELIMITERS})
_LINES = frozenset({".jsonl", ".ndjson", ".json"})
_PARQUET = frozenset({".parquet", ".pq"})
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "Parquet",
}


@dataclass(frozen=True)
class Opened:
    """The files of one source, read. `consumed` went into a query: of them only the bad records are still to come."""

    files: tuple[SourceFile, ...]
    facts: tuple[LandedFile, ...]
    notes: Mapping[str, int]
    consumed: tuple[SourceFile, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of all files in order of appearance."""
        return union_columns(self.files)


class ConfiguredLanding:
    """`assets.landing.Landing` over a configuration.

    `cache_dir` keeps hashes between runs; decompressed, transcoded and cleaned copies live in a private folder below
    it, as long as this object. The frames of `read` need that folder: keep the object until they are written.
    """

    def __init__(self, configuration: Configuration, cache_dir: Path) -> None:
        self.configuration = configuration
        cache_dir.mkdir(parents=True, exist_ok=True)
        self._hashes = FileHashes(cache_dir)
        self._work = _private_folder(cache_dir)
        self._sweep = weakref.finalize(self, shutil.rmtree, self._work, ignore_errors=True)
        self._folders = count()
        self._stamps: dict[str, dict[Path, Stamp]] = {}

    def close(self) -> None:
        """Remove the copies; frames that were read and not yet written are lost."""
        self._sweep()

    def version(self, table: str) -> str | None:
        """Content hash of the table's source and mapping; None where it is not mapped.

        Raises LandingBlockedError or SourceUnreachableError.
        """
        source = self.configuration.sources.get(table)
        if source is None:
            return None
        digest = hashlib.sha256(self.configuration.fingerprint(table).encode())
        for name, entry in sorted(source.entries.items()):
            for path in self.paths(table, entry):
                with self._blaming(table, path):
                    digest.update(json.dumps([name, self.shown(path), self._hashes.sha256(path)]).encode())
        self._hashes.save()
        return digest.hexdigest()

    def read(self, table: str) -> Landed:
        """The landed table. Raises LandingBlockedError or SourceUnreachableError, KeyError where it is not mapped."""
        source, contract = self.configuration.sources[table], self.configuration.tables[table]
        folder = self._new_folder()
        self._stamps[table] = {}
        opened = self._open_source(table, source, folder)
        with self._blaming(table, None):
            plan = self.plan(table, opened)
            self._check_each_file(table, plan, opened)
            mapped, notes = self._map(source, plan, opened, folder)
        self.confirm_unchanged(table)
        raw = _raw_reader((*opened.files, *opened.consumed))
        faults = raw(mapped.faults.drop("raw").rename({"file": FILE, "record": RECORD}))
        faults = faults.rename({FILE: "file", RECORD: "record"}).select(REJECTS.names())
        structural = [file.rejects() for file in (*opened.files, *opened.consumed)]
        counts = (
            Counter(opened.notes) + Counter(notes) + Counter({f"unused_column:{c}": 1 for c in plan.unused})
        )
        return Landed(
            table=contract.name,
            rows=mapped.rows,
            rejects=pl.concat([*structural, faults]),
            files=opened.facts,
            columns=plan.columns,
            reading=source.reading,
            raw=raw,
            filtered=mapped.filtered,
            notes=tuple(sorted(counts.items())),
        )

    def confirm_unchanged(self, table: str) -> None:
        """Raise LandingBlockedError where a file is not what it was when `read` began.

        `read` calls it at its end; whoever collects the lazy rows later calls it again before committing them.
        """
        for path, stamp in self._stamps.get(table, {}).items():
            with self._blaming(table, path):
                if stamp_of(path) != stamp:
                    raise UnreadableError(
                        "the file changed while it was read", "Wait until its writer is done, then run again"
                    )

    def columns(self, table: str) -> frozenset[str]:
        """Contract columns that the table will have, from the heads of its files; those configured where it blocks."""
        source = self.configuration.sources[table]
        try:
            opened = self._open_source(table, source, self._new_folder(), head=1 << 16)
            with self._blaming(table, None):
                return self.plan(table, opened, lenient=True).columns
        except (LandingBlockedError, SourceUnreachableError):
            return self.configuration.declared_columns[table]

    def company_for(self, as_of: date) -> Company:
        """The settings of a run, with the columns that the sources really bring."""
        tables = sorted(self.configuration.sources)
        return self.configuration.company_for(as_of, {table: self.columns(table) for table in tables})

    def paths(self, table: str, entry: FileEntry) -> tuple[Path, ...]:
        """The files of an entry, sorted. Raises SourceUnreachableError where there are none."""
        if is_url(entry.path):
            raise SourceUnreachableError(
                f"{table}: {entry.path}: this version reads local files only. Copy the files here, or mount the bucket"
            )
        pattern = str(self.configuration.folder / entry.path)
        found = sorted(glob(pattern, recursive=True)) if has_magic(entry.path) else [pattern]
        paths = tuple(Path(p) for p in found if not Path(p).is_dir())
        if not paths or not all(p.exists() for p in paths):
            hint = (
                f"Did you mean {entry.path.rstrip('/')}/*?"
                if Path(pattern).is_dir()
                else "Correct the path, or export the file"
            )
            raise SourceUnreachableError(
                f"{table}: no file at {entry.path} (looked in {self.configuration.folder}). {hint}"
            )
        return paths

    def shown(self, path: Path) -> str:
        """A path as reports show it: relative to the configuration."""
        return Path(relpath(path, self.configuration.folder)).as_posix()

    def plan(self, table: str, opened: Opened, *, lenient: bool = False) -> Plan:
        """How the table's columns are made; raises UnreadableError where one is missing, unless lenient."""
        contract = self.configuration.tables[table]
        plan = plan_columns(contract, self.configuration.sources[table].columns, opened.columns)
        if plan.missing and not lenient:
            raise describe_missing(contract, plan, opened.columns)
        return plan

    def open_source(self, table: str, head: int) -> Opened:
        """The head of a source, for looking at it. Raises LandingBlockedError or SourceUnreachableError."""
        return self._open_source(table, self.configuration.sources[table], self._new_folder(), head)

    def _open_source(self, table: str, source: Source, folder: Path, head: int | None = None) -> Opened:
        if source.rows is not None:
            return _inline(source.rows)
        if source.query is None:
            return self._open_entry(table, source, source.entries["source"], folder, head)
        inputs = {
            name: self._open_entry(table, source, entry, folder, head)
            for name, entry in source.entries.items()
        }
        sources = {}
        for name, opened in inputs.items():
            with self._blaming(table, None, name):
                rows, _ = stack(opened.files, opened.columns)
                tokens = source.entries[name].null_tokens
                cells = null_tokens(opened.columns, rows.collect_schema(), tokens)
                sources[name] = rows.select(*cells), opened.columns
        with self._blaming(table, None, QUERY):
            answer = run_query(sources, source.query, folder)
        return _answered(answer, inputs, source.query)

    def _open_entry(
        self, table: str, source: Source, entry: FileEntry, folder: Path, head: int | None
    ) -> Opened:
        files, facts, notes = [], [], Counter[str]()
        for path in self.paths(table, entry):
            with self._blaming(table, path):
                stamp = stamp_of(path)
                file, fact = self._open_file(table, source, entry, path, folder, head)
                self._stamps.setdefault(table, {})[path] = stamp
            files.append(file)
            facts.append(fact)
            notes.update(file.notes)
        return Opened(tuple(files), tuple(facts), notes)

    def _open_file(
        self, table: str, source: Source, entry: FileEntry, path: Path, folder: Path, head: int | None
    ) -> tuple[SourceFile, LandedFile]:
        shown, numbers = self.shown(path), count()

        def new_file(suffix: str) -> Path:
            return folder / f"{len(self._stamps.get(table, {}))}-{next(numbers)}{suffix}"

        suffix = _suffix(path)
        _refuse_foreign(path, suffix)
        if suffix in _PARQUET:
            file = read_parquet(path, shown)
            digest = "" if head else self._hashes.sha256(path)
            return file, LandedFile(shown, digest, path.stat().st_size, file.records)
        plain = open_plain(path, entry.encoding, new_file, head)
        if suffix in _LINES:
            file = read_jsonl(plain.path, shown, new_file)
        else:
            dialect = Dialect(entry.delimiter or DELIMITERS.get(suffix, ","), entry.quote)
            expected = _expected(self.configuration, table, source)
            file = read_delimited(plain.path, shown, dialect, new_file, expected)
        notes = {**plain.notes, **file.notes}
        return replace(file, notes=notes), LandedFile(shown, plain.sha256, plain.bytes, file.records)

    def _map(
        self, source: Source, plan: Plan, opened: Opened, folder: Path
    ) -> tuple[MappedTable, Mapping[str, int]]:
        if source.where is None and not any(m.expression for m in plan.mapped):
            needed = list(dict.fromkeys(m.renamed for m in plan.mapped if not m.personal))
            for file in opened.files:
                _check_decodes(file, needed)
            rows, notes = stack(opened.files, needed)
            return rename(rows, plan), notes
        rows, notes = stack(opened.files, opened.columns)
        return compute(rows, opened.columns, plan, source.where, source.null_tokens, folder), notes

    def _check_each_file(self, table: str, plan: Plan, opened: Opened) -> None:
        """A column that may never be null must be in every file of a glob."""
        for file in opened.files:
            lacking = [
                m.renamed for m in plan.mapped if m.required and m.renamed and m.renamed not in file.columns
            ]
            if lacking:
                hint = "Other files of this source have it: was it renamed? Read the files as two tables of a query"
                raise LandingBlockedError(table, file.path, f"the column {lacking[0]!r} is missing", hint)

    def _new_folder(self) -> Path:
        folder = self._work / str(next(self._folders))
        folder.mkdir()
        return folder

    @contextmanager
    def _blaming(self, table: str, path: Path | None, name: str = "") -> Iterator[None]:
        """Say which table and file an error is about."""
        file = self.shown(path) if path else name or self._where(table)
        try:
            yield
        except UnreadableError as error:
            raise LandingBlockedError(table, file, error.reason, error.hint) from None
        except FileNotFoundError:
            raise LandingBlockedError(
                table, file, "the file vanished while it was read", "Run again"
            ) from None
        except OSError as error:
            said = error.strerror or str(error)
            raise SourceUnreachableError(
                f"{table}: {file}: {said}. Check that the file can be read"
            ) from None

    def _where(self, table: str) -> str:
        source = self.configuration.sources[table]
        return source.path or (INLINE if source.rows is not None else QUERY)


def _private_folder(cache: Path) -> Path:
    """A new folder for copies, readable by its owner only; those that killed runs left behind a day ago go."""
    for old in cache.glob("reading-*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                shutil.rmtree(old)
    return Path(tempfile.mkdtemp(prefix="reading-", dir=cache)).resolve()


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix in _TEXT | _LINES | _PARQUET:
        return suffix
    if suffix in {".xlsx", ".xls", ".ods"}:
        raise UnreadableError("spreadsheets are not read in this version", "Save the sheet as CSV (UTF-8)")
    raise UnreadableError(
        f"files called {suffix or path.name!r} are not read",
        "Read are .csv .tsv .txt .jsonl .parquet, text also as .gz",
    )


def _refuse_foreign(path: Path, suffix: str) -> None:
    with path.open("rb") as file:
        first = file.read(4)
    if not first:
        raise UnreadableError(
            "the file has 0 bytes", "Export it again; a file without rows still has a header"
        )
    kind = _FOREIGN.get(first)
    if kind and not (kind == "Parquet" and suffix in _PARQUET):
        raise UnreadableError(
            f"the file is {kind}, whatever its name says", "Export it as CSV (UTF-8), or correct its name"
        )


def _expected(configuration: Configuration, table: str, source: Source) -> frozenset[str]:
    """Names that the header of a plain source should have."""
    if source.query is not None:
        return frozenset()
    door = {c.name for c in configuration.tables[table].door}
    return frozenset(source.columns.values()) | (door - set(source.columns))


def _check_decodes(file: SourceFile, needed: Sequence[str]) -> None:
    if _suffix_of_shown(file.path) in _PARQUET:
        present = [c for c in needed if c in file.columns]
        rows = decode_fully(file.rows.select(*present, SOURCE_RECORD))
        if rows != file.records:
            raise UnreadableError(
                f"{file.path} holds {rows:,} rows, its footer says {file.records:,}", "Fetch it again"
            )


def _suffix_of_shown(shown: str) -> str:
    return Path(shown).suffix.lower()


def _inline(rows: Sequence[Mapping[str, str | None]]) -> Opened:
    """Rows written in the configuration."""
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    frame = pl.DataFrame(
        {name: [row.get(name) for row in rows] for name in columns}
        | {SOURCE_RECORD: range(1, len(rows) + 1)},
        schema={**dict.fromkeys(columns, pl.String()), SOURCE_RECORD: pl.Int64()},
    )
    data = json.dumps(texts).encode()
    fact = LandedFile(INLINE, hashlib.sha256(data).hexdigest(), len(data), len(rows))
    file = SourceFile(
        INLINE, columns, frame.lazy(), len(rows), lambda numbers: [texts[n - 1] for n in numbers]
    )
    return Opened((file,), (fact,), {})


def _answered(answer: SourceFile, inputs: Mapping[str, Opened], query: str) -> Opened:
    """A query's result as one more file.

    The input files stay listed, each with the records that never reached the query, so that files' records =
    rows + rejects + filtered holds here too; how many were read is in the notes.
    """
    consumed, facts, notes = [], [], Counter[str]()
    digest = hashlib.sha256(query.encode())
    for name, opened in inputs.items():
        notes.update(opened.notes)
        for file, fact in zip(opened.files, opened.facts, strict=True):
            digest.update(fact.sha256.encode())
            notes[f"records_read:{name}"] += file.records
            consumed.append(file)
            facts.append(replace(fact, records=len(file.bad)))
    first = LandedFile(QUERY, digest.hexdigest(), len(query.encode()), answer.records)
    return Opened((answer,), (first, *facts), notes, tuple(consumed))


def _raw_reader(files: Sequence[SourceFile]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """`Landed.raw`: the text of records by file and number."""
    by_path = {file.path: file for file in files}

    def raw(records: pl.DataFrame) -> pl.DataFrame:
        found = [pl.DataFrame(schema={FILE: pl.String(), RECORD: pl.Int64(), "raw": pl.String()})]
        for (path,), group in records.select(FILE, RECORD).unique().group_by(FILE):
            numbers = np.sort(group[RECORD].to_numpy()).astype(np.int64)
            texts = by_path[str(path)].raw(numbers)
            found.append(pl.DataFrame({FILE: [path] * len(texts), RECORD: numbers, "raw": texts}))
        return records.join(pl.concat(found), on=[FILE, RECORD], how="left", maintain_order="left")

    return raw
