"""Seeded companies of one design each, drawn straight as the tables that the design reads: moves between plans, periods that end
just past their quota, losses that go through the way of selling, money that a dearer plan bought. The seeds are fixed in advance: 0 to 99.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from assets.company import Company
from assets.evidence.marginal_value import value_moves
from assets.evidence.mediations import list_mediations
from assets.evidence.move_rows import list_move_rows
from assets.evidence.plan_changes import estimate_plan_changes
from assets.evidence.threshold_bunching import estimate_places, list_places
from assets.incentives.pay_thresholds import NOTCH
from assets.methods.exact import UNIT
from expectations.contracts import TABLES
from pipelines.sources.demo import Effect
from tests.acceptance.findings import Finding

MOVE_DIFFERENCE: Final[dict[Effect, float]] = {"harm": 0.06, "none": 0.0, "opposite": -0.06}
"""What the move adds to the share of deals lost within 180 days."""
BUNCHING_SHARE: Final[dict[Effect, float]] = {"harm": 0.5, "none": 0.0}
"""Share of the periods from 95 % of quota on that are carried just over it."""
MEDIATED: Final[dict[Effect, float]] = {"harm": 0.02, "none": 0.0, "opposite": -0.02}
"""What +10 pp EMCR adds to the share of deals lost by way of discount; as much again as `harm` goes past it."""
BOUGHT: Final[dict[Effect, float]] = {"harm": -2.0, "none": 0.0, "opposite": 3.0}
"""Net value that each unit more of pay brought."""
_COMPANY: Final = Company("USD", "UTC", date(2025, 12, 31))
_LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)


def find_moves(seed: int, effect: Effect) -> list[Finding]:
    """Sixty sellers, half of them moved on two days; everybody's customers leave more readily as time goes on.

    Those moved had the better customers before. So their own before and after finds the drift, and a comparison of both kinds of
    sellers afterwards finds the customers: only the difference of the differences is the move's.
    """
    deals, assignments = _draw_moves(seed, MOVE_DIFFERENCE[effect])
    changes = estimate_plan_changes(deals.lazy(), assignments.lazy(), _COMPANY)
    planted = MOVE_DIFFERENCE[effect]
    found = [
        Finding(
            seed, effect, "plan_change", row["specification"], 0.0 if row["test_family"] == "control" else planted, row["estimate"],
            row["estimate_lo"], row["estimate_hi"], nothing=0.0,
        )
        for row in list_move_rows(changes.lazy())
        if row["outcome"] == "churn_180d"
    ]  # fmt: skip
    moved = deals.filter("is_moved").group_by("is_after").agg(share=pl.col("churned_180d").mean(), n=pl.len())
    before, after = (moved.row(by_predicate=pl.col("is_after") == side, named=True) for side in (False, True))
    gap = after["share"] - before["share"]
    reach = 1.96 * sum(m["share"] * (1 - m["share"]) / m["n"] for m in (before, after)) ** 0.5
    found.append(Finding(seed, effect, "plan_change", "before_and_after", planted, gap, gap - reach, gap + reach, nothing=0.0))  # fmt: skip
    return found


def _draw_moves(seed: int, difference: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    draw = np.random.default_rng([seed, 1])
    sellers, each = 60, 150
    is_moved = np.arange(sellers) < sellers // 2
    day = np.array(
        [date(2024, 5, 15) + timedelta(days=200 * (s % 2)) for s in range(sellers)], dtype="datetime64[D]"
    )
    seller = np.repeat(np.arange(sellers), each)
    closed = np.datetime64("2022-06-01") + draw.integers(0, 1_300, seller.size)
    is_after = is_moved[seller] & (closed >= day[seller])
    years = (closed - np.datetime64("2022-06-01")).astype(float) / 365.25
    own = draw.uniform(0.05, 0.15, sellers) + 0.04 * ~is_moved
    risk = own[seller] + 0.03 * years + difference * is_after
    near = np.abs((closed - day[seller]).astype(float)) < 364  # what a before and after would look at
    churned = draw.random(seller.size) < risk
    deals = pl.DataFrame({
        "rep_id": [f"r{s:02}" for s in seller], "account_id": [f"a{i}" for i in range(seller.size)], "closed_on": closed,
        "churned_180d": churned, "is_moved": is_moved[seller] & near, "is_after": is_after,
    }).with_columns(
        emcr=pl.lit(0.1), mature_180d=pl.lit(value=True), complaints_180d=pl.lit(0, pl.Int64), refunded_180d=pl.lit(value=False),
        clawed_back_180d=pl.lit(value=False),
    )  # fmt: skip
    schema = TABLES["plan_assignments"].schema
    rows = []
    for s in range(sellers):
        known = {"rep_id": f"r{s:02}", "recorded_at": _LONG_AGO}
        if is_moved[s]:
            move = day[s].item()
            rows.append(
                known | {"plan_id": "AE", "version": 1, "valid_from": date(2022, 1, 1), "valid_to": move}
            )
            rows.append(known | {"plan_id": "AE", "version": 2, "valid_from": move})
        else:
            rows.append(known | {"plan_id": "KEY", "version": 1, "valid_from": date(2022, 1, 1)})
    return deals, pl.DataFrame([{c: r.get(c) for c in schema} for r in rows], schema=schema)


def find_bunching(seed: int, effect: Effect) -> list[Finding]:
    """Fifty sellers over forty periods; half of those who would end just below quota end just past it.

    Sellers differ in ability, so periods of one are alike. The naive estimate compares the periods in the bin above quota with those
    in the bin below: it takes for made what the carried ones are missing below, too.
    """
    draw = np.random.default_rng([seed, 2])
    sellers, periods = 50, 40
    seller = np.repeat(np.arange(sellers), periods)
    attained = draw.normal(1.0, 0.25, seller.size) + draw.normal(0, 0.08, sellers)[seller]
    attained = np.clip(attained, 0.01, None)
    moves = (attained >= 0.95) & (attained < 1) & (draw.random(seller.size) < BUNCHING_SHARE[effect])
    attained = np.where(moves, 1 + 0.02 * draw.random(seller.size), attained)
    carried = float(moves.sum())
    table = pl.DataFrame({
        "rep_id": [f"r{s:02}" for s in seller], "plan_id": "P", "version": 1, "component": "commission",
        "attained": np.floor(attained * UNIT).astype(np.int64),
    })  # fmt: skip
    thresholds = pl.DataFrame({
        "plan_id": ["P"], "version": [1], "component": ["commission"], "threshold": [UNIT], "threshold_kind": [NOTCH],
    })  # fmt: skip
    found = []
    # at 95 and 105 % lies the window of the quota itself
    places = [
        p
        for p in list_places(table, thresholds)
        if p.threshold in (UNIT, UNIT * 85 // 100, UNIT * 115 // 100)
    ]
    for row in estimate_places(places):
        name, planted = row["specification_name"], carried
        if row["is_placebo"]:
            name, planted = f"control_placebo_at_{row['threshold'] * 100 // UNIT}", 0.0
        found.append(
            Finding(
                seed, effect, "quota_bunching", name, planted, row["excess_mass"], row["excess_mass_lo"], row["excess_mass_hi"],
                nothing=0.0,
            )
        )  # fmt: skip
        if name == "headline":
            gap, reach = (
                row["just_above"] - row["just_below"],
                1.96 * (row["just_above"] + row["just_below"]) ** 0.5,
            )
            found.append(Finding(seed, effect, "quota_bunching", "above_less_below", planted, gap, gap - reach, gap + reach, nothing=0.0))  # fmt: skip
    return found


def find_mediation(seed: int, effect: Effect) -> list[Finding]:
    """Sixty sellers over six pay periods; under higher rates they discount more, and discounted customers leave.

    Sellers and periods with high rates have more discount and more losses anyway. Discount answers to the rate, and losses to discount,
    by one planted slope each; with nothing planted discount does not answer to the rate, but losses to discount still do.
    """
    draw = np.random.default_rng([seed, 3])
    sellers, periods, each = 60, 6, 25
    seller = np.repeat(np.arange(sellers), periods * each)
    period = np.tile(np.repeat(np.arange(periods), each), sellers)
    level = draw.normal(size=(sellers, periods))[seller, period]
    steps = 1 + 0.3 * level + 0.5 * draw.normal(size=seller.size)
    mediated = MEDIATED[effect]
    answer = np.sign(mediated) * 0.02  # of the discount to +10 pp
    discount = 0.15 + answer * steps + 0.02 * level + 0.05 * draw.normal(size=seller.size)
    risk = 0.12 + MEDIATED["harm"] * steps + 1.0 * (discount - 0.15) + 0.02 * level
    deals = pl.DataFrame({
        "rep_id": [f"r{s:02}" for s in seller], "period": [f"p{p}" for p in period], "account_id": [f"a{i}" for i in range(seller.size)],
        "segment": "all", "emcr": steps / 10, "discount_share": discount, "touches_30d": draw.poisson(3, seller.size),
        "churned_180d": draw.random(seller.size) < risk,
    }).with_columns(
        pl.lit(None, pl.Int64).alias("complaints_180d"), *(pl.lit(None, pl.Boolean).alias(n) for n in ("refunded_180d", "clawed_back_180d")),
    )  # fmt: skip
    planted = {"mediation_direct": MEDIATED["harm"], "mediation_indirect": mediated, "mediation_via_discount_share": mediated,
               "mediation_total": MEDIATED["harm"] + mediated, "mediation_via_touches_30d": 0.0}  # fmt: skip
    return [
        Finding(
            seed, effect, "mediation", row["specification"], planted[row["specification"]], row["estimate"], row["estimate_lo"],
            row["estimate_hi"], nothing=0.0,
        )
        for row in list_mediations(deals.lazy())
        if row["specification"] in planted
    ]  # fmt: skip


def draw_sales(
    seed: int, *, bought: float, paid: int, moved_on: date, sellers: int = 60
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Deals of 10,000 from 2022 to 2025, half of the sellers moved on one day to a plan that pays `paid` more a deal, which keeps
    `bought` times as much.

    Returns:
        Deals as `deal_outcomes` has them, and money as `account_for_deals` has it, of the deals that have had their year.
    """
    draw = np.random.default_rng([seed, 4])
    seller = np.repeat(np.arange(sellers), 120)
    closed = np.datetime64("2022-01-10") + draw.integers(0, 1_400, seller.size)
    is_after = (seller < sellers // 2) & (closed >= np.datetime64(moved_on))
    season = 300 * np.sin(closed.astype("datetime64[M]").astype(int))
    own = draw.normal(0, 500, sellers)[seller]
    pay = 800 + paid * is_after + 0.1 * own + draw.normal(0, 60, seller.size)
    kept = 6_000 + season + own + draw.normal(0, 800, seller.size) + bought * paid * is_after
    deals = pl.DataFrame({
        "opportunity_id": [f"o{i}" for i in range(seller.size)], "account_id": [f"a{i}" for i in range(seller.size)],
        "rep_id": [f"r{s:02}" for s in seller], "closed_on": closed, "observed_until": date(2025, 12, 31),
        "incentive_paid": np.rint(100 * pay).astype(np.int64), "revenue_kept": np.rint(100 * kept).astype(np.int64),
    }).with_columns(pl.lit(0, pl.Int64).alias(n) for n in ("refunds_amount", "complaint_cost", "clawbacks_amount"))  # fmt: skip
    had_a_year = pl.col("closed_on") <= date(2024, 12, 31)
    return deals, deals.filter(had_a_year).drop("rep_id", "closed_on", "observed_until")


def assign_sellers(sellers: int, moved: int, moved_on: date) -> pl.DataFrame:
    """`plan_assignments`: the first sellers move from the first to the second version of plan P, the others stay on Q."""
    rows: list[dict[str, object]] = []
    for number in range(sellers):
        rep = {
            "rep_id": f"r{number:02}",
            "recorded_at": _LONG_AGO,
            "plan_id": "P",
            "version": 1,
            "valid_from": date(2022, 1, 1),
        }
        if number < moved:
            rows += [rep | {"valid_to": moved_on}, rep | {"version": 2, "valid_from": moved_on}]
        else:
            rows.append(rep | {"plan_id": "Q"})
    schema = TABLES["plan_assignments"].schema
    return pl.DataFrame([{c: r.get(c) for c in schema} for r in rows], schema=schema)


def find_value(seed: int, effect: Effect) -> list[Finding]:
    """What one more unit of pay bought, and the average that a reader in a hurry would take for it."""
    moved_on = date(2023, 11, 20)
    deals, accounts = draw_sales(seed, bought=BOUGHT[effect], paid=600, moved_on=moved_on)
    assigned = assign_sellers(60, 30, moved_on)
    (row,) = value_moves(deals.lazy(), accounts.lazy(), assigned.lazy(), _COMPANY)
    names = ("net_value_per_dollar", "net_value_per_dollar_lo", "net_value_per_dollar_hi")
    # everybody's customers would have been kept without the money, too
    average = float(accounts["revenue_kept"].sum() / accounts["incentive_paid"].sum())
    return [
        Finding(
            seed,
            effect,
            "incentive_value",
            "plan_change",
            BOUGHT[effect],
            *(row[n] for n in names),
            nothing=0.0,
        ),
        Finding(
            seed, effect, "incentive_value", "average", BOUGHT[effect], average, average, average, nothing=0.0
        ),
    ]
