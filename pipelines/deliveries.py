"""What was delivered since the last look, and whether its writers are done. Each content of a file is taken once.

A delivery is a file with a content. It is taken when it lies as it lay at the look before, so that a file being written is
left alone; a new time stamp over the same bytes is no delivery; bytes that were replaced and come back are one again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

_SHOWN = 3  # files that a description names

Stamp = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it lies there: what tells that it was touched, and its content (SHA-256)."""

    stamp: Stamp
    sha256: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries that one run takes together. `key` names them: asking for the same batch twice gives the same key."""

    key: str
    new: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]

    def describe(self) -> str:
        """Counts, and the first files by name."""
        groups = (("new", self.new), ("changed", self.changed), ("gone", self.gone))
        return "; ".join(f"{len(files)} {word}: {_shown(files)}" for word, files in groups if files)


@dataclass(frozen=True)
class Deliveries:
    """What was taken so far (file -> content), how the files lay at the last look, and how many batches there were."""

    taken: Mapping[str, str] = field(default_factory=dict)
    last: Mapping[str, Stamp] = field(default_factory=dict)
    batches: int = 0

    def to_text(self) -> str:
        """As one line, to be kept between looks."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Look:
    """What a look leaves: the new state, the batch to take if any, and the files that must lie still first."""

    state: Deliveries
    batch: Batch | None = None
    moving: tuple[str, ...] = ()


def recall(text: str | None) -> Deliveries:
    """The state that `to_text` wrote; nothing taken yet where there is none, or where another program wrote it."""
    try:
        found = json.loads(text or "")
        last = {
            str(file): tuple(n if isinstance(n, str) else int(n) for n in stamp)
            for file, stamp in found["last"].items()
        }
        taken = {str(file): str(sha256) for file, sha256 in found["taken"].items()}
        return Deliveries(taken, last, int(found["batches"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Deliveries()


def look(state: Deliveries, files: Mapping[str, Seen]) -> Look:
    """Compare the files with what was taken.

    While one of those that differ still moves, nothing is taken: a run reads all files, the moving one too.
    """
    stamps = {file: seen.stamp for file, seen in files.items()}
    new = sorted(f for f in files if f not in state.taken)
    changed = sorted(f for f, seen in files.items() if state.taken.get(f, seen.sha256) != seen.sha256)
    gone = sorted(f for f in state.taken if f not in files)
    differing = [*new, *changed, *gone]
    moving = tuple(sorted(f for f in differing if stamps.get(f) != state.last.get(f)))
    if moving or not differing:
        return Look(Deliveries(state.taken, stamps, state.batches), moving=moving)
    key = _name(state.batches, {f: stamps.get(f) for f in differing}, files)
    after = Deliveries({f: seen.sha256 for f, seen in files.items()}, stamps, state.batches + 1)
    return Look(after, Batch(key, tuple(new), tuple(changed), tuple(gone)))


def _name(number: int, differing: Mapping[str, Stamp | None], files: Mapping[str, Seen]) -> str:
    """The stamps are part of it: the same bytes delivered anew after others are another batch."""
    content = {f: seen.sha256 for f, seen in files.items()}
    digest = hashlib.sha256(json.dumps([number, differing, content], sort_keys=True).encode())
    return digest.hexdigest()


def _shown(files: Iterable[str]) -> str:
    names = list(files)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
