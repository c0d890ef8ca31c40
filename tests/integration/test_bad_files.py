"""Every bad file has its documented outcome, and no record is ever lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from assets.landing import FILE, RECORD, REJECTS, Landed, LandingBlockedError, SourceUnreachableError
from pipelines.sources.config import load_config
from pipelines.sources.landing import ConfiguredLanding
from tests.data.bad.cases import ACCEPTED, BLOCKED, CASES, REJECTED, Case, write_company


def land(case: Case, folder: Path) -> tuple[Landed, pl.DataFrame]:
    landing = ConfiguredLanding(load_config(write_company(folder, case)), folder / "cache")
    landed = landing.read(case.table)
    return landed, landed.rows.collect()


@pytest.fixture(autouse=True)
def nothing_is_written_past_us(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The engine's panics go to standard error before anybody can catch them."""
    yield
    assert capfd.readouterr().err == ""


def name_of(case: Case) -> str:
    return case.name


def test_there_are_enough_cases_with_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 100


@pytest.mark.parametrize("case", [*ACCEPTED, *REJECTED], ids=name_of)
def test_rows_rejects_and_filtered_add_up_as_documented(case: Case, tmp_path: Path) -> None:
    landed, rows = land(case, tmp_path)
    rejects = landed.rejects
    assert rejects.schema == REJECTS
    assert rows.height == case.rows
    assert tuple(rejects.select("record", "reason").iter_rows()) == case.rejects
    assert landed.filtered == case.filtered
    assert sum(file.records for file in landed.files) == rows.height + rejects.height + landed.filtered
    assert not rows.select(FILE, RECORD).is_duplicated().any()
    assert set(case.notes) <= {name for name, _ in landed.notes}
    for column, record, expected in case.cells:
        assert rows.filter(pl.col(RECORD) == record)[column].to_list()[0] == expected, (column, record)


@pytest.mark.parametrize("case", REJECTED, ids=name_of)
def test_raw_text_of_rejected_records_is_kept(case: Case, tmp_path: Path) -> None:
    landed, _ = land(case, tmp_path)
    data = case.data
    if case.file.endswith(".gz"):
        import gzip

        data = gzip.decompress(data)
    for raw in landed.rejects["raw"]:
        assert raw
        assert raw.encode() in data


@pytest.mark.parametrize("case", BLOCKED, ids=name_of)
def test_what_cannot_be_trusted_blocks_with_a_hint(case: Case, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachableError if case.unreachable else LandingBlockedError) as caught:
        land(case, tmp_path)
    said = str(caught.value)
    assert case.blocked in said
    assert case.hint in said
    assert said.startswith(case.table)
    assert "\n" not in said
    assert len(said) < 1000


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_version_is_stable_and_cheap_facts_never_raise_anything_else(case: Case, tmp_path: Path) -> None:
    landing = ConfiguredLanding(load_config(write_company(tmp_path, case)), tmp_path / "cache")
    try:
        first = landing.version(case.table)
    except SourceUnreachableError:
        assert case.unreachable
        return
    assert first == ConfiguredLanding(landing.configuration, tmp_path / "other").version(case.table)
    assert isinstance(landing.columns(case.table), frozenset)
