"""What moves first: series of teams laid side by side, a planted lead found in its direction only, a shuffled one not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.company import Company
from assets.evidence.lead_lags import find_leads, lead_lags
from assets.evidence.team_series import SERIES, TeamSeries, lay_out_series
from expectations.checks import audit_rows
from expectations.contracts.listening import LEAD_LAGS

FrameOf = Callable[[str, Sequence[Mapping[str, object]]], pl.LazyFrame]
TEAMS = [f"t{i:02}" for i in range(20)]
QUARTERS = [f"{year}-Q{q}" for year in (2023, 2024, 2025) for q in (1, 2, 3, 4)]
BURN = 30


def draw(seed: int, pay_leads: float = 0.8, behaviour_leads: float = 0.8) -> dict[str, np.ndarray]:
    """Pay moves by itself, behaviour after pay, losses after behaviour; (teams, quarters)."""
    rng = np.random.default_rng(seed)
    pay, style, lost = rng.normal(size=(3, len(TEAMS), len(QUARTERS) + BURN))
    for t in range(1, pay.shape[1]):
        pay[:, t] += 0.4 * pay[:, t - 1]
        style[:, t] += 0.3 * style[:, t - 1] + pay_leads * pay[:, t - 1]
        lost[:, t] += 0.3 * lost[:, t - 1] + behaviour_leads * style[:, t - 1]
    return {
        "revenue_weight_share": 0.7 + pay[:, BURN:] / 40,
        "style_composite": style[:, BURN:],
        "churn_rate": 20 + lost[:, BURN:],
    }


def marts(tables: dict[str, np.ndarray]) -> dict[str, list[dict[str, Any]]]:
    """The marts that hold such series: five sellers a team, twelve accounts, losses by the thousand account-months."""
    rows: dict[str, list[dict[str, Any]]] = {
        "value_drift": [],
        "selling_style": [],
        "account_months": [],
        "reps": [],
    }
    for i, team in enumerate(TEAMS):
        rows["reps"] += [{"rep_id": f"{team}r{s}", "team": team} for s in range(6)]
        for j, quarter in enumerate(QUARTERS):
            pay, style, lost = (
                tables[name][i, j] for name in ("revenue_weight_share", "style_composite", "churn_rate")
            )
            rows["value_drift"].append(
                {"dimension": "team", "organisation": team, "quarter": quarter, "revenue_weight_share": pay}
            )
            rows["selling_style"].append({"team": team, "quarter": quarter, "style_composite": style})
            # losses in whole numbers: so many of 24 account-months that 1,000 of them would lose `lost` x 10
            month = f"{quarter[:4]}-{3 * int(quarter[-1]):02}"
            events = max(0, round(lost * 24 * 10 / 1000))
            rows["account_months"] += [
                {
                    "account_id": f"{team}a{a}", "opportunity_id": f"{team}o{a}", "rep_id": f"{team}r{a % 6}", "month": month,
                    "account_days": 30.4375, "churned": a < events, "complaints": None,
                }
                for a in range(24)
            ]  # fmt: skip
    return rows | {"deal_outcomes": []}


def publish(frame_of: FrameOf, rows: dict[str, list[dict[str, Any]]]) -> pl.DataFrame:
    made = lead_lags(
        **{name: frame_of(name, list_) for name, list_ in rows.items()},
        company=Company("USD", "UTC", date(2025, 12, 31)),
    )
    assert isinstance(made, pl.LazyFrame)
    found = made.collect()
    assert found.schema == LEAD_LAGS.schema
    assert not [
        r for r in audit_rows(LEAD_LAGS, found.lazy()) if not r.passed and r.check != "table_has_rows"
    ]
    return found


def series_of(tables: dict[str, np.ndarray]) -> TeamSeries:
    people = pl.DataFrame({"team": TEAMS, "n_sellers": [8] * len(TEAMS), "n_accounts": [90] * len(TEAMS)})
    nothing = np.full((len(TEAMS), len(QUARTERS)), np.nan)
    every = {name: tables.get(name, nothing) for name in SERIES}
    return TeamSeries(TEAMS, list(range(len(QUARTERS))), every, people)


def row(table: pl.DataFrame, leading: str, following: str, lag: int = 1) -> dict[str, Any]:
    return table.row(
        by_predicate=(pl.col("leading_series") == leading)
        & (pl.col("following_series") == following)
        & (pl.col("lag_quarters") == lag),
        named=True,
    )


CHAIN = (("revenue_weight_share", "style_composite"), ("style_composite", "churn_rate"))


def test_a_planted_chain_is_found_in_its_direction_only() -> None:
    """Forty firms; a level of 5 % is missed more than five times in 40 once in 70 for one row."""
    found = [find_leads(series_of(draw(seed))).collect() for seed in range(40)]
    for first, then in CHAIN:
        forward = [row(table, first, then) for table in found]
        assert sum(r["estimate_lo"] > 0 for r in forward) >= 34
        assert all(r["is_claimed_order"] for r in forward)
        backward = [row(table, then, first) for table in found]
        assert not any(r["is_claimed_order"] for r in backward)
        assert sum(r["p_value"] < 0.05 for r in backward) <= 5


def test_a_shuffled_chain_is_not_found() -> None:
    """Every team's style put with another team's pay: the firm moves as before, and nothing leads."""
    calls = 0
    for seed in range(40):
        tables = draw(seed)
        dealt = {
            name: np.roll(table, 3 * place, axis=0) for place, (name, table) in enumerate(tables.items())
        }
        found = find_leads(series_of(dealt)).collect()
        assert found.height == 12
        calls += (found["q_value"] < 0.05).any()
    assert calls <= 5  # a false discovery in one firm of twenty; more than five of forty come once in 70


def test_the_table_says_the_same_through_the_marts(frame_of: FrameOf) -> None:
    tables = draw(5)
    rows = marts(tables)
    found = publish(frame_of, rows)
    assert set(found["link"]) == {"pay to behaviour", "behaviour to outcome", "pay to outcome"}
    assert "complaint_rate" not in set(found["leading_series"])  # no source of them
    first = row(found, *CHAIN[0])
    plain = row(find_leads(series_of(tables)).collect(), *CHAIN[0])
    assert first["estimate"] == pytest.approx(plain["estimate"], rel=1e-6)
    assert (first["teams"], first["n_sellers"], first["n_accounts"]) == (20, 120, 480)
    assert first["sentence"].startswith(
        "Where the share of target pay that hangs on selling stood one standard deviation above"
    )
    assert row(found, *CHAIN[1])["estimate_lo"] > 0
    again = publish(frame_of, {name: list_[::-1] for name, list_ in rows.items()})
    assert_frame_equal(found, again, check_exact=True)


def test_hidden_cells_small_cells_and_open_quarters_are_left_out(frame_of: FrameOf) -> None:
    rows = marts(draw(5))
    rows["value_drift"][0]["revenue_weight_share"] = None  # hidden there
    small = [r for r in rows["account_months"] if r["rep_id"].startswith("t00") and r["month"] == "2024-03"]
    for r in small:
        r["rep_id"] = "t00r1"
    rows["deal_outcomes"] = [
        {"opportunity_id": f"o{i}", "account_id": f"a{i}", "rep_id": f"t01r{i % sellers}", "cohort_quarter": quarter, "emcr": 0.1}
        for quarter, sellers in (("2024-Q1", 6), ("2024-Q2", 2))
        for i in range(30)
    ]  # fmt: skip
    laid = lay_out_series(
        **{name: frame_of(name, list_) for name, list_ in rows.items()},
        fiscal_start_month=1,
        last_whole_month="2025-11",
    )
    assert laid.quarters == list(range(2023 * 4, 2025 * 4 + 3))  # the last quarter is not over
    pay, lost, paid = (laid.tables[name] for name in ("revenue_weight_share", "churn_rate", "emcr_mean"))
    assert np.isnan(pay).sum() == 1
    assert np.isnan(pay[0, 0])
    assert np.isnan(lost[0, 4])
    assert np.isnan(lost).sum() == 1
    assert paid[1, 4] == pytest.approx(0.1)
    assert np.isfinite(paid).sum() == 1


@pytest.mark.parametrize(
    ("start", "month", "whole"),
    [(1, "2025-12", "2025-Q4"), (1, "2025-11", "2025-Q3"), (2, "2026-01", "2026-Q4"), (2, "2025-04", "2026-Q1"), (2, "2025-03", "2025-Q4")],
)  # fmt: skip
def test_the_last_quarter_is_the_last_that_is_over(
    frame_of: FrameOf, start: int, month: str, whole: str
) -> None:
    cells = [
        {"team": "a", "quarter": f"{y}-Q{q}", "style_composite": 0.0}
        for y in range(2024, 2028)
        for q in (1, 2, 3, 4)
    ]
    laid = lay_out_series(
        value_drift=frame_of("value_drift", []), selling_style=frame_of("selling_style", cells),
        deal_outcomes=frame_of("deal_outcomes", []), account_months=frame_of("account_months", []), reps=frame_of("reps", []),
        fiscal_start_month=start, last_whole_month=month,
    )  # fmt: skip
    last = laid.quarters[-1]
    assert f"{last // 4}-Q{last % 4 + 1}" == whole


def test_few_quarters_and_few_teams_are_said() -> None:
    tables = draw(1)
    short = find_leads(
        series_of({name: np.where(np.arange(12) < 7, t, np.nan) for name, t in tables.items()})
    ).collect()
    assert set(short["lead_null_reason"]) == {"too_few_periods"}
    assert short["estimate"].null_count() == short.height
    assert short["sentence"].str.contains("too few periods").all()
    few = find_leads(
        series_of({name: np.where(np.arange(20)[:, None] < 7, t, np.nan) for name, t in tables.items()})
    ).collect()
    assert set(few["lead_null_reason"]) == {"too_few_units"}


def test_rows_of_few_people_are_hidden() -> None:
    series = series_of(draw(1))
    tiny = series.people.with_columns(pl.lit(0, pl.Int64).alias("n_sellers"))
    found = find_leads(TeamSeries(series.teams, series.quarters, series.tables, tiny)).collect()
    assert found["suppressed"].all()
    assert found.select(pl.col("estimate", "p_value", "q_value", "n").is_null().all()).row(0) == (True,) * 4
    assert set(found["lead_null_reason"]) == {"few_people"}


def test_an_empty_firm_has_no_rows(frame_of: FrameOf) -> None:
    names = ("value_drift", "selling_style", "deal_outcomes", "account_months", "reps")
    assert publish(frame_of, {name: [] for name in names}).is_empty()
