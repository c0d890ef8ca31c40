"""marts/deal_outcomes: clock, maturity, churn, bands; each test is a sentence of 10-definitions."""

from __future__ import annotations

from datetime import date

import pytest

from assets.company import Churn
from assets.outcomes.observation import last_observed_day
from expectations.columns.outcomes import HORIZONS_DAYS
from expectations.contracts.outcomes import DEAL_OUTCOMES

DEAL = {"opportunity_id": "d", "account_id": "A", "closed_on": "2025-01-01"}


def _line(
    start: str = "2025-01-01", end: str | None = None, reason: str | None = None, **more: object
) -> dict[str, object]:
    return {
        "subscription_id": "s", "account_id": "A", "opportunity_id": "d", "started_at": start, "ended_at": end,
        "end_reason": reason, "currency": "USD",
    } | more  # fmt: skip


@pytest.fixture
def one(judged):
    """The row of one deal."""

    def make(*args, **kwargs):
        frame = judged(*args, **kwargs).collect()
        assert frame.schema == DEAL_OUTCOMES.schema
        return next(r for r in frame.to_dicts() if r["opportunity_id"] == "d")

    return make


# ---- clock and maturity ------------------------------------------------------------------------------------------------


def test_the_churn_clock_starts_at_the_later_of_close_and_service(one):
    assert one([DEAL], subscriptions=[_line("2025-02-01")])["clock_start_on"] == date(2025, 2, 1)
    assert one([DEAL], subscriptions=[_line("2024-12-01")])["clock_start_on"] == date(2025, 1, 1)
    assert one([DEAL | {"starts_on": "2025-03-01"}])["clock_start_on"] == date(2025, 3, 1)
    both = one([DEAL | {"starts_on": "2025-03-01"}], subscriptions=[_line("2025-02-01")])
    assert both["clock_start_on"] == date(2025, 2, 1)


def test_a_cancellation_before_the_service_is_an_event_on_day_0(one):
    row = one([DEAL], subscriptions=[_line("2025-02-01", "2025-02-01")], subscription_events=[])
    assert (row["churned_on"], row["days_to_churn"]) == (date(2025, 2, 1), 0)
    early = {"event_id": "e", "subscription_id": "s", "kind": "cancel", "effective_at": "2025-01-20"}
    row = one([DEAL], subscriptions=[_line("2025-02-01")], subscription_events=[early])
    assert (row["churned_on"], row["days_to_churn"], row["churned_30d"]) == (date(2025, 1, 20), 0, True)


@pytest.mark.parametrize(
    ("until", "mature"), [("2025-07-29", False), ("2025-06-30", False), ("2025-07-30", True)]
)
def test_maturity_counts_from_the_later_day_0(one, company, until, mature):
    # clock starts on 31 January; 180 days later is 30 July
    firm = company(as_of=date.fromisoformat(until))
    row = one([DEAL], firm, subscriptions=[_line("2025-01-31", "2025-02-01", "cancelled")])
    assert row["mature_180d"] is mature
    # immature: null even if the event was already seen
    assert row["churned_180d"] is (True if mature else None)
    assert row["complaints_180d"] == (0 if mature else None)
    assert row["churned_on"] == date(2025, 2, 1)


@pytest.mark.parametrize(("end", "within"), [("2025-01-31", True), ("2025-02-01", False)])
def test_an_event_on_the_last_day_of_the_horizon_counts(one, end, within):
    row = one([DEAL], subscriptions=[_line("2025-01-01", end)])
    assert (row["churned_30d"], row["churned_90d"]) == (within, True)


def test_complaints_run_from_the_close_whatever_the_service(one):
    complaint = {
        "kind": "complaint",
        "opportunity_id": "d",
        "attribution": "opportunity",
        "contradicted": False,
    }
    events = [
        complaint | {"event_id": "1", "date": "2025-01-01", "category": "mis_sale"},
        complaint | {"event_id": "2", "date": "2025-01-31", "category": "billing"},
        complaint | {"event_id": "3", "date": "2025-02-01", "category": "mis_sale"},
        complaint | {"event_id": "4", "date": "2025-01-15", "contradicted": True},
        complaint | {"event_id": "5", "date": "2024-12-31"},
    ]
    row = one([DEAL], subscriptions=[_line("2025-02-01")], customer_events=events)
    assert (row["complaints_30d"], row["mis_sale_complaints_30d"]) == (2, 1)
    assert (row["complaints_90d"], row["mis_sale_complaints_90d"]) == (3, 2)


def test_flags_from_events_and_the_first_feedback(one):
    tied = {"opportunity_id": "d", "attribution": "opportunity", "contradicted": False}
    row = one(
        [DEAL],
        subscriptions=[_line()],
        customer_events=[
            tied | {"kind": "refund", "event_id": "1", "date": "2025-03-01"},
            tied | {"kind": "clawback", "event_id": "2", "date": "2025-05-01"},
            tied | {"kind": "cancel_request", "event_id": "3", "date": "2025-01-03"},
            tied | {"kind": "feedback", "event_id": "4", "date": "2025-02-03"},
            tied | {"kind": "feedback", "event_id": "5", "date": "2025-01-13"},
        ],
    )
    assert [row[f"refunded_{h}d"] for h in (30, 90, 180)] == [False, True, True]
    assert [row[f"clawed_back_{h}d"] for h in (30, 90, 180)] == [False, False, True]
    assert row["cancel_requested_30d"] is True
    assert row["days_to_first_feedback"] == 12


# ---- observed until ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "without", "expected"),
    [
        ({}, (), "2025-06-01"),  # the newest event of subscription_events
        ({}, ("subscription_events",), "2025-08-01"),  # the newest of subscriptions: an end
        ({"subscription_events": date(2025, 12, 31)}, (), "2025-08-01"),
        ({"subscription_events": date(2025, 12, 31), "subscriptions": date(2025, 12, 31)}, (), "2025-12-31"),
        ({"complaints": date(2025, 5, 1)}, (), "2025-05-01"),
        ({"complaints": date(2025, 5, 1)}, ("complaints",), "2025-06-01"),
    ],
)
def test_observed_until_is_the_least_of_what_the_sources_can_know(
    rows, company, configured, without, expected
):
    firm = company(complete_until=configured, without=without)
    found = last_observed_day(
        firm,
        rows("deals"),
        rows("subscriptions", _line("2025-07-01", "2025-08-01"), _line(end="2026-02-01", subscription_id="s2")),
        rows("subscription_events", {"event_id": "e", "subscription_id": "s", "kind": "renew", "effective_at": "2025-06-01"}),
        rows("customer_activity"),
    )  # fmt: skip
    assert found == date.fromisoformat(expected)


def test_under_inactivity_the_activity_bounds_the_observation_and_sales_stand_in(rows, company):
    deals = rows("deals", {"opportunity_id": "d", "closed_at": "2025-04-01"})
    seen = rows("customer_activity", {"account_id": "A", "occurred_at": "2025-09-01"})
    empty = rows("subscriptions"), rows("subscription_events")
    firm = company(churn=Churn("inactivity", 90), complete_until={})
    assert last_observed_day(firm, deals, *empty, seen) == date(2025, 9, 1)
    firm = company(churn=Churn("inactivity", 90), complete_until={}, without=("customer_activity",))
    assert last_observed_day(firm, deals, *empty, rows("customer_activity")) == date(2025, 4, 1)


# ---- churn of contracts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "churned", "exit_reason"),
    [
        ("cancelled", True, "cancelled"),
        ("not_renewed", True, "not_renewed"),
        (None, True, "unstated"),
        ("non_payment", False, "non_payment"),
        ("business_closed", False, "business_closed"),
        ("merged", False, "merged"),
        ("product_withdrawn", False, "product_withdrawn"),
        ("replaced", False, "replaced"),
    ],
)
def test_the_reason_tells_churn_from_other_exits(one, reason, churned, exit_reason):
    row = one([DEAL], subscriptions=[_line(end="2025-03-01", reason=reason)])
    assert row["exit_reason"] == exit_reason
    assert (row["churned_on"] is not None) is churned
    assert (row["other_exit_on"] is not None) is not churned
    assert row["churned_90d"] is churned


@pytest.mark.parametrize(
    ("start", "lost"),
    [("2025-03-31", False), ("2025-04-01", True), ("2025-03-01", False), ("2025-02-28", True)],
)
def test_another_subscription_within_thirty_days_means_the_customer_stayed(one, start, lost):
    other = _line(start, subscription_id="s2", opportunity_id=None)
    row = one([DEAL], subscriptions=[_line(end="2025-03-01", reason="cancelled"), other])
    assert row["churned_180d"] is lost
    assert row["exit_reason"] == ("cancelled" if lost else "continued_elsewhere")


@pytest.mark.parametrize("kind", ["renew", "reactivate"])
@pytest.mark.parametrize(("day", "lost"), [("2025-03-31", False), ("2025-04-01", True)])
def test_a_renewal_or_reactivation_within_thirty_days_undoes_the_end(one, kind, day, lost):
    event = {"event_id": "e", "subscription_id": "s", "kind": kind, "effective_at": day}
    row = one([DEAL], subscriptions=[_line(end="2025-03-01")], subscription_events=[event])
    assert (row["churned_180d"], row["exit_reason"]) == (lost, "unstated" if lost else None)


def test_another_account_does_not_save_this_one(one):
    other = _line("2025-03-05", subscription_id="s2", account_id="B", opportunity_id=None)
    assert one([DEAL], subscriptions=[_line(end="2025-03-01"), other])["churned_180d"] is True


def test_a_merged_account_does(one):
    other = _line("2025-03-05", subscription_id="s2", account_id="B", opportunity_id=None)
    accounts = [{"account_id": "A"}, {"account_id": "B", "merged_into_id": "A"}]
    row = one([DEAL], subscriptions=[_line(end="2025-03-01"), other], accounts=accounts)
    assert row["churned_180d"] is False


def test_without_ended_at_the_cancel_ends_it_and_a_saved_cancel_does_not(one):
    def event(name, kind, day):
        return {"event_id": name, "subscription_id": "s", "kind": kind, "effective_at": day}

    events = [
        event("1", "cancel", "2025-03-01"),
        event("2", "reactivate", "2025-03-20"),
        event("3", "cancel", "2025-06-01"),
    ]
    assert one([DEAL], subscriptions=[_line()], subscription_events=events[:1])["churned_on"] == date(
        2025, 3, 1
    )
    assert one([DEAL], subscriptions=[_line()], subscription_events=events[:2])["churned_on"] is None
    assert one([DEAL], subscriptions=[_line()], subscription_events=events)["churned_on"] == date(2025, 6, 1)


def test_a_downgrade_is_not_churn(one):
    event = {
        "event_id": "e",
        "subscription_id": "s",
        "kind": "downgrade",
        "effective_at": "2025-03-01",
        "mrr_delta": -5,
    }
    row = one([DEAL], subscriptions=[_line(mrr=10)], subscription_events=[event])
    assert (row["churned_90d"], row["other_exit_on"]) == (False, None)


def test_a_deal_ends_with_its_last_subscription(one):
    lines = [_line(end="2025-03-01"), _line(end="2025-05-01", subscription_id="s2", reason="non_payment")]
    row = one([DEAL], subscriptions=lines)
    assert (row["churned_on"], row["other_exit_on"]) == (None, date(2025, 5, 1))
    row = one([DEAL], subscriptions=[lines[0], _line(subscription_id="s2")])
    assert (row["churned_on"], row["other_exit_on"]) == (None, None)


def test_a_loss_after_the_end_of_observation_is_not_known_yet(one, company):
    row = one([DEAL], company(as_of=date(2025, 2, 15)), subscriptions=[_line(end="2025-03-01")])
    assert (row["churned_on"], row["churned_30d"], row["mature_90d"]) == (None, False, False)


def test_never_started(one):
    row = one([DEAL])
    assert row["outcome_null_reason"] == "never_started"
    assert [row[f"churned_{h}d"] for h in (30, 90, 180)] == [None, None, None]
    assert [row[f"started_{h}d"] for h in (30, 90, 180)] == [False, False, False]
    assert row["complaints_180d"] == 0
    late = one([DEAL], subscriptions=[_line("2025-02-15")])
    assert [late[f"started_{h}d"] for h in (30, 90)] == [False, True]


def test_no_account_is_out_of_the_denominator_and_says_so(one):
    row = one([DEAL | {"account_id": None}], subscriptions=[_line(end="2025-03-01")])
    assert (row["outcome_null_reason"], row["churned_180d"], row["churned_on"]) == ("no_account", None, None)


def test_no_close_is_out_of_everything_dated(one):
    row = one([DEAL | {"closed_on": None}], subscriptions=[_line()])
    assert row["outcome_null_reason"] == "no_close"
    assert {
        row[f"{name}_{h}d"] for h in HORIZONS_DAYS for name in ("mature", "churned", "complaints", "started")
    } == {None}


def test_subscriptions_of_a_billing_system_that_knows_no_deals_find_theirs(one, company):
    deals = [
        DEAL | {"product_id": "p"},
        DEAL | {"opportunity_id": "later", "closed_on": "2025-02-01", "product_id": "q"},
    ]
    line = _line("2025-02-10", "2025-03-01", opportunity_id=None, product_id="p")
    assert (
        one(deals, company(without=("subscriptions.opportunity_id",)), subscriptions=[line])["churned_90d"]
        is True
    )
    assert one(deals, subscriptions=[line])["outcome_null_reason"] == "never_started"


# ---- churn as inactivity -------------------------------------------------------------------------------------------------


def _active(*days: str) -> list[dict[str, str]]:
    return [{"event_id": day, "account_id": "A", "occurred_at": day} for day in days]


@pytest.fixture
def silent(one, company):
    """The row under inactivity of 100 days."""

    def make(*activity, deals=(), as_of=date(2025, 12, 31), days=100, account="A"):
        firm = company(churn=Churn("inactivity", days), as_of=as_of)
        return one([DEAL | {"account_id": account}, *deals], firm, customer_activity=_active(*activity))

    return make


def test_silence_after_the_sale_is_churn_on_day_n(silent):
    row = silent()
    assert (row["churned_on"], row["days_to_churn"], row["exit_reason"]) == (
        date(2025, 4, 11),
        100,
        "inactive",
    )
    assert (row["churned_180d"], row["outcome_null_reason"]) == (True, "shorter_than_inactivity_window")


@pytest.mark.parametrize(
    ("activity", "churned_on"),
    [
        (["2025-04-11"], date(2025, 7, 20)),  # day 100 is inside (t, t + 100]; then silence from there
        (["2025-04-12"], date(2025, 4, 11)),  # day 101 is too late
        (["2025-03-01", "2025-06-01", "2025-09-01"], date(2025, 12, 10)),
        (["2025-03-01", "2025-06-01", "2025-09-01", "2025-12-09"], None),
        (["2024-12-31"], date(2025, 4, 11)),  # what came before the sale says nothing
    ],
)
def test_the_first_silence_of_n_days_counts(silent, activity, churned_on):
    assert silent(*activity)["churned_on"] == churned_on


def test_a_later_sale_is_activity_too(silent):
    again = DEAL | {"opportunity_id": "again", "closed_on": "2025-04-01"}
    assert silent(deals=[again])["churned_on"] == date(2025, 7, 10)
    assert silent(deals=[again | {"account_id": "B"}])["churned_on"] == date(2025, 4, 11)


def test_a_silence_not_observed_in_full_is_none(silent):
    assert silent(as_of=date(2025, 4, 10))["churned_on"] is None
    assert silent(as_of=date(2025, 4, 11))["churned_on"] == date(2025, 4, 11)


def test_horizons_under_n_are_null(silent):
    row = silent(days=180)
    assert [row[f"churned_{h}d"] for h in (30, 90, 180)] == [None, None, True]
    assert (row["mature_90d"], row["outcome_null_reason"]) == (True, "shorter_than_inactivity_window")
    assert silent(days=30)["outcome_null_reason"] is None


def test_no_account_under_inactivity(silent):
    assert silent(account=None)["churned_180d"] is None
    assert silent(account=None)["outcome_null_reason"] == "no_account"


# ---- absent sources -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("absent", "outcomes"),
    [
        ("complaints", ["complaints", "mis_sale_complaints"]),
        ("complaints.category", ["mis_sale_complaints"]),
        ("subscription_events", ["refunded", "cancel_requested"]),
        ("ledger", ["clawed_back"]),
        ("ledger.credit_id", ["clawed_back"]),
        ("subscriptions", ["churned", "started"]),
    ],
)
def test_what_no_source_can_tell_is_null_not_zero(one, company, absent, outcomes):
    lines = [] if absent == "subscriptions" else [_line()]
    row = one([DEAL], company(without=(absent,)), subscriptions=lines)
    every = (
        "complaints",
        "mis_sale_complaints",
        "refunded",
        "clawed_back",
        "cancel_requested",
        "started",
        "churned",
    )
    assert row["mature_90d"] is True
    assert sorted(name for name in every if row[f"{name}_90d"] is None) == sorted(outcomes)


def test_without_a_churn_source_the_reason_says_so(one, company):
    assert one([DEAL], company(without=("subscriptions",)))["outcome_null_reason"] == "no_churn_source"


# ---- revenue ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "reason", "moves", "kept"),
    [
        (None, None, [], 1.0),
        (None, None, [("upgrade", "2025-06-01", 50), ("downgrade", "2025-09-01", -25)], 1.25),
        (None, None, [("upgrade", "2026-01-02", 50)], 1.0),  # after 365 days
        ("2025-06-01", "cancelled", [("upgrade", "2025-03-01", 50)], 0.0),
        ("2025-06-01", "non_payment", [], 0.0),
        ("2025-06-01", "replaced", [], None),
        ("2026-01-02", "cancelled", [], 1.0),
    ],
)
def test_revenue_kept_after_a_year(one, company, end, reason, moves, kept):
    firm = company(
        as_of=date(2026, 6, 30),
        complete_until={"subscriptions": date(2026, 6, 30), "subscription_events": date(2026, 6, 30)},
    )
    events = [
        {"event_id": day, "subscription_id": "s", "kind": kind, "effective_at": day, "mrr_delta": delta}
        for kind, day, delta in moves
    ]
    row = one(
        [DEAL], firm, subscriptions=[_line(end=end, reason=reason, mrr=100)], subscription_events=events
    )
    assert (float(row["mrr"]), row["revenue_kept_12m"]) == (100.0, kept)


def test_revenue_of_several_subscriptions_adds_up(one, company):
    until = date(2026, 6, 30)
    firm = company(as_of=until, complete_until={"subscriptions": until, "subscription_events": until})
    lines = [
        _line(mrr=100),
        _line(mrr=60, subscription_id="s2", end="2025-06-01", reason="cancelled"),
        _line("2025-07-01", mrr=20, subscription_id="s3"),
    ]
    row = one([DEAL], firm, subscriptions=lines)
    # 160 to start with; a year later the first and the third are left: 120
    assert (float(row["mrr"]), row["revenue_kept_12m"], row["churned_365d"]) == (160.0, 0.75, False)


def test_revenue_is_null_until_mature_and_across_currencies(one, company):
    assert one([DEAL], subscriptions=[_line(mrr=100)])["revenue_kept_12m"] is None
    firm = company(
        as_of=date(2026, 6, 30),
        complete_until={"subscriptions": date(2026, 6, 30), "subscription_events": date(2026, 6, 30)},
    )
    lines = [_line(mrr=100), _line(mrr=100, subscription_id="s2", currency="EUR")]
    assert one([DEAL], firm, subscriptions=lines)["revenue_kept_12m"] is None


# ---- bands -------------------------------------------------------------------------------------------------------------------


def test_quintiles_over_won_deals_and_ties_share(judged):
    emcr = {"a": 0.05, "b": 0.08, "c": 0.08, "d": 0.08, "e": 0.12, "never won": 9.0, "f": None}
    exposures = [{"opportunity_id": name, "emcr": value} for name, value in emcr.items()]
    deals = [DEAL | {"opportunity_id": name} for name in "abcdefg"]
    found = judged(deals, exposures=exposures).collect()
    # cut points of .05 .08 .08 .08 .12 (inverted CDF): .05 .08 .08 .08; 1 + cut points strictly below
    assert dict(found.select("opportunity_id", "emcr_quintile").iter_rows()) == {
        "a": 1, "b": 2, "c": 2, "d": 2, "e": 5, "f": None, "g": None,
    }  # fmt: skip


def test_exposures_are_of_the_largest_seller_and_say_why_they_are_null(one, company):
    exposure = {
        "opportunity_id": "d", "emcr": 0.1, "relative_intensity": 1.25, "rep_id": "r9", "days_to_period_end": 4, "tier": 2,
        "is_pivotal": True,
    }  # fmt: skip
    row = one([DEAL], exposures=[exposure])
    assert (row["rep_id"], row["intensity_band"], row["period_end_close"], row["null_reason"]) == (
        "r9", "over 1 to 1.25", True, None,
    )  # fmt: skip
    row = one(
        [DEAL], exposures=[exposure | {"emcr": None, "null_reason": "no_quota", "days_to_period_end": 5}]
    )
    assert (row["period_end_close"], row["null_reason"]) == (False, "no_quota")
    assert one([DEAL])["null_reason"] == "no_credit"
    assert one([DEAL])["rep_id"] == "r1"
    assert one([DEAL], company(without=("plans",)))["null_reason"] == "no_commission_data"


# ---- the whole ------------------------------------------------------------------------------------------------------------


def test_the_order_of_rows_changes_nothing(judged):
    numbers = list(range(40))
    days = [f"2025-0{1 + i % 6}-1{i % 9}" for i in numbers]
    deals = [{"opportunity_id": f"d{i}", "account_id": f"A{i % 7}", "closed_on": days[i]} for i in numbers]
    lines = [
        _line(days[i], "2025-08-15" if i % 3 else None, mrr=i, subscription_id=f"s{i}", opportunity_id=f"d{i}", account_id=f"A{i % 7}")
        for i in numbers[::2]
    ]  # fmt: skip
    exposures = [{"opportunity_id": f"d{i}", "emcr": i % 10 / 100} for i in numbers]

    def run(step):
        def turned(records):
            return [*records[step:], *records[:step]][:: -1 if step else 1]

        frame = judged(turned(deals), subscriptions=turned(lines), exposures=turned(exposures))
        return frame.sort("opportunity_id").collect()

    assert run(0).equals(run(7))
