"""What may go, and when: old snapshots, stored versions that nothing names, leftovers of killed writers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from assets.storage import Version
from pipelines.warehouse.files import Files, unseal
from pipelines.warehouse.runs import Runs, State
from pipelines.warehouse.snapshots import (
    Snapshot,
    latest_number,
    published_folder,
    snapshots,
    sweep,
)
from pipelines.warehouse.store import REJECTS, Store

KEEP_SNAPSHOTS = 3
KEEP_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed: snapshot numbers; stored files and their bytes (shared with snapshots or not)."""

    snapshots: tuple[int, ...]
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is kept: this many newest snapshots, and all that is younger."""

    snapshots: int = KEEP_SNAPSHOTS
    age: timedelta = KEEP_AGE


def collect(home: Path, now: datetime, files: Files | None = None, keep: Keep | None = None) -> Collected:
    """Remove what is neither young nor named.

    Kept by default: the newest 3 snapshots, the one `latest` points to, everything younger than 24 hours, every stored file that a
    kept snapshot, a head, the head of a run that is alive or younger than that, or a young manifest names, the rejects
    of blocked tables as long as their run is on record. Raises StorageError when something can't be read: then nothing
    more is removed.
    """
    files, keep = files or Files(home), keep or Keep()
    since = now - keep.age
    store, runs = Store(home, files), Runs(home, files)
    kept, gone = _collect_snapshots(home, since, keep.snapshots, files)
    with files.lock(store.root / ".lock"):
        named = _named(store, runs, kept, since)
        removed = [path for path in _stored(store) if _place(path) not in named and not _young(path, since)]
        removed += [p for p in files.entries(files.scratch) if p.suffix != ".lock" and not _young(p, since)]
        size = 0
        # manifests first: killed half-way, this leaves parts without a manifest, never a manifest without parts
        for path in sorted(removed, key=lambda p: (p.suffix != ".json", p)):
            size += files.size(path)
            files.remove(path)
    return Collected(tuple(gone), len(removed), size)


def _collect_snapshots(
    home: Path, since: datetime, number: int, files: Files
) -> tuple[list[Snapshot], list[int]]:
    root = published_folder(home)
    with files.lock(root / ".lock"):
        sweep(root, files)
        latest = latest_number(home, files)
        known = snapshots(home, files)
        newest = {s.number for s in known[-number:]}
        kept = [
            s
            for s in known
            if s.number in newest or s.number == latest or datetime.fromisoformat(s.created_at) > since
        ]
        gone = [s for s in known if s not in kept]
        for snapshot in gone:
            # out of sight first, so that nobody finds half of it
            doomed = root / f".tmp-old-{snapshot.number}"
            files.move_folder(snapshot.path, doomed)
            files.remove_folder(doomed)
    return kept, [s.number for s in gone]


def _named(store: Store, runs: Runs, kept: list[Snapshot], since: datetime) -> set[tuple[Path, str]]:
    """(folder, key) of every file that must stay."""
    named: set[tuple[Path, str]] = set()
    for snapshot in kept:
        for table, facts in snapshot.tables.items():
            named |= _places(store, table, facts["key"], facts["parts"])
    live = [r.run_id for r in runs.all() if _recent(r.started, since) or runs.is_alive(r.run_id)]
    heads = [p for p in _stored(store) if p.name == "HEAD.json"]
    heads += [p for run_id in live for p in store.files.walk(store.run_folder(run_id) / "heads")]
    for head in heads:
        content = unseal(store.files.read(head) or b"", head)
        named |= _version_places(store, store.find(content["table"], content["key"]))
        named.add(_place(head))
    # a blocked table has no manifest; what was wrong with it stays as long as the record of the run that says so
    for run in runs.all():
        if run.state is State.BLOCKED:
            for table, result in runs.results(run.run_id).items():
                if result.get("state") == "blocked":
                    named.add((store.home / REJECTS / table.split("/")[-1], result.get("key", run.run_id)))
    for manifest in _stored(store):
        is_table_level = manifest.suffix == ".json" and manifest.parent.parent.parent == store.root
        if is_table_level and manifest.name != "HEAD.json" and _young(manifest, since):
            table = str(manifest.parent.relative_to(store.root))
            named |= _version_places(store, store.find(table, manifest.stem))
    return named


def _version_places(store: Store, version: Version | None) -> set[tuple[Path, str]]:
    if version is None:
        return set()
    return _places(store, version.table, version.key, [part.path for part in version.parts])


def _places(store: Store, table: str, key: str, parts: list[str]) -> set[tuple[Path, str]]:
    rejects = store.home / REJECTS / table.split("/")[1]
    files = [store.root / path for path in parts]
    return {(store.root / table, key), (rejects, key)} | {_place(path) for path in files}


def _place(path: Path) -> tuple[Path, str]:
    return path.parent, path.name.split(".")[0]


def _stored(store: Store) -> list[Path]:
    """Every file of the store and of the rejects, without the scratch folder and the lock."""
    files = store.files
    folders = [p for p in files.entries(store.root) if p.is_dir() and p != files.scratch]
    return [path for folder in [*folders, store.home / REJECTS] for path in files.walk(folder)]


def _young(path: Path, since: datetime) -> bool:
    try:
        return path.stat().st_mtime > since.timestamp()
    except FileNotFoundError:
        return True  # a live writer's temporary file got its name meanwhile


def _recent(stamp: str, since: datetime) -> bool:
    return datetime.fromisoformat(stamp) > since
