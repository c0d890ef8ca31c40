"""Files in object stores as sources: listed by their pattern, fetched once per version into the cache, or only their head."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.objects import CHUNK, Bucket, ObjectFact, key_of
from pipelines.sources.readers.kinds import HEAD, HEAD_RECORDS, is_parquet, is_whole

_MAGIC = re.compile(r"[*?\[]")
_REPLACED_SECONDS = 86_400  # longer than any run: nobody reads an older version any more
_UNUSED_SECONDS = (
    30 * 86_400
)  # what no run looked at for so long is gone from the store, or from the configuration
_FOOTER = 1 << 16


class RemoteFiles:
    """What lies in object stores, as of the first look at it. `first_look`: only the head of every file is fetched."""

    def __init__(self, cache: Path, *, first_look: bool) -> None:
        self._cache, self._first_look = cache, first_look
        self._buckets: dict[str, Bucket] = {}
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        _forget(cache.glob("*/*"), _UNUSED_SECONDS)
        self._found: dict[str, tuple[Path, ...]] = {}
        self._facts: dict[Path, tuple[Bucket, ObjectFact]] = {}

    def find(self, url: str) -> tuple[Path, ...]:
        """Local copies of the objects that an address or pattern names, by key. Raises ObjectStoreError."""
        if url not in self._found:
            bucket, key = self._bucket(url), key_of(url)
            if magic := _MAGIC.search(key):
                wanted = re.compile(translate(key))
                facts = [
                    f for f in bucket.list(key[: magic.start()].rpartition("/")[0]) if wanted.fullmatch(f.key)
                ]
            else:
                facts = [bucket.head(key)]
            self._found[url] = tuple(self._fetch(bucket, fact) for fact in facts)
        return self._found[url]

    def address(self, path: Path) -> str | None:
        """The address of a local copy; None where it is none."""
        known = self._facts.get(path)
        return None if known is None else f"{known[0].url}/{known[1].key}"

    def stamp(self, path: Path) -> tuple[str, int]:
        """Which version a local copy is of."""
        _, fact = self._facts[path]
        return fact.etag, fact.size

    def stamp_now(self, path: Path) -> tuple[str, int]:
        """Which version its address holds now. Raises ObjectStoreError."""
        bucket, fact = self._facts[path]
        now = bucket.head(fact.key)
        return now.etag, now.size

    def _bucket(self, url: str) -> Bucket:
        name = url.split("/", 3)[2]
        scheme = url.partition(":")[0]
        return self._buckets.setdefault(f"{scheme}://{name}", Bucket(url))

    def _fetch(self, bucket: Bucket, fact: ObjectFact) -> Path:
        folder = self._cache / _short(f"{bucket.url}/{fact.key}")
        version = folder / _short(f"{fact.etag} {fact.size} {self._first_look}")
        path = version / fact.key.rpartition("/")[2]
        self._facts[path] = bucket, fact
        if path.exists():
            os.utime(version)
            return path
        version.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = version / f"{os.getpid()}.part"
        try:
            if self._first_look and not is_whole(path):
                _fetch_head(bucket, fact, draft)
            else:
                bucket.fetch(fact, draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _forget((old for old in folder.iterdir() if old != version), _REPLACED_SECONDS)
        return path


def translate(pattern: str) -> str:
    """The regular expression of a pattern: `*` stays within a folder and skips hidden names, `**/` is any depth."""
    parts, at = [], 0
    while at < len(pattern):
        starts = at == 0 or pattern[at - 1] == "/"
        if starts and pattern.startswith("**/", at):
            parts.append(r"(?:[^/.][^/]*/)*")
            at += 3
        elif pattern[at] == "*":
            parts.append(r"(?!\.)[^/]*" if starts else "[^/]*")
            at += 1
        elif pattern[at] == "?":
            parts.append("[^/]")
            at += 1
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end]
            negated = "^" if inner[0] in "!^" else ""
            parts.append(f"[{negated}{re.escape(inner.lstrip('!^')).replace(chr(92) + '-', '-')}]")
            at = end + 1
        else:
            parts.append(re.escape(pattern[at]))
            at += 1
    return "".join(parts)


def _fetch_head(bucket: Bucket, fact: ObjectFact, draft: Path) -> None:
    """As much of an object as a first look reads."""
    if is_parquet(Path(fact.key)):
        _fetch_first_row_groups(bucket, fact, draft)
    else:  # more than the head, so that it is seen to go on
        draft.write_bytes(bucket.read_range(fact, 0, min(fact.size, HEAD + HEAD // 4)))


def _fetch_first_row_groups(bucket: Bucket, fact: ObjectFact, draft: Path) -> None:
    """A Parquet file of the full size with its footer and its first rows; between them is a hole."""
    tail_at = max(0, fact.size - _FOOTER)
    tail = bucket.read_range(fact, tail_at, fact.size)
    needed = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] == b"PAR1" and len(tail) < needed <= fact.size:
        tail_at = fact.size - needed
        tail = bucket.read_range(fact, tail_at, fact.size)
    try:
        groups = pq.ParquetFile(BytesIO(b"PAR1" + tail)).metadata
        rows = end = 0
        for index in range(groups.num_row_groups):
            if rows >= HEAD_RECORDS:
                break
            group = groups.row_group(index)
            chunks = [group.column(c) for c in range(group.num_columns)]
            starts = [c.dictionary_page_offset or c.data_page_offset for c in chunks]
            end = max(end, *(s + c.total_compressed_size for s, c in zip(starts, chunks, strict=True)))
            rows += group.num_rows
    except (pa.ArrowException, OSError, ValueError, IndexError):
        end = 0  # the reader says what is wrong with it
    with draft.open("wb") as out:
        for start in range(0, min(max(end, 4), tail_at), CHUNK):
            out.write(bucket.read_range(fact, start, min(start + CHUNK, end, tail_at) if end else 4))
        out.seek(tail_at)
        out.write(tail)


def _forget(versions: Iterable[Path], seconds: int) -> None:
    """Remove copies that were not used for so long."""
    for old in list(versions):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > seconds:
                shutil.rmtree(old)
                old.parent.rmdir()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
