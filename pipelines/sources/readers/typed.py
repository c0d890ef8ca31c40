"""Parquet: typed columns pass as they are; what no contract kind can hold becomes text.

A file from outside is decoded twice. Arrow goes first, for its errors are errors: polars panics over damaged pages, and each panic
writes a backtrace to standard error before anybody can catch it, some of them only after the error was raised. Polars goes second,
for it is what the rows are read with, and the one finds damage that the other doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.readers.frame import SOURCE_RECORD, Numbers, SourceFile, UnreadableError
from pipelines.sources.readers.plain_text import as_text

# a panic of the engine is no Exception
DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
_ARROW_DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError)
_MANY_GROUPS, _ROWS_OF_A_GROUP = 100, 100
_MARK = "<can't be decoded>"
_CORRUPT = "The file is cut off, still being written, or no Parquet: fetch it again"


def read_parquet(path: Path, name: str, limit: int | None = None) -> SourceFile:
    """Read one Parquet file, or its first `limit` records; the record count comes from its own footer.

    Raises UnreadableError where footer or schema can't be read. Damaged pages show up in `prove` and `decode_fully`.
    """

    def prove(columns: Sequence[str]) -> None:
        decode_with_arrow(path, columns, limit)

    try:
        with pq.ParquetFile(path) as file:
            records, groups = file.metadata.num_rows, file.metadata.num_row_groups
            names = file.schema_arrow.names
            _require_sizes(file.metadata)
        is_torn = groups > _MANY_GROUPS and records < groups * _ROWS_OF_A_GROUP
        if is_torn:
            prove(names)
        schema = pl.read_parquet_schema(path)
        rows = pl.scan_parquet(
            path, glob=False, hive_partitioning=False, row_index_name=SOURCE_RECORD, row_index_offset=1
        )
        if is_torn:
            rows = (
                rows.collect().rechunk().lazy()
            )  # row by row appended: each pass over it costs more than all its rows
    except (*_ARROW_DAMAGE, *DAMAGE) as error:
        raise UnreadableError(f"not readable as Parquet ({_first_line(error)})", _CORRUPT) from None
    shown = rows.select(*(_passable(n, t) for n, t in schema.items()), pl.col(SOURCE_RECORD).cast(pl.Int64))

    if limit is not None:
        shown, records = shown.head(limit), min(limit, records)

    def raw(numbers: Numbers) -> list[str]:
        return rows_as_json(shown, numbers, [column for column in schema if not _is_sound(prove, column)])

    return SourceFile(name, tuple(schema), shown, records, raw, typed=True, prove=prove)


def _require_sizes(footer: pq.FileMetaData) -> None:
    """Raise ValueError where a chunk is said to be smaller than nothing: Arrow lets that pass, and polars panics over it."""
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for column in range(group.num_columns):
            if group.column(column).total_compressed_size < 0:
                raise ValueError(f"a column of row group {number} has a negative size")


def decode_with_arrow(path: Path, columns: Sequence[str], limit: int | None = None) -> None:
    """Decode some columns, or the row groups that hold their first `limit` records, in bounded memory.

    Raises UnreadableError for damaged pages. What Arrow has no decoder for (some nested types) is left to `decode_fully`.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            groups = range(file.metadata.num_row_groups)
            if limit is not None:
                sizes = np.array([file.metadata.row_group(group).num_rows for group in groups], np.int64)
                groups = range(int(np.searchsorted(np.cumsum(sizes), limit)) + 1)[: len(groups)]
            for _ in file.iter_batches(columns=list(columns), row_groups=list(groups)):
                pass
    # Arrow's word for a nested type it has no decoder for: that is no damage, and polars decodes every value next
    except pa.ArrowNotImplementedError:
        return
    except _ARROW_DAMAGE as error:
        raise UnreadableError(f"damaged Parquet data ({_first_line(error)})", _CORRUPT) from None


def _is_sound(prove: Callable[[Sequence[str]], None], column: str) -> bool:
    try:
        prove([column])
    except UnreadableError:
        return False
    return True


def rows_as_json(rows: pl.LazyFrame, numbers: Numbers, damaged: Collection[str] = ()) -> list[str]:
    """Records (ascending numbers) as JSON objects of text, for sources that have no text of their own.

    Of `damaged` columns, which nothing maps, only a mark is shown.
    """
    wanted = (
        rows.filter(pl.col(SOURCE_RECORD).is_in(numbers.tolist())).sort(SOURCE_RECORD).drop(SOURCE_RECORD)
    )
    cells = {
        name: pl.lit(_MARK).alias(name) if name in damaged else as_text(name, dtype)
        for name, dtype in wanted.collect_schema().items()
    }
    try:
        texts = wanted.select(cells.values()).collect()
    except (
        DAMAGE
    ):  # in a column that nothing maps, or the table had been blocked: the others can still be shown
        texts = pl.DataFrame(
            [_cells_or_mark(wanted, name, cell, len(numbers)) for name, cell in cells.items()]
        )
    return texts.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()


def _cells_or_mark(rows: pl.LazyFrame, name: str, cell: pl.Expr, count: int) -> pl.Series:
    try:
        return rows.select(cell).collect()[name]
    except DAMAGE:
        return pl.Series(name, [_MARK] * count)


def decode_fully(rows: pl.LazyFrame) -> int:
    """Decode every value once and return the number of rows; raises UnreadableError for damaged pages."""
    columns = [n for n in rows.collect_schema().names() if n != SOURCE_RECORD]
    counts = rows.select(pl.len().alias(SOURCE_RECORD), pl.col(columns).null_count())
    try:
        return int(counts.collect()[SOURCE_RECORD][0])
    except DAMAGE as error:
        raise UnreadableError(f"damaged Parquet data ({_first_line(error)})", _CORRUPT) from None


def _passable(name: str, dtype: pl.DataType) -> pl.Expr:
    foreign = isinstance(dtype, pl.Categorical | pl.Enum | pl.Time | pl.Duration | pl.Binary | pl.Struct)
    return as_text(name, dtype) if foreign else pl.col(name)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
