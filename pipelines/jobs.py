"""The jobs: everything, the core only, the month's close, chosen months."""

from __future__ import annotations

from typing import Any

import dagster as dg

from pipelines.months import whole_range

DAILY, INGEST, CLOSE, BACKFILL = "daily_refresh", "ingest", "monthly_close", "backfill_months"
SOURCE_TABLES = dg.AssetSelection.groups("core")
CUT_BY_MONTH = dg.AssetSelection.assets("core/activities", "marts/account_months")


def build_jobs(first: str, last: str) -> dict[str, Any]:
    """The jobs by name; `first` and `last` bound the calendar of months (YYYY-MM).

    The range of all months rides in each job's tags, so a schedule, the UI and `dagster job execute` need no arguments.
    What did not change is reused, so "everything" costs only what is new.
    """
    every_month = whole_range(first, last)
    return {
        DAILY: dg.define_asset_job(
            DAILY,
            selection=dg.AssetSelection.all(),
            tags=every_month,
            description="Everything: ingest, marts, publish.",
        ),
        INGEST: dg.define_asset_job(
            INGEST,
            selection=SOURCE_TABLES,
            tags=every_month,
            description="Source tables only: read, check, keep.",
        ),
        CLOSE: dg.define_asset_job(
            CLOSE,
            selection=dg.AssetSelection.all(),
            tags={**every_month, "aftersale/close": last},
            description="The closed month: everything again, so that late rows restate earlier months; differences are in changes.md and restatements.csv.",
        ),
        BACKFILL: dg.define_asset_job(
            BACKFILL, selection=CUT_BY_MONTH, description="Chosen months of the tables that are cut by month."
        ),
    }
