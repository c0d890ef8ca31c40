"""The worked examples of commission mathematics, from source files through the whole pipeline to the published marts.

The numbers are those of the design (02-commission, table of worked examples); each example is a seller of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit
from tests.integration.company_files import won, write_company

P_TIERS = [("0", "0.08", ""), ("1", "0.12", ""), ("1.5", "0.16", "")]
D_TIERS = [("0", "0.06", ""), ("1", "0.08", ""), ("1.5", "0.10", "")]
E_TIERS = [("0", "0.05", ""), ("1", "0.06", ""), ("1.25", "0.07", "")]

# by plan: method, tiers, cap and gate
PLANS: dict[str, tuple[str, list[tuple[str, str, str]], str, str]] = {
    "P": ("incremental", P_TIERS, "", ""),
    "PR": ("retroactive", P_TIERS, "", ""),
    "D": ("incremental", D_TIERS, "", ""),
    "DR": ("retroactive", D_TIERS, "", ""),
    "E": ("incremental", E_TIERS, "", ""),
    "F": ("incremental", P_TIERS, "30000", ""),
    "G": ("incremental", [("0", "0.05", ""), ("1", "0.05", "6000")], "", "0.6"),
    "SE": ("incremental", [("0", "0.02", "")], "", ""),
}
QUOTAS = {
    "P": "250000",
    "PR": "250000",
    "D": "100000",
    "DR": "100000",
    "E": "100000",
    "F": "250000",
    "G": "200000",
}

# one deal of x on a seller who has nothing yet: added pay = C(x)
TOTALS = [
    *[("A", "P", x, pay) for x, pay in [("100000", 8000), ("249999", 19999.92), ("250000", 20000), ("300000", 26000), ("400000", 39000)]],
    *[("B", "PR", x, pay) for x, pay in [("100000", 8000), ("249999", 19999.92), ("250000", 30000), ("300000", 36000), ("400000", 64000)]],
    ("D", "D", "110000", 6800), ("D", "DR", "110000", 8800), ("D", "D", "160000", 11000), ("D", "DR", "160000", 16000),
    ("E", "E", "150000", 8250),
    ("G", "G", "119999", 0), ("G", "G", "120000", 6000), ("G", "G", "199999", 9999.95), ("G", "G", "200000", 16000),
]  # fmt: skip

# (example, plan, credit before, deal, emcr, added pay)
STEPS = [
    ("C", "P", "230000", "40000", 0.10, 4000),
    ("C", "PR", "230000", "40000", 0.35, 14000),
    ("F", "F", "320000", "40000", 0.04, 1600),
    ("F", "F", "360000", "40000", 0.0, 0),
]


def build_sources(folder: Path) -> Path:
    """One company that holds every example."""
    plans, tiers, components, assignments, quotas, reps, deals, credits = ([] for _ in range(8))  # type: ignore[var-annotated]
    for plan, (method, edges, cap, gate) in PLANS.items():
        plans.append(
            {
                "plan_id": plan,
                "version": 1,
                "valid_from": "2025-01-01",
                "currency": "USD",
                "timezone": "America/New_York",
                "tier_method": method,
                "cap": cap,
            }
        )
        components.append(
            {
                "plan_id": plan,
                "version": 1,
                "component": "commission",
                "measure": "revenue",
                "weight": "1",
                "gate_attainment": gate,
                "gate_from": "first_unit" if gate else "",
            }
        )
        tiers += [{"plan_id": plan, "version": 1, "component": "commission", "tier": k, "from_attainment": a, "rate": r, "lump_bonus": b} for k, (a, r, b) in enumerate(edges)]  # fmt: skip

    def hire(rep: str, plan: str) -> None:
        reps.append({"rep_id": rep, "role": "hunter"})
        assignments.append({"rep_id": rep, "plan_id": plan, "version": 1, "valid_from": "2025-01-01"})
        if plan in QUOTAS:
            quotas.append(
                {
                    "rep_id": rep,
                    "component": "commission",
                    "period_start": "2025-01-01",
                    "period_end": "2025-04-01",
                    "amount": QUOTAS[plan],
                }
            )

    def sell(
        deal: str,
        at: str,
        amount: str,
        shares: list[tuple[str, str, str, str]],
        currency: str = "USD",
        component: str = "commission",
    ) -> None:
        deals.append(won(deal, shares[0][0], at, amount, currency=currency))
        credits.extend(
            {
                "credit_id": f"{deal}-{rep}",
                "opportunity_id": deal,
                "rep_id": rep,
                "component": component,
                "split_weight": w,
                "credited_amount": x,
                "currency": currency,
                "credit_type": kind,
                "credited_at": at,
            }
            for rep, w, x, kind in shares
        )

    for i, (_, plan, x, _pay) in enumerate(TOTALS):
        hire(f"total{i}", plan)
        sell(f"T{i}", "2025-02-03T10:00:00-05:00", x, [(f"total{i}", "1", x, "primary")])
    for i, (_, plan, before, x, *_rest) in enumerate(STEPS):
        hire(f"step{i}", plan)
        sell(f"B{i}", "2025-02-03T10:00:00-05:00", before, [(f"step{i}", "1", before, "primary")])
        sell(f"S{i}", "2025-02-04T10:00:00-05:00", x, [(f"step{i}", "1", x, "primary")])
    hire("jA", "P")
    hire("jB", "P")
    hire("jE", "SE")
    sell("JA0", "2025-02-03T10:00:00-05:00", "230000", [("jA", "1", "230000", "primary")])
    sell("JB0", "2025-02-03T10:00:00-05:00", "100000", [("jB", "1", "100000", "primary")])
    sell("J", "2025-02-04T10:00:00-05:00", "100000", [("jA", "0.6", "60000", "primary"), ("jB", "0.4", "40000", "primary"), ("jE", "1", "100000", "overlay")])  # fmt: skip
    more = add_examples(plans, tiers, components, assignments, quotas, reps, sell)
    return write_company(
        folder,
        {
            "accounts": [{"account_id": d["account_id"], "segment": "SMB"} for d in deals],
            "reps": reps, "opportunities": deals, "credits": credits, "plans": plans, "plan_components": components,
            "plan_tiers": tiers, "plan_assignments": assignments, "quotas": quotas, **more,
        },
        company={"as_of": "2025-06-30"},
        plan_tiers={"max_reject_share": 0.2},  # the plan with a gap loses its tiers at the door
    )  # fmt: skip


JOINT_DEALS = {"joint1": ("30000", "50000"), "joint2": ("20000", "50000")}


def add_examples(
    plans: list[Any],
    tiers: list[Any],
    components: list[Any],
    assignments: list[Any],
    quotas: list[Any],
    reps: list[Any],
    sell: Any,
) -> dict[str, list[Any]]:
    """K, L and M, a plan of three measures, and a plan with a gap in its tiers; what only they need is returned."""
    start, end = "2025-01-01", "2025-04-01"

    def plan(
        name: str, version: int, edges: list[tuple[str, str]], component: str = "commission", **facts: Any
    ) -> None:
        key = {"plan_id": name, "version": version}
        if not any((p["plan_id"], p["version"]) == (name, version) for p in plans):
            stated = {
                "valid_from": start,
                "currency": "USD",
                "timezone": "America/New_York",
                "tier_method": "incremental",
            }
            plans.append({**key, **stated, **{k: v for k, v in facts.items() if k not in COMPONENT}})
        components.append(
            {
                **key,
                "component": component,
                "measure": "revenue",
                "weight": "1",
                **{k: v for k, v in facts.items() if k in COMPONENT},
            }
        )
        tiers.extend(
            {**key, "component": component, "tier": k, "from_attainment": a, "rate": r}
            for k, (a, r) in enumerate(edges)
        )

    def hire(
        rep: str, name: str, *terms: tuple[int, str, str], quota: dict[str, str] | None = None, **facts: str
    ) -> None:
        reps.append({"rep_id": rep, "role": "hunter"})
        for version, valid_from, valid_to in terms or ((1, start, ""),):
            assignments.append(
                {
                    "rep_id": rep,
                    "plan_id": name,
                    "version": version,
                    "valid_from": valid_from,
                    "valid_to": valid_to,
                    **facts,
                }
            )
        for component, amount in (quota or {}).items():
            quotas.append(
                {
                    "rep_id": rep,
                    "component": component,
                    "period_start": start,
                    "period_end": end,
                    "amount": amount,
                }
            )

    for policy, method in K_CASES:
        name = f"K-{policy}-{method}"
        for version, valid_from, valid_to, rates in (
            (1, start, "2025-02-15", ("0.08", "0.12")),
            (2, "2025-02-15", "", ("0.10", "0.15")),
        ):
            plan(
                name,
                version,
                list(zip(("0", "1"), rates, strict=True)),
                valid_from=valid_from,
                valid_to=valid_to,
                mid_period_policy=policy,
                tier_method=method,
            )
        hire(
            f"{name}-rep",
            name,
            (1, start, "2025-02-15"),
            (2, "2025-02-15", ""),
            quota={"commission": "300000"},
        )
        sell(f"{name}-1", "2025-02-14T20:00:00-05:00", "180000", [(f"{name}-rep", "1", "180000", "primary")])
        sell(f"{name}-2", "2025-02-15T09:00:00-05:00", "120000", [(f"{name}-rep", "1", "120000", "primary")])
    for policy in ("booking", "plan_fixed"):
        plan(f"L-{policy}", 1, [("0", "0.08")], fx_policy=policy)
        hire(f"L-{policy}-rep", f"L-{policy}", quota={"commission": "250000"})
        sell(
            f"L-{policy}",
            "2025-02-03T10:00:00-05:00",
            "50000",
            [(f"L-{policy}-rep", "1", "50000", "primary")],
            currency="EUR",
        )
    plan("M", 1, [("0", "0.08")])
    hire("M-rep", "M")
    sell("M", "2025-02-03T10:00:00-05:00", "20000", [("M-rep", "1", "20000", "primary")])
    # 10 % of revenue, 20,000 x 0.5 x attainment of margin, shut until quality reaches half, 6,000 at most
    plan("JOINT", 1, [("0", "0.10")], cap="6000")
    plan("JOINT", 1, [("0", "1")], component="margin", measure="margin", weight="0.5", rate_basis="target")
    plan("JOINT", 1, [], component="care", measure="quality", combine="gate", gate_attainment="0.5")
    hire(
        "joint-rep",
        "JOINT",
        quota={"commission": "100000", "margin": "100000", "care": "100"},
        target_incentive="20000",
    )
    for day, (deal, (revenue, _)) in enumerate(JOINT_DEALS.items(), start=3):
        sell(deal, f"2025-02-{day:02d}T10:00:00-05:00", revenue, [("joint-rep", "1", revenue, "primary")])
    plan("GAP", 1, [("0", "0.08"), ("1", "0.12")])
    tiers[-1]["tier"] = 7
    hire("gap-rep", "GAP", quota={"commission": "100000"})
    sell("GAP", "2025-02-03T10:00:00-05:00", "20000", [("gap-rep", "1", "20000", "primary")])
    rates = [("2025-02-03", "daily", "1.08"), ("2025-01-01", "plan", "1.10")]
    return {
        "fx_rates": [{"currency": "EUR", "rate_date": d, "kind": k, "rate_to_reporting": r} for d, k, r in rates],
        "spiffs": [
            {"spiff_id": "S", "valid_from": "2025-02-01", "valid_to": "2025-03-01", "plan_id": "M", "per": "deal", "amount": "500", "currency": "USD"}
        ],
        "component_results": [
            {"rep_id": "joint-rep", "component": "care", "period_start": start, "achieved": "60", "recorded_at": "2025-02-01T00:00:00Z"},
        ],
    }  # fmt: skip


COMPONENT = ("measure", "weight", "rate_basis", "combine", "gate_attainment")
K_CASES = {
    ("segment_prorated", "incremental"): (15600, 12000), ("continuous", "incremental"): (14400, 12000),
    ("continuous", "retroactive"): (14400, 27000),
}  # fmt: skip


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published marts of the company of examples."""
    root = tmp_path_factory.mktemp("examples")
    assert run_pipeline(root / "home", build_sources(root / "source")) is Exit.PUBLISHED
    return root / "home" / "published" / "latest" / "marts"


def price_of(marts: Path, deal: str) -> dict[str, Any]:
    frame = pl.read_parquet(marts / "deal_incentives.parquet").filter(pl.col("opportunity_id") == deal)
    assert frame.height == 1
    return frame.row(0, named=True)


@pytest.mark.parametrize(
    ("number", "example", "pay"), [(i, f"{e} {p} {x}", pay) for i, (e, p, x, pay) in enumerate(TOTALS)]
)
def test_total_pay(marts: Path, number: int, example: str, pay: float) -> None:
    found = price_of(marts, f"T{number}")
    assert float(found["added_pay_amount"]) == pytest.approx(pay, abs=1e-9), example
    assert found["emcr_as_known"] == pytest.approx(pay / float(found["credited_amount"]), abs=5e-9)


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_marginal_rate(marts: Path, number: int) -> None:
    _, _, before, x, emcr, pay = STEPS[number]
    found = price_of(marts, f"S{number}")
    assert found["emcr_as_known"] == pytest.approx(emcr, abs=1e-12)
    assert float(found["added_pay_amount"]) == pay
    assert found["attainment_before"] == pytest.approx(int(before) / 250_000)
    assert found["attainment_after"] == pytest.approx((int(before) + int(x)) / 250_000)


def test_example_c_is_pivotal_and_eight_points_from_the_threshold(marts: Path) -> None:
    for deal, relative in (("S0", 1.25), ("S1", 4.375)):
        found = price_of(marts, deal)
        assert found["is_pivotal"]
        assert found["distance_to_threshold"] == pytest.approx(0.08)
        assert found["relative_intensity"] == pytest.approx(relative)
        assert found["days_to_period_end"] == 55  # 4 February to 31 March 2025


def test_the_cap_binds_at_a_third_of_a_million(marts: Path) -> None:
    assert not price_of(marts, "S3")["emcr_as_known"]
    assert price_of(marts, "S3")["null_reason"] is None


def test_example_j_adds_up_sellers_and_keeps_the_overlay_outside(marts: Path) -> None:
    rows = pl.read_parquet(marts / "deal_incentives.parquet").filter(pl.col("opportunity_id") == "J")
    pay = {
        (r["credit_type"], float(r["credited_amount"])): float(r["added_pay_amount"])
        for r in rows.iter_rows(named=True)
    }
    assert pay == {("primary", 60000.0): 6400.0, ("primary", 40000.0): 3200.0, ("overlay", 100000.0): 2000.0}
    deal = (
        pl.read_parquet(marts / "deal_outcomes.parquet")
        .filter(pl.col("opportunity_id") == "J")
        .row(0, named=True)
    )
    assert deal["emcr"] == pytest.approx(0.096, abs=1e-12)
    assert deal["relative_intensity"] == pytest.approx(1.2, abs=1e-9)
    assert deal["incentive_cost_share"] == pytest.approx(0.116, abs=1e-9)


@pytest.mark.parametrize(("case", "pay"), K_CASES.items(), ids=str)
def test_example_k_a_change_inside_the_quarter(
    marts: Path, case: tuple[str, str], pay: tuple[float, float]
) -> None:
    found = [float(price_of(marts, f"K-{case[0]}-{case[1]}-{n}")["added_pay_amount"]) for n in (1, 2)]
    assert found == list(pay)


def test_example_l_money_of_another_currency(marts: Path) -> None:
    for policy, pay in (("booking", 4320), ("plan_fixed", 4400)):
        found = price_of(marts, f"L-{policy}")
        assert (float(found["added_pay_amount"]), found["emcr_as_known"]) == (pay, 0.08)


def test_example_m_a_spiff(marts: Path) -> None:
    found = price_of(marts, "M")
    assert (found["emcr_as_known"], found["emcr_with_spiff"]) == (0.08, 0.105)


def test_a_plan_of_several_measures_is_paid_as_a_whole(marts: Path) -> None:
    first, second = (price_of(marts, deal) for deal in JOINT_DEALS)
    # the gate is open; nothing of margin is credited: 3,000, then 2,000 of revenue
    assert [float(row["added_pay_amount"]) for row in (first, second)] == [3000, 2000]
    assert [row["base_rate"] for row in (first, second)] == [0.1, 0.1]


def test_what_cannot_be_priced_is_null_and_counted(marts: Path) -> None:
    found = price_of(marts, "GAP")
    assert (found["emcr_as_known"], found["null_reason"]) == (None, "no_tiers")
    coverage = pl.read_parquet(marts.parent / "quality" / "source_coverage.parquet").filter(
        table="deal_incentives", column="emcr_as_known"
    )
    assert coverage["detail"].to_list() == ["no_tiers: 1"]
