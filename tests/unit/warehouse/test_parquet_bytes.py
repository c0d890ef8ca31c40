"""Equal rows give equal bytes; what analysts' tools need stands in the file."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from expectations.model import DTYPES, Column, Kind, Layer, Table
from pipelines.warehouse.files import StorageError
from pipelines.warehouse.parquet import (
    ROW_GROUP_ROWS,
    SchemaMismatchError,
    count_rows,
    write_side,
    write_table,
)

EVERY_KIND = Table(
    Layer.CORE, "kinds", "K", "a row", ("id",), tuple(Column(str(k), k, f"A {k}.", unit="u") for k in Kind)
)
ROWS = ROW_GROUP_ROWS + 20_000


def rows() -> pl.DataFrame:
    """Every kind, nulls in most, more than a row group, few and many distinct values. Sorted by id."""
    number = pl.int_range(ROWS)
    scatter = number.hash(seed=1) % 1_000_003
    word = (scatter % 7).cast(pl.String)
    values = {
        Kind.ID: number.cast(pl.String).str.zfill(9),
        Kind.TEXT: scatter.cast(pl.String),
        Kind.CATEGORY: word,
        Kind.MONEY: (scatter / 100).round(2),
        Kind.RATE: scatter / 1_000_003,
        Kind.ESTIMATE: scatter / 7,
        Kind.COUNT: scatter.cast(pl.Int64),
        Kind.FLAG: scatter % 2 == 0,
        Kind.TIMESTAMP: scatter.cast(pl.Int64) * 1_000_000_000,
        Kind.DATE: (scatter % 20_000).cast(pl.Int32),
        Kind.LIST: pl.concat_list(word, scatter.cast(pl.String)),
        Kind.DOCUMENT: pl.format('{{"a":{}}}', scatter),
    }
    columns = [
        (v if k is Kind.ID else pl.when(scatter % 5 > 0).then(v)).cast(DTYPES[k]).alias(str(k))
        for k, v in values.items()
    ]
    return pl.select(columns)


def in_chunks(frame: pl.DataFrame, size: int) -> pl.DataFrame:
    return pl.concat([frame.slice(i, size) for i in range(0, frame.height, size)], rechunk=False)


def digest(frame: pl.LazyFrame, folder: Path) -> str:
    path = folder / "table.parquet"
    write_table(frame, EVERY_KIND, {"as_of": "2025-12-31"}, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def all_digests(folder: Path) -> set[str]:
    """The same rows by every way that has been seen to change the bytes."""
    frame = rows()
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=3)
    stored = folder / "in.parquet"
    frame.write_parquet(stored, row_group_size=5_000)
    halves = [frame.select("id", "list", "money"), frame.drop("list", "money")]
    ways = [
        frame.lazy(),
        in_chunks(frame, 997).lazy(),
        in_chunks(frame, 70_001).lazy(),
        shuffled.lazy().sort("id"),
        pl.scan_parquet(stored),
        pl.concat([frame, frame.with_columns(count=pl.lit(-1, pl.Int64))])
        .lazy()
        .filter(pl.col("count").ne_missing(-1)),
        halves[0].lazy().join(halves[1].lazy(), on="id").sort("id").select(frame.columns),
    ]
    return {digest(way, folder) for way in ways}


def test_bytes_depend_on_rows_only_not_on_chunks_order_or_threads(tmp_path):
    code = (
        f"import pathlib, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_parquet_bytes as t; print(*t.all_digests(pathlib.Path(sys.argv[1])))"
    )
    digests = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "POLARS_MAX_THREADS": threads}
        found = subprocess.check_output([sys.executable, "-c", code, tmp_path], env=environment, text=True)
        digests |= set(found.split())
    assert len(digests) == 1


def test_one_changed_value_changes_the_bytes(tmp_path):
    frame = rows()
    other = frame.with_columns(
        flag=pl.when(pl.int_range(pl.len()) == 5).then(pl.col("flag").not_()).otherwise("flag")
    )
    assert digest(frame.lazy(), tmp_path) != digest(other.lazy(), tmp_path)


def test_field_metadata_comes_from_the_contract_and_pandas_can_read_the_file(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(rows().head(3).lazy(), EVERY_KIND, {"as_of": "2025-12-31", "observed_until": "y"}, path)
    assert pq.read_schema(path).field("money").metadata == {
        b"description": b"A money.",
        b"unit": b"u",
        b"kind": b"money",
        b"sensitivity": b"public",
    }
    assert {k: v for k, v in pl.read_parquet_metadata(path).items() if k != "ARROW:schema"} == {
        "as_of": "2025-12-31",
        "observed_until": "y",
    }
    assert [len(v) for v in pd.read_parquet(path)["list"].dropna()] == [2] * rows().head(3)["list"].count()
    assert pl.read_parquet_schema(path) == EVERY_KIND.schema


def test_a_frame_that_is_not_the_contracts_is_refused_with_the_difference(tmp_path):
    wrong = rows().head(1).lazy().with_columns(count=pl.lit(1, pl.Int32)).drop("flag").with_columns(other=1)
    with pytest.raises(
        SchemaMismatchError, match="count is Int32, not Int64; flag is missing; other is not in"
    ):
        write_table(wrong, EVERY_KIND, {}, tmp_path / "t.parquet")
    with pytest.raises(SchemaMismatchError, match="the order is"):
        write_table(
            rows()
            .lazy()
            .select(
                pl.all().reverse(),
            )
            .select(sorted(EVERY_KIND.schema)),
            EVERY_KIND,
            {},
            tmp_path / "t",
        )


def test_a_torn_file_is_an_error_not_an_empty_table(tmp_path):
    path = tmp_path / "t.parquet"
    write_side(pl.DataFrame({"a": [1, 2]}), path)
    assert count_rows(path) == 2
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StorageError, match="not a whole Parquet file; it is damaged: restore it"):
        count_rows(path)
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="damaged"):
        count_rows(path)
