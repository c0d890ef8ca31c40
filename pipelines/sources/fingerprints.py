"""Content hashes of source files, remembered by path, size, modification time and inode, so that nothing is read twice."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from pipelines.sources.readers.opening import hash_file

Stamp = tuple[int | str, ...]

_SETTLED_NS = 2_000_000_000  # a file touched this recently may change again within the same clock tick


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Size, modification time in ns, inode; raises OSError."""
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


class FileHashes:
    """The remembered hashes; an unreadable or foreign cache is simply empty."""

    def __init__(self, cache: Path) -> None:
        self._file = cache / "source_hashes.json"
        self._known: dict[str, list[object]] = {}
        with suppress(OSError, ValueError):
            loaded = json.loads(self._file.read_text("utf-8"))
            self._known = {k: v for k, v in loaded.items() if isinstance(v, list) and len(v) == 4}

    def sha256(self, path: Path) -> str:
        """Content hash (hex) of a file; raises OSError."""
        stamp, key = stamp_of(path), os.path.abspath(path)  # noqa: PTH100 (absolute() keeps `..`)
        known = self._known.get(key)
        if known is not None and tuple(known[:3]) == stamp:
            return str(known[3])
        digest = hash_file(path)
        if stamp_of(path) == stamp and time.time_ns() - stamp[1] > _SETTLED_NS:
            self._known[key] = [*stamp, digest]
        return digest

    def save(self) -> None:
        """Remember what was hashed, for the next process."""
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        with suppress(OSError):  # only speed is lost
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(self._known, sort_keys=True), "utf-8")
            draft.replace(self._file)
