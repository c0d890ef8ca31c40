"""Every cell of the schema-drift matrix: what comes of it does not hang on which file of the glob drifts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from assets.core.refine import Refined
from assets.core.subjects import refine_source
from assets.landing import LandingBlockedError
from pipelines.sources.landing import ConfiguredLanding
from tests.data.drift import DRIFTS, FORMATS, PLACES, Drift, Outcome, Role, file, render
from tests.unit.core.doorstep import COMPANY, NAMES
from tests.unit.sources.test_landing import configure

CELLS = [
    pytest.param(drift, fmt, place, id=f"{n}-{drift.change}-{drift.role}-{fmt}-{PLACES[place]}")
    for n, drift in enumerate(DRIFTS)
    for fmt in drift.formats
    for place in range(len(PLACES))
]
DOCUMENT = Path(__file__).parents[3] / "docs" / "connect" / "schema_drift.md"


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a file as its kind of exporter would."""
    writers: dict[str, Callable[[pl.DataFrame], object]] = {
        ".csv": lambda f: f.write_csv(path),
        ".jsonl": lambda f: f.write_ndjson(path),
        ".parquet": lambda f: f.write_parquet(path),
    }
    writers[path.suffix](frame)


def take_in(folder: Path, fmt: str, frames: list[pl.DataFrame]) -> Refined:
    """Three files under one glob, read and refined."""
    config = configure(folder, opportunities=f'{{path: "deals-*.{fmt}", max_reject_share: 1.0}}')
    for place, frame in enumerate(frames):
        write(frame, folder / f"deals-{place}.{fmt}")
    landing = ConfiguredLanding(config, folder / "cache")
    try:
        return refine_source(landing.read("opportunities"), COMPANY, NAMES)
    finally:
        landing.close()


@pytest.fixture(scope="module")
def undrifted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """What comes of three files that are alike, by format."""
    plain = [file(n) for n in range(len(PLACES))]
    return {fmt: take_in(tmp_path_factory.mktemp(fmt), fmt, plain).frame.collect() for fmt in FORMATS}


@pytest.mark.parametrize(("drift", "fmt", "place"), CELLS)
def test_a_drifting_file_ends_as_documented(
    drift: Drift, fmt: str, place: int, tmp_path: Path, undrifted: dict[str, pl.DataFrame]
) -> None:
    plain = [file(n) for n in range(len(PLACES))]
    drifted = [drift.edit(f) if n == place else drift.others(f) for n, f in enumerate(plain)]
    if drift.outcome is Outcome.BLOCKED:
        with pytest.raises(LandingBlockedError) as caught:
            take_in(tmp_path, fmt, drifted)
        said = str(caught.value)
        assert f"the column {drift.role.value!r} is missing" in said
        lacking = [n for n, f in enumerate(drifted) if drift.role not in f.columns]
        assert any(f"deals-{n}.{fmt}" in said for n in lacking)
        assert all(words in said for words in drift.told)
        return
    found = take_in(tmp_path, fmt, drifted)
    expected = undrifted[fmt]
    theirs = pl.col("opportunity_id").is_in(plain[place]["opportunity_id"].implode())
    rejected = drift.outcome is Outcome.REJECTED
    if rejected:
        expected = expected.filter(~theirs)
    elif drift.outcome in {Outcome.NULL, Outcome.VALUES}:
        nulled = theirs if drift.outcome is Outcome.NULL else ~theirs
        column = pl.col(drift.role)
        expected = expected.with_columns(pl.when(~nulled).then(column).alias(drift.role))
    assert found.frame.collect().equals(expected)
    assert found.rejects.select("file", "record", "reason").rows() == (
        [(f"deals-{place}.{fmt}", n, drift.reason) for n in (1, 2)] if rejected else []
    )
    assert found.counts.rows_in == 6
    wanted = {
        Outcome.IGNORED: {f"unused_column:{drift.role.value}": 1},
        Outcome.NULL: {f"column_missing_in_files:{drift.role.value}": 1},
        Outcome.VALUES: {f"column_missing_in_files:{drift.role.value}": 2},
    }.get(drift.outcome, {})
    assert wanted.items() <= found.coercions.items()
    assert set(drift.told) <= set(found.coercions)


def test_no_cell_of_the_matrix_is_empty() -> None:
    changes = ("new", "missing", "renamed", "retyped")
    known = set(Role) - {Role.UNKNOWN}
    cells = {(d.change, d.role, fmt) for d in DRIFTS for fmt in d.formats}
    assert cells >= set(itertools.product(changes, known, FORMATS))


def test_the_documentation_shows_these_facts() -> None:
    assert render() in DOCUMENT.read_text()
