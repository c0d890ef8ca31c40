"""Ids that join nothing are said where somebody sees them: two systems that name one customer differently."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from pipelines.commands import run
from pipelines.exits import Exit
from pipelines.unmatched import say_unmatched


def coverage(folder: Path, *rows: tuple[str, str | None, int | None, int | None]) -> Path:
    (folder / "quality").mkdir()
    schema = {"table": pl.String, "column": pl.String, "broken_references": pl.Int64, "rows": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    frame.write_parquet(folder / "quality" / "source_coverage.parquet")
    return folder


def test_half_the_ids_without_a_match_are_said_and_a_few_are_not(tmp_path: Path) -> None:
    snapshot = coverage(
        tmp_path,
        ("complaints", "account_id", 1_200, 2_400),
        ("complaints", "", 1_200, 2_400),
        ("credits", None, 5, 5),
        ("feedback", "account_id", 49, 100),
        ("quotas", "rep_id", 0, 0),
        ("reps", "manager_id", None, 3),
    )
    said = say_unmatched(snapshot)
    assert "complaints.account_id 1,200 of 2,400. Those rows join nothing" in said
    assert not any(word in said for word in ("credits", "feedback", "quotas", "reps"))


def test_nothing_is_said_where_everything_fits_or_no_table_says(tmp_path: Path) -> None:
    assert say_unmatched(tmp_path) == ""
    assert say_unmatched(coverage(tmp_path, ("complaints", "account_id", 1, 2_400))) == ""


def test_the_command_says_it_after_the_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = coverage(tmp_path, ("complaints", "account_id", 8, 8))
    newest = SimpleNamespace(number=1, as_of="2025-12-31", run_id="r", path=snapshot)
    monkeypatch.setattr(run, "latest_snapshot", lambda _: newest)
    assert run._report(tmp_path, "r", Exit.PUBLISHED) is Exit.PUBLISHED
    out = " ".join(capsys.readouterr().out.split())
    assert out.index("Published snapshot 1") < out.index("complaints.account_id 8 of 8")
