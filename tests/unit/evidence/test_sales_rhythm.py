"""`sales_rhythm` on small firms: what counts, when, in which money, and what stays hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.company import Company
from assets.evidence.sales_rhythm import sales_rhythm
from assets.table import Made
from expectations.contracts import TABLES

FrameOf = Callable[[str, Sequence[Mapping[str, object]]], pl.LazyFrame]
Row = dict[str, object]


def close(number: int, day: date, *, rep: str = "r0", won: bool = True, **facts: object) -> Row:
    return {
        "opportunity_id": f"o{number}",
        "rep_id": rep,
        "account_id": f"a{number}",
        "closed_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
        "is_won": won,
        "amount": Decimal(100),
        "currency": "USD",
        **facts,
    }


def year_of_deals(first: date = date(2024, 1, 1), days: int = 366, sellers: int = 6) -> list[Row]:
    """Every seller wins one deal a day."""
    return [
        close(i, first + timedelta(days=i // sellers), rep=f"r{i % sellers}") for i in range(days * sellers)
    ]


@pytest.fixture
def made(frame_of: FrameOf, company: Company) -> Callable[..., Made]:
    def make(
        deals: Sequence[Row], *, reps: Sequence[Row] = (), firm: Company = company, **tables: Sequence[Row]
    ) -> Made:
        names = ("accounts", "activities", "fx_rates", "fiscal_calendar")
        return sales_rhythm(
            opportunities=frame_of("opportunities", deals),
            reps=frame_of("reps", reps),
            company=firm,
            **{name: frame_of(name, tables.get(name, ())) for name in names},
        )  # fmt: skip

    return make


def of(made: Made, period: str, dimension: str = "all", value: str = "all") -> list[Row]:
    return (
        made.frame.filter(
            pl.col("dimension") == dimension, pl.col("value") == value, pl.col("candidate_period") == period
        )
        .sort("phase")
        .collect()
        .to_dicts()
    )


def test_won_and_lost_deals_count_open_ones_and_older_versions_do_not(made: Callable[..., Made]) -> None:
    deals = year_of_deals()
    deals += [
        close(9_000, date(2024, 3, 9), won=False),
        close(9_001, date(2024, 3, 9), closed_at=None, won=False),
        close(9_002, date(2026, 1, 9), won=False),  # after as_of
        # first recorded as won, then as lost
        close(9_003, date(2024, 3, 9), recorded_at=datetime(2024, 3, 9, tzinfo=UTC)),
        close(9_003, date(2024, 3, 9), won=False, recorded_at=datetime(2024, 3, 12, tzinfo=UTC)),
    ]
    rows = of(made(deals), "year")
    assert [row["won_deals"] for row in rows] == [
        6 * n for n in (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    ]
    assert rows[2]["closed_deals"] == 6 * 31 + 2
    assert rows[2]["win_rate"] == pytest.approx(186 / 188)
    assert rows[2]["bookings"] == Decimal(18_600)
    assert rows[2]["rhythm_null_reason"] == "not_identifiable"
    assert rows[2]["rhythm_p"] is None
    quarter = of(made(deals), "quarter")
    assert [row["phase_days"] for row in quarter] == [31 + 30 + 31 + 31, 29 + 31 + 31 + 30, 31 + 30 + 30 + 31]
    assert [round(row["bookings_index"], 8) for row in quarter] == [1, 1, 1]  # type: ignore[call-overload]
    assert {row["is_period_found"] for row in quarter} == {False}


def test_money_is_in_reporting_currency_and_a_missing_rate_is_counted(made: Callable[..., Made]) -> None:
    deals = year_of_deals()
    deals += [
        close(9_000, date(2024, 5, 6), currency="EUR"),
        close(9_001, date(2024, 5, 20), currency="EUR"),  # the rate is 14 days old
        close(9_002, date(2024, 5, 6), amount=None),
        close(9_003, date(2024, 5, 6), currency="EUR", list_amount=Decimal(200)),
    ]
    rates = [
        {
            "currency": "EUR",
            "rate_date": date(2024, 5, 6),
            "kind": "daily",
            "rate_to_reporting": Decimal("1.1"),
        }
    ]
    found = made(deals, fx_rates=rates)
    may = of(found, "year")[4]
    assert may["bookings"] == Decimal(18_600) + 2 * Decimal(110)
    assert may["won_deals"] == 190
    assert may["discount_share"] == pytest.approx(0.5)
    assert found.facts["deals_won_without_amount"] == 2


def test_the_fiscal_year_and_the_firms_own_weeks_make_the_phases(
    made: Callable[..., Made], company: Company
) -> None:
    shifted = of(made(year_of_deals(), firm=replace(company, fiscal_start_month=2)), "quarter")
    # January is a third month
    assert shifted[2]["phase_days"] == 31 + 30 + 31 + 31
    first = date(2024, 1, 1)
    weeks = [number for number, length in enumerate((4, 4, 5) * 4, start=1) for _ in range(7 * length)]
    calendar = [
        {"date": first + timedelta(days=i), "fiscal_period": number, "fiscal_year": 2024}
        for i, number in enumerate(weeks)
    ]
    own = of(made(year_of_deals(days=364), fiscal_calendar=calendar), "quarter")
    assert [row["phase_days"] for row in own] == [4 * 28, 4 * 28, 4 * 35]
    # the longer month is no peak
    assert [round(row["bookings_index"], 8) for row in own] == [1, 1, 1]  # type: ignore[call-overload]


def test_a_month_cut_short_is_no_trough(made: Callable[..., Made]) -> None:
    deals = year_of_deals(first=date(2024, 1, 20), days=393)
    found = made(deals)
    assert found.facts["fiscal_months"] == 12  # February 2024 to January 2025
    assert found.facts["deals_in_months_cut_short"] == 6 * (12 + 15)
    assert sum(row["won_deals"] for row in of(found, "year")) == 6 * 366  # type: ignore[misc]


def test_activities_slump_and_last_days(made: Callable[..., Made], company: Company) -> None:
    deals = [
        deal
        for deal in year_of_deals()
        # nothing is sold in the first fortnight of a quarter
        if not (deal["closed_at"].month % 3 == 1 and deal["closed_at"].day <= 14)  # type: ignore[attr-defined]
    ]
    deals += [close(9_000 + i, date(2024, 3, 27), won=False) for i in range(5)]
    calls = [
        {"activity_id": f"t{i}", "rep_id": "r0", "direction": direction, "occurred_at": datetime(2024, month, 9, tzinfo=UTC)}
        for i, (month, direction) in enumerate(
            [(m, "outbound") for m in range(1, 13)] + [(m, "outbound") for m in (3, 6, 9, 12)] * 2 + [(1, "inbound")] * 7
        )
    ]  # fmt: skip
    firm = replace(company, sources=company.sources | {"activities"})
    row = of(made(deals, activities=calls, firm=firm), "quarter")[2]
    assert row["slump_after_period"] == 0
    assert row["phase_activities"] == 12
    # 12 of 20 activities in the last third of their quarters
    assert row["sustained_effort_index"] == pytest.approx((1 / 3) / (12 / 20))
    assert (row["last_days_closed"], row["last_days_win_rate"]) == (125, 120 / 125)
    assert row["other_days_win_rate"] == 1
    assert of(made(deals), "quarter")[2]["phase_activities"] is None


def test_a_small_team_and_what_would_give_it_away_are_hidden(made: Callable[..., Made]) -> None:
    teams = {"A": 6, "B": 3, "C": 7}
    reps = [
        {"rep_id": f"{team}{i}", "team": team, "region": "north" if team != "C" else "south"}
        for team, size in teams.items()
        for i in range(size)
    ]
    deals = [
        close(i, date(2024, 1, 1) + timedelta(days=i // len(reps)), rep=str(reps[i % len(reps)]["rep_id"]))
        for i in range(366 * len(reps))
    ]
    table = made(deals, reps=reps).frame.collect()
    hidden = table.filter("suppressed")
    # B is small; within the north it is the north less A, so A is hidden too
    assert set(hidden.select("dimension", "value").unique().rows()) == {("team", "A"), ("team", "B")}
    assert hidden.select(pl.exclude("dimension", "value", "value_order", "candidate_period", "phase", "suppressed")).null_count().sum_horizontal().item() == len(hidden) * (len(table.columns) - 6)  # fmt: skip
    assert table.filter(pl.col("value") == "south")["bookings"].null_count() == 0


def test_the_order_of_the_rows_changes_nothing(made: Callable[..., Made]) -> None:
    reps: list[Row] = [{"rep_id": f"r{i}", "team": "A", "region": "north"} for i in range(6)]
    deals = year_of_deals()
    one, other = (
        made(d, reps=r).frame.collect() for d, r in ((deals, reps), (deals[::-1], reps[::-1]))
    )  # fmt: skip
    assert_frame_equal(one, other, check_exact=True)
    assert one.schema == TABLES["sales_rhythm"].schema


def test_without_deals_there_is_no_rhythm(made: Callable[..., Made]) -> None:
    assert made([]).frame.collect().is_empty()
    assert made([close(0, date(2024, 5, 17))]).frame.collect().is_empty()
