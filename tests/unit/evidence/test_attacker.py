"""Two hundred made-up organisations, published and attacked: no size of a small cell is told within its protected range."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from assets.company import Company
from assets.evidence.complaint_rates import rate_complaints
from assets.evidence.dimensions import CROSSED, VALUES, state_equations
from assets.evidence.retention import estimate_churn
from assets.evidence.suppression import Additive, count_people, hide_small_cells, is_small
from tests.unit.evidence.attacker import Attacker, Key

KEY = ["dimension", "value", "period"]
ORGANISATIONS = 200
PLANS = {"has_cap": {"P0": "yes", "P1": "no", "P2": "no", "P3": "yes"}}
CROSSES = "emcr_quintile_within_segment"


def organisation(seed: int) -> pl.DataFrame:
    """Deals of a firm: sellers of very different size, groups of very different size, some deals without a fifth."""
    rng = np.random.default_rng(seed)
    n, sellers = int(rng.integers(60, 500)), int(rng.integers(6, 30))
    skew = rng.dirichlet(np.full(sellers, 0.5))
    fifth = rng.integers(1, 6, n).astype(str)
    fifth[rng.random(n) < rng.choice([0, 0.02, 0.1])] = "unknown"
    return pl.DataFrame(
        {
            "rep_id": rng.choice(sellers, n, p=skew),
            "account_id": rng.integers(0, n, n),
            "segment": rng.choice(["SMB", "Mid", "Big", "Rare"], n, p=rng.dirichlet([4, 2, 1, 0.2])),
            "emcr_quintile": fifth,
            "plan": rng.choice(list(PLANS["has_cap"]), n, p=rng.dirichlet([3, 2, 0.3, 0.3])),
            "quarter": rng.integers(1, 3, n),
            "months": rng.integers(1, 12, n),
            "complaints": rng.poisson(0.2, n),
        }
    ).with_columns(
        has_cap=pl.col("plan").replace_strict(PLANS["has_cap"]),
        all=pl.lit("all"),
        **{CROSSES: pl.concat_str("segment", "emcr_quintile", separator=": ")},
    )


def cut(deals: pl.DataFrame) -> pl.DataFrame:
    """All cells: every dimension and group, every quarter and `all`."""
    timed = pl.concat(
        [
            deals.with_columns(period=pl.lit("all")),
            deals.with_columns(period=pl.format("2025-Q{}", "quarter")),
        ]
    )
    dimensions = ("all", "segment", "emcr_quintile", CROSSES, "plan", "has_cap")
    numbers = [*count_people(), pl.col("months").sum(), pl.col("complaints").sum().cast(pl.Int64)]
    return pl.concat(
        [
            timed.group_by(value=pl.col(d), period="period").agg(numbers).with_columns(dimension=pl.lit(d))
            for d in dimensions
        ]
    ).sort(KEY)


def nested(cells: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(
        [("has_cap", flag, "plan", plan) for plan, flag in PLANS["has_cap"].items()],
        schema=["of", "group", "dimension", "value"], orient="row",
    )  # fmt: skip


def attack(published: pl.DataFrame, number: str, *, quarters: bool) -> Attacker:
    attacker = Attacker()
    rows = [(tuple(r[:3]), r[3]) for r in published.select(*KEY, number).iter_rows()]
    attacker.read("table", number, rows, PLANS)
    if quarters:
        attacker.add_quarters("table", number)
    return attacker


def publish(cells: pl.DataFrame, *, protect: bool = True) -> pl.DataFrame:
    if protect:
        equations = state_equations(cells, by=["period"], whole="period", nested=nested(cells))
        additive = [
            Additive("n", families=(VALUES, CROSSED, "features")),
            Additive("months"),
            Additive("complaints", is_size=False),
        ]
        marked = hide_small_cells(cells, equations, KEY, additive=additive)  # fmt: skip
    else:
        marked = cells.with_columns(suppressed=is_small())
    return marked.with_columns(
        pl.when(~pl.col("suppressed")).then(pl.col(c)).alias(c) for c in ("n", "months", "complaints")
    )


def find_breaches(
    cells: pl.DataFrame, published: pl.DataFrame
) -> list[tuple[Key, float, tuple[float, float]]]:
    small = cells.filter(is_small())
    breaches = []
    for number, quarters in (("n", False), ("months", True), ("complaints", True)):
        truth = {("table", number, *r[:3]): float(r[3]) for r in small.select(*KEY, number).iter_rows()}
        if number == "complaints":
            truth = {key: value for key, value in truth.items() if value > 0}
        needed = {key: 1.0 if number == "complaints" else max(10.0, 0.2 * x) for key, x in truth.items()}
        for key, (low, high) in attack(published, number, quarters=quarters).bound(needed).items():
            if high - low < needed[key] - 1e-5:
                assert low - 1e-6 <= truth[key] <= high + 1e-6
                breaches.append((key, truth[key], (low, high)))
    return breaches


@pytest.mark.parametrize("tens", range(ORGANISATIONS // 10))
def test_no_small_cell_of_two_hundred_organisations_is_told(tens: int) -> None:
    shown = 0
    for seed in range(10 * tens, 10 * tens + 10):
        cells = cut(organisation(seed))
        published = publish(cells)
        assert find_breaches(cells, published) == [], f"organisation {seed}"
        shown += published["n"].is_not_null().sum()
    assert shown > 100  # hiding everything would be safe, too


def test_hiding_only_the_small_cells_is_seen_through() -> None:
    """The attacker is no straw man: without protection most organisations give something away."""
    told = 0
    for seed in range(12):
        cells = cut(organisation(seed))
        told += bool(find_breaches(cells, publish(cells, protect=False)))
    assert told >= 8


def test_one_sellers_numbers_are_hidden_although_others_have_a_deal_each() -> None:
    rows = pl.DataFrame({"rep_id": [1] * 96 + [2, 3, 4, 5], "account_id": range(100)})
    even = pl.DataFrame({"rep_id": [1, 2, 3, 4, 5] * 20, "account_id": range(100)})
    small = [frame.select(count_people()).select(is_small()).item() for frame in (rows, even)]
    assert small == [True, False]


# ---- through the marts -------------------------------------------------------------------------------------------------


def firm(seed: int) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Rows of deal_outcomes and of customer_events."""
    rng = np.random.default_rng(seed)
    plans = [f"P{i}" for i in range(4)]
    deals, events = [], []
    for i in range(260):
        closed = date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 640)))
        left = closed + timedelta(days=int(rng.exponential(500)))
        plan = plans[int(rng.choice(4, p=[0.5, 0.4, 0.07, 0.03]))]
        deals.append({
            "opportunity_id": f"o{i}", "account_id": f"a{i % 230}", "rep_id": f"r{int(rng.geometric(0.12)) % 24}", "closed_on": closed,
            "clock_start_on": closed, "churned_on": left if left <= date(2025, 12, 31) else None, "observed_until": date(2025, 12, 31),
            "segment": ["SMB", "Mid", "Big"][int(rng.choice(3, p=[0.7, 0.25, 0.05]))], "plan_id": plan, "has_cap": PLANS["has_cap"][plan] == "yes",
            "emcr_quintile": None if rng.random() < 0.05 else int(rng.integers(1, 6)), "month_end": bool(closed.day > 25),
            "cohort_quarter": f"{closed.year}-Q{(closed.month + 2) // 3}", "contradicted": bool(seed % 2 and rng.random() < 0.02),
        })  # fmt: skip
        events += [{
                "kind": "complaint", "event_id": f"c{i}-{k}", "account_id": f"a{i}", "opportunity_id": f"o{i}", "attribution": "opportunity",
                "date": closed + timedelta(days=int(rng.integers(0, 300))), "category": str(rng.choice(["mis_sale", "service"])), "is_upheld": False, "contradicted": False,
            } for k in range(int(rng.poisson(0.25)))]  # fmt: skip
    return deals, events


@pytest.mark.parametrize("seed", range(4))
def test_all_tables_together_tell_no_small_cell(seed: int, frame_of, company: Company) -> None:
    deals, events = firm(seed)
    outcomes = frame_of("deal_outcomes", deals)
    churn = estimate_churn(outcomes, company)[0].filter(pl.col("horizon_days") == 180).collect()
    rates = rate_complaints(outcomes, frame_of("customer_events", events), company)[0].collect()
    whole = rates.filter(pl.col("category") == "all")
    attacker = Attacker()
    attacker.read(
        "churn",
        "n",
        [(tuple(r[:2]), r[2]) for r in churn.select("dimension", "value", "n").iter_rows()],
        PLANS,
    )
    attacker.read("rates", "n", [(tuple(r[:3]), r[3]) for r in whole.select(*KEY, "n").iter_rows()], PLANS)
    attacker.read(
        "rates",
        "account_months",
        [(tuple(r[:3]), r[3]) for r in whole.select(*KEY, "account_months").iter_rows()],
        PLANS,
    )
    attacker.add_quarters("rates", "account_months")
    if (
        seed % 2 == 0
    ):  # nothing is contradicted: the deals followed and the deals rated are the same, and everybody knows
        for dimension, value in churn.select("dimension", "value").iter_rows():
            attacker.link(("churn", "n", dimension, value), ("rates", "n", dimension, value, "all"))
    truth = outcomes.collect().with_columns(
        emcr_quintile=pl.col("emcr_quintile").cast(pl.String).fill_null("unknown"), plan=pl.col("plan_id"), all=pl.lit("all"),
        has_cap=pl.col("plan_id").replace_strict(PLANS["has_cap"]),
    ).with_columns(**{CROSSES: pl.concat_str("segment", "emcr_quintile", separator=": ")})  # fmt: skip
    tried = 0
    for dimension in ("segment", "emcr_quintile", CROSSES, "plan", "has_cap", "cohort_quarter"):
        small = truth.group_by(value=dimension).agg(count_people()).filter(is_small())
        for value, n in small.select("value", "n").iter_rows():
            keys = [
                ("churn", "n", dimension, value),
                ("rates", "n", dimension, value, "all"),
                ("rates", "account_months", dimension, value, "all"),
            ]
            for key, (low, high) in attacker.bound(
                {k: max(10, 0.2 * n) for k in keys if k in attacker.known}
            ).items():
                tried += 1
                assert high - low >= max(10, 0.2 * n) - 1e-5, (key, n, low, high)
    assert tried > 5
