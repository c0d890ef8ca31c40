"""What a snapshot holds beside its tables: catalogue, dictionary, data package, the board's page, what changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from assets.board.page import render_board
from expectations.contracts import TABLES
from expectations.dictionary import make_datapackage, write_dictionary
from pipelines.charts import board_charts
from pipelines.restatements import FILE as RESTATEMENTS
from pipelines.restatements import describe_restatements
from pipelines.warehouse.catalog import CATALOG, write_catalog
from pipelines.warehouse.snapshots import Snapshot

NUMBERS_COMPARED = {
    "churn_by_incentive": "cif_churn",
    "complaints_by_incentive": "rate_per_1000",
    "feedback_lag_by_incentive": "median_days",
    "board_scorecard": "measure_value",
}
MOST_CHANGES = 40


def list_files(folder: Path) -> dict[str, list[str]]:
    """Parquet files of a snapshot under construction: table path to paths relative to the folder."""
    files: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("*.parquet")):
        relative = file.relative_to(folder)
        table = TABLES[relative.parts[1].removesuffix(".parquet")]
        files.setdefault(table.path, []).append(str(relative))
    return files


def read_table(folder: Path, name: str) -> pl.DataFrame:
    """A small published table, whole; no rows where it was not published."""
    file = folder / TABLES[name].layer.value / f"{name}.parquet"
    return pl.read_parquet(file) if file.is_file() else TABLES[name].empty().collect()


def write_documents(
    folder: Path,
    final: Path,
    *,
    as_of: str,
    code_version: str,
    facts: Mapping[str, Any],
    previous: Snapshot | None,
    restated: pl.DataFrame,
    at: datetime,
) -> None:
    """Write everything beside the tables into `folder`, which will be read as `final`.

    `facts` are those of the snapshot (settings under `company`, contents of the sources under `sources`), `restated` the
    closed months that differ from the last one, `at` is the moment of publication.
    """
    files = list_files(folder)
    write_catalog(folder / CATALOG, final, files)
    package = make_datapackage(files, name="aftersale", version=final.name, as_of=as_of)
    (folder / "datapackage.json").write_text(json.dumps(package, indent=1))
    (folder / "data_dictionary.md").write_text(write_dictionary([TABLES[p.split("/")[1]] for p in files]))
    (folder / "board.html").write_text(render_page(folder, final, as_of, at))
    (folder / "changes.md").write_text(
        describe_changes(folder, previous, as_of, code_version, facts, restated)
    )
    restated.write_csv(folder / RESTATEMENTS)


def render_page(folder: Path, final: Path, as_of: str, at: datetime) -> str:
    """The board's page from the tables of a snapshot."""
    return render_board(
        read_table(folder, "board_scorecard"),
        board_charts(folder),
        source_coverage=read_table(folder, "source_coverage"),
        facts={"Snapshot": final.name, "Data up to": as_of, "Published": f"{at:%Y-%m-%d %H:%M} UTC"},
        at=at,
    )


def describe_changes(
    folder: Path,
    previous: Snapshot | None,
    as_of: str,
    code_version: str,
    facts: Mapping[str, Any],
    restated: pl.DataFrame,
) -> str:
    """What was restated and which numbers moved since the last snapshot, and whether data, settings, as_of or code moved them."""
    if previous is None:
        return "# Changes\n\nThis is the first snapshot: nothing to compare with.\n"
    lines = [
        "# Changes",
        "",
        f"Against snapshot {previous.number}, as of {previous.as_of}. Moved by: {_causes(previous, as_of, code_version, facts)}.",
        "",
        *describe_restatements(restated, MOST_CHANGES),
    ]
    for name, column in NUMBERS_COMPARED.items():
        lines += _compare(name, column, previous.path, folder)
    return "\n".join(lines) + "\n"


def _causes(previous: Snapshot, as_of: str, code_version: str, facts: Mapping[str, Any]) -> str:
    """All that differs: where several do, the numbers can't be told apart by cause."""
    causes = ["the code"] if previous.code_version != code_version else []
    if previous.as_of != as_of:
        causes.append(f"as_of ({previous.as_of} to {as_of})")
    if _settings(previous.facts) != _settings(facts):
        causes.append("the settings")
    then, now = previous.facts.get("sources"), facts.get("sources", {})
    if then is None:  # published by an older program, which did not write down what its sources held
        return " and ".join([*causes, "possibly the data"])
    if moved := sorted(name for name in {*then, *now} if then.get(name) != now.get(name)):
        causes.append(f"the data ({', '.join(moved)})")
    return " and ".join(causes) or "tables made again in part"


def _settings(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.get("company", {}).items() if name != "as_of"}


def _compare(name: str, column: str, before: Path, after: Path) -> list[str]:
    key = [c for c in TABLES[name].row_key if c not in ("organisation", "quarter")]
    old, new = read_table(before, name), read_table(after, name)
    if column not in old.columns or not set(key) <= set(old.columns):
        return [f"## {name}", "", "The table has another shape than before.", ""]
    both = new.select(*key, pl.col(column).alias("now")).join(
        old.select(*key, pl.col(column).alias("then")), on=key, how="full", coalesce=True, nulls_equal=True
    )
    moved = both.filter(pl.col("now").ne_missing(pl.col("then"))).sort(key)
    if moved.is_empty():
        return [f"## {name}", "", f"No {column} moved.", ""]
    rows = [
        f"| {' / '.join(str(v) for v in row[:-2])} | {_shown(row[-1])} | {_shown(row[-2])} |"
        for row in moved.iter_rows()
    ]
    more = [f"{len(rows) - MOST_CHANGES} more"] if len(rows) > MOST_CHANGES else []
    return [
        f"## {name}: {column}",
        "",
        "| where | then | now |",
        "| --- | --- | --- |",
        *rows[:MOST_CHANGES],
        *more,
        "",
    ]


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
