"""Files that real systems wrote, read cell by cell as Python's own reader reads them."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import polars as pl

from pipelines.sources.readers.delimited import read_delimited
from pipelines.sources.readers.frame import SOURCE_RECORD, UnreadableError
from pipelines.sources.readers.records import Dialect


def test_every_shared_csv_is_read_cell_by_cell(shared_data: Path, tmp_path: Path) -> None:
    numbers = itertools.count()
    files = sorted(shared_data.rglob("*.csv"))
    assert len(files) > 100
    blocked, rejected = [], {}
    for path in files:
        shown = path.relative_to(shared_data).as_posix()
        try:
            file = read_delimited(
                path, shown, Dialect(), lambda suffix: tmp_path / f"{next(numbers)}{suffix}"
            )
        except UnreadableError as error:
            blocked.append((shown, error.reason))
            continue
        if len(file.bad):
            rejected[shown] = file.bad.reasons
        with path.open(encoding="utf-8-sig", newline="") as lines:
            header, *expected = [row for row in csv.reader(lines) if "".join(row).strip() or len(row) > 1]
        bad = set(file.bad.numbers.tolist())
        good = [row for number, row in enumerate(expected, 1) if number not in bad]
        assert file.records == len(expected), shown
        rows = file.rows.sort(SOURCE_RECORD).collect()
        assert rows.drop(SOURCE_RECORD).columns == [name.strip() for name in header if name.strip()], shown
        named = [i for i, name in enumerate(header) if name.strip()]
        wanted = pl.DataFrame(
            {header[i].strip(): [row[i] for row in good] for i in named},
            schema=dict.fromkeys(file.columns, pl.String),
        )
        assert rows.drop(SOURCE_RECORD).fill_null("").equals(wanted), shown
    assert blocked == []
    assert rejected == {}
