"""Salesforce, Zendesk and Stripe through their presets, only commission data as CSV: the marts of the same company."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.commands.demo import run_simulate
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit
from tests.integration.landed_company import write_companies


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The newest snapshot of the connected company, and that of the plain one."""
    root = tmp_path_factory.mktemp("connected")
    run_simulate(root / "truth", deals=600, months=18, seed=3, effect="harm", fmt="csv", dirt=0.0, until=None)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFTERSALE_KEY", "a key for tests only")
        for config in write_companies(root / "truth", root):
            assert run_pipeline(root / config.stem, config) is Exit.PUBLISHED
            found.append(root / config.stem / "published" / "latest")
    return found[0], found[1]


@pytest.mark.parametrize(
    "table",
    [ "marts/deal_incentives",
        "marts/deal_outcomes", "marts/churn_by_incentive", "marts/complaints_by_incentive", "marts/account_months", "marts/sales_rhythm",
    ],
)  # fmt: skip
def test_the_landed_company_is_the_company(published: tuple[Path, Path], table: str) -> None:
    connected, plain = (_read(snapshot, table) for snapshot in published)
    assert plain.height > 0
    assert_frame_equal(connected, plain, check_row_order=False)


def test_every_row_that_does_not_count_is_counted(published: tuple[Path, Path]) -> None:
    connected, plain = (
        {
            row["table"]: row
            for row in _read(snapshot, "quality/source_coverage").filter(column="").iter_rows(named=True)
        }
        for snapshot in published
    )
    # one deleted deal, task and ticket beside each real one; a payment that never came and a test beside each subscription
    for table, times in {"opportunities": 0.5, "activities": 1, "complaints": 1, "subscriptions": 2}.items():
        assert connected[table]["filtered"] == times * connected[table]["rows"], table
    assert connected["subscription_events"]["filtered"] == 0
    assert {row["rejected"] for row in connected.values() if row["present"]} == {0}
    assert plain["complaints"]["rows"] == connected["complaints"]["rows"] > 0


def _read(snapshot: Path, table: str) -> pl.DataFrame:
    path = snapshot / f"{table}.parquet"
    return pl.read_parquet(path if path.exists() else snapshot / table)
