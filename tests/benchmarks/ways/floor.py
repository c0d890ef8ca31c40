"""The floor: read every column of every clean table that the core marts read, and count it."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from tests.benchmarks.ways.ours import tables_read


def main() -> None:
    """Count everything."""
    for name in tables_read():
        for path in sorted((Path(sys.argv[1]) / name).glob("*.parquet")):
            pl.scan_parquet(path).select(pl.all().count()).collect(engine="streaming")


if __name__ == "__main__":
    main()
