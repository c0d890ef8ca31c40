"""What the plan says should be taken back, by each method, and why where it says nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from assets.incentives.expected_clawbacks import read_schedule
from tests.unit.incentives.pay_books_of import PaidBooks
from tests.unit.incentives.pay_company import LONG_AGO, at

P = [("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")]
SCHEDULE = "[[0, 1], [3, 0.5], [6, 0.25], [12, 0]]"


def company(method: str | None, **facts: Any) -> PaidBooks:
    """Seller s on plan P: deals a (230,000), c (40,000), z (40,000), all paid."""
    books = PaidBooks()
    books.plan("P", P, clawback_method=method, **facts)
    books.seller("s", "P", "250000")
    for deal, day, amount, paid in (
        ("a", 1, "230000", "18400"),
        ("c", 2, "40000", "4000"),
        ("z", 3, "40000", "4800"),
    ):
        books.sell(deal, "s", amount, f"2025-02-0{day} 12:00")
        books.book(f"e{deal}", "s", "earn", paid, "2025-02-28 12:00", deal)
    return books


def test_recompute_leaves_out_what_was_clawed_back_before() -> None:
    books = company("recompute")
    # s = 310,000: without c 270,000; then without a 40,000
    books.book("1", "s", "clawback", "-4800", "2025-03-01 12:00", "c")
    books.book("2", "s", "clawback", "-19200", "2025-03-02 12:00", "a")
    found = books.clawbacks()
    assert found["1"]["expected_amount"] == -4800
    # C(270,000) - C(40,000) = 22,400 - 3,200
    assert found["2"]["expected_amount"] == -19_200
    assert {row["difference_amount"] for row in found.values()} == {Decimal(0)}


@pytest.mark.parametrize(
    ("ended", "months", "amount"),
    [("2025-05-01 12:00", 2, -4000), ("2025-05-02 12:00", 3, -2000), ("2025-08-01 12:00", 5, -2000), ("2025-08-02 12:00", 6, -1000), ("2026-02-02 12:00", 12, 0)],
)  # fmt: skip
def test_the_schedule_runs_from_the_credit_to_the_end_of_service(
    ended: str, months: int, amount: int
) -> None:
    books = company("schedule", clawback_schedule=SCHEDULE)
    books.add(
        "subscriptions",
        subscription_id="S",
        account_id="A",
        opportunity_id="c",
        started_at=LONG_AGO,
        ended_at=at(ended),
    )
    # an end after the booking can't be why it was booked
    books.add(
        "subscriptions",
        subscription_id="T",
        account_id="A",
        opportunity_id="c",
        started_at=LONG_AGO,
        ended_at=at("2027-01-01 12:00"),
    )
    books.book("1", "s", "clawback", "-1", "2026-03-01 12:00", "c")
    row = books.clawbacks()["1"]
    assert (row["months_served"], row["expected_amount"]) == (months, amount)


def test_what_was_paid_is_what_is_taken_back() -> None:
    books = company("original_rate")
    books.book("1", "s", "clawback", "-4000", "2025-03-01 12:00", "c")
    books.book("more", "s", "earn", "100", "2025-03-01 12:00", "c")
    assert books.clawbacks()["1"]["expected_amount"] == -4100
    # a ledger that pays whole periods: what the deal adds to pay
    books.rows["ledger"] = [row for row in books.rows["ledger"] if row["entry_id"] == "1"]
    assert books.clawbacks()["1"]["expected_amount"] == -4000


def test_pay_in_another_currency_is_compared_in_the_plans() -> None:
    books = company("original_rate")
    books.add("fx_rates", currency="EUR", rate_date=date(2025, 3, 1), kind="daily", rate_to_reporting="1.10")
    books.book("1", "s", "clawback", "-3636.36", "2025-03-01 12:00", "c", currency="EUR")
    row = books.clawbacks()["1"]
    assert (row["booked_amount"], row["difference_amount"]) == (Decimal("-4000.00"), 0)


def test_what_cannot_be_expected_says_why() -> None:
    def reason(books: PaidBooks, deal: str = "c") -> str:
        books.book("1", "s", "clawback", "-1", "2025-03-01 12:00", deal)
        row = books.clawbacks()["1"]
        assert row["expected_amount"] is None
        return row["null_reason"]

    assert reason(company("original_rate"), "") == "no_credit"
    assert reason(company(None)) == "no_clawback_method"
    assert reason(company("schedule", clawback_schedule="after three months")) == "no_clawback_schedule"
    changed = company("recompute")
    changed.rows["plan_assignments"][0]["valid_from"] = date(2025, 2, 1)
    changed.rows["plans"][0]["mid_period_policy"] = "segment_prorated"
    assert reason(changed) == "plan_changed_in_period"
    gated = company("recompute")
    gated.component("P", "commission", "bookings", [])
    gated.component("P", "nps", "satisfaction", [("0", "1")], combine="gate", gate_attainment="0.5")
    assert reason(gated) == "unsupported_combination"


@pytest.mark.parametrize("text", [None, "", "{}", "[[0, 2]]", '[[0, "a"]]', "[1, 2]"])
def test_a_schedule_that_is_none_has_no_steps(text: str | None) -> None:
    assert read_schedule(text) == []
