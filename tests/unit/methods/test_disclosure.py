"""Ranges of hidden numbers, against counting every way things could be."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.disclosure import Sums, measure_widths


def table(rows: int, columns: int) -> Sums:
    """A table of counts with its margins: cells first, then row totals, then column totals."""
    cells = rows * columns
    equation, number, total = [], [], []
    for r in range(rows):
        members = [*(r * columns + c for c in range(columns)), cells + r]
        equation += [r] * len(members)
        number += members
        total += [False] * columns + [True]
    for c in range(columns):
        members = [*(r * columns + c for r in range(rows)), cells + rows + c]
        equation += [rows + c] * len(members)
        number += members
        total += [False] * rows + [True]
    return Sums.of(
        np.array(equation), np.array(number), np.array(total), equations=rows + columns, numbers=cells + rows + columns
    )  # fmt: skip


def with_margins(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([counts.ravel(), counts.sum(axis=1), counts.sum(axis=0)]).astype(float)


@pytest.mark.parametrize("seed", range(6))
def test_a_range_is_what_counting_every_way_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (3, 3))
    hidden = np.zeros(15, dtype=bool)
    hidden[:9] = rng.random(9) < 0.6
    places = np.flatnonzero(hidden)
    truth = with_margins(counts)
    seen = np.array(_ways(counts, places))
    enough = np.full(places.size, 1000.0)
    widths = measure_widths(table(3, 3), truth, hidden, places, enough)
    assert widths == pytest.approx(seen.max(axis=0) - seen.min(axis=0), abs=1e-6)


def _ways(counts: np.ndarray, places: np.ndarray) -> list[tuple[int, ...]]:
    """Every filling of the hidden cells with whole numbers that keeps the margins."""
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    found: list[tuple[int, ...]] = []

    def fill(at: int, filled: np.ndarray) -> None:
        if at == places.size:
            if (filled.sum(axis=1) == rows).all() and (filled.sum(axis=0) == columns).all():
                found.append(tuple(filled.ravel()[places].tolist()))
            return
        r, c = divmod(int(places[at]), 3)
        for value in range(int(min(rows[r], columns[c])) + 1):
            filled[r, c] = value
            if filled[r].sum() <= rows[r] and filled[:, c].sum() <= columns[c]:
                fill(at + 1, filled)
        filled[r, c] = 0

    start = counts.copy()
    start.ravel()[places] = 0
    fill(0, start)
    return found


def test_two_hidden_cells_in_every_row_and_column_may_not_be_enough() -> None:
    """Two blocks that hang together by one cell: that cell is known exactly."""
    counts = np.full((4, 4), 50)
    hidden = np.zeros((4, 4), dtype=bool)
    hidden[:2, :2] = hidden[2:, 2:] = hidden[0, 2] = True
    flat = np.concatenate([hidden.ravel(), np.zeros(8, dtype=bool)])
    place = np.array([2, 0])
    widths = measure_widths(table(4, 4), with_margins(counts), flat, place, np.array([10.0, 10.0]))
    assert widths[0] == pytest.approx(0, abs=1e-6)
    assert widths[1] >= 10


def test_what_no_sum_holds_is_open() -> None:
    widths = measure_widths(
        table(1, 1), np.array([5.0, 5.0, 5.0]), np.array([True, True, True]), np.array([0]), np.array([10.0])
    )
    assert widths[0] >= 10
