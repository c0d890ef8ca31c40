"""Complaints by group: a day-by-day count in plain Python is the oracle for exposure and expectation."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.company import Company
from assets.evidence.complaint_rates import rate_complaints
from assets.evidence.exposure import UNITS_PER_DAY, name_quarter, number_quarter, slice_exposure
from expectations.contracts import TABLES

OBSERVED = date(2025, 12, 31)
MONTH = Fraction(487, 16)  # 30.4375 days


def deal(number: int, closed: date, account: str = "", **more: object) -> dict[str, object]:
    return {
        "opportunity_id": f"o{number:03d}",
        "account_id": account or f"a{number}",
        "rep_id": f"r{number % 7}",
        "closed_on": closed,
        "observed_until": OBSERVED,
        **more,
    }


def complaint(number: int, deal_number: int | None, day: date, **more: object) -> dict[str, object]:
    return {
        "kind": "complaint",
        "event_id": f"c{number}",
        "opportunity_id": None if deal_number is None else f"o{deal_number:03d}",
        "date": day,
        "category": "service",
        **more,
    }


def quarter_of(day: date) -> str:
    return f"{day.year}-Q{(day.month + 2) // 3}"


def cell(
    table: pl.DataFrame,
    dimension: str = "all",
    value: str = "all",
    category: str = "all",
    period: str = "all",
) -> dict[str, object]:
    found = table.filter(dimension=dimension, value=value, category=category, period=period)
    assert len(found) == 1
    return found.row(0, named=True)


def test_days_are_divided_equally_among_the_active_deals_of_an_account() -> None:
    deals = pl.LazyFrame(
        {
            "deal": [0, 1, 2],
            "account": [0, 0, 1],
            "first_day": [date(2025, 1, 1), date(2025, 1, 11), date(2025, 1, 1)],
            "active_until": [date(2025, 1, 31), date(2025, 1, 21), date(2025, 1, 8)],
            "followed_until": [date(2025, 1, 31), date(2025, 1, 21), date(2025, 1, 8)],
        }
    )
    slices = slice_exposure(deals, 1).group_by("deal").agg(pl.col("day_units").sum()).sort("deal").collect()
    # 30 days alone but for 10 shared; 10 days, all shared; 7 days
    assert (slices["day_units"] / UNITS_PER_DAY).to_list() == [25.0, 5.0, 7.0]


@pytest.mark.parametrize(
    ("day", "start", "name"),
    [(date(2025, 1, 1), 1, "2025-Q1"), (date(2025, 12, 31), 1, "2025-Q4"), (date(2025, 1, 31), 2, "2025-Q4"),
     (date(2025, 2, 1), 2, "2026-Q1"), (date(2024, 6, 30), 7, "2024-Q4"), (date(2024, 7, 1), 7, "2025-Q1")],
)  # fmt: skip
def test_fiscal_quarters_are_named_after_the_year_they_end_in(day: date, start: int, name: str) -> None:
    assert pl.select(name_quarter(number_quarter(pl.lit(day), start))).item() == name


def test_the_exposure_is_that_of_a_day_by_day_count(frame_of, company: Company) -> None:
    rng = np.random.default_rng(5)
    rows, active, followed = [], {}, {}
    for i in range(360):
        closed = date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 720)))
        churned = closed + timedelta(days=int(rng.integers(0, 600))) if rng.random() < 0.4 else None
        churned = churned if churned and churned <= OBSERVED else None  # a later loss is not known yet
        rows.append(
            deal(
                i,
                closed,
                f"a{rng.integers(0, 120)}",
                churned_on=churned,
                segment=["SMB", "Big", None][i % 3],
                emcr_quintile=1 + i % 2,
            )
        )
        last = min(d for d in (churned, OBSERVED) if d)
        active[i] = {closed + timedelta(days=k) for k in range((last - closed).days + 1)}
        followed[i] = {d for d in active[i] if (d - closed).days < 365}
    crowd = Counter((rows[i]["account_id"], d) for i in active for d in active[i])
    events, number = [], 0
    for i in range(360):
        for _ in range(int(rng.integers(0, 4))):
            day = rows[i]["closed_on"] + timedelta(days=int(rng.integers(-5, 500)))
            events.append(complaint(number, i, day, category=["service", "mis_sale"][number % 2]))
            number += 1
    table, facts = rate_complaints(
        frame_of("deal_outcomes", rows), frame_of("customer_events", events), company
    )
    table = table.collect()

    exposure: dict[tuple[str, ...], Fraction] = Counter()
    observed: dict[tuple[str, ...], int] = Counter()
    for i, row in enumerate(rows):
        for d in followed[i]:
            stratum = (row["segment"], (d - row["closed_on"]).days // 90)
            for p in (quarter_of(d), "all"):
                exposure[str(row["emcr_quintile"]), p, *stratum] += Fraction(1, crowd[row["account_id"], d])
    inside = 0
    for e in events:
        i = int(e["opportunity_id"][1:])
        if e["date"] in followed[i]:
            inside += 1
            stratum = (rows[i]["segment"], (e["date"] - rows[i]["closed_on"]).days // 90)
            for p in (quarter_of(e["date"]), "all"):
                observed[str(rows[i]["emcr_quintile"]), p, *stratum] += 1
    assert facts["complaints_outside_exposure"] == len(events) - inside
    shown = 0
    for quintile in ("1", "2"):
        for period in {key[1] for key in exposure}:
            got = cell(table, "emcr_quintile", quintile, "all", period)
            if got["suppressed"]:
                continue
            shown += 1
            months = sum(v for k, v in exposure.items() if k[:2] == (quintile, period)) / MONTH
            count = sum(v for k, v in observed.items() if k[:2] == (quintile, period))
            expected = Fraction(0)
            for (q, p, *stratum), days in exposure.items():
                if (q, p) == (quintile, period):
                    cases, time = (
                        sum(store.get((x, p, *stratum), 0) for x in ("1", "2"))
                        for store in (observed, exposure)
                    )
                    expected += days * Fraction(cases) / time
            assert got["complaints"] == count
            assert got["account_months"] == pytest.approx(float(months), abs=1e-6)
            assert got["rate_per_1000"] == pytest.approx(float(1000 * count / months), rel=1e-6)
            assert got["expected"] == pytest.approx(float(expected), abs=1e-6)
    assert shown >= 6
    both = table.filter(dimension="all", period="all")
    assert (
        both.filter(category="all")["complaints"].item()
        == both.filter(pl.col("category") != "all")["complaints"].sum()
    )


def test_rates_carry_exact_poisson_intervals(frame_of, company: Company) -> None:
    # ten deals of 365 days: 119.918 account-months; five complaints
    rows = [deal(i, date(2024, 1, 1)) for i in range(10)]
    events = [complaint(i, i, date(2024, 3, 1)) for i in range(5)]
    got = cell(
        rate_complaints(frame_of("deal_outcomes", rows), frame_of("customer_events", events), company)[
            0
        ].collect()
    )
    months = 3650 / 30.4375
    assert got["account_months"] == pytest.approx(months)
    limits = [got[c] * months / 1000 for c in ("rate_per_1000_lo", "rate_per_1000", "rate_per_1000_hi")]
    assert [round(x, 4) for x in limits] == [1.6235, 5.0, 11.6683]


def test_ratios_refer_to_the_lowest_band_not_to_the_smallest_rate(frame_of, company: Company) -> None:
    rows = [deal(i, date(2024, 1, 1), emcr_quintile=2 + i % 3, region=f"r{i % 2}") for i in range(60)]
    counts = {2: 4, 3: 1, 4: 6}
    events = [
        complaint(100 * q + k, q - 2 + 3 * k, date(2024, 2, 1)) for q, n in counts.items() for k in range(n)
    ]
    table = rate_complaints(frame_of("deal_outcomes", rows), frame_of("customer_events", events), company)[
        0
    ].collect()
    ratios = [cell(table, "emcr_quintile", q)["ratio_to_lowest"] for q in "234"]
    assert ratios == [1.0, 0.25, 1.5]
    assert table.filter(dimension="region")["ratio_to_lowest"].null_count() == len(
        table.filter(dimension="region")
    )


def test_what_is_left_out_is_counted(frame_of, company: Company) -> None:
    rows = [deal(i, date(2025, 1, 1)) for i in range(20)]
    rows += [
        {**deal(20, date(2025, 1, 1)), "account_id": None},
        deal(21, date(2025, 1, 1), contradicted=True),
    ]
    rows.append(deal(22, date(2025, 1, 1), outcome_null_reason="never_started"))  # never active
    events = [
        complaint(6, 22, date(2025, 2, 1)),
        complaint(0, 0, date(2025, 2, 1)),
        complaint(1, None, date(2025, 2, 1)),
        complaint(2, 1, date(2025, 2, 1), contradicted=True),
        complaint(3, 20, date(2025, 2, 1)),
        complaint(4, 21, date(2025, 2, 1)),
        {**complaint(5, 2, date(2025, 2, 1)), "kind": "refund"},
    ]
    table, facts = rate_complaints(
        frame_of("deal_outcomes", rows), frame_of("customer_events", events), company
    )
    assert facts == {
        "deals_without_account": 1, "deals_contradicted": 1, "complaints_contradicted": 1, "complaints_unattributed": 1,
        "complaints_outside_exposure": 3,
    }  # fmt: skip
    got = cell(table.collect())
    assert (got["complaints"], got["n"]) == (1, 20)


def test_no_complaints_and_no_source_are_different_things(frame_of, company: Company) -> None:
    rows = [deal(i, date(2025, 1, 1)) for i in range(20)]
    outcomes, nothing = frame_of("deal_outcomes", rows), frame_of("customer_events", [])
    got = cell(rate_complaints(outcomes, nothing, company)[0].collect())
    assert (got["complaints"], got["rate_per_1000"]) == (0, 0.0)
    assert got["rate_per_1000_hi"] * got["account_months"] / 1000 == pytest.approx(3.6889, abs=1e-4)
    without = Company(reporting_currency="USD", timezone="UTC", as_of=OBSERVED)
    assert rate_complaints(outcomes, nothing, without)[0].collect().is_empty()


def test_the_table_fits_its_contract_and_row_order_does_not_matter(frame_of, company: Company) -> None:
    contract = TABLES["complaints_by_incentive"]
    rng = np.random.default_rng(9)
    rows = [
        deal(i, date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 700))), f"a{i % 170}", segment=["SMB", "Big"][i % 2], emcr_quintile=1 + i % 5)
        for i in range(300)
    ]  # fmt: skip
    events = [
        complaint(k, int(rng.integers(0, 300)), date(2024, 6, 1) + timedelta(days=int(rng.integers(0, 500))), category=[None, "mis_sale"][k % 2], is_upheld=k % 3 == 0)
        for k in range(200)
    ]  # fmt: skip
    made = [
        rate_complaints(frame_of("deal_outcomes", r), frame_of("customer_events", e), company)[0].collect()
        for r, e in ((rows, events), (rows[::-1], events[::-1]))
    ]
    first = made[0].select(contract.schema.names())
    assert first.schema == contract.schema
    assert_frame_equal(first, made[1].select(first.columns), check_exact=True)
    assert not first.select(pl.any_horizontal(rule.broken for rule in contract.rules).any()).item()
    assert not first.select(contract.key).is_duplicated().any()
    assert set(first["category"]) == {"all", "mis_sale", "unknown"}
    everyone = cell(first)
    assert everyone["expected"] == pytest.approx(everyone["complaints"], abs=1e-6)
    empty = rate_complaints(frame_of("deal_outcomes", []), frame_of("customer_events", []), company)[
        0
    ].collect()
    assert empty.select(first.columns).schema == contract.schema
