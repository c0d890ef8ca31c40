"""core/deals: each test is a sentence of 10-definitions, on a company small enough to count by hand."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.core.deals import fiscal_quarter, won_deals
from assets.core.directory import surviving_accounts

WON = {"rep_id": "r1", "is_won": True, "currency": "USD", "amount": 100}


@pytest.fixture
def made(rows, company):
    """`made(opportunities, accounts=..., ...)` -> finished rows by deal."""

    def make(*opportunities, firm=None, **tables):
        frames = {
            name: rows(name, *tables.get(name, ())) for name in ("accounts", "reps", "products", "activities")
        }
        frame = won_deals(
            opportunities=rows("opportunities", *(WON | o for o in opportunities)),
            company=firm or company(),
            **frames,
        )
        return {r["opportunity_id"]: r for r in frame.collect().to_dicts()}

    return make


def test_the_newest_version_decides_whether_a_deal_was_won(made):
    deals = made(
        {"opportunity_id": "d1", "closed_at": "2025-03-01", "recorded_at": "2025-03-01", "amount": 1},
        {"opportunity_id": "d1", "closed_at": "2025-03-01", "recorded_at": "2025-04-01", "amount": 2},
        {"opportunity_id": "d2", "closed_at": "2025-03-01", "recorded_at": "2025-03-01"},
        {"opportunity_id": "d2", "closed_at": "2025-03-01", "recorded_at": "2025-04-01", "is_won": False},
        {"opportunity_id": "d3", "closed_at": "2025-03-01", "is_won": False},
    )
    assert {d: float(r["amount"]) for d, r in deals.items()} == {"d1": 2.0}


def test_day_zero_is_the_local_day_of_the_account_else_of_the_company(made, company):
    deals = made(
        {"opportunity_id": "tokyo", "account_id": "T", "closed_at": "2025-03-01T20:00"},
        {"opportunity_id": "home", "account_id": "H", "closed_at": "2025-03-01T02:00"},
        {"opportunity_id": "no account", "closed_at": "2025-03-01T02:00"},
        {"opportunity_id": "mars", "account_id": "M", "closed_at": "2025-03-01T02:00"},
        {"opportunity_id": "day only", "account_id": "T", "closed_at": "2025-03-01T20:00", "closed_time_known": False},
        accounts=[
            {"account_id": "T", "timezone": "Asia/Tokyo"},
            {"account_id": "H"},
            {"account_id": "M", "timezone": "Mars/Olympus"},
        ],
        firm=company(timezone="America/New_York"),
    )  # fmt: skip
    assert {d: r["closed_on"].isoformat() for d, r in deals.items()} == {
        "tokyo": "2025-03-02",
        "home": "2025-02-28",
        "no account": "2025-02-28",
        "mars": "2025-02-28",
        "day only": "2025-03-01",
    }


def test_merged_accounts_are_resolved_through_chains(made):
    deals = made(
        {"opportunity_id": "d1", "account_id": "A", "closed_at": "2025-03-01"},
        accounts=[
            {"account_id": "A", "merged_into_id": "B"},
            {"account_id": "B", "merged_into_id": "C"},
            {"account_id": "C", "segment": "large", "region": "north"},
        ],
    )
    assert (deals["d1"]["account_id"], deals["d1"]["segment"], deals["d1"]["region"]) == (
        "C",
        "large",
        "north",
    )
    assert deals["d1"]["account_known"] is True


def _walk(account: str, into: dict[str, str]) -> str:
    """Oracle: walk until nothing follows; on a cycle, the smallest id of the cycle."""
    path = [account]
    while path[-1] in into:
        following = into[path[-1]]
        if following in path:
            return min(path[path.index(following) :])
        path.append(following)
    return path[-1]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("abcdefghxy"), max_size=8))
def test_survivors_equal_a_walk_along_every_chain_and_cycle(into):
    into = {a: b for a, b in into.items() if a != b}
    accounts = pl.DataFrame(
        {"account_id": list("abcdefgh"), "merged_into_id": [into.get(a) for a in "abcdefgh"]},
        schema={"account_id": pl.String, "merged_into_id": pl.String},
    )
    found = dict(surviving_accounts(accounts).sort("account_id").iter_rows())
    assert found == {a: _walk(a, into) for a in "abcdefgh"}


def test_broken_references_are_kept_and_flagged(made):
    deals = made(
        {"opportunity_id": "d1", "account_id": "gone", "product_id": "gone", "rep_id": "gone", "closed_at": "2025-03-01"},
        {"opportunity_id": "d2", "account_id": "A", "product_id": "P", "closed_at": "2025-03-01"},
        {"opportunity_id": "no close", "account_id": "A"},
        accounts=[{"account_id": "A"}],
        reps=[{"rep_id": "r1"}],
        products=[{"product_id": "P"}],
    )  # fmt: skip
    flags = ("account_known", "product_known", "rep_known")
    assert [deals["d1"][f] for f in flags] == [False, False, False]
    assert [deals["d2"][f] for f in flags] == [True, True, True]
    assert deals["d1"]["account_id"] == "gone"
    assert deals["no close"]["closed_on"] is None
    assert deals["no close"]["cohort_month"] is None


def test_closing_load_is_the_month_over_the_mean_winning_month(made):
    closes = [
        "2025-01-10",
        "2025-01-20",
        "2025-01-30",
        "2025-03-05",
    ]  # 3 in January, 1 in March, none in February
    deals = made(*({"opportunity_id": f"d{i}", "closed_at": day} for i, day in enumerate(closes)))
    assert [deals[f"d{i}"]["closing_load"] for i in range(4)] == [1.5, 1.5, 1.5, 0.5]


@pytest.mark.parametrize(
    ("day", "is_end"),
    [
        ("2025-02-23", False),
        ("2025-02-24", True),
        ("2024-02-24", False),
        ("2024-02-25", True),
        ("2025-01-27", True),
    ],
)
def test_month_end_is_the_last_five_calendar_days(made, day, is_end):
    assert made({"opportunity_id": "d", "closed_at": day})["d"]["month_end"] is is_end


def test_discount_and_cycle(made, company):
    deals = made(
        {"opportunity_id": "d", "amount": 90, "list_amount": 100, "created_at": "2025-01-01", "closed_at": "2025-01-15"},
        {"opportunity_id": "free list", "amount": 90, "list_amount": 0, "closed_at": "2025-01-15"},
        {"opportunity_id": "backwards", "created_at": "2025-01-16", "closed_at": "2025-01-15"},
    )  # fmt: skip
    assert deals["d"]["discount_share"] == 0.1
    assert deals["d"]["cycle_days"] == 14
    assert deals["free list"]["discount_share"] is None
    assert (deals["backwards"]["cycle_days"], deals["backwards"]["contradicted"]) == (-1, True)


def test_a_close_before_the_account_was_created_is_a_contradiction(made):
    deals = made(
        {"opportunity_id": "before", "account_id": "A", "closed_at": "2025-01-14"},
        {"opportunity_id": "same day", "account_id": "A", "closed_at": "2025-01-15T00:30"},
        {"opportunity_id": "before hiring", "rep_id": "r2", "closed_at": "2025-01-14"},
        accounts=[{"account_id": "A", "created_at": "2025-01-15"}],
        reps=[{"rep_id": "r2", "hired_on": "2025-02-01"}],
    )
    assert {d: r["contradicted"] for d, r in deals.items()} == {
        "before": True,
        "same day": False,
        "before hiring": True,
    }


@pytest.mark.parametrize(
    ("day", "start", "quarter"),
    [
        (date(2025, 1, 31), 1, "2025-Q1"),
        (date(2025, 12, 31), 1, "2025-Q4"),
        (date(2025, 1, 31), 2, "2025-Q4"),
        (date(2025, 2, 1), 2, "2026-Q1"),
        (date(2025, 9, 30), 10, "2025-Q4"),
        (date(2025, 10, 1), 10, "2026-Q1"),
    ],
)
def test_cohort_quarter_is_fiscal(day, start, quarter):
    assert pl.select(fiscal_quarter(pl.lit(day), start)).item() == quarter


def _call(day: str, direction: str = "outbound", account: str = "A", n: int = 0) -> dict[str, str]:
    return {
        "activity_id": f"{day}{direction}{account}{n}", "account_id": account, "rep_id": "r1", "direction": direction,
        "occurred_at": day,
    }  # fmt: skip


def test_touches_are_outbound_and_in_the_thirty_days_before_the_close(made, company):
    deals = made(
        {"opportunity_id": "d", "account_id": "A", "closed_at": "2025-03-31"},
        {"opportunity_id": "quiet", "account_id": "B", "closed_at": "2025-03-31"},
        {"opportunity_id": "no account", "closed_at": "2025-03-31"},
        accounts=[{"account_id": "A"}, {"account_id": "A0", "merged_into_id": "A"}, {"account_id": "B"}],
        activities=[
            _call("2025-02-28"),  # 31 days before
            _call("2025-03-01"),  # 30 days before
            _call("2025-03-30"),
            _call("2025-03-30", n=1, account="A0"),
            _call("2025-03-31"),  # the day itself
            _call("2025-03-15", "inbound"),
            _call("2025-04-01"),
        ],
    )
    assert (deals["d"]["touches_30d"], deals["quiet"]["touches_30d"], deals["no account"]["touches_30d"]) == (
        3,
        0,
        None,
    )


def test_touches_after_a_refusal_are_those_of_customers_who_had_refused(made, company):
    deal = {"opportunity_id": "d", "account_id": "A", "closed_at": "2025-03-31"}
    calls = [
        _call("2025-03-02") | {"opted_out": True},
        _call("2025-03-03") | {"opted_out": False},
        _call("2025-03-04"),
        _call("2025-03-05", "inbound") | {"opted_out": True},
        _call("2025-02-05") | {"opted_out": True},
    ]
    found = made(deal, activities=calls)["d"]
    assert (found["touches_30d"], found["touches_after_refusal_30d"]) == (3, 1)
    unknown = made(deal, activities=calls, firm=company(without=("activities.opted_out",)))["d"]
    assert (unknown["touches_30d"], unknown["touches_after_refusal_30d"]) == (3, None)


def test_touches_are_null_where_the_source_is_absent(made, company):
    deal = {"opportunity_id": "d", "account_id": "A", "closed_at": "2025-03-31"}
    for absent in ("activities", "activities.direction"):
        assert made(deal, firm=company(without=(absent,)))["d"]["touches_30d"] is None


DAY = date(2025, 1, 1)


@settings(max_examples=40, deadline=None)
@given(
    closes=st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 200)), min_size=1, max_size=6),
    calls=st.lists(st.tuples(st.sampled_from("AB"), st.integers(-40, 210)), max_size=40),
)
def test_touches_equal_a_count_pair_by_pair(made_from_days, closes, calls):
    expected = {
        f"d{i}": sum(a == account and close - 30 <= day < close for a, day in calls)
        for i, (account, close) in enumerate(closes)
    }
    assert made_from_days(closes, calls) == expected


@pytest.fixture(scope="module")
def made_from_days(rows, company):
    def make(closes, calls):
        frame = won_deals(
            opportunities=rows(
                "opportunities",
                *(
                    WON | {"opportunity_id": f"d{i}", "account_id": a, "closed_at": (DAY + timedelta(n)).isoformat()}
                    for i, (a, n) in enumerate(closes)
                ),
            ),
            accounts=rows("accounts", {"account_id": "A"}),  # B is a broken reference: it counts all the same
            reps=rows("reps"),
            products=rows("products"),
            activities=rows(
                "activities",
                *(_call((DAY + timedelta(n)).isoformat(), account=a, n=i) for i, (a, n) in enumerate(calls)),
            ),
            company=company(),
        )  # fmt: skip
        return {r["opportunity_id"]: r["touches_30d"] for r in frame.collect().to_dicts()}

    return make
