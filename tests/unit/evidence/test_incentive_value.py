"""What came of the incentive money: worked by hand, from the plan of 02-commission."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.company import Company
from assets.evidence.incentive_value import incentive_value, value_tiers
from assets.evidence.marginal_value import value_moves
from assets.evidence.value_accounts import AMOUNTS, split_over_tiers
from expectations.contracts import TABLES
from tests.acceptance.designs import assign_sellers, draw_sales

CONTRACT = TABLES["incentive_value"]
CLOSE = date(2024, 1, 10)
TIERS = [
    {"plan_id": "P", "version": 1, "component": "commission", "tier": k, "from_attainment": Decimal(a), "rate": Decimal(r)}
    for k, a, r in ((1, "0", "0.08"), (2, "1", "0.12"), (3, "1.5", "0.16"))
]  # fmt: skip


def credit(
    number: int, before: str, amount: str, pay: str, tier: int = 1, rep: str = "r", **more: object
) -> dict[str, object]:
    s, x = Decimal(before) / 250_000, Decimal(amount) / 250_000
    return {
        "opportunity_id": f"o{number}", "rep_id": rep, "component": "commission", "credit_type": "primary", "plan_id": "P", "version": 1,
        "split_weight": Decimal(1), "quota_amount": Decimal(250_000), "attainment_before": float(s), "attainment_after": float(s + x),
        "is_pivotal": s < 1 <= s + x or s < Decimal("1.5") <= s + x, "tier": tier, "added_pay_amount": Decimal(pay),
        "added_pay_amount_final": Decimal(pay), "spiff_amount": Decimal(0), "deal_amount": Decimal(amount), "rate_to_reporting": Decimal(1), **more,
    }  # fmt: skip


def shares(frame_of, rows: list[dict[str, object]], method: str) -> dict[tuple[str, int], float]:
    incentives = frame_of("deal_incentives", rows).with_columns(tier_method=pl.lit(method))
    found = split_over_tiers(incentives, frame_of("plan_tiers", TIERS)).collect()
    return {(r["opportunity_id"], r["tier"]): r["share"] for r in found.to_dicts()}


@pytest.mark.parametrize(
    ("method", "before", "amount", "expected"),
    [
        # example C: 20,000 at 8 % and 20,000 at 12 %
        ("incremental", "230000", "40000", {1: 1600 / 4000, 2: 2400 / 4000}),
        # retroactive: 1,600 up to the threshold, then the step of 10,000 and 12 % of 20,000
        ("retroactive", "230000", "40000", {1: 1600 / 14000, 2: 12400 / 14000}),
        # over two thresholds at once: 10,000 + 125,000 + 25,000
        ("incremental", "240000", "160000", {1: 800 / 19800, 2: 15000 / 19800, 3: 4000 / 19800}),
    ],
)
def test_a_deal_over_a_threshold_is_split_by_pay(frame_of, method, before, amount, expected) -> None:
    found = shares(frame_of, [credit(0, before, amount, "0")], method)
    assert found == {("o0", tier): pytest.approx(share) for tier, share in expected.items()}


def test_other_deals_stand_in_the_tier_that_held_the_credit_before_and_sellers_share_by_weight(
    frame_of,
) -> None:
    rows = [
        credit(0, "10000", "40000", "3200"),
        credit(1, "300000", "40000", "4800", tier=2, split_weight=Decimal("0.6")),
    ]
    rows += [credit(1, "10000", "40000", "3200", rep="other", split_weight=Decimal("0.4"))]
    assert shares(frame_of, rows, "incremental") == {
        ("o0", 1): 1.0,
        ("o1", 2): pytest.approx(0.6),
        ("o1", 1): pytest.approx(0.4),
    }


def test_the_shares_of_a_deal_add_up_to_one(frame_of) -> None:
    rng = np.random.default_rng(3)
    rows = [
        credit(i, str(s), str(x), "0", tier=1 + (s >= 250_000) + (s >= 375_000))
        for i, (s, x) in enumerate(
            zip(rng.integers(0, 400_000, 300), rng.integers(1_000, 200_000, 300), strict=True)
        )
    ]
    for method in ("incremental", "retroactive"):
        found = shares(frame_of, rows, method)
        total: dict[str, float] = {}
        for (deal, _), share in found.items():
            total[deal] = total.get(deal, 0.0) + share
        assert list(total.values()) == pytest.approx([1.0] * 300)
        tiers = {tier for _, tier in found}
        assert tiers == {1, 2, 3}


def outcome(number: int, **more: object) -> dict[str, object]:
    return {
        "opportunity_id": f"o{number}", "account_id": f"a{number}", "rep_id": f"r{number % 6}", "closed_on": CLOSE, "clock_start_on": CLOSE,
        "observed_until": date(2025, 12, 31), "mature_365d": True, "churned_365d": False, "revenue_kept_12m": 1.0, "plan_id": "P", "tier": 1, **more,
    }  # fmt: skip


@pytest.fixture
def value(frame_of, company: Company):
    def build(outcomes, credits_, events=(), complaints=(), assignments=()) -> pl.DataFrame:
        plans = frame_of("plans", [{"plan_id": "P", "version": 1, "tier_method": "incremental"}])
        made = incentive_value(
            deal_outcomes=frame_of("deal_outcomes", outcomes), deal_incentives=frame_of("deal_incentives", credits_), plans=plans,
            plan_tiers=frame_of("plan_tiers", TIERS), plan_assignments=frame_of("plan_assignments", assignments), customer_events=frame_of("customer_events", events),
            complaints=frame_of("complaints", complaints), company=company,
        )  # fmt: skip
        table = made.frame.collect()
        assert table.schema == CONTRACT.schema
        assert not table.select(pl.any_horizontal(rule.broken for rule in CONTRACT.rules).any()).item()
        return table

    return build


def forty() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Forty deals of 10,000 at 8 %, six sellers."""
    credits_ = [credit(i, "10000", "10000", "800.00", rep=f"r{i % 6}") for i in range(40)]
    return [outcome(i) for i in range(40)], credits_


def test_the_account_by_hand(value) -> None:
    outcomes, credits_ = forty()
    outcomes[0] |= {"revenue_kept_12m": 0.25}
    outcomes[1] |= {"revenue_kept_12m": None, "outcome_null_reason": "never_started"}
    outcomes[2] |= {"revenue_kept_12m": None, "churned_365d": True}
    outcomes[3] |= {"mature_365d": False, "churned_365d": None, "revenue_kept_12m": None}
    event = {"contradicted": False, "currency": "USD", "date": CLOSE + timedelta(days=100)}
    events = [
        {**event, "kind": "refund", "event_id": "f", "opportunity_id": "o4", "amount": Decimal("500.00")},
        {
            **event,
            "kind": "refund",
            "event_id": "g",
            "opportunity_id": "o4",
            "amount": Decimal("500.00"),
            "date": CLOSE + timedelta(days=366),
        },
        {**event, "kind": "clawback", "event_id": "k", "opportunity_id": "o5", "amount": Decimal("-300.00")},
        {**event, "kind": "complaint", "event_id": "c", "opportunity_id": "o6", "currency": None},
    ]
    got = value(outcomes, credits_, events, [{"complaint_id": "c", "redress": Decimal("120.50")}]).row(
        0, named=True
    )
    assert (got["plan_id"], got["tier"], got["n"], got["suppressed"]) == ("P", 1, 39, False)
    assert got["bookings"] == Decimal(390_000)
    assert got["incentive_paid"] == Decimal(39 * 800)
    assert got["revenue_kept"] == Decimal(36 * 10_000 + 2_500)
    assert (got["refunds_amount"], got["complaint_cost"], got["clawbacks_amount"]) == (
        Decimal(500),
        Decimal("120.50"),
        Decimal(300),
    )
    net = Decimal(362_500) - 500 - Decimal("120.50") + 300
    assert got["net_value"] == net
    assert got["net_value_per_dollar"] == pytest.approx(float(net / (39 * 800)), abs=1e-8)
    assert got["net_value_per_dollar_lo"] <= got["net_value_per_dollar"] <= got["net_value_per_dollar_hi"]


def test_incentive_holds_overlays_managers_and_spiffs(value) -> None:
    outcomes, credits_ = forty()
    credits_ += [
        credit(0, "0", "10000", "100.00", rep="m", credit_type="manager"),
        credit(0, "0", "10000", "50.00", rep="e", credit_type="overlay"),
    ]
    credits_[0] |= {"spiff_amount": Decimal(25)}
    got = value(outcomes, credits_).row(0, named=True)
    assert got["incentive_paid"] == Decimal(40 * 800 + 175)
    assert got["bookings"] == Decimal(400_000)


def test_few_sellers_or_one_that_dominates_are_not_shown(value) -> None:
    outcomes, credits_ = forty()
    few = [c | {"rep_id": f"r{i % 4}"} for i, c in enumerate(credits_)]
    assert value(outcomes, few)["suppressed"].to_list() == [True]
    # five sellers, but one has 36 of 40 deals
    one = [c | {"rep_id": "r0" if i >= 4 else f"r{i + 1}"} for i, c in enumerate(credits_)]
    hidden = value(outcomes, one).row(0, named=True)
    assert hidden["suppressed"]
    assert (hidden["incentive_paid"], hidden["n"], hidden["net_value_per_dollar"]) == (None, None, None)


def test_a_plan_that_other_tables_hide_is_hidden_here(value) -> None:
    """Plan S is small among all deals, so P is hidden with it: all the same in every table."""
    outcomes, credits_ = forty()
    outcomes += [outcome(100 + i, plan_id="S", rep_id="z", mature_365d=False) for i in range(3)]
    assert value(outcomes, credits_)["suppressed"].to_list() == [True]


def test_a_small_row_does_not_follow_from_the_deals_of_its_plan_or_tier() -> None:
    """Three deals of plan P lie in tier 3. `churn_by_incentive` tells how many mature deals P and tier 3 have, so one row beside them
    is hidden in both; and that those do not follow, one in their tier and plan."""
    sizes = {("P", 1): 40, ("P", 2): 20, ("P", 3): 3, ("Q", 1): 60, ("Q", 2): 50, ("Q", 3): 45}
    places = [place for place, n in sizes.items() for _ in range(n)]
    rows = pl.DataFrame(
        {
            "opportunity_id": [f"o{i}" for i in range(len(places))],
            "account_id": [f"a{i}" for i in range(len(places))],
            "rep_id": [f"r{i % 6}" for i in range(len(places))],
            "plan_id": [plan for plan, _ in places],
            "tier": [tier for _, tier in places],
        }
    ).with_columns(pl.lit(100, pl.Int64).alias(name) for name in AMOUNTS)
    nothing = pl.DataFrame(schema={"dimension": pl.String, "value": pl.String})
    table = value_tiers(rows, nothing, "USD").collect()
    hidden = set(table.filter("suppressed").select("plan_id", "tier").iter_rows())
    assert hidden == {("P", 3), ("P", 2), ("Q", 3), ("Q", 2)}
    assert table.filter("suppressed").select(pl.col("n", "bookings", "net_value").is_null().all()).row(0) == (
        (True,) * 3
    )


def test_row_order_moves_nothing(value) -> None:
    outcomes, credits_ = forty()
    assert_frame_equal(value(outcomes, credits_), value(outcomes[::-1], credits_[::-1]), check_exact=True)


def test_an_empty_firm_has_no_rows(value) -> None:
    assert value([], []).is_empty()


MOVED = date(2023, 11, 20)


def sell(seed: int, *, bought: float, paid: int) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    deals, accounts = draw_sales(seed, bought=bought, paid=paid, moved_on=MOVED)
    return deals.lazy(), accounts.lazy()


def assigned_with(moved: int, moved_on: date = MOVED) -> pl.LazyFrame:
    return assign_sellers(60, moved, moved_on).lazy()


def test_what_a_move_bought_is_held_by_its_interval(company) -> None:
    held = 0
    for seed in range(20):
        (row,) = value_moves(*sell(seed, bought=2.5, paid=300), assigned_with(30), company)
        held += row["net_value_per_dollar_lo"] <= 2.5 <= row["net_value_per_dollar_hi"]
        assert (row["plan_id"], row["plan_change"], row["evidence_level"], row["n_sellers"]) == (
            "P",
            "P 1 > P 2",
            4,
            60,
        )
        assert "more a month" in row["sentence"]
    assert held >= 16, held  # binomial(20, 0.95): fewer than 16 has a chance of 0.003


def test_a_move_that_did_not_change_pay_bought_nothing_that_can_be_told(frame_of, company) -> None:
    told = [
        next(value_moves(*sell(seed, bought=0, paid=0), assigned_with(30), company)) for seed in range(10)
    ]
    silent = [row for row in told if "net_value_per_dollar" not in row]
    assert len(silent) >= 8  # pay differs by chance alone in one of twenty
    assert silent[0]["warnings"] == "no_within_variation"
    assert "can't be told" in silent[0]["sentence"]
    few = next(value_moves(*sell(1, bought=2, paid=300), assigned_with(4), company))
    assert few["suppressed"]
    assert "n" not in few
    assert not list(value_moves(*sell(1, bought=2, paid=300), frame_of("plan_assignments", []), company))


def test_young_months_do_not_look_like_a_slump(company) -> None:
    """Deals of the last year have no account yet: were their months counted, those moved last would seem to sell nothing."""
    deals, accounts = sell(2, bought=2.5, paid=300)
    late = date(2024, 10, 1)
    (row,) = value_moves(deals, accounts, assigned_with(30, late), company)
    # from October on pay no longer changes: it did eleven months before, and no later than the others' can be seen
    assert (
        "net_value_per_dollar" not in row
        or row["net_value_per_dollar_lo"] < 2.5 < row["net_value_per_dollar_hi"]
    )
    followed = deals.filter(
        pl.col("closed_on") <= date(2024, 12, 31), pl.col("closed_on") >= late - timedelta(days=364)
    ).collect()
    assert row["n"] == followed.height


def test_a_move_stands_beside_the_tiers(value) -> None:
    outcomes, credits_ = forty()
    moves = [{"rep_id": f"r{i}", "plan_id": "P", "version": v, "valid_from": day, "recorded_at": datetime(2020, 1, 1, tzinfo=UTC)}
             for i in range(6) for v, day in ((1, date(2023, 1, 1)), (2, date(2024, 2, 1)))]  # fmt: skip
    table = value(outcomes, credits_, assignments=moves)
    assert table.select("plan_id", "tier", "plan_change", "evidence_level").rows() == [
        ("P", None, "P 1 > P 2", 4),
        ("P", 1, None, 0),
    ]
    average, move = table["sentence"][1], table["sentence"][0]
    assert average.startswith(
        "Deals of tier 1 of P went with 12.50 of net value per unit of incentive paid (95 % CI 12.50 to 12.50)"
    )
    assert move.startswith("Hidden: what incentive money bought from sellers moved from P 1 to P 2")
