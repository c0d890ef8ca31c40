"""Records are found the same way whatever window the file is read through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.sources.readers import records
from pipelines.sources.readers.frame import UnreadableError
from pipelines.sources.readers.records import Dialect, split_file

PIECES = st.sampled_from(
    [b"a", b"bb", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b'"x,y"', b'"p\nq"', "é".encode()]
)


def split(path: Path, window: int) -> list[tuple[int, bytes, int, bool, bool]] | str:
    """(offset, content, fields, bad, literal) of every record, or the reason for giving up."""
    found = []
    try:
        for piece in split_file(path, Dialect(), window=window):
            for i in range(len(piece.start)):
                offset = piece.base + int(piece.start[i])
                flags = bool(piece.bad[i]), bool(piece.literal[i])
                found.append((offset, piece.content(i), int(piece.fields[i]), *flags))
    except UnreadableError as error:
        return error.reason
    return found


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(PIECES, max_size=40).map(b"".join))
@example(b'a,"b\nc,d\n' * 9)
@example(b"a\r\r\nb\r")
def test_the_window_changes_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    whole = split(path, 1 << 20)
    assert [split(path, window) for window in (1, 2, 5, 16)] == [whole] * 4
    assert isinstance(whole, list)
    # line ends apart, the contents are the file
    ends = data
    for offset, content, *_ in reversed(whole):
        assert ends[offset:].startswith(content)
        assert ends[offset + len(content) :] in {b"", b"\n", b"\r\n", b"\r"}
        ends = ends[:offset]
    assert ends == b""


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(PIECES, min_size=5, max_size=80).map(b"".join))
def test_nor_does_it_where_records_are_over_long(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "MAX_RECORD", 12)
        patch.setattr(records, "_SMALL", 4)
        assert split(path, 3) == split(path, 7) == split(path, 1 << 16)


def test_one_stray_quote_costs_one_line_in_a_large_file(tmp_path: Path) -> None:
    lines = [f'{n},"text {n}","multi\nline"'.encode() for n in range(30_000)]
    lines[777] = b'777,"never closed,x'
    path = tmp_path / "a.csv"
    path.write_bytes(b"\n".join(lines) + b"\n")
    found = split(path, 1 << 16)
    assert isinstance(found, list)
    assert [content for _, content, _, bad, _ in found if bad] == [lines[777]]
    assert [content for _, content, *_ in found] == lines


@pytest.mark.parametrize(
    ("record", "cells"),
    [
        (b"", [b""]),
        (b",", [b"", b""]),
        (b'"a,b",c', [b"a,b", b"c"]),
        (b'"a ""b""",""', [b'a "b"', b""]),
        (b'5" pipe,x', [b'5" pipe', b"x"]),
    ],
)
def test_cells_of_a_record(record: bytes, cells: list[bytes]) -> None:
    dialect = Dialect()
    assert dialect.cells(record) == cells
    assert dialect.cells(dialect.requoted(record)) == cells
