"""Every bad file through the step at the door: a documented end, a whole identity, one line for the user, no other error."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.landing import SourceUnreachableError
from assets.source_step import make_source
from expectations.contracts import TABLES
from pipelines.exits import one_line_of
from tests.data.bad.cases import CASES, Case, write_company
from tests.integration.without_dagster import open_workshop

UNREACHABLE = {
    "missing_file",
    "empty_glob",
    "folder_instead_of_file",
    "bucket",
}  # exit 5: nothing is there to judge
COUNTS = ("rows_out", "rejected", "deduplicated", "not_yet", "filtered")


@pytest.mark.parametrize("case", [c for c in CASES if c.table in TABLES], ids=lambda case: case.name)
def test_a_bad_file_ends_as_documented(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERSALE_KEY", "a key for tests only")
    workshop = open_workshop(tmp_path / "home", write_company(tmp_path, case))
    if case.blocked and case.name in UNREACHABLE:
        with pytest.raises(SourceUnreachableError, match=case.table):
            make_source(TABLES[case.table], workshop, None)
        return
    step = make_source(TABLES[case.table], workshop, None)
    if case.blocked:
        assert step.block is not None
        assert step.version is None
        assert len(one_line_of(step.block.message)) > 20
        assert case.table in step.block.message
        assert not list((tmp_path / "home" / "store").rglob("*.json"))
        return
    assert step.block is None or step.block.check == "few_rows_are_rejected", step.block
    if step.version is not None:
        facts = step.version.facts
        assert facts["rows_in"] == sum(facts[name] for name in COUNTS)
        assert facts["rows_in"] == case.rows + len(case.rejects) + case.filtered
    rejects = step.sides["rejects"]
    assert rejects.filter(rejects["raw"].is_null()).is_empty()
    assert rejects.height >= len(case.rejects)
