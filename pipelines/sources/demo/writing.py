"""The folder: one file per table, the configuration beside them, and the truth. Only our own output is replaced."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow.parquet as pq
import yaml

from pipelines.sources.demo.dirt import Soiler, as_text
from pipelines.sources.demo.planted import MADE_BY, Format, TableTruth, Truth

TRUTH_FILE = "truth.json"
CONFIG_FILE = "aftersale.yaml"
ORACLE = "truth_deals"
"""The true price of every won deal, for tests; no source names it."""
_CHUNKS_WAITING = 6
_FEW_WORDS = {"rep_id", "product_id", "theme_id", "manager_id", "actor_id", "plan_id"}


class ForeignFilesError(Exception):
    """The output folder holds files that `simulate` did not write; says which and what to do."""


def clear(out: Path) -> None:
    """Make the folder ready: create it, or remove exactly the files an earlier simulation wrote.

    Raises:
        ForeignFilesError: the path is a file, or holds anything else; nothing was removed then.
    """
    if out.exists() and not out.is_dir():
        raise ForeignFilesError(f"{out} is a file; name a folder")
    ours: set[str] = set()
    truth = out / TRUTH_FILE
    if truth.is_file():
        try:
            said = json.loads(truth.read_text())
        except ValueError:
            said = {}
        if isinstance(said, dict) and said.get("made_by") == MADE_BY:
            ours = {str(f) for f in said["files"]} | {TRUTH_FILE}
    found = {p.name for p in out.iterdir()} if out.exists() else set()
    foreign = sorted(found - ours)
    if foreign:
        raise ForeignFilesError(
            f"{out} holds {', '.join(foreign[:3])}, which simulate did not write; name an empty folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    # the list of our files goes last, so that an interrupted removal can be repeated
    for name in sorted(found - {TRUTH_FILE}):
        (out / name).unlink()
    truth.unlink(missing_ok=True)


class Folder:
    """Writes tables chunk by chunk, so that memory holds a quarter of the company, never all of it.

    One thread writes while the next rows are made; chunks are written in the order they were added.
    """

    def __init__(self, out: Path, fmt: Format, soiler: Soiler) -> None:
        self.out, self.fmt, self.soiler = out, fmt, soiler
        self.truths: dict[str, TableTruth] = {}
        self._parquet: dict[str, pq.ParquetWriter] = {}
        self._text: dict[str, IO[bytes]] = {}
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._pending: deque[Future[None]] = deque()
        self._files = [CONFIG_FILE]

    def add(self, tables: dict[str, pl.DataFrame]) -> None:
        """Append rows to tables; dirt is planted on the way."""
        write = self._add_csv if self.fmt == "csv" else self._add_parquet
        for table, frame in tables.items():
            rows = self.soiler.soil(table, frame, self.truths.setdefault(table, TableTruth()))
            self._submit(write, table, rows)

    def add_truth(self, deals: pl.DataFrame) -> None:
        """Append rows to the oracle, which is clean and Parquet whatever the format."""
        self._submit(self._add_parquet, ORACLE, deals)

    def _submit(self, write: Callable[[str, pl.DataFrame], None], table: str, rows: pl.DataFrame) -> None:
        while len(self._pending) >= _CHUNKS_WAITING:
            self._pending.popleft().result()
        self._pending.append(self._writer.submit(write, table, rows))

    def _add_parquet(self, table: str, rows: pl.DataFrame) -> None:
        batch = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        if table not in self._parquet:
            self._claim(f"{table}.parquet")
            # statistics and dictionaries of ids cost half the writing and help nobody: they are unique or random
            names = [c for c, t in rows.schema.items() if t == pl.String]
            self._parquet[table] = pq.ParquetWriter(
                self.out / f"{table}.parquet",
                batch.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=[c for c in names if c in _FEW_WORDS or not c.endswith("_id")],
                write_statistics=[c for c in rows.columns if c not in names],
            )
        self._parquet[table].write_table(batch)

    def _add_csv(self, table: str, rows: pl.DataFrame) -> None:
        is_first = table not in self._text
        if is_first:
            self._claim(f"{table}.csv")
            self._text[table] = (self.out / f"{table}.csv").open("wb")
        typed = [c for c, t in rows.schema.items() if t != pl.String]
        text = rows.with_columns(as_text(c, rows.schema[c]) for c in typed)
        text.write_csv(self._text[table], include_header=is_first)

    def _claim(self, name: str) -> None:
        """Say that a file is ours before it exists, so that the output of a killed simulation can be replaced."""
        self._files.append(name)
        (self.out / TRUTH_FILE).write_text(json.dumps({"made_by": MADE_BY, "files": self._files}))

    def close(self, truth: Truth) -> None:
        """Finish the files and write the configuration and the truth."""
        while self._pending:
            self._pending.popleft().result()
        self._writer.shutdown()
        for writer in (*self._parquet.values(), *self._text.values()):
            writer.close()
        truth.tables = dict(sorted(self.truths.items()))
        truth.files = sorted(self._files)
        (self.out / CONFIG_FILE).write_text(_configuration(truth))
        (self.out / TRUTH_FILE).write_text(truth.to_json())


def _configuration(truth: Truth) -> str:
    """`aftersale.yaml`: source columns carry the contracts' names, so no mapping is needed."""
    company = {
        "reporting_currency": "USD",
        "timezone": "America/New_York",
        "fiscal_start_month": 1,
        "churn": {"kind": "contract"},
        "as_of": date.fromisoformat(truth.until),
        "history_from": truth.history_from,
        "demo_seed": truth.seed,
    }
    sources = {table: {"path": f"{table}.{truth.fmt}"} for table in truth.tables}
    return str(yaml.safe_dump({"company": company, "sources": sources}, sort_keys=False))
