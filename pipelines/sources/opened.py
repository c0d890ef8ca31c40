"""The records of one source before mapping, whether they lie in files, in the configuration, or come out of a query."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from assets.landing import FILE, RECORD, LandedFile
from pipelines.sources.readers.frame import SOURCE_RECORD, Numbers, SourceFile

INLINE = "aftersale.yaml"  # stands for the file where rows are written in the configuration
QUERY = "query"  # stands for the file where rows come out of a query


@dataclass(frozen=True)
class Opened:
    """The files of one source, read. `consumed` went into a query: of them only the bad records are still to come."""

    files: tuple[SourceFile, ...]
    facts: tuple[LandedFile, ...]
    notes: Mapping[str, int]
    consumed: tuple[SourceFile, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of all files in order of appearance."""
        return tuple(dict.fromkeys(name for file in self.files for name in file.columns))

    def rejects(self) -> list[pl.DataFrame]:
        """The bad records of every file (schema REJECTS)."""
        return [file.rejects() for file in (*self.files, *self.consumed)]

    def raw_reader(self) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """`Landed.raw`: the text of records by file and number."""
        by_path = {file.path: file for file in (*self.consumed, *self.files)}

        def raw(records: pl.DataFrame) -> pl.DataFrame:
            found = [pl.DataFrame(schema={FILE: pl.String(), RECORD: pl.Int64(), "raw": pl.String()})]
            for (path,), group in records.select(FILE, RECORD).unique().group_by(FILE):
                numbers = np.sort(group[RECORD].to_numpy()).astype(np.int64)
                texts = by_path[str(path)].raw(numbers)
                found.append(pl.DataFrame({FILE: [path] * len(texts), RECORD: numbers, "raw": texts}))
            return records.join(pl.concat(found), on=[FILE, RECORD], how="left", maintain_order="left")

        return raw


def open_rows(rows: Sequence[Mapping[str, str | None]]) -> Opened:
    """Rows written in the configuration; a cell that a row lacks is null."""
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    cells: dict[str, object] = {name: [row.get(name) for row in rows] for name in columns}
    frame = pl.DataFrame(
        {**cells, SOURCE_RECORD: range(1, len(rows) + 1)},
        schema={**dict.fromkeys(columns, pl.String()), SOURCE_RECORD: pl.Int64()},
    )

    def raw(numbers: Numbers) -> list[str]:
        return [texts[number - 1] for number in numbers]

    data = json.dumps(texts).encode()
    fact = LandedFile(INLINE, hashlib.sha256(data).hexdigest(), len(data), len(rows))
    return Opened((SourceFile(INLINE, columns, frame.lazy(), len(rows), raw),), (fact,), {})


def open_answer(answer: SourceFile, inputs: Mapping[str, Opened], query: str) -> Opened:
    """A query's result as a file of its own.

    The input files stay listed, each with only the records that never reached the query, so that files' records =
    rows + rejects + filtered holds here too; how many were read is in the notes.
    """
    notes: Counter[str] = Counter()
    facts: list[LandedFile] = []
    digest = hashlib.sha256(query.encode())
    for name, opened in inputs.items():
        notes.update(opened.notes)
        for file, fact in zip(opened.files, opened.facts, strict=True):
            digest.update(fact.sha256.encode())
            notes[f"records_read:{name}"] += file.records
            facts.append(replace(fact, records=len(file.bad)))
    first = LandedFile(QUERY, digest.hexdigest(), len(query.encode()), answer.records)
    consumed = tuple(file for opened in inputs.values() for file in opened.files)
    return Opened((answer,), (first, *facts), notes, consumed)
