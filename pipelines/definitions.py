"""The code location: assets, checks, jobs, schedules, sensors. Loads without any configuration; a run without one fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg

from assets.table import SourceAsset
from pipelines.as_of import remembered
from pipelines.graph import IO_MANAGER, build_asset, declared_assets, landing_spec, select_present
from pipelines.io_manager import warehouse_io_manager
from pipelines.jobs import build_jobs
from pipelines.months import bounds, monthly_partitions
from pipelines.places import find_config, home_folder
from pipelines.publishing import build_snapshot_asset
from pipelines.resources import workshop_resource
from pipelines.schedules import build_schedules
from pipelines.sensors import build_sensors
from pipelines.sources.config import Configuration
from pipelines.workshop import read_configuration, silent


def describe_source(configuration: Configuration | None, table: str) -> str:
    """Where a source lies, in the configuration's own words."""
    source = configuration.sources.get(table) if configuration else None
    return ", ".join(entry.path for entry in source.entries.values()) if source else ""


def build_definitions(
    *,
    home: Path | None = None,
    config_path: Path | None = None,
    configuration: Configuration | None = None,
    tell: Callable[[str], None] = silent,
) -> dg.Definitions:
    """All definitions for one home and one configuration.

    Args:
        home: the warehouse; default `AFTERSALE_HOME`, else ./warehouse.
        config_path: the configuration; default the first that `find_config` finds.
        configuration: an already loaded one, taken as it is; otherwise each run reads the file anew.
        tell: hears which table was just made.

    Without a configuration every source table is in the graph. Raises ConfigError where there is one with a mistake.
    """
    home = home or home_folder()
    config_path = find_config(config_path, home)
    given = configuration
    if configuration is None and config_path is not None and config_path.is_file():
        configuration = read_configuration(config_path)

    company = configuration.company if configuration else None
    as_of = (company.as_of if company else None) or remembered(home)
    first, last = bounds(company.history_from if company else None, as_of)
    months = monthly_partitions(first, last)

    sources = frozenset(configuration.sources) if configuration else None
    present = select_present(declared_assets(), sources)
    tables = [build_asset(asset, present, months) for asset in present.values()]
    landing = [
        landing_spec(asset.contract, describe_source(configuration, asset.contract.name))
        for asset in present.values()
        if isinstance(asset, SourceAsset)
    ]
    jobs = build_jobs(first, last)
    return dg.Definitions(
        assets=[*landing, *tables, build_snapshot_asset(list(present.values()))],
        jobs=list(jobs.values()),
        schedules=build_schedules(jobs, configuration),
        sensors=build_sensors(jobs, home, configuration),
        resources={
            "workshop": workshop_resource(home, lambda: given or read_configuration(config_path), tell),
            IO_MANAGER: warehouse_io_manager,
        },
        executor=dg.in_process_executor,
    )


defs = build_definitions()
