"""Databases as sources, both for real: SQLite, and a Postgres of this test's own on loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from assets.landing import FILE, RECORD, SourceUnreachableError
from pipelines.sources.config import ConfigError, Configuration, load_config
from pipelines.sources.database import DatabaseError, fetch
from pipelines.sources.landing import ConfiguredLanding
from pipelines.sources.settings import Database

Run = Callable[[str], None]

DEALS = """CREATE TABLE deals (id VARCHAR(20) PRIMARY KEY, account VARCHAR(20), amount NUMERIC(18,2), won BOOLEAN, changed TIMESTAMP)"""
FIRST = """INSERT INTO deals VALUES ('007', 'A1', 12345678901234.56, true, '2024-01-01 10:00:00'),
    ('D2', NULL, 0.10, false, '2024-01-02 10:00:00'), ('D3', 'A3', NULL, true, '2024-01-03 10:00:00')"""


def look(address: str, folder: Path, **more: object) -> tuple[pl.DataFrame, int]:
    """The rows, by key, and how many of them were sent."""
    asked = {"uri": address, "table": "deals", "key": ["id"], **more}
    found = fetch(Database.model_validate(asked), folder)
    rows = pl.read_parquet(found.path)
    assert rows.height == found.rows
    return rows, found.moved


def test_every_value_arrives_exactly(database: tuple[str, Run], tmp_path: Path) -> None:
    address, run = database
    run(DEALS.replace("NUMERIC(18,2)", "TEXT") if address.startswith("sqlite") else DEALS)
    run(FIRST.replace("12345678901234.56", "'12345678901234.56'").replace("0.10", "'0.10'"))
    rows, moved = look(address, tmp_path / "cache")
    assert moved == 3
    assert rows["id"].to_list() == ["007", "D2", "D3"]
    assert rows["amount"].to_list() == ["12345678901234.56", "0.10", None]
    assert rows["account"].to_list() == ["A1", None, "A3"]


def test_a_second_look_brings_only_changes_and_sees_deletes(
    database: tuple[str, Run], tmp_path: Path
) -> None:
    address, run = database
    run(DEALS)
    run(FIRST)
    cache = tmp_path / "cache"
    assert look(address, cache, cursor="changed", overlap=3600)[1] == 3
    run("UPDATE deals SET account = 'A9', changed = '2024-01-05 08:00:00' WHERE id = '007'")
    run("INSERT INTO deals VALUES ('D4', 'A4', 5, true, '2024-01-04 09:00:00')")
    # recorded late, but within the overlap of an hour; the other lies before it, and only a full look would find it
    run("INSERT INTO deals VALUES ('D5', 'A5', 5, true, '2024-01-03 09:30:00')")
    run("DELETE FROM deals WHERE id = 'D2'")
    rows, moved = look(address, cache, cursor="changed", overlap=3600)
    assert rows.select("id", "account").rows() == [("007", "A9"), ("D3", "A3"), ("D4", "A4"), ("D5", "A5")]
    assert moved == 4  # 007, D4, D5, and D3 once more
    assert look(address, tmp_path / "new", cursor="changed")[0].equals(rows)


def test_rows_lie_in_the_order_of_their_bytes_however_they_came(
    database: tuple[str, Run], tmp_path: Path
) -> None:
    address, run = database
    run(DEALS)
    run(
        "INSERT INTO deals (id, changed) VALUES ('b', '2024-01-01 00:00:00'), ('B', '2024-01-01 00:00:00'), ('_a', '2024-01-01 00:00:00')"
    )
    look(address, tmp_path / "cache", cursor="changed")
    run("INSERT INTO deals (id, changed) VALUES ('C', '2024-01-02 00:00:00')")
    rows, _ = look(address, tmp_path / "cache", cursor="changed")
    assert rows["id"].to_list() == ["B", "C", "_a", "b"]
    assert look(address, tmp_path / "new", cursor="changed")[0].equals(rows)


def test_a_damaged_or_foreign_memory_is_not_trusted(database: tuple[str, Run], tmp_path: Path) -> None:
    address, run = database
    run(DEALS)
    run(FIRST)
    cache = tmp_path / "cache"
    look(address, cache, cursor="changed")
    (cache / "rows.parquet").write_bytes((cache / "rows.parquet").read_bytes()[:-1])
    assert look(address, cache, cursor="changed")[1] == 3
    rows, moved = look(
        address, cache, table=None, query="SELECT id, changed FROM deals WHERE id > 'A'", cursor="changed"
    )
    assert (rows["id"].to_list(), moved) == (["D2", "D3"], 2)


def test_many_rows_come_in_bounded_batches(database: tuple[str, Run], tmp_path: Path) -> None:
    address, run = database
    run("CREATE TABLE IF NOT EXISTS spare (i INTEGER)")
    series = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i AS id FROM n"
        if address.startswith("sqlite")
        else "SELECT i AS id FROM generate_series(1, 300000) AS s(i)"
    )
    found = fetch(Database(uri=address, query=series), tmp_path / "cache")
    assert found.rows == 300_000
    assert pl.scan_parquet(found.path).select(pl.col("id").n_unique()).collect().item() == 300_000
    with pq.ParquetFile(found.path) as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    assert max(groups) <= 131_072


def configure(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    monkeypatch.setenv("CRM_DATABASE", address)
    file = folder / "aftersale.yaml"
    file.write_text("""\
company: {reporting_currency: USD, timezone: UTC}
sources:
  accounts: {rows: [{account_id: A1}]}
  reps: {rows: [{rep_id: R1}]}
  opportunities:
    sql: {uri_env: CRM_DATABASE, table: deals, key: [id], cursor: changed}
    timezone: UTC
    columns: {opportunity_id: id, account_id: account, rep_id: "'R1'", closed_at: changed, is_won: won, currency: "'USD'"}
""")
    return load_config(file)


def test_a_database_lands_like_a_file(
    database: tuple[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, run = database
    run(DEALS)
    run(FIRST)
    config = configure(tmp_path, address, monkeypatch)
    landing = ConfiguredLanding(config, tmp_path / "cache")
    version = landing.version("opportunities")
    landed = landing.read("opportunities")
    rows = landed.rows.collect()
    assert rows["opportunity_id"].to_list() == ["007", "D2", "D3"]
    assert set(rows[FILE]) == {"database"}
    assert rows[RECORD].to_list() == [1, 2, 3]
    assert sum(file.records for file in landed.files) == 3
    assert ConfiguredLanding(config, tmp_path / "cache").version("opportunities") == version
    run("UPDATE deals SET account = 'A7', changed = '2024-01-09 00:00:00' WHERE id = 'D3'")
    assert ConfiguredLanding(config, tmp_path / "cache").version("opportunities") != version


def test_what_can_not_be_reached_is_said_without_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "postgresql://me:geheim@127.0.0.1:1/crm"
    landing = ConfiguredLanding(configure(tmp_path, secret, monkeypatch), tmp_path / "cache")
    with pytest.raises(SourceUnreachableError, match=r"^opportunities: database: ") as caught:
        landing.version("opportunities")
    assert "geheim" not in str(caught.value)
    monkeypatch.delenv("CRM_DATABASE")
    with pytest.raises(SourceUnreachableError, match=r"CRM_DATABASE is not set"):
        landing.version("opportunities")
    with pytest.raises(DatabaseError, match=r"there is no file"):
        fetch(Database(uri=f"sqlite://{tmp_path}/none.db", table="x"), tmp_path / "cache")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("{uri: 'postgresql://me:pw@h/db', table: t}", "must hold no password"),
        ("{uri: 'mysql://h/db', table: t}", "must start with postgresql"),
        ("{uri: 'sqlite:///a.db'}", "needs either 'table' or 'query'"),
        ("{table: t}", "needs 'uri'"),
        ("{uri: 'sqlite:///a.db', table: t, cursor: c}", "needs 'key'"),
        ("{uri: 'sqlite:///a.db', table: 't; DROP TABLE x'}", "has not the form"),
        ("{uri: 'sqlite:///a.db', tabel: t}", "did you mean 'table'"),
    ],
)
def test_a_wrong_database_entry_is_refused_by_line(tmp_path: Path, sql: str, said: str) -> None:
    file = tmp_path / "aftersale.yaml"
    file.write_text(
        "company: {reporting_currency: USD, timezone: UTC}\nsources:\n  accounts: {rows: [{account_id: A1}]}\n"
        f"  reps: {{rows: [{{rep_id: R1}}]}}\n  opportunities: {{sql: {sql}}}\n"
    )
    with pytest.raises(ConfigError, match=said):
        load_config(file)
