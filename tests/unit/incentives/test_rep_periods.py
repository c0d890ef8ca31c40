"""Pay by period: which periods there are, what is earned and what it hangs on, draws, the ledger beside it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from expectations.checks import audit
from expectations.contracts.pay import EARNED_GROUPS, REP_PERIODS
from tests.unit.incentives.pay_books_of import Q1, PaidBooks
from tests.unit.incentives.pay_company import at

P = [("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")]


def test_periods_come_from_quotas_deals_results_and_draws_alike() -> None:
    books = PaidBooks(as_of=date(2025, 8, 15))
    books.plan("P", P)
    books.seller("quota", "P", "250000")
    books.seller("deal", "P")
    books.sell("d", "deal", "1000", "2025-05-10 12:00")
    books.seller("draw", "P", draw="100", draw_kind="recoverable")
    books.plan("C", [("0", "3")])
    books.component("C", "calls", "activity", [("0", "3")])
    books.seller("result", "C")
    books.achieve("result", "calls", "10")
    books.quota("none", "5")
    books.add("reps", rep_id="none")
    books.quota("quota", "9", period_start=date(2026, 1, 1), period_end=date(2026, 4, 1))
    starts = {(rep, start): row["plan_id"] for (rep, start), row in books.periods().items()}
    second, third = date(2025, 4, 1), date(2025, 7, 1)
    assert starts == {
        ("quota", Q1): "P", ("deal", second): "P", ("draw", Q1): "P", ("draw", second): "P", ("draw", third): "P",
        ("result", Q1): "C", ("none", Q1): None,
    }  # fmt: skip
    assert not books.periods()["draw", third]["is_complete"]
    assert books.periods()["none", Q1]["pay_null_reason"] == "no_plan"


def test_a_guarantee_has_a_period_up_to_its_last_day() -> None:
    books = PaidBooks(as_of=date(2025, 12, 31))
    books.plan("M", P, floor="50", period="month")
    books.seller("s", "M", valid_from=date(2025, 1, 20), valid_to=date(2025, 4, 3))
    books.seller("t", "M", "9")
    found = sorted(start for rep, start in books.periods() if rep == "s")
    assert found == [date(2025, month, 1) for month in (1, 2, 3, 4)]


def test_earned_is_pay_for_the_whole_period_and_hangs_on_its_measures() -> None:
    books = PaidBooks()
    books.plan("P", P)
    books.component("P", "commission", "bookings", [], weight="0.8")
    books.component("P", "calls", "activity", [("0", "2.5")], weight="0.2")
    books.seller("s", "P", "250000")
    books.sell("a", "s", "230000", "2025-02-01 12:00")
    books.sell("b", "s", "40000", "2025-02-02 12:00")
    books.achieve("s", "calls", "101")
    row = books.periods()["s", Q1]
    assert row["earned_amount"] == Decimal("22652.50")  # 20,000 + 20,000 x 12 % + 101 x 2.50
    assert row["earned_bookings_amount"] == 22_400
    assert row["earned_activity_amount"] == row["pay_without_deals_amount"] == Decimal("252.50")
    assert row["attainment"] == pytest.approx(1.08)
    # a at 92 % is out of reach of 100 %; b carries the seller 8 % over it
    assert (row["closes_just_below"], row["closes_just_above"]) == (0, 0)


def test_closes_near_a_threshold_are_counted_on_both_sides() -> None:
    books = PaidBooks()
    books.plan("P", P)
    books.seller("s", "P", "100000")
    for number, amount in enumerate(["94999", "1", "4999", "1", "5000", "1"]):
        books.sell(f"d{number}", "s", amount, f"2025-02-0{number + 1} 12:00")
    # attainment after: 0.94999, 0.95, 0.99999, 1.0, 1.05, 1.05001
    row = books.periods()["s", Q1]
    assert (row["closes_just_below"], row["closes_just_above"]) == (2, 2)


def test_a_part_is_a_fiscal_period_where_the_calendar_says_so() -> None:
    books = PaidBooks()
    books.plan("P", P)
    books.seller("s", "P", "100000")
    # 4-4-5: weeks from Monday 30 December; the last part has five of them
    start = date(2024, 12, 30)
    books.rows["quotas"][0].update(period_start=start, period_end=date(2025, 3, 31))
    for day in range(91):
        period = 1 if day < 28 else 2 if day < 56 else 3
        when = pl.select(pl.lit(start) + pl.duration(days=day)).item()
        books.add(
            "fiscal_calendar",
            date=when,
            fiscal_period=period,
            fiscal_year=2025,
            day_in_period=1,
            days_in_period=28,
        )
    for number, day in enumerate(["2025-01-02", "2025-01-03", "2025-01-26", "2025-01-27", "2025-02-24"]):
        books.sell(f"d{number}", "s", "100", f"{day} 17:00")
    # 3, 1 and 1 of the five by fiscal period; by thirds of the days the last would have had its own
    row = books.periods()["s", start]
    assert row["last_part_share"] == pytest.approx(0.2)
    assert row["peak_to_trough"] == pytest.approx(3 * (0.6 - 0.2))


def test_four_deals_have_no_shape() -> None:
    books = PaidBooks()
    books.plan("P", P)
    books.seller("s", "P", "100000")
    for number in range(4):
        books.sell(f"d{number}", "s", "100", f"2025-02-0{number + 1} 12:00")
    row = books.periods()["s", Q1]
    assert (row["deals"], row["hockey_stick"], row["slump"]) == (4, None, None)


def test_a_missing_salary_is_not_zero_and_part_time_is_part_of_it() -> None:
    books = PaidBooks()
    books.plan("P", P)
    for rep in ("full", "half", "none"):
        books.seller(rep, "P", "100000")
        books.sell(rep, rep, "10000", "2025-02-01 12:00")
    full, half, _ = books.rows["reps"]
    full.update(base_salary="36525", currency="USD")
    half.update(base_salary="36525", currency="USD", fte="0.5", hired_on=date(2025, 2, 15))
    rows = books.periods()
    assert rows["full", Q1]["variable_pay_share"] == pytest.approx(800 / (800 + 100 * 90))
    assert rows["half", Q1]["variable_pay_share"] == pytest.approx(800 / (800 + 50 * 45))
    assert rows["none", Q1]["variable_pay_share"] is None


def test_a_floor_is_prorated_with_its_segment() -> None:
    books = PaidBooks()
    books.plan("P", P, floor="900", mid_period_policy="segment_prorated")
    books.seller("s", "P", "100000", valid_from=date(2025, 2, 15))
    row = books.periods()["s", Q1]
    assert row["quota_amount"] == 50_000  # 45 of 90 days
    assert row["earned_amount"] == row["earned_guarantee_amount"] == 450


@pytest.mark.parametrize(
    ("basis", "tiers"), [("credit", [("0", "2.5")]), ("target", [("0", "1"), ("0.5", "1")])]
)
def test_a_segment_is_paid_its_days_of_a_result_in_deals_and_guarantee_alike(
    basis: str, tiers: list[tuple[str, str]]
) -> None:
    """400 calls earn 1,000 in the quarter, however they are paid: 500 in each half, where 1,000 in all is the most."""
    books = PaidBooks()
    books.plan("P", [("0", "0.08")], cap="2000", mid_period_policy="segment_prorated")
    books.component("P", "commission", "bookings", [], weight=1)
    books.component("P", "calls", "activity", tiers, weight=1, rate_basis=basis)
    if basis == "target":
        # 600 by rates, 400 by the lump that is reached
        books.rows["plan_tiers"][-1]["lump_bonus"] = "400"
    books.seller("s", "P", target_incentive="600", valid_to=date(2025, 2, 15))
    second = {**books.rows["plans"][-1], "version": 2}
    books.rows["plans"].append(second)
    for table in ("plan_components", "plan_tiers"):
        books.rows[table] += [{**row, "version": 2} for row in books.rows[table]]
    books.rows["plan_assignments"].append(
        {
            **books.rows["plan_assignments"][-1],
            "version": 2,
            "valid_from": date(2025, 2, 15),
            "valid_to": None,
        }
    )
    books.quota("s", "400", component="calls")
    books.achieve("s", "calls", "400")
    books.sell("a", "s", "10000", "2025-01-20 12:00")
    deal = books.priced()["a", "s"]
    assert (deal["added_pay_amount"], deal["added_pay_amount_final"]) == (500, 500)
    row = books.periods()["s", Q1]
    assert (row["pay_without_deals_amount"], row["earned_amount"]) == (1000, 1500)


def test_instalments_of_one_credit_are_paid_in_the_period_of_each() -> None:
    """60,000 in the first quarter on top of 230,000 of 250,000; 40,000 in the second on top of 30,000 of 50,000."""
    books = PaidBooks()
    books.plan("P", P, credit_event="cash")
    books.seller("s", "P", "250000")
    second = date(2025, 4, 1)
    books.quota("s", "50000", period_start=second, period_end=date(2025, 7, 1))
    books.sell("before", "s", "230000", "2025-01-05 12:00")
    books.sell("spring", "s", "30000", "2025-04-05 12:00")
    books.win("deal", "s", "100000", "2025-02-10 12:00")
    for name, amount, paid in (("a", "60000", "2025-03-10 12:00"), ("b", "40000", "2025-04-20 12:00")):
        books.credit("deal", "s", amount, paid, credit_id=name, recorded_at=at("2025-02-10 12:00"))
    books.book("e1", "s", "earn", "6400", "2025-04-10", credit_id="a")
    found = books.periods()
    rows = [found["s", start] for start in (Q1, second)]
    # 230,000 x 8 % and 6,400; 30,000 x 8 % and 4,000
    assert [row["earned_amount"] for row in rows] == [18_400 + 6_400, 2_400 + 4_000]
    assert [row["credited_amount"] for row in rows] == [290_000, 70_000]
    assert [row["attainment"] for row in rows] == [1.16, 1.4]
    # what was known at the close stands with the first: 11,200
    assert [row["pay_as_known_amount"] for row in rows] == [18_400 + 11_200, 2_400]
    # only the first instalment has been paid
    assert [row["unpaid_amount"] for row in rows] == [18_400, 2_400 + 4_000]
    assert all(row["pay_null_reason"] is None for row in rows)


def test_a_multiplier_without_a_result_leaves_pay_unknown_and_says_so() -> None:
    books = PaidBooks()
    books.plan("P", P)
    books.component("P", "commission", "bookings", [])
    books.component("P", "nps", "satisfaction", [("0", "1")], combine="multiplicative")
    books.seller("s", "P", "100000", target_incentive="5000")
    books.quota("s", "50", component="nps")
    row = books.periods()["s", Q1]
    assert (row["earned_amount"], row["pay_null_reason"]) == (None, "no_component_result")
    assert row["recomputed_amount"] is None
    assert all(row[f"earned_{group}_amount"] is None for group in EARNED_GROUPS)


def test_a_draw_after_a_period_without_pay_has_no_known_balance() -> None:
    books = PaidBooks(as_of=date(2025, 9, 30))
    books.plan("P", P)
    books.seller("s", "P", draw="100", draw_kind="recoverable")
    books.quota("s", "100000")
    books.sell("a", "s", "10", "2025-02-01 12:00")
    # a credit without a rate has no price
    books.sell("b", "s", "10", "2025-05-01 12:00", currency="XXX")
    books.rows["credits"][-1]["currency"] = "XXX"
    rows = books.periods()
    assert rows["s", Q1]["draw_balance_amount"] == Decimal("99.20")
    assert rows["s", date(2025, 4, 1)]["draw_balance_amount"] is None
    assert rows["s", date(2025, 4, 1)]["pay_null_reason"] is not None
    assert rows["s", date(2025, 7, 1)]["draw_balance_amount"] is None


def test_without_a_ledger_what_was_paid_is_unknown() -> None:
    books = PaidBooks(booked=False)
    books.plan("P", P)
    books.seller("s", "P", "100000")
    row = books.periods()["s", Q1]
    assert row["ledger_amount"] is None
    assert row["ledger_entries"] is None
    assert row["recomputed_amount"] == 0


def test_the_ledger_is_summed_by_kind_in_the_period_that_holds_it() -> None:
    books = PaidBooks()
    books.plan("P", P)
    books.seller("s", "P", "100000")
    books.sell("a", "s", "1000", "2025-02-01 12:00")
    books.sell("late", "s", "500", "2025-03-30 12:00")
    books.rows["credits"][-1]["recorded_at"] = at("2025-04-20 12:00")
    books.book("1", "s", "earn", "80", "2025-02-28 12:00", "a", period_start=date(2025, 2, 1))
    books.book("2", "s", "earn", "-80", "2025-03-01 12:00", "a", reverses_entry_id="1")
    books.book("3", "s", "earn", "-80", "2025-03-02 12:00", "a", reverses_entry_id="1")
    books.book("4", "s", "true_up", "5", "2025-03-02 12:00")
    row = books.periods()["s", Q1]
    assert (row["ledger_entries"], row["ledger_amount"]) == (4, -75)
    assert (row["ledger_earned_amount"], row["ledger_adjusted_amount"]) == (-80, 5)
    assert row["repeated_reversal_amount"] == -80
    assert row["unpaid_amount"] == row["unpaid_late_amount"] == 40


def test_row_order_does_not_show() -> None:
    def build(*, turned: bool) -> PaidBooks:
        books = PaidBooks()
        books.plan("P", P)
        for rep in ("s", "t"):
            books.seller(rep, "P", "1000")
            for number in range(9):
                books.sell(
                    f"{rep}{number}", rep, f"{100 + 7 * number}.37", f"2025-0{number % 3 + 1}-11 12:00"
                )
                books.book(f"{rep}{number}", rep, "earn", "1.11", "2025-02-01 12:00", f"{rep}{number}")
        if turned:
            books.rows = {name: rows[::-1] for name, rows in books.rows.items()}
        return books

    rows = build(turned=False).period_frame()
    assert rows.equals(build(turned=True).period_frame())
    assert not [r for r in audit(REP_PERIODS, rows.lazy()) if not r.passed]
