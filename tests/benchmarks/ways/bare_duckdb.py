"""The same marts in bare DuckDB: `core_marts.sql` over views of the clean files, each written to Parquet."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import duckdb

_MARTS = re.compile(r"^-- mart: (\w+)\n(.*?);\s*$", re.MULTILINE | re.DOTALL)


def read_statements() -> list[tuple[str, str]]:
    """Name and SELECT of every mart."""
    return _MARTS.findall(Path(__file__).with_name("core_marts.sql").read_text())


def main() -> None:
    """Make and write every core mart."""
    clean, out = Path(sys.argv[1]), Path(sys.argv[2])
    with duckdb.connect(config={"temp_directory": str(out / "spill")}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in sorted(clean.iterdir()):
            connection.execute(f"CREATE VIEW {table.name} AS FROM read_parquet('{table}/*.parquet')")
        connection.execute("CREATE TABLE observed AS SELECT max(observed_until) AS until FROM deal_outcomes")
        for name, select in read_statements():
            (out / name).mkdir(parents=True)
            connection.execute(
                f"COPY ({select}) TO '{out}/{name}/all.parquet' (FORMAT parquet, COMPRESSION zstd)"
            )


if __name__ == "__main__":
    main()
