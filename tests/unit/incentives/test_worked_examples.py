"""The worked examples of 02-commission, from source rows to `deal_incentives`."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from pay_company import Books, at

from assets.incentives.deal_exposures import deal_exposures
from assets.incentives.deal_prices import price_deals

P = [("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")]
VENDOR = [("0", "0.06"), ("1", "0.08"), ("1.5", "0.10")]


def pay_for(books: Books, attained: list[str], quota: str) -> list[Decimal]:
    """C(s) of each s: one seller with one deal each, all on the plan `plan` with the same quota."""
    for i, s in enumerate(attained):
        books.seller(f"rep{i}", "plan", quota)
        books.sell(f"deal{i}", f"rep{i}", s, "2025-02-10 12:00")
    priced = books.priced()
    return [priced[f"deal{i}", f"rep{i}"]["added_pay_amount"] for i in range(len(attained))]


def money(*texts: str) -> list[Decimal]:
    return [Decimal(t) for t in texts]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("incremental", money("8000", "19999.92", "20000", "26000", "39000")),
        ("retroactive", money("8000", "19999.92", "30000", "36000", "64000")),
    ],
    ids=["A", "B"],
)
def test_plan_p_pays(method: str, expected: list[Decimal]) -> None:
    books = Books()
    books.plan("plan", P, tier_method=method)
    assert pay_for(books, ["100000", "249999", "250000", "300000", "400000"], "250000") == expected


@pytest.mark.parametrize(
    ("method", "pay", "emcr", "relative"),
    [("incremental", "4000", 0.10, 1.25), ("retroactive", "14000", 0.35, 4.375)],
)
def test_example_c_a_deal_over_the_quota(method: str, pay: str, emcr: float, relative: float) -> None:
    books = Books()
    books.plan("plan", P, tier_method=method)
    books.seller("rep", "plan", "250000")
    books.sell("before", "rep", "230000", "2025-01-05 12:00")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    assert row["added_pay_amount"] == Decimal(pay)
    assert (row["emcr_as_known"], row["relative_intensity"]) == (emcr, relative)
    assert row["is_pivotal"]
    assert (row["distance_to_threshold"], row["attainment_before"], row["attainment_after"]) == (
        0.08,
        0.92,
        1.08,
    )
    assert row["emcr_lowest"] == row["emcr_highest"] == row["emcr_as_final"] == emcr
    assert row["days_to_period_end"] == 18 + 31  # left in February, and in March


@pytest.mark.parametrize(
    ("method", "expected"),
    [("incremental", money("6800", "11000")), ("retroactive", money("8800", "16000"))],
)
def test_example_d_a_vendors_plan(method: str, expected: list[Decimal]) -> None:
    books = Books()
    books.plan("plan", VENDOR, tier_method=method)
    assert pay_for(books, ["110000", "160000"], "100000") == expected


def test_example_e_tiers_in_money() -> None:
    books = Books()
    books.plan("plan", [("0", "0.05"), ("1", "0.06"), ("1.25", "0.07")])
    books.seller("rep", "plan", "100000")
    books.sell("deal", "rep", "150000", "2025-02-10 12:00")
    assert books.priced()["deal", "rep"]["added_pay_amount"] == Decimal(8250)


def test_example_f_a_cap_binds() -> None:
    books = Books()
    books.plan("plan", P, cap="30000")
    books.seller("rep", "plan", "250000")
    books.sell("to 320k", "rep", "320000", "2025-01-05 12:00")
    books.sell("to 360k", "rep", "40000", "2025-02-05 12:00")
    books.sell("beyond", "rep", "40000", "2025-03-05 12:00")
    priced = books.priced()
    assert priced["to 320k", "rep"]["added_pay_amount"] == Decimal(28400)
    assert priced["to 360k", "rep"]["added_pay_amount"] == Decimal(1600)
    assert priced["to 360k", "rep"]["emcr_as_known"] == 0.04
    assert priced["beyond", "rep"]["emcr_as_known"] == 0


def test_example_g_a_gate_from_the_first_unit_and_a_bonus() -> None:
    books = Books()
    books.plan("plan", [("0", "0.05"), ("1", "0.05", "6000")], gate_attainment="0.6", gate_from="first_unit")
    wanted = {"119999": "0", "120000": "6000", "199999": "9999.95", "200000": "16000"}
    for s in wanted:
        books.seller(s, "plan", "200000")
        books.sell(s, s, s, "2025-02-10 12:00")
    priced = books.priced()
    assert {s: priced[s, s]["added_pay_amount"] for s in wanted} == {s: Decimal(w) for s, w in wanted.items()}


def test_example_j_a_split_deal_with_an_engineer() -> None:
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
    mart = price_deals(books.tables())
    rows = {row["rep_id"]: row for row in mart.filter(opportunity_id="X").collect().iter_rows(named=True)}
    assert {rep: row["added_pay_amount"] for rep, row in rows.items()} == {
        "A": Decimal(6400),
        "B": Decimal(3200),
        "E": Decimal(2000),
    }
    assert rows["E"]["attainment_before"] is None
    assert rows["E"]["emcr_as_known"] == 0.02
    deal = deal_exposures(mart).filter(opportunity_id="X").collect().row(0, named=True)
    assert deal["emcr"] == 0.096
    assert deal["relative_intensity"] == 1.2
    assert deal["incentive_cost_share"] == 0.116
    assert (deal["rep_id"], deal["plan_id"], deal["is_pivotal"], deal["null_reason"]) == (
        "A",
        "plan",
        True,
        None,
    )


@pytest.mark.parametrize(("policy", "pay"), [("booking", "4320"), ("plan_fixed", "4400"), (None, "4320")])
def test_example_l_money_in_another_currency(policy: str | None, pay: str) -> None:
    books = Books()
    books.plan("plan", [("0", "0.08")], fx_policy=policy)
    books.seller("rep", "plan", "250000")
    books.win("deal", "rep", "50000", "2025-02-10 12:00", currency="EUR")
    books.credit("deal", "rep", "50000", "2025-02-10 12:00", currency="EUR")
    for day, kind, rate in (("2025-02-10", "daily", "1.08"), ("2025-01-01", "plan", "1.10")):
        books.add("fx_rates", currency="EUR", rate_date=at(day).date(), kind=kind, rate_to_reporting=rate)
    row = books.priced()["deal", "rep"]
    assert row["added_pay_amount"] == Decimal(pay)
    assert row["emcr_as_known"] == 0.08


def test_example_m_a_spiff() -> None:
    books = Books()
    books.plan("plan", [("0", "0.08")])
    books.seller("rep", "plan", "250000")
    books.sell("deal", "rep", "20000", "2025-02-10 12:00")
    books.add(
        "spiffs", spiff_id="s", valid_from=at("2025-02-01").date(), valid_to=at("2025-03-01").date(), per="deal",
        amount="500", recorded_at=at("2025-01-20"),
    )  # fmt: skip
    row = books.priced()["deal", "rep"]
    assert (row["emcr_as_known"], row["emcr_with_spiff"], row["spiff_amount"]) == (0.08, 0.105, Decimal(500))
    deal = deal_exposures(price_deals(books.tables())).collect().row(0, named=True)
    assert (deal["emcr"], deal["emcr_with_spiff"], deal["incentive_cost_share"]) == (0.08, 0.105, 0.105)


def test_without_a_credits_table_every_win_credits_its_seller() -> None:
    books = Books(credited=False)
    books.plan("plan", P)
    books.seller("rep", "plan", "250000")
    books.sell("before", "rep", "230000", "2025-01-05 12:00")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    assert (row["component"], row["credit_type"], row["split_weight"]) == (
        "commission",
        "primary",
        Decimal(1),
    )
    assert row["emcr_as_known"] == row["emcr_as_final"] == 0.10


def test_the_mart_has_its_contracts_columns() -> None:
    from expectations.contracts.incentives import DEAL_INCENTIVES

    books = Books()
    books.plan("plan", P)
    books.seller("rep", "plan", "250000")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    mart = price_deals(books.tables()).collect()
    assert mart.schema == DEAL_INCENTIVES.schema
    broken = mart.select(pl.any_horizontal(rule.broken.any() for rule in DEAL_INCENTIVES.rules))
    assert not broken.item()
