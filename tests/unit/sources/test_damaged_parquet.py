"""Damaged Parquet ends in one clear error: the engine's panics, and their backtraces, never reach a terminal."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sources.readers.frame import UnreadableError
from pipelines.sources.readers.typed import decode_fully, decode_with_arrow, read_parquet

FRAME = pl.DataFrame(
    {
        "account_id": [f"A{n}" for n in range(200)],
        "segment": ["smb", None, "enterprise", "smb"] * 50,
        "amount": [n / 3 if n % 7 else None for n in range(200)],
    }
)


def write(path: Path, frame: pl.DataFrame = FRAME, **how: object) -> bytes:
    frame.write_parquet(path, row_group_size=5, **how)  # type: ignore[arg-type]
    return path.read_bytes()


def damaged(whole: bytes) -> Iterator[bytes]:
    """Heads cut off at many places, and bytes changed anywhere."""
    yield from (whole[at:] for at in range(40, len(whole), len(whole) // 40))
    rng = random.Random(4)
    for _ in range(240):
        data, at, size = bytearray(whole), rng.randrange(len(whole)), rng.choice((1, 2, 4, 50))
        data[at : at + size] = rng.randbytes(size)
        yield bytes(data)


def read(path: Path) -> str:
    """As a run reads: schema, then proof, then every value; and the text of some records."""
    try:
        file = read_parquet(path, path.name)
        file.prove(file.columns)
        decode_fully(file.rows)
        file.raw(np.array([1, 7], np.int64))
    except UnreadableError:
        return "blocked"
    return "read"


def test_nothing_is_written_past_python(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.parquet"
    outcomes: Counter[str] = Counter()
    for data in damaged(write(path)):
        path.write_bytes(data)
        outcomes[read(path)] += 1
    assert capfd.readouterr().err == ""
    assert min(outcomes["blocked"], outcomes["read"]) > 20


def test_the_engine_alone_would_have_written_a_backtrace(tmp_path: Path) -> None:
    """The same damage, read by polars first: without this the test above could not fail."""
    for number, data in enumerate(damaged(write(tmp_path / "a.parquet"))):
        (tmp_path / f"{number}.parquet").write_bytes(data)
    code = """
        import pathlib, sys, polars as pl
        for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
            try: pl.scan_parquet(path).select(pl.all().null_count()).collect()
            except BaseException: pass
    """
    words = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    alone = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "panicked at" in alone.stderr


def test_damage_in_a_column_that_nothing_maps_is_marked_in_raw_records(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.parquet"
    data = bytearray(write(path, FRAME.select("account_id", note=pl.lit("x" * 30) + "account_id")))
    with pq.ParquetFile(path) as file:
        chunk = file.metadata.row_group(0).column(1)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + 12] = b"\xff" * 12
    path.write_bytes(data)
    file = read_parquet(path, path.name)
    file.prove(["account_id"])
    assert file.raw(np.array([2], np.int64)) == ['{"account_id":"A1","note":"<can\'t be decoded>"}']
    with pytest.raises(UnreadableError, match="damaged Parquet data"):
        file.prove(["note"])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("limit", "is_met"), [(5, False), (14, False), (15, False), (16, True), (None, True)]
)
def test_a_first_look_proves_the_row_groups_it_reads(tmp_path: Path, limit: int | None, is_met: bool) -> None:
    path = tmp_path / "a.parquet"
    data = bytearray(write(path))
    with pq.ParquetFile(path) as file:
        chunk = file.metadata.row_group(3).column(0)  # records 16 to 20
        start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + 12] = b"\xff" * 12
    path.write_bytes(data)
    if is_met:
        with pytest.raises(UnreadableError):
            decode_with_arrow(path, FRAME.columns, limit)
    else:
        decode_with_arrow(path, FRAME.columns, limit)


def test_a_file_whose_pages_carry_checksums_is_held_to_them(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    numbers = pa.table({"n": pa.array(range(1000), pa.int64())})
    pq.write_table(numbers, path, compression="none", use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    at = data.index((500).to_bytes(8, "little"))
    data[at] ^= 1  # 501: a number like any other
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match="damaged Parquet data"):
        decode_with_arrow(path, ["n"])


def test_a_chunk_smaller_than_nothing_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.parquet"
    data = bytearray(write(path))
    with pq.ParquetFile(path) as file:
        chunk = file.metadata.row_group(7).column(1)
    # of a chunk's metadata in the footer: total_uncompressed_size, total_compressed_size, then data_page_offset; a number is
    # written as twice itself, and one more makes it negative (Thrift compact protocol)
    sizes = (chunk.total_uncompressed_size, chunk.total_compressed_size)
    written = (
        b"".join(b"\x16" + _varint(2 * size) for size in sizes)
        + b"\x26"
        + _varint(2 * chunk.data_page_offset)
    )
    at = data.rindex(written)  # the footer; a copy stands behind the chunk
    data[at + 1 + len(_varint(2 * sizes[0])) + 1] |= 1
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match="negative size"):
        read_parquet(path, path.name)
    assert capfd.readouterr().err == ""
    with pytest.raises(pl.exceptions.PanicException):
        pl.read_parquet_schema(path)
    assert "panicked" in capfd.readouterr().err


def _varint(number: int) -> bytes:
    head, rest = number & 0x7F, number >> 7
    return bytes([head | 0x80]) + _varint(rest) if rest else bytes([head])
