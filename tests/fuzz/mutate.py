"""From a number to an input: valid rows of the demo company, changed in values, in structure and in bytes.

`make(seed, ...)` depends on nothing but its arguments. Nothing is judged here.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from tests.fuzz.damage import BYTE_CHANGES, cut_off, flip_bits, piece_twice, put_bytes
from tests.fuzz.formats import WRITERS
from tests.fuzz.rows import ROW_CHANGES, Rows

T = TypeVar("T", Rows, bytes)


@dataclass(frozen=True)
class Input:
    """The files of one table, and how the configuration reads them."""

    seed: int
    table: str
    files: Mapping[str, bytes]
    options: Mapping[str, Any] = field(default_factory=dict)
    story: tuple[str, ...] = ()  # what was done to it


def make(seed: int, valid: Mapping[str, Rows]) -> Input:
    """The input of a seed."""
    rng = random.Random(seed)
    table = rng.choice(sorted(valid))
    story: list[str] = []
    parts = [valid[table]] if rng.random() < 0.8 else [valid[table][:5], valid[table][5:]]
    suffix = rng.choice(sorted(WRITERS))
    files = {}
    for number, part in enumerate(parts):
        rows = [dict(row) for row in part]
        for _ in range(_few(rng)):
            rows = _apply(rng, ROW_CHANGES, rows, story)
        data = WRITERS[suffix](rng, rows)
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            data = _apply(rng, BYTE_CHANGES, data, story)
        packed = suffix.endswith((".gz", ".zst"))
        files[f"{table}-{number}{suffix}"] = _zip(rng, data, story, suffix) if packed else data
    columns = list(valid[table][0])
    path = f"{table}-*{suffix}" if len(files) > 1 else next(iter(files))
    return Input(seed, table, files, _options(rng, path, columns), tuple(story))


def _few(rng: random.Random) -> int:
    return rng.choice((0, 0, 1, 1, 2, 4))


def _apply(
    rng: random.Random, changes: Mapping[str, Callable[[random.Random, T], T]], what: T, story: list[str]
) -> T:
    name = rng.choice(sorted(changes))
    story.append(name)
    return changes[name](rng, what)


def _zip(rng: random.Random, data: bytes, story: list[str], suffix: str) -> bytes:
    """In two pieces, as programs that append do."""
    pieces = data[: len(data) // 2], data[len(data) // 2 :]
    pack = (
        partial(pa.compress, codec="zstd", asbytes=True)
        if suffix.endswith(".zst")
        else partial(gzip.compress, mtime=0)
    )
    packed = b"".join(pack(piece) for piece in pieces)
    if rng.random() < 0.3:
        packed = _apply(
            rng,
            {"bits": flip_bits, "cut": cut_off, "put": put_bytes, "twice": piece_twice},
            packed,
            story,
        )
    return packed if rng.random() < 0.95 else data


def _options(rng: random.Random, path: str, columns: list[str]) -> dict[str, Any]:
    name, other = rng.choice(columns), rng.choice(columns)
    quoted = f'"{other}"'
    choices: list[dict[str, Any]] = [
        {"decimal": ",", "thousands": "."},
        {"thousands": ",", "currency_symbols": "$", "parentheses_negative": True},
        {"date_format": "%d/%m/%Y"},
        {"timestamp_format": "%Y-%m-%dT%H:%M:%SZ", "timezone": "Europe/Berlin"},
        {"timezone": "America/New_York"},
        {"null_tokens": ["", "NULL", "N/A", "-"]},
        {"encoding": rng.choice(["cp1252", "utf-16", "latin-1", "shift_jis"])},
        {"delimiter": rng.choice([",", ";", "\t", "|"])},
        {"quote": rng.choice(["'", ""])},
        {"where": f"{quoted} IS NOT NULL"},
        {"where": f"length({quoted}) % 2 = 0"},
        {"where": f"CAST({quoted} AS INTEGER) > 1"},
        {"columns": {name: f"upper({quoted})"}},
        {"columns": {name: f"CAST({quoted} AS DATE)"}},
        {"columns": {name: f"coalesce({quoted}, '7') || ''"}},
        {"columns": {name: other}},
    ]
    options: dict[str, Any] = {"path": path} | ({"delimiter": ";"} if path.endswith(".txt") else {})
    if rng.random() < 0.1:
        return {"files": {"a": {"path": path}}, "query": "SELECT DISTINCT * FROM a"}
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        options |= rng.choice(choices)
    return options
