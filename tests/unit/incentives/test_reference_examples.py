"""The oracle itself: the worked examples A to N of 02-commission, priced one deal at a time."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from pay_company import LONG_AGO, Books, at
from reference_pay import Bounds, Curve, claw_back, draw_pay, expect, turns
from slow_reference import Reference

P = [("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")]
VENDOR = [("0", "0.06"), ("1", "0.08"), ("1.5", "0.10")]
F = Fraction


def price(
    books: Books, deal: str, rep: str = "rep", kind: str = "primary", *, final: bool = False
) -> dict[str, Any]:
    return Reference(books).price(deal, rep, "commission", kind, final=final)


def paid(books: Books, attained: list[str], quota: str) -> list[Fraction]:
    """C(s) of each s."""
    for i, s in enumerate(attained):
        books.seller(f"rep{i}", "plan", quota)
        books.sell(f"deal{i}", f"rep{i}", s, "2025-02-10 12:00")
    return [price(books, f"deal{i}", f"rep{i}")["added_pay_amount"] for i in range(len(attained))]


def firm(tiers: list[tuple[str, str]] = P, quota: str | None = "250000", **facts: Any) -> Books:
    books = Books()
    books.plan("plan", tiers, **facts)
    books.seller("rep", "plan", quota)
    return books


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("incremental", ["8000", "19999.92", "20000", "26000", "39000"]),
        ("retroactive", ["8000", "19999.92", "30000", "36000", "64000"]),
    ],
    ids=["A", "B"],
)
def test_plan_p(method: str, expected: list[str]) -> None:
    books = Books()
    books.plan("plan", P, tier_method=method)
    assert paid(books, ["100000", "249999", "250000", "300000", "400000"], "250000") == [
        F(e) for e in expected
    ]


@pytest.mark.parametrize(
    ("method", "pay", "emcr", "relative"),
    [("incremental", 4000, "0.10", "1.25"), ("retroactive", 14000, "0.35", "4.375")],
)
def test_c_a_deal_over_the_quota(method: str, pay: int, emcr: str, relative: str) -> None:
    books = firm(tier_method=method)
    books.sell("before", "rep", "230000", "2025-01-05 12:00")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = price(books, "deal")
    assert (row["added_pay_amount"], row["emcr"], row["relative_intensity"]) == (pay, F(emcr), F(relative))
    assert (row["is_pivotal"], row["distance_to_threshold"]) == (True, F("0.08"))
    assert (row["attainment_before"], row["attainment_after"], row["days_to_period_end"]) == (
        F("0.92"),
        F("1.08"),
        49,
    )


@pytest.mark.parametrize(
    ("method", "expected"), [("incremental", [6800, 11000]), ("retroactive", [8800, 16000])]
)
def test_d_a_vendors_plan(method: str, expected: list[int]) -> None:
    books = Books()
    books.plan("plan", VENDOR, tier_method=method)
    assert paid(books, ["110000", "160000"], "100000") == expected


def test_e_tiers_in_money() -> None:
    books = Books()
    books.plan("plan", [("0", "0.05"), ("1", "0.06"), ("1.25", "0.07")])
    assert paid(books, ["150000"], "100000") == [8250]


def test_f_a_cap_binds() -> None:
    books = firm(cap="30000")
    books.sell("to 320k", "rep", "320000", "2025-01-05 12:00")
    books.sell("to 360k", "rep", "40000", "2025-02-05 12:00")
    books.sell("beyond", "rep", "40000", "2025-03-05 12:00")
    assert [price(books, d)["added_pay_amount"] for d in ("to 320k", "to 360k", "beyond")] == [28400, 1600, 0]
    assert [price(books, d)["emcr"] for d in ("to 360k", "beyond")] == [F("0.04"), 0]
    curve = Curve(tuple((F(a), F(r), F(0)) for a, r in P), retroactive=False)
    bends = turns(lambda s: curve.pay(s, F(250_000)), curve.thresholds(F(250_000)), Bounds(cap=F(30_000)))
    assert half_cent(bends) == [F(0), F(250_000), F("333333.33"), F(375_000)]


def half_cent(points: list[Fraction]) -> list[Fraction]:
    return [F(round(p * 100), 100) for p in points]


def test_g_a_gate_from_the_first_unit_and_a_bonus() -> None:
    books = Books()
    books.plan("plan", [("0", "0.05"), ("1", "0.05", "6000")], gate_attainment="0.6", gate_from="first_unit")
    wanted = [F(0), F(6000), F("9999.95"), F(16000)]
    assert paid(books, ["119999", "120000", "199999", "200000"], "200000") == wanted


def test_h_draws() -> None:
    earned, balance = [F(1500), F(5000), F(9000)], F(0)
    walked = []
    for c in earned:
        pay, balance = draw_pay(c, F(4000), balance)
        walked.append((pay, balance))
    assert walked == [(4000, 2500), (4000, 1500), (7500, 0)]
    books = Books()
    books.plan("plan", [("0", "0.10")])
    totals = F(0)
    for i, c in enumerate(("15000", "50000", "90000")):
        rep = f"rep{i}"
        books.seller(rep, "plan", "100000", draw="4000", draw_kind="non_recoverable")
        books.sell(rep, rep, c, "2025-02-10 12:00")
        totals += 4000 + price(books, rep, rep)["added_pay_amount"]
    assert totals == 18_000


def test_i_clawback_by_schedule_and_pro_rata() -> None:
    schedule = [(0, F(1)), (3, F(1, 2)), (6, F(1, 4)), (12, F(0))]
    assert claw_back(F(6000), schedule, months=4) == -3000
    assert claw_back(F(6000), [(m, F(12 - m, 12)) for m in range(13)], months=4) == -4000


def test_i2_reversing_a_deal() -> None:
    curve = Curve(tuple((F(a), F(r), F(0)) for a, r in P), retroactive=False)
    quota = F(250_000)
    earned = curve.pay(F(270_000), quota) - curve.pay(F(230_000), quota)
    again = curve.pay(F(310_000), quota) - curve.pay(F(270_000), quota)
    assert (-earned, -again) == (-4000, -4800)


def test_j_a_split_deal_with_an_engineer() -> None:
    books = Books()
    books.plan("plan", P)
    books.plan("engineers", [("0", "0.02")])
    for rep, before in (("A", "230000"), ("B", "100000")):
        books.seller(rep, "plan", "250000")
        books.sell(f"before {rep}", rep, before, "2025-01-05 12:00")
    books.seller("E", "engineers")
    books.win("X", "A", "100000", "2025-02-10 12:00")
    books.credit("X", "A", "60000", "2025-02-10 12:00", split_weight="0.6")
    books.credit("X", "B", "40000", "2025-02-10 12:00", split_weight="0.4")
    books.credit("X", "E", "100000", "2025-02-10 12:00", credit_type="overlay")
    a, b, e = price(books, "X", "A"), price(books, "X", "B"), price(books, "X", "E", "overlay")
    assert [row["added_pay_amount"] for row in (a, b, e)] == [6400, 3200, 2000]
    assert (a["added_pay"] + b["added_pay"]) / 100_000 == F("0.096")


@pytest.mark.parametrize(
    ("policy", "method", "total"),
    [
        ("segment_prorated", "incremental", 27_600),
        ("continuous", "incremental", 26_400),
        ("continuous", "retroactive", 41_400),
    ],
)
def test_k_a_plan_changes_inside_the_quarter(policy: str, method: str, total: int) -> None:
    books = Books()
    changes = date(2025, 2, 15)
    for version, rates, since, until in (
        (1, ("0.08", "0.12"), date(2020, 1, 1), changes),
        (2, ("0.10", "0.15"), changes, None),
    ):
        base = {"plan_id": "plan", "version": version, "recorded_at": LONG_AGO}
        facts = {
            "period": "quarter",
            "currency": "USD",
            "timezone": "America/New_York",
            "mid_period_policy": policy,
        }
        books.add("plans", **base, valid_from=since, valid_to=until, tier_method=method, **facts)
        for tier, (edge, rate) in enumerate(zip(("0", "1"), rates, strict=True), 1):
            books.add(
                "plan_tiers", **base, component="commission", tier=tier, from_attainment=edge, rate=rate
            )
        books.add("plan_assignments", rep_id="rep", **base, valid_from=date(2020, 1, 1))
    books.add("reps", rep_id="rep")
    books.quota("rep", "300000")  # 90 days: 45 and 45
    books.sell("first", "rep", "180000", "2025-02-10 12:00")
    books.sell("second", "rep", "120000", "2025-02-20 12:00")
    first, second = price(books, "first"), price(books, "second")
    assert first["added_pay_amount"] + second["added_pay_amount"] == total
    quota = 150_000 if policy == "segment_prorated" else 300_000
    assert (first["quota_amount"], second["quota_amount"]) == (quota, quota)


@pytest.mark.parametrize(("policy", "pay"), [("booking", 4320), ("plan_fixed", 4400), (None, 4320)])
def test_l_money_in_another_currency(policy: str | None, pay: int) -> None:
    books = firm([("0", "0.08")], fx_policy=policy)
    books.win("deal", "rep", "50000", "2025-02-10 12:00", currency="EUR")
    books.credit("deal", "rep", "50000", "2025-02-10 12:00", currency="EUR")
    for day, kind, rate in (("2025-02-10", "daily", "1.08"), ("2025-01-01", "plan", "1.10")):
        books.add("fx_rates", currency="EUR", rate_date=at(day).date(), kind=kind, rate_to_reporting=rate)
    assert price(books, "deal")["added_pay_amount"] == pay


def test_m_a_spiff() -> None:
    books = firm([("0", "0.08")])
    books.sell("deal", "rep", "20000", "2025-02-10 12:00")
    facts = {"valid_from": date(2025, 2, 1), "valid_to": date(2025, 3, 1), "recorded_at": at("2025-01-20")}
    books.add("spiffs", spiff_id="s", per="deal", amount="500", **facts)
    row = price(books, "deal")
    assert (row["emcr"], row["emcr_with_spiff"], row["spiff_amount"]) == (F("0.08"), F("0.105"), 500)


@pytest.mark.parametrize(("retroactive", "rate"), [(False, 0.096052), (True, 0.289386)])
def test_n_forward(retroactive: bool, rate: float) -> None:
    curve = Curve(tuple((F(a), F(r), F(0)) for a, r in P), retroactive=retroactive)
    quota = F(250_000)

    def line(s: Fraction) -> Fraction:
        return curve.pay(s, quota)

    points = turns(line, curve.thresholds(quota), Bounds())
    up, down = (expect(line, points, 245_000 + shift, 20_000) for shift in (0.5, -0.5))
    assert up - down == pytest.approx(rate, abs=5e-7)


# ---- plans whose components hang together, worked by hand
def parts(books: Books, tiers: dict[str, list[tuple[str, str]]], **components: dict[str, Any]) -> None:
    """A plan of several components; quotas of 100,000 for the first quarter."""
    base = {"plan_id": "plan", "version": 1, "recorded_at": LONG_AGO}
    facts = {
        "valid_from": date(2020, 1, 1),
        "period": "quarter",
        "currency": "USD",
        "timezone": "America/New_York",
    }
    books.add("plans", **base, **facts, tier_method="incremental", **components.pop("plan", {}))
    for name, stated in components.items():
        books.add("plan_components", **base, component=name, **{"measure": "revenue", "weight": 1, **stated})
        for tier, (edge, rate) in enumerate(tiers.get(name, []), start=1):
            books.add("plan_tiers", **base, component=name, tier=tier, from_attainment=edge, rate=rate)
    books.seller("rep", "plan")
    for name in components:
        books.quota("rep", "100000", component=name)


def credit(books: Books, deal: str, closed: str, **amounts: str) -> None:
    books.win(deal, "rep", next(iter(amounts.values())), closed)
    for component, amount in amounts.items():
        books.credit(deal, "rep", amount, closed, component=component, credit_id=f"{deal}/{component}")


def rows_of(books: Books, deal: str, *components: str, final: bool = False) -> list[dict[str, Any]]:
    reference = Reference(books)
    return [reference.price(deal, "rep", component, "primary", final=final) for component in components]


def test_a_deal_that_opens_the_gate_releases_pay_in_the_row_of_the_gate() -> None:
    books = Books()
    gate = {"combine": "gate", "gate_attainment": "0.5"}
    parts(books, {"commission": [("0", "0.10")]}, commission={}, margin=gate)
    credit(books, "closed", "2025-01-10 12:00", commission="40000", margin="20000")
    credit(books, "opens", "2025-01-20 12:00", commission="20000", margin="40000")
    credit(books, "open", "2025-01-30 12:00", commission="10000")
    assert [r["added_pay"] for r in rows_of(books, "closed", "commission", "margin")] == [0, 0]
    released = rows_of(books, "opens", "commission", "margin")
    assert [(r["added_pay"], r["emcr"], r["is_pivotal"]) for r in released] == [
        (0, 0, False),
        (6000, F("0.15"), True),
    ]
    assert [r["relative_null_reason"] for r in released] == ["base_rate_zero", "base_rate_zero"]
    (after,) = rows_of(books, "open", "commission")
    assert (after["added_pay"], after["relative_intensity"]) == (1000, 1)


def test_a_measured_factor_is_the_last_one_known() -> None:
    books = Books()
    factor = {"combine": "multiplicative", "measure": "quality"}
    tiers = {"commission": [("0", "0.10")], "quality": [("0", "0.5"), ("0.8", "1.5")]}
    parts(books, tiers, commission={}, quality=factor)
    credit(books, "deal", "2025-02-10 12:00", commission="20000")
    assert rows_of(books, "deal", "commission")[0]["null_reason"] == "component_result_not_known"
    assert rows_of(books, "deal", "commission", final=True)[0]["null_reason"] == "no_component_result"
    books.quota(
        "rep", "100000", component="quality", period_start=date(2024, 10, 1), period_end=date(2025, 1, 1)
    )
    result = {"rep_id": "rep", "component": "quality"}
    books.add(
        "component_results",
        **result,
        period_start=date(2024, 10, 1),
        achieved="60000",
        recorded_at=at("2025-01-09"),
    )
    books.add(
        "component_results",
        **result,
        period_start=date(2025, 1, 1),
        achieved="90000",
        recorded_at=at("2025-04-09"),
    )
    # 0.6 x 0.5 = 0.30, then 0.8 x 0.5 + 0.1 x 1.5 = 0.55
    assert rows_of(books, "deal", "commission")[0]["added_pay"] == 600
    assert rows_of(books, "deal", "commission", final=True)[0]["added_pay"] == 1100


def test_two_credited_factors_multiply_the_target() -> None:
    books = Books()
    factor = {"combine": "multiplicative"}
    parts(books, {"a": [("0", "1")], "b": [("0", "1"), ("0.5", "2")]}, a=factor, b=factor)
    books.rows["plan_assignments"][0]["target_incentive"] = "40000"
    credit(books, "first", "2025-01-10 12:00", a="50000", b="40000")
    credit(books, "second", "2025-01-20 12:00", a="20000", b="20000")
    # 40,000 x 0.5 x 0.4 = 8,000; a to 0.7: 11,200; b to 0.5 + 0.1 x 2 = 0.7: 19,600
    assert [r["added_pay"] for r in rows_of(books, "first", "a", "b")] == [0, 8000]
    assert [r["added_pay"] for r in rows_of(books, "second", "a", "b")] == [3200, 8400]
    # base of a: 40,000 x 0.4 x 1 / 100,000; of b: 40,000 x 0.7 x (0.5 + 0.5 x 2) / 100,000
    assert [r["base_rate"] for r in rows_of(books, "second", "a", "b")] == [F("0.16"), F("0.42")]


def test_a_cap_binds_over_products_and_over_components() -> None:
    books = Books()
    books.plan("plan", [("0", "0.10")], cap="5000")
    books.tier("plan", 11, "0", "0.20", product_id="box")
    books.seller("rep", "plan", "100000")
    books.sell("bag", "rep", "30000", "2025-01-10 12:00")
    books.win("box", "rep", "20000", "2025-01-20 12:00", product_id="box")
    books.credit("box", "rep", "20000", "2025-01-20 12:00")
    assert [price(books, deal)["added_pay"] for deal in ("bag", "box")] == [3000, 2000]
    books = Books()
    parts(
        books,
        {"commission": [("0", "0.10")], "margin": [("0", "0.05")]},
        commission={},
        margin={},
        plan={"cap": "5000"},
    )
    credit(books, "first", "2025-01-10 12:00", commission="30000", margin="30000")
    credit(books, "second", "2025-01-20 12:00", commission="10000", margin="10000")
    assert [r["added_pay"] for r in rows_of(books, "first", "commission", "margin")] == [3000, 1500]
    assert [r["added_pay"] for r in rows_of(books, "second", "commission", "margin")] == [500, 0]


def test_a_forecast_without_doubt_is_the_slope_at_the_end_of_the_period() -> None:
    books = firm()
    for year, month in ((2024, 1), (2024, 4), (2024, 7), (2024, 10)):
        start, end = date(year, month, 1), date(year + month // 10, (month + 2) % 12 + 1, 1)
        books.quota("rep", "100000", period_start=start, period_end=end)
        books.sell(f"early {month}", "rep", "50000", f"{year}-{month:02d}-05 12:00")
        books.sell(f"late {month}", "rep", "30000", f"{year}-{month + 2:02d}-25 12:00")
    books.sell("before", "rep", "150000", "2025-01-05 12:00")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    # 30 % of the quota always came after that day: from 225,000 to 265,000
    assert price(books, "deal")["emcr_forward"] == pytest.approx((25_000 * 0.08 + 15_000 * 0.12) / 40_000)
    assert price(books, "late 7")["forward_null_reason"] == "no_history"


def test_above_a_dozen_deals_of_a_day_every_credit_between_is_tried() -> None:
    books = firm(quota="100000", tier_method="retroactive")
    books.sell("before", "rep", "90000", "2025-01-05 12:00")
    for i in range(14):
        books.sell(f"d{i:02d}", "rep", "1000", "2025-02-10 05:00", closed_time_known=False)
    books.sell("deal", "rep", "1500", "2025-02-10 05:00", closed_time_known=False)
    row = price(books, "deal")
    # first in canonical order after 14: 104,000 -> 0.12; at 98,500 to 100,000 it jumps: 12,000 - 7,880
    assert row["many_others"]
    assert (row["emcr"], row["emcr_lowest"]) == (F("0.12"), F("0.08"))
    at_the_edge = [
        F(round((F("0.12") * (s + 1500) - F("0.08") * s) / 1500 * 10**8), 10**8)
        for s in (98_500, F("99999.99"))
    ]
    assert row["emcr_highest"] == max(at_the_edge)
