"""Small companies for tests: source rows as the core would hold them, few words each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from assets.company import Company
from assets.incentives.deal_prices import price_deals
from assets.incentives.pay_tables import PayTables
from expectations.contracts import SOURCES

NAMES = (
    "opportunities", "credits", "quotas", "plans", "plan_components", "plan_tiers", "plan_assignments", "spiffs",
    "fx_rates", "reps", "component_results", "fiscal_calendar",
)  # fmt: skip
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


def at(text: str) -> datetime:
    """'2025-02-10 12:00' in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class Books:
    """Rows by table; `credited` says whether the firm keeps a credits table."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in NAMES})
    credited: bool = True
    zone: str = "America/New_York"

    def add(self, table: str, **row: Any) -> Row:
        self.rows[table].append(row)
        return row

    def plan(
        self, plan: str, tiers: list[tuple[str, str]] | list[tuple[str, str, str]], **facts: Any
    ) -> None:
        """Version 1 of a plan with one component; tiers as (from_attainment, rate[, lump])."""
        gate = {k: facts.pop(k) for k in ("gate_attainment", "gate_from") if k in facts}
        recorded = facts.pop("recorded_at", LONG_AGO)
        base = {"plan_id": plan, "version": 1, "recorded_at": recorded}
        self.add(
            "plans",
            **base,
            **{
                "valid_from": date(2020, 1, 1), "period": "quarter", "currency": "USD", "timezone": "America/New_York",
                "tier_method": "incremental", **facts,
            },
        )  # fmt: skip
        if gate:
            self.add("plan_components", **base, component="commission", measure="revenue", weight=1, **gate)
        for number, (edge, rate, *lump) in enumerate(tiers, start=1):
            self.tier(plan, number, edge, rate, *lump, recorded_at=recorded)

    def tier(
        self, plan: str, number: int, edge: str, rate: str, lump: str | None = None, **facts: Any
    ) -> None:
        row = {
            "plan_id": plan,
            "version": 1,
            "component": "commission",
            "tier": number,
            "from_attainment": edge,
        }
        self.add("plan_tiers", **{**row, "rate": rate, "lump_bonus": lump, "recorded_at": LONG_AGO, **facts})

    def seller(self, rep: str, plan: str, quota: str | None = None, **facts: Any) -> None:
        """On the plan from 2020; the quota holds for the first quarter of 2025."""
        self.add("reps", rep_id=rep)
        row = {"rep_id": rep, "plan_id": plan, "version": 1, "valid_from": date(2020, 1, 1)}
        self.add("plan_assignments", **{**row, "recorded_at": LONG_AGO, **facts})
        if quota is not None:
            self.quota(rep, quota)

    def quota(self, rep: str, amount: str, **facts: Any) -> None:
        row = {"rep_id": rep, "component": "commission", "amount": amount, "recorded_at": LONG_AGO}
        period = {"period_start": date(2025, 1, 1), "period_end": date(2025, 4, 1)}
        self.add("quotas", **{**row, **period, **facts})

    def win(self, deal: str, rep: str, amount: str | None, closed: str, **facts: Any) -> None:
        """A won deal, recorded when it closed."""
        when = at(closed)
        row = {"opportunity_id": deal, "rep_id": rep, "amount": amount, "closed_at": when, "is_won": True}
        stated = {"currency": "USD", "recorded_at": when, "closed_time_known": True}
        self.add("opportunities", **{**row, **stated, **facts})

    def credit(self, deal: str, rep: str, amount: str, credited: str, **facts: Any) -> None:
        """A credit, recorded when it counts."""
        when = at(credited)
        kind = facts.get("credit_type", "primary")
        row = {
            "credit_id": f"{deal}/{rep}/{kind}",
            "opportunity_id": deal,
            "rep_id": rep,
            "credited_amount": amount,
        }
        stated = {
            "component": "commission",
            "split_weight": 1,
            "credit_type": kind,
            "credited_at": when,
            "recorded_at": when,
        }
        self.add("credits", **{**row, **stated, **facts})

    def sell(self, deal: str, rep: str, amount: str, closed: str, **facts: Any) -> None:
        """A won deal credited in full to its seller."""
        self.win(deal, rep, amount, closed, **facts)
        if self.credited:
            self.credit(deal, rep, amount, closed)

    def company(self) -> Company:
        sources = {name for name in NAMES if self.rows[name]} - (set() if self.credited else {"credits"})
        return Company("USD", self.zone, date(2025, 12, 31), sources=frozenset(sources))

    def tables(self) -> PayTables:
        return PayTables(**{name: frame(name, self.rows[name]) for name in NAMES}, company=self.company())

    def priced(self) -> dict[tuple[str, str], Row]:
        """Rows of deal_incentives by deal and seller; with several credits of one seller the last one wins."""
        rows = (
            price_deals(self.tables()).collect().sort("opportunity_id", "rep_id", "component", "credit_type")
        )
        return {(row["opportunity_id"], row["rep_id"]): row for row in rows.iter_rows(named=True)}


def frame(table: str, rows: list[Row]) -> pl.LazyFrame:
    """Rows as the contract types them; money and rates from text, never through a float."""
    schema = SOURCES[table].schema
    unknown = {name for row in rows for name in row} - set(schema)
    if unknown:
        raise KeyError(f"{table} has no {sorted(unknown)}")

    def value(name: str, dtype: pl.DataType, row: Row) -> Any:
        found = row.get(name, False if name == "knowledge_time_assumed" else None)
        return Decimal(str(found)) if isinstance(dtype, pl.Decimal) and found is not None else found

    columns = {name: [value(name, dtype, row) for row in rows] for name, dtype in schema.items()}
    return pl.LazyFrame(columns, schema=schema)
