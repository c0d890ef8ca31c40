"""`source_coverage`: what came, what is wrong with it, what each absence switched off."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from assets.company import Company
from assets.storage import Version
from assets.table import table_asset
from expectations.contracts import SOURCES, quality
from expectations.model import Kind, Table

_DOOR_COUNTS = ("rows_in", "rejected", "deduplicated", "not_yet", "filtered", "vanished")

# events whose time another table may contradict, and where they come from
_CONTRADICTED = {"complaint": "complaints", "feedback": "feedback", "refund": "subscription_events"}


def count_broken_references(table: Table, tables: Mapping[str, pl.LazyFrame]) -> dict[str, int | None]:
    """Values per reference column that no row of the referenced table has; None where that table is absent."""
    frame = tables[table.name]
    counts: dict[str, int | None] = {}
    for reference in table.references:
        target = tables.get(reference.table)
        if target is None:
            counts[reference.column] = None
            continue
        known = target.select(pl.col(reference.target).alias("_id")).unique()
        if table.by_name[reference.column].kind is Kind.LIST:
            frame = frame.explode(reference.column, empty_as_null=True)
        used = (
            frame.group_by(pl.col(reference.column).alias("_id"))
            .len("rows")
            .filter(pl.col("_id").is_not_null())
        )
        broken = used.join(known, on="_id", how="anti").select(pl.col("rows").sum()).collect()
        counts[reference.column] = int(broken.item())
    return counts


def profile_columns(
    table: Table, frame: pl.LazyFrame, company: Company
) -> tuple[int, dict[str, float], date | None]:
    """Rows, share of nulls per column, and newest event day in the company's zone; one pass."""
    newest = (
        pl.col(table.event_time).dt.convert_time_zone(company.timezone).dt.date().max()
        if table.event_time and table.schema[table.event_time] == pl.Datetime("us", "UTC")
        else pl.lit(None, dtype=pl.Date)
    )
    profile = frame.select(
        pl.len().alias("_rows"), newest.alias("_newest"), *(pl.col(c.name).null_count() for c in table.stored)
    ).collect(engine="streaming")
    rows = int(profile["_rows"][0])
    shares = {c.name: profile[c.name][0] / rows if rows else 0.0 for c in table.stored}
    return rows, shares, profile["_newest"][0]


def _absent(table: Table) -> dict[str, Any]:
    return {"table": table.name, "column": "", "present": False, "switches_off": table.switches_off}


def _moment(stamp: object) -> datetime | None:
    return datetime.fromisoformat(str(stamp)).astimezone(UTC) if stamp else None


def _in_words(facts: Mapping[str, Any]) -> str:
    """What was bent on the way in; and why the rows are old, where they are."""
    blocked = (
        f"blocked, so its last good rows stand in: {facts['stale_because']}"
        if "stale_because" in facts
        else ""
    )
    return "; ".join(part for part in (blocked, str(facts.get("notes", ""))) if part)


def describe_source(
    table: Table,
    tables: Mapping[str, pl.LazyFrame],
    version: Version,
    company: Company,
    contradictions: int | None,
) -> list[dict[str, Any]]:
    """Rows of `source_coverage` for one table that came: the table itself, then each column at the door."""
    rows, shares, newest = profile_columns(table, tables[table.name], company)
    broken = count_broken_references(table, tables)
    facts = version.facts
    whole = {
        "table": table.name,
        "column": "",
        "present": True,
        "rows": rows,
        **{name: facts.get(name) for name in _DOOR_COUNTS},
        "broken_references": sum(n for n in broken.values() if n),
        "contradictions": contradictions,
        "max_contradiction_share": facts.get("max_contradiction_share"),
        "observed_until": company.complete_until.get(table.name, newest),
        "stale_since": _moment(facts.get("stale_since")),
        "switches_off": "",
        "detail": _in_words(facts),
    }
    columns = [
        {
            "table": table.name,
            "column": column.name,
            "present": company.has(table.name, column.name),
            "rows": rows,
            "null_share": shares.get(column.name),
            "broken_references": broken.get(column.name),
            "switches_off": "" if column.kept else "kept at the door",
        }
        for column in table.door
    ]
    return [whole, *columns]


def count_contradictions(deals: pl.LazyFrame, customer_events: pl.LazyFrame) -> dict[str, int]:
    """Rows per source table that another table contradicts."""
    found = {"opportunities": int(deals.select(pl.col("contradicted").sum()).collect().item() or 0)}
    counts = customer_events.group_by("kind").agg(pl.col("contradicted").sum()).collect()
    by_kind = dict(counts.iter_rows())
    return found | {table: int(by_kind.get(kind, 0)) for kind, table in _CONTRADICTED.items()}


# exposures of the mart and the column that says why one is null
_PRICED = {"emcr_as_known": "null_reason", "emcr_forward": "forward_null_reason"}


def count_unpriced(deal_incentives: pl.LazyFrame) -> list[dict[str, Any]]:
    """Rows of `source_coverage` on what could not be priced: one per exposure, with the count of every reason in `detail`."""
    found = []
    for exposure, reason in _PRICED.items():
        counts = (
            deal_incentives.group_by(
                pl.col(exposure).is_null().alias("is_null"), pl.col(reason).fill_null("").alias("reason")
            )
            .len("rows")
            .collect(engine="streaming")
        )
        rows = int(counts["rows"].sum())
        unpriced = counts.filter("is_null", pl.col("reason") != "").sort(
            "rows", "reason", descending=[True, False]
        )
        nulls = int(counts.filter("is_null")["rows"].sum())
        found.append(
            {
                "table": "deal_incentives",
                "column": exposure,
                "present": rows > nulls,
                "rows": rows,
                "null_share": nulls / rows if rows else 0.0,
                "switches_off": "",
                "detail": ", ".join(
                    f"{reason}: {n}" for reason, n in unpriced.select("reason", "rows").iter_rows()
                ),
            }
        )
    return found


@table_asset(quality.SOURCE_COVERAGE)
def source_coverage(
    source_tables: Mapping[str, pl.LazyFrame],
    source_manifests: Mapping[str, Version],
    deals: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    deal_incentives: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Which tables and columns came, what is wrong with them, what each absence switched off.

    Grain: source table and column; an empty column stands for the table. Broken references and contradictions are
    counted here and kept everywhere: they are never a row filter. Rows of a table add up: rows_in = rows + rejected +
    deduplicated + not_yet + filtered. What could not be priced is counted by reason in the rows of `deal_incentives`.
    """
    contradictions = count_contradictions(deals, customer_events)
    rows: list[dict[str, Any]] = []
    for name, table in SOURCES.items():
        if name in source_tables:
            version = source_manifests[table.path]
            rows += describe_source(table, source_tables, version, company, contradictions.get(name))
        else:
            rows.append(_absent(table))
    rows += count_unpriced(deal_incentives)
    return pl.LazyFrame(rows, schema=quality.SOURCE_COVERAGE.schema)
