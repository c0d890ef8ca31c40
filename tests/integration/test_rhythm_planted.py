"""A made-up company's planted rhythm and bunching, found through the steps of the pipeline."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipelines.sources.demo import simulate
from pipelines.sources.demo.planted import Truth
from tests.integration.without_dagster import make, open_workshop


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Path]:
    folder = tmp_path_factory.mktemp("rhythm")
    truth = simulate(folder / "source", deals=12_000, months=36, seed=1, effect="none")
    return truth, folder


@pytest.fixture(scope="module")
def bunching(company: tuple[Truth, Path]) -> pl.DataFrame:
    _, folder = company
    workshop = open_workshop(folder / "home", folder / "source" / "aftersale.yaml")
    return make(workshop, "marts/quota_bunching").filter(~pl.col("suppressed"))


def test_periods_pushed_over_the_quota_are_counted(
    company: tuple[Truth, Path], bunching: pl.DataFrame
) -> None:
    """Closes crowd at 100 % of quota in every plan, whatever it pays there; about as many as were planted."""
    truth, _ = company
    at_quota = bunching.filter(pl.col("threshold") == 1)
    pooled = at_quota.filter(pl.col("plan_id") == "all")
    assert len(pooled) == 9
    planted = truth.planted["deals_pushed_over_quota"]
    head = pooled.row(by_predicate=pl.col("specification_name") == "headline", named=True)
    assert head["excess_mass_lo"] < planted < head["excess_mass_hi"]
    assert (pooled["excess_mass_lo"] > 0).all()
    plans = at_quota.filter(pl.col("plan_id") != "all", pl.col("specification_name") == "headline")
    assert len(plans) == 4
    assert (plans["excess_mass"] > 0).all()
    assert (plans["excess_mass_lo"] > 0).sum() >= 3
    assert set(plans["threshold_kind"]) == {"accelerator", "notch", "lump"}


def test_placebo_thresholds_are_quiet(bunching: pl.DataFrame) -> None:
    """16 of single plans: 0.4 intervals above 0 are expected, four or more once in a thousand companies; none pooled."""
    placebos = bunching.filter("is_placebo")
    alarms = placebos.filter(pl.col("excess_mass_lo") > 0)
    assert set(placebos["threshold"].cast(pl.Float64)) == {0.85, 0.95, 1.05, 1.15}
    assert alarms.filter(pl.col("plan_id") != "all").height <= 3
    assert alarms.filter(pl.col("plan_id") == "all").is_empty()


def test_the_quarter_is_found_in_the_company_and_in_every_region(company: tuple[Truth, Path]) -> None:
    _, folder = company
    workshop = open_workshop(folder / "home", folder / "source" / "aftersale.yaml")
    rhythm = make(workshop, "marts/sales_rhythm").filter(pl.col("dimension").is_in(["all", "region"]))
    found = rhythm.filter("is_period_found").select("dimension", "value", "candidate_period").unique()
    assert set(found["candidate_period"]) == {"quarter"}
    assert len(found) == 1 + rhythm.filter(pl.col("dimension") == "region")["value"].n_unique()
    quarter = rhythm.filter(pl.col("dimension") == "all", pl.col("candidate_period") == "quarter").sort(
        "phase"
    )
    assert quarter["bookings_index_hi"][0] < 1 < quarter["bookings_index_lo"][2]
    # the late discount is planted in the last week
    assert quarter["discount_share_lo"][2] > quarter["discount_share"][0]
    assert quarter["slump_after_period_hi"][0] < 1
