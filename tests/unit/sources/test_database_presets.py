"""A system's objects as tables of a database; what `init` sees in its catalogue; first looks that read little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assets.landing import SourceUnreachableError
from pipelines.commands.connect import propose_configuration
from pipelines.exits import Exit, UsageError
from pipelines.sources import database as databases
from pipelines.sources.config import ConfigError, Configuration, load_config
from pipelines.sources.inspection import inspect_sources
from pipelines.sources.landing import ConfiguredLanding

Run = Callable[[str], None]

TABLES = {
    "zd_ticket": "(id VARCHAR(9) PRIMARY KEY, created_at TIMESTAMP, status VARCHAR(9), priority VARCHAR(9), organization_id VARCHAR(9), is_deleted BOOLEAN)",
    "zd_ticket_field_history": "(ticket_id VARCHAR(9), field_name VARCHAR(20), value VARCHAR(20), updated TIMESTAMP)",
    "crm_accounts": "(account_id VARCHAR(9) PRIMARY KEY, segment VARCHAR(9), updated_at TIMESTAMP)",
    "crm_quotas": "(rep_id VARCHAR(9), component VARCHAR(9), period_start DATE, PeriodEnd DATE, amount NUMERIC(18,2), PRIMARY KEY (rep_id, period_start))",
    "nothing_of_the_kind": "(a INTEGER)",
}
ROWS = (
    "INSERT INTO zd_ticket VALUES ('1', '2024-01-01 10:00:00', 'solved', 'urgent', 'A1', false), ('2', '2024-01-02 10:00:00', 'open', 'low', 'A2', true)",
    "INSERT INTO zd_ticket_field_history VALUES ('1', 'status', 'solved', '2024-01-03 10:00:00')",
    "INSERT INTO crm_accounts VALUES ('007', 'smb', '2024-01-01 10:00:00')",
)


@pytest.fixture
def filled(database: tuple[str, Run], monkeypatch: pytest.MonkeyPatch) -> tuple[str, Run]:
    """A database that a loader filled; its address is in CRM_DATABASE."""
    address, run = database
    monkeypatch.setenv("CRM_DATABASE", address)
    for name, columns in TABLES.items():
        run(f"DROP TABLE IF EXISTS {name}")
        run(f"CREATE TABLE {name} {columns}")
    for statement in ROWS:
        run(statement)
    return database


def configure(folder: Path, complaints: str) -> Configuration:
    file = folder / "aftersale.yaml"
    file.write_text(f"""\
company: {{reporting_currency: USD, timezone: UTC}}
sources:
  accounts: {{sql: {{uri_env: CRM_DATABASE, table: crm_accounts, key: [account_id]}}}}
  reps: {{rows: [{{rep_id: R1}}]}}
  opportunities: {{rows: [{{opportunity_id: O1, account_id: A1, rep_id: R1, closed_at: , is_won: "true", amount: "1", currency: USD}}]}}
  complaints: {complaints}
""")
    return load_config(file)


NEEDED = """\
  reps: {rows: [{rep_id: R1}]}
  opportunities: {rows: [{opportunity_id: O1, account_id: A1, rep_id: R1, closed_at: , is_won: "true", amount: "1", currency: USD}]}
"""
OBJECTS = "{preset: zendesk, sql: {uri_env: CRM_DATABASE, table: zd_<object>}}"


def test_a_preset_reads_its_objects_from_tables(filled: tuple[str, Run], tmp_path: Path) -> None:
    landing = ConfiguredLanding(configure(tmp_path, OBJECTS), tmp_path / "cache")
    landed = landing.read("complaints")
    rows = landed.rows.collect().select("complaint_id", "account_id", "severity", "resolved_at").rows()
    assert [row[:3] for row in rows] == [("1", "A1", "critical")]
    assert str(rows[0][3]).startswith("2024-01-03")
    assert landed.filtered == 1  # deleted, whatever the database calls true
    assert {f.path for f in landed.files} == {"query", "database:ticket", "database:ticket_field_history"}
    before = landing.version("complaints")
    filled[1]("DELETE FROM zd_ticket_field_history")
    later = ConfiguredLanding(configure(tmp_path, OBJECTS), tmp_path / "cache")
    assert later.version("complaints") != before
    assert later.read("complaints").rows.collect()["resolved_at"].to_list() == [None]


def test_single_objects_may_be_asked_in_their_own_way(filled: tuple[str, Run], tmp_path: Path) -> None:
    named = """
    preset: zendesk
    files:
      ticket: {sql: {uri_env: CRM_DATABASE, query: "SELECT * FROM zd_ticket WHERE priority = 'urgent'", key: [id]}}
      ticket_field_history: history.csv"""
    (tmp_path / "history.csv").write_text("ticket_id,field_name,value,updated\n")
    landed = ConfiguredLanding(configure(tmp_path, named), tmp_path / "cache").read("complaints")
    assert (landed.rows.collect()["complaint_id"].to_list(), landed.filtered) == (["1"], 0)


def test_a_needed_object_without_a_table_is_said_and_keys_are_refused(
    filled: tuple[str, Run], tmp_path: Path
) -> None:
    wrong = OBJECTS.replace("zd_<", "sf_<")
    with pytest.raises(SourceUnreachableError, match=r"complaints: database: .*sf_ticket"):
        ConfiguredLanding(configure(tmp_path, wrong), tmp_path / "cache").read("complaints")
    with pytest.raises(ConfigError, match="keys and cursors of their own: name each under 'files'"):
        configure(tmp_path, OBJECTS.replace("zd_<object>", "zd_<object>, key: [id]"))


def test_init_proposes_what_a_database_holds_and_it_can_be_read(
    filled: tuple[str, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "aftersale.yaml"
    assert propose_configuration(None, out, "EUR", "Europe/Berlin", "CRM_DATABASE") is Exit.PUBLISHED
    text = out.read_text()
    schema = "" if filled[0].startswith("sqlite") else "public."
    end = "PeriodEnd" if not schema else "periodend"
    assert f'{{preset: zendesk, sql: {{uri_env: CRM_DATABASE, table: "{schema}zd_<object>"}}}}' in text
    assert (
        f'accounts: {{sql: {{uri_env: CRM_DATABASE, table: "{schema}crm_accounts", key: ["account_id"]}}}}'
        in text
    )
    assert "cursor: updated_at would read only changes" in text
    assert (
        f'table: "{schema}crm_quotas", key: ["rep_id", "period_start"]}}, columns: {{period_end: "{end}"}}}}'
        in text
    )
    said = capsys.readouterr().out
    assert "nothing_of_the_kind" in said
    assert "Still needed: reps, opportunities" in said
    out.write_text(f"{text}{NEEDED}")
    report = inspect_sources(load_config(out))
    assert {t.table: t.problem for t in report.tables} == dict.fromkeys((t.table for t in report.tables), "")


def test_init_needs_one_place_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--database-env"):
        propose_configuration(None, tmp_path / "o", "EUR", "UTC")
    with pytest.raises(UsageError, match="--database-env"):
        propose_configuration(tmp_path, tmp_path / "o", "EUR", "UTC", "CRM_DATABASE")
    with pytest.raises(UsageError, match="no name of an environment variable"):
        propose_configuration(None, tmp_path / "o", "EUR", "UTC", "postgresql://me:geheim@h/db")
    monkeypatch.setenv("CRM_DATABASE", "postgresql://me:geheim@127.0.0.1:1/crm")
    with pytest.raises(SourceUnreachableError, match="CRM_DATABASE: ") as caught:
        propose_configuration(None, tmp_path / "o", "EUR", "UTC", "CRM_DATABASE")
    assert "geheim" not in str(caught.value)


def test_check_asks_a_database_for_its_first_rows_only(
    filled: tuple[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, run = filled
    series = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT i FROM n"
        if address.startswith("sqlite")
        else "SELECT i FROM generate_series(1, 30000) AS s(i)"
    )
    run(f"INSERT INTO crm_accounts (account_id) SELECT CAST(i AS VARCHAR(9)) FROM ({series}) AS many")
    fetched: list[int] = []
    fetch = databases.fetch

    def counted(*args: object, **options: object) -> databases.Fetched:
        found = fetch(*args, **options)  # type: ignore[arg-type]
        fetched.append(found.rows)
        return found

    monkeypatch.setattr("pipelines.sources.locating.fetch", counted)
    report = {t.table: t for t in inspect_sources(configure(tmp_path, OBJECTS)).tables}
    assert report["accounts"].records == 10_000
    assert report["complaints"].problem == ""
    assert max(fetched) == 10_000
    assert sorted(p.name for p in tmp_path.iterdir()) in (["aftersale.yaml"], ["aftersale.yaml", "crm.db"])
