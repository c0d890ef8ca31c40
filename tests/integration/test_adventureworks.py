"""A real public company through the whole pipeline. Reference answers: README of the data, computed by others."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from assets.core.pseudonyms import Pseudonyms
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit

KEY = "a key for tests only"
MAPPING = Path(__file__).parents[1] / "data" / "adventureworks.yaml"


@pytest.fixture(scope="module")
def snapshot(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published snapshot."""
    root = tmp_path_factory.mktemp("adventureworks")
    mapping = root / "adventureworks.yaml"
    mapping.write_text(MAPPING.read_text().replace("../../../shared/data", str(shared_data)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFTERSALE_KEY", KEY)
        assert run_pipeline(root / "home", mapping) is Exit.PUBLISHED
    return root / "home" / "published" / "latest"


@pytest.fixture(scope="module")
def incentives(snapshot: Path) -> pl.DataFrame:
    return pl.read_parquet(snapshot / "marts" / "deal_incentives.parquet")


@pytest.fixture(scope="module")
def quarters(incentives: pl.DataFrame) -> pl.DataFrame:
    """Attainment of each seller and quota period, from the marts."""
    return (
        incentives.group_by("rep_id", "period_start")
        .agg(pl.col("credited_amount").sum(), pl.col("quota_amount").first())
        .with_columns(
            attainment=pl.col("credited_amount").cast(pl.Float64) / pl.col("quota_amount").cast(pl.Float64)
        )
    )


def seller(number: str) -> str:
    table = Pseudonyms(KEY.encode()).table("rep", pl.Series("rep_id", [number]))
    return str(table["_pseudonym"][0])


def inverted_cdf(values: pl.Series, share: float) -> float:
    """Smallest value with at least this share of values at or below it."""
    ordered = values.sort()
    needed = max(1, -(-round(share * len(ordered) * 1e9) // 10**9))
    return float(ordered[int(needed) - 1])


def test_every_seller_quarter_has_its_quota(quarters: pl.DataFrame) -> None:
    assert quarters.height == 163
    assert quarters["quota_amount"].null_count() == 0


def test_attainment_is_the_reference(quarters: pl.DataFrame) -> None:
    found = quarters["attainment"]
    assert round(inverted_cdf(found, 0.5), 4) == 0.8479
    assert round(inverted_cdf(found, 0.1), 4) == 0.7445
    assert round(inverted_cdf(found, 0.9), 4) == 0.9408
    assert int((found >= 1).sum()) == 8
    assert int(((found >= 0.95) & (found < 1)).sum()) == 5
    assert int(((found >= 1) & (found < 1.05)).sum()) == 1
    total = (
        quarters["credited_amount"].cast(pl.Float64).sum() / quarters["quota_amount"].cast(pl.Float64).sum()
    )
    assert round(total, 6) == 0.840919


@pytest.mark.parametrize(
    ("number", "sold", "earned"),
    [("289", "8503338.72", "170066.77"), ("276", "10367007.52", "155505.11")],
)
def test_sellers_earn_what_the_reference_says(
    incentives: pl.DataFrame, number: str, sold: str, earned: str
) -> None:
    rows = incentives.filter(pl.col("rep_id") == seller(number))
    assert rows["credited_amount"].sum() == Decimal(sold)
    # a rate on every dollar: pay is rounded per quarter, the reference rounds once
    assert abs(rows["added_pay_amount"].sum() - Decimal(earned)) <= Decimal("0.10")


def test_sellers_without_a_rate_have_an_exposure_of_zero_not_null(incentives: pl.DataFrame) -> None:
    rows = incentives.filter(pl.col("rep_id").is_in([seller(n) for n in ("274", "285", "287")]))
    assert rows.height > 0
    assert rows["emcr_as_known"].unique().to_list() == [0.0]


def test_dormancy_is_exactly_the_reference(snapshot: Path) -> None:
    deals = pl.read_parquet(snapshot / "marts" / "deal_outcomes.parquet")
    judged = deals.filter(pl.col("mature_180d") & pl.col("account_id").is_not_null())
    assert deals.height == 3806
    assert deals["account_id"].null_count() == 7
    assert (judged.height, int(judged["churned_180d"].sum())) == (2898, 341)


def test_the_pipeline_says_what_it_could_not_compute(snapshot: Path) -> None:
    coverage = pl.read_parquet(snapshot / "quality" / "source_coverage.parquet").filter(
        pl.col("column") == ""
    )
    absent = dict(coverage.filter(~pl.col("present")).select("table", "switches_off").iter_rows())
    assert {"complaints", "feedback", "subscriptions", "ledger"} <= set(absent)
    assert all(absent.values())
    assert (
        pl.read_parquet(snapshot / "marts" / "complaints_by_incentive.parquet")["complaints"]
        .drop_nulls()
        .sum()
        == 0
    )
