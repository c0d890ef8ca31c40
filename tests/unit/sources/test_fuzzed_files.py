"""Whatever bytes come: rows + rejects = records, or the file blocks. Nothing else is ever raised."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.sources.readers.delimited import read_delimited
from pipelines.sources.readers.frame import SOURCE_RECORD, SourceFile, UnreadableError
from pipelines.sources.readers.jsonl import read_jsonl
from pipelines.sources.readers.records import Dialect

FUZZ = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

CSV = b'id,name,note\r\n1,"a ""b""",x\n2,"line\nbreak",\n3,,"y, z"\n4,5" pipe,q\n\n5,e,"f"\nTotal,,\n'
LINES = (
    b'{"id": "1", "n": 1.50}\n{"id": "2", "n": null, "m": [1, {"k": true}]}\n\n{"id": "\\u00e9", "x": "y"}\n'
)
SPICE = [
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b'""',
    b'"\n"',
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"id,name,note\n",
    b" ",
    b"{",
    b"}",
    b":",
    b"\\",
    b";",
    "é".encode(),
]


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """A good file with up to eight cuts, doublings and insertions."""
    data = seed
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(data)))
        upto = draw(st.integers(at, min(len(data), at + 12)))
        put = draw(st.sampled_from(SPICE) | st.just(data[at:upto] * 2) | st.binary(max_size=3))
        data = data[:at] + put + data[upto:]
    return data


@pytest.fixture
def new_file(tmp_path: Path) -> Callable[[str], Path]:
    numbers = itertools.count()
    return lambda suffix: tmp_path / f"{next(numbers)}{suffix}"


def assert_nothing_is_lost(file: SourceFile, data: bytes) -> None:
    rows = file.rows.collect()
    rejects = file.rejects()
    assert rows.height + rejects.height == file.records
    numbers = [*rows[SOURCE_RECORD], *rejects["record"]]
    assert sorted(numbers) == list(range(1, file.records + 1))
    assert all(raw.encode() in data for raw in rejects["raw"])


@FUZZ
@given(mutated(CSV))
@example(b"id,name,note\n1,2,3\r\r\n4,5,6")
@example(b"id,name,note\r1,2,3\n4,5,6\n")
@example(b'\n\nid,5" pipe,note\n1,2,3\n')
@example(b'id,name,note\n"1,2,3')
def test_mutated_csv_keeps_the_identity_or_blocks(new_file: Callable[[str], Path], data: bytes) -> None:
    path = new_file(".csv")
    path.write_bytes(data)
    try:
        file = read_delimited(path, "a.csv", Dialect(), new_file)
    except UnreadableError:
        return
    assert_nothing_is_lost(file, data)


@FUZZ
@given(mutated(LINES))
def test_mutated_json_lines_keep_the_identity_or_block(new_file: Callable[[str], Path], data: bytes) -> None:
    path = new_file(".jsonl")
    path.write_bytes(data)
    try:
        file = read_jsonl(path, "a.jsonl", new_file)
    except UnreadableError:
        return
    assert_nothing_is_lost(file, data)


CELL = st.text(st.sampled_from("ab1é \"',;\n\r\t|#="), max_size=6)


@FUZZ
@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    # with "\n" ends and minimal quoting that writer leaves a CR bare, which is a line end to everybody else
    style=st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]),
)
def test_what_pythons_own_writer_wrote_is_read_cell_by_cell(
    new_file: Callable[[str], Path], rows: list[list[str]], delimiter: str, style: tuple[str, int]
) -> None:
    rows = [row for row in rows if "".join(row).strip()]  # a record of blanks only is another test's business
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=style[0], quoting=style[1])  # type: ignore[arg-type]
    writer.writerows([["c1", "c2", "c3"], *rows])
    path = new_file(".csv")
    path.write_bytes(out.getvalue().encode())
    file = read_delimited(path, "a.csv", Dialect(delimiter), new_file)
    frame = file.rows.select("c1", "c2", "c3").collect()
    assert [[cell or "" for cell in row] for row in frame.iter_rows()] == rows
    assert not len(file.bad)


@FUZZ
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", "c d"]), st.none() | CELL | st.integers() | st.booleans(), min_size=1
        ),
        min_size=1,
        max_size=9,
    )
)
def test_json_lines_come_back_as_text(
    new_file: Callable[[str], Path], objects: list[dict[str, object]]
) -> None:
    path = new_file(".jsonl")
    path.write_text("".join(json.dumps(o) + "\n" for o in objects), "utf-8")
    frame = read_jsonl(path, "a.jsonl", new_file).rows.collect()
    for name in frame.drop(SOURCE_RECORD).columns:
        expected = [o.get(name) for o in objects]
        texts = [None if v is None else v if isinstance(v, str) else json.dumps(v) for v in expected]
        assert frame[name].to_list() == texts
        assert frame[name].dtype == pl.String
