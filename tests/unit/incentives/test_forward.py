"""What a forward-looking seller saw at the close, against numbers worked out by hand from completed periods."""

from __future__ import annotations

from datetime import date
from math import erf, exp, pi, sqrt
from statistics import mean, stdev

import pytest
from pay_company import Books, Row, at

TIERS = [("0", "0.08"), ("1", "0.12")]
# completed quarters of 2023 and 2024, and what came in their last 40 days, quota 100,000
STARTS = [date(y, m, 1) for y in (2023, 2024) for m in (1, 4, 7, 10)]
LATE = [10_000, 20_000, 30_000, 40_000, 15_000, 25_000, 35_000, 5_000]


def end_of(start: date) -> date:
    return date(start.year + (start.month == 10), start.month % 12 + 3 if start.month < 10 else 1, 1)


def with_history(books: Books, rep: str, quarters: int) -> None:
    """The newest quarters: 30,000 early, the rest late in the quarter's last month."""
    for start, late in list(zip(STARTS, LATE, strict=True))[-quarters:]:
        end = end_of(start)
        books.quota(rep, "100000", period_start=start, period_end=end)
        day = f"{start.year}-{start.month + 2:02d}-20 12:00"
        books.sell(f"{rep} {start} early", rep, "30000", f"{start} 12:00")
        books.sell(f"{rep} {start} late", rep, str(late), day)


def firm(*, quarters: int = 8, **facts: object) -> Books:
    books = Books()
    books.plan("plan", TIERS, **facts)
    books.seller("rep", "plan", "100000")
    with_history(books, "rep", quarters)
    books.sell("before", "rep", "70000", "2025-01-05 12:00")
    # 40 days are left: 20 March 2025 minus 28 days
    books.sell("deal", "rep", "10000", "2025-02-19 12:00")
    return books


def expected(shares: list[float], s: float = 70_000, x: float = 10_000, quota: float = 100_000) -> float:
    """E[C(s + R + x) - C(s + R)] / x on 8 % below quota and 12 % above, R ~ Normal."""
    mu, sigma = s + mean(shares) * quota, stdev(shares) * quota

    def over(point: float, m: float) -> float:
        z = (m - point) / sigma
        return (m - point) * (1 + erf(z / sqrt(2))) / 2 + sigma * exp(-z * z / 2) / sqrt(2 * pi)

    def pay(m: float) -> float:
        return 0.08 * over(0, m) + 0.04 * over(quota, m)

    return (pay(mu + x) - pay(mu)) / x


def deal_of(books: Books) -> Row:
    return books.priced()["deal", "rep"]


def test_the_rest_of_the_quarter_comes_from_the_sellers_own_eight() -> None:
    row = deal_of(firm())
    assert row["days_to_period_end"] == 40
    assert row["emcr_as_known"] == 0.08
    assert row["emcr_forward"] == pytest.approx(expected([v / 100_000 for v in LATE]), abs=1e-8)
    assert row["forward_null_reason"] is None


def test_only_days_with_fewer_days_left_count() -> None:
    books = firm()
    # 41 days before the end of the first quarter of 2023: no; 39 days: yes
    books.sell("no", "rep", "5000", "2023-02-18 12:00")
    books.sell("yes", "rep", "5000", "2023-02-20 12:00")
    shares = [v / 100_000 for v in LATE]
    shares[0] += 0.05
    assert deal_of(books)["emcr_forward"] == pytest.approx(expected(shares), abs=1e-8)


def test_a_record_after_the_close_is_no_history() -> None:
    books = firm()
    known = deal_of(books)["emcr_forward"]
    books.sell("late", "rep", "50000", "2024-12-20 12:00", recorded_at=at("2025-02-20"))
    books.rows["credits"][-1]["recorded_at"] = at("2025-02-20")
    assert deal_of(books)["emcr_forward"] == known
    for table in ("opportunities", "credits"):
        books.rows[table][-1]["recorded_at"] = at("2025-02-18")
    shares = [v / 100_000 for v in LATE]
    shares[-1] += 0.5
    assert deal_of(books)["emcr_forward"] == pytest.approx(expected(shares), abs=1e-8)


def test_a_new_seller_learns_from_the_plan() -> None:
    books = firm(quarters=2)
    books.seller("old", "plan")
    with_history(books, "old", 6)
    books.plan("other", TIERS)
    books.seller("stranger", "other")
    with_history(books, "stranger", 8)
    shares = [v / 100_000 for v in LATE[-2:] + LATE[-6:]]
    assert deal_of(books)["emcr_forward"] == pytest.approx(expected(shares), abs=1e-8)


def test_too_little_history_says_so() -> None:
    row = deal_of(firm(quarters=3))
    assert (row["emcr_forward"], row["forward_null_reason"]) == (None, "no_history")


def test_a_plan_without_quota_has_one_rate() -> None:
    books = Books()
    books.plan("plan", [("0", "0.08")])
    books.seller("rep", "plan")
    books.sell("deal", "rep", "10000", "2025-02-19 12:00")
    assert deal_of(books)["emcr_forward"] == 0.08


def test_a_cap_that_will_bind_is_seen_ahead() -> None:
    books = firm(cap="6400")
    row = deal_of(books)
    # 80,000 credits fill the cap: what comes at the end pays nothing to nearly a tenth
    assert row["emcr_as_known"] == 0.08
    assert row["emcr_forward"] < 0.03
