"""core/customer_events: the ladder of 10-definitions, Attribution, rung by rung; every event once and only once."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.core.attribution import attribute
from assets.core.customer_events import tie_events
from expectations.contracts.deals import CUSTOMER_EVENTS

SOURCES = ("complaints", "feedback", "subscriptions", "subscription_events", "credits", "ledger", "accounts")


@pytest.fixture
def made(rows, company):
    def make(deals, **tables):
        frames = {name: rows(name, *tables.get(name, ())) for name in SOURCES}
        frame = tie_events(deals=rows("deals", *deals), company=company(), **frames).collect()
        assert frame.schema == CUSTOMER_EVENTS.schema
        return {r["event_id"]: r for r in frame.to_dicts()}

    return make


def _deal(name: str, account: str | None, product: str | None, day: str) -> dict[str, object]:
    return {
        "opportunity_id": name, "account_id": account, "product_id": product, "closed_on": day, "closed_at": day,
        "rep_id": "r1", "currency": "USD",
    }  # fmt: skip


DEALS = [
    _deal("crm jan", "A", "crm", "2025-01-10"),
    _deal("mail feb", "A", "mail", "2025-02-10"),
    _deal("crm mar", "A", "crm", "2025-03-10"),
    _deal("other", "B", "crm", "2025-01-01"),
]


def _complaint(name: str, day: str, **more: str | None) -> dict[str, str | None]:
    return {"complaint_id": name, "account_id": "A", "received_at": day} | more


@pytest.mark.parametrize(
    ("complaint", "deal", "rung"),
    [
        (
            {"opportunity_id": "crm jan", "subscription_id": "s", "product_id": "mail"},
            "crm jan",
            "opportunity",
        ),
        ({"opportunity_id": "lost deal", "subscription_id": "s"}, "mail feb", "subscription"),
        ({"subscription_id": "s", "product_id": "crm"}, "mail feb", "subscription"),
        ({"subscription_id": "without deal"}, "crm mar", "product"),  # the subscription's product
        ({"product_id": "mail"}, "mail feb", "product"),
        ({"product_id": "never sold"}, "crm mar", "latest"),
        ({}, "crm mar", "latest"),
        ({"account_id": "C"}, None, "none"),
        ({"account_id": None}, None, "none"),
        ({"account_id": "merged away"}, "crm mar", "latest"),
    ],
)
def test_each_rung_of_the_ladder(made, complaint, deal, rung):
    found = made(
        DEALS,
        complaints=[_complaint("c", "2025-04-01", **complaint)],
        subscriptions=[
            {
                "subscription_id": "s",
                "account_id": "A",
                "opportunity_id": "mail feb",
                "started_at": "2025-02-11",
            },
            {
                "subscription_id": "without deal",
                "account_id": "A",
                "product_id": "crm",
                "started_at": "2025-02-11",
            },
        ],
        accounts=[{"account_id": "A"}, {"account_id": "merged away", "merged_into_id": "A"}],
    )["c"]
    assert (found["opportunity_id"], found["attribution"]) == (deal, rung)


@pytest.mark.parametrize(
    ("day", "deal"),
    [("2025-01-09", None), ("2025-01-10", "crm jan"), ("2025-03-09", "crm jan"), ("2025-03-10", "crm mar")],
)
def test_the_deal_of_the_same_product_closed_on_or_before_the_event(made, day, deal):
    assert made(DEALS, complaints=[_complaint("c", day, product_id="crm")])["c"]["opportunity_id"] == deal


def test_refunds_clawbacks_requests_and_feedback_find_their_deals(made):
    found = made(
        DEALS,
        subscriptions=[
            {"subscription_id": "s", "account_id": "A", "opportunity_id": "mail feb", "currency": "EUR", "started_at": "2025-02-11"}
        ],
        subscription_events=[
            {"event_id": "e1", "subscription_id": "s", "kind": "refund", "effective_at": "2025-03-01", "amount": 5},
            {"event_id": "e2", "subscription_id": "s", "kind": "cancel_request", "requested_at": "2025-03-02", "effective_at": "2025-03-31"},
            {"event_id": "e3", "subscription_id": "s", "kind": "upgrade", "effective_at": "2025-03-31"},
            {"event_id": "e4", "subscription_id": "s", "kind": "cancel", "requested_at": "2025-03-03", "effective_at": "2025-03-31"},
            {"event_id": "e5", "subscription_id": "s", "kind": "cancel", "effective_at": "2025-03-31"},
        ],
        credits=[{"credit_id": "k", "opportunity_id": "crm jan", "rep_id": "r1", "credited_at": "2025-01-10"}],
        ledger=[
            {"entry_id": "l1", "rep_id": "r1", "credit_id": "k", "entry_type": "clawback", "amount": -7, "currency": "USD", "booked_at": "2025-04-01"},
            {"entry_id": "l2", "rep_id": "r1", "credit_id": "k", "entry_type": "earn", "amount": 7, "currency": "USD", "booked_at": "2025-02-01"},
            {"entry_id": "l3", "rep_id": "r1", "entry_type": "clawback", "amount": -1, "currency": "USD", "booked_at": "2025-04-01"},
        ],
        feedback=[
            {"feedback_id": "f1", "opportunity_id": "other", "captured_at": "2025-02-01"},
            {"feedback_id": "f2", "account_id": "A", "captured_at": "2025-02-01", "need": "unmet", "solicited": False},
        ],
    )  # fmt: skip
    assert {
        e: (r["kind"], r["opportunity_id"], r["attribution"], r["date"].isoformat(), r["account_id"]) for e, r in found.items()
    } == {
        "e1": ("refund", "mail feb", "subscription", "2025-03-01", "A"),
        "e2": ("cancel_request", "mail feb", "subscription", "2025-03-02", "A"),
        "e4": ("cancel_request", "mail feb", "subscription", "2025-03-03", "A"),
        "l1": ("clawback", "crm jan", "opportunity", "2025-04-01", "A"),
        "l3": ("clawback", None, "none", "2025-04-01", None),
        "f1": ("feedback", "other", "opportunity", "2025-02-01", "B"),
        "f2": ("feedback", "crm jan", "latest", "2025-02-01", "A"),
    }  # fmt: skip
    assert (float(found["e1"]["amount"]), found["e1"]["currency"]) == (5.0, "EUR")


def test_an_event_before_its_own_cause_is_kept_and_flagged(made):
    found = made(
        DEALS,
        complaints=[
            _complaint("before the deal", "2025-02-01", opportunity_id="mail feb"),
            _complaint("before the account", "2025-01-11", account_id="B"),
            _complaint("after", "2025-02-11", opportunity_id="mail feb"),
        ],
        accounts=[{"account_id": "B", "created_at": "2025-01-12"}],
    )
    assert {e: r["contradicted"] for e, r in found.items()} == {
        "before the deal": True,
        "before the account": True,
        "after": False,
    }
    assert found["before the deal"]["opportunity_id"] == "mail feb"


DAY = date(2025, 1, 1)
_SOLD = st.tuples(st.sampled_from("AB"), st.sampled_from(["p", "q", None]), st.integers(0, 5))
_EVENT = st.tuples(
    st.sampled_from(["A", "B", "C", None]), st.sampled_from(["p", "q", "z", None]), st.integers(-2, 8),
    st.sampled_from(["d0", "d1", "gone", None]), st.sampled_from(["d0", "d2", None]),
)  # fmt: skip


def _climb(event, sold):
    """Oracle: one event at a time, in plain words."""
    account, product, day, named, contracted = event
    names = {f"d{i}" for i in range(len(sold))}
    if named in names:
        return named, "opportunity"
    if contracted in names:
        return contracted, "subscription"
    before = [(d, f"d{i}", p) for i, (a, p, d) in enumerate(sold) if a == account and d <= day]
    same = [entry for entry in before if product is not None and entry[2] == product]
    if same:
        return max(same)[1], "product"
    if before:
        return max(before, key=lambda entry: entry[:2])[1], "latest"
    return None, "none"


@settings(max_examples=60, deadline=None)
@given(
    sold=st.lists(_SOLD, min_size=1, max_size=8),
    events=st.lists(_EVENT, min_size=1, max_size=12),
    seed=st.integers(0, 9),
)
def test_attribution_equals_the_ladder_climbed_by_hand(sold, events, seed):
    deals = pl.DataFrame(
        {
            "opportunity_id": [f"d{i}" for i in range(len(sold))],
            "account_id": [a for a, _, _ in sold],
            "product_id": pl.Series([p for _, p, _ in sold], dtype=pl.String),
            "closed_on": [DAY + timedelta(d) for _, _, d in sold],
            "closed_at": [DAY + timedelta(d) for _, _, d in sold],
        }
    )
    asked = pl.DataFrame(
        [(i, a, p, DAY + timedelta(d), n, s) for i, (a, p, d, n, s) in enumerate(events)],
        schema={
            "event": pl.Int64, "account_id": pl.String, "product_id": pl.String, "date": pl.Date,
            "named_opportunity_id": pl.String, "subscription_opportunity_id": pl.String,
        },
        orient="row",
    )  # fmt: skip
    shuffled = asked.sample(fraction=1, shuffle=True, seed=seed).lazy()
    found = (
        attribute(shuffled, deals.sample(fraction=1, shuffle=True, seed=seed).lazy()).collect().sort("event")
    )
    assert list(found.select("opportunity_id", "attribution").iter_rows()) == [
        _climb(e, sold) for e in events
    ]
