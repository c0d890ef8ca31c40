"""This project's own marts, made and written as a step makes and writes them, without its audit and commit."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import polars as pl

from assets.company import Company
from assets.step import conform
from assets.table import COMPANY, MONTH, PREPARED, Made, TableAsset, arguments_of, parameters_of
from expectations.contracts import TABLES
from pipelines.commands.run import load_for
from pipelines.graph import declared_assets
from pipelines.sources.landing import ConfiguredLanding
from pipelines.warehouse.parquet import write_table
from tests.benchmarks.clean import CORE_MARTS

_FLOORS = {"deal_incentives": "incentives", "deal_outcomes": "outcomes", "account_months": "outcomes"}


def core_assets() -> list[TableAsset]:
    """The declared core marts, in the order they are made."""
    return [
        getattr(importlib.import_module(f"assets.{_FLOORS.get(name, 'evidence')}.{name}"), name)
        for name in CORE_MARTS
    ]


def tables_read() -> list[str]:
    """Names of all tables that the core marts read."""
    return sorted({table.name for asset in core_assets() for table in asset.upstream})


def core_closure() -> list[str]:
    """Paths of the core marts and of every table that one of them is made from, at whatever remove."""
    declared = declared_assets()
    found: set[str] = set()
    wanted = [asset.contract.path for asset in core_assets()]
    while wanted:
        path = wanted.pop()
        if path in found:
            continue
        found.add(path)
        asset = declared[path]
        wanted += [table.path for table in asset.upstream] if isinstance(asset, TableAsset) else []
    return sorted(found)


def main() -> None:
    """Make and write every core mart."""
    clean, out, source = (Path(word) for word in sys.argv[1:4])
    configuration = load_for(source / "aftersale.yaml", out, None)
    assert configuration.company.as_of
    company = ConfiguredLanding(configuration, out / "cache").company_for(configuration.company.as_of)
    for asset in core_assets():
        _make(asset, clean, out, company)


def _make(asset: TableAsset, clean: Path, out: Path, company: Company) -> None:
    folder = out / asset.contract.name
    folder.mkdir(parents=True)
    if asset.prepare is None:
        made = asset.function(**_arguments(asset.function, clean, company))
        _write(asset, made, folder / "all.parquet")
        return
    prepared = asset.prepare(**_arguments(asset.prepare, clean, company))
    for month in prepared.months:
        made = asset.function(**_arguments(asset.function, clean, company, prepared, month))
        _write(asset, made, folder / f"{month}.parquet")


def _arguments(
    function: Any, clean: Path, company: Company, prepared: object = None, month: str = ""
) -> dict[str, object]:
    values: dict[str, object] = {
        name: _scan(clean, name, month) for name in parameters_of(function) if name in TABLES
    }
    return arguments_of(function, values | {COMPANY: company, PREPARED: prepared, MONTH: month})


def _scan(clean: Path, name: str, month: str) -> pl.LazyFrame:
    table = TABLES[name]
    files = sorted((clean / name).glob(f"{month}.parquet" if month and table.partitioned else "*.parquet"))
    return pl.scan_parquet(files, schema=table.schema) if files else table.empty()


def _write(asset: TableAsset, made: Made | pl.LazyFrame, path: Path) -> None:
    made = made if isinstance(made, Made) else Made(made)
    frame = conform(asset.contract, made.frame, is_sorted=made.is_sorted)
    write_table(frame, asset.contract, {}, path)


if __name__ == "__main__":
    main()
