"""Databases for real: SQLite, and a Postgres of the tests' own on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from adbc_driver_postgresql import dbapi

Run = Callable[[str], None]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a Postgres server on loopback, gone afterwards."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(found[-1]) if found else None)
    if initdb is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Postgres: .ci/run installs it")
        # `make test` must do on a machine with Python, make and git; CI has the server and fails above without it
        pytest.skip("needs a Postgres server (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="aftersale-pg-", dir="/tmp"))
    user = "nobody" if os.geteuid() == 0 else None  # Postgres refuses to be run by root
    if user:
        shutil.chown(folder, user)
    programs, data = Path(initdb).resolve().parent, folder / "data"

    def run(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True, user=user, cwd=folder, timeout=1200)

    run(str(programs / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "--no-sync")
    control = [str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", "600"]
    for attempt in range(5):
        port = _free_port()
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        )
        try:
            run(*control, "-o", options, "-l", str(folder / "log"), "start")
            break
        except subprocess.CalledProcessError:  # another worker's server may have taken the port in between
            if attempt == 4:
                raise
    try:
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        run(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Run]:
    """An empty database: its address, and a way to run a statement in it."""
    if request.param == "sqlite":
        path = tmp_path / "crm.db"

        def in_sqlite(sql: str) -> None:
            with sqlite3.connect(path) as connection:
                connection.execute(sql)
            connection.close()

        return f"sqlite://{path}", in_sqlite
    address = request.getfixturevalue("postgres")

    def in_postgres(sql: str) -> None:
        with dbapi.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            connection.commit()

    in_postgres("DROP TABLE IF EXISTS deals")
    return address, in_postgres
