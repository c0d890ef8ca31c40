"""Tables read off the manifests: every check, every reason for a reject. No data is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from assets.storage import Version
from assets.table import table_asset
from expectations.contracts import quality


def list_results(manifests: Mapping[str, Version]) -> list[dict[str, Any]]:
    """One row per remembered check: as `quality_results`, times as datetimes."""
    return [
        {
            "run_id": check["run_id"],
            "table": path,
            "check": f"{check['group']}.{check['check']}",
            "severity": check["severity"],
            "passed": check["passed"],
            "evaluated": check["evaluated"],
            "failed": check["failed"],
            "checked_at": datetime.fromisoformat(check["checked_at"]),
            "detail": check["detail"],
        }
        for path, version in sorted(manifests.items())
        for check in version.checks
    ]


def list_rejects(manifests: Mapping[str, Version]) -> list[dict[str, Any]]:
    """One row per table, file, column and reason, from the counts each source step left in its manifest."""
    return [
        {
            "table": path.split("/")[1],
            "file": reason["file"],
            "column": reason["column"],
            "reason": reason["reason"],
            "rows_with_reason": reason["rows"],
            "share": reason["rows"] / version.facts["rows_in"] if version.facts.get("rows_in") else None,
        }
        for path, version in sorted(manifests.items())
        for reason in version.facts.get("reject_reasons", ())
    ]


@table_asset(quality.QUALITY_RESULTS)
def quality_results(manifests: Mapping[str, Version]) -> pl.LazyFrame:
    """Every sentence that was checked on the tables of this snapshot.

    Grain: run, table, check. Results are those the table passed with when it was made: a table that was reused keeps the
    run and the time of its making. Checks of a run that was blocked are in `runs/<id>/results`, not here.
    """
    return pl.LazyFrame(list_results(manifests), schema=quality.QUALITY_RESULTS.schema)


@table_asset(quality.REJECTS_SUMMARY)
def rejects_summary(source_manifests: Mapping[str, Version]) -> pl.LazyFrame:
    """Why rows were kept aside: counts only, the rows themselves stay under `rejects/`.

    Grain: table, file, column, reason. A row with several faults counts once, under the first.
    """
    return pl.LazyFrame(list_rejects(source_manifests), schema=quality.REJECTS_SUMMARY.schema)
