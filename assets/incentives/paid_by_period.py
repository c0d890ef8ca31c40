"""What becomes of earned pay, per seller and pay period: draws, the salary beside it, and what the ledger booked."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.ledger_sums import KINDS, sum_by_credit, sum_entries
from assets.incentives.pay_books import PayBooks, sum_if_all
from assets.incentives.pricing import GRAIN
from assets.incentives.seller_periods import SPAN
from assets.methods.settlement import settle_draws
from expectations.contracts.pay import REP_PERIODS

_c = pl.col
_MONEY: Final = pl.Decimal(18, 2)
_ZERO: Final = pl.lit(0, dtype=_MONEY)
_DAYS_A_YEAR: Final = 365.25


def add_draws(rows: pl.DataFrame, books: PayBooks) -> pl.DataFrame:
    """Settle recoverable draws over the periods that are over, in order; after a period without pay the balance is unknown."""
    agreed = books.segments.group_by(SPAN, maintain_order=True).agg(
        draw_amount=pl.when(_c("draw").is_not_null().any()).then(_c("draw").sum().cast(_MONEY)),
        draw_kind=_c("draw_kind").drop_nulls().last(),
    )
    rows = rows.join(agreed, on=SPAN, how="left", nulls_equal=True)
    by = ["rep_id", "plan_currency"]
    drawing = rows.filter("is_complete", (_c("draw_kind") == "recoverable").any().over(by)).sort(
        *by, "period_start"
    )
    lost = _c("earned_amount").is_null().cum_max().over(by)
    settled = settle_draws(
        drawing.with_columns(is_lost=lost)
        .filter(~_c("is_lost"))
        .select(*SPAN, "plan_currency", "earned_amount", "draw_kind", draw="draw_amount")
        .lazy(),
        by,
    ).collect()
    paid = settled.select(
        *SPAN,
        draw_advanced_amount=(_c("pay_amount") - _c("earned_amount") + _c("recovered_amount")).cast(_MONEY),
        draw_recovered_amount="recovered_amount",
        draw_balance_amount="draw_balance",
    )
    is_paid_by_draw = (_c("draw_kind") == "non_recoverable").fill_null(value=False)
    return rows.join(paid, on=SPAN, how="left", nulls_equal=True).with_columns(
        # a non-recoverable draw is a floor, and part of what is earned
        draw_advanced_amount=pl.when(~is_paid_by_draw).then("draw_advanced_amount")
    )


def add_variable_share(rows: pl.DataFrame, books: PayBooks) -> pl.DataFrame:
    """Variable pay over variable pay and salary of the days employed in the period, in plan currency.

    The salary is converted at the rate of the period's last day, or of the day of the run. A missing share of full time is
    full time; a missing salary is not 0.
    """
    company = books.tables.company
    people = books.tables.reps.select(
        "rep_id", "base_salary", "fte", "hired_on", "left_on", salary_currency="currency"
    ).collect()
    start = pl.max_horizontal("period_start", "hired_on")
    end = pl.min_horizontal("period_end", _c("left_on") + pl.duration(days=1))
    employed = (end - start).dt.total_days().clip(lower_bound=0)
    salary = (
        _c("base_salary").cast(pl.Float64)
        * _c("fte").cast(pl.Float64).fill_null(1.0)
        * employed
        / _DAYS_A_YEAR
    ).round(2)
    paid = rows.join(people, on="rep_id", how="left").with_columns(
        salary=salary.cast(_MONEY),
        policy=pl.lit("booking"),
        day=pl.min_horizontal(_c("period_end") - pl.duration(days=1), pl.lit(company.as_of)),
    )
    converted = books.exchange.convert(
        paid.select(*SPAN, "salary", "salary_currency", "plan_currency", "day", "policy").lazy(),
        "salary",
        currency="salary_currency",
        day="day",
        policy="policy",
    ).select(*SPAN, "salary")
    variable = (_c("earned_amount") + _c("spiff_amount")).cast(pl.Float64)
    total = variable + _c("salary").cast(pl.Float64)
    return rows.join(converted.collect(), on=SPAN, how="left", nulls_equal=True).with_columns(
        variable_pay_share=pl.when(_c("is_complete"), total > 0, variable >= 0)
        .then(variable / total)
        .round(8)
    )


def sum_ledger(books: PayBooks, ledger: pl.LazyFrame, clawbacks: pl.LazyFrame) -> pl.DataFrame:
    """The ledger per `SPAN`, what it should have taken back, and credits it has not paid; all null without a ledger."""
    columns = [
        "ledger_entries", "ledger_amount", *(f"ledger_{name}_amount" for name in KINDS), "repeated_reversal_amount",
        "expected_clawback_amount", "unpaid_amount", "unpaid_late_amount",
    ]  # fmt: skip
    if not books.tables.company.has("ledger"):
        return books.spans.select(SPAN).with_columns(
            pl.lit(None, dtype=REP_PERIODS.schema[name]).alias(name) for name in columns
        )
    placed = books.place_ledger(ledger).collect().lazy()
    sums = sum_entries(placed)
    taken = clawbacks.select("entry_id", expected=pl.coalesce("expected_amount", "booked_amount"))
    expected = (
        placed.filter(_c("period_start").is_not_null())
        .join(taken, on="entry_id")
        .group_by(SPAN)
        .agg(expected_clawback_amount=sum_if_all("expected"))
        .collect()
    )
    part = [*GRAIN, "period_start"]
    paid = books.number_credits().select("credit_id", *part).join(sum_by_credit(placed), on="credit_id")
    zone = books.tables.company.timezone
    is_late = _c("credit_recorded_at").dt.convert_time_zone(zone).dt.date() >= _c("period_end")
    unpaid = (
        books.credits.lazy()
        .filter(_c("period_start").is_not_null())
        .join(paid.select(part).unique(), on=part, how="anti")
        .group_by(SPAN)
        .agg(
            unpaid_amount=sum_if_all("added_pay_amount_final"),
            unpaid_late_amount=_c("added_pay_amount_final").filter(is_late).sum().cast(_MONEY),
        )
        .collect()
    )
    # a ledger that names no credit pays whole periods, not deals
    names_credits = placed.filter(_c("entry_type") == "earn", _c("credit_id").is_not_null()).select(pl.len())
    has_names = names_credits.collect().item() > 0
    amounts = [name for name in columns if name != "ledger_entries"]
    no_entries = _c("ledger_entries").is_null()
    return (
        books.spans.select(SPAN)
        .join(sums, on=SPAN, how="left", nulls_equal=True)
        .join(expected, on=SPAN, how="left", nulls_equal=True)
        .join(unpaid, on=SPAN, how="left", nulls_equal=True)
        .with_columns(
            expected_clawback_amount=_c("expected_clawback_amount").fill_null(_ZERO),
            unpaid_amount=_c("unpaid_amount").fill_null(pl.when(_c("unpaid_late_amount").is_null()).then(_ZERO)) if has_names else _ZERO,
            unpaid_late_amount=_c("unpaid_late_amount").fill_null(_ZERO) if has_names else _ZERO,
        )
        .with_columns(pl.when(no_entries).then(pl.coalesce(name, _ZERO)).otherwise(name).alias(name) for name in amounts)
        .with_columns(_c("ledger_entries").fill_null(0))
        .select(*SPAN, *columns)
    )  # fmt: skip
