"""Dagster's databases stay open for a run, and nothing of them is lost or left behind."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text

from pipelines.event_log import keep_open


def open_once(path: Path, statement: str) -> object:
    """As Dagster does it: an engine, a connection, a commit, a close."""
    with create_engine(f"sqlite:///{path}", poolclass=NullPool).begin() as connection:
        answer = connection.execute(text(statement))
        return answer.scalar() if answer.returns_rows else None


def in_wal_mode(path: Path) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE events (n INTEGER)")
    connection.close()
    return path


def test_a_database_stays_open_until_the_end_and_no_commit_waits(tmp_path: Path) -> None:
    path = in_wal_mode(tmp_path / "log.db")
    log = path.with_name("log.db-wal")
    open_once(path, "INSERT INTO events VALUES (1)")
    assert not log.exists()  # the last to close has copied it back
    with keep_open():
        open_once(path, "INSERT INTO events VALUES (2)")
        assert log.exists()
        assert open_once(path, "PRAGMA synchronous") == 1  # NORMAL
        assert open_once(path, "SELECT sum(n) FROM events") == 3
    assert not log.exists()
    assert open_once(path, "SELECT sum(n) FROM events") == 3
    assert open_once(path, "PRAGMA synchronous") == 2  # FULL, as ever


def test_databases_in_other_modes_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with keep_open():
        open_once(path, "CREATE TABLE events (n INTEGER)")
        assert open_once(path, "PRAGMA synchronous") == 2
        # nobody else has it open: the mode can be changed
        assert open_once(path, "PRAGMA journal_mode = WAL") == "wal"


def test_what_is_kept_open_is_let_go_when_a_run_fails(tmp_path: Path) -> None:
    path = in_wal_mode(tmp_path / "log.db")
    try:
        with keep_open():
            open_once(path, "INSERT INTO events VALUES (1)")
            raise RuntimeError
    except RuntimeError:
        pass
    assert not path.with_name("log.db-wal").exists()
    assert open_once(path, "SELECT count(*) FROM events") == 1
