"""`logs/`: whole lines whoever writes at the same time, a file a day, 90 days, and never a reason to fail."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.logs import KEEP_LOGS, RunLog

NOW = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


def lines(home: Path) -> list[dict[str, object]]:
    return [
        json.loads(line)
        for path in sorted((home / "logs").iterdir())
        for line in path.read_text().splitlines()
    ]


def test_a_line_says_when_who_and_what_on_one_line(tmp_path: Path) -> None:
    RunLog(tmp_path).write("r1", "blocked", now=NOW, table="core/reps", rows=3, message="two\nlines \x1b[31m")
    assert lines(tmp_path) == [
        {"at": "2026-03-01T23:59:00.000+00:00", "run": "r1", "event": "blocked", "table": "core/reps", "rows": 3, "message": "two lines [31m"}
    ]  # fmt: skip
    assert (tmp_path / "logs" / "2026-03-01.jsonl").stat().st_mode & 0o007 == 0


def test_many_writers_cut_no_line(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: RunLog(tmp_path).write(f"r{n}", "made", now=NOW, message="x" * 500), range(400)
            )
        )
    assert sorted(str(line["run"]) for line in lines(tmp_path)) == sorted(f"r{n}" for n in range(400))


def test_old_days_go_and_other_files_stay(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for days in (0, KEEP_LOGS.days, KEEP_LOGS.days + 1):
        log.write("r", "made", now=NOW - timedelta(days=days))
    for name in ("notes.jsonl", "20xx-01-01.jsonl"):
        (tmp_path / "logs" / name).write_text("")
    assert log.prune(NOW) == ["2025-11-30.jsonl"]
    assert {p.name for p in (tmp_path / "logs").iterdir()} == {
        "2026-03-01.jsonl",
        "2025-12-01.jsonl",
        "notes.jsonl",
        "20xx-01-01.jsonl",
    }


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    RunLog(tmp_path).write("r", "made", now=NOW)
    assert RunLog(tmp_path).prune(NOW) == []
