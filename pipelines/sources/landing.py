"""The door as configured: every source table read to `assets.landing.Landed`, whatever its kind."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path

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
from pipelines.sources.allowed import allow_mapped
from pipelines.sources.config import Configuration, FileEntry
from pipelines.sources.fingerprints import FileHashes, Stamp
from pipelines.sources.locating import CHANGED, Locator
from pipelines.sources.mapping import Plan, describe_missing, plan_columns
from pipelines.sources.opened import INLINE, QUERY, Opened, open_answer, open_rows
from pipelines.sources.preset import adapt
from pipelines.sources.readers.frame import SourceFile, UnreadableError
from pipelines.sources.readers.kinds import HEAD, Wanted, read_file
from pipelines.sources.transform import map_rows, null_tokens, prove, run_query, stack

_LEFT_BEHIND_SECONDS = 86_400  # longer than any run


class ConfiguredLanding:
    """`assets.landing.Landing` over a configuration.

    `cache_dir` keeps hashes between runs; decompressed, transcoded and cleaned copies live in a private folder below
    it, until `close` or the end of the process: the lazy frames of `read` still need them.
    `first_look`: for `outline` and `sample` alone, nothing is fetched as a whole.
    """

    def __init__(self, configuration: Configuration, cache_dir: Path, *, first_look: bool = False) -> None:
        self.configuration = configuration
        cache_dir.mkdir(parents=True, exist_ok=True)
        cache_dir.chmod(0o700)  # answers of databases stay there, with all they hold
        self._hashes = FileHashes(cache_dir)
        self.located = Locator(configuration, cache_dir, first_look=first_look)
        self._work = _private_folder(cache_dir)
        self._sweep = atexit.register(partial(shutil.rmtree, self._work, ignore_errors=True))
        self._folders = count()
        self._announced: dict[
            str, dict[Path, tuple[Stamp, str]]
        ] = {}  # what `version` saw, until the next `read`
        self._stamps: dict[str, dict[Path, Stamp]] = {}  # what `read` saw

    def close(self) -> None:
        """Remove the copies; frames that were read and not yet written are lost."""
        atexit.unregister(self._sweep)
        self._sweep()

    def version(self, table: str) -> str | None:
        """Content hash of the table's source and mapping; None where it is not mapped.

        Raises SourceUnreachableError. A file that is another one by the time of `read` blocks there.
        """
        source = self.configuration.sources.get(table)
        if source is None:
            return None
        digest = hashlib.sha256(self.configuration.fingerprint(table).encode())
        seen = self._announced[table] = {}
        for name, entry in sorted(source.entries.items()):
            for path in self.located.paths_if_any(table, name, entry):
                with self._blaming(table, self.located.shown(path)):
                    seen[path] = self.located.stamp(path), self._hashes.sha256(path)
                digest.update(json.dumps([name, self.located.shown(path), seen[path][1]]).encode())
        self._hashes.save()
        return digest.hexdigest()

    def contents(self, table: str) -> Mapping[str, tuple[Stamp, str]]:
        """Stamp and SHA-256 of each file of a table, by the path reports show; raises as `version`."""
        self.version(table)
        return {self.located.shown(path): facts for path, facts in self._announced.get(table, {}).items()}

    def read(self, table: str) -> Landed:
        """The landed table. Raises LandingBlockedError or SourceUnreachableError, KeyError where it is not mapped."""
        return self._read(table, head=None)

    def sample(self, table: str, head: int = HEAD) -> Landed:
        """The landed head of every file of a table, about `head` bytes each; raises as `read` does."""
        return self._read(table, head)

    def outline(self, table: str, head: int = HEAD) -> Plan:
        """What maps and what is missing, from the heads of the files; raises as `read` does, but not for the missing."""
        return self._plan(table, self._open_source(table, self._new_folder(), head))

    def columns(self, table: str) -> frozenset[str]:
        """Contract columns that the table will have; those configured where its files can't be read."""
        try:
            return self.outline(table).columns
        except (LandingBlockedError, SourceUnreachableError):
            return self.configuration.declared_columns[table]

    def company_for(self, as_of: date) -> Company:
        """The settings of a run, with the columns that the sources really bring."""
        tables = sorted(self.configuration.sources)
        return self.configuration.company_for(as_of, {table: self.columns(table) for table in tables})

    def confirm_unchanged(self, table: str) -> None:
        """Raise LandingBlockedError where a file is not what it was when `read` began.

        `read` calls it at its end; whoever collects the lazy rows later calls it again before committing them.
        """
        for path, stamp in self._stamps.get(table, {}).items():
            with self._blaming(table, self.located.shown(path)):
                self.located.check_unchanged(path, stamp)

    def _read(self, table: str, head: int | None) -> Landed:
        source, contract = self.configuration.sources[table], self.configuration.tables[table]
        folder = self._new_folder()
        opened = self._open_source(table, folder, head)
        plan = self._plan(table, opened)
        with self._blaming(table):
            if plan.missing:
                raise describe_missing(contract, plan, opened.columns)
            mapped, notes = map_rows(source, plan, opened, folder)
        self.confirm_unchanged(table)
        raw = opened.raw_reader()
        faults = raw(mapped.faults.drop("raw").rename({"file": FILE, "record": RECORD}))
        faults = faults.rename({FILE: "file", RECORD: "record"}).select(REJECTS.names())
        unused = dict.fromkeys((f"unused_column:{name}" for name in plan.unused), 1)
        return Landed(
            table=contract.name,
            rows=mapped.rows,
            rejects=pl.concat([*opened.rejects(), faults]),
            files=opened.facts,
            columns=plan.columns,
            reading=source.reading,
            raw=raw,
            filtered=mapped.filtered,
            notes=tuple(sorted({**opened.notes, **notes, **unused}.items())),
        )

    def _plan(self, table: str, opened: Opened) -> Plan:
        with self._blaming(table):
            contract, source = self.configuration.tables[table], self.configuration.sources[table]
            return plan_columns(contract, source.columns, opened.columns, source.where or "")

    def _open_source(self, table: str, folder: Path, head: int | None) -> Opened:
        source = self.configuration.sources[table]
        announced = self._announced.pop(table, {}) if head is None else {}
        self._stamps[table] = {path: stamp for path, (stamp, _) in announced.items()}
        if source.rows is not None:
            return open_rows(source.rows)
        inputs = {
            name: self._open_files(table, name, entry, folder, head, announced)
            for name, entry in source.entries.items()
            if self.located.paths_if_any(table, name, entry)
        }
        if source.query is None:
            return inputs["source"]
        frames = {}
        for name, opened in inputs.items():
            preset, contract = self.configuration.preset(table), self.configuration.tables[table]
            with self._blaming(table):
                allowed = allow_mapped(contract, source, preset, name)(opened.columns)
                prove(opened.files, allowed)
            rows, _ = stack(opened.files, opened.columns)
            schema = rows.collect_schema()
            cells = null_tokens(
                [c for c in opened.columns if c in allowed], schema, source.entries[name].null_tokens
            )
            empty = [pl.lit(None, schema[c]).alias(c) for c in opened.columns if c not in allowed]
            frames[name] = rows.select(*cells, *empty), opened.columns
        own: tuple[str, ...] = ()
        with self._blaming(table, QUERY):
            if (preset := self.configuration.preset(table)) is not None:
                frames, own = adapt(preset, frames, (*source.columns.values(), source.where or ""))
            return open_answer(run_query(frames, source.query, folder, own), inputs, source.query)

    def _open_files(
        self,
        table: str,
        name: str,
        entry: FileEntry,
        folder: Path,
        head: int | None,
        announced: Mapping[Path, tuple[Stamp, str]],
    ) -> Opened:
        files: list[SourceFile] = []
        facts: list[LandedFile] = []
        notes: Counter[str] = Counter()
        numbers = count(len(list(folder.iterdir())))
        expected = self._expected_columns(table)
        first: dict[
            str, str
        ] = {}  # file that had this content first: under a second name it is no second delivery
        for path in self.located.paths(table, name, entry):
            wanted = Wanted(self.located.shown(path), entry, expected, head)
            with self._blaming(table, wanted.shown):
                self._stamps[table].setdefault(path, self.located.stamp(path))
                file, digest = read_file(path, wanted, lambda suffix: folder / f"{next(numbers)}{suffix}")
                digest = digest or ("" if head else self._hashes.sha256(path))
                if path in announced and digest != announced[path][1]:
                    raise UnreadableError(*CHANGED)
                if digest and first.setdefault(digest, wanted.shown) != wanted.shown:
                    notes[f"records_delivered_again:{wanted.shown}"] = file.records
                    continue
                facts.append(LandedFile(wanted.shown, digest, path.stat().st_size, file.records))
            files.append(file)
            notes.update(file.notes)
        return Opened(tuple(files), tuple(facts), notes)

    def _expected_columns(self, table: str) -> frozenset[str]:
        """Names that the header of a plain source should have; none are known for the files of a query."""
        source = self.configuration.sources[table]
        if source.query is not None:
            return frozenset()
        door = {c.name for c in self.configuration.tables[table].door}
        return frozenset(source.columns.values()) | (door - set(source.columns))

    def _new_folder(self) -> Path:
        folder = self._work / str(next(self._folders))
        folder.mkdir()
        return folder

    @contextmanager
    def _blaming(self, table: str, file: str = "") -> Iterator[None]:
        """Say which table and file an error is about."""
        source = self.configuration.sources[table]
        file = file or source.path or (INLINE if source.rows is not None else QUERY)
        try:
            yield
        except UnreadableError as error:
            raise LandingBlockedError(table, error.file or file, error.reason, error.hint) from None
        except FileNotFoundError:
            raise LandingBlockedError(
                table, file, "the file vanished while it was read", "Run again"
            ) from None
        except OSError as error:
            said = error.strerror or str(error)
            raise SourceUnreachableError(
                f"{table}: {file}: {said}. Check that the file can be read"
            ) from None


def _private_folder(cache: Path) -> Path:
    """A new folder for copies, readable by its owner only; those that killed runs left behind a day ago go."""
    for old in cache.glob("reading-*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                shutil.rmtree(old)
    return Path(tempfile.mkdtemp(prefix="reading-", dir=cache)).resolve()
