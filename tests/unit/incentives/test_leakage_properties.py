"""On random companies: what was recorded after a close does not move its exposure, and a row moved past it is as good as missing.

Both hold for the engine and for the slow reference.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from pay_company import Books, Row
from random_company import make_company
from random_firm import ONCE_PER_FIRM, SETTINGS, Setting, setting_of
from reference_knowledge import Firm
from slow_reference import Reference

from assets.incentives.deal_prices import price_deals

EXPOSURE = (
    "plan_id", "version", "period_start", "period_end", "quota_amount", "attainment_before", "attainment_after",
    "emcr_as_known", "emcr_lowest", "emcr_highest", "emcr_forward", "base_rate", "relative_intensity", "distance_to_threshold",
    "is_pivotal", "days_to_period_end", "tier", "added_pay", "added_pay_amount", "emcr_with_spiff", "spiff_amount",
)  # fmt: skip
OF_REFERENCE = (
    "emcr",
    "emcr_lowest",
    "emcr_highest",
    "emcr_forward",
    "base_rate",
    "attainment_before",
    "emcr_with_spiff",
)
GRAIN = ("opportunity_id", "rep_id", "component", "credit_type")
COMPANIES = range(5000, 5300)
OF_WHICH_SLOWLY = 120
TERMS = (
    "plans",
    "plan_components",
    "plan_tiers",
    "plan_assignments",
    "quotas",
    "component_results",
    "spiffs",
)
WRONG: dict[str, dict[str, Any]] = {
    "credits": {"credited_amount": "123456.78", "credited_at": datetime(2024, 1, 1).astimezone()},
    "opportunities": {"amount": "0.77", "is_won": False},
    "quotas": {"amount": "0.77"},
    "plans": {"cap": "1.23", "floor": None, "tier_method": "retroactive"},
    "plan_components": {"weight": "0.01", "gate_attainment": "7"},
    "plan_tiers": {"rate": "0.77"},
    "plan_assignments": {"draw": "99", "draw_kind": "non_recoverable", "target_incentive": "7"},
    "component_results": {"achieved": "777"},
    "spiffs": {"amount": "777", "rate": None},
}


@dataclass(frozen=True)
class Case:
    """One company and the deal that is asked about."""

    seed: int
    setting: Setting
    books: Books
    deal: str
    close: datetime


Change = Callable[[Case, Books, random.Random], None]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    made = []
    for seed in COMPANIES:
        setting = setting_of(seed)
        books = setting.books()
        books.rows |= {
            name: [] for name in ONCE_PER_FIRM
        }  # companies are copied often; these rows are added when priced
        make_company(seed, f"{seed}-", books, setting)
        wins = sorted(
            (o["closed_at"], o["opportunity_id"])
            for o in books.rows["opportunities"]
            if o["is_won"] and "deal" in o["opportunity_id"]
        )
        close, deal = random.Random(seed).choice(wins[2:])
        made.append(Case(seed, setting, books, deal, close))
    return made


# ---- changes
def later_rows(case: Case, books: Books) -> list[tuple[str, Row]]:
    """Rows nobody knew at the close, without the deal's own first records: they are what the deal is."""
    firm = Firm(books)
    first_win = firm.first_win(case.deal)
    found = []
    for table, rows in books.rows.items():
        for row in rows:
            own = row is first_win or (
                table == "credits"
                and row["opportunity_id"] == case.deal
                and row is firm.of["credit", row["credit_id"]][0]
            )
            if row.get("recorded_at") and row["recorded_at"] > case.close and not own:
                found.append((table, row))
    return found


def spoil_later_rows(case: Case, books: Books, draw: random.Random) -> None:
    """Change or delete everything recorded after the close."""
    firm = Firm(books)
    for table, row in later_rows(case, books):
        wrong = {name: value for name, value in WRONG[table].items() if name != "floor" or row.get("floor")}
        if table == "credits" and row is firm.of["credit", row["credit_id"]][0]:
            win = firm.first_win(row["opportunity_id"])
            if win is not None and win["recorded_at"] <= case.close:
                # the seller knew of the win and the split; nobody knew this amount
                row.update(credited_amount="123456.78", currency=None)
                continue
        if draw.random() < 0.5:
            books.rows[table] = [r for r in books.rows[table] if r is not row]
        else:
            row.update(wrong)


def choose_known(case: Case, books: Books, draw: random.Random) -> list[tuple[str, Row]]:
    """One row that was known at the close, or all records of one other deal."""
    choices: dict[str, list[list[tuple[str, Row]]]] = {
        table: [[(table, row)] for row in books.rows[table] if row["recorded_at"] <= case.close]
        for table in TERMS
    }
    others = sorted({row["opportunity_id"] for row in books.rows["opportunities"]} - {case.deal})
    choices["deals"] = [
        [
            (t, row)
            for t in ("opportunities", "credits")
            for row in books.rows[t]
            if row["opportunity_id"] == other
        ]
        for other in others
    ]
    table = draw.choice(sorted(name for name, found in choices.items() if found))
    return draw.choice(choices[table])


def move_past_close(case: Case, books: Books, draw: random.Random) -> None:
    latest = max(row["recorded_at"] for rows in books.rows.values() for row in rows if row.get("recorded_at"))
    for i, (_, row) in enumerate(choose_known(case, books, draw), start=1):
        row["recorded_at"] = max(latest, case.close) + timedelta(seconds=i)


def remove(case: Case, books: Books, draw: random.Random) -> None:
    for table, row in choose_known(case, books, draw):
        books.rows[table] = [r for r in books.rows[table] if r is not row]


def leave(case: Case, books: Books, draw: random.Random) -> None:
    pass


def changed(case: Case, change: Change) -> Books:
    books = copy.deepcopy(case.books)
    change(case, books, random.Random(case.seed))
    return books


# ---- exposures
def by_engine(cases: list[Case], change: Change) -> pl.DataFrame:
    """Exposure of one deal of every company after a change; companies share nothing, so one run prices all of a setting."""
    frames = []
    for setting in SETTINGS:
        mine = [case for case in cases if case.setting == setting]
        together = setting.books()
        for case in mine:
            for name, rows in changed(case, change).rows.items():
                if name not in ONCE_PER_FIRM:
                    together.rows[name] += rows
        # a row that exists only as final is no exposure
        mart = price_deals(together.tables()).filter(
            pl.col("opportunity_id").is_in([case.deal for case in mine]),
            pl.col("null_reason").ne_missing("credited_later"),
        )
        frames.append(mart.select(*GRAIN, *EXPOSURE).collect())
    return pl.concat(frames).sort(GRAIN)


def by_reference(cases: list[Case], change: Change) -> pl.DataFrame:
    cases = cases[:OF_WHICH_SLOWLY]
    rows = []
    for case in cases:
        books = changed(case, change)
        shared = case.setting.books().rows
        books.rows |= {name: shared[name] for name in ONCE_PER_FIRM}
        reference = Reference(books)
        for grain in sorted(g for g in reference.grains() if g[0] == case.deal):
            row = reference.price(*grain, final=False)
            if row["null_reason"] != "credited_later":
                rows.append([*grain, *(None if row[n] is None else float(row[n]) for n in OF_REFERENCE)])
    return pl.DataFrame(rows, schema=[*GRAIN, *OF_REFERENCE], orient="row", infer_schema_length=None).sort(
        GRAIN
    )


Pricer = Callable[[list[Case], Change], pl.DataFrame]
PRICERS = pytest.mark.parametrize("pricer", [by_engine, by_reference], ids=["engine", "reference"])


def differing(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([one.join(other, on=one.columns, how="anti", nulls_equal=True),
                      other.join(one, on=one.columns, how="anti", nulls_equal=True)]).sort(GRAIN)  # fmt: skip


def test_the_companies_have_later_rows_of_every_table(cases: list[Case]) -> None:
    met = Counter(table for case in cases for table, _ in later_rows(case, case.books))
    assert set(met) == set(WRONG)
    assert min(met.values()) > 10, met


@PRICERS
def test_rows_recorded_later_do_not_move_an_exposure(cases: list[Case], pricer: Pricer) -> None:
    before, after = pricer(cases, leave), pricer(cases, spoil_later_rows)
    assert before.drop_nulls("emcr_lowest").height > 100
    assert differing(before, after).is_empty(), differing(before, after)


@PRICERS
def test_a_row_recorded_past_the_close_is_as_good_as_missing(cases: list[Case], pricer: Pricer) -> None:
    moved, without = pricer(cases, move_past_close), pricer(cases, remove)
    assert differing(moved, without).is_empty(), differing(moved, without)
    assert differing(moved, pricer(cases, leave)).height > 15  # the rows that moved did matter
