"""Small source folders for tests: a table of rows in, CSV files and an `aftersale.yaml` out."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Rows = Sequence[Mapping[str, Any]]


def write_company(
    folder: Path,
    tables: Mapping[str, Rows],
    *,
    company: Mapping[str, Any] | None = None,
    **sources: Mapping[str, Any],
) -> Path:
    """Write each table as CSV (missing cells empty) and a configuration that maps it by its own column names.

    `sources` adds keys to single tables, such as opportunities={"on_block": "stop"}. Returns the configuration's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, dict[str, Any]] = {}
    for name, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        entries[name] = {"path": f"{name}.csv", **sources.get(name, {})}
    settings = {
        "reporting_currency": "USD",
        "timezone": "America/New_York",
        "demo_seed": 1,
        **(company or {}),
    }
    path = folder / "aftersale.yaml"
    path.write_text(yaml.safe_dump({"company": settings, "sources": entries}, sort_keys=False))
    return path


def won(opportunity_id: str, rep_id: str, closed_at: str, amount: str, **more: Any) -> dict[str, Any]:
    """A won deal."""
    return {
        "opportunity_id": opportunity_id,
        "account_id": more.pop("account_id", f"A-{opportunity_id}"),
        "rep_id": rep_id,
        "closed_at": closed_at,
        "is_won": "true",
        "amount": amount,
        "currency": "USD",
        **more,
    }
