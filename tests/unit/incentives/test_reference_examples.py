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
