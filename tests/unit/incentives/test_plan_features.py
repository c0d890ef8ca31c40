"""plan_features against numbers worked out by hand from 10-definitions."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from pay_company import LONG_AGO, Books, at

from assets.incentives.plan_features import describe_plans, hide_few_sellers
from expectations.contracts.incentives import PLAN_FEATURES

P = [("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")]


def features(books: Books) -> dict[int, dict[str, Any]]:
    t = books.tables()
    made = describe_plans(
        t.plans, t.plan_components, t.plan_tiers, t.plan_assignments, t.quotas, t.spiffs, t.reps, t.company
    ).collect()  # fmt: skip
    assert made.schema == PLAN_FEATURES.schema
    for rule in PLAN_FEATURES.rules:
        assert not hide_few_sellers(made.lazy(), t.plans).collect().select(rule.broken.any()).item(), (
            rule.name
        )
    return {row["tier"]: row for row in made.iter_rows(named=True)}


def firm(**facts: Any) -> Books:
    books = Books()
    books.plan("plan", P, **facts)
    # inverted CDF: the second of four
    for rep, quota in (("a", "400000"), ("b", "250000"), ("c", "100000"), ("d", "900000")):
        books.seller(rep, "plan", quota, target_incentive="20000")
    return books


def test_an_incremental_plan() -> None:
    rows = features(firm())
    assert [rows[k]["tier_from_amount"] for k in (1, 2, 3)] == [0, 250_000, 375_000]
    assert [rows[k]["jump_amount"] for k in (1, 2, 3)] == [0, 0, 0]
    assert [rows[k]["is_accelerator"] for k in (1, 2, 3)] == [False, True, True]
    row = rows[2]
    assert row["median_quota_amount"] == Decimal(250_000)
    assert (row["base_rate"], row["accelerator_ratio"]) == (0.08, 2)
    # C(2Q) = 20,000 + 15,000 + 20,000; bend = 0.04 x 250,000 + 0.04 x 125,000
    assert row["convexity"] == round(15_000 / 55_000, 8)
    assert row["leverage"] == 55_000 / 20_000
    assert [row[n] for n in ("is_retroactive", "is_cliff", "has_cap", "has_clawback")] == [False] * 4


def test_a_retroactive_capped_plan_with_clawback() -> None:
    rows = features(firm(tier_method="retroactive", cap="50000", clawback_method="original_rate"))
    # (0.12 - 0.08) x 250,000 and (0.16 - 0.12) x 375,000; pay at target 0.12 x 250,000 = 30,000
    assert [rows[k]["jump_amount"] for k in (1, 2, 3)] == [0, 10_000, 15_000]
    assert [rows[k]["is_cliff"] for k in (1, 2, 3)] == [False, True, True]
    assert rows[3]["is_retroactive"]
    assert rows[3]["has_cap"]
    assert rows[3]["has_clawback"]
    assert rows[3]["leverage"] == 2.5


def test_what_the_plan_weighs() -> None:
    books = firm()
    base = {"plan_id": "plan", "version": 1, "recorded_at": LONG_AGO}
    for component, measure, weight, combine in (
        ("commission", "revenue", "0.5", None), ("calls", "activity", "0.1", "additive"), ("profit", "margin", "0.2", None),
        ("stay", "retention", "0.2", None), ("care", "quality", "1", "gate"),
    ):  # fmt: skip
        books.add(
            "plan_components", **base, component=component, measure=measure, weight=weight, combine=combine
        )
    assert features(books)[1]["revenue_weight_share"] == 0.6


def test_a_plan_without_components_is_all_revenue() -> None:
    assert features(firm())[1]["revenue_weight_share"] == 1


def test_contests_and_salaries() -> None:
    books = firm()
    assert (features(books)[1]["has_contest"], features(books)[1]["is_all_variable"]) == (None, None)
    spiff = {"valid_from": date(2025, 1, 1), "valid_to": date(2025, 2, 1), "recorded_at": LONG_AGO}
    books.add("spiffs", spiff_id="price", **spiff)
    for rep in books.rows["reps"]:
        rep["base_salary"] = "0"
    assert (features(books)[1]["has_contest"], features(books)[1]["is_all_variable"]) == (False, True)
    books.add("spiffs", spiff_id="race", **spiff, is_contest=True)
    books.rows["reps"][0]["base_salary"] = "30000"
    assert (features(books)[1]["has_contest"], features(books)[1]["is_all_variable"]) == (True, False)


def test_the_newest_version_is_described() -> None:
    books = firm()
    books.tier("plan", 3, "1.5", "0.24", recorded_at=at("2025-06-01"))
    rows = features(books)
    assert (rows[3]["rate"], rows[3]["accelerator_ratio"]) == (Decimal("0.24"), 3)


def test_without_quotas_jumps_are_unknown() -> None:
    books = Books()
    books.plan("plan", P, tier_method="retroactive")
    books.seller("rep", "plan")
    rows = features(books)
    assert (rows[2]["jump_amount"], rows[2]["is_cliff"], rows[2]["null_reason"]) == (None, None, "no_quota")
    assert rows[2]["is_accelerator"]


def test_leverage_takes_all_components_together() -> None:
    books = Books()
    books.plan("plan", [])
    books.seller("rep", "plan", "100000", target_incentive="20000")
    base = {"plan_id": "plan", "version": 1, "recorded_at": LONG_AGO}
    tiers = {"commission": [("0", "1"), ("1", "2")], "care": [("0", "1")]}
    for component, combine, weight in (
        ("commission", None, "0.5"),
        ("care", "multiplicative", "1"),
        ("pass", "gate", "0"),
    ):
        books.add(
            "plan_components", **base, component=component, measure="revenue", weight=weight, combine=combine,
            rate_basis="target" if component == "commission" else None, gate_attainment="0.5" if combine == "gate" else None,
        )  # fmt: skip
        books.quota("rep", "100000", component=component) if component != "commission" else None
        for number, (edge, rate) in enumerate(tiers.get(component, []), start=1):
            books.tier("plan", number, edge, rate, component=component)
    t = books.tables()
    made = describe_plans(
        t.plans, t.plan_components, t.plan_tiers, t.plan_assignments, t.quotas, t.spiffs, t.reps, t.company
    ).collect()  # fmt: skip
    # at 200 %: 20,000 x 0.5 x (1 + 2) of commission, doubled by care; the gate adds nothing
    assert made["leverage"].unique().to_list() == [3.0]
    rates = dict(made.filter(pl.col("tier") == 1).select("component", "base_rate").iter_rows())
    assert rates == {"commission": 0.1, "care": 0.2}


def test_a_lump_on_target_pay_is_money_in_every_feature() -> None:
    """f = 1 to 100 % and 2 above, 1,000 at 50 %; half of 20,000 hangs on it; quota 100,000."""
    books = Books()
    books.plan("plan", [("0", "1"), ("0.5", "1", "1000"), ("1", "2")])
    base = {"plan_id": "plan", "version": 1, "recorded_at": LONG_AGO, "component": "commission"}
    books.add("plan_components", **base, measure="revenue", weight="0.5", rate_basis="target")
    books.seller("rep", "plan", "100000", target_incentive="20000")
    rows = features(books)
    # 10,000 + 1,000 just below the quota; twice the quota pays 10,000 + 20,000 + 1,000
    assert rows[1]["base_rate"] == 0.11
    assert rows[1]["accelerator_ratio"] == round(0.2 / 0.11, 8)
    assert rows[1]["leverage"] == 1.55
    assert rows[1]["convexity"] == round((1_000 + 0.1 * 100_000) / 31_000, 8)
    assert (rows[2]["jump_amount"], rows[2]["is_cliff"], rows[3]["is_cliff"]) == (1_000, True, False)
    books.rows["plans"][0]["tier_method"] = "retroactive"
    # the rate that starts at the quota reprices all: 1 more of 10,000
    assert features(books)[3]["jump_amount"] == 10_000
    books.rows["plan_assignments"][0]["target_incentive"] = None
    assert (features(books)[2]["jump_amount"], features(books)[2]["base_rate"]) == (None, None)


def test_what_follows_from_four_sellers_quotas_is_hidden_and_the_plans_own_terms_are_not() -> None:
    def published(books: Books) -> dict[str, Any]:
        t = books.tables()
        made = describe_plans(
            t.plans, t.plan_components, t.plan_tiers, t.plan_assignments, t.quotas, t.spiffs, t.reps, t.company
        )  # fmt: skip
        return hide_few_sellers(made, t.plans).collect().sort("tier").row(1, named=True)

    four, five = firm(), firm()
    five.seller("e", "plan", "250000", target_incentive="20000")
    for books in (four, five):
        books.rows["reps"] = [{"rep_id": r, "base_salary": "0"} for r in "abcde"]
    hidden, shown = published(four), published(five)
    assert (hidden["suppressed"], shown["suppressed"]) == (True, False)
    assert (hidden["null_reason"], shown["null_reason"]) == ("few_sellers", None)
    of_people = (
        "median_quota_amount",
        "tier_from_amount",
        "jump_amount",
        "base_rate",
        "leverage",
        "convexity",
        "n_sellers",
    )
    assert {hidden[name] for name in of_people} == {None}
    assert None not in {shown[name] for name in of_people}
    terms = ("from_attainment", "rate", "tier_method", "is_accelerator", "has_cap", "revenue_weight_share")
    assert [hidden[name] for name in terms] == [shown[name] for name in terms]


def test_how_many_sellers_a_hidden_plan_has_does_not_follow_from_the_others() -> None:
    """`value_drift` tells how many sellers there are. Of twelve, five and six are told to be on plans: so four are on the last one."""
    books = firm()
    for name, sellers in (("five", 5), ("six", 6)):
        books.plan(name, P)
        for number in range(sellers):
            books.seller(f"{name}{number}", name, "100000", target_incentive="20000")
    t = books.tables()
    made = describe_plans(
        t.plans, t.plan_components, t.plan_tiers, t.plan_assignments, t.quotas, t.spiffs, t.reps, t.company
    )  # fmt: skip
    shown = hide_few_sellers(made, t.plans).collect().unique("plan_id").sort("plan_id")
    assert shown.select("plan_id", "suppressed", "n_sellers").rows() == [
        ("five", False, None),
        ("plan", True, None),
        ("six", False, 6),
    ]
    assert shown["median_quota_amount"].is_null().to_list() == [False, True, False]
