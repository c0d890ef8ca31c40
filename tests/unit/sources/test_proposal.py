"""`aftersale init` recognises systems and tables by what lies there; `aftersale template` gives what no system exports."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from openpyxl import Workbook

from expectations.contracts import SOURCES
from expectations.model import Kind
from pipelines.commands.connect import print_template, propose_configuration
from pipelines.exits import Exit, UsageError
from pipelines.sources.config import load_config
from pipelines.sources.inspection import inspect_sources
from pipelines.sources.proposal import propose


def test_init_finds_the_systems_of_the_samples_and_the_result_can_be_read(
    shared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "aftersale.yaml"
    assert (
        propose_configuration(shared_data / "connector_samples", out, "EUR", "Europe/Berlin")
        is Exit.PUBLISHED
    )
    config = load_config(out)
    chosen = {name: source.preset for name, source in config.sources.items()}
    crm = dict.fromkeys(
        (
            "accounts",
            "reps",
            "reporting_lines",
            "account_assignments",
            "products",
            "opportunities",
            "activities",
        ),
        "salesforce",
    )
    pay = dict.fromkeys(("subscriptions", "subscription_events", "customer_activity"), "stripe")
    voice = dict.fromkeys(("complaints", "feedback", "feedback_events"), "zendesk")
    assert chosen == crm | pay | voice | {"themes": "jira"}
    assert config.company.reporting_currency == "EUR"
    others = propose(shared_data / "connector_samples", tmp_path).passed_over
    assert {("feedback", "Jira"), ("accounts", "HubSpot")} <= set(others)
    assert not {("feedback", "Zendesk"), ("accounts", "Salesforce")} & set(others)
    assert inspect_sources(config).usable


def test_init_takes_files_with_the_columns_of_a_source_table_however_they_are_spelt(tmp_path: Path) -> None:
    (tmp_path / "2025 quotas.csv").write_text("RepId,component,period_start,PeriodEnd,amount\n")
    (tmp_path / "ledger.csv").write_text("nothing,of,the,kind\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    pl.DataFrame({"account_id": ["A1"], "name": ["x"]}).write_parquet(tmp_path / "accounts.parquet")
    proposal = propose(tmp_path, tmp_path)
    assert {one.table: one.entry for one in proposal.found} == {
        "accounts": '{path: "accounts.parquet"}',
        "quotas": '{path: "2025 quotas.csv", columns: {rep_id: "RepId", period_end: "PeriodEnd"}}',
    }
    assert proposal.missing == ("reps", "opportunities")
    assert proposal.unrecognised == ("broken.parquet", "ledger.csv")


def test_init_looks_into_compressed_files_and_workbooks(tmp_path: Path) -> None:
    head = "rep_id,component,period_start,period_end,amount\n"
    (tmp_path / "quotas.csv.zst").write_bytes(pa.compress(head.encode(), codec="zstd", asbytes=True))
    (tmp_path / "reps.csv.gz").write_bytes(gzip.compress(b"rep_id\n"))
    book = Workbook()
    book.active.append(["Account_ID", None, "segment"])
    book.save(tmp_path / "accounts.xlsx")
    (tmp_path / "ledger.xlsx").write_bytes(b"PK")
    proposal = propose(tmp_path, tmp_path)
    assert {one.table: one.entry for one in proposal.found} == {
        "accounts": '{path: "accounts.xlsx", columns: {account_id: "Account_ID"}}',
        "quotas": '{path: "quotas.csv.zst"}',
        "reps": '{path: "reps.csv.gz"}',
    }
    assert proposal.unrecognised == ("ledger.xlsx",)


def test_events_of_one_system_are_not_put_beside_the_rows_of_another(tmp_path: Path) -> None:
    for name, header in {
        "hub/ticket": "id,property_createdate", "hub/company": "id", "hub/owner": "owner_id",
        "jira/issue": "id,created", "jira/issue_field_history": "issue_id,field_id,time", "jira/status": "id,name",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.csv").write_text(f"{header}\n")
    found = {one.table: one.from_what for one in propose(tmp_path, tmp_path).found}
    assert found["feedback"] == "HubSpot"
    assert "feedback_events" not in found


@pytest.mark.parametrize(
    ("folder", "currency", "zone", "said"),
    [
        ("nowhere", "USD", "UTC", "is no folder"),
        (".", "dollar", "UTC", "is no currency"),
        (".", "USD", "Mars/Base", "is no time zone"),
        (".", "USD", "UTC", "nothing in"),
    ],
)
def test_init_says_what_it_needs(tmp_path: Path, folder: str, currency: str, zone: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        propose_configuration(tmp_path / folder, tmp_path / "out.yaml", currency, zone)
    (tmp_path / "out.yaml").write_text("mine")
    with pytest.raises(UsageError, match="is not replaced"):
        propose_configuration(tmp_path, tmp_path / "out.yaml", "USD", "UTC")


@pytest.mark.parametrize("table", SOURCES)
def test_a_template_is_a_header_that_maps_by_itself_and_explains_every_column(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_template(table) is Exit.PUBLISHED
    header, notes = capsys.readouterr()
    names = header.rstrip("\n").split(",")
    assert names == [column.name for column in SOURCES[table].door]
    assert all(f"  {name}: " in notes for name in names)
    moments = [column.name for column in SOURCES[table].door if column.kind is Kind.TIMESTAMP]
    lines = notes.splitlines()
    assert all(any(f"  {m}: " in one and "write `timezone:`" in one for one in lines) for m in moments)


def test_an_unknown_template_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'quotas'"):
        print_template("qotas")
