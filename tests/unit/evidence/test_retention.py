"""Retention by group: published survival numbers through the table's own function."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import chi2

from assets.company import Churn, Company
from assets.evidence.retention import estimate_churn
from expectations.contracts import TABLES

DAY_0 = date(2020, 1, 1)


def life(
    number: int, days: int, exit_: str = "", *, follow_up: int | None = None, **group: object
) -> dict[str, object]:
    """A deal followed for so many days; `exit_` is churn, other or nothing."""
    end = DAY_0 + timedelta(days=days)
    observed = DAY_0 + timedelta(days=follow_up if follow_up is not None else (days if not exit_ else 2000))
    return {
        "opportunity_id": f"o{number}",
        "account_id": f"a{number}",
        "rep_id": f"r{number % 7}",
        "closed_on": DAY_0,
        "clock_start_on": DAY_0,
        "churned_on": end if exit_ == "churn" else None,
        "other_exit_on": end if exit_ == "other" else None,
        "observed_until": observed,
        **group,
    }


def cells(table: pl.LazyFrame, dimension: str, value: str) -> dict[int, dict[str, object]]:
    rows = table.filter((pl.col("dimension") == dimension) & (pl.col("value") == value)).collect()
    return {r["horizon_days"]: r for r in rows.to_dicts()}


def test_leukemia_gives_the_published_survival_and_log_rank(frame_of, company) -> None:
    # weeks of remission (Freireich et al. 1963); 15 days to the week puts weeks 6, 12, 24 at the horizons
    treated = [
        "6",
        "6",
        "6",
        "6+",
        "7",
        "9+",
        "10",
        "10+",
        "11+",
        "13",
        "16",
        "17+",
        "19+",
        "20+",
        "22",
        "23",
        "25+",
        "32+",
        "32+",
        "34+",
        "35+",
    ]
    placebo = [
        "1",
        "1",
        "2",
        "2",
        "3",
        "4",
        "4",
        "5",
        "5",
        "8",
        "8",
        "8",
        "8",
        "11",
        "11",
        "12",
        "12",
        "15",
        "17",
        "22",
        "23",
    ]
    rows = [
        life(i, 15 * int(t.strip("+")), "" if t.endswith("+") else "churn", segment=arm)
        for i, (t, arm) in enumerate([(t, "treated") for t in treated] + [(t, "placebo") for t in placebo])
    ]
    table, facts = estimate_churn(frame_of("deal_outcomes", rows), company)
    at = cells(table, "segment", "treated")
    assert {h: round(r["survival"], 4) for h, r in at.items()} == {
        30: 1.0,
        90: 0.8571,
        180: 0.7529,
        365: 0.4482,
    }
    # no other exit: the incidence is what is missing from 1
    assert at[365]["cif_churn"] == pytest.approx(1 - at[365]["survival"])
    assert at[365]["log_rank_p"] == pytest.approx(chi2.sf(16.793, 1), rel=1e-3)
    assert {r["log_rank_p"] for r in cells(table, "all", "all").values()} == {None}
    assert (at[90]["n"], at[90]["events"], at[90]["at_risk"]) == (21, 3, 21)
    assert facts["deals"] == 42


def test_rossi_gives_the_published_survival(frame_of, company) -> None:
    rossi = pytest.importorskip("lifelines.datasets").load_rossi()
    # weeks 26 and 52 become days 180 and 365; the map only stretches time
    weeks = rossi["week"].to_numpy()
    days = np.where(weeks <= 26, weeks * 180 // 26, 180 + np.ceil((weeks - 26) * 185 / 26)).astype(int)
    rows = [
        life(i, int(d), "churn" if a else "")
        for i, (d, a) in enumerate(zip(days, rossi["arrest"], strict=True))
    ]
    at = cells(estimate_churn(frame_of("deal_outcomes", rows), company)[0], "all", "all")
    assert round(at[180]["survival"], 4) == 0.8750
    assert round(at[365]["survival"], 4) == 0.7361
    assert at[180]["survival_lo"] < 0.8750 < at[180]["survival_hi"]


def test_competing_exits_give_the_published_incidence(frame_of, company) -> None:
    # t = 2..9, e = 1,2,1,0,1,2,0,1 (04); every subject twice, which changes no estimate but fills the cell
    days = dict(zip(range(2, 10), (30, 60, 90, 120, 180, 200, 300, 365), strict=True))
    kind = {0: "", 1: "churn", 2: "other"}
    pairs = list(zip(range(2, 10), (1, 2, 1, 0, 1, 2, 0, 1), strict=True)) * 2
    rows = [life(i, days[t], kind[e]) for i, (t, e) in enumerate(pairs)]
    at = cells(estimate_churn(frame_of("deal_outcomes", rows), company)[0], "all", "all")
    assert [round(at[h]["cif_churn"], 4) for h in (30, 90, 180, 365)] == [0.125, 0.25, 0.4062, 0.7188]
    assert at[180]["other_exits"] == 2
    assert at[365]["cif_churn"] < 1 - at[365]["survival"]  # Kaplan-Meier with other exits censored says more


def test_a_cancellation_before_the_clock_is_an_event_on_day_0(frame_of, company) -> None:
    rows = [life(i, 400) for i in range(19)]
    early = {
        **life(19, 0, "churn"),
        "clock_start_on": DAY_0 + timedelta(days=20),
        "churned_on": DAY_0 + timedelta(days=3),
    }
    at = cells(estimate_churn(frame_of("deal_outcomes", [*rows, early]), company)[0], "all", "all")
    assert at[30]["cif_churn"] == pytest.approx(0.05)


def test_a_loss_seen_after_the_last_observed_day_does_not_count(frame_of, company) -> None:
    rows = [life(i, 100, "churn" if i < 10 else "", follow_up=99 if i < 10 else 500) for i in range(30)]
    at = cells(estimate_churn(frame_of("deal_outcomes", rows), company)[0], "all", "all")
    assert (at[180]["events"], at[180]["survival"]) == (0, 1.0)
    assert at[90]["mature_share"] == 1.0
    assert at[180]["mature_share"] == pytest.approx(20 / 30)


def test_deals_that_cannot_be_followed_are_counted(frame_of, company) -> None:
    rows = [life(i, 400) for i in range(20)]
    no_account = {**life(20, 400), "account_id": None}
    never_started = {**life(21, 400), "outcome_null_reason": "never_started"}
    starts_later = {**life(22, 0), "clock_start_on": DAY_0 + timedelta(days=5), "observed_until": DAY_0}
    table, facts = estimate_churn(
        frame_of("deal_outcomes", [*rows, no_account, never_started, starts_later]), company
    )
    assert facts == {
        "deals": 23,
        "deals_without_account": 1,
        "deals_not_judged": 1,
        "deals_after_observation": 1,
    }
    assert cells(table, "all", "all")[30]["n"] == 20


def test_without_a_source_of_churn_nobody_is_said_to_have_stayed(frame_of, company) -> None:
    rows = [{**life(i, 400), "outcome_null_reason": "no_churn_source"} for i in range(20)]
    table, facts = estimate_churn(frame_of("deal_outcomes", rows), company)
    assert table.collect().is_empty()
    assert facts["deals_not_judged"] == 20


def test_under_inactivity_shorter_horizons_have_no_numbers(frame_of, company) -> None:
    lazy = Company(
        reporting_currency="USD",
        timezone="UTC",
        as_of=company.as_of,
        churn=Churn("inactivity", 180),
        sources=company.sources,
    )
    rows = [life(i, 180, "churn") for i in range(10)] + [life(10 + i, 900) for i in range(10)]
    rows = [{**row, "outcome_null_reason": "shorter_than_inactivity_window"} for row in rows]
    at = cells(estimate_churn(frame_of("deal_outcomes", rows), lazy)[0], "all", "all")
    assert (at[90]["survival"], at[90]["events"], at[90]["suppressed"]) == (None, None, False)
    assert (at[180]["survival"], at[180]["events"]) == (0.5, 10)


def test_groups_add_up_and_absent_dimensions_have_no_rows(frame_of, company) -> None:
    rows = [
        life(i, 400, emcr_quintile=1 + i % 5 if i < 100 else None, month_end=i % 2 == 0) for i in range(140)
    ]
    table = (
        estimate_churn(frame_of("deal_outcomes", rows), company)[0]
        .filter(pl.col("horizon_days") == 30)
        .collect()
    )
    assert set(table["dimension"]) == {"all", "emcr_quintile", "month_end"}
    sums = table.group_by("dimension").agg(pl.col("n").sum())
    assert set(sums["n"]) == {140}
    quintiles = table.filter(pl.col("dimension") == "emcr_quintile").sort("value_order")
    assert quintiles["value"].to_list() == ["1", "2", "3", "4", "5", "unknown"]


def test_small_groups_are_blank_and_so_is_what_would_give_them_away(frame_of, company) -> None:
    rows = [life(i, 400, segment="rare" if i < 9 else f"s{i % 2}") for i in range(100)]
    table = estimate_churn(frame_of("deal_outcomes", rows), company)[0].collect()
    segments = table.filter(pl.col("dimension") == "segment")
    assert segments.filter("suppressed")["value"].unique().sort().to_list()[0] == "rare"
    assert segments.filter("suppressed")["value"].n_unique() == 2
    numbers = [
        c
        for c in table.columns
        if c
        not in (
            "dimension",
            "value",
            "value_order",
            "horizon_days",
            "suppressed",
            "log_rank_p",
            "log_rank_seller_p",
        )
    ]
    assert segments.filter("suppressed").select(pl.col(numbers).is_null().all()).row(0) == (True,) * len(
        numbers
    )


@pytest.mark.parametrize(("hazard_ratio", "sign"), [(1.6, 1), (1 / 1.6, -1)])
def test_a_planted_hazard_is_found_in_its_direction(
    frame_of, company, hazard_ratio: float, sign: int
) -> None:
    rng = np.random.default_rng(11)
    quintile = rng.integers(1, 6, 4000)
    days = np.ceil(rng.exponential(600 / hazard_ratio ** (quintile - 3)))
    follow_up = rng.integers(60, 700, 4000)  # staggered entry: naive shares would be biased down
    rows = [
        life(i, int(d), "churn", follow_up=int(f), emcr_quintile=int(q))
        for i, (d, f, q) in enumerate(zip(days, follow_up, quintile, strict=True))
    ]
    table = estimate_churn(frame_of("deal_outcomes", rows), company)[0]
    low, high = (cells(table, "emcr_quintile", q)[180] for q in "15")
    assert sign * (high["cif_churn"] - low["cif_churn"]) > 0.1
    assert low["log_rank_p"] < 1e-6
    for q in range(1, 6):
        at = cells(table, "emcr_quintile", str(q))[180]
        truth = 1 - np.exp(-180 * hazard_ratio ** (q - 3) / 600)
        assert at["cif_churn_lo"] - 0.02 < truth < at["cif_churn_hi"] + 0.02


def test_the_table_fits_its_contract_and_row_order_does_not_matter(frame_of, company) -> None:
    contract = TABLES["churn_by_incentive"]
    rng = np.random.default_rng(3)
    rows = [
        life(
            i, int(rng.integers(0, 500)), ["churn", "other", ""][i % 3],
            emcr_quintile=1 + i % 5, segment=["SMB", "Enterprise", None][i % 3], closing_load=float(rng.gamma(2, 0.5)),
            discount_share=float(rng.choice([0, 0.05, 0.3])), touches_30d=int(rng.integers(0, 15)), tier=i % 12, plan_id="P",
        )
        for i in range(600)
    ]  # fmt: skip
    first = (
        estimate_churn(frame_of("deal_outcomes", rows), company)[0].collect().select(contract.schema.names())
    )
    second = estimate_churn(frame_of("deal_outcomes", rows[::-1]), company)[0].collect()
    assert first.schema == contract.schema
    assert_frame_equal(first, second.select(first.columns), check_exact=True)
    assert not first.select(pl.any_horizontal(rule.broken for rule in contract.rules).any()).item()
    assert not first.select(contract.key).is_duplicated().any()
    tiers = first.filter((pl.col("dimension") == "tier") & (pl.col("horizon_days") == 30)).sort("value_order")
    assert tiers["value"].to_list() == [str(i) for i in range(12)]


def test_an_empty_firm_gives_an_empty_table(frame_of, company) -> None:
    assert estimate_churn(frame_of("deal_outcomes", []), company)[0].collect().is_empty()
