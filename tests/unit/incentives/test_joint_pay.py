"""Plans whose components are paid together, segments and changes inside a period: numbers worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pay_company import LONG_AGO, Books, Row, at

from assets.incentives.deal_prices import price_deals

BASE = {"plan_id": "plan", "version": 1, "recorded_at": LONG_AGO}


def component(books: Books, name: str, tiers: list[tuple[str, str]] = (), **facts: Any) -> None:  # type: ignore[assignment]
    """A component of `plan` with its tiers."""
    books.add("plan_components", **BASE, component=name, **{"measure": "revenue", "weight": "0.5", **facts})
    for number, (edge, rate) in enumerate(tiers, start=1):
        books.tier("plan", number, edge, rate, component=name)


def firm(quota: str | None = "100000", *, target: str | None = None, **facts: Any) -> Books:
    books = Books()
    books.plan("plan", [], **facts)
    books.seller("rep", "plan", quota, target_incentive=target)
    return books


def sell(books: Books, deal: str, day: str, **amounts: str) -> None:
    """A deal of `rep` that credits several components."""
    books.win(deal, "rep", next(iter(amounts.values())), f"{day} 12:00")
    for name, amount in amounts.items():
        books.credit(deal, "rep", amount, f"{day} 12:00", component=name, credit_id=f"{deal}/{name}")


def prices(books: Books) -> dict[tuple[str, str], Row]:
    """Rows by deal and component."""
    mart = price_deals(books.tables()).collect()
    return {(row["opportunity_id"], row["component"]): row for row in mart.iter_rows(named=True)}


def pays(rows: dict[tuple[str, str], Row], *names: tuple[str, str]) -> list[Decimal]:
    return [rows[name]["added_pay_amount"] for name in names]


def money(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


# ---- bounds over components -------------------------------------------------------------------------------------------
def test_a_cap_holds_over_all_components() -> None:
    books = firm(cap="5000")
    component(books, "commission", [("0", "0.10")])
    component(books, "margin", [("0", "0.05")], measure="margin")
    sell(books, "first", "2025-01-10", commission="40000", margin="40000")
    sell(books, "second", "2025-01-11", commission="10000")
    rows = prices(books)
    # 4,000, then 1,000 of 2,000, then nothing
    names = [("first", "commission"), ("first", "margin"), ("second", "commission")]
    assert pays(rows, *names) == money("4000", "1000", "0")
    assert [rows[n]["emcr_as_known"] for n in names] == [0.10, 0.025, 0]
    assert [rows[n]["base_rate"] for n in names] == [0.10, 0.05, 0.10]
    assert [rows[n]["emcr_as_final"] for n in names] == [0.10, 0.025, 0]


@pytest.mark.parametrize("kind", ["floor", "draw"])
def test_a_floor_and_a_draw_hold_over_all_components(kind: str) -> None:
    books = firm(**({"floor": "3000"} if kind == "floor" else {}))
    if kind == "draw":
        books.rows["plan_assignments"][0] |= {"draw": "3000", "draw_kind": "non_recoverable"}
    component(books, "commission", [("0", "0.10")])
    component(books, "margin", [("0", "0.05")], measure="margin")
    sell(books, "first", "2025-01-10", commission="20000", margin="10000")
    sell(books, "second", "2025-01-11", commission="10000")
    # 2,500 stays under the floor; 3,500 is 500 over it
    assert pays(
        prices(books), ("first", "commission"), ("first", "margin"), ("second", "commission")
    ) == money("0", "0", "500")


def test_a_cap_meets_tiers_of_a_product() -> None:
    books = firm(cap="9000")
    component(books, "commission", [("0", "0.05"), ("1", "0.10")])
    books.tier("plan", 3, "0", "0.20", component="commission", product_id="box")
    for day, deal, product in (("10", "a", "box"), ("11", "b", None), ("12", "c", "box")):
        books.win(deal, "rep", "20000", f"2025-01-{day} 12:00", product_id=product)
        books.credit(deal, "rep", "20000", f"2025-01-{day} 12:00")
    rows = prices(books)
    # 4,000 on the box, 1,000 on the rest, 4,000 on the box fill the cap
    assert pays(rows, ("a", "commission"), ("b", "commission"), ("c", "commission")) == money(
        "4000", "1000", "4000"
    )
    books.win("d", "rep", "20000", "2025-01-13 12:00", product_id="box")
    books.credit("d", "rep", "20000", "2025-01-13 12:00")
    assert prices(books)["d", "commission"]["added_pay_amount"] == 0


# ---- target pay ---------------------------------------------------------------------------------------------------------
def test_target_pay_with_a_lump_and_a_cap_is_exact() -> None:
    books = firm("300000", target="10000", cap="9000")
    component(books, "commission", rate_basis="target", weight="1")
    books.tier("plan", 1, "0", "1")
    books.tier("plan", 2, "0.5", "1", "100")
    for day in range(10, 19):
        sell(books, f"d{day}", f"2025-01-{day}", commission="33333.33")
    rows = prices(books)
    assert rows["d10", "commission"]["emcr_as_known"] == 0.03333333
    # 299,999.97 / 300,000 x 10,000 and a lump of 100, under the cap
    assert sum(row["added_pay_amount"] for row in rows.values()) == 9000
    fifth = rows["d14", "commission"]
    # from 4,444.444 to 5,555.555 and 100: the half cent is met exactly
    assert fifth["added_pay_amount"] == Decimal("1211.12")


def test_factors_multiply_the_target_incentive() -> None:
    books = firm(target="10000")
    component(books, "commission", [("0", "1"), ("1", "2")], combine="multiplicative")
    component(books, "care", [("0", "1")], combine="multiplicative", measure="quality")
    for start, end in ((date(2024, 10, 1), date(2025, 1, 1)), (date(2025, 1, 1), date(2025, 4, 1))):
        books.quota("rep", "100", component="care", period_start=start, period_end=end)
    books.add(
        "component_results", rep_id="rep", component="care", period_start=date(2024, 10, 1), achieved="90",
        recorded_at=at("2025-01-05"),
    )  # fmt: skip
    books.add(
        "component_results", rep_id="rep", component="care", period_start=date(2025, 1, 1), achieved="80",
        recorded_at=at("2025-04-02"),
    )  # fmt: skip
    sell(books, "early", "2025-01-04", commission="50000")
    sell(books, "later", "2025-01-10", commission="10000")
    rows = prices(books)
    # nothing was known of quality on 4 January; then 0.9, and 0.8 in the end
    assert rows["early", "commission"]["null_reason"] == "component_result_not_known"
    assert rows["later", "commission"]["emcr_as_known"] == 0.09
    assert rows["later", "commission"]["base_rate"] == 0.09
    assert rows["early", "commission"]["emcr_as_final"] == 0.08
    assert rows["later", "commission"]["added_pay_amount_final"] == 800


def test_a_gate_withholds_everything_until_it_opens() -> None:
    books = firm()
    component(books, "commission", [("0", "0.10")])
    component(books, "care", combine="gate", gate_attainment="0.5", measure="margin")
    books.quota("rep", "100", component="care")
    sell(books, "shut", "2025-01-10", commission="30000")
    sell(books, "opens", "2025-01-11", commission="10000", care="60")
    sell(books, "open", "2025-01-12", commission="20000")
    rows = prices(books)
    names = [("shut", "commission"), ("opens", "commission"), ("opens", "care"), ("open", "commission")]
    # in the order of components the gate opens before the deal's own commission counts
    assert pays(rows, *names) == money("0", "1000", "3000", "2000")
    assert [rows[n]["base_rate"] for n in names] == [0, 0.1, 0, 0.1]
    assert rows["shut", "commission"]["null_reason"] == "base_rate_zero"
    assert rows["opens", "care"]["is_pivotal"]


def test_calls_count_towards_a_cap_once_they_are_known() -> None:
    books = firm(cap="5000")
    component(books, "commission", [("0", "0.10")])
    component(books, "calls", [("0", "10")], measure="activity")
    books.add(
        "component_results", rep_id="rep", component="calls", period_start=date(2025, 1, 1), achieved="300",
        recorded_at=at("2025-01-20"),
    )  # fmt: skip
    sell(books, "before", "2025-01-10", commission="20000")
    sell(books, "after", "2025-01-21", commission="10000")
    rows = prices(books)
    # 2,000, then 3,000 for calls fill the cap
    assert pays(rows, ("before", "commission"), ("after", "commission")) == money("2000", "0")


def test_a_result_without_a_time_was_known_after_its_period() -> None:
    books = firm()
    component(books, "commission", [("0", "0.10")])
    component(books, "care", combine="gate", gate_attainment="0.5", measure="quality")
    for start, end in ((date(2025, 1, 1), date(2025, 4, 1)), (date(2025, 4, 1), date(2025, 7, 1))):
        books.quota("rep", "100", component="care", period_start=start, period_end=end)
    books.quota("rep", "100000", period_start=date(2025, 4, 1), period_end=date(2025, 7, 1))
    books.add(
        "component_results", rep_id="rep", component="care", period_start=date(2025, 1, 1), achieved="80",
        recorded_at=at("2025-01-01"), knowledge_time_assumed=True,
    )  # fmt: skip
    sell(books, "inside", "2025-03-31", commission="10000")
    sell(books, "next", "2025-04-01", commission="10000")
    rows = prices(books)
    assert rows["inside", "commission"]["null_reason"] == "component_result_not_known"
    assert rows["next", "commission"]["emcr_as_known"] == 0.10
    assert rows["next", "commission"]["knowledge_time_assumed"]


@pytest.mark.parametrize(
    "facts",
    [
        {"combine": "multiplicative", "rate_basis": "credit"},
        {"combine": "gate"},
    ],
    ids=["a factor in money", "a gate without attainment"],
)
def test_what_contradicts_itself_is_not_guessed(facts: dict[str, str]) -> None:
    books = firm(target="10000")
    component(books, "commission", [("0", "0.10")])
    component(books, "care", [("0", "1")], measure="margin", **facts)
    books.quota("rep", "100", component="care")
    sell(books, "deal", "2025-01-10", commission="10000")
    row = prices(books)["deal", "commission"]
    assert (row["emcr_as_known"], row["null_reason"]) == (None, "unsupported_combination")


# ---- changes inside a period ----------------------------------------------------------------------------------------------
def changing(method: str, policy: str | None, **facts: Any) -> Books:
    """Example K: 8/12 % for 45 days, then 10/15 %; 180,000 and then 120,000 on a quota of 300,000."""
    books = Books()
    halves = (
        (1, date(2025, 1, 1), date(2025, 2, 15), ("0.08", "0.12")),
        (2, date(2025, 2, 15), None, ("0.10", "0.15")),
    )
    books.add("reps", rep_id="rep")
    books.quota("rep", "300000")
    for version, start, end, rates in halves:
        key = {"plan_id": "plan", "version": version, "recorded_at": LONG_AGO}
        books.add(
            "plans", **key, valid_from=start, valid_to=end, period="quarter", currency="USD", timezone="America/New_York",
            tier_method=method, mid_period_policy=policy, **facts,
        )  # fmt: skip
        for tier, (edge, rate) in enumerate(zip(("0", "1"), rates, strict=True), start=1):
            books.add("plan_tiers", **key, component="commission", tier=tier, from_attainment=edge, rate=rate)
        books.add("plan_assignments", **key, rep_id="rep", valid_from=start, valid_to=end)
    sell(books, "one", "2025-02-14", commission="180000")
    sell(books, "two", "2025-02-15", commission="120000")
    return books  # fmt: skip


@pytest.mark.parametrize(
    ("method", "policy", "pay"),
    [
        ("incremental", "segment_prorated", ("15600", "12000")),
        ("incremental", "continuous", ("14400", "12000")),
        ("incremental", None, ("14400", "12000")),
        ("retroactive", "continuous", ("14400", "27000")),
    ],
)
def test_example_k(method: str, policy: str | None, pay: tuple[str, str]) -> None:
    rows = prices(changing(method, policy))
    assert pays(rows, ("one", "commission"), ("two", "commission")) == money(*pay)
    two = rows["two", "commission"]
    assert two["days_to_period_end"] == 44
    if policy == "segment_prorated":
        assert (two["quota_amount"], two["attainment_before"]) == (Decimal(150_000), 0)
    else:
        assert (two["quota_amount"], two["attainment_before"]) == (Decimal(300_000), 0.6)


def test_a_cap_holds_over_the_versions_of_a_continuous_change() -> None:
    rows = prices(changing("incremental", "continuous", cap="20000"))
    assert pays(rows, ("one", "commission"), ("two", "commission")) == money("14400", "5600")


def test_a_cap_is_shared_out_with_segments() -> None:
    rows = prices(changing("incremental", "segment_prorated", cap="20000"))
    assert pays(rows, ("one", "commission"), ("two", "commission")) == money("10000", "10000")


def test_a_joiner_is_a_segment_or_has_the_whole_quota() -> None:
    for policy, quota in (("segment_prorated", "50000"), ("continuous", "100000")):
        books = firm(mid_period_policy=policy)
        component(books, "commission", [("0", "0.05"), ("1", "0.10")])
        books.rows["plan_assignments"][0]["valid_from"] = date(2025, 2, 15)
        sell(books, "deal", "2025-03-01", commission="60000")
        assert prices(books)["deal", "commission"]["quota_amount"] == Decimal(quota)


def test_a_renewed_assignment_is_no_change() -> None:
    books = firm(mid_period_policy="segment_prorated")
    component(books, "commission", [("0", "0.05"), ("1", "0.10")])
    books.rows["plan_assignments"][0]["valid_to"] = date(2025, 2, 15)
    books.add("plan_assignments", **BASE, rep_id="rep", valid_from=date(2025, 2, 15))
    sell(books, "one", "2025-02-14", commission="60000")
    sell(books, "two", "2025-03-01", commission="60000")
    assert prices(books)["two", "commission"]["attainment_before"] == 0.6


# ---- house deals ------------------------------------------------------------------------------------------------------------
def test_house_deals_pay_nobody_and_count_for_nobody() -> None:
    books = firm()
    component(books, "commission", [("0", "0.05"), ("1", "0.10")])
    books.win("house", "rep", "100000", "2025-01-10 12:00")
    books.credit("house", "rep", "100000", "2025-01-10 12:00", credit_type="house")
    books.win("fall", "rep", "50000", "2025-01-11 12:00")
    books.credit("fall", "rep", "50000", "2025-01-11 12:00", credit_type="windfall")
    sell(books, "deal", "2025-01-12", commission="10000")
    rows = prices(books)
    house = rows["house", "commission"]
    assert (house["emcr_as_known"], house["emcr_as_final"], house["null_reason"]) == (
        None,
        None,
        "house_credit",
    )
    assert rows["fall", "commission"]["emcr_as_known"] == 0.05
    assert rows["deal", "commission"]["attainment_before"] == 0.5


# ---- orders of a day ----------------------------------------------------------------------------------------------------------
def test_orders_of_a_day_bound_a_plan_paid_as_a_whole() -> None:
    books = firm(cap="5000")
    component(books, "commission", [("0", "0.10")])
    component(books, "margin", [("0", "0.05")], measure="margin")
    for deal in ("a", "b"):
        books.win(deal, "rep", "40000", "2025-01-10 05:00", closed_time_known=False)
        for name in ("commission", "margin"):
            books.credit(deal, "rep", "40000", "2025-01-10 05:00", component=name, credit_id=f"{deal}/{name}")
    rows = prices(books)
    first, second = rows["a", "commission"], rows["b", "commission"]
    assert (first["emcr_as_known"], first["emcr_lowest"], first["emcr_highest"]) == (0.10, 0, 0.10)
    assert (second["emcr_as_known"], second["emcr_lowest"], second["emcr_highest"]) == (0, 0, 0.10)
    assert (rows["a", "margin"]["emcr_lowest"], rows["a", "margin"]["emcr_highest"]) == (0, 0.025)
