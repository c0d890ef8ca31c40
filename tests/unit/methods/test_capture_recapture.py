"""Capture-recapture: the published example of 04, and what must hold for any counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.methods.capture_recapture import estimate_total


def test_the_golden_example() -> None:
    """04-evidence: n1 = 40, n2 = 30, m = 12 gives 96.77 in 75.46-144.08; sellers heard 41.3 %."""
    found = estimate_total(40, 30, 12)
    assert round(float(found.estimate), 2) == 96.77
    assert float(found.lo) == pytest.approx(75.46, abs=0.005)
    assert float(found.hi) == pytest.approx(144.08, abs=0.005)
    assert round(40 / float(found.estimate), 3) == 0.413


@given(st.integers(0, 500), st.integers(0, 500), st.data())
def test_no_fewer_than_were_counted_and_the_lists_may_change_places(
    n1: int, n2: int, data: st.DataObject
) -> None:
    m = data.draw(st.integers(0, min(n1, n2)))
    found, turned = estimate_total(n1, n2, m), estimate_total(n2, n1, m)
    assert n1 + n2 - m - 1e-9 <= found.lo <= found.estimate + 1e-9 <= found.hi + 2e-9
    assert found.estimate == turned.estimate


def test_the_interval_covers_what_independent_lists_were_drawn_from() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 2_000, 200)) < np.array([0.4, 0.3])[:, None, None]
    found = estimate_total(first.sum(1), second.sum(1), (first & second).sum(1))
    assert 0.93 < np.mean((found.lo <= 200) & (found.hi >= 200)) < 0.98


def test_more_on_both_lists_than_on_one_is_refused() -> None:
    with pytest.raises(ValueError, match="both"):
        estimate_total(3, 5, 4)
