"""`reconciliation_exceptions`: where the ledger and recomputed pay differ, and why. We explain pay, we don't pay people."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.methods.calendar import list_months
from assets.table import Made, table_asset
from expectations.contracts.quality import RECONCILIATION_EXCEPTIONS

_c = pl.col
_MONEY: Final = pl.Decimal(18, 2)
TOLERANCE: Final = 0.01

_PERIOD: Final = ("rep_id", "period_start")
_SUMMED: Final = (
    "recomputed_amount", "ledger_amount", "earned_amount", "pay_as_known_amount", "spiff_amount", "draw_advanced_amount",
    "draw_recovered_amount", "expected_clawback_amount", "unpaid_amount", "unpaid_late_amount", "repeated_reversal_amount",
    "ledger_adjusted_amount", "ledger_clawback_amount", "ledger_spiff_amount", "ledger_draw_amount",
)  # fmt: skip
_MAY_BE_NULL: Final = ("draw_advanced_amount", "draw_recovered_amount")

# What each cause alone would make of ledger minus recomputed, in the order in which they are asked.
_CAUSES: Final = {
    "reversed_twice": _c("repeated_reversal_amount"),
    "adjusted_by_hand": _c("ledger_adjusted_amount"),
    "clawback_differs": _c("ledger_clawback_amount") - _c("expected_clawback_amount"),
    "late_credit": pl.when(_c("unpaid_late_amount") == _c("unpaid_amount")).then(-_c("unpaid_amount")),
    "unpaid_credit": -_c("unpaid_amount"),
    "paid_as_known": _c("pay_as_known_amount") - _c("earned_amount"),
    "spiff_differs": _c("ledger_spiff_amount") - _c("spiff_amount"),
    "draw_differs": _c("ledger_draw_amount") - (_c("draw_advanced_amount") - _c("draw_recovered_amount")),
}
_ADD_UP: Final = ("adjusted_by_hand", "clawback_differs", "unpaid_credit", "spiff_differs", "draw_differs")


@table_asset(RECONCILIATION_EXCEPTIONS)
def reconciliation_exceptions(rep_periods: pl.LazyFrame, ledger: pl.LazyFrame, company: Company) -> Made:
    """Where the ledger and recomputed pay differ by more than a cent, and why.

    One row per seller and pay period that is over and does not reconcile, and per stretch of entries that lie in no pay period of
    their seller. Ledger entries belong to the quota period that contains their `period_start`. One reason each, of a fixed
    list; `unexplained` where no cause accounts for the difference.

    Without a ledger nothing is reconciled, and there are no rows: `source_coverage` says so.
    """
    if not company.has("ledger"):
        return Made(RECONCILIATION_EXCEPTIONS.empty())
    compared = compare_periods(rep_periods)
    strays = list_strays(rep_periods, ledger)
    rows = (
        pl.concat([list_exceptions(compared), strays], how="diagonal")
        .sort(_PERIOD)
        .select(_c(name).cast(dtype) for name, dtype in RECONCILIATION_EXCEPTIONS.schema.items())
    )
    return Made(
        rows.lazy(),
        {
            "periods_compared": compared.height,
            "periods_that_differ": rows.height - strays.height,
            "periods_unexplained": rows.filter(_c("difference_reason") == "unexplained").height,
            "entries_without_period": int(strays["ledger_entries"].sum()),
        },
    )


def compare_periods(rep_periods: pl.LazyFrame) -> pl.DataFrame:
    """Seller periods that are over, over all plans: the money of `_SUMMED`, `ledger_entries`, what stands against a comparison."""
    sums = [
        pl.when(_c(name).fill_null(0).is_not_null().all() if name in _MAY_BE_NULL else _c(name).is_not_null().all())
        .then(_c(name).sum().cast(_MONEY))
        .alias(name)
        for name in _SUMMED
    ]  # fmt: skip
    return (
        rep_periods.filter("is_complete")
        .group_by(_PERIOD)
        .agg(
            *sums,
            _c("period_end").max(),
            _c("ledger_entries").sum(),
            plan_currency=pl.when(_c("plan_currency").n_unique() == 1).then(_c("plan_currency").first()),
            has_plan=_c("plan_id").is_not_null().any(),
            has_rates=(_c("plan_currency").drop_nulls().n_unique() <= 1)
            & (_c("pay_null_reason") != "no_fx_rate").fill_null(value=True).all(),
        )
        .with_columns(difference_amount=(_c("ledger_amount") - _c("recomputed_amount")).cast(_MONEY))
        .sort(_PERIOD)
        .collect()
    )


def list_exceptions(compared: pl.DataFrame) -> pl.DataFrame:
    """Compared periods whose pay differs by more than a cent, or can't be told, with `difference_reason`."""
    difference = _c("difference_amount")

    def explains(cause: pl.Expr) -> pl.Expr:
        return ((cause != 0) & ((difference - cause).abs() <= TOLERANCE)).fill_null(value=False)

    together = pl.sum_horizontal(_CAUSES[name] for name in _ADD_UP)
    is_empty = _c("ledger_entries") == 0
    reason = pl.coalesce(
        pl.when(~_c("has_plan")).then(pl.lit("no_plan")),
        pl.when(~_c("has_rates") | _c("ledger_amount").is_null()).then(pl.lit("fx")),
        pl.when(_c("recomputed_amount").is_null()).then(pl.lit("no_pay")),
        pl.when(is_empty).then(pl.lit("no_ledger_entry")),
        *(pl.when(explains(cause)).then(pl.lit(name)) for name, cause in _CAUSES.items()),
        pl.when(explains(together) | explains(together + _CAUSES["paid_as_known"])).then(pl.lit("several_causes")),
        # half a cent for every entry that was rounded on its own
        pl.when(difference.abs() <= _c("ledger_entries") * (TOLERANCE / 2)).then(pl.lit("rounding")),
        pl.lit("unexplained"),
    )  # fmt: skip
    # nobody is owed anything, and nothing was booked: no exception, whatever is missing
    is_silent = is_empty & (_c("recomputed_amount").fill_null(0) == 0)
    return compared.filter((difference.abs() > TOLERANCE) | (difference.is_null() & ~is_silent)).with_columns(
        difference_reason=reason
    )


def list_strays(rep_periods: pl.LazyFrame, ledger: pl.LazyFrame) -> pl.DataFrame:
    """Entries that lie in no pay period of their seller, added up by seller and the `period_start` that they state."""
    months = rep_periods.select(
        "rep_id",
        "period_start",
        "period_end",
        month=list_months(_c("period_start"), _c("period_end")),
    ).explode("month", empty_as_null=False)
    stated = ledger.select(
        "entry_id",
        "rep_id",
        "amount",
        "currency",
        stated="period_start",
        month=_c("period_start").dt.month_start(),
    )
    placed = stated.join(months, on=["rep_id", "month"]).filter(
        _c("stated") >= _c("period_start"), _c("stated") < _c("period_end")
    )
    one_currency = _c("currency").n_unique() == 1
    return (
        stated.join(placed.select("entry_id").unique(), on="entry_id", how="anti")
        .group_by("rep_id", period_start="stated")
        .agg(
            ledger_entries=pl.len().cast(pl.Int64),
            ledger_amount=pl.when(one_currency).then(_c("amount").sum().cast(_MONEY)),
            plan_currency=pl.when(one_currency).then(_c("currency").first()),
            difference_reason=pl.lit("entry_without_period"),
        )
        .with_columns(difference_amount="ledger_amount")
        .collect()
    )
