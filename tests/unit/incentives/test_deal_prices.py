"""Rules of 10-definitions one by one: what was known, which day, which period, and why an exposure is null."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from pay_company import LONG_AGO, Books, Row, at

from assets.incentives.deal_exposures import deal_exposures
from assets.incentives.deal_prices import price_deals

P = [("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")]


def firm(quota: str | None = "250000", *, credited: bool = True, **facts: object) -> Books:
    books = Books(credited=credited)
    books.plan("plan", P, **facts)
    books.seller("rep", "plan", quota)
    return books


def deal_of(books: Books, deal: str = "deal") -> Row:
    return (
        deal_exposures(price_deals(books.tables())).filter(opportunity_id=deal).collect().row(0, named=True)
    )


# ---- what was known ---------------------------------------------------------------------------------------------------
def test_a_credit_recorded_after_the_close_counts_as_final_only() -> None:
    books = firm()
    books.sell("before", "rep", "230000", "2025-01-05 12:00", recorded_at=at("2025-02-20"))
    books.rows["credits"][-1]["recorded_at"] = at("2025-02-20")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    assert (row["emcr_as_known"], row["emcr_as_final"]) == (0.08, 0.10)
    assert (row["attainment_before"], row["attainment_before_final"]) == (0, 0.92)


def test_a_seller_knows_a_win_before_its_credit_is_recorded() -> None:
    books = firm()
    books.win("before", "rep", "460000", "2025-01-05 12:00")
    # half of 460,000 until the credit says otherwise
    books.credit(
        "before", "rep", "100000", "2025-01-05 12:00", split_weight="0.5", recorded_at=at("2025-02-20")
    )
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    assert (row["attainment_before"], row["attainment_before_final"]) == (0.92, 0.4)
    assert (row["emcr_as_known"], row["emcr_as_final"]) == (0.10, 0.08)


def test_the_deals_own_credit_is_taken_as_first_recorded() -> None:
    books = firm()
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    books.rows["credits"][-1]["recorded_at"] = at("2025-02-25")
    correction = {**books.rows["credits"][-1], "credited_amount": "300000", "recorded_at": at("2025-03-20")}
    books.rows["credits"].append(correction)
    row = books.priced()["deal", "rep"]
    assert (row["credited_amount"], row["credited_amount_final"]) == (Decimal(40_000), Decimal(300_000))
    assert row["emcr_as_known"] == 0.08
    assert row["emcr_as_final"] == round(26_000 / 300_000, 8)


def test_a_credit_moved_after_the_close_has_two_rows() -> None:
    books = firm()
    books.seller("heir", "plan", "250000")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    books.rows["credits"].append(
        {**books.rows["credits"][-1], "rep_id": "heir", "recorded_at": at("2025-03-20")}
    )
    rows = books.priced()
    assert (rows["deal", "rep"]["emcr_as_known"], rows["deal", "rep"]["emcr_as_final"]) == (0.08, None)
    assert (rows["deal", "heir"]["emcr_as_known"], rows["deal", "heir"]["emcr_as_final"]) == (None, 0.08)
    assert rows["deal", "heir"]["null_reason"] == "credited_later"
    deal = deal_of(books)
    assert (deal["emcr"], deal["emcr_as_final"], deal["rep_id"]) == (0.08, 0.08, "rep")


def test_a_quota_first_recorded_after_the_close_is_not_known() -> None:
    books = firm(quota=None)
    books.quota("rep", "250000", recorded_at=at("2025-02-11"))
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    assert (row["emcr_as_known"], row["null_reason"], row["emcr_as_final"]) == (None, "quota_not_known", 0.08)


def test_what_was_recorded_at_the_very_close_was_known() -> None:
    books = firm(quota=None)
    books.quota("rep", "250000", recorded_at=at("2025-02-10 12:00"))
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    assert books.priced()["deal", "rep"]["emcr_as_known"] == 0.08


def test_a_deals_own_credit_booked_ahead_of_it_is_not_before_it() -> None:
    books = firm()
    books.win("deal", "rep", "230000", "2025-02-10 12:00", recorded_at=at("2025-02-12"))
    books.credit("deal", "rep", "230000", "2025-02-10 05:00")
    books.sell("next", "rep", "40000", "2025-02-11 12:00")
    rows = books.priced()
    assert (rows["deal", "rep"]["attainment_before"], rows["deal", "rep"]["emcr_as_known"]) == (0, 0.08)
    assert rows["next", "rep"]["attainment_before"] == 0.92


def test_a_raised_quota_counts_from_the_day_it_was_recorded() -> None:
    books = firm(quota="250000")
    books.quota("rep", "400000", recorded_at=at("2025-02-01"))
    books.sell("january", "rep", "1000", "2025-01-20 12:00")
    books.sell("february", "rep", "1000", "2025-02-20 12:00")
    rows = books.priced()
    assert rows["january", "rep"]["quota_amount"] == Decimal(250_000)
    assert rows["february", "rep"]["quota_amount"] == Decimal(400_000)


def test_a_plan_recorded_after_the_close_is_not_known() -> None:
    books = Books()
    books.plan("plan", P)
    books.seller("rep", "plan", "250000", recorded_at=at("2025-03-01"))
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    assert (row["emcr_as_known"], row["null_reason"], row["emcr_as_final"]) == (None, "plan_not_known", 0.08)


# ---- which plan, period and day ---------------------------------------------------------------------------------------
def test_missing_and_overlapping_plans_have_no_price() -> None:
    books = firm()
    books.plan("other", P)
    books.add("reps", rep_id="nobody")
    books.seller("torn", "plan", "250000")
    books.seller("torn", "other")
    for rep in ("nobody", "torn"):
        books.sell(f"deal {rep}", rep, "40000", "2025-02-10 12:00")
    rows = books.priced()
    for rep in ("nobody", "torn"):
        row = rows[f"deal {rep}", rep]
        assert (row["emcr_as_known"], row["null_reason"], row["plan_id"]) == (None, "no_plan", None)


def test_the_last_evening_of_march_in_new_york_is_march() -> None:
    books = firm()
    books.quota("rep", "100000", period_start=date(2025, 4, 1), period_end=date(2025, 7, 1))
    books.sell("march", "rep", "40000", "2025-04-01 03:30")  # 23:30 on 31 March in New York
    books.sell("april", "rep", "40000", "2025-04-01 04:30")
    rows = books.priced()
    march, april = rows["march", "rep"], rows["april", "rep"]
    assert (march["plan_closed_on"], march["days_to_period_end"]) == (date(2025, 3, 31), 0)
    assert (april["plan_closed_on"], april["days_to_period_end"]) == (date(2025, 4, 1), 90)
    assert (march["quota_amount"], april["quota_amount"]) == (Decimal(250_000), Decimal(100_000))
    assert april["attainment_before"] == 0


def test_a_day_without_a_time_is_the_companys_day() -> None:
    books = firm(timezone="America/Los_Angeles")
    # a pure date: midnight in New York, the day before in Los Angeles
    books.sell("deal", "rep", "40000", "2025-02-10 05:00", closed_time_known=False)
    assert books.priced()["deal", "rep"]["plan_closed_on"] == date(2025, 2, 10)


def test_the_quota_row_decides_the_period_whatever_the_plan_says() -> None:
    books = firm(quota=None, period="month")
    books.quota("rep", "100000", period_start=date(2025, 1, 6), period_end=date(2025, 2, 17))
    books.sell("before", "rep", "95000", "2025-01-07 12:00")
    books.sell("deal", "rep", "10000", "2025-02-16 12:00")
    row = books.priced()["deal", "rep"]
    assert (row["period_start"], row["period_end"], row["days_to_period_end"]) == (
        date(2025, 1, 6),
        date(2025, 2, 17),
        0,
    )
    assert row["emcr_as_known"] == 0.10


@pytest.mark.parametrize(
    ("period", "first_month", "start", "end"),
    [
        ("month", None, date(2025, 2, 1), date(2025, 3, 1)),
        ("quarter", None, date(2025, 1, 1), date(2025, 4, 1)),
        ("quarter", 2, date(2025, 2, 1), date(2025, 5, 1)),
        ("half", 4, date(2024, 10, 1), date(2025, 4, 1)),
        ("year", 7, date(2024, 7, 1), date(2025, 7, 1)),
    ],
)
def test_without_quotas_the_plan_makes_periods(
    period: str, first_month: int | None, start: date, end: date
) -> None:
    books = Books()
    books.plan("plan", [("0", "0.08")], period=period, fiscal_start_month=first_month)
    books.seller("rep", "plan")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    assert (row["period_start"], row["period_end"]) == (start, end)
    # one tier needs no quota
    assert (row["emcr_as_known"], row["attainment_before"], row["null_reason"]) == (0.08, None, None)


def test_a_cash_plan_counts_the_credit_when_it_is_paid() -> None:
    books = firm(credit_event="cash")
    books.quota("rep", "100000", period_start=date(2025, 4, 1), period_end=date(2025, 7, 1))
    books.win("deal", "rep", "90000", "2025-02-10 12:00")
    books.credit("deal", "rep", "90000", "2025-04-10 12:00", recorded_at=at("2025-02-10 12:00"))
    books.win("next", "rep", "20000", "2025-04-12 12:00")
    books.credit("next", "rep", "20000", "2025-04-12 12:00")
    rows = books.priced()
    deal = rows["deal", "rep"]
    assert (deal["quota_amount"], deal["period_shifted"]) == (Decimal(250_000), True)
    # as known `next` stands alone in its quarter; as final 90,000 came before it
    assert (rows["next", "rep"]["emcr_as_known"], rows["next", "rep"]["emcr_as_final"]) == (0.08, 0.10)
    assert not rows["next", "rep"]["period_shifted"]


@pytest.mark.parametrize(
    ("second", "pay", "emcr", "shifted"),
    # 20,000 x 8 % + 40,000 x 12 % in the first quarter; then 20,000 x 8 % + 20,000 x 12 % in the second, or 40,000 x 12 % in the first
    [("2025-04-20 12:00", 6400 + 4000, 0.104, False), ("2025-03-20 12:00", 6400 + 4800, 0.112, False)],
)
def test_instalments_are_paid_where_each_counts(second: str, pay: int, emcr: float, *, shifted: bool) -> None:
    books = firm(credit_event="cash")
    books.quota("rep", "50000", period_start=date(2025, 4, 1), period_end=date(2025, 7, 1))
    books.sell("before", "rep", "230000", "2025-01-05 12:00")
    books.sell("spring", "rep", "30000", "2025-04-05 12:00")
    books.win("deal", "rep", "100000", "2025-02-10 12:00")
    for name, amount, paid in (("a", "60000", "2025-03-10 12:00"), ("b", "40000", second)):
        books.credit("deal", "rep", amount, paid, credit_id=name, recorded_at=at("2025-02-10 12:00"))
    row = books.priced()["deal", "rep"]
    assert (row["added_pay_amount_final"], row["emcr_as_final"], row["period_shifted"]) == (
        pay,
        emcr,
        shifted,
    )
    # at the close the whole deal counts: 20,000 x 8 % + 80,000 x 12 %
    assert (row["added_pay_amount"], row["emcr_as_known"]) == (11_200, 0.112)


@pytest.mark.parametrize("lost_in", ["2025-02-28 12:00", "2025-05-20 12:00"])
def test_credit_of_a_deal_no_longer_won_stands_when_it_was_credited(lost_in: str) -> None:
    books = firm()
    books.quota("rep", "250000", period_start=date(2025, 4, 1), period_end=date(2025, 7, 1))
    books.sell("gone", "rep", "230000", "2025-01-20 12:00")
    books.win("gone", "rep", "230000", lost_in, is_won=False, recorded_at=at("2025-02-05 12:00"))
    books.sell("first", "rep", "40000", "2025-02-10 12:00")
    books.sell("second", "rep", "40000", "2025-05-25 12:00")
    rows = books.priced()
    # the day on which it was lost is no day of credit, neither as known nor as final
    for now in ("attainment_before", "attainment_before_final"):
        assert (rows["first", "rep"][now], rows["second", "rep"][now]) == (0.92, 0)
    assert rows["first", "rep"]["emcr_as_known"] == rows["first", "rep"]["emcr_as_final"] == 0.10


# ---- why an exposure is null ------------------------------------------------------------------------------------------
def test_a_return_changes_the_attainment_but_is_no_sale() -> None:
    books = firm()
    books.sell("before", "rep", "260000", "2025-01-05 12:00")
    books.sell("return", "rep", "-30000", "2025-01-20 12:00")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    rows = books.priced()
    assert (rows["return", "rep"]["emcr_as_known"], rows["return", "rep"]["null_reason"]) == (
        None,
        "not_a_sale",
    )
    assert rows["deal", "rep"]["attainment_before"] == 0.92
    assert rows["deal", "rep"]["emcr_as_known"] == 0.10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: b.rows["quotas"].clear(), "no_quota"),
        (lambda b: b.rows["quotas"][0].update(amount="0"), "quota_not_positive"),
        (lambda b: b.rows["plan_tiers"].clear(), "no_component"),
        (lambda b: b.rows["opportunities"].clear(), "no_deal"),
        (lambda b: b.rows["opportunities"][0].update(is_won=False), "not_won"),
        (lambda b: b.rows["opportunities"][0].update(closed_at=None), "no_close"),
        (lambda b: b.rows["credits"][0].update(currency="EUR"), "no_fx_rate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_null_exposure_says_why(change: object, reason: str) -> None:
    books = firm()
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    change(books)  # type: ignore[operator]
    row = books.priced()["deal", "rep"]
    assert (row["emcr_as_known"], row["null_reason"]) == (None, reason)


def test_a_win_without_an_amount_has_no_price_and_adds_nothing() -> None:
    books = firm(credited=False)
    books.win("unknown", "rep", None, "2025-01-05 12:00")
    books.win("deal", "rep", "40000", "2025-02-10 12:00")
    rows = books.priced()
    assert (rows["unknown", "rep"]["emcr_as_known"], rows["unknown", "rep"]["null_reason"]) == (
        None,
        "no_amount",
    )
    assert rows["deal", "rep"]["emcr_as_known"] == 0.08


def test_a_rate_serves_seven_days() -> None:
    books = firm()
    books.add("fx_rates", currency="EUR", rate_date=date(2025, 2, 1), kind="daily", rate_to_reporting="1.08")
    for day in ("08", "09"):
        books.win(day, "rep", "100", f"2025-02-{day} 12:00", currency="EUR")
        books.credit(day, "rep", "100", f"2025-02-{day} 12:00", currency="EUR")
    books.sell("after", "rep", "40000", "2025-02-20 12:00")
    rows = books.priced()
    assert (rows["08", "rep"]["credited_amount"], rows["08", "rep"]["emcr_as_known"]) == (Decimal(108), 0.08)
    assert (rows["09", "rep"]["credited_amount"], rows["09", "rep"]["null_reason"]) == (None, "no_fx_rate")
    # what came before is unknown by 100 EUR
    assert (rows["after", "rep"]["emcr_as_known"], rows["after", "rep"]["null_reason"]) == (
        None,
        "credit_before_unknown",
    )


def test_a_plan_without_pay_below_quota_has_no_relative_intensity() -> None:
    books = Books()
    books.plan("plan", [("0", "0"), ("1", "0.10")])
    books.seller("rep", "plan", "100000")
    books.sell("deal", "rep", "110000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    assert (row["emcr_as_known"], row["relative_intensity"]) == (round(1_000 / 110_000, 8), None)
    assert row["null_reason"] == "base_rate_zero"


# ---- components, bases, bounds ----------------------------------------------------------------------------------------
def test_components_of_one_deal_add_up() -> None:
    books = firm()
    base = {"plan_id": "plan", "version": 1, "recorded_at": LONG_AGO}
    books.add("plan_tiers", **base, component="margin", tier=1, from_attainment="0", rate="0.05")
    books.win("deal", "rep", "40000", "2025-02-10 12:00")
    books.credit("deal", "rep", "40000", "2025-02-10 12:00")
    books.credit("deal", "rep", "40000", "2025-02-10 12:00", component="margin", credit_id="margin")
    deal = deal_of(books)
    assert (deal["emcr"], deal["base_rate"], deal["relative_intensity"]) == (0.13, 0.13, 1)


def test_a_null_primary_seller_makes_the_deal_null() -> None:
    books = firm()
    books.add("reps", rep_id="nobody")
    books.win("deal", "rep", "40000", "2025-02-10 12:00")
    books.credit("deal", "rep", "20000", "2025-02-10 12:00", split_weight="0.5")
    books.credit("deal", "nobody", "20000", "2025-02-10 12:00", split_weight="0.5")
    deal = deal_of(books)
    assert (deal["emcr"], deal["null_reason"], deal["rep_id"]) == (None, "no_plan", "nobody")


def test_sellers_paid_in_two_currencies_meet_in_one() -> None:
    books = firm()
    books.plan("euro", [("0", "0.10")], currency="EUR")
    books.seller("abroad", "euro")
    books.win("deal", "rep", "100000", "2025-02-10 12:00")
    books.credit("deal", "rep", "60000", "2025-02-10 12:00", split_weight="0.6", currency="USD")
    books.credit("deal", "abroad", "40000", "2025-02-10 12:00", split_weight="0.4", currency="USD")
    assert deal_of(books)["null_reason"] == "no_fx_rate"
    books.add("fx_rates", currency="EUR", rate_date=date(2025, 2, 7), kind="daily", rate_to_reporting="1.25")
    abroad = books.priced()["deal", "abroad"]
    assert (abroad["credited_amount"], abroad["added_pay_amount"]) == (Decimal(32_000), Decimal(3_200))
    deal = deal_of(books)
    # 4,800 USD and 3,200 EUR = 4,000 USD on 100,000 USD
    assert (deal["emcr"], deal["incentive_cost_share"]) == (0.088, 0.088)


def test_a_share_of_target_pay_becomes_money() -> None:
    books = firm()
    books.rows["plan_assignments"][0]["target_incentive"] = "50000"
    base = {"plan_id": "plan", "version": 1, "recorded_at": LONG_AGO}
    books.add(
        "plan_components",
        **base,
        component="commission",
        measure="revenue",
        weight="0.6",
        rate_basis="target",
    )
    for row, rate in zip(books.rows["plan_tiers"], ("1", "1.5", "2"), strict=True):
        row["rate"] = rate
    books.sell("before", "rep", "230000", "2025-01-05 12:00")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    row = books.priced()["deal", "rep"]
    # 50,000 x 0.6 x (20,000 x 1 + 20,000 x 1.5) / 250,000 = 6,000
    assert row["added_pay_amount"] == Decimal(6_000)
    assert (row["emcr_as_known"], row["base_rate"], row["relative_intensity"]) == (0.15, 0.12, 1.25)


def test_orders_of_a_day_bound_the_exposure() -> None:
    books = firm()
    books.sell("a", "rep", "230000", "2025-02-10 05:00", closed_time_known=False)
    books.sell("b", "rep", "40000", "2025-02-10 05:00", closed_time_known=False)
    rows = books.priced()
    first, second = rows["a", "rep"], rows["b", "rep"]
    # alone: 0.08; after 40,000: 20,000 of 230,000 at 0.12
    assert (first["emcr_as_known"], first["emcr_lowest"]) == (0.08, 0.08)
    assert first["emcr_highest"] == round((210_000 * 0.08 + 20_000 * 0.12) / 230_000, 8)
    assert (second["emcr_as_known"], second["emcr_lowest"], second["emcr_highest"]) == (0.10, 0.08, 0.10)


def test_real_times_leave_no_doubt_about_the_order() -> None:
    books = firm()
    books.sell("a", "rep", "230000", "2025-02-10 12:00")
    books.sell("b", "rep", "40000", "2025-02-10 13:00")
    row = books.priced()["b", "rep"]
    assert row["emcr_lowest"] == row["emcr_highest"] == row["emcr_as_known"] == 0.10


def test_a_spiff_must_fit_and_be_known_and_be_no_contest() -> None:
    books = firm()
    books.win("deal", "rep", "40000", "2025-02-10 12:00", product_id="box")
    books.credit("deal", "rep", "40000", "2025-02-10 12:00", split_weight="1")
    fits = {
        "valid_from": date(2025, 2, 1),
        "valid_to": date(2025, 2, 11),
        "per": "deal",
        "amount": "100",
        "recorded_at": LONG_AGO,
    }
    wrong = {
        "over": {"valid_to": date(2025, 2, 10)}, "late": {"recorded_at": at("2025-02-11")}, "contest": {"is_contest": True},
        "plan": {"plan_id": "other"}, "team": {"team": "north"}, "product": {"product_id": "bag"},
    }  # fmt: skip
    for name, fault in wrong.items():
        books.add("spiffs", spiff_id=name, **{**fits, **fault})
    assert books.priced()["deal", "rep"]["spiff_amount"] == 0
    books.add("spiffs", spiff_id="fits", **fits, product_id="box")
    books.add("spiffs", spiff_id="share", **{**fits, "amount": None, "rate": "0.01"})
    row = books.priced()["deal", "rep"]
    assert (row["spiff_amount"], row["emcr_with_spiff"]) == (Decimal(500), 0.0925)


def test_pay_of_a_period_adds_up_to_the_cent() -> None:
    books = firm()
    for i in range(9):
        books.sell(f"d{i}", "rep", "33333.33", f"2025-01-{i + 10} 12:00")
    total = sum(row["added_pay_amount"] for row in books.priced().values())
    s = Decimal("33333.33") * 9
    assert total == (20_000 + (s - 250_000) * Decimal("0.12")).quantize(
        Decimal("0.01"), rounding="ROUND_HALF_UP"
    )


def test_row_order_does_not_change_the_bytes() -> None:
    books = firm()
    for i in range(6):
        books.sell(f"d{i}", "rep", "50000", "2025-02-10 05:00", closed_time_known=i % 2 == 0)
    order = ["opportunity_id", "rep_id", "component", "credit_type"]
    straight = price_deals(books.tables()).sort(order).collect()
    for rows in books.rows.values():
        rows.reverse()
    assert straight.equals(price_deals(books.tables()).sort(order).collect())
    assert straight.select(pl.struct(order).is_unique().all()).item()


# ---- forecasts of deals ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_known", [True, False])
def test_the_forecast_of_a_deal_weighs_its_sellers_by_their_credit(is_known: bool) -> None:
    books = Books()
    books.plan("flat", [("0", "0.08")])  # plans that need no quota: what comes is what is
    books.plan("low", [("0", "0.03")] if is_known else P)  # without history no forecast
    books.seller("A", "flat")
    books.seller("B", "low", "250000")
    books.win("deal", "A", "100000", "2025-02-10 12:00")
    books.credit("deal", "A", "60000", "2025-02-10 12:00", split_weight="0.6")
    books.credit("deal", "B", "40000", "2025-02-10 12:00", split_weight="0.4")
    deal = deal_of(books)
    assert deal["emcr_forward"] == (0.06 if is_known else None)
    assert deal["emcr"] == (0.06 if is_known else 0.08)
