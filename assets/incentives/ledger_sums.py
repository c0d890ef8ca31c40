"""What the ledger says was paid, brought to the pay period it belongs to and into the plan's currency.

The ledger is append-only: a correction is a further entry, so a period's pay is the sum of its entries, whatever their
kind and whether they reverse others.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.incentives.exchange import Exchange
from assets.incentives.seller_periods import SPAN
from assets.methods.calendar import list_months

_c = pl.col

KINDS: Final = {
    "earned": ("earn",),
    "adjusted": ("adjust", "true_up", "bonus"),
    "clawback": ("clawback",),
    "spiff": ("spiff",),
    "draw": ("draw_advance", "draw_recover"),
}
"""Columns `ledger_<name>_amount` and the entry types that they add up; what nobody can recompute is `adjusted`."""


def place_entries(
    ledger: pl.LazyFrame,
    spans: pl.DataFrame,
    plan_of_credit: pl.LazyFrame,
    exchange: Exchange,
    company: Company,
) -> pl.LazyFrame:
    """Give every entry the seller's pay period that contains its `period_start`, and its amount in plan currency.

    Of several plans in that period the entry belongs to that of its credit, else to the last by name.

    Args:
        ledger: core/ledger.
        spans: `SPAN`, `period_end`, `plan_currency`, `fx_policy`.
        plan_of_credit: `credit_id`, `credit_plan_id`.
        exchange: the firm's rates; the day is that of booking.
        company: time zone of that day.

    Returns:
        The entries' columns, one row each, in any order; `period_start` is now the pay period's (null: the seller has no
        such period) beside `stated_period_start`; `plan_id`, `plan_currency`; `plan_amount` Decimal(18,2) (null: no rate);
        `is_repeated_reversal`: an earlier entry reverses the same one.
    """
    months = spans.lazy().with_columns(month=list_months(_c("period_start"), _c("period_end")))
    entries = ledger.rename({"period_start": "stated_period_start"}).with_columns(
        month=_c("stated_period_start").dt.month_start(),
        on=_c("booked_at").dt.convert_time_zone(company.timezone).dt.date(),
        is_repeated_reversal=_c("reverses_entry_id").is_not_null()
        & (pl.int_range(pl.len()).over("reverses_entry_id", order_by=["booked_at", "entry_id"]) > 0),
    )
    matches = (
        entries.select("entry_id", "rep_id", "month", "stated_period_start", "credit_id")
        .join(months.explode("month", empty_as_null=False), on=["rep_id", "month"])
        .filter(_c("stated_period_start") >= _c("period_start"), _c("stated_period_start") < _c("period_end"))
        .join(plan_of_credit, on="credit_id", how="left")
        .with_columns(is_credits=(_c("plan_id") == _c("credit_plan_id")).fill_null(value=False))
        .sort("entry_id", "is_credits", "period_start", "plan_id", nulls_last=False)
        .group_by("entry_id", maintain_order=True)
        .agg(_c("plan_id", "period_start", "plan_currency", "fx_policy").last())
    )
    placed = entries.drop("month").join(matches, on="entry_id", how="left")
    # entries of nobody's period, or of a seller without a plan, keep their own currency
    priced = exchange.convert(
        placed.with_columns(plan_amount=_c("amount"), plan_currency=pl.coalesce("plan_currency", "currency")),
        "plan_amount",
        currency="currency",
    )
    return priced.drop("on", "fx_policy")


def sum_entries(placed: pl.LazyFrame) -> pl.DataFrame:
    """Ledger money per seller's pay period.

    Returns:
        One row per `SPAN` that has entries: `ledger_entries`, `ledger_amount` (all entries), `ledger_<kind>_amount` of `KINDS`,
        `repeated_reversal_amount`; money Decimal(18,2), null where an entry has no exchange rate. `last_earned_at`: newest
        booking of an `earn` entry.
    """
    known = _c("plan_amount").is_not_null().all()

    def total(rows: pl.Expr) -> pl.Expr:
        return pl.when(known).then(_c("plan_amount").filter(rows).sum().cast(pl.Decimal(18, 2)))

    kinds = {
        f"ledger_{name}_amount": total(_c("entry_type").is_in(list(types))) for name, types in KINDS.items()
    }
    return (
        placed.filter(_c("period_start").is_not_null())
        .group_by(SPAN)
        .agg(
            ledger_entries=pl.len().cast(pl.Int64),
            ledger_amount=total(pl.lit(value=True)),
            **kinds,
            repeated_reversal_amount=total(_c("is_repeated_reversal")),
            last_earned_at=_c("booked_at").filter(_c("entry_type") == "earn").max(),
        )
        .sort(SPAN)
        .collect()
    )


def sum_by_credit(placed: pl.LazyFrame) -> pl.LazyFrame:
    """What was paid for each credit when it was earned: `credit_id`, `paid_amount` (null: an entry has no rate)."""
    return (
        placed.filter(_c("entry_type") == "earn", _c("credit_id").is_not_null())
        .group_by("credit_id")
        .agg(
            paid_amount=pl.when(_c("plan_amount").is_not_null().all()).then(
                _c("plan_amount").sum().cast(pl.Decimal(18, 2))
            )
        )
    )
