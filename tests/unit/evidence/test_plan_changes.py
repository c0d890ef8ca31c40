"""Moves between plans: who is treated, who is compared, and what is found where it was planted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from assets.company import Company
from assets.evidence.moves import list_moves
from assets.evidence.plan_changes import estimate_plan_changes
from tests.unit.evidence.conftest import FrameOf

MOVED = date(2024, 5, 15)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def assigned(rep: str, plan: str, version: int, start: date, end: date | None = None) -> dict[str, object]:
    return {
        "rep_id": rep,
        "plan_id": plan,
        "version": version,
        "valid_from": start,
        "valid_to": end,
        "recorded_at": LONG_AGO,
    }


def test_only_a_change_of_plan_or_version_is_a_move(frame_of: FrameOf) -> None:
    moves = list_moves(
        frame_of(
            "plan_assignments",
            [
                assigned("a", "AE", 1, date(2023, 1, 1), date(2024, 1, 1)),
                assigned("a", "AE", 1, date(2024, 1, 1), MOVED),  # the same terms again
                assigned("a", "AE", 2, MOVED, date(2025, 1, 1)),
                assigned("a", "KEY", 1, date(2025, 1, 1)),
                assigned("b", "AE", 2, date(2023, 1, 1)),
            ],
        )
    )
    assert moves.select("rep_id", "plan_change", "moved_on", "after_on", "before_on").rows() == [
        ("a", "AE 1 > AE 2", MOVED, None, date(2025, 1, 1)),
        ("a", "AE 2 > KEY 1", date(2025, 1, 1), MOVED, None),
    ]


def make_firm(
    seed: int, frame_of: FrameOf, *, gain: float, moved: int = 30, others: int = 30, season: float = 0.1
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Sellers with a deal every six days for four years; those moved lose `gain` more customers from their day on."""
    draw = np.random.default_rng(seed)
    sellers = moved + others
    starts = [MOVED + timedelta(days=200 * (number % 2)) for number in range(sellers)]  # two cohorts
    plans: list[Mapping[str, object]] = []
    for number in range(sellers):
        rep = f"r{number:02d}"
        if number < moved:
            plans += [
                assigned(rep, "AE", 1, date(2022, 1, 1), starts[number]),
                assigned(rep, "AE", 2, starts[number]),
            ]
        else:
            plans.append(assigned(rep, "KEY", 1, date(2022, 1, 1)))
    number, step = np.repeat(np.arange(sellers), 240), np.tile(np.arange(240), sellers)
    closed = np.datetime64("2022-06-01") + 6 * step
    after = (number < moved) & (closed >= np.array(starts, dtype="datetime64[D]")[number])
    month = closed.astype("datetime64[M]").astype(int) % 12 + 1
    risk = draw.uniform(0.1, 0.3, sellers)[number] + season * np.isin(month, (11, 12)) + gain * after
    rep = pl.Series([f"r{n:02d}" for n in number])
    deals = pl.DataFrame({"rep_id": rep, "step": step, "closed_on": closed, "churned_180d": draw.random(len(step)) < risk}).select(
        "rep_id", "closed_on", "churned_180d", opportunity_id=pl.format("{}-{}", "rep_id", "step"), account_id="rep_id",
        emcr=pl.lit(0.1), mature_180d=pl.lit(value=True), complaints_180d=pl.lit(0, pl.Int64), refunded_180d=pl.lit(value=False),
        clawed_back_180d=pl.lit(value=False),
    )  # fmt: skip
    return deals.lazy(), frame_of("plan_assignments", plans)


def row(found: pl.DataFrame, outcome: str, term: str, change: str = "AE 1 > AE 2") -> dict[str, object]:
    return found.row(
        by_predicate=(pl.col("plan_change") == change)
        & (pl.col("outcome") == outcome)
        & (pl.col("term") == term),
        named=True,
    )


def test_a_planted_effect_is_found_and_the_placebo_finds_nothing(frame_of: FrameOf, company: Company) -> None:
    held = {"average": 0, "placebo": 0}
    for seed in range(12):
        found = estimate_plan_changes(*make_firm(seed, frame_of, gain=0.15), company)
        average, placebo = row(found, "churn_180d", "average"), row(found, "churn_180d", "placebo")
        held["average"] += average["estimate_lo"] <= 0.15 <= average["estimate_hi"]  # type: ignore[operator]
        held["placebo"] += placebo["estimate_lo"] <= 0 <= placebo["estimate_hi"]  # type: ignore[operator]
        assert average["p_value"] < 0.001  # type: ignore[operator]
        assert (average["n_treated"], average["n_compared"], average["evidence_level"]) == (30, 30, 4)
    assert min(held.values()) >= 9, held  # binomial(12, 0.95): fewer than 9 has a chance of 0.0002


def test_the_opposite_and_nothing_are_found_as_well(frame_of: FrameOf, company: Company) -> None:
    better = row(estimate_plan_changes(*make_firm(3, frame_of, gain=-0.1), company), "churn_180d", "average")
    assert better["estimate_hi"] < 0  # type: ignore[operator]
    nothing = [
        row(estimate_plan_changes(*make_firm(seed, frame_of, gain=0.0), company), "churn_180d", "average")[
            "p_value"
        ]
        for seed in range(12)
    ]
    assert sum(p < 0.05 for p in nothing) <= 3  # type: ignore[operator]


def test_volume_counts_months_without_a_deal(frame_of: FrameOf, company: Company) -> None:
    deals, plans = make_firm(1, frame_of, gain=0.0)
    # those moved sell every second deal only, from their day on: 30.4375 / 6 deals a month less a half
    number = pl.col("opportunity_id").str.split("-").list.get(1).cast(pl.Int64)
    rep = pl.col("rep_id").str.strip_prefix("r").cast(pl.Int64)
    start = pl.lit(MOVED) + pl.duration(days=200) * (rep % 2)
    kept = deals.filter((rep >= 30) | (pl.col("closed_on") < start) | (number % 2 == 0))
    found = row(estimate_plan_changes(kept, plans, company), "deals_won", "average")
    assert found["estimate"] == pytest.approx(-30.4375 / 12, abs=0.15)


def test_few_sellers_are_hidden_and_nobody_to_compare_with_is_said(
    frame_of: FrameOf, company: Company
) -> None:
    few = estimate_plan_changes(*make_firm(1, frame_of, gain=0.1, moved=4), company)
    assert few["suppressed"].all()
    assert few["estimate"].is_null().all()
    alone = estimate_plan_changes(*make_firm(1, frame_of, gain=0.1, others=0), company)
    assert alone["estimate"].is_null().all()
    assert "no_within_variation" in str(row(alone, "churn_180d", "average")["warnings"])


def test_a_small_kind_of_move_does_not_follow_from_the_others(frame_of: FrameOf, company: Company) -> None:
    """Of 36 moves, 20 are of one kind, 12 of another, 4 of a third: the 12 are hidden with the 4, all moves and the 20 are told."""
    deals, plans = make_firm(1, frame_of, gain=0.1, moved=36)
    number = pl.col("rep_id").str.slice(1).cast(pl.Int64)
    to = pl.when(number < 4).then(pl.lit("FEW")).when(number < 16).then(pl.lit("SOME")).otherwise("plan_id")
    second = pl.when(pl.col("version") == 2).then(to).otherwise("plan_id")
    found = estimate_plan_changes(deals, plans.with_columns(plan_id=second), company)
    averages = found.filter((pl.col("term") == "average") & (pl.col("outcome") == "churn_180d"))
    assert dict(averages.select("plan_change", "n_treated").iter_rows()) == {
        "all": 36,
        "AE 1 > AE 2": 20,
        "AE 1 > SOME 2": None,
        "AE 1 > FEW 2": None,
    }
    assert found.filter("suppressed").select(pl.col("estimate", "n", "n_accounts").is_null().all()).row(
        0
    ) == ((True,) * 3)


def test_rare_events_give_no_estimate(frame_of: FrameOf, company: Company) -> None:
    found = row(estimate_plan_changes(*make_firm(1, frame_of, gain=0.1), company), "refund_180d", "average")
    assert found["estimate"] is None
    assert "few_events" in str(found["warnings"])


def test_row_order_changes_nothing(frame_of: FrameOf, company: Company) -> None:
    deals, plans = make_firm(2, frame_of, gain=0.1)
    first = estimate_plan_changes(deals, plans, company)
    again = estimate_plan_changes(
        deals.collect().sample(fraction=1, shuffle=True, seed=3).lazy(),
        plans.collect().reverse().lazy(),
        company,
    )
    assert first.equals(again)


def test_a_row_is_what_it_says(frame_of: FrameOf, company: Company) -> None:
    deals, plans = make_firm(4, frame_of, gain=0.15)
    found = estimate_plan_changes(deals, plans, company)
    average = row(found, "churn_180d", "average")
    followed = deals.collect().with_columns(seller=pl.col("rep_id").str.strip_prefix("r").cast(pl.Int64))
    start = pl.lit(MOVED) + pl.duration(days=200) * (pl.col("seller") % 2)
    after = followed.filter(
        pl.col("seller") < 30,
        pl.col("closed_on") >= start,
        pl.col("closed_on") < start + pl.duration(days=364),
    )
    assert average["moved_mean"] == pytest.approx(after["churned_180d"].mean(), abs=1e-8)
    # E-value of the ratio of what was seen to what would have been: r + sqrt(r (r - 1))
    ratio = average["moved_mean"] / (average["moved_mean"] - average["estimate"])  # type: ignore[operator]
    assert average["e_value"] == pytest.approx(ratio + (ratio * (ratio - 1)) ** 0.5, abs=1e-6)
    assert 1 < average["e_value_bound"] < average["e_value"]  # type: ignore[operator]
    assert (average["mature_share"], average["n_accounts"]) == (1.0, 60)
    said = str(average["sentence"])
    assert f"was {average['estimate']:.1%} higher".replace("%", " pp") in said
    assert "level 4: an effect only if both would have gone the same way" in said
    placebo = str(row(found, "churn_180d", "placebo")["sentence"])
    assert placebo.startswith("A negative control: in the half year before the move")
    assert "an effect" not in placebo
    before = found.filter(outcome="churn_180d", term="quarter", relative_period=-3, plan_change="all")
    assert str(before["sentence"][0]).startswith("In the third quarter before the move")
    assert "effect" not in str(before["sentence"][0])


def test_sellers_on_a_course_of_their_own_are_warned_of(frame_of: FrameOf, company: Company) -> None:
    """Churn of those moved rises through the year before the move: the average says nothing, and the row says so."""
    deals, plans = make_firm(7, frame_of, gain=0.0)
    seller = pl.col("rep_id").str.strip_prefix("r").cast(pl.Int64)
    start = pl.lit(MOVED) + pl.duration(days=200) * (seller % 2)
    days_before = (start - pl.col("closed_on")).dt.total_days()
    step = pl.col("opportunity_id").str.split("-").list.get(1).cast(pl.Int64)
    # one deal in two is lost in the last half year before the move
    rising = (seller < 30) & days_before.is_between(1, 182) & (step % 2 == 0)
    drifting = deals.with_columns(churned_180d=pl.col("churned_180d") | rising)
    warned = row(estimate_plan_changes(drifting, plans, company), "churn_180d", "average")
    calm = row(estimate_plan_changes(deals, plans, company), "churn_180d", "average")
    assert "pre_trend" in str(warned["warnings"])
    assert "the quarters before it differed" in str(warned["sentence"])
    assert "pre_trend" not in str(calm["warnings"])
    assert "did not visibly differ" in str(calm["sentence"])
