"""Thresholds of a plan, what kind each is; and how much of its quota a pay period ended with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from assets.incentives.pay_thresholds import find_caps, list_thresholds
from assets.incentives.period_attainment import attain_periods
from expectations.contracts import TABLES

U = 10**8


def frame(name: str, rows: Sequence[Mapping[str, object]]) -> pl.LazyFrame:
    schema = TABLES[name].schema
    return pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema).lazy()


def tiers(
    method: str, *steps: tuple[str, str] | tuple[str, str, int], product: str | None = None
) -> list[dict[str, object]]:
    return [
        {
            "plan_id": "P", "version": 1, "component": "commission", "tier": i, "tier_method": method, "product_id": product,
            "from_attainment": Decimal(step[0]), "rate": Decimal(step[1]), "lump_bonus": Decimal(step[2]) if len(step) > 2 else None,
        }
        for i, step in enumerate(steps, start=1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (tiers("incremental", ("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")), {100: "accelerator", 150: "accelerator"}),
        (tiers("incremental", ("0", "0.08"), ("1", "0.12"), ("2", "0.04")), {100: "accelerator", 200: "decelerator"}),
        (tiers("retroactive", ("0", "0.08"), ("1", "0.12"), ("1.5", "0.10")), {100: "notch", 150: "drop"}),
        (tiers("incremental", ("0", "0.05"), ("1", "0.05", 6000)), {100: "lump"}),
        (tiers("incremental", ("0", "0.05", 500), ("0.5", "0.05")), {}),
        (tiers("incremental", ("0", "0.05"), ("1", "0.09"), product="X"), {}),
    ],
)  # fmt: skip
def test_tiers_say_what_pay_does(rows: list[dict[str, object]], expected: dict[int, str]) -> None:
    found = list_thresholds(frame("plan_features", rows), frame("plan_components", []))
    assert {t * 100 // U: k for t, k in found.select("threshold", "threshold_kind").iter_rows()} == expected


def test_a_gate_is_a_jump_only_where_it_pays_from_the_first_unit_and_its_newest_version_counts() -> None:
    gate = {
        "plan_id": "P",
        "version": 1,
        "component": "commission",
        "recorded_at": datetime(2024, 1, 1, tzinfo=UTC),
    }
    rows = [
        {**gate, "gate_attainment": Decimal("0.5"), "gate_from": "first_unit"},
        {
            **gate,
            "gate_attainment": Decimal("0.6"),
            "gate_from": "first_unit",
            "recorded_at": datetime(2024, 2, 1, tzinfo=UTC),
        },
        {**gate, "version": 2, "gate_attainment": Decimal("0.6"), "gate_from": "threshold"},
    ]
    features = tiers("incremental", ("0", "0.05"), ("0.6", "0.08"))
    found = list_thresholds(frame("plan_features", features), frame("plan_components", rows))
    # at 60 % of version 1 there is a bend too; the jump outweighs it
    assert found.select("version", "threshold", "threshold_kind").rows() == [
        (1, 60 * U // 100, "gate"),
        (2, 60 * U // 100, "accelerator"),
    ]


def test_a_period_ends_with_all_credit_over_its_newest_quota() -> None:
    period = {
        "rep_id": "r",
        "component": "commission",
        "period_start": date(2024, 1, 1),
        "period_end": date(2024, 4, 1),
    }
    known = [
        (Decimal(100), datetime(2023, 12, 20, tzinfo=UTC)),
        (Decimal(120), datetime(2024, 2, 10, tzinfo=UTC)),
    ]
    quotas = [{**period, "amount": amount, "recorded_at": at} for amount, at in known]
    later = {**period, "period_start": date(2024, 4, 1), "period_end": date(2024, 7, 1)}
    deals = [
        {**period, "opportunity_id": "1", "plan_id": "P", "version": 1, "closed_at": datetime(2024, 1, 9, tzinfo=UTC), "credited_amount_final": Decimal(70)},
        {**period, "opportunity_id": "2", "plan_id": "P", "version": 2, "closed_at": datetime(2024, 3, 9, tzinfo=UTC), "credited_amount_final": Decimal("49.99")},
        {**period, "opportunity_id": "3", "plan_id": None, "closed_at": datetime(2024, 3, 9, tzinfo=UTC), "credited_amount_final": Decimal(9)},
        {**later, "opportunity_id": "4", "plan_id": "P", "version": 2, "closed_at": datetime(2024, 5, 9, tzinfo=UTC), "credited_amount_final": Decimal(9)},
    ]  # fmt: skip
    found = attain_periods(frame("deal_incentives", deals), frame("quotas", quotas))
    assert found.select("plan_id", "version", "credited_amount", "attained").rows() == [
        # rounded down: 119.99 of 120 has not reached it
        ("P", 2, Decimal("119.99"), 99_991_666)
    ]


@pytest.mark.parametrize(
    ("rows", "cap", "expected"),
    [
        # example F: quota 250,000; the cap of 30,000 binds at 333,333.33
        (tiers("incremental", ("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")), "30000", 133_333_333),
        (tiers("incremental", ("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")), "10000", 50_000_000),
        # 20,000 just below the quota, 30,000 at it: the notch leaps over the cap
        (tiers("retroactive", ("0", "0.08"), ("1", "0.12")), "25000", 100_000_000),
        (tiers("retroactive", ("0", "0.08"), ("1", "0.12")), "36000", 120_000_000),
        (tiers("incremental", ("0", "0.08"), ("1", "0.08", 5000)), "29000", 120_000_000),
        (tiers("incremental", ("0", "0.08"), ("1", "0")), "30000", None),
    ],
)  # fmt: skip
def test_a_cap_binds_at_the_attainment_that_pays_it(
    rows: list[dict[str, object]], cap: str, expected: int | None
) -> None:
    quotas = pl.DataFrame(
        {
            "plan_id": ["P"],
            "version": [1],
            "component": ["commission"],
            "quota_amount": [Decimal("250000.00")],
        },
        schema_overrides={
            "version": TABLES["plan_features"].schema["version"],
            "quota_amount": pl.Decimal(18, 2),
        },
    )
    recorded = datetime(2024, 1, 1, tzinfo=UTC)
    plans = frame("plans", [{"plan_id": "P", "version": 1, "cap": Decimal(cap), "recorded_at": recorded}])
    found = find_caps(quotas, frame("plan_features", rows), frame("plan_components", []), plans)
    assert found["cap_attained"].to_list() == ([] if expected is None else [expected])
    margin = {"plan_id": "P", "version": 1, "component": "margin", "recorded_at": recorded}
    several = frame("plan_components", [margin, {**margin, "component": "commission"}])
    assert not find_caps(quotas, frame("plan_features", rows), several, plans).height
