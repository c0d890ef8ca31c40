"""What was recorded after a close must not move its exposure, and a leak must be seen."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from pay_company import Books, at
from random_company import add_rates, make_company
from slow_reference import Reference

from assets.incentives import forecasts, pay_periods, plan_parts, pricing, spiffs, terms
from assets.incentives.deal_prices import price_deals
from assets.incentives.leakage import check_replay
from expectations.contracts.incentives import DEAL_INCENTIVES

EXPOSURE = (
    "plan_id", "version", "period_start", "period_end", "quota_amount", "attainment_before", "attainment_after",
    "emcr_as_known", "emcr_lowest", "emcr_highest", "base_rate", "relative_intensity", "distance_to_threshold", "is_pivotal",
    "days_to_period_end", "tier", "added_pay", "emcr_with_spiff", "emcr_forward",
)  # fmt: skip
COMPANIES = range(100, 136)
Deal = tuple[str, datetime]
Change = Callable[[Books, Deal, random.Random], None]


def later_rows(books: Books, deal: Deal) -> list[tuple[str, dict[str, Any]]]:
    """Rows nobody knew at the close, without the deal's own first records."""
    name, close = deal
    reference = Reference(books)
    first_win = reference.first_win(name)
    found = []
    for table, rows in books.rows.items():
        for row in rows:
            own = row is first_win or (
                table == "credits"
                and row["opportunity_id"] == name
                and row is reference.versions(row["credit_id"])[0]
            )
            if row.get("recorded_at") and row["recorded_at"] > close and not own:
                found.append((table, row))
    return found


def is_known_win(books: Books, row: dict[str, Any], close: datetime) -> bool:
    win = Reference(books).first_win(row["opportunity_id"])
    return win is not None and win["recorded_at"] <= close


def spoil_later_rows(books: Books, deal: Deal, draw: random.Random) -> None:
    """Change or delete everything recorded after the close."""
    for table, row in later_rows(books, deal):
        if (
            table == "credits"
            and row is Reference(books).versions(row["credit_id"])[0]
            and is_known_win(books, row, deal[1])
        ):
            row["credited_amount"] = "123456.78"  # the seller knew of the win, nobody knew this amount
        elif draw.random() < 0.5:
            books.rows[table].remove(row)
        else:
            wrong = {
                "credits": "credited_amount",
                "opportunities": "amount",
                "quotas": "amount",
                "plan_tiers": "rate",
            }
            if table in wrong:
                row[wrong[table]] = "0.77"
            if table == "plan_assignments":
                row["draw"], row["draw_kind"] = "99", "non_recoverable"


def known_row(books: Books, deal: Deal, draw: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """One row that was known at the close, or all records of one other deal."""
    name, close = deal
    choices: list[list[tuple[str, dict[str, Any]]]] = [
        [(table, row)]
        for table in ("quotas", "plan_tiers", "plan_assignments", "plans")
        for row in books.rows[table]
        if row["recorded_at"] <= close
    ]
    others = sorted({row["opportunity_id"] for row in books.rows["opportunities"]} - {name})
    choices += [
        [
            (t, row)
            for t in ("opportunities", "credits")
            for row in books.rows[t]
            if row["opportunity_id"] == other
        ]
        for other in others
    ]
    return draw.choice(choices)


def move_past_close(books: Books, deal: Deal, draw: random.Random) -> None:
    for i, (_, row) in enumerate(known_row(books, deal, draw)):
        row["recorded_at"] = deal[1] + timedelta(seconds=i + 1)


def remove(books: Books, deal: Deal, draw: random.Random) -> None:
    for table, row in known_row(books, deal, draw):
        books.rows[table].remove(row)


def leave(books: Books, deal: Deal, draw: random.Random) -> None:
    pass


@pytest.fixture(scope="module")
def firms() -> list[tuple[Books, Deal]]:
    made = []
    for seed in COMPANIES:
        books = Books()
        make_company(seed, f"{seed}-", books)
        wins = [o for o in books.rows["opportunities"] if o["is_won"]]
        deal = random.Random(seed).choice(sorted(wins, key=lambda o: o["closed_at"])[3:])
        made.append(
            (books, (deal["opportunity_id"], Reference(books).first_win(deal["opportunity_id"])["closed_at"]))
        )
    return made


def exposures(firms: list[tuple[Books, Deal]], change: Change) -> pl.DataFrame:
    """Exposure of one deal of every company after a change; companies share nothing, so one run prices all."""
    together = Books()
    for seed, (books, deal) in zip(COMPANIES, firms, strict=True):
        changed = copy.deepcopy(books)
        change(changed, deal, random.Random(seed))
        for name, rows in changed.rows.items():
            together.rows[name] += rows
    add_rates(together)
    asked = [deal for _, (deal, _) in firms]
    # a row that exists only as final is no exposure
    mart = price_deals(together.tables()).filter(
        pl.col("opportunity_id").is_in(asked), pl.col("null_reason").ne_missing("credited_later")
    )
    grain = ["opportunity_id", "rep_id", "component", "credit_type"]
    return mart.select(*grain, *EXPOSURE).sort(grain).collect()


def test_rows_recorded_later_do_not_move_an_exposure(firms: list[tuple[Books, Deal]]) -> None:
    assert sum(len(later_rows(books, deal)) for books, deal in firms) > 200
    before, after = exposures(firms, leave), exposures(firms, spoil_later_rows)
    assert before["emcr_as_known"].drop_nulls().len() > 20
    assert before.equals(after)


def test_a_row_recorded_past_the_close_is_as_good_as_missing(firms: list[tuple[Books, Deal]]) -> None:
    moved, without = exposures(firms, move_past_close), exposures(firms, remove)
    assert moved.equals(without)
    assert not moved.equals(exposures(firms, leave))


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
    ],
    ids=["component results", "spiffs", "history"],
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
