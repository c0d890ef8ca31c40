"""A leak must be seen: the replay and the contract block the table. Random companies are in `test_leakage_properties`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from pay_company import Books, at

from assets.incentives import forecasts, pay_periods, plan_parts, pricing, spiffs, terms
from assets.incentives.deal_prices import price_deals
from assets.incentives.leakage import check_replay
from expectations.contracts.incentives import DEAL_INCENTIVES


def simple_firm() -> Books:
    """One seller; quota, rate and an earlier win are corrected after the close of `deal`."""
    books = Books()
    books.plan("plan", [("0", "0.08"), ("1", "0.12")])
    books.tier("plan", 1, "0", "0.09", recorded_at=at("2025-03-01"))
    books.tier("plan", 2, "1", "0.50", recorded_at=at("2025-03-01"))
    books.seller("rep", "plan", "250000")
    books.quota("rep", "100000", recorded_at=at("2025-03-01"))
    books.sell("before", "rep", "230000", "2025-01-05 12:00", recorded_at=at("2025-03-01"))
    books.rows["credits"][-1]["recorded_at"] = at("2025-03-01")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    return books


def broken_rules(mart: pl.DataFrame) -> set[str]:
    return {rule.name for rule in DEAL_INCENTIVES.rules if mart.select(rule.broken.any()).item()}


def checked_mart(books: Books) -> pl.DataFrame:
    tables = books.tables()
    return check_replay(price_deals(tables).collect().lazy(), tables).collect()


def test_an_honest_mart_passes() -> None:
    mart = checked_mart(simple_firm())
    assert broken_rules(mart) == set()
    assert mart["replay_agrees"].all(ignore_nulls=False)
    deal = mart.filter(opportunity_id="deal").row(0, named=True)
    # nothing that came later: no credit before, the first quota, the first rates
    assert (deal["attainment_before"], deal["emcr_as_known"]) == (0, 0.08)
    assert deal["known_at_latest"] <= deal["closed_at"]
    # final: 230,000 before on a quota of 100,000, at the corrected rate
    assert (deal["attainment_before_final"], deal["emcr_as_final"]) == (2.3, 0.5)


def leak_all_news(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pricing.sum_credit_before
    monkeypatch.setattr(pricing, "sum_credit_before", lambda *a, **k: real(*a, **{**k, "known": None}))


def leak_in(module: Any) -> Callable[[pytest.MonkeyPatch], None]:
    def leak(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "holds", lambda _k, *_: pl.col("known_until").is_null())

    return leak


@pytest.mark.parametrize(
    ("leak", "rules"),
    [
        (leak_all_news, {"exposure_survives_a_replay"}),
        (leak_in(pay_periods), {"exposure_survives_a_replay", "exposure_uses_only_what_was_known"}),
        (leak_in(pricing), {"exposure_survives_a_replay", "exposure_uses_only_what_was_known"}),
    ],
    ids=["credits", "quotas", "plan tiers"],
)
def test_a_leak_blocks_the_table(
    monkeypatch: pytest.MonkeyPatch, leak: Callable[[pytest.MonkeyPatch], None], rules: set[str]
) -> None:
    leak(monkeypatch)
    assert broken_rules(checked_mart(simple_firm())) == rules


def test_a_leaking_assignment_blocks_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    books = simple_firm()
    books.add(
        "plan_assignments", rep_id="rep", plan_id="plan", version=1, valid_from=at("2020-01-01").date(), draw="9000",
        draw_kind="non_recoverable", recorded_at=at("2025-03-01"),
    )  # fmt: skip
    assert broken_rules(checked_mart(books)) == set()
    leak_in(terms)(monkeypatch)
    assert broken_rules(checked_mart(books)) == {
        "exposure_survives_a_replay",
        "exposure_uses_only_what_was_known",
    }


# ---- leaks of what only some plans have ------------------------------------------------------------------------------------
def gated_firm() -> Books:
    """A gate on quality: 0.6 was known at the close, 0.4 after it."""
    books = Books()
    books.plan("plan", [("0", "0.10")])
    books.seller("rep", "plan", "100000")
    base = {"plan_id": "plan", "version": 1, "weight": "1", "recorded_at": at("2020-01-01")}
    books.add("plan_components", **base, component="commission", measure="revenue")
    books.add(
        "plan_components", **base, component="care", measure="quality", combine="gate", gate_attainment="0.5"
    )
    books.quota("rep", "100", component="care")
    result = {"rep_id": "rep", "component": "care", "period_start": at("2025-01-01").date()}
    books.add("component_results", **result, achieved="60", recorded_at=at("2025-02-01"))
    books.add("component_results", **result, achieved="40", recorded_at=at("2025-03-01"))
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    return books


def offered_firm() -> Books:
    """A SPIFF that was raised after the close."""
    books = simple_firm()
    offer = {"valid_from": at("2025-02-01").date(), "valid_to": at("2025-03-01").date(), "per": "deal"}
    books.add("spiffs", spiff_id="s", **offer, amount="500", recorded_at=at("2025-01-20"))
    books.add("spiffs", spiff_id="s", **offer, amount="900", recorded_at=at("2025-03-20"))
    return books


def forecast_firm() -> Books:
    """Four completed quarters; a win in the last of them was recorded after the close."""
    books = Books()
    books.plan("plan", [("0", "0.08"), ("1", "0.12")])
    books.seller("rep", "plan", "100000")
    for number, month in enumerate((1, 4, 7, 10), start=1):
        end = at("2025-01-01") if month == 10 else at(f"2024-{month + 3:02d}-01")
        books.quota("rep", "100000", period_start=at(f"2024-{month:02d}-01").date(), period_end=end.date())
        books.sell(f"q{number}", "rep", f"{number}0000", f"2024-{month + 2:02d}-25 12:00")
    books.sell("late", "rep", "90000", "2024-12-26 12:00", recorded_at=at("2025-03-01"))
    books.rows["credits"][-1]["recorded_at"] = at("2025-03-01")
    books.sell("deal", "rep", "40000", "2025-02-10 12:00")
    return books


def crew_firm() -> Books:
    """A newcomer on a plan of four who have a quarter behind them; a win in it was recorded after the newcomer's close."""
    books = Books()
    books.plan("plan", [("0", "0.08"), ("1", "0.12")])
    first = {"period_start": at("2024-10-01").date(), "period_end": at("2025-01-01").date()}
    for number in range(1, 5):
        books.seller(f"old{number}", "plan")
        books.quota(f"old{number}", "100000", **first)
        books.sell(f"q{number}", f"old{number}", f"{number}0000", "2024-12-25 12:00")
    books.sell("late", "old1", "90000", "2024-12-26 12:00", recorded_at=at("2025-03-01"))
    books.rows["credits"][-1]["recorded_at"] = at("2025-03-01")
    books.seller("new", "plan", "100000")
    books.sell("deal", "new", "40000", "2025-02-10 12:00")
    return books


def leak_in_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    real = forecasts.average_crew

    def late(arrivals: Any, stays: Any, at_us: Any, days_left: Any) -> Any:
        return real(arrivals, stays, at_us + 10**15, days_left)

    monkeypatch.setattr(forecasts, "average_crew", late)


def leak_in_history(monkeypatch: pytest.MonkeyPatch) -> None:
    real = forecasts.average_newest

    def late(arrivals: Any, newest: Any, oldest: Any, at_us: Any, days_left: Any) -> Any:
        return real(arrivals, newest, oldest, at_us + 10**15, days_left)

    monkeypatch.setattr(forecasts, "average_newest", late)


@pytest.mark.parametrize(
    ("firm", "leak", "rules"),
    [
        (
            gated_firm,
            leak_in(plan_parts),
            {"exposure_survives_a_replay", "exposure_uses_only_what_was_known"},
        ),
        (offered_firm, leak_in(spiffs), {"exposure_survives_a_replay", "exposure_uses_only_what_was_known"}),
        (forecast_firm, leak_in_history, {"exposure_survives_a_replay"}),
        (crew_firm, leak_in_crew, {"exposure_survives_a_replay"}),
    ],
    ids=["component results", "spiffs", "history", "history of the plan"],
)
def test_a_leak_of_more_than_credit_blocks_the_table(
    monkeypatch: pytest.MonkeyPatch,
    firm: Callable[[], Books],
    leak: Callable[[pytest.MonkeyPatch], None],
    rules: set[str],
) -> None:
    assert broken_rules(checked_mart(firm())) == set()
    leak(monkeypatch)
    assert broken_rules(checked_mart(firm())) == rules
