"""What a period pays in all, against the formula in fractions: T = clamp(gate x multipliers x additive, floor, cap)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from expectations.contracts.pay import EARNED_GROUPS
from tests.unit.incentives.pay_books_of import Q1, PaidBooks

TIERS = [("0", "0.08"), ("1", "0.12")]
QUOTA = 1000


def commission(credit: Fraction) -> Fraction:
    return credit * Fraction(8, 100) + max(Fraction(0), credit - QUOTA) * Fraction(4, 100)


def half_up(money: Fraction) -> Decimal:
    exact = Decimal(money.numerator) / Decimal(money.denominator)
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


def money(low: int, high: int) -> st.SearchStrategy[Fraction]:
    return st.integers(low, high).map(lambda cents: Fraction(cents, 100))


def stated(value: Fraction | None) -> str | None:
    return None if value is None else str(Decimal(value.numerator) / Decimal(value.denominator))


@settings(max_examples=25, deadline=None)
@given(
    sold=st.lists(money(1, 90_000), max_size=3),
    calls=st.integers(0, 60) | st.none(),
    nps=st.integers(0, 150),
    passes=st.booleans() | st.none(),
    floor=money(0, 12_000) | st.none(),
    cap=money(12_000, 30_000) | st.none(),
)
@example(sold=[Fraction(500), Fraction(700)], calls=10, nps=110, passes=True, floor=None, cap=None)
@example(sold=[], calls=10, nps=50, passes=False, floor=Fraction(30), cap=None)
def test_earned_is_the_formula_and_adds_up(
    sold: list[Fraction],
    calls: int | None,
    nps: int,
    passes: bool | None,
    floor: Fraction | None,
    cap: Fraction | None,
) -> None:
    books = PaidBooks()
    books.plan("P", TIERS, floor=stated(floor), cap=stated(cap))
    books.component("P", "commission", "bookings", [])
    books.component("P", "calls", "activity", [("0", "2.5")])
    books.component("P", "nps", "satisfaction", [("0", "1")], combine="multiplicative", rate_basis="target")
    books.seller("s", "P", str(QUOTA), target_incentive="5000")
    books.quota("s", "100", component="nps")
    books.achieve("s", "nps", str(nps))
    gate = Fraction(1)
    if passes is not None:
        books.component("P", "exam", "quality", [], combine="gate", gate_attainment="1")
        books.quota("s", "50", component="exam")
        books.achieve("s", "exam", "50" if passes else "49")
        gate = Fraction(int(passes))
    if calls is not None:
        books.achieve("s", "calls", str(calls))
    for number, amount in enumerate(sold):
        books.sell(f"d{number}", "s", stated(amount) or "", f"2025-02-0{number + 1} 12:00")
    total = gate * Fraction(nps, 100) * (commission(sum(sold, Fraction(0))) + Fraction(5, 2) * (calls or 0))
    total = total if floor is None else max(total, floor)
    total = total if cap is None else min(total, cap)
    row = books.periods()["s", Q1]
    assert row["earned_amount"] == half_up(total)
    assert sum(row[f"earned_{group}_amount"] for group in EARNED_GROUPS) == row["earned_amount"]
