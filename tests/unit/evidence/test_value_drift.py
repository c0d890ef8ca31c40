"""What target pay hangs on: weights by hand, slopes by least squares, small teams hidden."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import linregress

from assets.company import Company
from assets.evidence.value_drift import value_drift
from expectations.checks import audit
from expectations.contracts import SOURCES
from expectations.contracts.pay import VALUE_DRIFT

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TABLES = ("plans", "plan_components", "plan_tiers", "plan_assignments", "quotas", "fx_rates", "reps")


class Firm:
    """Plans by version, and who was on them."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        self.as_of = date(2025, 12, 31)
        self.add(
            "quotas",
            rep_id="r0",
            component="c",
            period_start=date(2024, 1, 1),
            period_end=date(2024, 4, 1),
            amount="1",
        )

    def add(self, table: str, **row: Any) -> None:
        self.rows[table].append({"recorded_at": LONG_AGO, "knowledge_time_assumed": False} | row)

    def plan(
        self, version: int, weights: dict[str, str], start: date, end: date | None = None, **facts: Any
    ) -> None:
        base = {"plan_id": "P", "version": version}
        stated = {
            "valid_from": start,
            "valid_to": end,
            "period": "quarter",
            "currency": "USD",
            "timezone": "UTC",
            "tier_method": "incremental",
        }
        self.add("plans", **base, **(stated | facts))
        for measure, weight in weights.items():
            combine = "gate" if measure == "quality" else "additive"
            self.add(
                "plan_components", **base, component=measure, measure=measure, weight=weight, combine=combine
            )

    def seller(
        self, rep: str, team: str | None, version: int, start: date, target: str | None = "1000", **facts: Any
    ) -> None:
        if not any(row["rep_id"] == rep for row in self.rows["reps"]):
            self.add("reps", rep_id=rep, team=team, **{k: facts.pop(k) for k in ("left_on",) if k in facts})
        self.add(
            "plan_assignments",
            rep_id=rep,
            plan_id="P",
            version=version,
            valid_from=start,
            target_incentive=target,
            **facts,
        )

    def drift(self) -> pl.DataFrame:
        frames = {}
        for name in TABLES:
            schema = SOURCES[name].schema

            def typed(value: Any, dtype: pl.DataType) -> Any:
                return Decimal(value) if isinstance(dtype, pl.Decimal) and value is not None else value

            frames[name] = pl.LazyFrame(
                {n: [typed(r.get(n), t) for r in self.rows[name]] for n, t in schema.items()}, schema=schema
            )
        company = Company("USD", "UTC", self.as_of, sources=frozenset(TABLES))
        made = value_drift(**frames, company=company)
        assert isinstance(made, pl.LazyFrame)
        found = made.collect()
        assert not [
            r for r in audit(VALUE_DRIFT, found.lazy()) if not r.passed and r.check != "table_has_rows"
        ]
        return found


def rows_of(frame: pl.DataFrame, organisation: str) -> dict[str, dict[str, Any]]:
    return {r["quarter"]: r for r in frame.filter(pl.col("organisation") == organisation).to_dicts()}


def test_a_plan_change_moves_the_share_by_days_and_target() -> None:
    firm = Firm()
    change = date(2024, 5, 16)  # after 45 of the quarter's 91 days
    firm.plan(
        1, {"bookings": "0.5", "retention": "0.3", "margin": "0.2", "quality": "1"}, date(2020, 1, 1), change
    )
    firm.plan(2, {"bookings": "0.8", "retention": "0.2"}, change)
    for number in range(5):
        firm.seller(f"r{number}", "T", 1, date(2020, 1, 1), valid_to=change)
        firm.seller(f"r{number}", "T", 2, change, "3000")
    found = rows_of(firm.drift(), "company")
    assert list(found) == [f"{y}-Q{q}" for y in (2024, 2025) for q in (1, 2, 3, 4)]
    first, second = found["2024-Q1"], found["2024-Q2"]
    assert (first["bookings_share"], first["retention_share"], first["other_share"]) == (0.5, 0.3, 0.2)
    assert (first["revenue_weight_share"], first["customer_weight_share"], first["gated_share"]) == (
        0.5,
        0.3,
        1.0,
    )
    old, new = 45 * 1000, 46 * 3000
    assert second["revenue_weight_share"] == pytest.approx((0.5 * old + 0.8 * new) / (old + new), abs=1e-8)
    assert second["gated_share"] == pytest.approx(old / (old + new), abs=1e-8)
    shares = [row["revenue_weight_share"] for row in found.values()]
    line = linregress(np.arange(8) / 4, shares)
    assert first["slope_per_year"] == pytest.approx(line.slope, abs=1e-7)
    assert first["slope_per_year_lo"] < line.slope < first["slope_per_year_hi"]
    assert first["quarters"] == 8


def test_a_small_team_is_hidden_with_one_that_protects_it() -> None:
    firm = Firm()
    firm.plan(1, {"bookings": "1"}, date(2020, 1, 1))
    for team, size in (("A", 4), ("B", 6), ("C", 9)):
        for number in range(size):
            firm.seller(f"{team}{number}", team, 1, date(2020, 1, 1))
    found = firm.drift()
    hidden = found.filter("suppressed")
    assert set(hidden["organisation"]) == {"A", "B"}
    assert (
        hidden.select("revenue_weight_share", "n_sellers", "slope_per_year", "quarters").null_count().row(0)
        == (16,) * 4
    )
    assert rows_of(found, "company")["2025-Q4"]["n_sellers"] == 19
    assert rows_of(found, "C")["2025-Q4"]["slope_per_year"] == 0


def test_who_left_or_has_no_target_weighs_nothing() -> None:
    firm = Firm()
    firm.plan(1, {"bookings": "1"}, date(2020, 1, 1))
    firm.plan(2, {"retention": "1"}, date(2020, 1, 1))
    for number in range(5):
        firm.seller(f"r{number}", "T", 1, date(2020, 1, 1))
    firm.seller("gone", "T", 2, date(2020, 1, 1), left_on=date(2024, 3, 31))
    firm.seller("unknown", "T", 2, date(2020, 1, 1), None)
    found = rows_of(firm.drift(), "company")
    assert found["2024-Q1"]["revenue_weight_share"] == pytest.approx(5 / 6)
    assert found["2024-Q2"]["revenue_weight_share"] == 1
    assert (found["2024-Q1"]["n_sellers"], found["2024-Q2"]["n_sellers"]) == (7, 6)
    assert found["2024-Q2"]["sellers_without_target"] == 1


def test_targets_are_per_year_in_one_currency_at_one_rate() -> None:
    firm = Firm()
    firm.plan(1, {"bookings": "1"}, date(2020, 1, 1), currency="EUR", period="month")
    firm.plan(2, {"retention": "1"}, date(2020, 1, 1))
    for day, rate in ((date(2024, 1, 1), "9"), (date(2025, 12, 31), "2")):
        firm.add("fx_rates", currency="EUR", rate_date=day, kind="daily", rate_to_reporting=rate)
    for number in range(5):
        firm.seller(f"e{number}", "T", 1, date(2020, 1, 1), "100")
        firm.seller(f"u{number}", "T", 2, date(2020, 1, 1), "200")
    for row in rows_of(firm.drift(), "company").values():
        # 100 EUR a month at 2 USD against 200 USD a quarter
        assert row["revenue_weight_share"] == pytest.approx(2400 / (2400 + 800))


def test_a_company_without_plans_has_no_rows() -> None:
    assert Firm().drift().is_empty()
