"""Dagster's records in SQLite, with a wait for the disk at the end of a run instead of two at each of a thousand events.

Dagster opens and closes the database around every event: the commit waits for the disk, and so does the close, which copies the
write-ahead log back since nobody else has the database open. Within `keep_open` somebody has, and commits need not wait: a
power cut may cost the last events of a run that was cut as well, never the database, and no table depends on them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keep_open() -> Iterator[None]:
    """While it lasts, every SQLite database in WAL mode that SQLAlchemy opens in this process stays open."""
    from sqlalchemy import Engine, event  # noqa: PLC0415 (comes with Dagster, and as slowly)

    kept: dict[str, sqlite3.Connection] = {}

    def relax(connection: object, record: object) -> None:
        del record
        if not isinstance(connection, sqlite3.Connection):
            return
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            return  # brand-new, or somebody else's
        connection.execute("PRAGMA synchronous = NORMAL")
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        if path not in kept:
            kept[path] = sqlite3.connect(path, check_same_thread=False)
            kept[path].execute("PRAGMA schema_version").fetchone()  # opened by the first look at it

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)
        for connection in kept.values():
            connection.close()
