"""`changes.md`: which published numbers moved, and everything that could have moved them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from expectations.contracts import TABLES
from pipelines.documents import describe_changes
from pipelines.restatements import RESTATED
from pipelines.warehouse.snapshots import Snapshot

NONE = pl.DataFrame(schema=RESTATED)
FACTS: dict[str, Any] = {
    "company": {"as_of": "2025-06-30", "timezone": "UTC"},
    "sources": {"accounts": "1", "complaints": "1"},
}


def publish_churn(folder: Path, churn: float) -> Path:
    """A snapshot's folder with one number in it."""
    (folder / "marts").mkdir(parents=True)
    table = TABLES["churn_by_incentive"]
    row = {"dimension": "all", "value": "all", "horizon_days": 180, "cif_churn": churn}
    pl.DataFrame([row], schema_overrides={k: v for k, v in table.schema.items() if k in row}).write_parquet(
        folder / "marts" / "churn_by_incentive.parquet"
    )
    return folder


@pytest.fixture
def before(tmp_path: Path) -> Snapshot:
    path = publish_churn(tmp_path / "1", 0.25)
    return Snapshot(1, path, "2025-06-30", "run", "code", "2026-01-01T00:00:00+00:00", None, {}, {}, FACTS)


def test_a_number_that_moved_is_shown_then_and_now(before: Snapshot, tmp_path: Path) -> None:
    said = describe_changes(publish_churn(tmp_path / "2", 0.5), before, "2025-06-30", "code", FACTS, NONE)
    assert "| all / all / 180 | 0.25 | 0.5 |" in said
    assert "No rate_per_1000 moved." in said


@pytest.mark.parametrize(
    ("as_of", "code", "facts", "cause"),
    [
        ("2025-07-31", "code", FACTS, "as_of (2025-06-30 to 2025-07-31)"),
        ("2025-06-30", "new", FACTS, "the code"),
        ("2025-06-30", "code", {**FACTS, "company": {"timezone": "Asia/Tokyo"}}, "the settings"),
        (
            "2025-06-30",
            "code",
            {**FACTS, "sources": {"accounts": "1", "complaints": "2"}},
            "the data (complaints)",
        ),
        (
            "2025-06-30",
            "new",
            {**FACTS, "sources": {"accounts": "2", "quotas": "1"}},
            "the code and the data (accounts, complaints, quotas)",
        ),
    ],
)
def test_all_that_differs_is_named_as_a_cause(
    before: Snapshot, tmp_path: Path, as_of: str, code: str, facts: dict[str, Any], cause: str
) -> None:
    said = describe_changes(publish_churn(tmp_path / "2", 0.25), before, as_of, code, facts, NONE)
    assert f"Moved by: {cause}." in said


def test_a_snapshot_of_an_older_program_names_what_it_can(before: Snapshot, tmp_path: Path) -> None:
    older = replace(before, facts={"company": FACTS["company"]})
    said = describe_changes(publish_churn(tmp_path / "2", 0.25), older, "2025-06-30", "code", FACTS, NONE)
    assert "Moved by: possibly the data." in said
