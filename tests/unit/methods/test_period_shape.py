"""Shapes of a pay period: the golden numbers of the design, and what must hold for any bookings."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.methods.exact import MONEY
from assets.methods.period_shape import describe_shape, sustain_effort

NAMES = ["part_1", "part_2", "part_3"]


def shape(*amounts: int | Decimal) -> dict[str, float | None]:
    frame = pl.DataFrame(
        {n: [Decimal(a)] for n, a in zip(NAMES, amounts, strict=True)}, schema=dict.fromkeys(NAMES, MONEY)
    )
    return frame.select(**describe_shape(NAMES), effort=sustain_effort(NAMES)).row(0, named=True)


def test_bookings_20_25_55() -> None:
    found = shape(20, 25, 55)
    expected = {
        "last_part_share": 0.55, "hockey_stick": 1.65, "concentration": 0.405, "concentration_normalised": 0.1075,
        "peak_to_trough": 1.05, "effort": 1 / 1.65,
    }  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-12)


def test_nothing_has_no_shape() -> None:
    assert set(shape(0, 0, 0).values()) == {None}


def test_effort_that_ends_early_has_no_ratio() -> None:
    assert shape(3, 2, 0)["effort"] is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=3).filter(any))
def test_even_is_one_and_one_part_is_all(cents: list[int]) -> None:
    found = shape(*(Decimal(c).scaleb(-2) for c in cents))
    assert found["hockey_stick"] == pytest.approx(3 * cents[2] / sum(cents))
    assert 1 / 3 - 1e-12 <= found["concentration"] <= 1 + 1e-12
    assert -1e-12 <= found["concentration_normalised"] <= 1 + 1e-12
    # the order of the parts matters to the hockey stick only
    turned = shape(*(Decimal(c).scaleb(-2) for c in reversed(cents)))
    assert turned["concentration"] == pytest.approx(found["concentration"])
    assert turned["peak_to_trough"] == pytest.approx(found["peak_to_trough"])
    assert shape(Decimal("0.01"), Decimal("0.01"), Decimal("0.01"))["hockey_stick"] == pytest.approx(1)
