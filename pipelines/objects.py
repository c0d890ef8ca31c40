"""Object stores: s3://, gs:// and az:// addresses. Listing, whole reads and ranges of one version, conditional puts.

Credentials come from the environment alone, by the names that each store's own tools use (AWS_*, GOOGLE_*, AZURE_*), and
no message holds one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.extras import MissingExtraError, import_extra

SCHEMES = ("s3", "gs", "az")
CHUNK = 32 << 20  # bytes that one request asks for
_RETRY = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
_CLIENT = {"connect_timeout": "5s", "timeout": "5m"}
_SECRETS = re.compile(r"(AWS|GOOGLE|AZURE)_.*(KEY|SECRET|TOKEN|ACCOUNT|CREDENTIALS)", re.IGNORECASE)


class Trouble(Enum):
    """What kept an object from being read or written."""

    ABSENT = "absent"
    CHANGED = "changed"  # it is not what the caller knows, or is there already
    UNREACHABLE = "unreachable"


class ObjectStoreError(Exception):
    """The store can't be reached, refuses, or holds something else; the message names no secret."""

    def __init__(self, said: str, trouble: Trouble = Trouble.UNREACHABLE) -> None:
        super().__init__(said)
        self.trouble = trouble


@dataclass(frozen=True)
class ObjectFact:
    """One version of one object. `key` starts at the bucket; `etag` changes with the content.

    `version` is a number of the store's own, where it has one; `modified` its own time.
    """

    key: str
    size: int
    etag: str
    modified: datetime
    version: str | None = None


class Bucket:
    """The bucket (or container) of an address. Keys start at its root."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = f"{parts.scheme}://{parts.netloc}"
        try:
            self._client = import_extra("obstore")
            store = import_extra("obstore.store")
            self._store = store.from_url(
                self.url, client_options=_CLIENT | _plain(parts.scheme), retry_config=_RETRY
            )
        except MissingExtraError as error:
            raise ObjectStoreError(str(error)) from None
        except Exception as error:  # noqa: BLE001 (every store has errors of its own)
            raise self._said(error) from None

    def list(self, folder: str) -> list[ObjectFact]:
        """The objects below a folder (the whole bucket, where it is empty), by key."""
        found = []
        for batch in self._guarded(self._client.list(self._store, prefix=folder or None)):
            found += [_fact(meta) for meta in batch]
        return sorted(found, key=lambda fact: fact.key)

    def head(self, key: str) -> ObjectFact:
        """What is there now under a key."""
        return _fact(self._call("head", key))

    def read(self, key: str) -> tuple[bytes, ObjectFact]:
        """A small object, whole."""
        answer = self._call("get", key)
        return self._call_on(answer, "bytes"), _fact(answer.meta)

    def read_range(self, fact: ObjectFact, start: int, end: int) -> bytes:
        """Bytes [start, end) of exactly this version."""
        if end <= start:
            return b""
        options = {"if_match": fact.etag, "range": (start, end)}
        return self._call_on(self._call("get", fact.key, options=options), "bytes")

    def fetch(self, fact: ObjectFact, path: Path) -> None:
        """Write exactly this version to a new file, readable by its owner alone."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            for start in range(0, fact.size, CHUNK):
                out.write(self.read_range(fact, start, min(start + CHUNK, fact.size)))
            if out.tell() != fact.size:
                raise ObjectStoreError(f"{self.url}/{fact.key}: cut off while it was read", Trouble.CHANGED)

    def put_large(self, key: str, path: Path) -> None:
        """Write a file, in parts where it is large, over what is there: for names that say their bytes."""
        self._call("put", key, path)

    def put_if_absent(self, key: str, content: bytes) -> str:
        """Create an object; where its key is taken, ObjectStoreError with Trouble.CHANGED. Returns its etag."""
        return self._put(key, content, "create")

    def put_if_match(self, fact: ObjectFact, content: bytes) -> str:
        """Replace exactly this version, as `put_if_absent`."""
        known = {"e_tag": fact.etag, "version": fact.version}  # stores go by one or the other
        return self._put(fact.key, content, {name: value for name, value in known.items() if value})

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._call("delete", key)

    def _put(self, key: str, content: bytes, mode: object) -> str:
        # one request, whole: the condition of a multipart upload holds in few stores
        put = self._call("put", key, content, mode=mode, use_multipart=False)
        return str(put["e_tag"] or "")

    def _call(self, name: str, *args: Any, **options: Any) -> Any:
        try:
            return getattr(self._client, name)(self._store, *args, **options)
        except Exception as error:  # noqa: BLE001
            raise self._said(error, str(args[0])) from None

    def _call_on(self, answer: Any, name: str) -> bytes:
        try:
            return bytes(getattr(answer, name)())
        except Exception as error:  # noqa: BLE001
            raise self._said(error) from None

    def _guarded(self, stream: Iterator[Any]) -> Iterator[Any]:
        while True:
            try:
                batch = next(stream)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001
                raise self._said(error) from None
            yield batch

    def _said(self, error: Exception, key: str = "") -> ObjectStoreError:
        kind = type(error).__name__
        at = f"{self.url}/{key}" if key else self.url
        if isinstance(error, FileNotFoundError) or kind == "NotFoundError":
            return ObjectStoreError(f"{at}: there is no such object or bucket", Trouble.ABSENT)
        if kind in {"PreconditionError", "AlreadyExistsError"}:
            return ObjectStoreError(f"{at}: it is not what it was", Trouble.CHANGED)
        if kind in {"PermissionDeniedError", "UnauthenticatedError"}:
            return ObjectStoreError(f"{at}: access denied. Check the credentials in the environment")
        return ObjectStoreError(f"{at}: {redact(str(error))}")


def is_object_url(path: str) -> bool:
    """Whether a path is an address in an object store that can be read."""
    return urlsplit(path).scheme in SCHEMES


def key_of(url: str) -> str:
    """The key in its bucket that an address names."""
    return url.split("://", 1)[1].partition("/")[2]


def _fact(meta: Any) -> ObjectFact:
    modified = meta["last_modified"]
    etag = str(meta["e_tag"] or modified)
    return ObjectFact(meta["path"], int(meta["size"]), etag, modified, meta["version"])


def _plain(scheme: str) -> dict[str, bool]:
    """Without TLS only where the environment says so, as each store's own variable does."""
    name = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}[scheme]
    return {"allow_http": os.environ.get(name, "").casefold() in {"1", "true"}}


def redact(said: str) -> str:
    """What a library says, without what the environment keeps secret and without the query of any address."""
    text = " ".join(said.partition("Debug source")[0].split())
    for name, value in os.environ.items():
        if _SECRETS.match(name) and len(value) >= 4:
            text = text.replace(value, "***")
    return re.sub(r"\?\S+", "?...", text)[:300]
