"""Draws, clawbacks and reconciliation from source files through the whole pipeline (02-commission, examples H, I, I2).

The numbers are those of the design; each example is a seller of its own. Every seller sells at noon in New York.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import yaml

from assets.core.pseudonyms import Pseudonyms, demo_key
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit
from pipelines.warehouse.snapshots import latest_snapshot
from tests.integration.company_files import won, write_company

P_TIERS = [("0", "0.08"), ("1", "0.12"), ("1.5", "0.16")]
TEN_PERCENT = [("0", "0.10")]
SCHEDULE = "[[0, 1], [3, 0.5], [6, 0.25], [12, 0]]"

# by plan: tiers, length of the period, how commission is taken back
PLANS: dict[str, tuple[list[tuple[str, str]], str, dict[str, str]]] = {
    "H": (TEN_PERCENT, "month", {}),
    "I": (TEN_PERCENT, "quarter", {"clawback_method": "schedule", "clawback_schedule": SCHEDULE}),
    "P": (P_TIERS, "quarter", {"clawback_method": "original_rate"}),
    "PR": (P_TIERS, "quarter", {"clawback_method": "recompute"}),
}
Rows = list[dict[str, Any]]


class Company:
    """Source rows, few words each."""

    def __init__(self) -> None:
        self.tables: dict[str, Rows] = {
            name: []
            for name in (
                "accounts", "reps", "opportunities", "credits", "plans", "plan_components", "plan_tiers", "plan_assignments",
                "quotas", "ledger", "subscriptions", "component_results", "activities",
            )
        }  # fmt: skip
        for plan, (tiers, period, facts) in PLANS.items():
            self.plan(plan, period, **facts)
            self.component(plan, "commission", "bookings", "1", "credit", tiers)

    def add(self, table: str, **row: Any) -> None:
        self.tables[table].append(row)

    def plan(self, plan: str, period: str, **facts: str) -> None:
        base = {"plan_id": plan, "version": 1, "valid_from": "2025-01-01", "period": period}
        place = {"currency": "USD", "timezone": "America/New_York", "tier_method": "incremental"}
        self.add("plans", **base, **place, **facts)

    def component(
        self, plan: str, name: str, measure: str, weight: str, basis: str, tiers: list[tuple[str, str]]
    ) -> None:
        base = {"plan_id": plan, "version": 1, "component": name}
        self.add("plan_components", **base, measure=measure, weight=weight, rate_basis=basis)
        for number, (edge, rate) in enumerate(tiers, start=1):
            self.add("plan_tiers", **base, tier=number, from_attainment=edge, rate=rate)

    def hire(self, rep: str, plan: str, quota: str = "", component: str = "commission", **terms: str) -> None:
        self.add(
            "reps", rep_id=rep, role="hunter", base_salary="60000", currency="USD", hired_on="2020-01-01"
        )
        self.add("plan_assignments", rep_id=rep, plan_id=plan, version=1, valid_from="2025-01-01", **terms)
        if quota:
            period = {"period_start": "2025-01-01", "period_end": "2025-04-01"}
            self.add("quotas", rep_id=rep, component=component, amount=quota, **period)

    def sell(self, deal: str, rep: str, day: str, amount: str) -> None:
        at = f"{day}T12:00:00-05:00"
        self.add("accounts", account_id=f"A-{deal}", segment="SMB")
        self.tables["opportunities"].append(won(deal, rep, at, amount))
        self.add(
            "credits", credit_id=f"K-{deal}", opportunity_id=deal, rep_id=rep, component="commission", split_weight="1",
            credited_amount=amount, currency="USD", credit_type="primary", credited_at=at, recorded_at=at,
        )  # fmt: skip

    def book(self, entry: str, rep: str, kind: str, amount: str, period: str, booked: str, deal: str = "", reverses: str = "") -> None:  # fmt: skip
        self.add(
            "ledger", entry_id=entry, rep_id=rep, entry_type=kind, amount=amount, currency="USD", period_start=period,
            booked_at=f"{booked}T12:00:00-05:00", credit_id=deal and f"K-{deal}", reverses_entry_id=reverses,
        )  # fmt: skip


def build_sources(folder: Path) -> Path:
    """One company that holds every example."""
    firm = Company()
    months = (("2025-01", "15000", "1500"), ("2025-02", "50000", "5000"), ("2025-03", "90000", "9000"))
    for rep, kind in (("h", "recoverable"), ("hn", "non_recoverable")):
        firm.hire(rep, "H", draw="4000", draw_kind=kind, valid_to="2025-04-01")
        for month, sold, paid in months:
            firm.sell(f"{rep}{month}", rep, f"{month}-10", sold)
            firm.book(f"{rep}{month}", rep, "earn", paid, f"{month}-01", f"{month}-28", f"{rep}{month}")
    firm.book("h-a1", "h", "draw_advance", "2500", "2025-01-01", "2025-01-31")
    firm.book("h-r2", "h", "draw_recover", "-1000", "2025-02-01", "2025-02-28")
    firm.book("h-r3", "h", "draw_recover", "-1500", "2025-03-01", "2025-03-31")
    firm.book("hn-a1", "hn", "draw_advance", "2500", "2025-01-01", "2025-01-31")

    # cancelled in month 5 (index 4); by the day of booking it would be month 7 and a quarter
    firm.hire("i", "I")
    firm.sell("i0", "i", "2025-01-10", "60000")
    firm.book("i-e", "i", "earn", "6000", "2025-01-01", "2025-01-31", "i0")
    firm.book("i-c", "i", "clawback", "-3000", "2025-01-01", "2025-07-15", "i0", reverses="i-e")
    firm.add("subscriptions", subscription_id="S-i0", account_id="A-i0", opportunity_id="i0", started_at="2025-01-10T12:00:00-05:00", ended_at="2025-06-05T12:00:00-05:00")  # fmt: skip

    # deal C is reversed when s = 310,000
    for rep, plan in (("i2", "P"), ("i2r", "PR")):
        firm.hire(rep, plan, "250000")
        sales = (("a", "2025-02-03", "230000", "18400"), ("c", "2025-02-04", "40000", "4000"), ("z", "2025-02-05", "40000", "4800"))  # fmt: skip
        for name, day, sold, paid in sales:
            firm.sell(f"{rep}{name}", rep, day, sold)
            firm.book(f"{rep}{name}", rep, "earn", paid, "2025-01-01", "2025-02-28", f"{rep}{name}")
        firm.book(
            f"{rep}-c", rep, "clawback", "-4000", "2025-01-01", "2025-03-15", f"{rep}c", reverses=f"{rep}c"
        )

    # bookings of 20, 25 and 55 in the three months of the quarter, 40, 30 and 30 calls
    firm.hire("shape", "P", "250000")
    for number, (day, sold) in enumerate([("01-10", "10000"), ("01-20", "10000"), ("02-10", "12000"), ("02-20", "13000"), ("03-10", "25000"), ("03-25", "30000")]):  # fmt: skip
        firm.sell(f"shape{number}", "shape", f"2025-{day}", sold)
    firm.book("shape-e", "shape", "earn", "8000", "2025-01-01", "2025-03-31")
    firm.book("shape-b", "shape", "bonus", "250", "2025-01-01", "2025-03-31")
    for number in range(100):
        month = 1 if number < 40 else 2 if number < 70 else 3
        firm.add(
            "activities", activity_id=f"T{number:03}", account_id="A-shape0", rep_id="shape", channel="call",
            occurred_at=f"2025-{month:02}-15T12:00:00-05:00", direction="outbound" if number != 99 else "inbound",
            opted_out="true" if number in (1, 2, 99) else "false",
        )  # fmt: skip

    firm.hire("idle", "P", "100000")
    firm.hire("unpaid", "P", "100000")
    firm.sell("unpaid0", "unpaid", "2025-02-03", "50000")
    firm.book("stray", "unpaid", "earn", "77", "2026-01-01", "2025-03-31")

    # half of target pay on retention: 10,000 x 0.5 x (97 % of a quota of 90 %); the rest has no deal
    firm.plan("CS", "quarter")
    firm.component("CS", "keep", "retention", "0.5", "target", [("0", "1")])
    firm.component("CS", "sell", "bookings", "0.5", "target", [("0", "1")])
    firm.hire("cs", "CS", "0.9", component="keep", target_incentive="10000")
    firm.add("quotas", rep_id="cs", component="sell", amount="100000", period_start="2025-01-01", period_end="2025-04-01")  # fmt: skip
    firm.add("component_results", rep_id="cs", component="keep", period_start="2025-01-01", achieved="0.97")
    firm.book("cs-e", "cs", "earn", "5388.89", "2025-01-01", "2025-03-31")
    return write_company(folder, firm.tables, company={"as_of": "2025-07-31"})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose first snapshot hides restricted tables, and whose second shows them."""
    root = tmp_path_factory.mktemp("ledger")
    config = build_sources(root / "source")
    assert run_pipeline(root / "home", config) is Exit.PUBLISHED
    written = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**written, "publish": {"restricted": True}}, sort_keys=False))
    assert run_pipeline(root / "home", config) is Exit.PUBLISHED
    return root / "home"


def seller(rep: str) -> str:
    return Pseudonyms(demo_key(1)).of("rep", rep)


def period(home: Path, rep: str, start: date = date(2025, 1, 1)) -> dict[str, Any]:
    frame = pl.read_parquet(home / "published" / "latest" / "restricted" / "rep_periods.parquet")
    found = frame.filter(pl.col("rep_id") == seller(rep), pl.col("period_start") == start)
    assert found.height == 1
    return found.row(0, named=True)


def exception(home: Path, rep: str) -> dict[date, tuple[Decimal, str]]:
    frame = pl.read_parquet(
        home / "published" / "latest" / "quality" / "reconciliation_exceptions.parquet"
    ).filter(pl.col("rep_id") == seller(rep))
    return {r["period_start"]: (r["difference_amount"], r["difference_reason"]) for r in frame.to_dicts()}


def test_restricted_tables_are_published_only_when_switched_on(home: Path) -> None:
    first, second = home / "published" / "1", home / "published" / "2"
    assert not (first / "restricted").exists()
    with duckdb.connect(first / "catalog.duckdb", read_only=True) as connection:
        names = {row[0] for row in connection.sql("SELECT view_name FROM duckdb_views()").fetchall()}
    assert "rep_periods" not in names
    assert "clawbacks" in names
    assert sorted(p.name for p in (second / "restricted").iterdir()) == [
        "conduct_indicators.parquet",
        "rep_periods.parquet",
    ]
    assert (second / "restricted").stat().st_mode & 0o777 == 0o700
    with duckdb.connect(second / "catalog.duckdb", read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM marts.rep_periods").fetchall()[0][0] > 0
    snapshot = latest_snapshot(home)
    assert snapshot is not None
    assert snapshot.number == 2


def test_example_h_a_recoverable_draw_is_paid_and_recovered(home: Path) -> None:
    months = [period(home, "h", date(2025, m, 1)) for m in (1, 2, 3)]
    assert [m["earned_amount"] for m in months] == [1500, 5000, 9000]
    assert [m["recomputed_amount"] for m in months] == [4000, 4000, 7500]
    assert [m["draw_balance_amount"] for m in months] == [2500, 1500, 0]
    assert [m["draw_advanced_amount"] for m in months] == [2500, 0, 0]
    assert [m["draw_recovered_amount"] for m in months] == [0, 1000, 1500]
    assert [m["ledger_amount"] for m in months] == [4000, 4000, 7500]
    assert exception(home, "h") == {}


def test_example_h_a_non_recoverable_draw_is_a_floor(home: Path) -> None:
    months = [period(home, "hn", date(2025, m, 1)) for m in (1, 2, 3)]
    assert [m["recomputed_amount"] for m in months] == [4000, 5000, 9000]
    assert [m["earned_guarantee_amount"] for m in months] == [4000, 4000, 4000]
    assert sum(m["recomputed_amount"] for m in months) == 18_000
    assert exception(home, "hn") == {}


def test_examples_i_and_i2_the_three_clawbacks(home: Path) -> None:
    rows = pl.read_parquet(home / "published" / "latest" / "marts" / "clawbacks.parquet")
    found = {r["entry_id"]: r for r in rows.to_dicts()}
    assert found["i-c"]["months_served"] == 4
    assert found["i-c"]["clawed_back_share"] == 0.5
    assert {k: r["expected_amount"] for k, r in found.items()} == {
        "i-c": -3000,
        "i2-c": -4000,
        "i2r-c": -4800,
    }
    assert found["i2r-c"]["difference_amount"] == 800
    assert exception(home, "i") == exception(home, "i2") == {}
    assert exception(home, "i2r") == {date(2025, 1, 1): (Decimal(800), "clawback_differs")}


def test_the_shape_of_bookings_20_25_55(home: Path) -> None:
    found = period(home, "shape")
    assert found["deals"] == 6
    assert found["last_part_share"] == pytest.approx(0.55)
    assert found["hockey_stick"] == pytest.approx(1.65)
    assert found["concentration"] == pytest.approx(0.405)
    assert found["concentration_normalised"] == pytest.approx(0.1075)
    assert found["peak_to_trough"] == pytest.approx(1.05)
    # nothing was sold in the two weeks after the quarter, 30,000 in the two before
    assert found["slump"] == 0
    # 29 of 99 outbound calls in the last month
    assert found["sustained_effort"] == pytest.approx(99 / (3 * 29))
    assert found["calls_after_opt_out"] == 2
    # 60,000 a year for the 90 days of the quarter; 8 % of 100,000
    assert found["variable_pay_share"] == pytest.approx(8000 / (8000 + 60000 * 90 / 365.25), abs=1e-6)
    assert exception(home, "shape") == {date(2025, 1, 1): (Decimal(250), "adjusted_by_hand")}


def test_a_quota_without_a_deal_is_a_period_all_the_same(home: Path) -> None:
    found = period(home, "idle")
    assert (found["quota_amount"], found["credited_amount"], found["attainment"]) == (100_000, 0, 0)
    assert (found["earned_amount"], found["deals"], found["ledger_entries"]) == (0, 0, 0)
    assert exception(home, "idle") == {}


def test_what_the_ledger_lacks_or_has_too_much_is_listed(home: Path) -> None:
    assert exception(home, "unpaid") == {
        date(2025, 1, 1): (Decimal(-4000), "no_ledger_entry"),
        date(2026, 1, 1): (Decimal(77), "entry_without_period"),
    }


def test_pay_hangs_on_retention_where_no_deal_carries_it(home: Path) -> None:
    found = period(home, "cs")
    assert found["earned_retention_amount"] == Decimal("5388.89")
    assert found["earned_bookings_amount"] == 0
    assert found["earned_amount"] == found["pay_without_deals_amount"] == Decimal("5388.89")
    assert exception(home, "cs") == {}
