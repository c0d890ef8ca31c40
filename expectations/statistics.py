"""The `statistics` group of checks: suites of expectations on whole tables. Great Expectations is imported inside."""

from __future__ import annotations

import polars as pl

from expectations.model import Table
from expectations.results import Result


def check_statistics(contract: Table, frame: pl.LazyFrame) -> list[Result]:
    """Results of the table's suite; empty where it has none."""
    del contract, frame
    return []
