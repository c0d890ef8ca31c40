"""Every hop of feedback against pay: what was planted into each is found in each, with the clock started at the step before."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from assets.company import Company
from assets.evidence.effects import estimate_effects
from assets.evidence.estimates import estimate_effect
from assets.evidence.panels import build_panel, describe_deals
from assets.evidence.specifications import (
    EXPOSURES,
    HOP_EXPOSURES,
    HOP_OUTCOMES,
    OUTCOMES,
    OWNER_EXPOSURES,
    SEPARATION,
    SPECIFICATIONS,
    specifications_of,
)
from assets.voice.hops import BOARD, WAY

END = date(2025, 12, 31)
LAST = datetime(2026, 1, 1, tzinfo=UTC)
PLANTED = {"triaged": 1 / 1.5, "decided": 1.0, "shipped": 1.4, "told_back": 1 / 1.3, "board_seen": 1 / 1.2}
"""Hazard ratio of each hop per +10 pp EMCR at the sale."""
OWNER_RATIO = 1 / 1.6
"""And of being decided on, per +10 pp of the owner's own mean in the month before the item got there."""
SELLERS, DEALS = 45, 40
Rows = list[dict[str, object]]


def draw_firm(seed: int) -> dict[str, Rows]:
    """One item per deal. Written down slowly, too, and slower where pay is high: a clock that began there would be wrong."""
    rng = np.random.default_rng(seed)
    deals: Rows = []
    incentives: Rows = []
    paid: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(SELLERS * DEALS):
        seller = f"r{number % SELLERS:03}"
        closed = date(2023, 1, 1) + timedelta(days=int(rng.integers(0, 900)))
        period = date(closed.year, closed.month - (closed.month - 1) % 3, 1)
        emcr = float(np.clip(0.10 + 0.05 * rng.normal(), 0, 0.4).round(8))
        paid[seller, f"{closed:%Y-%m}"].append(emcr)
        deals.append(
            {
                "opportunity_id": f"o{number:05}", "account_id": f"a{number:05}", "rep_id": seller, "closed_on": closed,
                "clock_start_on": closed, "observed_until": END, "cohort_month": f"{closed:%Y-%m}", "cohort_quarter": f"{period}",
                "segment": ["small", "large"][number // SELLERS % 2], "region": "north", "emcr": emcr,
                "relative_intensity": emcr / 0.1, "closing_load": float(rng.uniform(0.5, 1.5)),
                "days_to_period_end": (91 - (closed - period).days) % 92,
            }
        )  # fmt: skip
        incentives.append({"opportunity_id": f"o{number:05}", "rep_id": seller, "credit_type": "primary", "period_start": period})  # fmt: skip
    hops: Rows = []
    for number, deal in enumerate(deals):
        owner = f"r{(number + 7) % SELLERS:03}"
        strength = float(deal["emcr"]) / 0.1  # type: ignore[arg-type]
        item = {
            "feedback_id": f"f{number:05}", "opportunity_id": deal["opportunity_id"], "account_id": deal["account_id"], "owner_rep_id": owner,
            "solicited": False, "skipped_before": 0,
        }  # fmt: skip
        said = datetime(2023, 10, 1, tzinfo=UTC) + timedelta(days=float(rng.uniform(0, 800)))
        at = said + timedelta(days=float(rng.exponential(15 * 2**strength)))
        if at >= LAST:
            continue
        hops.append(item | {"hop": "captured", "entered_at": said, "left_at": at, "days": (at - said) / timedelta(days=1), "censored": False})  # fmt: skip
        captured = at
        for hop in (*WAY[2:], BOARD):
            entered = captured if hop == BOARD else at
            if entered is None:
                continue
            pull = PLANTED[hop] ** strength
            if hop == "decided":
                before = entered.replace(day=1) - timedelta(days=1)
                rates = paid.get((owner, f"{before:%Y-%m}"), [0.10])
                pull *= OWNER_RATIO ** (sum(rates) / len(rates) / 0.1)
            days = float(rng.exponential(12 / pull))
            refused = hop == "shipped" and (limit := float(rng.exponential(25))) < days
            days = limit if refused else days
            left = entered + timedelta(days=days)
            waits = left >= LAST
            hops.append(
                item | {
                    "hop": hop, "entered_at": entered, "left_at": None if waits else left, "censored": waits,
                    "days": (LAST - entered) / timedelta(days=1) if waits else days, "outcome": "declined" if refused and not waits else None,
                }
            )  # fmt: skip
            if hop != BOARD:
                at = None if waits or refused else left  # type: ignore[assignment]
    return {"deal_outcomes": deals, "deal_incentives": incentives, "feedback_hops": hops}


@pytest.fixture(scope="module")
def known() -> Company:
    everything = {"opportunities": frozenset({"recorded_at"}), "credits": frozenset({"recorded_at"})}
    return Company("USD", "UTC", END, sources=frozenset({*everything, "feedback"}), columns=everything)


@pytest.fixture(scope="module")
def found(frame_of, known) -> pl.DataFrame:
    """Of five firms: hop, exposure, specification and the estimate."""
    rows = []
    for seed in range(5):
        firm = {name: frame_of(name, rows) for name, rows in draw_firm(seed).items()}
        deals = describe_deals(firm["deal_outcomes"], firm["deal_incentives"]).collect().lazy()
        for outcome in HOP_OUTCOMES:
            panel = build_panel(outcome, deals, firm["feedback_hops"], known)
            assert panel is not None
            for exposure in (EXPOSURES[0], *OWNER_EXPOSURES):
                seen = panel.of_owners() if exposure.of_owner else panel
                for specification, _ in specifications_of(outcome, exposure, has_pay=True):
                    estimate = estimate_effect(seen, exposure, specification, outcome)
                    assert estimate is not None
                    assert estimate.ratio is not None
                    rows.append((outcome.hop, exposure.name, specification.name, *estimate.ratio))
    schema = ["hop", "exposure", "specification", "ratio", "lo", "hi"]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        planted=pl.when(pl.col("exposure") == "emcr_as_known")
        .then(pl.col("hop").replace_strict(PLANTED))
        .when(pl.col("hop") == "decided")
        .then(OWNER_RATIO)
        .otherwise(1.0)
    )


def test_what_was_planted_into_a_hop_is_found_in_it(found) -> None:
    """Intervals of 95 %: 25 per specification for the seller's pay."""
    sale = found.filter(exposure="emcr_as_known")
    covered = sale.group_by("specification").agg(
        hits=pl.col("planted").is_between("lo", "hi").sum(), n=pl.len()
    )
    assert set(covered["n"]) == {25}
    assert set(covered["specification"]) == {"unadjusted", "adjusted", *SEPARATION}
    assert covered["hits"].min() >= 21
    middle = sale.group_by("hop", "specification").agg(
        off=(pl.col("ratio").log().mean() - pl.col("planted").log().first()).abs()
    )
    assert middle["off"].max() < 0.12
    headline = sale.filter(specification=SEPARATION[2])
    assert (headline.filter(hop="triaged")["hi"] < 1).all()
    assert (headline.filter(hop="shipped")["lo"] > 1).all()


def test_how_the_owner_was_paid_the_month_before_is_found_where_it_was_planted(found) -> None:
    owners = found.filter(exposure="owner_emcr")
    assert set(owners["specification"]) == {"unadjusted", "adjusted", *SEPARATION[:2]}
    for name in ("unadjusted", SEPARATION[0]):
        decided = owners.filter(hop="decided", specification=name)
        assert (decided["hi"] < 1).all()
        assert decided["planted"].is_between(decided["lo"], decided["hi"]).sum() >= 4
        others = owners.filter(pl.col("hop") != "decided", specification=name)
        assert others["planted"].is_between(others["lo"], others["hi"]).sum() >= 17


def test_who_is_at_risk_and_from_when(frame_of, known) -> None:
    """By hand: one that arrived, one that waits, one refused, one that arrived after the horizon; in the table they are."""

    def when(days: float) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=days)

    def waits(
        name: str, entered: float, days: float, *, hop: str = "shipped", **more: object
    ) -> dict[str, object]:
        left = None if more.get("censored") else when(entered + days)
        return {
            "feedback_id": name, "hop": hop, "opportunity_id": "o", "account_id": "a", "owner_rep_id": "r2", "entered_at": when(entered),
            "left_at": left, "days": days, "censored": False, **more,
        }  # fmt: skip

    deal = {
        "opportunity_id": "o",
        "account_id": "a",
        "rep_id": "r",
        "closed_on": END,
        "emcr": 0.1,
        "cohort_month": "2024-12",
    }
    hops = [
        waits("arrived", 10, 3), waits("waits", 345, 20, censored=True), waits("refused", 0, 12, outcome="declined"), waits("late", 0, 200),
        waits("elsewhere", 0, 3, hop="decided"), waits("before_the_capture", 0, 3, hop="captured"), waits("at_once", 0, 0),
    ]  # fmt: skip
    deals = frame_of("deal_outcomes", [deal, deal | {"opportunity_id": "p", "rep_id": "r2", "emcr": 0.3}])
    described = describe_deals(deals, frame_of("deal_incentives", []))
    (shipped,) = (o for o in HOP_OUTCOMES if o.hop == "shipped")
    panel = build_panel(shipped, described, frame_of("feedback_hops", hops), known)
    assert panel is not None  # in the order of names: arrived, at_once, late, refused, waits
    assert panel.events.sum(axis=1).tolist() == [1, 1, 0, 0, 0]
    assert panel.risk.sum(axis=1).tolist() == pytest.approx([3, 1 / 24, 180, 12, 20])
    assert panel.planned.sum(axis=1).tolist() == pytest.approx([4, 1, 180, 12, 20])
    assert panel.mature_share == pytest.approx(4 / 5)
    # the month of the entry is January 2025, the one before is December: the mean of the owner's own deals then
    assert panel.rows["owner_emcr"].to_list() == [0.3, 0.3, 0.3, 0.3, None]


def test_the_hops_stand_in_the_table_as_secondary_rows(frame_of, known) -> None:
    firm = draw_firm(11)
    nothing: dict[str, Rows] = {
        name: [] for name in ("customer_events", "plan_change_effects", "quota_bunching", "plans")
    }
    frames = {name: frame_of(name, rows) for name, rows in {**firm, **nothing}.items()}
    table = estimate_effects(company=known, **frames).collect()
    hops = table.filter(pl.col("outcome").is_in([o.name for o in HOP_OUTCOMES]))
    assert hops.height == len(HOP_OUTCOMES) * (5 + 4 + 4)  # the seller's pay, the owner's, the pressure
    assert set(hops["exposure"]) == HOP_EXPOSURES
    assert set(hops["test_family"]) == {"secondary"}
    assert hops.filter(exposure="emcr_as_known")["scale"].unique().to_list() == [
        "hazard ratio per +10 pp emcr"
    ]
    (row,) = hops.filter(
        outcome="feedback_lag_triaged", exposure="emcr_as_known", specification="unadjusted"
    ).to_dicts()
    assert "x the hazard of being triaged once written down (below 1: it waits longer)" in row["sentence"]
    assert "reporting_bias" in row["warnings"]
    # what was known before keeps its primary rows, and only those
    assert set(table.filter(test_family="primary")["outcome"]) <= {o.name for o in OUTCOMES}


def test_the_hops_are_those_of_the_way() -> None:
    assert {o.hop for o in HOP_OUTCOMES} == {*WAY[2:], BOARD}
    assert not {o.name for o in HOP_OUTCOMES} & {o.name for o in OUTCOMES}
    for outcome in HOP_OUTCOMES:
        for exposure in (*EXPOSURES, *OWNER_EXPOSURES):
            rows = specifications_of(outcome, exposure, has_pay=False)
            assert bool(rows) == (exposure.name in HOP_EXPOSURES)
            assert all(
                not s.placebo and not set(s.controls) - {"segment", "region", "cohort_quarter"}
                for s, _ in rows
            )
    assert {s.name for s in SPECIFICATIONS} >= {"unadjusted", "adjusted", *SEPARATION}
