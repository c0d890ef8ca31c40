"""A CRM export without any pay data through the whole pipeline, from a clean copy and from one with broken references.

Reference answers: README of the data, computed by others; the bands of `cycle_days` are counted from the file here.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit

MAPPING = Path(__file__).parents[1] / "data" / "maven.yaml"
KEY = "a key for tests only"
BROKEN = 1480
EXPOSURES_OF_PAY = (
    "emcr",
    "emcr_as_final",
    "relative_intensity",
    "intensity_band",
    "is_pivotal",
    "plan_id",
    "tier",
)


@pytest.fixture(scope="module")
def snapshots(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Published snapshots of the corrected and of the uncorrected copy."""
    text = MAPPING.read_text().replace("../../../shared/data", str(shared_data))
    uncorrected = text.replace("sales_pipeline.csv", "sales_pipeline_uncorrected.csv").replace(
        "%d-%m-%Y", "%Y-%m-%d"
    )
    made = {}
    for name, mapping in {"corrected": text, "uncorrected": uncorrected}.items():
        root = tmp_path_factory.mktemp(name)
        (root / "maven.yaml").write_text(mapping)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AFTERSALE_KEY", KEY)
            assert run_pipeline(root / "home", root / "maven.yaml") is Exit.PUBLISHED
        made[name] = root / "home" / "published" / "latest"
    return made


@pytest.fixture(scope="module", params=["corrected", "uncorrected"])
def copy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def snapshot(snapshots: Mapping[str, Path], copy: str) -> Path:
    return snapshots[copy]


@pytest.fixture(scope="module")
def deals(snapshot: Path) -> pl.DataFrame:
    return pl.read_parquet(snapshot / "marts" / "deal_outcomes.parquet")


@pytest.fixture(scope="module")
def coverage(snapshot: Path) -> pl.DataFrame:
    return pl.read_parquet(snapshot / "quality" / "source_coverage.parquet")


def test_won_value_by_month_of_the_quarter(deals: pl.DataFrame) -> None:
    month = (pl.col("closed_on").dt.month() - 1) % 3
    found = (
        deals.group_by(month.alias("month"))
        .agg(pl.len(), pl.col("amount").sum().cast(pl.Int64))
        .sort("month")
    )
    assert found.rows() == [(0, 872, 2_150_844), (1, 1290, 3_014_715), (2, 2076, 4_839_975)]


@pytest.fixture(scope="module")
def rhythm(snapshot: Path) -> pl.DataFrame:
    return pl.read_parquet(snapshot / "marts" / "sales_rhythm.parquet")


def test_the_quarter_is_found_and_the_month_is_not(rhythm: pl.DataFrame) -> None:
    company = rhythm.filter(pl.col("dimension") == "all").unique("candidate_period")
    found = {row["candidate_period"]: row for row in company.to_dicts()}
    assert found["quarter"]["is_period_found"]
    assert found["quarter"]["rhythm_p"] <= 0.05
    assert not found["month"]["is_period_found"]
    assert found["month"]["candidate_p"] > 0.1
    # ten months hold three quarters, one half and no year
    assert {p: r["full_cycles"] for p, r in found.items()} == {
        "month": 10,
        "quarter": 3,
        "half": 1,
        "year": 0,
    }
    assert {p for p, r in found.items() if r["rhythm_null_reason"] == "not_identifiable"} == {"half", "year"}


def test_win_rate_and_bookings_by_month_of_the_quarter(rhythm: pl.DataFrame) -> None:
    phases = rhythm.filter(pl.col("dimension") == "all", pl.col("candidate_period") == "quarter").sort(
        "phase"
    )
    assert phases.select("won_deals", "closed_deals", pl.col("bookings").cast(pl.Int64)).rows() == [
        (872, 1779, 2_150_844),
        (1290, 2358, 3_014_715),
        (2076, 2574, 4_839_975),
    ]
    assert phases["win_rate"].round(4).to_list() == [0.4902, 0.5471, 0.8065]
    assert set(phases.select("sellers_compared", "sellers_rising").rows()) == {(30, 30)}
    # what stands beside it agrees: no phase's interval reaches the next one's win rate
    assert phases["win_rate_hi"][0] < phases["win_rate"][2] > phases["win_rate_hi"][1]


def test_month_ends_win_no_more_than_other_days(rhythm: pl.DataFrame) -> None:
    month = rhythm.filter(pl.col("dimension") == "all", pl.col("candidate_period") == "month").row(
        0, named=True
    )
    assert (round(month["last_days_win_rate"], 4), round(month["other_days_win_rate"], 4)) == (0.6341, 0.6310)


def test_no_deal_is_lost_for_a_broken_reference(
    copy: str, deals: pl.DataFrame, coverage: pl.DataFrame
) -> None:
    """Broken references are counted, over won, lost and open deals alike, and filter nothing."""
    of_deals = coverage.filter(pl.col("table") == "opportunities")
    whole = of_deals.filter(pl.col("column") == "").row(0, named=True)
    assert (whole["rows"], whole["rows_in"], whole["rejected"]) == (8800, 8800, 0)
    broken = dict(
        of_deals.filter(pl.col("broken_references") > 0).select("column", "broken_references").iter_rows()
    )
    assert broken == ({} if copy == "corrected" else {"": BROKEN, "product_id": BROKEN})
    assert deals.height == 4238
    assert deals["product_id"].null_count() == 0


def test_open_deals_without_account_or_dates_are_kept(coverage: pl.DataFrame) -> None:
    shares = coverage.filter(pl.col("table") == "opportunities", pl.col("column") != "")
    nulls = {name: round(share * 8800) for name, share in shares.select("column", "null_share").iter_rows()}
    assert (nulls["account_id"], nulls["created_at"], nulls["closed_at"], nulls["amount"]) == (
        1425,
        500,
        2089,
        2089,
    )


def test_cycle_from_engagement_to_close(deals: pl.DataFrame, shared_data: Path) -> None:
    def day(text: str) -> date:
        return date(int(text[6:]), int(text[3:5]), int(text[:2]))

    with (shared_data / "maven_crm" / "sales_pipeline.csv").open() as file:
        won = [row for row in csv.DictReader(file) if row["deal_stage"] == "Won"]
    expected = Counter((day(row["close_date"]) - day(row["engage_date"])).days for row in won)
    assert Counter(deals["cycle_days"].to_list()) == expected


def test_pressure_is_measured_without_pay(snapshot: Path, deals: pl.DataFrame) -> None:
    for column in ("closing_load", "month_end", "cycle_days"):
        assert deals[column].null_count() == 0
    for column in EXPOSURES_OF_PAY:
        assert deals[column].null_count() == deals.height
    assert deals["null_reason"].null_count() == 0
    # the load of a seller's months averages one over those months
    loads = deals.group_by("rep_id", "cohort_month").agg(pl.col("closing_load").first())
    means = loads.group_by("rep_id").agg(pl.col("closing_load").mean())["closing_load"]
    assert means.to_list() == pytest.approx([1.0] * 30)
    scorecard = pl.read_parquet(snapshot / "marts" / "board_scorecard.parquet")
    assert "Deals closed in the last five days of the month" in set(scorecard["measure_name"])


def test_without_a_source_of_churn_nothing_is_said_about_churn(snapshot: Path, deals: pl.DataFrame) -> None:
    assert deals["outcome_null_reason"].unique().to_list() == ["no_churn_source"]
    assert deals["churned_180d"].null_count() == deals.height
    assert pl.read_parquet(snapshot / "marts" / "churn_by_incentive.parquet").is_empty()
    said = pl.read_parquet(snapshot / "marts" / "board_scorecard.parquet")["sentence"]
    assert not said.str.contains("lost").any()


def test_coverage_says_what_is_switched_off(coverage: pl.DataFrame) -> None:
    tables = coverage.filter(pl.col("column") == "")
    absent = dict(tables.filter(~pl.col("present")).select("table", "switches_off").iter_rows())
    assert {"plans", "plan_tiers", "quotas", "subscriptions", "complaints", "feedback", "activities"} <= set(
        absent
    )
    assert all(absent.values())
    assert set(tables.filter("present")["table"]) == {
        "accounts",
        "reps",
        "reporting_lines",
        "products",
        "opportunities",
    }


def test_both_copies_say_the_same_but_for_what_the_product_tells(snapshots: Mapping[str, Path]) -> None:
    """A deal whose product is unknown has no list price, so no discount; everything else is equal to the last digit."""
    one, other = (
        pl.read_parquet(path / "marts" / "deal_outcomes.parquet").sort("opportunity_id")
        for path in snapshots.values()
    )
    by_product = ["product_id", "discount_share"]
    assert one.drop(by_product).equals(other.drop(by_product))
    renamed = one["product_id"].replace("GTX Pro", "GTXPro")
    assert renamed.equals(other["product_id"])
    changed = one["product_id"] != other["product_id"]
    assert other.filter(changed)["discount_share"].null_count() == changed.sum()
    assert one.filter(~changed).equals(other.filter(~changed))


def test_both_copies_have_one_rhythm(snapshots: Mapping[str, Path]) -> None:
    one, other = (pl.read_parquet(path / "marts" / "sales_rhythm.parquet") for path in snapshots.values())
    by_price = pl.exclude("^discount_share.*$")
    assert one.select(by_price).equals(other.select(by_price))


def test_names_stay_at_the_door(snapshot: Path, shared_data: Path) -> None:
    with (shared_data / "maven_crm" / "sales_teams.csv").open() as file:
        names = {row[key] for row in csv.DictReader(file) for key in ("sales_agent", "manager")}
    for path in snapshot.rglob("*.parquet"):
        frame = pl.read_parquet(path)
        words = {word for column in frame.select(pl.col(pl.String)) for word in column.unique().to_list()}
        assert not names & words, path.name
