"""Feedback lag by group: items still waiting count as waiting, refused ones as refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.company import Company
from assets.evidence.lags import estimate_lags
from assets.evidence.reverse_time import fit_reverse_time, read_shares
from expectations.contracts import TABLES

START = datetime(2025, 1, 1, tzinfo=UTC)


def hop(
    number: int, days: float, *, name: str = "triaged", censored: bool = False, outcome: str | None = None
) -> dict[str, object]:
    return {
        "feedback_id": f"f{number}",
        "hop": name,
        "opportunity_id": f"o{number}",
        "account_id": f"a{number}",
        "entered_at": START,
        "left_at": None if censored else START + timedelta(days=days),
        "days": float(days),
        "business_days": int(days * 5 // 7),
        "censored": censored,
        "outcome": outcome,
    }


def sold(count: int, **group: object) -> list[dict[str, object]]:
    return [
        {
            "opportunity_id": f"o{i}",
            "account_id": f"a{i}",
            "rep_id": f"r{i % 7}",
            "closed_on": date(2025, 1, 1),
            **group,
        }
        for i in range(count)
    ]


def cell(
    table: pl.LazyFrame, dimension: str = "all", value: str = "all", hop_: str = "triaged"
) -> dict[str, object]:
    return (
        table.filter(
            (pl.col("dimension") == dimension) & (pl.col("value") == value) & (pl.col("hop") == hop_)
        )
        .collect()
        .row(0, named=True)
    )


LAGS = [
    (5, False),
    (8, False),
    (8, True),
    (12, False),
    (20, True),
    (30, False),
]  # the example of 04, twice over


def test_the_lag_example_has_median_12_and_not_the_10_of_those_completed(frame_of, company) -> None:
    rows = [hop(i, d, censored=c) for i, (d, c) in enumerate(LAGS * 2)]
    got = cell(estimate_lags(frame_of("feedback_hops", rows), frame_of("deal_outcomes", sold(12)), company))
    assert (got["n"], got["reached"], got["censored"]) == (12, 8, 4)
    assert got["median_days"] == 12.0
    assert got["p75_days"] == 30.0
    assert got["captured_30d"] == 1.0


def test_the_lag_example_has_the_published_survival(frame_of, company) -> None:
    # stretched so that its steps lie at the horizons: S = 0.8333, 0.6667, 0.4444 after 5, 8, 12
    for factor, left_30d in ((30 / 5, 1 - 0.8333), (30 / 8, 1 - 0.6667), (30 / 12, 1 - 0.4444)):
        rows = [hop(i, d * factor, censored=c) for i, (d, c) in enumerate(LAGS * 2)]
        got = cell(
            estimate_lags(frame_of("feedback_hops", rows), frame_of("deal_outcomes", sold(12)), company)
        )
        assert round(got["captured_30d"], 4) == round(left_30d, 4)
        assert got["median_days"] == 12 * factor


def test_there_is_no_median_while_more_than_half_still_wait(frame_of, company) -> None:
    rows = [hop(i, 5 if i < 4 else 100, censored=i >= 4) for i in range(12)]
    got = cell(estimate_lags(frame_of("feedback_hops", rows), frame_of("deal_outcomes", sold(12)), company))
    assert (got["median_days"], got["p75_days"], got["median_business_days"]) == (None, None, None)
    assert got["captured_90d"] == pytest.approx(1 / 3)


def test_refused_items_compete_with_shipping(frame_of, company) -> None:
    # of 20 decided, 10 refused at once, 5 shipped on day 10, 5 open
    rows = [hop(i, 0, name="shipped", outcome="declined") for i in range(10)]
    rows += [hop(10 + i, 10, name="shipped") for i in range(5)]
    rows += [hop(15 + i, 200, name="shipped", censored=True) for i in range(5)]
    got = cell(
        estimate_lags(frame_of("feedback_hops", rows), frame_of("deal_outcomes", sold(20)), company),
        hop_="shipped",
    )
    assert (got["n"], got["reached"], got["censored"]) == (20, 5, 5)
    assert got["captured_30d"] == pytest.approx(0.25)  # and not the half of those that were not refused


def test_feedback_about_no_deal_stands_in_all_and_unknown(frame_of, company) -> None:
    rows = [hop(i, 5) for i in range(40)]
    table = estimate_lags(
        frame_of("feedback_hops", rows), frame_of("deal_outcomes", sold(28, emcr_quintile=3)), company
    )
    assert cell(table)["n"] == 40
    hidden = [cell(table, "emcr_quintile", v) for v in ("3", "unknown")]
    # nobody sold what is about no deal: no sellers, so both cells are hidden
    assert [(r["suppressed"], r["n"]) for r in hidden] == [(True, None)] * 2


def test_reverse_time_agrees_with_a_plain_product_over_later_lags() -> None:
    rng = np.random.default_rng(2)
    since = rng.integers(1, 60, 300)
    lags = np.minimum(rng.geometric(0.08, 300) - 1, 200)
    seen = lags <= since
    lags, since = lags[seen], since[seen]
    rows = pl.LazyFrame({"g": ["x"] * len(lags), "lag": lags.astype(float), "since": since.astype(float)})
    steps = fit_reverse_time(rows, ["g"], lag="lag", time_since="since").collect()
    share, naive = 1.0, {}
    for t in sorted(set(lags.tolist()), reverse=True):
        naive[float(t)] = share
        share *= 1 - (lags == t).sum() / ((lags <= t) & (since >= t)).sum()
    assert dict(steps.select("time", "share").iter_rows()) == pytest.approx(naive)
    # fresh items look fast: the truncated list has too many short lags
    ten = read_shares(steps.lazy(), ["g"], (10,), (0.5,)).collect()
    assert ten["share_10"].item() < (lags <= 10).mean()
    assert ten["quantile_0.5"].item() == steps.filter(pl.col("share") >= 0.5)["time"].min()


def test_capture_is_read_backwards_in_time(frame_of, company) -> None:
    # ten heard a year ago, captured after 100 days; ten heard 50 days ago, captured after 10: alone they say 10 days
    until = datetime(2026, 1, 1, tzinfo=UTC)
    old = [{**hop(i, 100, name="captured"), "entered_at": until - timedelta(days=365)} for i in range(10)]
    new = [{**hop(10 + i, 10, name="captured"), "entered_at": until - timedelta(days=50)} for i in range(10)]
    got = cell(
        estimate_lags(frame_of("feedback_hops", old + new), frame_of("deal_outcomes", sold(20)), company),
        hop_="captured",
    )
    # at lag 100 only the old ones could have been seen, and all ten left then: nothing was shorter
    assert got["captured_30d"] == 0.0
    assert got["median_days"] == 100.0
    assert got["median_days_lo"] is None


def test_the_table_fits_its_contract_and_row_order_does_not_matter(frame_of, company: Company) -> None:
    contract = TABLES["feedback_lag_by_incentive"]
    rng = np.random.default_rng(4)
    names = ["captured", "triaged", "decided", "shipped", "told_back", "board_seen"]
    rows = [
        {**hop(i, float(rng.exponential(20)), name=names[i % 6], censored=i % 6 > 0 and i % 4 == 0), "opportunity_id": f"o{i // 6}", "account_id": f"a{i // 6}"}
        for i in range(1200)
    ]  # fmt: skip
    deals = [
        {**d, "emcr_quintile": 1 + i % 5, "segment": ["SMB", "Big"][i % 2]} for i, d in enumerate(sold(200))
    ]
    made = [
        estimate_lags(frame_of("feedback_hops", r), frame_of("deal_outcomes", d), company)
        .collect()
        .select(contract.schema.names())
        for r, d in ((rows, deals), (rows[::-1], deals[::-1]))
    ]
    assert made[0].schema == contract.schema
    assert_frame_equal(*made, check_exact=True)
    assert not made[0].select(pl.any_horizontal(rule.broken for rule in contract.rules).any()).item()
    assert not made[0].select(contract.key).is_duplicated().any()
    shown = made[0].filter(~pl.col("suppressed"))
    assert shown["dimension"].n_unique() >= 4
    inside = (pl.col("median_days_lo") <= pl.col("median_days")) & (
        pl.col("median_days") <= pl.col("median_days_hi")
    )
    assert shown.filter(pl.col("median_days_hi").is_not_null()).select(inside.all()).item()
    empty = estimate_lags(frame_of("feedback_hops", []), frame_of("deal_outcomes", []), company).collect()
    assert empty.select(contract.schema.names()).schema == contract.schema


def test_solicited_and_unsolicited_feedback_and_each_distance_are_groups_of_their_own(
    frame_of, company
) -> None:
    rows = [
        hop(i, 5 if i % 2 else 20) | {"solicited": bool(i % 2), "separation_at_capture": 3 + i % 2}
        for i in range(40)
    ]
    table = estimate_lags(frame_of("feedback_hops", rows), frame_of("deal_outcomes", sold(40)), company)
    assert [cell(table, "solicited", v)["median_days"] for v in ("solicited", "unsolicited")] == [5.0, 20.0]
    assert [cell(table, "separation", v)["median_days"] for v in ("3", "4")] == [20.0, 5.0]
    assert cell(table, "separation", "4")["n"] == 20


def test_items_that_nobody_marked_make_no_group(frame_of, company) -> None:
    rows = [hop(i, 5) for i in range(40)]
    table = estimate_lags(frame_of("feedback_hops", rows), frame_of("deal_outcomes", sold(40)), company)
    assert not {"solicited", "separation", "owner_emcr_quintile"} & set(table.collect()["dimension"])


def owned(count: int, owners: int) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Deals of as many fifths as there are owners' rates; items heard in January 2025 by owners paid low (slow) or high (fast)."""
    deals = [
        d
        | {
            "rep_id": f"r{i % owners}",
            "emcr": 0.05 if i % owners < owners // 2 else 0.30,
            "cohort_month": "2025-01",
        }
        for i, d in enumerate(sold(count))
    ]
    rows = [
        hop(i, 20 if (i + 3) % owners < owners // 2 else 5) | {"owner_rep_id": f"r{(i + 3) % owners}"}
        for i in range(count)
    ]
    return rows, deals


def test_feedback_is_grouped_by_how_its_owner_was_paid_that_month_and_not_by_who_sold(
    frame_of, company
) -> None:
    rows, deals = owned(60, 12)
    rows += [
        hop(i, 1)
        | {"entered_at": START + timedelta(days=40), "owner_rep_id": f"r{i % 12}", "feedback_id": f"x{i}"}
        for i in range(60)
    ]
    table = estimate_lags(frame_of("feedback_hops", rows), frame_of("deal_outcomes", deals), company)
    slow, fast = (cell(table, "owner_emcr_quintile", v) for v in ("1", "3"))
    assert (slow["median_days"], fast["median_days"]) == (20.0, 5.0)
    assert (slow["n"], fast["n"]) == (30, 30)
    # in February nobody closed anything: how the owners were paid then is not known
    assert cell(table, "owner_emcr_quintile", "unknown")["n"] == 60


def test_a_group_of_few_owners_is_hidden_however_many_sold(frame_of, company) -> None:
    rows, deals = owned(160, 16)
    few = [r | {"owner_rep_id": f"r{i % 4 if i % 16 < 8 else 8 + i % 8}"} for i, r in enumerate(rows)]
    table = estimate_lags(frame_of("feedback_hops", few), frame_of("deal_outcomes", deals), company)
    assert cell(table, "owner_emcr_quintile", "1")["suppressed"]
    shown = estimate_lags(frame_of("feedback_hops", rows), frame_of("deal_outcomes", deals), company)
    assert not cell(shown, "owner_emcr_quintile", "1")["suppressed"]
