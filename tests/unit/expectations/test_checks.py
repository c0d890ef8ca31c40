"""Checks must be able to fail, and must never pass because nothing was looked at."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from expectations.checks import audit, check_contract, check_keys
from expectations.contracts import TABLES
from expectations.dictionary import explain
from expectations.model import Column, Kind, Presence, Rule, Severity, Table
from expectations.results import Result
from expectations.statistics import run_suite
from expectations.suites import SUITES
from expectations.suites.model import Expectation, between, mean_between

HOPS = TABLES["feedback_hops"]
CHURN = TABLES["churn_by_incentive"]


def rows(table: Table, **columns: list[object]) -> pl.LazyFrame:
    """Rows of a table in which only the named columns have values."""
    frame = pl.DataFrame(columns, schema_overrides={n: table.schema[n] for n in columns})
    missing = [pl.lit(None, dtype=t).alias(n) for n, t in table.schema.items() if n not in columns]
    return frame.with_columns(missing).select(table.schema.names()).lazy()


def failed(results: list[Result]) -> dict[str, int]:
    return {r.check: r.failed for r in results if not r.passed}


def test_a_schema_that_differs_is_named_and_nothing_else_is_judged() -> None:
    found = check_contract(HOPS, HOPS.empty().drop("hop"))
    assert [(r.check, r.passed, "hop" in r.detail) for r in found] == [
        ("schema_is_the_declared_one", False, True)
    ]


def test_broken_rows_are_counted_per_sentence() -> None:
    frame = rows(HOPS, feedback_id=["a", None], hop=["captured", "no such hop"], censored=[False, False])
    found = failed(check_contract(HOPS, frame))
    assert found["feedback_id_is_never_null"] == 1
    assert found["hop_is_a_declared_word"] == 1
    assert found["censored_items_have_not_left"] == 2
    assert found["entered_at_is_never_null"] == 2


def test_numbers_that_are_no_numbers_and_out_of_bounds_are_found() -> None:
    frame = rows(CHURN, survival=[0.5, float("nan"), 1.5])
    found = failed(check_contract(CHURN, frame))
    assert found["survival_is_finite"] == 1
    assert found["survival_is_at_most_1"] >= 1


def test_a_key_that_appears_twice_blocks() -> None:
    frame = rows(HOPS, feedback_id=["a", "a", "b"], hop=["captured", "captured", "captured"])
    unique, ordered = check_keys(HOPS, frame)
    assert (unique.passed, unique.failed, unique.blocks) == (False, 1, True)
    assert (ordered.check, ordered.passed) == ("rows_are_sorted_by_key", True)


def test_rows_out_of_order_block() -> None:
    frame = rows(HOPS, feedback_id=["a", "c", "b", "b"], hop=["told_back", "captured", "captured", None])
    unique, ordered = check_keys(HOPS, frame)
    assert (unique.passed, ordered.failed, ordered.blocks) == (True, 2, True)
    assert check_keys(HOPS, frame.sort("feedback_id", "hop"))[1].passed


def test_no_rows_are_no_silent_pass() -> None:
    assert failed(list(audit(HOPS, HOPS.empty(), may_be_empty=False)))["table_has_rows"] == 1


@pytest.mark.parametrize("path", sorted(SUITES))
def test_suites_name_tables_and_columns_that_exist(path: str) -> None:
    table = TABLES[path.split("/")[1]]
    assert table.path == path
    assert {c for e in SUITES[path] for c in e.columns} <= set(table.schema)
    assert len({e.name for e in SUITES[path]}) == len(SUITES[path]) > 0


FULL = rows(CHURN, survival=[0.5] * 39 + [1.5], n=[10] * 40)
EMPTY_COLUMN = rows(CHURN, survival=[0.5] * 40)


@pytest.mark.parametrize(
    ("suite", "frame", "check"),
    [
        ([], FULL, "suite_has_expectations"),
        ([between("b", "no_such_column", 0, 1, "why")], FULL, "suite_names_known_columns"),
        ([between("b", "survival", 0, 1, "why")], FULL, "b"),
        ([between("b", "n", 0, 1, "why")], EMPTY_COLUMN, "b"),
        ([mean_between("m", "n", 0, 100, "why")], EMPTY_COLUMN, "m"),
        ([between("b", "survival", 0, 2, "why")], CHURN.empty(), "suite_was_evaluated"),
    ],
    ids=["empty suite", "unknown column", "value out of bounds", "all null", "mean of nothing", "no rows"],
)
def test_vacuous_and_broken_suites_fail(suite: list[Expectation], frame: pl.LazyFrame, check: str) -> None:
    assert check in failed(run_suite(CHURN, suite, frame))


@pytest.mark.parametrize(
    ("table", "column", "good", "bad", "check"),
    [
        ("rep_periods", "attainment", 0.9, 900.0, "attainment_is_plausible"),
        ("rep_periods", "unpriced_deals", 0, 1, "most_credits_have_a_price"),
        ("clawbacks", "booked_amount", Decimal(-5), Decimal(5), "clawbacks_take_pay_back"),
    ],
)
def test_suites_on_pay_catch_what_they_name(
    table: str, column: str, good: object, bad: object, check: str
) -> None:
    contract = TABLES[table]
    suite = [e for e in SUITES[contract.path] if e.name == check]
    assert check not in failed(run_suite(contract, suite, rows(contract, **{column: [good] * 40})))
    assert check in failed(run_suite(contract, suite, rows(contract, **{column: [bad] * 40})))


VOICE = ("customer_distance", "unmet_needs", "market_shifts", "selling_style", "lead_lags")
VOICE_DEFECTS: list[tuple[str, str, list[object], list[object], str]] = [
    ("customer_distance", "distance_max", [5], [51], "nobody_is_fifty_managers_from_the_board"),
    ("customer_distance", "placed_share", [0.9], [0.2], "most_customers_have_an_owner_with_a_path"),
    ("customer_distance", "executive_touch_share", [0.1], [1.0], "executives_do_not_make_every_contact"),
    ("unmet_needs", "dimension", ["all", "segment"], ["all", "all"], "needs_are_shown_by_group"),
    ("unmet_needs", "seller_capture_rate", [0.4], [1.0], "sellers_hear_some_and_not_all"),
    ("unmet_needs", "met_365d", [0.3], [1.0], "not_every_need_is_met"),
    ("market_shifts", "is_shift", [False, False, True], [True, True, False], "most_themes_do_not_shift"),
    ("market_shifts", "weeks", [156], [30_000], "themes_are_watched_less_than_a_lifetime"),
    ("market_shifts", "seen_days", [40], [700_000], "a_shift_is_seen_within_a_lifetime"),
    ("selling_style", "outbound_pressure", [0.6], [1.0], "not_every_contact_is_pressed_on_the_customer"),
    ("selling_style", "calls_per_account_month", [2.0], [900.0], "nobody_calls_a_customer_all_day"),
    ("selling_style", "needs_per_deal", [0.4], [400.0], "sellers_do_not_write_down_hundreds_of_needs_a_deal"),
    (
        "selling_style",
        "style_composite",
        [0.5, -0.5],
        [0.5, 12.0],
        "no_team_is_ten_deviations_from_the_others",
    ),
    (
        "lead_lags",
        "leading_series",
        ["emcr_mean", "churn_rate"],
        ["emcr_mean"],
        "more_than_one_series_is_followed",
    ),
    ("lead_lags", "estimate", [0.2, -0.2], [0.2, -80.0], "no_lead_is_fifty_deviations"),
]


@pytest.mark.parametrize(("table", "column", "good", "bad", "check"), VOICE_DEFECTS)
def test_suites_on_the_voice_catch_what_they_name(
    table: str, column: str, good: list[object], bad: list[object], check: str
) -> None:
    contract = TABLES[table]
    suite = [e for e in SUITES[contract.path] if e.name == check]
    for values, catches in ((good, False), (bad, True)):
        found = run_suite(contract, suite, rows(contract, **{column: values * 40}))
        assert [r.evaluated for r in found] == [40 * len(values)]
        assert (check in failed(found)) == catches


@pytest.mark.parametrize("table", VOICE)
def test_every_expectation_on_the_voice_has_a_defect_and_none_passes_on_nothing(table: str) -> None:
    contract = TABLES[table]
    named = {check for name, *_, check in VOICE_DEFECTS if name == table}
    assert named == {e.name for e in SUITES[contract.path]}
    nothing = rows(contract, suppressed=[None] * 40)
    judged = {r.check: r for r in run_suite(contract, SUITES[contract.path], nothing)}
    for expectation in SUITES[contract.path]:
        result = judged[expectation.name]
        # a source may be absent; what every firm has may not be empty
        assert result.passed == expectation.optional


def test_a_suite_that_holds_passes_and_counts_what_it_looked_at() -> None:
    (result,) = run_suite(CHURN, [between("b", "survival", 0, 2, "why")], FULL)
    assert (result.passed, result.evaluated, result.failed) == (True, 40, 0)


def test_an_expectation_that_does_not_exist_is_an_error_of_the_program() -> None:
    with pytest.raises(AttributeError):
        run_suite(CHURN, [Expectation("x", "ExpectNoSuchThing", ("survival",), "why")], FULL)


def test_declarations_are_validated() -> None:
    with pytest.raises(ValueError, match="full stop"):
        Column("a", Kind.ID, "no stop")
    with pytest.raises(ValueError, match="why"):
        Rule("a", pl.col("a") > 0, "")
    with pytest.raises(ValueError, match="unknown columns"):
        Table(HOPS.layer, "t", "T.", "g", ("nothing",), HOPS.columns, query="q", do_not="d")
    with pytest.raises(ValueError, match="guess"):
        between("b", "n", 0, 1, "")


def test_every_derived_fact_follows_the_contract() -> None:
    for table in TABLES.values():
        assert table.schema == pl.Schema({c.name: c.dtype for c in table.stored})
        assert all(table.by_name[k].presence is Presence.REQUIRED or table.path for k in table.key)
        assert all(r.severity in Severity for r in table.rules)
        assert table.title in explain(table.name)
    with pytest.raises(KeyError, match="deal_outcomes"):
        explain("deal_outcome")
