"""Where the files of a configured table lie on this machine; what lies elsewhere is fetched first."""

from __future__ import annotations

from glob import glob, has_magic
from os.path import relpath
from pathlib import Path

from assets.landing import SourceUnreachableError
from pipelines.sources.config import Configuration, FileEntry, is_url
from pipelines.sources.database import DatabaseError, fetch
from pipelines.sources.settings import DATABASE


class Locator:
    """The files of a configuration. What was fetched into `cache` stays the same for the life of this object."""

    def __init__(self, configuration: Configuration, cache: Path) -> None:
        self.configuration = configuration
        self._cache = cache
        self._answers: dict[str, Path] = {}  # rows of databases, by table

    def paths(self, table: str, entry: FileEntry) -> tuple[Path, ...]:
        """The files of an entry, sorted. Raises SourceUnreachableError where there are none."""
        if self.configuration.sources[table].sql is not None:
            return (self._fetched(table),)
        if is_url(entry.path):
            said = "this version reads local files only. Copy the files here, or mount the bucket"
            raise SourceUnreachableError(f"{table}: {entry.path}: {said}")
        pattern = str(self.configuration.folder / entry.path)
        # Path.glob would refuse absolute patterns and find hidden files
        found = sorted(glob(pattern, recursive=True)) if has_magic(entry.path) else [pattern]  # noqa: PTH207
        paths = tuple(Path(p) for p in found if not Path(p).is_dir())
        if not paths or not all(p.exists() for p in paths):
            folder = Path(pattern).is_dir()
            hint = (
                f"Did you mean {entry.path.rstrip('/')}/*?"
                if folder
                else "Correct the path, or export the file"
            )
            said = f"no file at {entry.path} (looked in {self.configuration.folder})"
            raise SourceUnreachableError(f"{table}: {said}. {hint}")
        return paths

    def paths_if_any(self, table: str, name: str, entry: FileEntry) -> tuple[Path, ...]:
        """As `paths`; none for an object that its preset can do without, as long as there is another."""
        preset = self.configuration.preset(table)
        if preset is None or preset.objects[name]:
            return self.paths(table, entry)
        try:
            return self.paths(table, entry)
        except SourceUnreachableError:
            if is_url(entry.path) or (
                name == preset.main
                and not any(
                    self.paths_if_any(table, other, self.configuration.sources[table].entries[other])
                    for other in preset.stand_ins
                    if other in self.configuration.sources[table].entries
                )
            ):
                raise
            return ()

    def shown(self, path: Path) -> str:
        """A path as reports show it: relative to the configuration."""
        if path in self._answers.values():
            return DATABASE
        return Path(relpath(path, self.configuration.folder)).as_posix()

    def _fetched(self, table: str) -> Path:
        """The rows of a table's database, asked once; the rest of this landing sees the same answer."""
        if (known := self._answers.get(table)) is None:
            database = self.configuration.sources[table].sql
            try:
                known = fetch(database, self._cache / "databases" / table).path if database else Path()
            except DatabaseError as error:
                raise SourceUnreachableError(f"{table}: {DATABASE}: {error}") from None
            self._answers[table] = known
        return known
