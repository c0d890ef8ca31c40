"""Bad files through the whole command: the documented exit code, one line on stderr, no traceback, and no row lost.

Standard error is looked at as the terminal gets it (capfd): what the engine writes past Python would show, too.

`check` looks at every case; `run` at one case of each row of the table of bad inputs, for a run takes seconds. Values inside
sound files (amounts, dates, ids, duplicates) are met in `tests/unit/core`, and by the dirt of the demo company.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipelines.cli import main
from pipelines.commands.inspect import newest_rejects
from pipelines.warehouse.runs import Runs
from pipelines.warehouse.snapshots import latest_number, verify
from pipelines.warehouse.store import Store
from tests.data.bad.cases import CASES, Case, write_company

# one case, or two, of each row of the table of bad inputs: what is accepted, rejected by row, blocked, not reached
RUN_TO_THE_END = (
    "mixed_line_ends", "utf16_with_mark", "ragged_long", "footer_after_blank_line", "json_duplicate_keys", "where_leaves_out",
)  # fmt: skip
RUN_INTO_A_BLOCK = (
    "zero_bytes", "invalid_utf8", "wrong_delimiter", "required_column_renamed", "duplicate_header", "gzip_bomb", "gzip_cut_off",
    "parquet_damaged_pages", "csv_named_parquet", "cut_off_in_quotes", "expression_reads_a_file", "missing_file",
)  # fmt: skip
# told only by reading on: the head of the file, which is all that `check` reads, is sound
SOUND_HEAD = {"one_endless_line", "gzip_bomb", "zstd_bomb"}


def command(
    *words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command, in this process."""
    monkeypatch.setenv("AFTERSALE_KEY", "a key for tests only")
    monkeypatch.setattr("sys.argv", ["aftersale", *words])
    capfd.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capfd.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, said.out, said.err


def code_of(case: Case) -> int:
    return 5 if case.unreachable else 3 if case.blocked else 0


@pytest.mark.parametrize("case", [c for c in CASES if c.name not in SOUND_HEAD], ids=lambda case: case.name)
def test_check_tells_a_bad_file_and_touches_nothing(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = write_company(tmp_path, case)
    words = ("check", "--config", str(config), "--home", str(tmp_path / "home"))
    code, out, err = command(*words, monkeypatch=monkeypatch, capfd=capfd)
    assert (code, err) == (code_of(case), "")
    assert "Traceback" not in out
    assert f"\n{case.table}: " in out or not case.blocked
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", [*RUN_TO_THE_END, *RUN_INTO_A_BLOCK])
def test_run_ends_as_documented(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    case = next(c for c in CASES if c.name == name)
    home = tmp_path / "home"
    words = ("run", "--config", str(write_company(tmp_path, case)), "--home", str(home))
    code, out, err = command(*words, monkeypatch=monkeypatch, capfd=capfd)
    assert code == code_of(case), err
    assert "Traceback" not in out + err
    if case.blocked:
        assert len(err.strip().splitlines()) == 1
        assert case.table in err
        assert case.blocked in err
        assert latest_number(home) is None
        return
    assert err == ""
    assert verify(home) == []
    coverage = pl.read_parquet(home / "published" / "latest" / "quality" / "source_coverage.parquet")
    row = coverage.row(by_predicate=(pl.col("table") == case.table) & (pl.col("column") == ""), named=True)
    fates = ("rows", "rejected", "deduplicated", "not_yet", "filtered")
    assert row["rows_in"] == sum(row[name] for name in fates) == case.rows + len(case.rejects) + case.filtered
    rejects = newest_rejects(Store(home), Runs(home), f"core/{case.table}")
    assert rejects is not None
    assert rejects.height == row["rejected"] >= len(case.rejects)
