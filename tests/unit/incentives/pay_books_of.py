"""Small companies with a ledger: the books of pay_company, and the tables that only pay by period reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from assets.company import Company
from assets.incentives.clawbacks import list_clawbacks
from assets.incentives.deal_prices import price_deals
from assets.incentives.pay_books import PayBooks, open_books
from assets.incentives.pay_by_period import sum_periods
from tests.unit.incentives.pay_company import LONG_AGO, NAMES, Books, Row, at, frame

MORE = ("ledger", "activities", "subscriptions")
Q1 = date(2025, 1, 1)


@dataclass
class PaidBooks(Books):
    """Books with a ledger; `component` adds components beside the plan's first."""

    as_of: date = date(2025, 12, 31)
    booked: bool = True

    def __post_init__(self) -> None:
        self.rows.update({name: [] for name in MORE})

    def component(
        self, plan: str, name: str, measure: str, tiers: list[tuple[str, str]], **facts: Any
    ) -> None:
        base = {"plan_id": plan, "version": 1, "recorded_at": LONG_AGO}
        self.add("plan_components", **base, component=name, measure=measure, **{"weight": 1, **facts})
        for number, (edge, rate) in enumerate(tiers, start=1):
            self.add("plan_tiers", **base, component=name, tier=number, from_attainment=edge, rate=rate)

    def achieve(self, rep: str, component: str, achieved: str, start: date = Q1) -> None:
        self.add(
            "component_results",
            rep_id=rep,
            component=component,
            period_start=start,
            achieved=achieved,
            recorded_at=LONG_AGO,
        )

    def book(self, entry: str, rep: str, kind: str, amount: str, booked: str, deal: str = "", **facts: Any) -> None:  # fmt: skip
        row = {
            "entry_id": entry,
            "rep_id": rep,
            "entry_type": kind,
            "amount": amount,
            "booked_at": at(booked),
        }
        stated = {
            "currency": "USD",
            "period_start": Q1,
            "credit_id": f"{deal}/{rep}/primary" if deal else None,
        }
        self.add("ledger", **{**row, **stated, **facts})

    def company(self) -> Company:
        names = {name for name in (*NAMES, *MORE) if self.rows[name]} - (
            set() if self.credited else {"credits"}
        )
        sources = names | ({"ledger"} if self.booked else set())
        columns = {"activities": frozenset({"direction", "opted_out", "channel"})}
        return Company("USD", self.zone, self.as_of, sources=frozenset(sources), columns=columns)

    def more(self, name: str) -> pl.LazyFrame:
        return frame(name, self.rows[name])

    def opened(self) -> PayBooks:
        tables = self.tables()
        return open_books(tables, price_deals(tables).collect().lazy())

    def clawbacks(self) -> dict[str, Row]:
        found = list_clawbacks(self.opened(), self.more("ledger"), self.more("subscriptions"))
        return {row["entry_id"]: row for row in found.to_dicts()}

    def period_frame(self) -> pl.DataFrame:
        books = self.opened()
        return sum_periods(
            books,
            activities=self.more("activities"),
            ledger=self.more("ledger"),
            clawbacks=list_clawbacks(books, self.more("ledger"), self.more("subscriptions")).lazy(),
        )

    def periods(self) -> dict[tuple[str, date], Row]:
        """Rows of rep_periods by seller and start; with several plans the last one wins."""
        return {(row["rep_id"], row["period_start"]): row for row in self.period_frame().to_dicts()}


def money(text: str) -> Decimal:
    return Decimal(text)
