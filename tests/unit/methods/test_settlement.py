"""Draws against the rule of 02, period by period."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.methods.exact import MONEY
from assets.methods.settlement import claw_back, settle_draws, share_clawed_back, share_unserved

money = st.integers(0, 10_000_00).map(lambda n: Decimal(n).scaleb(-2))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(money, money), min_size=1, max_size=8))
def test_a_recoverable_draw_is_recovered_by_the_rule(periods: list[tuple[Decimal, Decimal]]) -> None:
    frame = pl.LazyFrame(
        {
            "rep_id": "a",
            "period_start": range(len(periods)),
            "earned_amount": [c for c, _ in periods],
            "draw": [d for _, d in periods],
            "draw_kind": "recoverable",
        },
        schema_overrides={"earned_amount": MONEY, "draw": MONEY},
    )
    balance, expected = Decimal(0), []
    for earned, draw in periods:
        recovered = min(balance, max(Decimal(0), earned - draw))
        balance += max(Decimal(0), draw - earned) - recovered
        expected.append((max(draw, earned - recovered), recovered, balance))
    assert (
        settle_draws(frame, ["rep_id"])
        .select("pay_amount", "recovered_amount", "draw_balance")
        .collect()
        .rows()
        == expected
    )


def test_without_a_draw_pay_is_what_was_earned() -> None:
    frame = pl.LazyFrame(
        {"rep_id": ["a"], "period_start": [1], "earned_amount": ["7"], "draw": ["9"], "draw_kind": [None]}
    )
    frame = frame.with_columns(
        pl.col("earned_amount", "draw").cast(MONEY), pl.col("draw_kind").cast(pl.String)
    )
    assert settle_draws(frame, ["rep_id"]).collect()["pay_amount"].item() == 7


def test_the_lower_edge_of_a_clawback_step_is_included() -> None:
    steps = [(6, 0.25), (0, 1.0), (3, 0.5), (12, 0.0)]
    months = pl.DataFrame({"months": [-1, 0, 2, 3, 5, 6, 11, 12]})
    shares = months.select(share_clawed_back(pl.col("months"), steps)).to_series().to_list()
    assert shares == [0.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.0]


def test_clawback_rounds_half_up_and_never_exceeds_the_pay() -> None:
    rows = pl.DataFrame({"pay": ["0.01", "100", "100"], "months": [6, 20, -3]}).with_columns(
        pl.col("pay").cast(MONEY)
    )
    taken = rows.select(claw_back(pl.col("pay"), share_unserved(pl.col("months"), 12))).to_series().to_list()
    assert taken == [Decimal("-0.01"), Decimal(0), Decimal(-100)]
