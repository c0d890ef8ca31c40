"""Two million rows of a Postgres on loopback (a tenth of them outside CI): memory bounded, changes only, deletes seen, exact.

The look runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from adbc_driver_postgresql import dbapi

ROWS = 2_000_000 if os.environ.get("CI") else 200_000
LOOK = """
import json, resource, sys
from pathlib import Path
from pipelines.sources.database import fetch
from pipelines.sources.settings import Database
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
asked = {"uri": sys.argv[1], "table": "ledger", "key": ["entry_id"], "cursor": "changed", "overlap": 60}
found = fetch(Database.model_validate(asked), Path(sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"rows": found.rows, "moved": found.moved, "path": str(found.path), "mib": (peak - before) / 1024}))
"""


def look(address: str, folder: Path) -> dict[str, Any]:
    words = [sys.executable, "-c", LOOK, address, str(folder)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=1200)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ask(address: str, sql: str) -> Any:
    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        answer = cursor.fetchone() if sql.startswith("SELECT") else None
        connection.commit()
    return answer


def test_a_large_table_comes_whole_then_only_what_changed(postgres: str, tmp_path: Path) -> None:
    ask(
        postgres,
        "CREATE TABLE ledger (entry_id BIGINT PRIMARY KEY, rep_id TEXT, amount NUMERIC(18,2), changed TIMESTAMPTZ)",
    )
    ask(
        postgres,
        "INSERT INTO ledger SELECT i, lpad((i % 997)::text, 5, '0'), (i::bigint * 7919 % 1000003)::numeric / 100 + 12345678901234, "
        f"timestamptz '2024-01-01 00:00Z' + i * interval '1 second' FROM generate_series(1, {ROWS}) AS s(i)",
    )  # fmt: skip
    first = look(postgres, tmp_path)
    assert (first["rows"], first["moved"]) == (ROWS, ROWS)
    # an entry is some 60 bytes, so that all of them at once would be 120 MB in Arrow, and a multiple in Python
    assert first["mib"] < 700

    ask(
        postgres,
        "UPDATE ledger SET amount = 0.01, changed = timestamptz '2030-01-01 00:00Z' WHERE entry_id % 1000 = 0",
    )
    ask(postgres, "DELETE FROM ledger WHERE entry_id % 500 = 1")
    changed, gone = ROWS // 1000, ROWS // 500
    second = look(postgres, tmp_path)
    overlapped = 60 + 1  # the newest of the first look, and the minute before it that is read again
    assert second["rows"] == ROWS - gone
    assert changed <= second["moved"] <= changed + overlapped
    assert second["mib"] < 700

    total, there = ask(postgres, "SELECT sum(amount)::text, count(*) FROM ledger")
    rows = pl.scan_parquet(second["path"])
    # exact: whole cents, summed as integers
    cents = pl.col("amount").str.replace(".", "", literal=True).cast(pl.Int64)
    found = rows.select(n=pl.len(), low=(cents % 10**9).sum(), high=(cents // 10**9).sum()).collect().row(0)
    assert found[0] == there == second["rows"]
    assert Decimal(found[1] + found[2] * 10**9) / 100 == Decimal(total)
    keys = rows.select(pl.col("entry_id").cast(pl.Int64)).collect()["entry_id"]
    assert not (keys % 500 == 1).any()
    assert keys.n_unique() == second["rows"]
    assert rows.filter(pl.col("amount") == "0.01").select(pl.len()).collect().item() == changed
