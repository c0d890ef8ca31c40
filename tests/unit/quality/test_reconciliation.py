"""Every reason of a difference between ledger and recomputed pay, found alone and with company."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from assets.company import Company
from assets.quality.reconciliation_exceptions import (
    compare_periods,
    list_exceptions,
    reconciliation_exceptions,
)
from expectations.contracts import TABLES
from expectations.contracts.pay import REP_PERIODS

START, END = date(2025, 1, 1), date(2025, 4, 1)
EVEN: dict[str, Any] = {
    "rep_id": "r", "plan_id": "P", "plan_currency": "USD", "period_start": START, "period_end": END, "is_complete": True,
    "earned_amount": "100", "pay_as_known_amount": "100", "spiff_amount": "0", "expected_clawback_amount": "0",
    "recomputed_amount": "100", "unpaid_amount": "0", "unpaid_late_amount": "0", "repeated_reversal_amount": "0", "ledger_entries": 2,
    "ledger_amount": "100", "ledger_adjusted_amount": "0", "ledger_clawback_amount": "0", "ledger_spiff_amount": "0",
    "ledger_draw_amount": "0",
}  # fmt: skip


def periods(*rows: dict[str, Any]) -> pl.LazyFrame:
    """Rows of rep_periods that reconcile, but for what each states."""
    schema = REP_PERIODS.schema

    def value(row: dict[str, Any], name: str) -> Any:
        found = (EVEN | row).get(name)
        return Decimal(found) if isinstance(found, str) and isinstance(schema[name], pl.Decimal) else found

    return pl.LazyFrame({name: [value(row, name) for row in rows] for name in schema}, schema=schema)


def reasons(*rows: dict[str, Any]) -> list[str]:
    found: list[str] = list_exceptions(compare_periods(periods(*rows)))["difference_reason"].to_list()
    return found


@pytest.mark.parametrize(
    ("reason", "row"),
    [
        ("no_plan", {"plan_id": None, "plan_currency": None, "recomputed_amount": None, "earned_amount": None}),
        ("fx", {"pay_null_reason": "no_fx_rate", "recomputed_amount": None, "earned_amount": None}),
        ("fx", {"ledger_amount": None}),
        ("no_pay", {"recomputed_amount": None, "earned_amount": None, "pay_null_reason": "unpriced_deal"}),
        ("no_ledger_entry", {"ledger_entries": 0, "ledger_amount": "0"}),
        ("reversed_twice", {"ledger_amount": "60", "repeated_reversal_amount": "-40"}),
        ("adjusted_by_hand", {"ledger_amount": "130", "ledger_adjusted_amount": "30"}),
        ("clawback_differs", {"ledger_amount": "60", "ledger_clawback_amount": "-70", "expected_clawback_amount": "-30"}),
        ("late_credit", {"ledger_amount": "80", "unpaid_amount": "20", "unpaid_late_amount": "20"}),
        ("unpaid_credit", {"ledger_amount": "80", "unpaid_amount": "20", "unpaid_late_amount": "5"}),
        ("paid_as_known", {"ledger_amount": "90", "pay_as_known_amount": "90"}),
        ("spiff_differs", {"ledger_amount": "150", "ledger_spiff_amount": "50"}),
        ("draw_differs", {"ledger_amount": "140", "ledger_draw_amount": "50", "draw_advanced_amount": "10", "draw_recovered_amount": "0"}),
        ("several_causes", {"ledger_amount": "110", "ledger_adjusted_amount": "30", "unpaid_amount": "20"}),
        ("several_causes", {"ledger_amount": "120", "ledger_adjusted_amount": "30", "pay_as_known_amount": "90"}),
        ("rounding", {"ledger_amount": "100.02", "ledger_entries": 4}),
        ("unexplained", {"ledger_amount": "100.02"}),
        ("unexplained", {"ledger_amount": "200", "ledger_adjusted_amount": "30"}),
    ],
)  # fmt: skip
def test_each_reason_is_found(reason: str, row: dict[str, Any]) -> None:
    assert reasons(row) == [reason]


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"ledger_amount": "100.01"},
        {"ledger_amount": "999", "is_complete": False},
        # nothing owed, nothing booked
        {"ledger_entries": 0, "ledger_amount": "0", "recomputed_amount": "0", "earned_amount": "0"},
        {"ledger_entries": 0, "ledger_amount": "0", "recomputed_amount": None, "earned_amount": None},
    ],
)
def test_what_reconciles_is_not_listed(row: dict[str, Any]) -> None:
    assert reasons(row) == []


def test_two_plans_in_a_period_are_one_pay() -> None:
    assert reasons({"ledger_amount": "150"}, {"plan_id": "Q", "ledger_amount": "50"}) == []
    assert reasons({}, {"plan_id": "Q", "plan_currency": "EUR", "ledger_amount": "99"}) == ["fx"]


def entry(name: str, start: date, amount: str, **facts: Any) -> dict[str, Any]:
    row = {
        "entry_id": name,
        "rep_id": "r",
        "entry_type": "earn",
        "amount": Decimal(amount),
        "currency": "USD",
    }
    return {**row, "period_start": start, "booked_at": datetime(2025, 5, 1, tzinfo=UTC), **facts}


def test_entries_outside_every_period_are_listed_once_per_start() -> None:
    schema = TABLES["ledger"].schema
    rows = [
        entry("inside", date(2025, 3, 31), "1"),
        entry("after", END, "5"),
        entry("after too", END, "7"),
        entry("stranger", START, "9", rep_id="q"),
    ]
    ledger = pl.LazyFrame([{n: r.get(n) for n in schema} for r in rows], schema=schema)
    company = Company("USD", "UTC", date(2025, 12, 31), sources=frozenset({"ledger"}))
    made = reconciliation_exceptions(periods({}), ledger, company)
    found = made.frame.select(
        "rep_id", "period_start", "ledger_amount", "ledger_entries", "difference_reason"
    )
    assert found.collect().rows() == [
        ("q", START, 9, 1, "entry_without_period"),
        ("r", END, 12, 2, "entry_without_period"),
    ]
    assert made.facts == {
        "periods_compared": 1, "periods_that_differ": 0, "periods_unexplained": 0, "entries_without_period": 3,
    }  # fmt: skip


def test_without_a_ledger_nothing_is_reconciled() -> None:
    company = Company("USD", "UTC", date(2025, 12, 31))
    made = reconciliation_exceptions(
        periods({"ledger_amount": None, "ledger_entries": None}), TABLES["ledger"].empty(), company
    )
    assert made.frame.collect().is_empty()
