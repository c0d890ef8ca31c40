"""Some hundreds of the fuzzed inputs of CI (`python -m tests.fuzz`), and proof that the judge would notice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import tests.fuzz.judge
from assets.core.refine import Refined
from assets.core.subjects import refine_source
from pipelines.sources.readers import delimited
from tests.fuzz.batches import kind_of
from tests.fuzz.formats import WRITERS
from tests.fuzz.judge import FaultError, judge
from tests.fuzz.mutate import make
from tests.fuzz.rows import Rows, valid_rows

INPUTS, PART = 400, 50


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    return valid_rows(tmp_path_factory.mktemp("valid"))


@pytest.mark.parametrize("part", range(INPUTS // PART))
def test_nothing_is_lost_and_nothing_else_is_raised(
    part: int, valid: dict[str, Rows], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in range(PART * part, PART * part + PART):
        try:
            judge(make(seed, valid), tmp_path / str(seed), valid)
        except FaultError as fault:
            pytest.fail(
                f"seed {seed}: {fault}; again with: python -m tests.fuzz 1 --first {seed} --keep FOLDER"
            )
    assert capfd.readouterr().err == ""


def test_a_seed_is_an_input(valid: dict[str, Rows]) -> None:
    assert all(make(seed, valid) == make(seed, valid) for seed in range(50))
    inputs = [make(seed, valid) for seed in range(INPUTS)]
    assert {kind_of(found) for found in inputs} == {suffix[1:] for suffix in WRITERS}
    assert len({found.table for found in inputs}) == len(valid)


def test_the_inputs_end_in_every_way(valid: dict[str, Rows], tmp_path: Path) -> None:
    """A fuzzer whose inputs all block, or all pass, tests nothing."""
    verdicts = [judge(make(seed, valid), tmp_path / str(seed), valid) for seed in range(1_000, 1_100)]
    outcomes = Counter(v.outcome for v in verdicts)
    assert min(outcomes["accepted"], outcomes["blocked"]) >= 20
    assert len({v.reason for v in verdicts}) >= 15
    assert sum(v.rows > 0 for v in verdicts) >= 20
    assert sum(v.rejected > 0 for v in verdicts) >= 10


def test_a_lost_row_is_noticed(
    valid: dict[str, Rows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(*words: object) -> Refined:
        refined = refine_source(*words)  # type: ignore[arg-type]
        return replace(refined, frame=refined.frame.head(3))

    monkeypatch.setattr(tests.fuzz.judge, "refine_source", losing)
    faults = 0
    for seed in range(30):
        try:
            judge(make(seed, valid), tmp_path / str(seed), valid)
        except FaultError as fault:
            faults += "rows out" in str(fault)
    assert faults


def test_an_error_of_ours_is_noticed(
    valid: dict[str, Rows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*words: object) -> pl.LazyFrame:
        raise pl.exceptions.PanicException("the engine gave up")

    monkeypatch.setattr(delimited, "_scan", broken)
    seed = next(s for s in range(200) if kind_of(make(s, valid)) == "csv" and not make(s, valid).story)
    with pytest.raises(FaultError, match="PanicException"):
        judge(make(seed, valid), tmp_path / "one", valid)
