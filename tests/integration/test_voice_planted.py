"""What is planted in the demo company's voice is found through the steps of the pipeline."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from pipelines.sources.demo import simulate
from pipelines.sources.demo.deals import SEGMENTS
from pipelines.sources.demo.planted import (
    LAG_RATIO_PER_STEP,
    SHIFT_MONTH,
    SHIFT_THEME,
    UNHEARD_SEGMENT,
    share_sellers_hear,
)
from pipelines.sources.demo.reference import theme_id
from pipelines.workshop import RunWorkshop
from tests.integration.without_dagster import make, open_workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> RunWorkshop:
    folder = tmp_path_factory.mktemp("voice")
    simulate(folder / "source", deals=12_000, months=36, seed=2)
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


def test_the_theme_that_shifted_is_found_when_it_did_and_quiet_themes_stay_quiet(
    workshop: RunWorkshop,
) -> None:
    """Eleven quiet themes in up to five channels, false discoveries at 5 %: more than two would come once in 10,000 firms."""
    table = make(workshop, "marts/market_shifts")
    shifted = theme_id(SHIFT_THEME)
    whole = table.row(by_predicate=(pl.col("theme_id") == shifted) & (pl.col("channel") == "all"), named=True)
    planted = date.fromisoformat(f"{SHIFT_MONTH}-01")
    assert whole["is_shift"]
    # weeks start on Mondays: the first of the month lies in one of them
    assert whole["change_on_lo"] - timedelta(days=6) <= planted <= whole["change_on_hi"] + timedelta(days=6)
    assert whole["share_after"] > 3 * whole["share_before"]
    assert whole["seen_days"] > 0
    quiet = table.filter(pl.col("theme_id") != shifted, ~pl.col("suppressed"))
    assert quiet.height >= 30
    assert quiet["is_shift"].sum() <= 2


def test_the_segment_that_sellers_do_not_hear_shows(workshop: RunWorkshop) -> None:
    table = make(workshop, "marts/unmet_needs").filter(
        dimension="segment", quarter="all", solicitation="unsolicited"
    )
    rates = {r["value"]: r for r in table.filter(~pl.col("suppressed")).to_dicts()}
    unheard = rates.pop(SEGMENTS[UNHEARD_SEGMENT])
    planted = share_sellers_hear(in_unheard_segment=True)
    assert unheard["seller_capture_rate_lo"] <= planted <= unheard["seller_capture_rate_hi"]
    assert len(rates) == 2
    for heard in rates.values():
        assert heard["seller_capture_rate_lo"] > unheard["seller_capture_rate_hi"]
        planted = share_sellers_hear(in_unheard_segment=False)
        assert heard["seller_capture_rate_lo"] <= planted <= heard["seller_capture_rate_hi"]
