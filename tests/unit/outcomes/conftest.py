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
from assets.incentives.plan_features import PLAN_FLAGS
from assets.outcomes.deal_outcomes import emcr_cut_points, judge_outcomes
from assets.outcomes.observation import last_observed_day
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


EXPOSURES = {
    "opportunity_id": pl.String, "emcr": pl.Float64, "emcr_as_final": pl.Float64, "emcr_forward": pl.Float64,
    "emcr_with_spiff": pl.Float64,
    "emcr_lowest": pl.Float64, "emcr_highest": pl.Float64, "base_rate": pl.Float64, "relative_intensity": pl.Float64,
    "incentive_cost_share": pl.Float64, "is_pivotal": pl.Boolean, "plan_id": pl.String, "version": pl.Int64,
    "tier": pl.Int64, "days_to_period_end": pl.Int64, "null_reason": pl.String, "rep_id": pl.String,
    **dict.fromkeys(PLAN_FLAGS, pl.Boolean),
}  # fmt: skip
"""What `deal_exposures` of the incentives gives, with the features of the plan."""


@pytest.fixture(scope="session")
def no_exposures() -> pl.LazyFrame:
    """No rows of what `deal_exposures` gives."""
    return pl.LazyFrame(schema=EXPOSURES)


@pytest.fixture(scope="session")
def judged_frames() -> Callable[..., pl.LazyFrame]:
    """Rows of deal_outcomes through the mart's own steps, from core frames by name."""

    def build(
        deals: pl.LazyFrame,
        firm: Company,
        frames: dict[str, pl.LazyFrame],
        exposures: pl.LazyFrame | None = None,
    ) -> pl.LazyFrame:
        if exposures is None:
            exposures = pl.LazyFrame(schema=EXPOSURES)
        sources = ("subscriptions", "subscription_events", "customer_activity")
        return judge_outcomes(
            deals=deals, exposures=exposures, cut_points=emcr_cut_points(deals, exposures), company=firm,
            observed_until=last_observed_day(firm, deals, **{name: frames[name] for name in sources}),
            **{name: frames[name] for name in (*sources, "customer_events", "accounts")},
        )  # fmt: skip

    return build


@pytest.fixture(scope="session")
def judged(
    rows: Rows, company: Callable[..., Company], judged_frames: Callable[..., pl.LazyFrame]
) -> Callable[..., pl.LazyFrame]:
    """`judged([deal, ...], firm=..., subscriptions=[...], ...)` -> rows of deal_outcomes."""

    def build(deals: list[dict[str, Any]], firm: Company | None = None, **tables: Any) -> pl.LazyFrame:
        names = ("subscriptions", "subscription_events", "customer_activity", "customer_events", "accounts")
        frames = {name: rows(name, *tables.get(name, ())) for name in names}
        sold = rows(
            "deals",
            *({"rep_id": "r1", "currency": "USD", "closed_at": d.get("closed_on")} | d for d in deals),
        )
        exposures = pl.LazyFrame(tables.get("exposures", []), schema=EXPOSURES, orient="row")
        return judged_frames(sold, firm or company(), frames, exposures)

    return build
