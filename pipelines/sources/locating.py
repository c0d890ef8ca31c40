"""Where the rows of a configured table lie on this machine, as files; what lies elsewhere is fetched first."""

from __future__ import annotations

from glob import glob, has_magic
from os.path import relpath
from pathlib import Path

from assets.landing import LandingBlockedError, SourceUnreachableError
from pipelines.objects import SCHEMES, ObjectStoreError, Trouble, is_object_url
from pipelines.sources.allowed import Allow, allow_mapped
from pipelines.sources.config import Configuration, FileEntry, is_url
from pipelines.sources.database import DatabaseError, NoSuchTableError, fetch
from pipelines.sources.delta import DeltaError, fetch_delta
from pipelines.sources.fingerprints import Stamp, stamp_of
from pipelines.sources.readers.frame import UnreadableError
from pipelines.sources.readers.kinds import HEAD_RECORDS
from pipelines.sources.remote import RemoteFiles
from pipelines.sources.settings import DATABASE

CHANGED = ("the file changed while it was read", "Wait until its writer is done, then run again")


class NothingThereError(SourceUnreachableError):
    """The place can be looked at, and holds nothing of that name."""


class Locator:
    """The files of a configuration. What was fetched into `cache` stays the same for the life of this object.

    `first_look`: of databases, Delta tables and object stores only the first rows are fetched.
    """

    def __init__(self, configuration: Configuration, cache: Path, *, first_look: bool = False) -> None:
        self.configuration = configuration
        self._cache = cache
        self._limit = HEAD_RECORDS if first_look else None
        self._remote = RemoteFiles(cache / "objects", first_look=first_look)
        self._answers: dict[tuple[str, str], Path] = {}  # rows of databases and Delta tables, asked once
        self._names: dict[Path, str] = {}  # what reports call them

    def paths(self, table: str, name: str, entry: FileEntry) -> tuple[Path, ...]:
        """The files of an entry, sorted. Raises SourceUnreachableError where there are none."""
        if entry.sql is not None or entry.delta is not None:
            return (self._answer(table, name, entry),)
        if is_object_url(entry.path):
            return self._objects(table, entry.path)
        if is_url(entry.path):
            known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise SourceUnreachableError(f"{table}: {entry.path}: read are local files and {known}")
        pattern = str(self.configuration.folder / entry.path)
        # Path.glob would refuse absolute patterns and find hidden files
        found = sorted(glob(pattern, recursive=True)) if has_magic(entry.path) else [pattern]  # noqa: PTH207
        paths = tuple(Path(p) for p in found if not Path(p).is_dir())
        if not paths or not all(p.exists() for p in paths):
            hint = _hint(entry.path, folder=Path(pattern).is_dir())
            raise NothingThereError(
                f"{table}: no file at {entry.path} (looked in {self.configuration.folder}). {hint}"
            )
        return paths

    def paths_if_any(self, table: str, name: str, entry: FileEntry) -> tuple[Path, ...]:
        """As `paths`; none for an object that its preset can do without, as long as there is another."""
        preset = self.configuration.preset(table)
        if preset is None or preset.objects[name]:
            return self.paths(table, name, entry)
        try:
            return self.paths(table, name, entry)
        except NothingThereError:
            entries = self.configuration.sources[table].entries
            others = [other for other in preset.stand_ins if other in entries]
            if name == preset.main and not any(self.paths_if_any(table, o, entries[o]) for o in others):
                raise
            return ()

    def shown(self, path: Path) -> str:
        """A path as reports show it: relative to the configuration, or the address it was fetched from."""
        known = self._names.get(path) or self._remote.address(path)
        if known is None:
            known = self._names[path] = Path(relpath(path, self.configuration.folder)).as_posix()
        return known

    def stamp(self, path: Path) -> Stamp:
        """Which version of a file is read; raises OSError."""
        return stamp_of(path) if self._remote.address(path) is None else self._remote.stamp(path)

    def check_unchanged(self, path: Path, stamp: Stamp) -> None:
        """Raise UnreadableError where a file is another one by now, OSError where it can't be told."""
        try:
            now = stamp_of(path) if self._remote.address(path) is None else self._remote.stamp_now(path)
        except ObjectStoreError as error:
            if error.trouble is Trouble.ABSENT:
                raise FileNotFoundError(str(error)) from None
            raise SourceUnreachableError(str(error)) from None
        if now != stamp:
            raise UnreadableError(*CHANGED)

    def _objects(self, table: str, url: str) -> tuple[Path, ...]:
        try:
            paths = self._remote.find(url)
        except ObjectStoreError as error:
            if error.trouble is Trouble.CHANGED:
                raise LandingBlockedError(table, url, *CHANGED) from None
            if error.trouble is Trouble.ABSENT:
                raise NothingThereError(f"{table}: {error}. {_hint(url, folder=url.endswith('/'))}") from None
            raise SourceUnreachableError(f"{table}: {error}") from None
        if not paths:
            raise NothingThereError(f"{table}: no object matches {url}. {_hint(url, folder=False)}")
        return paths

    def _answer(self, table: str, name: str, entry: FileEntry) -> Path:
        """The rows of a database or a Delta table; the rest of this landing sees the same ones."""
        if (known := self._answers.get((table, name))) is None:
            part = table if name == "source" else f"{table}/{name}"
            configured, contract = self.configuration.sources[table], self.configuration.tables[table]
            allow = allow_mapped(contract, configured, self.configuration.preset(table), name)
            known, said = self._ask(table, part, entry, allow)
            self._answers[table, name] = known
            self._names[known] = said
        return known

    def _ask(self, table: str, part: str, entry: FileEntry, allow: Allow) -> tuple[Path, str]:
        try:
            if entry.sql is not None:
                found = fetch(entry.sql, self._cache / "databases" / part, allow=allow, limit=self._limit)
                return found.path, DATABASE if part == table else f"{DATABASE}:{part.rpartition('/')[2]}"
            if entry.delta is not None:
                root = self.configuration.folder
                folder = self._cache / "delta" / part
                pinned = fetch_delta(entry.delta, root, folder, allow=allow, limit=self._limit)
                return pinned.path, f"{entry.delta.path}@{pinned.version}"
        except NoSuchTableError as error:
            raise NothingThereError(f"{table}: {DATABASE}: {error}") from None
        except DatabaseError as error:
            raise SourceUnreachableError(f"{table}: {DATABASE}: {error}") from None
        except DeltaError as error:
            raise SourceUnreachableError(
                f"{table}: {entry.delta.path if entry.delta else part}: {error}"
            ) from None
        raise AssertionError(part)


def _hint(path: str, *, folder: bool) -> str:
    return f"Did you mean {path.rstrip('/')}/*?" if folder else "Correct the path, or export the file"
