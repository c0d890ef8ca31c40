"""Edges of every band, and inverted-CDF cut points against numpy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.methods.bands import (
    CLOSING_LOAD,
    CYCLE_DAYS,
    DISCOUNT_SHARE,
    RELATIVE_INTENSITY,
    TOUCHES_30D,
    Bands,
    cut_quintiles,
    inverted_cdf,
    place_in_quintile,
)


def labels(bands: Bands, values: list[float | None]) -> list[str | None]:
    return (
        pl.DataFrame({"x": values}, schema={"x": pl.Float64})
        .select(bands.label(pl.col("x")))
        .to_series()
        .to_list()
    )


def places(bands: Bands, values: list[float]) -> list[int]:
    return [bands.labels.index(str(name)) for name in labels(bands, list(values))]


@pytest.mark.parametrize(
    ("bands", "values", "expected"),
    [
        (
            RELATIVE_INTENSITY,
            [-0.1, -0.00004, 0, 0.0001, 0.9999, 0.99996, 1, 1.0001, 1.25, 1.26, 1.5, 2, 2.01],
            [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7],
        ),
        (CLOSING_LOAD, [0, 0.74, 0.75, 1.25, 1.26], [0, 0, 1, 1, 2]),
        (CYCLE_DAYS, [-1, 0, 3, 4, 14, 15, 60, 61], [0, 1, 1, 2, 2, 3, 3, 4]),
        (DISCOUNT_SHARE, [-0.2, 0, 0.01, 1 - 0.9, 0.11, 1 - 0.8, 0.21], [0, 0, 1, 1, 2, 2, 3]),
        (TOUCHES_30D, [0, 1, 3, 4, 10, 11], [0, 1, 1, 2, 2, 3]),
    ],
    ids=["relative intensity", "closing load", "cycle", "discount", "touches"],
)
def test_edges(bands: Bands, values: list[float], expected: list[int]) -> None:
    assert places(bands, values) == expected


def test_what_is_unknown_has_no_band() -> None:
    assert labels(RELATIVE_INTENSITY, [None, float("nan")]) == [None, None]


def test_bands_must_fit_their_cuts() -> None:
    with pytest.raises(ValueError, match="make 2 bands"):
        Bands(("a",), ((1.0, True),))
    with pytest.raises(ValueError, match="rise"):
        Bands(("a", "b", "c"), ((2.0, True), (1.0, True)))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=60),
    st.fractions(min_value=Fraction(1, 100), max_value=1, max_denominator=100),
)
def test_inverted_cdf_is_the_smallest_value_that_covers_the_share(values: list[int], share: Fraction) -> None:
    found = (
        pl.DataFrame({"x": [*values, None]})
        .select(inverted_cdf(pl.col("x"), share.numerator, share.denominator))
        .item()
    )
    covered = [v for v in sorted(values) if sum(w <= v for w in values) >= share * len(values)]
    assert found == covered[0]


def test_quantiles_are_those_of_numpy_in_groups() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"g": rng.integers(0, 9, 500), "x": rng.random(500)})
    cuts = frame.group_by("g").agg(cut_quintiles(pl.col("x")).alias("cuts")).sort("g")
    for g, found in cuts.iter_rows():
        x = frame.filter(g=g)["x"].to_numpy()
        assert list(found) == np.quantile(x, [0.2, 0.4, 0.6, 0.8], method="inverted_cdf").tolist()


def test_ties_share_a_quintile_and_some_are_empty() -> None:
    values = pl.DataFrame({"x": [0.1] * 7 + [0.2, 0.3, 0.4, None]})
    cuts = values.select(cut_quintiles(pl.col("x"))).item()
    assert list(cuts) == [0.1, 0.1, 0.1, 0.2]
    placed = values.select(place_in_quintile(pl.col("x"), list(cuts))).to_series().to_list()
    assert placed == [1] * 7 + [4, 5, 5, None]


def test_nothing_to_cut() -> None:
    empty = pl.DataFrame({"x": [None]}, schema={"x": pl.Float64})
    assert list(empty.select(cut_quintiles(pl.col("x"))).item()) == [None] * 4
    assert empty.select(place_in_quintile(pl.col("x"), [])).item() is None
    with pytest.raises(ValueError, match="must lie in"):
        inverted_cdf(pl.col("x"), 0, 5)
