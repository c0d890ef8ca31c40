"""Published snapshots in an object store, for readers who don't reach the home.

    <target>/objects/marts/deal_outcomes-<sha256>.parquet    never replaced: the name says the bytes
    <target>/objects/restricted/...                          apart, so that access can be given by prefix
    <target>/snapshots/<n>-<sha256>.json                     sealed: what a snapshot holds, and which object is which file
    <target>/latest.json                                     names the newest of them

The protocol of the home, without links and locks: objects first, then the manifest, both put only where they are absent,
then `latest.json` by a conditional put: where another writer was faster, what it wrote is read and judged anew. A reader who
follows `latest.json` sees one whole snapshot, whatever is killed and whoever else writes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.objects import CHUNK, Bucket, ObjectFact, ObjectStoreError, Trouble, key_of
from pipelines.warehouse.catalog import CATALOG
from pipelines.warehouse.files import Files, StorageError, seal, unseal
from pipelines.warehouse.retention import Keep
from pipelines.warehouse.snapshots import Snapshot, find_stale, published_folder

log = logging.getLogger(__name__)

LATEST = "latest.json"
_SENT_TO = ".sent-to"  # in the folder of the home's snapshots
_LARGE = (
    64 << 20
)  # beyond it in parts; their condition would hold in few stores, and the same name is the same bytes
_TRIES = 20
KEPT_UNNAMED = timedelta(days=7)
RENEWED_AFTER = timedelta(days=3)


class NotSentError(Exception):
    """A snapshot is published in its home and did not reach the object store; what is there is as it was."""


def send_snapshot(home: Path, snapshot: Snapshot, target: str | None, files: Files | None = None) -> bool:
    """Send a snapshot to the configured place, if there is one, and remember the place; True where it was not there yet.

    Raises NotSentError.
    """
    files, note = files or Files(home), published_folder(home) / _SENT_TO
    if target is None:
        files.remove(note)
        return False
    if sent_to(home, files) != target:
        files.replace_bytes(note, f"{target}\n".encode())
    mirror, now = open_mirror(target), datetime.now(UTC)
    if not mirror.send(snapshot, now):
        return False
    try:
        mirror.collect(now)
    except (ObjectStoreError, StorageError) as error:
        log.warning("old snapshots stay in %s: %s", target, error)
    return True


def sent_to(home: Path, files: Files | None = None) -> str | None:
    """Where the snapshots of a home are sent."""
    data = (files or Files(home)).read(published_folder(home) / _SENT_TO)
    return None if data is None else data.decode().strip()


def open_mirror(target: str) -> Mirror:
    """The place, if its store can be spoken to at all. Raises NotSentError."""
    try:
        return Mirror(target)
    except ObjectStoreError as error:
        raise NotSentError(f"{target}: {error}") from None


class Mirror:
    """One place in an object store."""

    def __init__(self, target: str) -> None:
        self.target = target.rstrip("/")
        self.bucket = Bucket(target)
        self._prefix = f"{key_of(self.target)}/".removeprefix("/")

    def send(self, snapshot: Snapshot, now: datetime, *, back: bool = False) -> bool:
        """Bring a snapshot there and flip `latest.json` to it; True where that changed anything. Raises NotSentError.

        One that was created later than this stays, unless this is a way `back`.
        """
        try:
            objects = {n: _place(n, f["sha256"]) for n, f in snapshot.files.items() if n != CATALOG}
            name, manifest = _describe(snapshot, objects)
            self._send_objects(snapshot, objects, now)
            self._put_if_absent(name, manifest)
            self._confirm(snapshot, objects, name)
            pointer = {
                "number": snapshot.number,
                "as_of": snapshot.as_of,
                "created_at": snapshot.created_at,
                "manifest": name,
                "sha256": hashlib.sha256(manifest).hexdigest(),
            }
            return self._flip(pointer, back=back)
        except (ObjectStoreError, StorageError) as error:
            raise NotSentError(
                f"snapshot {snapshot.number} is published in {snapshot.path.parent} and did not reach {self.target}: "
                f"{error}. Run again to send it"
            ) from None

    def verify(self) -> list[str]:
        """Hash every object that a manifest names; one sentence per problem."""
        problems: list[str] = []
        facts = {fact.key: fact for fact in self.bucket.list(self._prefix.rstrip("/"))}
        digests: dict[str, str] = {}
        for key in facts:
            if key.startswith(f"{self._prefix}snapshots/"):
                problems += self._check(key, facts, digests)
        try:
            pointer = json.loads(self.bucket.read(self._key(LATEST))[0])
            named = self._key(pointer["manifest"])
            if hashlib.sha256(self.bucket.read(named)[0]).hexdigest() != pointer["sha256"]:
                problems.append(f"{self.target}/{LATEST} names a manifest with other bytes")
        except (ObjectStoreError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{self.target}/{LATEST} leads nowhere: {error}")
        return problems

    def collect(self, now: datetime, keep: Keep | None = None, unnamed: timedelta = KEPT_UNNAMED) -> int:
        """Remove old snapshots, and what none of the others names; returns the number of objects that went.

        Kept by default are the newest 3, the one `latest.json` names, and those younger than 24 hours, as in the home. An
        object goes only a week after it was written (`unnamed`), and a writer who needs one half as old writes it anew: so nobody's half-sent
        snapshot loses what it counts on. Raises ObjectStoreError or StorageError; where a manifest can't be read, nothing goes.
        """
        keep = keep or Keep()
        facts = {fact.key: fact for fact in self.bucket.list(self._prefix.rstrip("/"))}
        latest = self._key(json.loads(self.bucket.read(self._key(LATEST))[0])["manifest"])
        known = {
            key: unseal(self.bucket.read(key)[0], Path(key))
            for key in facts
            if key.startswith(f"{self._prefix}snapshots/")
        }
        newest = sorted(known, key=lambda key: str(known[key]["created_at"]))[-keep.snapshots :]
        kept = {key for key in known if facts[key].modified > now - keep.age} | {*newest, latest}
        named = {self._key(place) for key in kept & set(known) for place in known[key]["objects"].values()}
        gone = [key for key in known if key not in kept]
        gone += [
            key
            for key, fact in facts.items()
            if key.startswith(f"{self._prefix}objects/")
            and key not in named
            and fact.modified < now - unnamed
        ]
        for key in gone:  # manifests first: none that stays names what goes
            if self.bucket.head(key).modified == facts[key].modified:
                self.bucket.delete(key)
        return len(gone)

    def _check(self, key: str, facts: Mapping[str, ObjectFact], digests: dict[str, str]) -> list[str]:
        try:
            content = unseal(self.bucket.read(key)[0], Path(key))
        except (StorageError, ObjectStoreError) as error:
            return [str(error)]
        number = content["number"]
        problems = [
            f"{self.target}: snapshot {number} is not closed: {line}"
            for lines in find_stale(content["tables"]).values()
            for line in lines
        ]
        for name, place in content["objects"].items():
            at = self._key(place)
            if at not in facts:
                problems.append(f"{self.target}/{place} is missing: {name} of snapshot {number}")
                continue
            if at not in digests:
                digests[at] = self._digest(facts[at])
            if digests[at] != content["files"][name]["sha256"]:
                problems.append(f"{self.target}/{place} has other bytes than were published")
        return problems

    def _digest(self, fact: ObjectFact) -> str:
        digest = hashlib.sha256()
        for start in range(0, fact.size, CHUNK):
            digest.update(self.bucket.read_range(fact, start, min(start + CHUNK, fact.size)))
        return digest.hexdigest()

    def _send_objects(self, snapshot: Snapshot, objects: Mapping[str, str], now: datetime) -> None:
        known = {fact.key: fact for fact in self.bucket.list(f"{self._prefix}objects")}
        for name, place in sorted(objects.items()):
            facts, path = snapshot.files[name], snapshot.path / name
            there = known.get(self._key(place))
            if there and there.size == facts["bytes"] and there.modified > now - RENEWED_AFTER:
                continue
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != facts["sha256"]:
                    raise StorageError(path, "send", "its bytes are not those that were published")
            if there or facts["bytes"] > _LARGE:
                self.bucket.put_large(self._key(place), path)
            else:
                self._put_if_absent(place, path.read_bytes())

    def _confirm(self, snapshot: Snapshot, objects: Mapping[str, str], manifest: str) -> None:
        """Nobody tidied up meanwhile, and nothing of another size bears an object's name."""
        there = {fact.key: fact.size for fact in self.bucket.list(self._prefix.rstrip("/"))}
        for name, place in objects.items():
            if there.get(self._key(place)) != snapshot.files[name]["bytes"]:
                raise ObjectStoreError(f"{self.target}/{place} is not there as it was sent", Trouble.CHANGED)
        if self._key(manifest) not in there:
            raise ObjectStoreError(f"{self.target}/{manifest} is gone again", Trouble.CHANGED)

    def _flip(self, pointer: Mapping[str, Any], *, back: bool) -> bool:
        key, data = self._key(LATEST), json.dumps(pointer, indent=1).encode() + b"\n"
        for _ in range(_TRIES):
            try:
                content, fact = self.bucket.read(key)
            except ObjectStoreError as error:
                if error.trouble is not Trouble.ABSENT:
                    raise
                content = b""
            try:
                if not content:
                    self.bucket.put_if_absent(key, data)
                else:
                    other = json.loads(content)
                    if other["manifest"] == pointer["manifest"]:
                        return False
                    if not back and other["created_at"] > pointer["created_at"]:
                        log.warning("%s already holds a newer snapshot, %s", self.target, other["manifest"])
                        return False
                    self.bucket.put_if_match(fact, data)
            except (ValueError, KeyError, TypeError):
                raise ObjectStoreError(f"{self.target}/{LATEST} is not ours: name another place") from None
            except ObjectStoreError as error:
                if error.trouble is not Trouble.CHANGED:
                    raise
                continue  # another writer was faster: look at what it wrote
            return True
        raise ObjectStoreError(f"{self.target}/{LATEST} changed {_TRIES} times while it was to be flipped")

    def _put_if_absent(self, name: str, data: bytes) -> None:
        try:
            self.bucket.put_if_absent(self._key(name), data)
        except ObjectStoreError as error:
            if error.trouble is not Trouble.CHANGED:
                raise  # there already: the same name is the same bytes

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}"


def _place(name: str, sha256: str) -> str:
    path = Path(name)
    return f"objects/{path.with_name(f'{path.stem}-{sha256}{path.suffix}').as_posix()}"


def _describe(snapshot: Snapshot, objects: Mapping[str, str]) -> tuple[str, bytes]:
    """Name and bytes of the manifest in the object store: the same snapshot is the same manifest."""
    content = {k: v for k, v in asdict(snapshot).items() if k not in {"path", "fresh"}}
    data = seal({**content, "objects": dict(objects)})
    return f"snapshots/{snapshot.number}-{hashlib.sha256(data).hexdigest()}.json", data
