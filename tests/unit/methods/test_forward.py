"""The expected marginal rate against brute-force integration of decimal-priced plans."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from assets.methods.exact import MONEY
from assets.methods.forward import expect_marginal_rate, shape_pay

from .decimal_oracle import ZERO, Plan, compile_plans

T = (
    (ZERO, Decimal("0.08"), ZERO),
    (Decimal(1), Decimal("0.12"), Decimal(40)),
    (Decimal("1.5"), Decimal("0.02"), ZERO),
)
PLANS = [
    Plan(T, name="incremental"),
    Plan(T, retroactive=True, name="retroactive"),
    Plan(T, cap=Decimal(110), floor=Decimal(30), name="bounded"),
    Plan(T, retroactive=True, cap=Decimal(130), floor=Decimal(90), name="notch_into_bounds"),
    Plan(T, gate=Decimal("0.6"), gate_from="first_unit", name="gate"),
    Plan(T, gate=Decimal("0.6"), gate_from="threshold", name="gate_above"),
    Plan(T, retroactive=True, gate=Decimal("1.2"), gate_from="threshold", name="gate_above_retroactive"),
]
QUOTA = Decimal(1000)


def positions(names: list[str], quota: Decimal | None = QUOTA) -> pl.DataFrame:
    return pl.DataFrame(
        {"plan_id": names, "quota_amount": [quota] * len(names)},
        schema={"plan_id": pl.String, "quota_amount": MONEY},
    )


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: p.name)
@pytest.mark.parametrize(("mean", "deviation", "credit"), [(900.0, 200.0, 300.0), (1400.0, 60.0, 5.0)])
def test_it_is_the_mean_over_a_fine_grid(plan: Plan, mean: float, deviation: float, credit: float) -> None:
    grid = np.arange(-1000.0, 4000.0, 0.5) + 0.25
    pay = {s: float(plan.pay(Decimal(str(s)), QUOTA)) for s in np.arange(-1200.0, 4200.0, 0.25)}
    weight = np.exp(-(((grid - mean) / deviation) ** 2) / 2)
    added = [pay[s + credit / 2] - pay[s - credit / 2] for s in grid]
    expected = float(weight @ np.array(added) / weight.sum() / credit)
    shape = shape_pay(positions([plan.name]), compile_plans(PLANS))
    rate = expect_marginal_rate(shape, np.array([mean]), np.array([deviation]), np.array([credit]))
    # a jump falls between two points of the grid: at most half a step of its density
    assert rate[0] == pytest.approx(expected, rel=2e-3, abs=1e-6)


def test_the_finite_form_tends_to_slopes_plus_notches() -> None:
    shape = shape_pay(positions([p.name for p in PLANS]), compile_plans(PLANS))
    forecast = np.full(len(PLANS), 980.0), np.full(len(PLANS), 150.0)
    limit = expect_marginal_rate(shape, *forecast)
    assert_allclose(expect_marginal_rate(shape, *forecast, np.full(len(PLANS), 0.01)), limit, rtol=1e-6)


def test_a_certain_forecast_is_the_plan_itself() -> None:
    shape = shape_pay(positions(["retroactive"]), compile_plans(PLANS))
    rate = expect_marginal_rate(shape, np.array([950.0]), np.array([0.0]), np.array([100.0]))
    plan = PLANS[1]
    assert rate[0] == pytest.approx(
        float(plan.pay(Decimal(1000), QUOTA) - plan.pay(Decimal(900), QUOTA)) / 100
    )


def test_what_cannot_be_priced_is_nan() -> None:
    one = np.ones(2)
    schedules = compile_plans(PLANS)
    shape = shape_pay(pl.concat([positions(["unknown"]), positions(["incremental"], None)]), schedules)
    assert np.isnan(expect_marginal_rate(shape, one, one, one)).all()
    assert np.isnan(expect_marginal_rate(shape, one, one)).all()
