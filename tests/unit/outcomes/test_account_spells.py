"""marts/account_spells: counting-process intervals, checked day by day and against a hand-made company."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.company import Churn
from assets.outcomes.account_spells import cut_spells
from expectations.contracts.outcomes import ACCOUNT_SPELLS

DEAL = {
    "opportunity_id": "d", "account_id": "A", "rep_id": "seller", "closed_on": "2025-01-20", "cohort_month": "2025-01",
    "observed_until": "2025-04-10", "emcr": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def spells(rows, company):
    def make(*deals, firm=None, **tables):
        names = ("account_assignments", "customer_events", "activities", "accounts")
        frame = cut_spells(
            deal_outcomes=rows("deal_outcomes", *(DEAL | d for d in deals)), company=firm or company(),
            **{name: rows(name, *tables.get(name, ())) for name in names},
        ).collect()  # fmt: skip
        assert frame.schema == ACCOUNT_SPELLS.schema
        return frame.sort("opportunity_id", "start_day").to_dicts()

    return make


def _cuts(found):
    return [(r["start_day"], r["stop_day"], r["owner_rep_id"]) for r in found]


def _owns(who, start, end=None, role="farmer"):
    return {"account_id": "A", "rep_id": who, "role": role, "valid_from": start, "valid_to": end}


def test_time_runs_from_the_close_to_the_last_day_observed_inclusive(spells):
    # January is cut off: the seller's own deal gives January an intensity, the later months have none
    found = spells({})
    assert _cuts(found) == [(0, 12, "seller"), (12, 81, "seller")]
    assert [r["owner_emcr"] for r in found] == [0.1, None]
    assert {(r["churn_event"], r["other_exit_event"]) for r in found} == {(False, False)}


def test_the_event_stands_at_the_end_of_the_last_interval(spells):
    found = spells({"churned_on": "2025-02-10"})
    assert [(r["start_day"], r["stop_day"], r["churn_event"]) for r in found] == [
        (0, 12, False),
        (12, 22, True),
    ]
    found = spells({"other_exit_on": "2025-02-10"})
    assert [(r["churn_event"], r["other_exit_event"]) for r in found] == [(False, False), (False, True)]


@pytest.mark.parametrize("lost", ["2025-01-20", "2025-01-05"])
def test_an_event_on_day_0_has_a_day_at_risk(spells, lost):
    assert [(r["start_day"], r["stop_day"], r["churn_event"]) for r in spells({"churned_on": lost})] == [
        (0, 1, True)
    ]


def test_owner_changes_cut_and_the_seller_stands_in(spells):
    found = spells(
        {"emcr": None},
        account_assignments=[
            _owns("first", "2025-01-25", "2025-02-10"),
            _owns("second", "2025-02-20", "2025-03-15"),
            _owns("newer", "2025-03-01"),
            _owns("adviser", "2025-01-01", role="engineer"),
        ],
    )
    assert _cuts(found) == [
        (0, 5, "seller"), (5, 21, "first"), (21, 31, "seller"), (31, 40, "second"), (40, 81, "newer"),
    ]  # fmt: skip


def test_an_owner_of_before_the_close_owns_from_day_0(spells):
    assert _cuts(spells({"emcr": None}, account_assignments=[_owns("old", "2024-01-01")])) == [(0, 81, "old")]


def test_the_owners_intensity_is_the_mean_of_that_months_own_deals(spells):
    others = [
        {
            "opportunity_id": f"x{i}",
            "account_id": None,
            "rep_id": "owner",
            "cohort_month": month,
            "emcr": emcr,
        }
        for i, (month, emcr) in enumerate(
            [("2025-02", 0.1), ("2025-02", 0.3), ("2025-02", None), ("2025-03", 0.2)]
        )
    ]
    found = spells({}, *others, account_assignments=[_owns("owner", "2025-01-01")])
    # February and March have the same mean: no cut between them
    assert [(r["start_day"], r["stop_day"], r["owner_emcr"]) for r in found] == [
        (0, 12, None),
        (12, 71, 0.2),
        (71, 81, None),
    ]


def test_what_happens_later_never_describes_an_earlier_interval(spells):
    """Immortal time: a new owner, a complaint or an end in March leaves January and February as they were."""
    plain = spells({}, account_assignments=[_owns("first", "2025-01-01")])
    later = spells(
        {"churned_on": "2025-03-20"},
        account_assignments=[_owns("first", "2025-01-01"), _owns("second", "2025-03-05")],
        customer_events=[{"kind": "complaint", "event_id": "c", "opportunity_id": "d", "date": "2025-03-06", "contradicted": False}],
    )  # fmt: skip
    before = [r for r in later if r["stop_day"] <= 44]
    assert [r | {"stop_day": 0} for r in before] == [r | {"stop_day": 0} for r in plain[: len(before)]]
    assert [(r["owner_rep_id"], r["complaints"], r["churn_event"]) for r in later[len(before) :]] == [
        ("second", 1, True)
    ]


def test_complaints_and_touches_count_on_their_days(spells, company):
    complaint = {"kind": "complaint", "opportunity_id": "d", "contradicted": False}
    call = {"account_id": "A", "rep_id": "seller", "direction": "outbound"}
    tables = {
        "customer_events": [
            complaint | {"event_id": "1", "date": "2025-01-20"},
            complaint | {"event_id": "2", "date": "2025-01-31"},
            complaint | {"event_id": "3", "date": "2025-02-01"},
            complaint | {"event_id": "4", "date": "2025-02-11"},  # after the loss
            complaint | {"event_id": "5", "date": "2025-01-21", "contradicted": True},
        ],
        "activities": [call | {"activity_id": d, "occurred_at": d} for d in ("2025-01-19", "2025-01-20", "2025-02-10", "2025-02-11")],
    }  # fmt: skip
    found = spells({"churned_on": "2025-02-10"}, **tables)
    assert [(r["complaints"], r["touches"]) for r in found] == [(2, 1), (1, 1)]
    absent = spells(
        {"churned_on": "2025-02-10"}, firm=company(without=("complaints", "activities")), **tables
    )
    assert {(r["complaints"], r["touches"]) for r in absent} == {(None, None)}


def test_deals_that_never_were_active_have_no_interval(spells):
    assert not spells(
        {"account_id": None},
        {"opportunity_id": "e", "outcome_null_reason": "never_started"},
        {"opportunity_id": "f", "closed_on": None},
        {"opportunity_id": "g", "closed_on": "2025-04-11"},
    )


def test_without_a_churn_source_events_are_null(spells, company):
    found = spells({"outcome_null_reason": "no_churn_source"}, firm=company(without=("subscriptions",)))
    assert {(r["churn_event"], r["other_exit_event"]) for r in found} == {(None, None)}
    found = spells({}, firm=company(without=("subscriptions",), churn=Churn("inactivity", 30)))
    assert {r["churn_event"] for r in found} == {False}


DAY = date(2025, 1, 1)
_OWNING = st.tuples(
    st.sampled_from(["u", "v", "w"]), st.integers(-20, 100), st.one_of(st.none(), st.integers(1, 60))
)


@settings(max_examples=40, deadline=None)
@given(
    close=st.integers(0, 60),
    length=st.integers(0, 90),
    owning=st.lists(_OWNING, max_size=5, unique_by=lambda o: o[:2]),
    intensities=st.lists(st.tuples(st.sampled_from(["seller", "u", "v"]), st.integers(1, 6), st.integers(0, 3)), max_size=5),
)  # fmt: skip
def test_spells_equal_a_walk_day_by_day(spells, close, length, owning, intensities):
    def owner(day):
        held = [
            (-start, who)
            for who, start, span in owning
            if start <= day and (span is None or day < start + span)
        ]
        return min(held)[1] if held else "seller"

    def intensity(who, day):
        month = (DAY + timedelta(day)).month
        own = [e for w, m, e in intensities if (w, m) == (who, month)]
        return round(sum(own) / len(own) / 10, 8) if own else None

    expected = [(owner(d), intensity(owner(d), d)) for d in range(close, close + length + 1)]
    found = spells(
        {
            "closed_on": (DAY + timedelta(close)).isoformat(), "churned_on": (DAY + timedelta(close + length)).isoformat(),
            "observed_until": "2025-12-31", "emcr": None, "cohort_month": None,
        },
        *(
            {"opportunity_id": f"x{i}", "account_id": None, "rep_id": w, "cohort_month": f"2025-0{m}", "emcr": e / 10}
            for i, (w, m, e) in enumerate(intensities)
        ),
        account_assignments=[
            _owns(w, (DAY + timedelta(s)).isoformat(), None if n is None else (DAY + timedelta(s + n)).isoformat())
            for w, s, n in owning
        ],
    )  # fmt: skip
    days = [(r["owner_rep_id"], r["owner_emcr"]) for r in found for _ in range(r["start_day"], r["stop_day"])]
    assert days == expected
    assert [r["start_day"] for r in found[1:]] == [r["stop_day"] for r in found[:-1]]
    states = [(r["owner_rep_id"], r["owner_emcr"]) for r in found]
    assert all(a != b for a, b in pairwise(states))  # no needless cut
    assert [r["churn_event"] for r in found] == [False] * (len(found) - 1) + [True]
