"""What is planted in a made-up company is found, in its direction, through the steps of the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.commands.demo import DIRECTIONS, churn_gap, direction_of
from pipelines.sources.demo import Effect, simulate
from tests.integration.without_dagster import make, open_workshop

SEED = 1


@pytest.fixture(scope="module", params=["harm", "none", "opposite"])
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Effect, Path]:
    """A simulated company with one effect planted."""
    folder = tmp_path_factory.mktemp(request.param)
    simulate(folder / "source", deals=6_000, months=36, seed=SEED, effect=request.param)
    return request.param, folder


def test_the_planted_direction_is_found_in_churn(company: tuple[Effect, Path]) -> None:
    effect, folder = company
    churn = make(
        open_workshop(folder / "home", folder / "source" / "aftersale.yaml"), "marts/churn_by_incentive"
    )
    fifths = churn.filter(
        (pl.col("dimension") == "emcr_quintile")
        & (pl.col("horizon_days") == 365)
        & (pl.col("value") != "unknown")
    )
    found: dict[str, dict[str, Any]] = {row["value"]: row for row in fifths.iter_rows(named=True)}
    gap = churn_gap(found)
    assert gap is not None
    assert direction_of(gap) == DIRECTIONS[effect]
