"""Standardised, expected and clustered columns of the tables by incentive, against hand-made firms."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from assets.company import Company
from assets.evidence.complaint_rates import rate_complaints
from assets.evidence.retention import estimate_churn

DAY_0 = date(2020, 1, 1)
END = DAY_0 + timedelta(days=364)


def simpson() -> list[dict[str, object]]:
    """In each segment the higher fifth loses fewer; over all it loses more, for it sells to the segment that leaves.

    (fifth, segment): deals, lost on day 10.
    """
    cells = {
        (1, "calm"): (160, 16),
        (1, "restless"): (40, 20),
        (5, "calm"): (40, 2),
        (5, "restless"): (160, 64),
    }
    rows: list[dict[str, object]] = []
    for (fifth, segment), (n, lost) in cells.items():
        for i in range(n):
            number = len(rows)
            rows.append({
                "opportunity_id": f"o{number}", "account_id": f"a{number}", "rep_id": f"r{number % 20}", "closed_on": DAY_0, "clock_start_on": DAY_0,
                "churned_on": DAY_0 + timedelta(days=10) if i < lost else None, "observed_until": END, "segment": segment, "emcr_quintile": fifth,
                "plan_id": f"P{fifth}", "has_cap": fifth == 1,
            })  # fmt: skip
    return rows


def test_a_comparison_that_turns_around_is_said_to(frame_of, company: Company) -> None:
    table = estimate_churn(frame_of("deal_outcomes", simpson()), company)[0]
    at = (
        table.filter((pl.col("dimension") == "emcr_quintile") & (pl.col("horizon_days") == 30))
        .sort("value")
        .collect()
    )
    low, high = at.to_dicts()
    assert (low["cif_churn"], high["cif_churn"]) == (pytest.approx(36 / 200), pytest.approx(66 / 200))
    # half of all deals are in each segment
    assert (low["cif_churn_standardised"], high["cif_churn_standardised"]) == (
        pytest.approx(0.30),
        pytest.approx(0.225),
    )
    assert (low["standardised_share"], low["is_reversed"], high["is_reversed"]) == (1.0, False, True)
    # calm: 18 of 200 are lost, restless: 84 of 200
    assert low["cif_churn_expected"] == pytest.approx((160 * 0.09 + 40 * 0.42) / 200)
    assert high["ratio_to_expected"] == pytest.approx(0.33 / ((40 * 0.09 + 160 * 0.42) / 200))


def test_plan_features_are_dimensions(frame_of, company: Company) -> None:
    table = (
        estimate_churn(frame_of("deal_outcomes", simpson()), company)[0]
        .filter(pl.col("horizon_days") == 30)
        .collect()
    )
    capped = table.filter(pl.col("dimension") == "has_cap").sort("value_order")
    assert capped.select("value", "n").rows() == [("no", 200), ("yes", 200)]
    assert "is_cliff" not in set(table["dimension"])  # no deal knows it


def test_intervals_of_sellers_stand_beside_the_plain_ones(frame_of, company: Company) -> None:
    """All losses of a group lie with two of its twenty sellers: the deals are not as many as they look."""
    rows = simpson()
    for row in rows:
        lost = row["rep_id"] in ("r0", "r1")
        row["churned_on"] = DAY_0 + timedelta(days=10) if lost else None
    at = estimate_churn(frame_of("deal_outcomes", rows), company)[0].filter(
        (pl.col("dimension") == "all") & (pl.col("horizon_days") == 30)
    )
    row = at.collect().row(0, named=True)
    assert row["cif_churn"] == pytest.approx(0.1)
    plain, clustered = (
        row["cif_churn_hi"] - row["cif_churn_lo"],
        row["cif_churn_seller_hi"] - row["cif_churn_seller_lo"],
    )
    assert clustered > 2 * plain
    assert (
        row["survival_seller_lo"]
        < row["survival_lo"]
        < row["survival"]
        < row["survival_hi"]
        < row["survival_seller_hi"]
    )


def test_complaints_are_standardised_over_segment_and_tenure(frame_of, company: Company) -> None:
    """Each deal is followed for 365 days; complaints of the first tenure quarter only, so tenure weighs a quarter of the rate."""
    rows = simpson()
    for row in rows:
        row["churned_on"] = None
        row["observed_until"] = END
    events = []
    for number, row in enumerate(rows):
        often = {(1, "calm"): 10, (1, "restless"): 2, (5, "calm"): 20, (5, "restless"): 3}[
            row["emcr_quintile"], row["segment"]
        ]  # type: ignore[index]
        if number % often == 0:
            events.append({
                "kind": "complaint", "event_id": f"c{number}", "opportunity_id": row["opportunity_id"], "date": DAY_0 + timedelta(days=5), "category": "service",
            })  # fmt: skip
    table = rate_complaints(frame_of("deal_outcomes", rows), frame_of("customer_events", events), company)[0]
    everything = (
        (pl.col("category") == "all") & (pl.col("period") == "all") & (pl.col("dimension") == "emcr_quintile")
    )
    low, high = table.filter(everything).sort("value").collect().to_dicts()
    months = 365 / 30.4375
    counts = {key: sum(1 for e in events if (r := rows[int(str(e["opportunity_id"])[1:])])["emcr_quintile"] == key[0] and r["segment"] == key[1])
              for key in ((1, "calm"), (1, "restless"), (5, "calm"), (5, "restless"))}  # fmt: skip
    for got, fifth, sizes in ((low, 1, (160, 40)), (high, 5, (40, 160))):
        per_deal = [
            counts[fifth, segment] / n for segment, n in zip(("calm", "restless"), sizes, strict=True)
        ]
        assert got["rate_per_1000_standardised"] == pytest.approx(1000 * sum(per_deal) / 2 / months, rel=1e-6)
        assert got["ratio_to_expected"] == pytest.approx(got["complaints"] / got["expected"], rel=1e-6)
        assert got["rate_per_1000_seller_lo"] < got["rate_per_1000"] < got["rate_per_1000_seller_hi"]
        assert got["standardised_share"] == 1.0
    assert low["rate_per_1000"] < high["rate_per_1000"]
    assert low["rate_per_1000_standardised"] > high["rate_per_1000_standardised"]
    assert high["is_reversed"]
