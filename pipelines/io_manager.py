"""Dagster's way into the warehouse: a finished step goes in, a version comes out. Both are handles; frames stay lazy."""

from __future__ import annotations

import dagster as dg

from assets.step import Step
from assets.storage import Version
from pipelines.workshop import RunWorkshop


class WarehouseIOManager(dg.IOManager):
    """Commits what a step staged; hands downstream steps the version that this run made, else the newest."""

    def __init__(self, workshop: RunWorkshop) -> None:
        self._workshop = workshop

    def handle_output(self, context: dg.OutputContext, obj: Step) -> None:
        """Commit. Audit has passed: a blocked step never gets here."""
        version = self._workshop.commit(obj)
        context.log.info(f"committed {version.table} {version.key}: {version.rows} rows")

    def load_input(self, context: dg.InputContext) -> Version:
        """The version to read. Raises dg.Failure when the table was never made."""
        path = "/".join(context.asset_key.path)
        version = self._workshop.head(path)
        if version is None:
            raise dg.Failure(
                f"{path} was never made: materialise it first (aftersale run, or the job daily_refresh)",
                allow_retries=False,
            )
        return version


@dg.io_manager(required_resource_keys={"workshop"})
def warehouse_io_manager(context: dg.InitResourceContext) -> WarehouseIOManager:
    """One per run, on the run's workshop."""
    return WarehouseIOManager(context.resources.workshop)
