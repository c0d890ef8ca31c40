"""The reference answer of the public sample company: 341 of 2,898 store orders were followed by 180 days of silence."""

from __future__ import annotations

from datetime import date

import polars as pl

from assets.company import Churn
from assets.core.deals import won_deals

EMPTY = (
    "reps",
    "products",
    "activities",
    "subscriptions",
    "subscription_events",
    "customer_events",
    "accounts",
)


def test_dormancy_is_341_of_2898(shared_data, judged_frames, rows, company):
    orders = pl.read_csv(shared_data / "adventureworks" / "orders.csv", infer_schema=False)
    moment = pl.col("order_date").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC")
    firm = company(
        churn=Churn("inactivity", 180),
        as_of=date(2025, 5, 31),
        complete_until={},
        sources=frozenset({"opportunities", "accounts", "reps", "customer_activity"}),
    )
    sales = orders.lazy().select(
        opportunity_id="sales_order_id", account_id="store_id", rep_id="sales_person_id", closed_at=moment,
        is_won=pl.lit(value=True), closed_time_known=pl.lit(value=False), currency=pl.lit("USD"),
    )  # fmt: skip
    opportunities = pl.concat([rows("opportunities"), sales], how="diagonal")
    activity = orders.lazy().filter(pl.col("store_id").is_not_null()).select(
        event_id="sales_order_id", account_id="store_id", occurred_at=moment
    )  # fmt: skip
    empty = {name: rows(name) for name in EMPTY}
    deals = won_deals(
        opportunities=opportunities, company=firm,
        **{name: empty[name] for name in ("accounts", "reps", "products", "activities")},
    )  # fmt: skip
    found = judged_frames(deals, firm, empty | {"customer_activity": activity}).collect()

    assert found.height == 3806
    assert found["observed_until"].unique().to_list() == [date(2025, 4, 30)]
    followed = found.filter("mature_180d", pl.col("account_id").is_not_null())
    assert (followed["churned_180d"].sum(), followed["churned_180d"].count(), followed.height) == (
        341,
        2898,
        2898,
    )
    without_store = found.filter(pl.col("outcome_null_reason") == "no_account")
    assert (without_store.height, without_store["churned_180d"].count()) == (7, 0)
    # no contracts, no complaints: null, never zero
    assert (
        found.select("churned_90d", "complaints_180d", "started_180d", "touches_30d").null_count().row(0)
        == (3806,) * 4
    )
