"""Valid rows of the demo company, and what may become of their values and columns."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.sources.demo import simulate

Rows = list[dict[str, Any]]
ROWS = 12  # of a table, enough for duplicates, versions and groups

VALUES = (
    "", " ", "null", "NULL", "N/A", "-", "0", "-0", "00", "1", "+5", "--5", "1.", ".5", "1_000", "1e3", "1E+05", "NaN", "inf", "-inf",
    "0x1F", "1,5", "1.005", "12.0", "$1,234.50", "1.234,50", "(100.00)", "9" * 17, "9" * 19, "9" * 400, "0." + "0" * 60 + "1",
    "\u0663", "\uff11\uff12", "\u00a05", "5 %", "2023-02-29", "31/12/2024", "2024-13-01", "2024-1-1", "0001-01-01", "9999-12-31",
    "1899-12-31", "2099-01-01", "+12024-01-01", "-0001-01-01", "2024-01-01T25:00:00Z", "2024-12-31T23:59:60Z", "2024-01-01T00:00:00+15:00",
    "2024-01-01T00:00:00-00:00", "2024-03-10T02:30:00", "2024-11-03T01:30:00", "2024-01-01T10:00:00.1234567890Z", "1704067200", "45292",
    "true", "TRUE", "yes", "2", "maybe", "A1", " A1 ", "e\u0301", "\u00e9", "\u202eevil", "\ufeffA1", "a\u0000b", "\ud7ff", "\U0001f600" * 3,
    "=cmd|' /C calc'!A0", "<script>alert(1)</script>", "../../etc/passwd", "\x1b[31mred", "'; DROP TABLE deals; --", "a,b", 'a"b', "a\nb",
    "a\r\nb", "a\tb", "a;b", "a|b", "\\", "\\N", "{}", "[]", "x" * 3000,
)  # fmt: skip


def valid_rows(folder: Path) -> dict[str, Rows]:
    """A dozen valid rows of every source table."""
    simulate(folder, deals=200, months=12, dirt=0.0, fmt="csv")
    found = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found[path.stem] = [row for row, _ in zip(csv.DictReader(file), range(ROWS), strict=False)]
    return found


def _cells(rng: random.Random, rows: Rows) -> Rows:
    for _ in range(rng.randint(1, 6) if rows else 0):
        row = rng.choice(rows)
        if row:
            row[rng.choice(sorted(row))] = rng.choice(VALUES)
    return rows


def _column_of_one_value(rng: random.Random, rows: Rows) -> Rows:
    name, value = _name(rng, rows), rng.choice(VALUES)
    return [{**row, name: value} for row in rows]


def _swap_cells(rng: random.Random, rows: Rows) -> Rows:
    one, two = _name(rng, rows), _name(rng, rows)
    return [{**row, one: row.get(two), two: row.get(one)} for row in rows]


def _without_column(rng: random.Random, rows: Rows) -> Rows:
    name = _name(rng, rows)
    return [{k: v for k, v in row.items() if k != name} for row in rows]


def _renamed_column(rng: random.Random, rows: Rows) -> Rows:
    name = _name(rng, rows)
    new = rng.choice(
        [
            name.upper(),
            f" {name} ",
            name[:-1],
            f"{name}_",
            "x",
            "",
            "a,b",
            'a"b',
            "a\nb",
            "select",
            "_file",
            *list(rows[0])[:2],
        ]
        if rows
        else ["x"]
    )
    return [{new if k == name else k: v for k, v in row.items()} for row in rows]


def _new_column(rng: random.Random, rows: Rows) -> Rows:
    return [{**row, rng.choice(["shoe_size", "Name", "_record"]): rng.choice(VALUES)} for row in rows]


def _other_order(rng: random.Random, rows: Rows) -> Rows:
    names = list(rows[0]) if rows else []
    rng.shuffle(names)
    return [{name: row[name] for name in names if name in row} for row in rows]


def _doubled_row(rng: random.Random, rows: Rows) -> Rows:
    return [*rows, *(dict(rng.choice(rows)) for _ in range(3))] if rows else rows


def _conflicting_row(rng: random.Random, rows: Rows) -> Rows:
    return _cells(rng, _doubled_row(rng, rows)[::-1])


def _ragged_objects(rng: random.Random, rows: Rows) -> Rows:
    return [{k: v for k, v in row.items() if rng.random() < 0.9} for row in rows]


def _numbers(rng: random.Random, rows: Rows) -> Rows:
    """Text that is a number becomes one, as JSON and Parquet have it."""
    del rng

    def read(value: Any) -> Any:
        try:
            return float(value) if "." in str(value) else int(value)
        except (ValueError, TypeError):
            return value

    return [{k: read(v) for k, v in row.items()} for row in rows]


def _nested(rng: random.Random, rows: Rows) -> Rows:
    name = _name(rng, rows)
    wrap = rng.choice([lambda v: {"value": v}, lambda v: [v], lambda v: [{"a": [v]}], lambda v: None, bool])
    return [{**row, name: wrap(row.get(name))} for row in rows]


def _no_rows(rng: random.Random, rows: Rows) -> Rows:
    return rows[: rng.randint(0, 1)]


def _many(rng: random.Random, rows: Rows) -> Rows:
    return [dict(row) for row in rows for _ in range(rng.randint(1, 40))]


def _name(rng: random.Random, rows: Rows) -> str:
    return rng.choice(sorted(rows[0])) if rows and rows[0] else "x"


ROW_CHANGES: dict[str, Callable[[random.Random, Rows], Rows]] = {
    f.__name__.strip("_"): f
    for f in (_cells, _column_of_one_value, _swap_cells, _without_column, _renamed_column, _new_column, _other_order, _doubled_row,
              _conflicting_row, _ragged_objects, _numbers, _nested, _no_rows, _many)
} | {"cells_again": _cells, "cells_once_more": _cells}  # fmt: skip
