"""marts/account_months: the panel adds up, month by month, to days and events counted one at a time."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.outcomes.account_months import count_month
from assets.outcomes.panel import prepare_panel
from expectations.contracts.outcomes import ACCOUNT_MONTHS

DEAL = {
    "opportunity_id": "d", "account_id": "A", "rep_id": "seller", "closed_on": "2025-01-20", "observed_until": "2025-04-10",
    "segment": "large", "product_id": "p", "closed_at": "2025-01-20",
}  # fmt: skip
TABLES = (
    "account_assignments",
    "customer_events",
    "subscriptions",
    "subscription_events",
    "accounts",
)


@pytest.fixture(scope="module")
def prepared(rows, company):
    """What all months are made from."""

    def make(*deals, firm=None, **tables):
        frames = {name: rows(name, *tables.get(name, ())) for name in TABLES}
        outcomes = rows("deal_outcomes", *(DEAL | d for d in deals))
        return prepare_panel(deal_outcomes=outcomes, company=firm or company(), **frames)

    return make


@pytest.fixture(scope="module")
def panel(rows, company, prepared):
    """All months of a few deals."""

    def make(*deals, firm=None, activities=(), **tables):
        ready = prepared(*deals, firm=firm, **tables)
        calls = rows("activities", *activities)
        found = []
        for month in ready.months:
            here = calls.filter(pl.col("occurred_at").dt.strftime("%Y-%m") == month)
            made = count_month(ready, here, firm or company(), month)
            assert made.schema == ACCOUNT_MONTHS.schema
            assert made.equals(made.sort("account_id", "opportunity_id"))
            found += made.sort("account_id", "opportunity_id", nulls_last=True).to_dicts()
        return found

    return make


def _days(found):
    return [(r["month"], r["opportunity_id"], r["exposure_days"], r["account_days"]) for r in found]


def test_months_run_from_the_first_close_to_the_last_day_observed(prepared):
    assert prepared(DEAL, DEAL | {"opportunity_id": "e", "closed_on": "2024-11-30"}).months == (
        "2024-11", "2024-12", "2025-01", "2025-02", "2025-03", "2025-04",
    )  # fmt: skip
    assert prepared().months == ()
    assert prepared(DEAL | {"closed_on": None}).months == ()


def test_one_deal_is_active_from_the_close_to_the_last_day_inclusive(panel):
    assert _days(panel({})) == [
        ("2025-01", "d", 12, 12.0), ("2025-02", "d", 28, 28.0), ("2025-03", "d", 31, 31.0), ("2025-04", "d", 10, 10.0),
    ]  # fmt: skip


def test_time_without_an_active_deal_has_no_deal(panel):
    found = panel({"churned_on": "2025-02-10"})
    assert _days(found) == [
        ("2025-01", "d", 12, 12.0), ("2025-02", "d", 10, 10.0), ("2025-02", None, 18, 18.0), ("2025-03", None, 31, 31.0),
        ("2025-04", None, 10, 10.0),
    ]  # fmt: skip
    assert [r["churned"] for r in found] == [False, True, False, False, False]
    assert {(r["rep_id"], r["emcr_at_sale"], r["segment"]) for r in found if r["opportunity_id"] is None} == {
        (None, None, "large")
    }


def test_a_day_is_divided_equally_among_the_active_deals(panel):
    found = panel(
        {"closed_on": "2025-02-01", "churned_on": "2025-02-10"},
        {"opportunity_id": "e", "closed_on": "2025-02-06", "churned_on": "2025-02-20"},
    )[:3]
    assert _days(found) == [
        ("2025-02", "d", 10, 5 + 5 / 2), ("2025-02", "e", 15, 5 / 2 + 10), ("2025-02", None, 8, 8.0),
    ]  # fmt: skip


def test_a_deal_that_never_started_leaves_time_without_a_deal(panel):
    assert _days(panel({"outcome_null_reason": "never_started"}))[0] == ("2025-01", None, 12, 12.0)


COMPLAINT = {"kind": "complaint", "opportunity_id": "d", "account_id": "A", "contradicted": False}


def test_an_event_counts_where_its_deal_was_active_else_on_the_account(panel):
    days = ["2025-01-20", "2025-02-10", "2025-02-11", "2025-03-01", "2025-04-11"]
    found = panel(
        {"churned_on": "2025-02-10"},
        customer_events=[
            *(COMPLAINT | {"event_id": d, "date": d} for d in days),
            COMPLAINT | {"event_id": "c", "date": "2025-01-25", "contradicted": True},
            COMPLAINT | {"event_id": "u", "date": "2025-01-26", "opportunity_id": None},
            COMPLAINT | {"event_id": "b", "date": "2025-01-19", "opportunity_id": None},
            COMPLAINT | {"event_id": "r", "date": "2025-01-26", "kind": "refund"},
            COMPLAINT | {"event_id": "f", "date": "2025-01-26", "kind": "feedback"},
            COMPLAINT | {"event_id": "q", "date": "2025-01-26", "kind": "cancel_request"},
        ],
    )
    counts = [
        (r["month"], r["opportunity_id"], r["exposure_days"], r["complaints"], r["refunds"], r["feedback"])
        for r in found
    ]
    assert counts == [
        ("2025-01", "d", 12, 1, 1, 1),
        ("2025-01", None, 0, 1, 0, 0),  # attributed to no deal while one is active: a row without days
        ("2025-02", "d", 10, 1, 0, 0),
        ("2025-02", None, 18, 1, 0, 0),
        ("2025-03", None, 31, 1, 0, 0),
        ("2025-04", None, 10, 0, 0, 0),
    ]


def test_owner_and_owner_intensity_are_those_of_the_rows_first_day(panel):
    own = {"account_id": None, "cohort_month": "2025-02", "emcr": 0.3}
    found = panel(
        {"churned_on": "2025-02-10", "emcr": 0.1, "cohort_month": "2025-01"},
        own | {"opportunity_id": "x", "rep_id": "first"},
        own | {"opportunity_id": "y", "rep_id": "second", "emcr": 0.5},
        account_assignments=[
            {"account_id": "A", "rep_id": "first", "role": "farmer", "valid_from": "2025-01-25", "valid_to": "2025-02-15"},
            {"account_id": "A", "rep_id": "second", "role": "farmer", "valid_from": "2025-02-15"},
        ],
    )  # fmt: skip
    assert [(r["month"], r["opportunity_id"], r["owner_rep_id"], r["owner_emcr"], r["emcr_at_sale"]) for r in found][:3] == [
        ("2025-01", "d", "seller", 0.1, 0.1), ("2025-02", "d", "first", 0.3, 0.1), ("2025-02", None, "first", 0.3, None),
    ]  # fmt: skip


def test_touches_are_the_accounts_on_each_of_its_rows(panel, company):
    call = {"account_id": "A", "rep_id": "seller", "direction": "outbound"}
    calls = [call | {"activity_id": d, "occurred_at": d} for d in ("2025-02-01", "2025-02-28", "2025-03-01")]
    calls.append(call | {"activity_id": "in", "occurred_at": "2025-02-02", "direction": "inbound"})
    # by Tokyo's clock the last one falls into March, yet it is one of February's activities: it counts there, once
    calls.append(call | {"activity_id": "edge", "occurred_at": "2025-02-28T20:00"})
    tables = {"activities": calls, "accounts": [{"account_id": "A", "timezone": "Asia/Tokyo"}]}
    found = panel({"churned_on": "2025-02-10"}, **tables)
    assert [(r["month"], r["touches"]) for r in found] == [
        ("2025-01", 0), ("2025-02", 3), ("2025-02", 3), ("2025-03", 1), ("2025-04", 0),
    ]  # fmt: skip
    assert {r["touches"] for r in panel({}, firm=company(without=("activities",)), **tables)} == {None}


def test_revenue_moves_in_their_month(panel, company):
    tables = {
        "subscriptions": [
            {"subscription_id": "s", "account_id": "A", "opportunity_id": "d", "started_at": "2025-01-20"},
            {"subscription_id": "t", "account_id": "A", "started_at": "2025-01-20"},
        ],
        "subscription_events": [
            {"event_id": "1", "subscription_id": "s", "kind": "upgrade", "effective_at": "2025-02-03", "mrr_delta": "10.10"},
            {"event_id": "2", "subscription_id": "s", "kind": "downgrade", "effective_at": "2025-02-04", "mrr_delta": "-0.20"},
            {"event_id": "3", "subscription_id": "s", "kind": "cancel", "effective_at": "2025-03-31", "mrr_delta": "-9"},
            {"event_id": "4", "subscription_id": "t", "kind": "upgrade", "effective_at": "2025-02-04", "mrr_delta": "1"},
        ],
    }  # fmt: skip
    found = panel({"churned_on": "2025-03-31"}, **tables)
    moves = {(r["month"], r["opportunity_id"]): str(r["mrr_delta"]) for r in found}
    assert moves == {
        ("2025-01", "d"): "0.00", ("2025-02", "d"): "9.90", ("2025-02", None): "1.00", ("2025-03", "d"): "-9.00",
        ("2025-04", None): "0.00",
    }  # fmt: skip
    assert {r["mrr_delta"] for r in panel({}, firm=company(without=("subscription_events",)))} == {None}


def test_counts_without_a_source_are_null_not_zero(panel, company):
    found = panel(
        {}, firm=company(without=("complaints", "feedback", "subscription_events", "subscriptions"))
    )
    assert {(r["complaints"], r["refunds"], r["feedback"], r["churned"]) for r in found} == {
        (None, None, None, None)
    }


HELD = {"account_id": "A", "rep_id": "first", "role": "farmer", "valid_from": "2025-01-25"}


@pytest.mark.parametrize(
    ("deals", "tables", "first_changed"),
    [
        ([DEAL | {"churned_on": "2025-03-10"}], {}, "2025-03"),
        ([DEAL | {"observed_until": "2025-04-20"}], {}, "2025-04"),
        ([DEAL, DEAL | {"opportunity_id": "a", "account_id": "0", "closed_on": "2025-03-01"}], {}, "2025-03"),
        (
            [DEAL, DEAL | {"opportunity_id": "a", "account_id": "0", "closed_on": "2025-03-01"}],
            {
                "account_assignments": [HELD, HELD | {"account_id": "0", "valid_from": "2024-01-01"}],
                "accounts": [{"account_id": "00", "merged_into_id": "0"}],
            },
            "2025-03",
        ),
        ([DEAL | {"emcr": 0.2}], {}, "2025-01"),
        ([DEAL, DEAL | {"opportunity_id": "e", "closed_on": "2025-02-03", "segment": "small"}], {}, "2025-02"),
        ([DEAL], {"account_assignments": [HELD | {"valid_to": "2025-03-05"}]}, "2025-03"),
        ([DEAL], {"account_assignments": [HELD, HELD | {"rep_id": "0", "valid_from": "2025-02-05"}]}, "2025-02"),
        ([DEAL], {"customer_events": [COMPLAINT | {"event_id": "c", "date": "2025-04-02"}]}, "2025-04"),
        ([DEAL], {"accounts": [{"account_id": "B", "merged_into_id": "A"}]}, "2025-01"),
    ],
    ids=["loss", "sight", "new account", "new account long owned", "exposure", "second deal", "owner leaves", "owner comes", "event", "merge"],
)  # fmt: skip
def test_the_content_of_a_month_changes_with_what_it_may_know_and_with_nothing_later(
    prepared, deals, tables, first_changed
):
    before = prepared(DEAL, account_assignments=[HELD])
    after = prepared(*deals, **{"account_assignments": [HELD]} | tables)
    changed = [m for m in before.months if before.content(m) != after.content(m)]
    assert changed[:1] == [first_changed]


DAY = date(2025, 1, 1)
UNTIL = 70
_SOLD = st.tuples(
    st.sampled_from("AB"), st.integers(0, UNTIL + 5), st.one_of(st.none(), st.integers(-5, UNTIL + 5))
)


@settings(max_examples=25, deadline=None)
@given(
    sold=st.lists(_SOLD, min_size=1, max_size=6),
    complaints=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(-5, UNTIL + 5)), max_size=8),
    turn=st.booleans(),
)
def test_the_panel_equals_a_walk_through_every_day(panel, sold, complaints, turn):
    spans = []
    for i, (account, close, length) in enumerate(sold):
        # a loss after the end of observation is not known to deal_outcomes
        lost = close + length if length is not None and close + length <= UNTIL else None
        spans.append((f"d{i}", account, close, lost))
    first_close = {a: min(c for _, b, c, _ in spans if b == a) for _, a, _, _ in spans}

    def active(day):
        return [(d, a) for d, a, c, lost in spans if c <= day <= (UNTIL if lost is None else max(lost, c))]

    exposure, shares, events = Counter(), Counter(), Counter()
    for day in range(UNTIL + 1):
        month = (DAY + timedelta(day)).strftime("%Y-%m")
        here = active(day)
        sharing = Counter(a for _, a in here)
        for d, a in here:
            exposure[a, d, month] += 1
            shares[a, d, month] += Fraction(1, sharing[a])
        for a, first in first_close.items():
            if first <= day and not sharing[a]:
                exposure[a, None, month] += 1
                shares[a, None, month] += 1
    records = []
    for n, (deal, named, day) in enumerate(complaints):
        d, a, _, _ = spans[deal % len(spans)]
        date_of = DAY + timedelta(day)
        records.append(
            COMPLAINT
            | {
                "event_id": str(n),
                "account_id": a,
                "opportunity_id": d if named else None,
                "date": date_of.isoformat(),
            }
        )
        if first_close[a] <= day <= UNTIL:
            events[a, d if named and (d, a) in active(day) else None, date_of.strftime("%Y-%m")] += 1
    deals = [
        {
            "opportunity_id": d, "account_id": a, "closed_on": (DAY + timedelta(c)).isoformat(),
            "churned_on": None if lost is None else (DAY + timedelta(lost)).isoformat(),
            "observed_until": (DAY + timedelta(UNTIL)).isoformat(),
        }
        for d, a, c, lost in spans
    ]  # fmt: skip
    found = panel(*(deals[::-1] if turn else deals), customer_events=records[::-1] if turn else records)
    by_key = {(r["account_id"], r["opportunity_id"], r["month"]): r for r in found}
    assert len(by_key) == len(found)
    assert {k: r["exposure_days"] for k, r in by_key.items() if r["exposure_days"]} == dict(exposure)
    assert {k: r["account_days"] for k, r in by_key.items() if r["exposure_days"]} == pytest.approx(
        {k: float(v) for k, v in shares.items()}, abs=1e-9
    )
    assert {k: r["complaints"] for k, r in by_key.items() if r["complaints"]} == dict(events)
    # account_days of an account and month are whole days, each of them once
    totals = Counter()
    for (account, _, month), row in by_key.items():
        totals[account, month] += row["account_days"]
    assert all(total == pytest.approx(round(total), abs=1e-9) for total in totals.values())
