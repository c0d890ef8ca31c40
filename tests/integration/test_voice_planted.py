"""What is planted in the demo company's voice is found through the steps of the pipeline, as `truth.json` says it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from assets.storage import Version
from pipelines.sources.demo import simulate
from tests.integration.without_dagster import make, open_workshop


@dataclass
class Firm:
    """A simulated company: what was planted, and the tables made of it."""

    truth: dict[str, Any]
    tables: dict[str, pl.DataFrame]


@pytest.fixture(scope="module", params=[2, 7, 11])
def firm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Firm:
    folder = tmp_path_factory.mktemp("voice")
    simulate(folder / "source", deals=12_000, months=36, seed=request.param)
    workshop = open_workshop(folder / "home", folder / "source" / "aftersale.yaml")
    made: dict[str, Version] = {}
    names = ("customer_distance", "market_shifts", "unmet_needs")
    tables = {name: make(workshop, f"marts/{name}", made) for name in names}
    return Firm(json.loads((folder / "source" / "truth.json").read_text()), tables)


def is_near(row: dict[str, Any], name: str, planted: float) -> bool:
    """Whether the truth lies within three standard errors: three firms of several intervals each would miss 95 % now and then."""
    lo, estimate, hi = (math.log(row[f"{name}{end}"]) for end in ("_lo", "", "_hi"))
    return estimate - 1.5 * (estimate - lo) < math.log(planted) < estimate + 1.5 * (hi - estimate)


def test_lags_grow_with_distance_as_planted(firm: Firm) -> None:
    table = firm.tables["customer_distance"]
    whole = table.row(by_predicate=(pl.col("segment") == "all") & (pl.col("month") == "all"), named=True)
    assert is_near(whole, "lag_ratio_per_step", firm.truth["lag_ratio_per_step"])
    assert whole["lag_ratio_per_step_lo"] > 1
    # what is lost is lost at any distance
    assert is_near(whole, "loss_ratio_per_step", 1.0)


def test_the_reorganisation_moved_a_third_of_the_teams_one_step_away(firm: Firm) -> None:
    table = firm.tables["customer_distance"].filter(pl.col("segment") == "all")
    by_month = dict(table.select("month", "distance_mean").iter_rows())
    assert by_month["2024-01"] - by_month["2023-12"] == pytest.approx(1 / 3, abs=0.1)
    assert dict(table.select("month", "distance_max").iter_rows())["2023-12"] == 4
    assert dict(table.select("month", "distance_max").iter_rows())["2024-01"] == 5


def test_the_theme_that_shifted_is_found_when_it_did_and_quiet_themes_stay_quiet(firm: Firm) -> None:
    """Eleven quiet themes in up to five channels, false discoveries at 5 %: more than two would come once in 10,000 firms."""
    table = firm.tables["market_shifts"]
    shifted = firm.truth["market_shift"]["theme_id"]
    whole = table.row(by_predicate=(pl.col("theme_id") == shifted) & (pl.col("channel") == "all"), named=True)
    planted = date.fromisoformat(f"{firm.truth['market_shift']['from']}-01")
    assert whole["is_shift"]
    # weeks start on Mondays: the first of the month lies in one of them
    assert whole["change_on_lo"] - timedelta(days=6) <= planted <= whole["change_on_hi"] + timedelta(days=6)
    assert whole["share_after"] > 3 * whole["share_before"]
    assert whole["seen_days"] > 0
    quiet = table.filter(pl.col("theme_id") != shifted, ~pl.col("suppressed"))
    assert quiet.height >= 30
    assert quiet["is_shift"].sum() <= 2


def test_the_segment_that_sellers_do_not_hear_shows(firm: Firm) -> None:
    table = firm.tables["unmet_needs"].filter(dimension="segment", quarter="all", solicitation="unsolicited")
    planted = firm.truth["unheard"]
    rates = {r["value"]: r for r in table.filter(~pl.col("suppressed")).to_dicts()}
    unheard = rates.pop(planted["segment"])
    assert is_near(unheard, "seller_capture_rate", planted["sellers_hear"])
    assert len(rates) == 2
    for heard in rates.values():
        assert heard["seller_capture_rate_lo"] > unheard["seller_capture_rate_hi"]
        assert is_near(heard, "seller_capture_rate", planted["sellers_hear_elsewhere"])
