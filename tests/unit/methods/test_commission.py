"""Properties of 02-commission on random plans, and why a deal has no price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.methods.commission import PRICED_COLUMNS, compile_schedules, price_positions
from assets.methods.exact import MONEY, RATE

from .decimal_oracle import KEY, ZERO, Plan, compile_plans, price

few = settings(max_examples=40, deadline=None)

amounts = st.integers(1, 2_000_000_00).map(lambda n: Decimal(n).scaleb(-2))
rates = st.integers(0, 50_000_000).map(lambda n: Decimal(n).scaleb(-8))
edges = st.lists(st.integers(1, 250), max_size=4, unique=True).map(lambda e: [0, *sorted(e)])


@st.composite
def plans(draw: st.DrawFn, *, rising: bool = False, plain: bool = False) -> Plan:
    at = draw(edges)
    values = draw(st.lists(rates, min_size=len(at), max_size=len(at)))
    lumps = [ZERO if plain else draw(st.sampled_from([ZERO, Decimal("150.25")])) for _ in at]
    bounds = st.sampled_from([None, None, Decimal("12.34"), Decimal("4321.09")])
    floor, cap = (None if plain else draw(bounds) for _ in range(2))
    if floor is not None and cap is not None:
        floor, cap = sorted((floor, cap))
    tiers = zip(at, sorted(values) if rising else values, lumps, strict=True)
    return Plan(
        tiers=tuple((Decimal(a).scaleb(-2), r, b) for a, r, b in tiers),
        retroactive=draw(st.booleans()),
        gate=None if plain else draw(st.sampled_from([None, Decimal("0.6"), Decimal("1.2")])),
        gate_from=draw(st.sampled_from([None, "first_unit", "threshold"])),
        cap=cap,
        floor=floor,
    )


def pay(plan: Plan, totals: list[Decimal], quota: Decimal) -> list[Decimal]:
    return price([plan], [("plan", s, Decimal(1), quota) for s in totals])["pay_before"].to_list()


@few
@given(plans(rising=True), st.lists(amounts, min_size=2, max_size=6), amounts)
def test_pay_never_falls_when_rates_rise(plan: Plan, totals: list[Decimal], quota: Decimal) -> None:
    paid = pay(plan, sorted(totals), quota)
    assert paid == sorted(paid)


@few
@given(plans(), st.lists(amounts, min_size=2, max_size=6), amounts)
def test_incremental_pay_never_falls(plan: Plan, totals: list[Decimal], quota: Decimal) -> None:
    paid = pay(replace(plan, retroactive=False), sorted(totals), quota)
    assert paid == sorted(paid)


@few
@given(plans(plain=True))
def test_incremental_pay_is_convex_exactly_when_rates_rise(plan: Plan) -> None:
    plan = replace(plan, retroactive=False)
    quota, step = Decimal(1000), Decimal(10)  # edges are whole per cents of it
    paid = pay(plan, [step * k for k in range(301)], quota)
    slopes = [b - a for a, b in pairwise(paid)]
    rising = [rate for _, rate, _ in plan.tiers] == sorted(rate for _, rate, _ in plan.tiers)
    assert (slopes == sorted(slopes)) is rising


@few
@given(plans(rising=True), st.lists(amounts, min_size=1, max_size=6), amounts)
def test_retroactive_pays_at_least_incremental_when_rates_rise(
    plan: Plan, totals: list[Decimal], quota: Decimal
) -> None:
    retroactive, incremental = (pay(replace(plan, retroactive=r), totals, quota) for r in (True, False))
    assert all(r >= i for r, i in zip(retroactive, incremental, strict=True))


@few
@given(plans(), st.lists(amounts, min_size=1, max_size=6), amounts, amounts)
def test_a_cap_never_raises_pay(plan: Plan, totals: list[Decimal], quota: Decimal, cap: Decimal) -> None:
    capped, free = (pay(replace(plan, cap=c), totals, quota) for c in (cap, None))
    assert all(c <= f and c <= cap for c, f in zip(capped, free, strict=True))


@few
@given(plans(), st.lists(amounts, min_size=1, max_size=6), amounts, amounts)
def test_a_floor_never_lowers_pay(plan: Plan, totals: list[Decimal], quota: Decimal, floor: Decimal) -> None:
    plan = replace(plan, cap=None)
    floored, free = (pay(replace(plan, floor=f), totals, quota) for f in (floor, None))
    assert all(f >= c and f >= floor for f, c in zip(floored, free, strict=True))


@few
@given(plans(), st.lists(amounts, min_size=2, max_size=5, unique=True), amounts, st.integers(1, 500))
def test_deals_of_one_day_add_up_in_every_order(
    plan: Plan, deals: list[Decimal], quota: Decimal, cents_before: int
) -> None:
    """The added pay of a deal depends on what came before it, the sum over the deals does not."""
    before = Decimal(cents_before).scaleb(-2)

    def walk(order: list[Decimal]) -> Decimal:
        at = [before + sum(order[:k], start=ZERO) for k in range(len(order))]
        priced = price([plan], [("plan", s, x, quota) for s, x in zip(at, order, strict=True)])
        return Decimal(priced["added_pay"].sum())

    assert walk(deals) == walk(deals[::-1]) == walk(deals[1:] + deals[:1])


@few
@given(
    plans(),
    st.permutations([Decimal("100.01"), Decimal(90_000), Decimal("0.01"), Decimal("7777.77")]),
    amounts,
)
def test_the_order_of_deals_does_not_change_the_period(
    plan: Plan, deals: list[Decimal], quota: Decimal
) -> None:
    def period(order: list[Decimal]) -> Decimal:
        before = [sum(order[:k], start=ZERO) for k in range(len(order))]
        priced = price([plan], [("plan", s, x, quota) for s, x in zip(before, order, strict=True)])
        return Decimal(priced["pay_amount"].sum())

    assert period(deals) == period(sorted(deals))


@few
@given(plans(plain=True), st.lists(amounts, min_size=1, max_size=6), amounts, st.integers(2, 9))
def test_pay_scales_with_credit_and_quota(
    plan: Plan, totals: list[Decimal], quota: Decimal, scale: int
) -> None:
    scaled = pay(plan, [scale * s for s in totals], scale * quota)
    assert scaled == [scale * c for c in pay(plan, totals, quota)]


# ---- why there is no price

TWO = Plan(tiers=((ZERO, Decimal("0.05"), ZERO), (Decimal(1), Decimal("0.10"), ZERO)))
ONE = Plan(tiers=((ZERO, Decimal("0.05"), ZERO),))


def test_a_linear_plan_needs_no_quota() -> None:
    deal = price([ONE], [("plan", Decimal(5), Decimal(7), None)]).row(0, named=True)
    assert (deal["emcr"], deal["base_rate"], deal["relative_intensity"]) == (0.05, 0.05, 1.0)
    assert deal["attainment_before"] is deal["attainment_after"] is deal["distance_to_threshold"] is None
    assert (deal["is_pivotal"], deal["null_reason"], deal["relative_null_reason"]) == (False, None, None)


@pytest.mark.parametrize(
    "plan", [TWO, replace(ONE, gate=Decimal("0.5")), Plan(tiers=((ZERO, Decimal("0.05"), Decimal(10)),))]
)
def test_any_other_plan_without_quota_has_no_price(plan: Plan) -> None:
    deal = price([plan], [("plan", Decimal(5), Decimal(7), None)]).row(0, named=True)
    assert deal["null_reason"] == deal["relative_null_reason"] == "no_quota"
    assert deal["emcr"] is deal["pay_amount"] is deal["is_pivotal"] is deal["tier_before"] is None


@pytest.mark.parametrize(
    ("deal", "reason"),
    [
        (("other", 5, 7, 100), "no_plan"),
        (("plan", 5, 7, 0), "quota_not_positive"),
        (("plan", 5, None, 100), "no_amount"),
        (("plan", None, 7, 100), "credit_before_unknown"),
        (("plan", 5, 0, 100), "not_a_sale"),
        (("plan", 5, -7, 100), "not_a_sale"),
        (("plan", 9_999_999_999_999_999, 1, 9_999_999_999_999_999), None),
    ],
)
def test_reasons(deal: tuple[str, int | None, int | None, int], reason: str | None) -> None:
    name, *numbers = deal
    row = price([TWO], [(name, *(None if n is None else Decimal(n) for n in numbers))]).row(0, named=True)  # type: ignore[arg-type]
    assert row["null_reason"] == reason
    assert (row["emcr"] is None) == (reason is not None)


def test_a_negative_credit_lowers_pay_without_a_rate() -> None:
    deal = price([TWO], [("plan", Decimal(120), Decimal(-40), Decimal(100))]).row(0, named=True)
    assert deal["pay_amount"] == Decimal(-3)  # 7.00 to 4.00
    assert deal["emcr"] is deal["relative_intensity"] is None


def test_absurd_amounts_are_refused_not_wrapped() -> None:
    wild = Plan(tiers=((ZERO, Decimal(9_999_999_999), ZERO),))
    deal = price([wild], [("plan", Decimal(10) ** 15, Decimal(1), None)]).row(0, named=True)
    assert deal["null_reason"] == "amount_out_of_range"


def test_an_earlier_reason_wins_and_a_draw_is_a_floor() -> None:
    deals = pl.LazyFrame(
        {
            "plan_id": ["plan", "plan"],
            "credit_before": ["0", "0"],
            "credited_amount": ["10", "10"],
            "quota_amount": ["100", "100"],
            "draw": [None, "3.00"],
            "null_reason": ["quota_not_known", None],
        }
    ).with_columns(pl.col("credit_before", "credited_amount", "quota_amount", "draw").cast(MONEY))
    priced = price_positions(deals, compile_plans([TWO])).sort("null_reason", nulls_last=True).collect()
    assert priced["null_reason"].to_list() == ["quota_not_known", None]
    assert priced["pay_after"].to_list() == [None, Decimal(3)]
    assert priced["emcr"].to_list() == [None, 0.0]


def test_the_schema_is_the_documented_one() -> None:
    priced = price([TWO], [("plan", Decimal(1), Decimal(1), Decimal(1))])
    assert {n: priced.schema[n] for n in PRICED_COLUMNS} == PRICED_COLUMNS


@pytest.mark.parametrize(
    ("tiers", "fault"),
    [
        ([], "no_tiers"),
        ([(1, "0.5", "0.1")], "tiers_do_not_start_at_zero"),
        ([(1, "0", "0.1"), (2, "0", "0.2")], "tiers_do_not_rise"),
        ([(1, "0", "0.1"), (2, "1", "0.2"), (3, "0.9", "0.3")], "tiers_do_not_rise"),
        ([(1, "0", "0.1"), (3, "1", "0.2")], "tiers_leave_gap"),
        ([(1, "0", "0.1"), (2, "1", None)], "tiers_incomplete"),
    ],
)
def test_a_broken_plan_has_a_reason(tiers: list[tuple[int, str, str | None]], fault: str) -> None:
    schema = {"plan_id": pl.String, "tier": pl.Int64, "from_attainment": pl.String, "rate": pl.String}
    frame = pl.DataFrame([("plan", *t) for t in tiers], schema=schema, orient="row").with_columns(
        pl.col("from_attainment", "rate").cast(RATE)
    )
    schedules = compile_schedules(
        pl.DataFrame({"plan_id": ["plan"], "tier_method": ["incremental"]}), frame, KEY
    )
    deal = pl.LazyFrame(
        {"plan_id": ["plan"], "credit_before": [0], "credited_amount": [1], "quota_amount": [1]}
    )
    priced = price_positions(deal.with_columns(pl.exclude("plan_id").cast(MONEY)), schedules).collect()
    assert priced["null_reason"].item() == fault
    assert priced["emcr"].item() is None


def test_plans_must_be_unique() -> None:
    twice = pl.DataFrame({"plan_id": ["a", "a"], "tier_method": ["incremental"] * 2})
    with pytest.raises(ValueError, match="occurs twice"):
        compile_schedules(
            twice,
            pl.DataFrame(
                schema={"plan_id": pl.String, "tier": pl.Int64, "from_attainment": RATE, "rate": RATE}
            ),
            KEY,
        )
