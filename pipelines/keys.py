"""Who people are to us: the key of their pseudonyms and how it is changed; who of them asked to be forgotten.

    AFTERSALE_KEY            the key
    AFTERSALE_KEY_PREVIOUS   the key before it, for the runs in which it is changed; `lost` where nobody has it any more

Manifests carry the id of the key, never the key. Rotation leaves `keys/<old id>-to-<new id>.csv` in the home: the old and new
pseudonym of everybody, for whoever kept old ones. `keys/erased.json` is the list of the erased: without it the next delivery
would bring them back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import polars as pl

from assets.core.erasure import Erased, fingerprint
from assets.core.pseudonyms import ROTATION, IdKind, Pseudonyms, demo_key
from assets.source_step import PSEUDONYM_KEY
from assets.source_step import ROTATION as ROTATION_SIDE
from assets.storage import Version
from expectations.contracts import SOURCES
from pipelines.warehouse.files import Files, StorageError, seal, unseal
from pipelines.warehouse.snapshots import NotClosedError, Snapshot, latest_snapshot
from pipelines.warehouse.store import Store

KEY, PREVIOUS, LOST = "AFTERSALE_KEY", "AFTERSALE_KEY_PREVIOUS", "lost"
FOLDER, ERASED = "keys", "erased.json"


class SetupError(Exception):
    """Something a run needs was never set up (exit 4); the message says what to do."""


def pseudonyms_for(demo_seed: int | None, kinds: frozenset[IdKind] = frozenset()) -> Pseudonyms:
    """Of people, and of what else `kinds` names. Keyed by `AFTERSALE_KEY`; only the demo company, which holds no real person, has a key of its own.

    Raises SetupError when there is no key.
    """
    if key := os.environ.get(KEY):
        before = os.environ.get(PREVIOUS)
        previous = _keyed(PREVIOUS, before, kinds) if before and before not in (LOST, key) else None
        return _keyed(KEY, key, kinds, previous)
    if demo_seed is not None:
        return Pseudonyms(demo_key(demo_seed), kinds)
    raise SetupError(
        "AFTERSALE_KEY is not set: seller ids are published as keyed pseudonyms; choose a long secret, keep it, "
        "and set it in the environment"
    )


def _keyed(name: str, key: str, kinds: frozenset[IdKind], previous: Pseudonyms | None = None) -> Pseudonyms:
    try:
        return Pseudonyms(key.encode(), kinds, previous)
    except ValueError as error:
        raise SetupError(f"{name}: {error}") from None


def key_of(snapshot: Snapshot | None) -> str | None:
    """Id of the key that a snapshot was made with; None where it says nothing."""
    return snapshot.facts.get(PSEUDONYM_KEY) if snapshot else None


def refuse_unannounced_key(home: Path, pseudonyms: Pseudonyms) -> None:
    """Raise SetupError where the newest snapshot was made with another key than this one or the one before it."""
    newest = None
    with suppress(StorageError):  # a damaged home is the run's own trouble
        newest = latest_snapshot(home)
    then = key_of(newest)
    known = {pseudonyms.key_id, pseudonyms.previous.key_id if pseudonyms.previous else pseudonyms.key_id}
    if newest is None or then is None or then in known or os.environ.get(PREVIOUS) == LOST:
        return
    raise SetupError(
        f"the key of snapshot {newest.number} has the id {then}, this one {pseudonyms.key_id}: everybody would get another pseudonym. "
        f"Set {KEY} to the old key; or, to change it, {PREVIOUS} to the old key ({LOST!r} where nobody has it)"
    )


def refuse_mixed(versions: Mapping[str, Version], pseudonyms: Pseudonyms, erased: Erased) -> None:
    """Raise NotClosedError where a version holds pseudonyms of another key: its people would join with nobody.

    Or where a source was last read before somebody was erased, as one that went on stale was.
    """
    problems = {
        f"core/{name}": [f"core/{name} was read before somebody was erased"]
        for name in SOURCES
        if (version := versions.get(f"core/{name}"))
        and version.facts.get("erased") != fingerprint(erased).get("erased")
    }
    problems |= {
        table: [
            f"{table} holds pseudonyms of the key {version.facts[PSEUDONYM_KEY]}, not of {pseudonyms.key_id}"
        ]
        for table, version in versions.items()
        if version.facts.get(PSEUDONYM_KEY, pseudonyms.key_id) != pseudonyms.key_id
    }
    if problems:
        raise NotClosedError(problems)


def write_rotation(store: Store, versions: Mapping[str, Version], pseudonyms: Pseudonyms) -> Path | None:
    """Write the old and new pseudonyms of everybody into the home, for its owner alone; None while nothing is rotated."""
    if pseudonyms.previous is None:
        return None
    sides = [
        store.read_side(table, version.key, ROTATION_SIDE) for table, version in sorted(versions.items())
    ]
    every = pl.concat([pl.DataFrame(schema=ROTATION), *(side for side in sides if side is not None)])
    folder = store.files.make_folder(store.home / FOLDER, mode=0o700)
    path = folder / f"{pseudonyms.previous.key_id}-to-{pseudonyms.key_id}.csv"
    store.files.replace_bytes(path, every.unique().sort("domain", "was").write_csv().encode())
    return path


def read_erased(home: Path) -> Erased:
    """The list of the erased, by what their ids name. Raises StorageError where it can't be read."""
    path = home / FOLDER / ERASED
    data = Files(home).read(path)
    found = unseal(data, path) if data is not None else {}
    return {domain: frozenset(ids) for domain, ids in found.items()}


def add_erased(home: Path, domain: str, name: str) -> Erased:
    """Put an id on the list, for its owner alone to read; returns the list."""
    files, known = Files(home), read_erased(home)
    every = {**known, domain: known.get(domain, frozenset()) | {name}}
    folder = files.make_folder(home / FOLDER, mode=0o700)
    files.replace_bytes(folder / ERASED, seal({d: sorted(ids) for d, ids in sorted(every.items())}))
    return every
