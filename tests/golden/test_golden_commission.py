"""Worked examples A-J, M and N of ../shared/design/02-commission.md on the pure functions, to the cent."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from assets.methods.commission import PRICED_COLUMNS, Schedules, compile_schedules, price_positions
from assets.methods.exact import MONEY, RATE, pay_per_credit
from assets.methods.forward import expect_marginal_rate, shape_pay
from assets.methods.settlement import claw_back, settle_draws, share_clawed_back, share_unserved

P = [("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")]
QUOTA = "250000"


def plan(method: str, tiers: list[tuple[str, ...]], **facts: str) -> Schedules:
    key = {"plan_id": "X", "version": "1", "component": "commission"}
    text = {"gate_attainment": RATE, "cap": MONEY, "floor": MONEY, "gate_from": pl.String()}
    plans = pl.DataFrame({**key, "tier_method": method, **facts}).with_columns(
        pl.col(n).cast(text[n]) for n in facts
    )
    rows = pl.DataFrame(
        [(*key.values(), k, t[0], t[1], t[2] if len(t) > 2 else None) for k, t in enumerate(tiers, 1)],
        schema=[*key, "tier", "from_attainment", "rate", "lump_bonus"],
        orient="row",
    ).with_columns(pl.col("from_attainment", "rate").cast(RATE), pl.col("lump_bonus").cast(MONEY))
    return compile_schedules(plans, rows)


def price(schedules: Schedules, deals: list[tuple[str, str]], quota: str | None = QUOTA) -> pl.DataFrame:
    positions = pl.LazyFrame(
        {
            "row": range(len(deals)),
            "plan_id": "X",
            "version": "1",
            "component": "commission",
            "credit_before": [s for s, _ in deals],
            "credited_amount": [x for _, x in deals],
            "quota_amount": [quota] * len(deals),
        },
        schema_overrides={"quota_amount": pl.String},
    ).with_columns(pl.col("credit_before", "credited_amount", "quota_amount").cast(MONEY))
    return price_positions(positions, schedules).sort("row").collect()


def pay(schedules: Schedules, totals: list[str], quota: str = QUOTA) -> list[Decimal]:
    """C(s) at each credit."""
    return price(schedules, [(s, "1") for s in totals], quota)["pay_before"].to_list()


def money(*amounts: str) -> list[Decimal]:
    return [Decimal(a) for a in amounts]


A = ["100000", "249999", "250000", "300000", "400000"]


def test_a_incremental_pays_each_slice_at_its_own_rate() -> None:
    assert pay(plan("incremental", P), A) == money("8000", "19999.92", "20000", "26000", "39000")


def test_b_retroactive_pays_back_to_the_first_dollar() -> None:
    assert pay(plan("retroactive", P), A) == money("8000", "19999.92", "30000", "36000", "64000")


@pytest.mark.parametrize(
    ("method", "amount", "emcr", "relative"),
    [("incremental", "4000.00", 0.1, 1.25), ("retroactive", "14000.00", 0.35, 4.375)],
)
def test_c_a_deal_across_the_edge(method: str, amount: str, emcr: float, relative: float) -> None:
    deal = price(plan(method, P), [("230000", "40000")]).row(0, named=True)
    assert deal["pay_amount"] == Decimal(amount)
    assert deal["emcr"] == emcr
    assert deal["is_pivotal"] is True
    assert deal["distance_to_threshold"] == 0.08
    assert (deal["attainment_before"], deal["attainment_after"]) == (0.92, 1.08)
    assert deal["base_rate"] == 0.08
    assert deal["relative_intensity"] == relative
    assert deal["null_reason"] is None


def test_d_a_published_plan() -> None:
    tiers = [("0", "0.06"), ("1", "0.08"), ("1.5", "0.10")]
    assert pay(plan("incremental", tiers), ["110000", "160000"], "100000") == money("6800", "11000")
    assert pay(plan("retroactive", tiers), ["110000", "160000"], "100000") == money("8800", "16000")


def test_e_three_rates() -> None:
    assert pay(
        plan("incremental", [("0", "0.05"), ("1", "0.06"), ("1.25", "0.07")]), ["150000"], "100000"
    ) == money("8250")


def test_f_cap_binds_inside_a_tier() -> None:
    capped = plan("incremental", P, cap="30000")
    assert pay(capped, ["333333.33", "333333.34"]) == [Decimal("29999.9996"), Decimal(30000)]
    deals = price(capped, [("320000", "40000"), ("360000", "40000")])
    assert deals["pay_amount"].to_list() == money("1600", "0")
    assert deals["emcr"].to_list() == [0.04, 0.0]


def test_g_gate_from_the_first_dollar_and_a_bonus() -> None:
    gated = plan(
        "incremental", [("0", "0.05"), ("1", "0.05", "6000")], gate_attainment="0.6", gate_from="first_unit"
    )
    totals = ["119999", "120000", "199999", "200000"]
    assert pay(gated, totals, "200000") == money("0", "6000", "9999.95", "16000")


def test_h_draws() -> None:
    months = pl.LazyFrame(
        {
            "rep_id": ["a"] * 3 + ["b"] * 3,
            "period_start": [1, 2, 3] * 2,
            "earned_amount": ["1500", "5000", "9000"] * 2,
            "draw": ["4000"] * 6,
            "draw_kind": ["recoverable"] * 3 + ["non_recoverable"] * 3,
        }
    ).with_columns(pl.col("earned_amount", "draw").cast(MONEY))
    settled = settle_draws(months, ["rep_id"]).collect()
    recoverable, fixed = settled.filter(rep_id="a"), settled.filter(rep_id="b")
    assert recoverable["pay_amount"].to_list() == money("4000", "4000", "7500")
    assert recoverable["draw_balance"].to_list() == money("2500", "1500", "0")
    assert fixed["pay_amount"].sum() == Decimal(18000)


def test_i_clawback_by_schedule_and_pro_rata() -> None:
    cancelled = pl.DataFrame({"pay": ["6000"], "months": [4]}).with_columns(pl.col("pay").cast(MONEY))
    by_schedule = share_clawed_back(pl.col("months"), [(0, 1.0), (3, 0.5), (6, 0.25), (12, 0.0)])
    taken = cancelled.select(
        schedule=claw_back(pl.col("pay"), by_schedule),
        pro_rata=claw_back(pl.col("pay"), share_unserved(pl.col("months"), 12)),
    )
    assert taken.row(0) == (Decimal(-3000), Decimal(-4000))


def test_i2_recomputing_takes_more_than_the_original_rate() -> None:
    deal, without = price(plan("incremental", P), [("230000", "40000"), ("270000", "40000")])["pay_amount"]
    assert (deal, without) == (Decimal(4000), Decimal(4800))


def test_j_split_deal_with_an_overlay() -> None:
    a, b = price(plan("incremental", P), [("230000", "60000"), ("100000", "40000")]).rows(named=True)
    assert (a["pay_amount"], b["pay_amount"]) == (Decimal(6400), Decimal(3200))
    overlay = price(plan("incremental", [("0", "0.02")]), [("0", "100000")], None).row(0, named=True)
    assert overlay["pay_amount"] == Decimal(2000)
    assert overlay["attainment_before"] is None
    total = pl.DataFrame(
        {"primary": [a["added_pay"] + b["added_pay"]], "amount": [Decimal(100000)]},
        schema={"primary": pl.Decimal(38, 18), "amount": MONEY},
    ).with_columns(everyone=(pl.col("primary") + pl.lit(overlay["added_pay"])).cast(pl.Decimal(38, 18)))
    rates = total.select(
        emcr=pay_per_credit(pl.col("primary"), pl.col("amount")),
        cost_share=pay_per_credit(pl.col("everyone"), pl.col("amount")),
    )
    assert rates.row(0) == (0.096, 0.116)


def test_m_spiff_is_in_the_numerator() -> None:
    deal = price(plan("incremental", [("0", "0.08")]), [("5000", "20000")], None)
    with_spiff = (pl.col("added_pay") + Decimal(500)).cast(pl.Decimal(38, 18))
    assert deal.select(pay_per_credit(with_spiff, pl.col("credited_amount"))).item() == 0.105


@pytest.mark.parametrize(("method", "expected"), [("incremental", 0.096052), ("retroactive", 0.289386)])
def test_n_forward(method: str, expected: float) -> None:
    schedules = plan(method, P)
    position = price(schedules, [("0", "1")]).drop(PRICED_COLUMNS)
    shape = shape_pay(position, schedules)
    forecast = np.array([245_000.0]), np.array([20_000.0])
    assert expect_marginal_rate(shape, *forecast)[0] == pytest.approx(expected, abs=5e-7)
    # the finite form tends to it as the deal gets small
    assert expect_marginal_rate(shape, *forecast, np.array([1.0]))[0] == pytest.approx(expected, abs=5e-7)
