"""Every change to the home goes through `Files`, so that each one can be made to fail on purpose.

Knows paths and bytes only: no tables, no keys, no snapshots. The home must be one file system.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_HINTS: dict[int, str] = {
    errno.ENOSPC: "free some space and run again",
    errno.EDQUOT: "the quota is used up: free some space and run again",
    errno.EROFS: "the file system is read-only: make it writable or choose another home",
    errno.EACCES: "check who owns the folder and who may write to it",
    errno.EPERM: "check who owns the folder and who may write to it",
    errno.EIO: "the disk reports a fault: check it, restore from a copy if need be, and run again",
    errno.ENOENT: "something removed it: check the home, restore from a copy if need be",
}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
SEALED = 0o444


class StorageError(Exception):
    """A file operation failed or a stored file is not what it should be; the message says which, why, and what to do.

    `action` is a verb in the infinitive ("write", "link"), `cause` the operating system's error or a sentence.
    """

    def __init__(self, path: Path, action: str, cause: OSError | str, hint: str = "") -> None:
        self.path, self.action, self.cause, self.hint = path, action, cause, hint
        if isinstance(cause, OSError):
            reason = cause.strerror or str(cause)
            hint = hint or _HINTS.get(cause.errno or 0, "look at the path and run again")
        else:
            reason = cause
        super().__init__(f"could not {action} {path}: {reason}" + (f"; {hint}" if hint else ""))


class Files:
    """File operations of one home, each durable and either done or not done.

    Every operation calls `step` first; a test's subclass raises or dies there. Every OSError becomes a StorageError.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.scratch = self.home / "store" / ".tmp"

    def step(self, action: str, path: Path) -> None:
        """Called before each operation with its verb and path. Does nothing here."""

    @contextmanager
    def doing(self, action: str, path: Path) -> Iterator[None]:
        """Name what is being done, so that a failure says it. Raises StorageError."""
        try:
            self.step(action, path)
            yield
        except OSError as cause:
            raise StorageError(path, action, cause) from cause

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, path: Path) -> bytes | None:
        """The bytes of a file; None only where there is no such file. Any other trouble raises StorageError."""
        with self.doing("read", path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def digest(self, path: Path) -> str:
        """SHA-256 of a file's bytes, in hex."""
        with self.doing("read", path), path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def size(self, path: Path) -> int:
        """Bytes of a file."""
        with self.doing("read", path):
            return path.stat().st_size

    def entries(self, folder: Path) -> list[Path]:
        """What a folder holds, sorted by name; nothing where there is no such folder."""
        with self.doing("list", folder):
            return sorted(folder.iterdir()) if folder.is_dir() else []

    def walk(self, folder: Path) -> list[Path]:
        """Every file below a folder, sorted by path; symbolic links are not followed."""
        found: list[Path] = []
        for path in self.entries(folder):
            found += self.walk(path) if path.is_dir() and not path.is_symlink() else [path]
        return found

    # --- folders -----------------------------------------------------------------------------------------------

    def make_folder(self, folder: Path, mode: int = 0o755) -> Path:
        """Make a folder and its parents, durably, unless they are there."""
        if not folder.is_dir():
            self.make_folder(folder.parent)
            with self.doing("make the folder", folder):
                folder.mkdir(mode=mode, exist_ok=True)
            self.fsync(folder.parent)
        return folder

    def move_folder(self, source: Path, target: Path) -> None:
        """Give a finished folder its name, which must be free."""
        with self.doing("rename", source):
            source.rename(target)
        self.fsync(target.parent)

    def remove_folder(self, folder: Path) -> None:
        """Remove a folder with everything in it."""
        with self.doing("remove", folder):
            shutil.rmtree(folder)

    # --- writing -----------------------------------------------------------------------------------------------

    def temporary(self, suffix: str = "") -> Path:
        """A free name in the scratch folder, on the same file system as everything else."""
        return self.make_folder(self.scratch, mode=0o700) / f"{os.getpid()}-{uuid.uuid4().hex}{suffix}"

    def write(self, path: Path, data: bytes) -> Path:
        """Write a new file and push it to the disk. Not atomic: for temporary names only."""
        with self.doing("write", path), path.open("xb") as file:
            file.write(data)
        self.fsync(path)
        return path

    def produce(self, path: Path, writer: Callable[[Path], None]) -> Path:
        """Let `writer` make a new file (at a temporary name), then push it to the disk; nothing stays if that fails."""
        try:
            with self.doing("write", path):
                writer(path)
            self.fsync(path)
        except Exception:
            # half a table on a full disk would only keep it full
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        return path

    def fsync(self, path: Path) -> None:
        """Push a file or a folder's list of names to the disk."""
        with self.doing("flush", path):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def protect(self, path: Path, mode: int = SEALED) -> None:
        """Set the mode of a file or folder."""
        with self.doing("set the mode of", path):
            path.chmod(mode)

    def put(self, temporary: Path, final: Path) -> bool:
        """Give a finished file its name, durably, unless the name is taken; the temporary name is gone afterwards.

        Returns whether it was this file that got the name. Where there are no hard links a lock guards a rename:
        copying into a file opened with O_EXCL could be torn under its final name by a kill, a rename can't.
        """
        self.make_folder(final.parent)
        if self.has_links:
            won = self._link(temporary, final)
        else:
            with self.lock(self.scratch / "put.lock"), self.doing("create", final):
                won = not final.exists()
                if won:
                    temporary.rename(final)
        self.fsync(final.parent)
        self.remove(temporary)
        return won

    def put_bytes(self, final: Path, data: bytes, mode: int = SEALED) -> bool:
        """Write bytes under a name unless it is taken: whole or not at all. Returns whether these got the name."""
        temporary = self.write(self.temporary(final.suffix), data)
        self.protect(temporary, mode)
        return self.put(temporary, final)

    def replace_bytes(self, final: Path, data: bytes) -> None:
        """Write bytes under a name, in place of what it named before: readers see the old or the new, whole."""
        self.make_folder(final.parent)
        temporary = self.write(self.temporary(final.suffix), data)
        with self.doing("replace", final):
            temporary.replace(final)
        self.fsync(final.parent)

    def share(self, source: Path, target: Path) -> None:
        """Make `target` another name of an immutable file, or a copy where there are no hard links."""
        self.make_folder(target.parent)
        with self.doing("link", target):
            try:
                self.link(source, target)
            except OSError as cause:
                if cause.errno not in _NO_LINKS | {errno.EXDEV}:
                    raise
            else:
                return
        self.produce(target, lambda path: Path(shutil.copyfile(source, path)).chmod(SEALED))

    def point(self, link: Path, target: str) -> None:
        """Make a symbolic link point to a name in its own folder, in place of what it pointed to before."""
        temporary = link.with_name(f".{link.name}-{uuid.uuid4().hex}")
        with self.doing("make the link", link):
            temporary.symlink_to(target)
        with self.doing("flip", link):
            temporary.replace(link)
        self.fsync(link.parent)

    def move(self, source: Path, target: Path) -> None:
        """Rename a file, over what is there."""
        self.make_folder(target.parent)
        with self.doing("move", source):
            source.replace(target)
        self.fsync(target.parent)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        with self.doing("remove", path):
            path.unlink(missing_ok=True)

    # --- locks and links ---------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, path: Path) -> Iterator[None]:
        """Hold an exclusive lock; the kernel frees it when the process dies."""
        handle = self.hold(path, wait=True)
        try:
            yield
        finally:
            os.close(handle)

    def hold(self, path: Path, *, wait: bool) -> int:
        """Take an exclusive lock until the returned handle is closed or the process ends.

        Raises BlockingIOError, and nothing else of its kind, when `wait` is false and another holds it.
        """
        self.make_folder(path.parent)
        with self.doing("lock", path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            raise
        except OSError as cause:
            os.close(handle)
            raise StorageError(path, "lock", cause) from cause
        return handle

    @cached_property
    def has_links(self) -> bool:
        """Whether this file system knows hard links: tried once, before the first file gets its name."""
        probe = self.write(self.temporary(".probe"), b"")
        twin = probe.with_suffix(".twin")
        try:
            self.link(probe, twin)
        except OSError as cause:
            if cause.errno not in _NO_LINKS:
                raise StorageError(twin, "link", cause) from cause
            log.warning(
                "%s knows no hard links: files are put in place by a locked rename, and copied", self.home
            )
            return False
        finally:
            for path in (probe, twin):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        return True

    def link(self, source: Path, target: Path) -> None:
        """The bare hard link; a test stands in for a file system without them here."""
        target.hardlink_to(source)

    def _link(self, temporary: Path, final: Path) -> bool:
        with self.doing("create", final):
            try:
                self.link(temporary, final)
            except FileExistsError:
                return False
        return True


def seal(content: Mapping[str, Any]) -> bytes:
    """JSON with a digest of itself, so that a flipped bit is found. Raises TypeError or ValueError for what JSON can't hold."""
    text = _canonical(content)
    sealed = {"sha256": hashlib.sha256(text).hexdigest(), "content": content}
    return json.dumps(sealed, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"


def unseal(data: bytes, path: Path) -> dict[str, Any]:
    """What `seal` wrote. Raises StorageError when it is not whole."""
    hint = "it is damaged: restore it from a copy, or move it away so that it is made again"
    try:
        sealed = json.loads(data)
        content, digest = sealed["content"], sealed["sha256"]
    except (ValueError, KeyError, TypeError) as cause:
        raise StorageError(path, "read", "not a sealed JSON file", hint) from cause
    if not isinstance(content, dict) or hashlib.sha256(_canonical(content)).hexdigest() != digest:
        raise StorageError(path, "read", "its content does not match its own digest", hint)
    return content


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(
        content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode()
