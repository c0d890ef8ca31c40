"""Small companies in a few words: typed frames of any contract, with null in every column that a test does not name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from assets.company import Churn, Company
from expectations.contracts import TABLES
from expectations.model import Kind

Rows = Callable[..., pl.LazyFrame]


def _value(kind: Kind, value: Any) -> Any:
    if value is None or not isinstance(value, str | int | float):
        return value
    if kind is Kind.TIMESTAMP:
        moment = datetime.fromisoformat(value if "T" in value else f"{value}T12:00")
        return moment.replace(tzinfo=UTC)
    if kind is Kind.DATE:
        return date.fromisoformat(value)
    if kind in (Kind.MONEY, Kind.RATE):
        return Decimal(str(value))
    return value


@pytest.fixture(scope="session")
def rows() -> Rows:
    """`rows("accounts", dict(account_id="A"), ...)`: timestamps are UTC, a bare day is its noon."""

    def build(table: str, *records: dict[str, Any]) -> pl.LazyFrame:
        contract = TABLES[table]
        typed = [{k: _value(contract.by_name[k].kind, v) for k, v in record.items()} for record in records]
        return pl.LazyFrame(typed, schema=dict(contract.schema), orient="row")

    return build


@pytest.fixture(scope="session")
def company() -> Callable[..., Company]:
    """A firm in UTC with every source and column, seen at the end of 2025; keywords change it."""
    everything = Company(
        reporting_currency="USD",
        timezone="UTC",
        as_of=date(2025, 12, 31),
        churn=Churn("contract"),
        sources=frozenset(TABLES),
        columns={name: frozenset(table.by_name) for name, table in TABLES.items()},
        complete_until={name: date(2025, 12, 31) for name in TABLES},
    )

    def build(*, without: tuple[str, ...] = (), **changes: Any) -> Company:
        changed = replace(everything, **changes)
        kept = frozenset(changed.sources) - frozenset(without)
        columns = {
            name: frozenset(c for c in changed.columns[name] if f"{name}.{c}" not in without) for name in kept
        }
        return replace(changed, sources=kept, columns=columns)

    return build
