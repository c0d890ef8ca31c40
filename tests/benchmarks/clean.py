"""Clean Parquet for the core marts: what the core of a whole run committed, and the marts that other marts read."""

from __future__ import annotations

import os
from pathlib import Path

from expectations.contracts import TABLES
from pipelines.warehouse.store import Store

CORE_MARTS = (
    "deal_incentives",
    "deal_outcomes",
    "churn_by_incentive",
    "account_months",
    "complaints_by_incentive",
    "feedback_lag_by_incentive",
)


def link_clean_tables(home: Path, folder: Path) -> None:
    """`folder/<table>/<month or all>.parquet` for every internal table and every mart that was made."""
    store = Store(home)
    for table in TABLES.values():
        version = store.head(table.path)
        if version is None:
            continue
        (folder / table.name).mkdir(parents=True)
        for part in version.parts:
            os.link(store.part_path(part), folder / table.name / f"{part.month or 'all'}.parquet")
