"""A run that stops says all that stopped it, in the firm's words; `check` says beforehand that a key is missing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from pipelines.commands.check import run_check
from pipelines.commands.inspect import read_status
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit
from tests.integration.company_files import won, write_company

TABLES = {
    "accounts": [{"account_id": "A-1"}],
    "reps": [{"rep_id": "R-1"}],
    "opportunities": [won("1", "R-1", "2025-03-01T12:00:00Z", "10.00")],
}
COMPLAINT = {"complaint_id": "C-1", "account_id": "A-1", "received_at": "some day"}
SUBSCRIPTION = {"subscription_id": "S-1", "account_id": "A-1", "started_at": "another day"}


@pytest.fixture(autouse=True)
def _own_dagster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def test_every_blocked_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_company(
        tmp_path / "company", {**TABLES, "complaints": [COMPLAINT], "subscriptions": [SUBSCRIPTION]}
    )
    home = tmp_path / "home"
    assert run_pipeline(home, config) is Exit.BLOCKED
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("blocked: ")
    for table in ("complaints", "subscriptions"):
        assert said.count(f"aftersale rejects {table}") == 1
    assert "accounts" not in said
    told = read_status(home, datetime.now(UTC))["last_run"]["message"]
    assert "complaints" in told
    assert "subscriptions" in told


def test_what_no_step_did_wrong_is_said_without_the_name_of_a_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = {**TABLES["opportunities"][0], "is_won": "false"}
    config = write_company(tmp_path / "company", {**TABLES, "opportunities": [lost]})
    assert run_pipeline(tmp_path / "home", config) is Exit.FAILED
    assert capsys.readouterr().err.startswith("error: no won deal has a readable close: ")


def test_check_says_which_key_a_run_would_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_company(tmp_path / "company", TABLES)
    home = tmp_path / "home"

    def check() -> str:
        assert run_check(home, config) is Exit.PUBLISHED
        return capsys.readouterr().out

    monkeypatch.delenv("AFTERSALE_KEY", raising=False)
    assert "this made-up company brings its own key" in check()
    settings = yaml.safe_load(config.read_text())
    del settings["company"]["demo_seed"]
    config.write_text(yaml.safe_dump(settings))
    said = check()
    assert "A run would stop: AFTERSALE_KEY is not set" in said
    assert "looked for in the environment" in said
    monkeypatch.setenv("AFTERSALE_KEY", "short")
    assert "A run would stop: AFTERSALE_KEY: " in check()
    monkeypatch.setenv("AFTERSALE_KEY", "a key for tests only")
    assert "Pseudonyms: AFTERSALE_KEY is set, the id of the key is " in check()
    assert not home.exists()

    assert run_pipeline(home, config) is Exit.PUBLISHED
    monkeypatch.setenv("AFTERSALE_KEY", "some other key of the tests")
    capsys.readouterr()
    assert "A run would stop: the key of snapshot 1 has the id " in check()
