"""One decision for all tables: who stands behind a group, and which groups nobody shows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from assets.evidence import group_sizes
from assets.evidence.dimensions import Groups
from assets.evidence.suppression import count_people


def rows_of(seed: int, n: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    account = rng.integers(0, n // 2, n).astype(str)
    seller = rng.geometric(0.2, n).astype(str)
    return pl.DataFrame(
        {
            "account_id": pl.Series(account).set(pl.Series(rng.random(n) < 0.05), None),
            "rep_id": pl.Series(seller).set(pl.Series(rng.random(n) < 0.05), None),
            "inside": rng.random(n) < 0.7,
            "a": rng.integers(0, 7, n),
            "b": rng.geometric(0.05, n),
        }
    )


def grouped(rows: pl.DataFrame) -> Groups:
    codes, first = {}, 0
    for name in ("a", "b"):
        codes[name] = (rows[name].rank("dense") - 1 + first).cast(pl.Int32)
        first += rows[name].n_unique()
    return Groups(pl.DataFrame({"cell": range(first)}, schema={"cell": pl.Int32}), codes)


@pytest.mark.parametrize("marks", [1, 50, 1 << 24])
@pytest.mark.parametrize("seed", range(3))
def test_people_are_counted_as_polars_counts_them(
    seed: int, marks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle is a plain group_by; small tables of marks take the ways of large companies."""
    monkeypatch.setattr(group_sizes, "_MARKS", marks)
    rows = rows_of(seed)
    groups = grouped(rows)
    counted = group_sizes._People.of(rows).count(groups, rows["inside"])
    inside = rows["inside"]
    part = Groups(groups.cells, {name: code.filter(inside) for name, code in groups.codes.items()})
    expected = part.summarise(rows.filter(inside), lambda r: r.group_by("cell").agg(count_people()))
    assert counted.sort("cell").equals(expected.select(counted.columns).sort("cell"))


def test_nobody_is_counted_as_nobody() -> None:
    rows = rows_of(0)
    nobody = group_sizes._People.of(rows).count(
        grouped(rows), pl.repeat(value=False, n=len(rows), eager=True)
    )
    assert nobody.is_empty()
