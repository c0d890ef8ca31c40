"""`quota_bunching` on planted attainments: found where planted, quiet where not, silent where too few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.company import Company
from assets.evidence.quota_bunching import quota_bunching
from assets.evidence.threshold_bunching import RD_INVALID
from assets.table import Made
from expectations.contracts import TABLES

FrameOf = Callable[[str, Sequence[Mapping[str, object]]], pl.LazyFrame]
Row = dict[str, object]
QUOTA = 10_000


def plan(plan_id: str, *steps: tuple[str, str], method: str = "retroactive") -> list[Row]:
    return [
        {"plan_id": plan_id, "version": 1, "component": "commission", "tier": i, "tier_method": method,
         "from_attainment": Decimal(start), "rate": Decimal(rate)}
        for i, (start, rate) in enumerate(steps, start=1)
    ]  # fmt: skip


NOTCH = (("0", "0.05"), ("1", "0.08"))


def periods(plan_id: str, attained: np.ndarray, sellers: int = 40, first: int = 0) -> list[Row]:
    """One deal per seller and quarter that brings the attainment; sellers take turns."""
    rows = []
    for i, share in enumerate(attained):
        quarter = i // sellers
        start = date(2000 + quarter // 4, quarter % 4 * 3 + 1, 1)
        end = date(start.year + start.month // 10, (start.month + 2) % 12 + 1, 1)
        rows.append(
            {
                "opportunity_id": f"{plan_id}{i}", "rep_id": f"r{first + i % sellers}", "component": "commission",
                "credit_type": "primary", "plan_id": plan_id, "version": 1, "period_start": start, "period_end": end,
                "closed_at": datetime(start.year, start.month, 9, tzinfo=UTC),
                "credited_amount_final": Decimal(round(share * QUOTA)),
            }
        )  # fmt: skip
    return rows


def smooth(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, 0.3, count).clip(0.01)


def push(attained: np.ndarray, share: float, to: float = 1.0, seed: int = 2) -> np.ndarray:
    """Some of those just below a place end just past it; how many is what a fit must find."""
    rng = np.random.default_rng(seed)
    moves = (attained >= to - 0.1) & (attained < to) & (rng.random(attained.size) < share)
    return np.where(moves, to + 0.02 * rng.random(attained.size), attained)


@pytest.fixture
def made(frame_of: FrameOf, company: Company) -> Callable[..., Made]:
    def make(plans: Sequence[Row], deals: Sequence[Row], cap: str | None = None) -> Made:
        quotas = {
            (d["rep_id"], d["period_start"]): {
                **{k: d[k] for k in ("rep_id", "component", "period_start", "period_end")},
                "amount": Decimal(str(d.get("quota", QUOTA))),
            }
            for d in deals
        }  # fmt: skip
        deals = [{k: v for k, v in d.items() if k != "quota"} for d in deals]
        capped = (
            [
                {
                    "plan_id": "P",
                    "version": 1,
                    "cap": Decimal(cap),
                    "recorded_at": datetime(1999, 1, 1, tzinfo=UTC),
                }
            ]
            if cap
            else []
        )
        return quota_bunching(
            frame_of("deal_incentives", deals), frame_of("quotas", list(quotas.values())),
            frame_of("plan_features", plans), frame_of("plan_components", []), frame_of("plans", capped), company,
        )  # fmt: skip

    return make


def rows_of(made: Made, plan_id: str = "P", threshold: str = "1") -> dict[str, Row]:
    found = made.frame.filter(
        pl.col("plan_id") == plan_id, pl.col("threshold") == Decimal(threshold)
    ).collect()
    return {str(row["specification_name"]): row for row in found.to_dicts()}


def test_planted_bunching_is_found_under_every_specification(made: Callable[..., Made]) -> None:
    before = smooth(3_000)
    after = push(before, 0.6)
    moved = int((before != after).sum())
    rows = rows_of(made(plan("P", *NOTCH), periods("P", after)))
    assert set(rows) == {
        "headline", "window_narrow", "window_wide", "degree_4", "degree_6", "bins_fine", "bins_coarse",
        "constraint_right", "constraint_none",
    }  # fmt: skip
    for name, row in rows.items():
        assert row["excess_mass_lo"] < moved < row["excess_mass_hi"], name  # type: ignore[operator]
        assert row["discontinuity_warning"] == RD_INVALID
    head = rows["headline"]
    assert (head["threshold_kind"], head["predicted_side"], head["constrained_side"]) == (
        "notch",
        "above",
        "left",
    )
    assert (head["evidence_level"], head["n_sellers"], head["is_placebo"]) == (3, 40, False)
    in_bins = [int(((after >= lo) & (after < lo + 0.025)).sum()) for lo in (0.975, 1.0)]
    assert abs(head["just_below"] - in_bins[0]) <= 1  # type: ignore[operator]  # attainments are rounded to the dollar
    assert abs(head["just_above"] - in_bins[1]) <= 1  # type: ignore[operator]
    # those who left are missed from the window; the wide one holds all of them
    wide = rows["window_wide"]
    assert wide["missing_mass_lo"] < moved < wide["missing_mass_hi"]  # type: ignore[operator]


def test_placebos_are_quiet_beside_a_real_threshold(made: Callable[..., Made]) -> None:
    found = made(plan("P", *NOTCH), periods("P", push(smooth(3_000), 0.6)))
    for threshold in ("0.85", "0.95", "1.05", "1.15"):
        (row,) = rows_of(found, threshold=threshold).values()
        assert row["is_placebo"]
        assert row["threshold_kind"] == "placebo"
        # no excess beyond chance; just below the quota there is a lack, for those who were moved over it
        assert row["excess_mass_lo"] <= 0, threshold  # type: ignore[operator]
    (below,) = rows_of(found, threshold="0.95").values()
    assert below["excess_mass_hi"] < 0  # type: ignore[operator]


def test_without_bunching_nothing_is_found_more_often_than_chance(made: Callable[..., Made]) -> None:
    """20 plans, at 100 % and four placebos each: 2.5 of 100 intervals are expected above 0, 2.5 below."""
    plans = [row for i in range(20) for row in plan(f"P{i:02}", *NOTCH)]
    deals = [d for i in range(20) for d in periods(f"P{i:02}", smooth(600, seed=i), first=40 * i)]
    head = made(plans, deals).frame.filter(
        pl.col("specification_name") == "headline", pl.col("plan_id") != "all"
    ).collect()  # fmt: skip
    assert len(head) == 100
    assert (head["excess_mass_lo"] > 0).sum() <= 8
    assert (head["excess_mass_hi"] < 0).sum() <= 8


def test_a_decelerator_holds_people_at_or_below_it(made: Callable[..., Made]) -> None:
    steps = plan("P", ("0", "0.08"), ("1.2", "0.02"), method="incremental")
    rng = np.random.default_rng(8)
    before = smooth(3_000)
    stays = (before > 1.2) & (before < 1.3) & (rng.random(3_000) < 0.6)
    after = np.where(stays, 1.2 - 0.04 * rng.random(3_000), before)
    row = rows_of(made(steps, periods("P", after)), threshold="1.2")["headline"]
    assert (row["threshold_kind"], row["predicted_side"], row["constrained_side"]) == (
        "decelerator",
        "below",
        "right",
    )
    assert row["excess_mass_lo"] < int(stays.sum()) < row["excess_mass_hi"]  # type: ignore[operator]
    rising = rows_of(made(plan("P", *NOTCH, method="incremental"), periods("P", before)))["headline"]
    assert (rising["threshold_kind"], rising["predicted_side"]) == ("accelerator", "none")


def test_a_cap_holds_people_where_it_binds_at_their_own_quota(made: Callable[..., Made]) -> None:
    """8 %, 12 % past the quota, 1,100 at most: the cap binds at 125 % of a quota of 10,000 and at 109.72.. % of 12,000."""
    steps = plan("P", ("0", "0.08"), ("1", "0.12"), method="incremental")
    rng = np.random.default_rng(8)
    before = smooth(3_000)
    small = np.arange(3_000) % 2 == 0
    own_cap = np.where(small, 1.25, 1 + (1100 / 12_000 - 0.08) / 0.12)
    stays = (before > own_cap) & (before < own_cap + 0.1) & (rng.random(3_000) < 0.6)
    after = np.where(stays, own_cap - 0.04 * rng.random(3_000), before)
    deals = periods("P", after * np.where(small, 1.0, 1.2))
    for deal, is_small in zip(deals, small, strict=True):
        deal["quota"] = 10_000 if is_small else 12_000
    found = made(steps, deals, cap="1100")
    (cap,) = found.frame.filter(
        pl.col("threshold_kind") == "cap", pl.col("specification_name") == "headline"
    ).collect().to_dicts()  # fmt: skip
    assert cap["threshold"] == Decimal("1.09722222")
    assert (cap["predicted_side"], cap["constrained_side"], cap["is_placebo"]) == ("below", "right", False)
    assert cap["excess_mass_lo"] < int(stays.sum()) < cap["excess_mass_hi"]
    assert not made(steps, deals).frame.filter(pl.col("threshold_kind") == "cap").collect().height


def test_under_200_seller_periods_nothing_is_said(made: Callable[..., Made]) -> None:
    near = smooth(199).clip(0.6, 1.4)
    rows = rows_of(made(plan("P", *NOTCH), periods("P", near)))
    assert {row["bunching_null_reason"] for row in rows.values()} == {"too_few_seller_periods"}
    assert all(
        row["suppressed"] and row["excess_mass"] is row["just_below"] is row["n"] is None
        for row in rows.values()
    )
    enough = rows_of(made(plan("P", *NOTCH), periods("P", np.append(near, 1.0))))["headline"]
    assert (enough["suppressed"], enough["n"]) == (False, 200)


def test_plans_of_few_sellers_are_hidden_and_pooled(made: Callable[..., Made]) -> None:
    plans = [
        *plan("A", *NOTCH),
        *plan("B", *NOTCH),
        *plan("C", ("0", "0.05"), ("1", "0.08"), method="incremental"),
    ]
    deals = [
        *periods("A", smooth(600, 1)),
        *periods("B", smooth(300, 2), sellers=3, first=100),
        *periods("C", smooth(900, 3), first=200),
    ]
    found = made(plans, deals)
    hidden = {p: rows_of(found, p)["headline"]["bunching_null_reason"] for p in ("A", "B", "C", "all")}
    # B has three sellers; all less the other two would be B, so the smaller of them is hidden too
    assert hidden == {"A": "few_people", "B": "few_people", "C": None, "all": None}
    pooled = rows_of(found, "all")["headline"]
    assert pooled["threshold_kind"] == "mixed"
    assert pooled["n_sellers"] == 83


def test_a_period_that_still_runs_is_left_out_and_row_order_changes_nothing(
    made: Callable[..., Made],
) -> None:
    deals = periods("P", smooth(600))
    running: list[Row] = [
        {**d, "opportunity_id": f"late{i}", "period_start": date(2025, 10, 1), "period_end": date(2026, 1, 2)}
        for i, d in enumerate(deals[:40])
    ]
    one = made(plan("P", *NOTCH), deals)
    other = made(plan("P", *NOTCH), [*running, *deals[::-1]])
    assert other.facts == {"seller_periods": 640, "seller_periods_still_running": 40}
    assert_frame_equal(one.frame.collect(), other.frame.collect(), check_exact=True)
    assert one.frame.collect_schema() == TABLES["quota_bunching"].schema


def test_without_quotas_there_are_no_rows(made: Callable[..., Made]) -> None:
    assert made([], []).frame.collect().is_empty()


def test_a_jump_of_the_density_is_warned_of_and_a_smooth_one_is_not(made: Callable[..., Made]) -> None:
    tiers = plan("P", *NOTCH)
    piled = rows_of(made(tiers, periods("P", push(smooth(4_000), 0.6))))["headline"]
    assert piled["warnings"] == "density_jump"
    assert piled["density_ratio"] > 1.5
    quiet = rows_of(made(tiers, periods("P", smooth(4_000))))["headline"]
    assert (quiet["warnings"], quiet["density_p"] > 0.01) == ("", True)
    # the test asks for 200 periods on a side, the fit for 200 in all
    thin = rows_of(made(tiers, periods("P", push(smooth(300), 0.6))))["headline"]
    assert (thin["warnings"], thin["density_ratio"]) == ("", None)
    assert thin["excess_mass"] is not None
