"""What a new snapshot says otherwise about months that were closed when the last one was published.

A month is closed when the last snapshot looked from its last day or later. Compared are the rows of the core tables by their
keys: of several versions of a row the newest counts. A row that moves to another month vanishes from one and is added to the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import polars as pl

from assets.storage import Part, Version
from expectations.contracts import SOURCES
from expectations.model import Kind, Sensitivity, Table
from pipelines.warehouse.snapshots import Snapshot
from pipelines.warehouse.store import Store

FILE = "restatements.csv"
RESTATED = pl.Schema(
    {
        "table": pl.String(),
        "month": pl.String(),  # YYYY-MM in the company's time zone
        "rows_before": pl.Int64(),
        "rows_added": pl.Int64(),
        "rows_changed": pl.Int64(),
        "rows_vanished": pl.Int64(),
        "money": pl.String(),  # the column summed, empty where the table has none
        "currency": pl.String(),
        "money_before": pl.Decimal(38, 2),
        "money_after": pl.Decimal(38, 2),
    }
)

_MONTH, _DIGEST, _BEFORE = "_month", "_digest", "_before"


def find_restatements(
    store: Store, previous: Snapshot | None, versions: Mapping[str, Version], zone: str, *, same_key: bool
) -> pl.DataFrame:
    """Closed months in which rows of source tables were added, changed or vanished since the last snapshot (schema RESTATED).

    `same_key`: whether people have the pseudonyms they had; if not, rows are compared without them, and tables whose keys
    hold them are left out. Raises StorageError where a version that the last snapshot names can't be read.
    """
    found = [pl.DataFrame(schema=RESTATED)]
    for contract in SOURCES.values():
        now = versions.get(contract.path)
        then = previous.tables.get(contract.path) if previous else None
        if previous is None or now is None or then is None or then["content_hash"] == now.content_hash:
            continue
        before = store.find(contract.path, then["key"])
        if before is None or before.contract_version != now.contract_version or not month_column(contract):
            continue
        people = (
            set() if same_key else {c.name for c in contract.stored if c.sensitivity is Sensitivity.PSEUDONYM}
        )
        if people & set(contract.key):
            continue
        kept = {part.sha256 for part in before.parts if part.month} & {part.sha256 for part in now.parts}
        old, new = (
            store.scan_parts(contract, _without(version.parts, kept)).drop(people)
            for version in (before, now)
        )
        found.append(compare(contract, old, new, closed_until=date.fromisoformat(previous.as_of), zone=zone))
    return pl.concat(found)


def _without(parts: Sequence[Part], kept: set[str]) -> list[Part]:
    return [part for part in parts if part.sha256 not in kept]


def month_column(contract: Table) -> str:
    """The column that puts a row into a month; empty where rows have none."""
    return contract.event_time or ("period_start" if "period_start" in contract.by_name else "")


def compare(
    contract: Table, before: pl.LazyFrame, after: pl.LazyFrame, *, closed_until: date, zone: str
) -> pl.DataFrame:
    """Months up to `closed_until` that differ, with the rows behind it and the money before and after (schema RESTATED)."""
    old, new = (_newest(contract, frame, closed_until, zone).collect() for frame in (before, after))
    key = [_MONTH, *contract.key]
    both = old.select(*key, pl.col(_DIGEST).alias(_BEFORE)).join(
        new.select(*key, _DIGEST), on=key, how="full", coalesce=True, nulls_equal=True
    )
    counts = (
        both.group_by(_MONTH)
        .agg(
            rows_before=pl.col(_BEFORE).is_not_null().sum().cast(pl.Int64),
            rows_added=pl.col(_BEFORE).is_null().sum().cast(pl.Int64),
            rows_changed=(pl.col(_BEFORE) != pl.col(_DIGEST)).sum().cast(pl.Int64),
            rows_vanished=pl.col(_DIGEST).is_null().sum().cast(pl.Int64),
        )
        .filter(pl.col("rows_added") + pl.col("rows_changed") + pl.col("rows_vanished") > 0)
    )
    money = _money(contract, old, "money_before").join(
        _money(contract, new, "money_after"),
        on=[_MONTH, "money", "currency"],
        how="full",
        coalesce=True,
        nulls_equal=True,
    )
    return (
        counts.join(money, on=_MONTH, how="left")
        .with_columns(
            pl.lit(contract.name).alias("table"),
            pl.col(_MONTH).alias("month"),
            pl.col("money", "currency").fill_null(""),
            pl.when(pl.col("money").is_not_null())
            .then(pl.col("money_before", "money_after").fill_null(0))
            .cast(pl.Decimal(38, 2)),
        )
        .select(RESTATED.names())
        .sort("table", "month", "money", "currency")
    )


def _newest(contract: Table, frame: pl.LazyFrame, closed_until: date, zone: str) -> pl.LazyFrame:
    """One row per key, the newest version, with its month, a digest over all versions, and the money it holds."""
    column = month_column(contract)
    local = pl.col(column)
    if contract.by_name[column].kind is Kind.TIMESTAMP:
        local = local.dt.convert_time_zone(zone)
    kept = [c.name for c in contract.stored if c.kind is Kind.MONEY or c.name == "currency"]
    names = frame.collect_schema().names()
    newest = (
        pl.col(*kept, _MONTH).sort_by("recorded_at").last()
        if contract.versioned
        else pl.col(*kept, _MONTH).last()
    )
    return (
        frame.with_columns(local.dt.strftime("%Y-%m").alias(_MONTH), pl.struct(names).hash().alias(_DIGEST))
        .group_by(contract.key)
        .agg(newest, pl.col(_DIGEST).sum())
        .filter(pl.col(_MONTH) < f"{closed_until + timedelta(days=1):%Y-%m}")
    )


def _money(contract: Table, rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Exact sums by month, money column and currency."""
    currency = pl.col("currency") if "currency" in contract.by_name else pl.lit("")
    schema = {_MONTH: pl.String(), "currency": pl.String(), "money": pl.String(), name: pl.Decimal(38, 2)}
    sums = [
        rows.filter(pl.col(column.name).is_not_null())
        .group_by(_MONTH, currency.alias("currency"))
        .agg(pl.col(column.name).cast(pl.Decimal(38, 2)).sum().alias(name))
        .with_columns(pl.lit(column.name).alias("money"))
        .select(*schema)
        for column in contract.stored
        if column.kind is Kind.MONEY
    ]
    return pl.concat([pl.DataFrame(schema=schema), *sums])


def describe_restatements(restated: pl.DataFrame, most: int) -> list[str]:
    """The lines of `changes.md`: the first `most` of them, the rest is in the file beside it."""
    lines = ["## Closed months that were restated", ""]
    if restated.is_empty():
        return [*lines, "None.", ""]
    head = "| table | month | rows before | added | changed | vanished | money | before | after |"
    rows = [
        f"| {' | '.join(str(v) for v in row[:6])} | {' '.join(filter(None, row[6:8]))} | {_sum(row[8])} | {_sum(row[9])} |"
        for row in restated.head(most).iter_rows()
    ]
    more = restated.height - most
    said = f"All of them, by month and currency: [{FILE}]({FILE})" + (
        f", {more} more than here." if more > 0 else "."
    )
    return [*lines, head, f"|{' --- |' * 9}", *rows, "", said, ""]


def _sum(value: object) -> str:
    return "" if value is None else f"{value:,}"
