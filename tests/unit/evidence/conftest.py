"""Small firms to ask questions of: frames like the marts, with only the columns that a question is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import polars as pl
import pytest

from assets.company import Company
from expectations.contracts import TABLES

FrameOf = Callable[[str, Sequence[Mapping[str, object]]], pl.LazyFrame]


@pytest.fixture(scope="session")
def frame_of() -> FrameOf:
    """A table with the dtypes of its contract out of rows that give only some columns."""

    def build(name: str, rows: Sequence[Mapping[str, object]]) -> pl.LazyFrame:
        schema = TABLES[name].schema
        return pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema).lazy()

    return build


@pytest.fixture
def company() -> Company:
    return Company(
        reporting_currency="USD",
        timezone="UTC",
        as_of=date(2025, 12, 31),
        sources=frozenset({"complaints", "feedback", "feedback_events"}),
    )
