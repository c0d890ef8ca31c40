"""What is planted in the demo company's voice is found through the steps of the pipeline."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.sources.demo import simulate
from pipelines.sources.demo.planted import LAG_RATIO_PER_STEP
from pipelines.workshop import RunWorkshop
from tests.integration.without_dagster import make, open_workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> RunWorkshop:
    folder = tmp_path_factory.mktemp("voice")
    simulate(folder / "source", deals=6_000, months=36, seed=1)
    return open_workshop(folder / "home", folder / "source" / "aftersale.yaml")


def test_lags_grow_with_distance_as_planted(workshop: RunWorkshop) -> None:
    table = make(workshop, "marts/customer_distance")
    whole = table.row(by_predicate=(pl.col("segment") == "all") & (pl.col("month") == "all"), named=True)
    assert whole["lag_ratio_per_step_lo"] < LAG_RATIO_PER_STEP < whole["lag_ratio_per_step_hi"]
    assert whole["lag_ratio_per_step_lo"] > 1
    # what is lost is lost at any distance
    assert whole["loss_ratio_per_step_lo"] < 1 < whole["loss_ratio_per_step_hi"]


def test_the_reorganisation_moved_a_third_of_the_teams_one_step_away(workshop: RunWorkshop) -> None:
    table = make(workshop, "marts/customer_distance").filter(pl.col("segment") == "all")
    by_month = dict(table.select("month", "distance_mean").iter_rows())
    assert by_month["2024-01"] - by_month["2023-12"] == pytest.approx(1 / 3, abs=0.1)
    assert dict(table.select("month", "distance_max").iter_rows())["2023-12"] == 4
    assert dict(table.select("month", "distance_max").iter_rows())["2024-01"] == 5
