"""Rows that vanish upstream and sources that go on stale, through whole runs: blocked or published, never unsaid."""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from pipelines.commands.inspect import read_status, show_rejects
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit
from pipelines.warehouse.snapshots import latest_number, verify
from tests.integration.company_files import won, write_company

COMPLAINTS = 40


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home and its sources: forty complaints about forty deals, one snapshot."""
    folder = tmp_path_factory.mktemp("gone")
    numbers = [f"{i:02}" for i in range(COMPLAINTS)]
    config = write_company(
        folder / "source",
        {
            "accounts": [{"account_id": f"A-{n}"} for n in numbers],
            "reps": [{"rep_id": "R-1"}],
            "opportunities": [won(n, "R-1", "2025-01-10T12:00:00Z", "10.00") for n in numbers],
            "complaints": [
                {"complaint_id": f"C-{n}", "account_id": f"A-{n}", "received_at": "2025-03-01T12:00:00Z"}
                for n in numbers
            ],
        },
        company={"as_of": "2025-12-31"},
        complaints={"max_vanished_share": 0.05},
    )
    assert run_pipeline(folder, config) is Exit.PUBLISHED
    return folder


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "home"
    shutil.copytree(published, copy, symlinks=True)
    return copy


def run(home: Path) -> Exit:
    return run_pipeline(home, home / "source" / "aftersale.yaml")


def keep(home: Path, count: int, **changed: str) -> None:
    """Leave the first `count` complaints in the file, with some columns changed in all of them."""
    path = home / "source" / "complaints.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))[:count]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows([{**row, **changed} for row in rows])


def configure(home: Path, **settings: Any) -> None:
    path = home / "source" / "aftersale.yaml"
    content = yaml.safe_load(path.read_text())
    content["sources"]["complaints"] |= settings
    path.write_text(yaml.safe_dump(content))


def coverage(home: Path) -> dict[str, Any]:
    table = pl.read_parquet(home / "published" / "latest" / "quality" / "source_coverage.parquet")
    return table.row(by_predicate=(pl.col("table") == "complaints") & (pl.col("column") == ""), named=True)


def board(home: Path) -> str:
    return (home / "published" / "latest" / "board.html").read_text()


def test_a_few_vanished_rows_are_buried_and_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage(home)["vanished"] is None
    keep(home, COMPLAINTS - 2)
    assert run(home) is Exit.PUBLISHED
    assert (coverage(home)["rows"], coverage(home)["vanished"]) == (COMPLAINTS - 2, 2)
    assert "complaints 2." in board(home)
    capsys.readouterr()
    show_rejects(home, "complaints", 20)
    said = capsys.readouterr().out
    assert "2 keys of complaints vanished" in said
    assert "complaint_id=C-38" in said
    assert "complaint_id=C-39" in said


def test_more_than_the_limit_block_until_the_limit_is_raised(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(home, COMPLAINTS - 3)
    assert run(home) is Exit.BLOCKED
    said = capsys.readouterr().err
    for words in ("core/complaints", "3 of the 40 rows", "5.00%", "max_vanished_share", "Snapshot 1 stays"):
        assert words in said
    assert (latest_number(home), verify(home)) == (1, [])
    show_rejects(home, "complaints", 20)
    assert "3 keys of complaints vanished" in capsys.readouterr().out
    assert run(home) is Exit.BLOCKED  # once more: a block is no new ground to compare with
    configure(home, max_vanished_share=0.1)
    assert run(home) is Exit.PUBLISHED
    assert coverage(home)["vanished"] == 3


def test_a_stale_source_is_said_with_its_age(home: Path) -> None:
    configure(home, on_block="stale")
    keep(home, COMPLAINTS, received_at="31/12/2024")
    assert run(home) is Exit.PUBLISHED
    row = coverage(home)
    assert row["rows"] == COMPLAINTS
    assert datetime.now(UTC) > row["stale_since"]
    assert "40 of 40 records rejected" in row["detail"]
    page = board(home)
    assert "older than this page: complaints 0 hours old." in page
    assert page.count("Their last good rows stand in") == 1
    (stale,) = read_status(home, datetime.now(UTC))["stale_sources"]
    assert (stale["table"], 0 <= stale["age_hours"] < 1) == ("core/complaints", True)
    # mended: fresh again, and nothing had vanished
    keep(home, COMPLAINTS, received_at="2025-03-02T12:00:00Z")
    assert run(home) is Exit.PUBLISHED
    assert (coverage(home)["stale_since"], coverage(home)["vanished"]) == (None, 0)
    assert "older than this page" not in board(home)
    assert read_status(home, datetime.now(UTC))["stale_sources"] == []
