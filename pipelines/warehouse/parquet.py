"""How a table becomes bytes, always the same ones, and how bytes are checked. No folders, no keys."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.model import Table
from pipelines.warehouse.files import StorageError

# A row group is the unit that filters skip, a page within it is not: with the usual small pages polars cuts them by
# the size of the chunks that happen to arrive, so lists come out with different bytes (measured). One page each.
ROW_GROUP_ROWS = 131_072
PAGE_BYTES = 1 << 30

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


class SchemaMismatchError(Exception):
    """A frame or file does not have the columns its contract declares, in order; says which."""


def describe_fields(contract: Table) -> pa.Schema:
    """Arrow schema of a table with description, unit, kind and sensitivity in each field's metadata.

    Text is `large_string`: pandas can't read lists of the newer `string_view`.
    """
    plain = pl.DataFrame(schema=contract.schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    fields = []
    for column in contract.stored:
        facts = {
            "description": column.description,
            "kind": str(column.kind),
            "sensitivity": str(column.sensitivity),
        }
        if column.unit:
            facts["unit"] = column.unit
        fields.append(plain.field(column.name).with_metadata(facts))
    return pa.schema(fields)


def require_schema(contract: Table, found: Mapping[str, pl.DataType], where: str) -> None:
    """Raise SchemaMismatchError unless names, order and dtypes are the contract's."""
    if list(found.items()) == list(contract.schema.items()):
        return
    wrong = [
        f"{n} is {found[n]}, not {t}" for n, t in contract.schema.items() if n in found and found[n] != t
    ]
    missing = [f"{n} is missing" for n in contract.schema if n not in found]
    extra = [f"{n} is not in the contract" for n in found if n not in contract.schema]
    details = (
        "; ".join(wrong + missing + extra) or f"the order is {list(found)}, not {contract.schema.names()}"
    )
    raise SchemaMismatchError(
        f"{where} does not match the contract {contract.path} v{contract.version}: {details}"
    )


def write_table(frame: pl.LazyFrame, contract: Table, metadata: Mapping[str, str], path: Path) -> None:
    """Stream a sorted frame to a file. Equal rows and metadata give equal bytes, whatever the threads and chunks.

    Raises SchemaMismatchError, OSError, or whatever the frame's own computation raises.
    """
    require_schema(contract, frame.collect_schema(), "the frame")
    _sink(frame, path, metadata=dict(metadata), arrow_schema=describe_fields(contract))


def write_side(frame: pl.DataFrame, path: Path) -> None:
    """Write a side file (rejects, deduplicated), rows in the order given."""
    arrow = pl.DataFrame(schema=frame.schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    _sink(frame.lazy(), path, metadata={}, arrow_schema=arrow)


def _sink(frame: pl.LazyFrame, path: Path, *, metadata: dict[str, str], arrow_schema: pa.Schema) -> None:
    try:
        frame.sink_parquet(
            path,
            compression="zstd",
            compression_level=1,
            statistics=True,
            row_group_size=ROW_GROUP_ROWS,
            data_page_size=PAGE_BYTES,
            maintain_order=True,
            metadata=metadata,
            arrow_schema=arrow_schema,
        )
    except pl.exceptions.ComputeError as cause:
        # polars hides a full disk in a ComputeError; the number of the error is all that is left of it
        if found := _OS_ERROR.search(str(cause)):
            number = int(found[1])
            raise OSError(number, os.strerror(number)) from cause
        raise


def count_rows(path: Path) -> int:
    """Rows of a finished Parquet file by its footer, checked against its row groups. Raises StorageError."""
    try:
        footer = pq.read_metadata(path)
    except OSError as cause:
        raise StorageError(path, "read", cause) from cause
    except pa.ArrowInvalid as cause:
        raise damaged(path, "not a whole Parquet file") from cause
    groups = sum(footer.row_group(i).num_rows for i in range(footer.num_row_groups))
    if groups != footer.num_rows:
        raise damaged(path, f"the footer says {footer.num_rows} rows, the row groups {groups}")
    return int(footer.num_rows)


def read_schema(path: Path) -> Mapping[str, pl.DataType]:
    """Columns of a Parquet file by its footer. Raises StorageError when it can't be read."""
    try:
        return pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema()
    except OSError as cause:
        raise StorageError(path, "read", cause) from cause
    except pl.exceptions.ComputeError as cause:
        raise damaged(path, "not a whole Parquet file") from cause


def damaged(path: Path, reason: str) -> StorageError:
    """The error for a stored file that is not what was committed."""
    return StorageError(
        path,
        "read",
        reason,
        "it is damaged: restore it from a copy, or move it and its manifest (.json) away and run again",
    )
