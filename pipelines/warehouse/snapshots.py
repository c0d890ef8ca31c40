"""Publishing: a closed set of versions appears at once under a number, or not at all. No table is made here.

    published/<n>/marts/<table>.parquet                      or marts/<table>/month=YYYY-MM/part.parquet
    published/<n>/quality/..., restricted/...                restricted tables only where switched on
    published/<n>/catalog.duckdb, board.html, ...            whatever `build` makes
    published/<n>/manifest.json                              what it holds: keys, inputs, SHA-256 of every file
    published/latest                                         relative link to the newest

A reader resolves `latest` once and reads below that folder: no file in it ever changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.storage import Part, Version
from expectations.model import Audience
from pipelines.warehouse.files import Files, StorageError, seal, unseal
from pipelines.warehouse.store import Store

MANIFEST = "manifest.json"
_LATEST = "latest"


class NotClosedError(Exception):
    """The versions are not of one moment: `stale` names the tables made from other versions of their inputs."""

    def __init__(self, problems: Mapping[str, list[str]]) -> None:
        self.stale = tuple(problems)
        details = "; ".join(line for lines in problems.values() for line in lines)
        super().__init__(f"not published, stale: {', '.join(self.stale)}. {details}. Run these tables again")


class NeverMadeError(Exception):
    """There is nothing to publish of some tables yet."""

    def __init__(self, paths: Sequence[str]) -> None:
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        super().__init__(
            f"not published: {', '.join(paths[:3])}{more} were never made. Run everything once (aftersale run)"
        )


class DamagedSnapshotError(Exception):
    """A snapshot is not what its manifest says; `problems` lists how."""

    def __init__(self, number: int, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(f"snapshot {number} is damaged, `latest` stays: {'; '.join(problems)}")


@dataclass(frozen=True)
class Snapshot:
    """A published set. `tables` holds key, content hash, rows, audience, inputs, parts and files of each version.

    `fresh` is false where nothing differed from the newest snapshot, so that nothing was published.
    """

    number: int
    path: Path
    as_of: str
    run_id: str
    code_version: str
    created_at: str
    previous: int | None
    tables: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Any]
    fresh: bool = True


# --- reading ---------------------------------------------------------------------------------------------------


def published_folder(home: Path) -> Path:
    """Where snapshots are."""
    return home.absolute() / "published"


def load_snapshot(home: Path, number: int, files: Files | None = None) -> Snapshot:
    """A snapshot by its manifest. Raises StorageError when there is none or it can't be read."""
    path = published_folder(home) / str(number)
    data = (files or Files(home)).read(path / MANIFEST)
    if data is None:
        raise StorageError(path / MANIFEST, "read", "there is no such snapshot", "see `aftersale snapshots`")
    content = unseal(data, path / MANIFEST)
    try:
        return Snapshot(path=path, **content)
    except TypeError as cause:
        raise StorageError(path / MANIFEST, "read", "not a snapshot's manifest") from cause


def snapshot_numbers(home: Path, files: Files | None = None) -> list[int]:
    """Numbers of all snapshots, ascending, flipped to or not."""
    return sorted(
        int(p.name) for p in (files or Files(home)).entries(published_folder(home)) if p.name.isdigit()
    )


def snapshots(home: Path, files: Files | None = None) -> list[Snapshot]:
    """All snapshots, oldest first. Raises StorageError when a manifest can't be read."""
    return [load_snapshot(home, n, files) for n in snapshot_numbers(home, files)]


def latest_number(home: Path, files: Files | None = None) -> int | None:
    """What `latest` points to; None before the first publish. Raises StorageError where it points nowhere."""
    link = published_folder(home) / _LATEST
    with (files or Files(home)).doing("read", link):
        if not link.is_symlink() and not link.exists():
            return None
        target = link.readlink().name if link.is_symlink() else link.name
    if not target.isdigit() or not (link.parent / target).is_dir():
        raise StorageError(
            link, "follow", f"there is no snapshot {target}", "choose one with `aftersale rollback N`"
        )
    return int(target)


def latest_snapshot(home: Path, files: Files | None = None) -> Snapshot | None:
    """The snapshot `latest` points to; None before the first publish. Raises StorageError when it can't be read."""
    number = latest_number(home, files)
    return None if number is None else load_snapshot(home, number, files)


# --- publishing ------------------------------------------------------------------------------------------------


def publish(
    store: Store,
    versions: Mapping[str, Version],
    audiences: Mapping[str, Audience],
    build: Callable[[Path, Path], None],
    *,
    as_of: str,
    run_id: str,
    code_version: str,
    facts: Mapping[str, Any],
    restricted: bool = False,
    now: datetime | None = None,
) -> Snapshot:
    """Publish a closed set of versions and flip `latest` to it.

    Args:
        store: where the versions are.
        versions: table path to version: the tables to publish and all tables they were made from.
        audiences: table path to audience; internal tables (and those not named) only take part in the check of closedness.
        build: called with the folder under construction and the path it will have; adds the catalogue, the board and so on.
        as_of: day the run looked from.
        run_id: who publishes.
        code_version: of the whole program.
        facts: JSON for the manifest.
        restricted: whether restricted tables are published, too.
        now: time of publication, for tests.

    Returns:
        The new snapshot, or the newest one with `fresh` false where tables, as_of and code are the same.

    Raises:
        NotClosedError: the versions are of different moments.
        StorageError: a file operation failed, or a stored file is damaged; `latest` is unchanged.
    """
    home, files = store.home, store.files
    tables = _describe_tables(versions, audiences, restricted=restricted)
    if problems := find_stale(tables):
        raise NotClosedError(problems)
    root = files.make_folder(published_folder(home))
    with files.lock(root / ".lock"):
        sweep(root, files)
        latest = latest_number(home, files)
        numbers = snapshot_numbers(home, files)
        # also the newest one: a kill between its rename and the flip leaves it complete but unseen
        for number in dict.fromkeys(n for n in (latest, *numbers[-1:]) if n is not None):
            known = load_snapshot(home, number, files)
            if (known.tables, known.as_of, known.code_version) != (tables, as_of, code_version):
                continue
            if number != latest:
                if problems_found := _check_snapshot(home, number, files):
                    raise DamagedSnapshotError(number, problems_found)
                files.point(root / _LATEST, str(number))
            return replace(known, fresh=number != latest)

        number = max(numbers, default=0) + 1
        final, folder = root / str(number), root / f".tmp-{number}"
        content: dict[str, Any] = {
            "number": number,
            "as_of": as_of,
            "run_id": run_id,
            "code_version": code_version,
            "created_at": (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds"),
            "previous": latest,
            "tables": tables,
            "facts": dict(facts),
        }
        try:
            shared = _share_parts(store, versions, tables, folder)
            build(folder, final)
            content["files"] = _settle_files(folder, shared, files)
            files.protect(files.write(folder / MANIFEST, seal(content)))
            _flush_folders(folder, files)
            files.move_folder(folder, final)
        except Exception:
            # only tidiness: what a kill leaves behind, the next publish sweeps away
            with suppress(StorageError):
                files.remove_folder(folder)
            raise
        files.point(root / _LATEST, str(number))
    return load_snapshot(home, number, files)


def sweep(root: Path, files: Files) -> None:
    """Remove what killed publishers left behind. The caller holds the lock."""
    for path in files.entries(root):
        if path.name.startswith(".tmp-"):
            files.remove_folder(path)
        elif path.name.startswith(f".{_LATEST}-"):
            files.remove(path)


def find_stale(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Tables whose inputs in the same set are other versions than those they were made from, with the reason.

    Another key with the same bytes is the same input. `tables` is as in `Snapshot.tables`.
    """
    stale: dict[str, list[str]] = {}
    for table, facts in tables.items():
        for name, key in facts["inputs"].items():
            other = tables.get(name)
            if other is None or other["key"] == key:
                continue
            if facts["input_hashes"].get(name) != other["content_hash"]:
                line = f"{table} was made from {name} {key[:12]}, but the set holds {other['key'][:12]}"
                stale.setdefault(table, []).append(line)
    return stale


def _describe_tables(
    versions: Mapping[str, Version], audiences: Mapping[str, Audience], *, restricted: bool
) -> dict[str, dict[str, Any]]:
    described = {}
    for table, version in sorted(versions.items()):
        audience = audiences.get(table, Audience.INTERNAL)
        hidden = audience is Audience.INTERNAL or (audience is Audience.RESTRICTED and not restricted)
        described[table] = {
            "key": version.key,
            "content_hash": version.content_hash,
            "rows": version.rows,
            "audience": str(audience),
            "inputs": dict(version.inputs),
            "input_hashes": dict(version.input_hashes),
            "parts": [part.path for part in version.parts],
            "files": [] if hidden else [place_part(table, audience, part) for part in version.parts],
        }
    return described


def place_part(table: str, audience: Audience, part: Part) -> str:
    """Path of a part inside a snapshot."""
    base = f"restricted/{table.split('/')[1]}" if audience is Audience.RESTRICTED else table
    return f"{base}/month={part.month}/part.parquet" if part.month else f"{base}.parquet"


def _share_parts(
    store: Store, versions: Mapping[str, Version], tables: Mapping[str, Mapping[str, Any]], folder: Path
) -> dict[str, str]:
    """Give stored parts their names in the snapshot; returns what their hashes must be."""
    files, expected = store.files, {}
    files.make_folder(folder)
    for table, version in versions.items():
        for part, name in zip(version.parts, tables[table]["files"], strict=False):
            if name.startswith("restricted/"):
                files.make_folder(folder / "restricted", mode=0o700)
            files.share(store.part_path(part), folder / name)
            expected[name] = part.sha256
    return expected


def _settle_files(folder: Path, shared: Mapping[str, str], files: Files) -> dict[str, dict[str, Any]]:
    """Flush and protect what was built, hash everything. Raises StorageError where a stored part is damaged."""
    settled = {}
    for path in files.walk(folder):
        name = str(path.relative_to(folder))
        digest = files.digest(path)
        if name not in shared:
            files.protect(path)
            files.fsync(path)
        elif digest != shared[name]:
            hint = "the store is damaged: `aftersale verify` says how far; restore it from a copy"
            raise StorageError(path, "publish", "its bytes are not those that were committed", hint)
        settled[name] = {"sha256": digest, "bytes": files.size(path)}
    return settled


def _flush_folders(folder: Path, files: Files) -> None:
    for path in files.entries(folder):
        if path.is_dir():
            _flush_folders(path, files)
    files.fsync(folder)


# --- checking and going back -----------------------------------------------------------------------------------


def verify(home: Path, number: int | None = None, files: Files | None = None) -> list[str]:
    """Hash every published file again, check that each set is closed and that `latest` leads somewhere.

    Returns one sentence per problem: for one snapshot, or for all of them; an empty list means all is well. A home
    in which nothing was published is a problem, too.
    """
    files = files or Files(home)
    if number is not None:
        return _check_snapshot(home, number, files)
    problems = []
    try:
        if latest_number(home, files) is None:
            problems.append(f"nothing is published in {home}")
    except StorageError as cause:
        problems.append(str(cause))
    for known in snapshot_numbers(home, files):
        problems += _check_snapshot(home, known, files)
    return problems


def _check_snapshot(home: Path, number: int, files: Files) -> list[str]:
    try:
        snapshot = load_snapshot(home, number, files)
    except StorageError as cause:
        return [str(cause)]
    problems = [] if snapshot.number == number else [f"{snapshot.path} says it is snapshot {snapshot.number}"]
    for lines in find_stale(snapshot.tables).values():
        problems += [f"snapshot {number} is not closed: {line}" for line in lines]
    found = {str(path.relative_to(snapshot.path)) for path in files.walk(snapshot.path)} - {MANIFEST}
    expected = {name for facts in snapshot.tables.values() for name in facts["files"]} | set(snapshot.files)
    problems += [f"{snapshot.path / name} is missing" for name in sorted(expected - found)]
    problems += [
        f"{snapshot.path / name} is not in the manifest" for name in sorted(found - set(snapshot.files))
    ]
    for name in sorted(found & set(snapshot.files)):
        try:
            digest = files.digest(snapshot.path / name)
        except StorageError as cause:
            problems.append(str(cause))
            continue
        if digest != snapshot.files[name]["sha256"]:
            problems.append(f"{snapshot.path / name} has other bytes than were published")
    return problems


def rollback(home: Path, number: int, files: Files | None = None) -> Snapshot:
    """Flip `latest` to another snapshot after verifying it. Raises DamagedSnapshotError; `latest` stays then."""
    files = files or Files(home)
    root = published_folder(home)
    with files.lock(root / ".lock"):
        if problems := _check_snapshot(home, number, files):
            raise DamagedSnapshotError(number, problems)
        files.point(root / _LATEST, str(number))
        return load_snapshot(home, number, files)
