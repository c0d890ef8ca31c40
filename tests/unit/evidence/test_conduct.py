"""Conduct indicators: what is counted, what is expected, and what a flag may say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from assets.company import Company
from assets.evidence.conduct import INDICATORS, count_events, describe_cases, expect_events
from assets.evidence.conduct_indicators import conduct_indicators, judge_counts
from expectations.columns.evidence import INDICATORS as WORDS
from expectations.contracts import TABLES

CONTRACT = TABLES["conduct_indicators"]
UPSTREAM = (
    "deal_outcomes", "deal_incentives", "opportunities", "customer_events", "complaints", "subscriptions", "quality_reviews",
    "credits", "ledger",
)  # fmt: skip
CLOSE = date(2024, 2, 10)
SOURCES = frozenset({"complaints", "subscriptions", "subscription_events", "ledger", "quality_reviews"})


@pytest.fixture
def firm(company: Company) -> Company:
    return replace(company, sources=SOURCES, columns={"complaints": frozenset({"escalated_at"})})


def deal(number: int, rep: str, **more: object) -> dict[str, object]:
    return {
        "opportunity_id": f"o{number}", "account_id": f"a{number}", "rep_id": rep, "product_id": "P", "segment": "SMB", "closed_on": CLOSE,
        "clock_start_on": CLOSE, "observed_until": date(2025, 12, 31), "cohort_quarter": "2024-Q1", "mature_90d": True, "mature_180d": True,
        "churned_180d": False, "complaints_180d": 0, "started_90d": True, "clawed_back_180d": False, **more,
    }  # fmt: skip


@pytest.fixture
def make(frame_of, firm):
    def build(deals, company: Company = firm, **tables) -> pl.DataFrame:
        frames = {name: frame_of(name, tables.get(name, [])) for name in UPSTREAM if name != "deal_outcomes"}
        made = conduct_indicators(deal_outcomes=frame_of("deal_outcomes", deals), **frames, company=company)
        table = made.collect()
        assert table.schema == CONTRACT.schema
        assert not table.select(pl.any_horizontal(rule.broken for rule in CONTRACT.rules).any()).item()
        assert not table.select(CONTRACT.key).is_duplicated().any()
        return table

    return build


def row(table: pl.DataFrame, indicator: str, rep: str, period: str = "all") -> dict[str, object]:
    found = table.filter(
        (pl.col("indicator") == indicator) & (pl.col("rep_id") == rep) & (pl.col("period") == period)
    )
    assert len(found) == 1, (indicator, rep, period, len(found))
    return found.row(0, named=True)


def test_every_indicator_is_a_word_of_the_contract() -> None:
    assert {i.name for i in INDICATORS} <= set(WORDS)
    assert CONTRACT.audience.value == "restricted"


def test_expected_is_everybodys_rate_in_the_same_quarter_and_segment(make) -> None:
    """Twelve of A's twenty SMB customers are lost and none of B's twenty; among Big, one of B's ten."""
    deals = [deal(i, "A", churned_180d=i < 12) for i in range(20)]
    deals += [deal(20 + i, "B") for i in range(20)]
    deals += [deal(40 + i, "B", segment="Big", churned_180d=i == 0) for i in range(10)]
    table = make(deals)
    a, b = (row(table, "cancellations", rep) for rep in "AB")
    assert (a["observed"], a["cases"], a["indicator_value"], a["expected_events"]) == (
        12,
        20,
        0.6,
        20 * 12 / 40,
    )
    assert (b["observed"], b["expected_events"]) == (1, 20 * 12 / 40 + 10 * 1 / 10)
    assert a["ratio_to_expected"] == 2.0
    assert a["excess_p"] == pytest.approx(stats.poisson.sf(11, 6), abs=1e-8)
    assert row(table, "cancellations", "A", "2024-Q1")["observed"] == 12


def test_immature_and_unknown_deals_are_no_cases(make) -> None:
    deals = [deal(i, "A") for i in range(5)] + [
        deal(9, "A", mature_180d=False, churned_180d=None, complaints_180d=None)
    ]
    table = make(deals)
    assert row(table, "cancellations", "A")["cases"] == 5
    assert (
        row(table, "closing_spikes", "A")["cases"] == 0
        if len(table.filter(pl.col("indicator") == "closing_spikes"))
        else True
    )
    assert table.filter(pl.col("indicator") == "failed_reviews").is_empty()


def test_a_cancellation_counts_in_the_cooling_off_days_only(make) -> None:
    inside, outside = CLOSE + timedelta(days=14), CLOSE + timedelta(days=15)
    deals = [
        deal(0, "A", churned_on=inside),
        deal(1, "A", churned_on=outside),
        deal(2, "A"),
        deal(3, "A", closed_on=date(2025, 12, 20)),
    ]
    asked = [
        {
            "kind": "cancel_request",
            "event_id": "e",
            "opportunity_id": "o2",
            "date": inside,
            "contradicted": False,
        }
    ]
    got = row(make(deals, customer_events=asked), "cooling_off_cancellations", "A")
    assert (got["observed"], got["cases"]) == (2, 3)


def test_never_activated_follows_the_kind_of_churn(make, firm) -> None:
    assert row(make([deal(0, "A", started_90d=False), deal(1, "A")]), "never_activated", "A")["observed"] == 1
    from assets.company import Churn

    silent = replace(firm, churn=Churn("inactivity", 90))
    table = make(
        [deal(0, "A", days_to_churn=90, started_90d=None), deal(1, "A", days_to_churn=200, started_90d=None)],
        silent,
    )
    got = row(table, "never_activated", "A")
    assert (got["observed"], got["cases"]) == (1, 2)


def test_losses_without_clawback_are_among_losses(make) -> None:
    deals = [deal(i, "A", churned_180d=i < 4, clawed_back_180d=i == 0) for i in range(10)]
    got = row(make(deals), "losses_without_clawback", "A")
    assert (got["observed"], got["cases"]) == (3, 4)


def test_vulnerable_customers_are_held_against_the_others(make) -> None:
    """Others are lost at 1 in 10: of five vulnerable customers half a loss is expected, three are seen."""
    deals = [deal(i, "A", is_vulnerable=False, churned_180d=i == 0) for i in range(10)]
    deals += [deal(10 + i, "A", is_vulnerable=True, churned_180d=i < 3) for i in range(5)]
    got = row(make(deals), "vulnerable_cancellations", "A")
    assert (got["observed"], got["cases"], got["expected_events"]) == (3, 5, 0.5)


def test_replacements_lie_across_a_period_end(make) -> None:
    deals = [
        deal(i, "A", account_id="a", closed_on=day)
        for i, day in enumerate([date(2024, 4, 3), date(2024, 6, 20), date(2024, 2, 20)])
    ]
    periods = [
        {
            "opportunity_id": f"o{i}",
            "rep_id": "A",
            "component": "commission",
            "credit_type": "primary",
            "period_start": start,
            "period_end": end,
        }
        for i, (start, end) in enumerate(
            [
                (date(2024, 4, 1), date(2024, 7, 1)),
                (date(2024, 4, 1), date(2024, 7, 1)),
                (date(2024, 1, 1), date(2024, 4, 1)),
            ]
        )
    ]
    lines = [
        {
            "subscription_id": "s",
            "account_id": "a",
            "product_id": "P",
            "opportunity_id": "old",
            "ended_at": datetime(2024, 3, 20, tzinfo=UTC),
        },
        {
            "subscription_id": "t",
            "account_id": "a",
            "product_id": "P",
            "opportunity_id": "old",
            "ended_at": datetime(2024, 6, 10, tzinfo=UTC),
        },
    ]
    # o0: 14 days after an end in the quarter before; o1: its neighbour ended in its own quarter; o2: in its own quarter too
    got = row(make(deals, deal_incentives=periods, subscriptions=lines), "replacements", "A")
    assert (got["observed"], got["cases"]) == (1, 3)


def test_escalated_complaints_count_within_180_days(make) -> None:
    days = {
        "c1": CLOSE + timedelta(days=30),
        "c2": CLOSE + timedelta(days=30),
        "c3": CLOSE + timedelta(days=181),
    }
    events = [
        {"kind": "complaint", "event_id": c, "opportunity_id": "o0", "date": d, "contradicted": False}
        for c, d in days.items()
    ]
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    said = [{"complaint_id": c, "escalated_at": moment if c != "c2" else None} for c in days]
    got = row(make([deal(0, "A")], customer_events=events, complaints=said), "escalated_complaints", "A")
    assert got["observed"] == 1


def test_reviews_come_from_their_own_source(make) -> None:
    reviews = [
        {
            "review_id": f"q{i}",
            "rep_id": "A",
            "reviewed_at": datetime(2024, 5, 1, tzinfo=UTC),
            "passed": i > 2,
        }
        for i in range(10)
    ]
    got = row(make([deal(0, "A")], quality_reviews=reviews), "failed_reviews", "A", "2024-Q2")
    assert (got["observed"], got["cases"]) == (3, 10)


def test_the_product_sold_beyond_everybodys_mix(make) -> None:
    deals = [deal(i, "A", product_id="X" if i < 8 else "Y") for i in range(10)]
    deals += [deal(10 + i, "B", product_id="X" if i < 2 else "Y") for i in range(10)]
    got = row(make(deals), "product_skew", "A")
    assert (got["observed"], got["cases"], got["expected_events"]) == (8, 10, 5.0)
    assert got["excess_p"] == pytest.approx(
        2 * stats.poisson.sf(7, 5), abs=1e-8
    )  # the worse of two products was picked


def test_money_is_described_and_never_flagged(make) -> None:
    pay = {
        "component": "commission",
        "credit_type": "primary",
        "rate_to_reporting": "1",
        "deal_amount": "1000.00",
    }
    incentives = [
        {**pay, "opportunity_id": "o0", "rep_id": "A", "added_pay_amount": "100.00"}, {**pay, "opportunity_id": "o1", "rep_id": "B", "added_pay_amount": "50.00"},
        {**pay, "opportunity_id": "o0", "rep_id": "M", "credit_type": "manager", "added_pay_amount": "20.00"},
    ]  # fmt: skip
    booked = datetime(2024, 2, 11, tzinfo=UTC)
    ledger = [
        {
            "entry_id": f"l{i}",
            "rep_id": "A",
            "credit_id": "c",
            "entry_type": "earn",
            "amount": amount,
            "paid_at": paid,
            "booked_at": booked,
        }
        for i, (amount, paid) in enumerate(
            [("75.00", datetime(2024, 5, 9, tzinfo=UTC)), ("25.00", datetime(2024, 5, 10, tzinfo=UTC))]
        )
    ]
    # CLOSE + 90 days is 10 May: what is paid the day before was paid in the dark
    table = make(
        [deal(0, "A"), deal(1, "B")],
        deal_incentives=cast(incentives),
        ledger=cast(ledger),
        credits=[{"credit_id": "c", "opportunity_id": "o0"}],
    )
    early = row(table, "paid_before_outcome", "A")
    assert (early["observed"], early["cases"], early["indicator_value"]) == (75.0, 100.0, 0.75)
    assert row(table, "manager_incentive", "A")["indicator_value"] == 0.02
    assert [row(table, "payout_percentile", rep)["indicator_value"] for rep in "AB"] == [1.0, 0.5]
    assert not early["is_flagged"]
    assert early["reviews"] == "described, not judged"


def cast(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    from decimal import Decimal

    money = ("amount", "deal_amount", "added_pay_amount", "rate_to_reporting")
    return [{k: Decimal(str(v)) if k in money else v for k, v in r.items()} for r in rows]


def crowd(seed: int, *, bad: int = 0) -> pl.DataFrame:
    """Eighty sellers alike, some of them three times as bad."""
    rng = np.random.default_rng(seed)
    rates = np.where(np.arange(80) < bad, 3.0, 1.0)
    expected = rng.uniform(4, 12, 80)
    return pl.DataFrame(
        {"indicator": "complaints", "rep_id": [f"r{i:02d}" for i in range(80)], "period": "all", "observed": rng.poisson(rates * expected),
         "cases": 100, "expected": expected, "tests": 1}
    )  # fmt: skip


NO_MONEY = pl.DataFrame(schema={"indicator": pl.String, "rep_id": pl.String, "period": pl.String})


def test_flags_are_few_where_sellers_are_alike_and_find_those_that_are_not() -> None:
    false = sum(judge_counts(crowd(seed), NO_MONEY)["is_flagged"].sum() for seed in range(40))
    assert false <= 4  # a flag among sellers that are all alike: in at most one firm of twenty
    found = [judge_counts(crowd(seed, bad=5), NO_MONEY) for seed in range(20)]
    hits = sum(t.filter(pl.col("rep_id") < "r05")["is_flagged"].sum() for t in found)
    wrong = sum(t.filter(pl.col("rep_id") >= "r05")["is_flagged"].sum() for t in found)
    assert hits >= 60
    assert wrong <= 0.1 * hits


def test_a_flag_starts_at_the_count_it_says() -> None:
    table = judge_counts(crowd(1, bad=5), NO_MONEY)
    assert table.filter("is_flagged").select((pl.col("observed") >= pl.col("flagged_from")).all()).item()
    assert (
        table.filter(~pl.col("is_flagged")).select((pl.col("observed") < pl.col("flagged_from")).all()).item()
    )
    short = table["flagged_from"] - table["observed"]
    assert table["sellers_just_below"].unique().to_list() == [int((short == 1).sum())]
    assert table["sellers_just_above"].unique().to_list() == [int(((short <= 0) & (short >= -1)).sum())]


def test_the_shrunken_ratio_is_the_gamma_posterior() -> None:
    from assets.methods.rates import fit_gamma_prior

    counts = crowd(2, bad=8)
    prior = fit_gamma_prior(counts["observed"].to_numpy(), counts["expected"].to_numpy())
    assert prior is not None
    table = judge_counts(counts, NO_MONEY)
    posterior = stats.gamma(
        prior.alpha + counts["observed"].to_numpy(), scale=1 / (prior.beta + counts["expected"].to_numpy())
    )
    assert table["shrunken_ratio"].to_numpy() == pytest.approx(posterior.mean(), abs=1e-7)
    assert table["chance_above_1_5"].to_numpy() == pytest.approx(posterior.sf(1.5), abs=1e-7)


def test_words_never_judge_a_person(make) -> None:
    deals = [deal(i, f"r{i % 20}", churned_180d=i % 20 == 0) for i in range(400)]
    table = make(deals)
    assert table.filter("is_flagged")["rep_id"].unique().to_list() == ["r0"]
    assert set(table["reviews"]) <= {"investigate", "nothing unusual", "described, not judged"}


def test_row_order_moves_nothing(make) -> None:
    rng = np.random.default_rng(5)
    deals = [
        deal(
            i,
            f"r{rng.integers(0, 9)}",
            churned_180d=bool(rng.random() < 0.2),
            segment=["SMB", "Big", None][i % 3],
            product_id=f"P{rng.integers(0, 4)}",
        )
        for i in range(300)
    ]
    assert_frame_equal(make(deals), make(deals[::-1]), check_exact=True)


def test_an_empty_firm_has_no_rows(make) -> None:
    assert make([]).is_empty()


def test_counts_add_up_to_all_deals(frame_of, firm) -> None:
    deals = frame_of(
        "deal_outcomes",
        [deal(i, f"r{i % 3}", churned_180d=i % 7 == 0, segment=["SMB", None][i % 2]) for i in range(60)],
    )
    frames = {name: frame_of(name, []) for name in UPSTREAM[1:6]}
    counts = count_events(describe_cases(deal_outcomes=deals, **frames, company=firm))
    expected = expect_events(counts).filter(
        (pl.col("indicator") == "cancellations") & (pl.col("period") == "all")
    )
    assert expected.select(pl.col("observed", "cases").sum()).row(0) == (9, 60)
    assert expected["expected"].sum() == pytest.approx(9)
