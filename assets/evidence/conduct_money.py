"""Conduct indicators that are money, not counts: who is paid most, how soon, and what the manager gets out of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from assets.core.deals import newest
from assets.evidence.conduct import CELL, OUTCOME_DAYS
from assets.evidence.dimensions import ALL

_c = pl.col
_PAID: Final = ("earn", "spiff", "bonus")


def measure_money(
    deal_outcomes: pl.LazyFrame, deal_incentives: pl.LazyFrame, credits: pl.LazyFrame, ledger: pl.LazyFrame  # noqa: A002
) -> pl.DataFrame:  # fmt: skip
    """Shares of money by seller and period.

    Returns:
        One row per indicator, seller and `period` (fiscal quarter of the close, or `all`): `observed`, `cases` (money,
        Float64 of whole cents) and `indicator_value`. `payout_percentile`: share of the sellers paid in the period who earned no
        more (`observed` their pay); `paid_before_outcome`: share of commission paid before the deal's 90-day outcome could be known, of deals that old;
        `manager_incentive`: what managers earned on the seller's deals per money of those deals.
    """
    quarters = deal_outcomes.select("opportunity_id", "closed_on", "observed_until", period="cohort_quarter")
    rows = deal_incentives.join(quarters, on="opportunity_id").with_columns(
        pay=_in_cents(pl.coalesce("added_pay_amount_final", "added_pay_amount")),
        amount=_in_cents(_c("deal_amount")),
    )
    own = rows.filter(_c("credit_type") == "primary")
    pay = _both(own.select("rep_id", "period", observed="pay"))
    return pl.concat(
        [
            _rank(pay.filter(_c("observed").is_not_null())),
            _divide("paid_before_outcome", _time_payments(quarters, credits, ledger)),
            _divide("manager_incentive", _share_of_managers(rows, own)),
        ]
    )


def _in_cents(money: pl.Expr) -> pl.Expr:
    return (money.cast(pl.Float64) * _c("rate_to_reporting").cast(pl.Float64) * 100).round().cast(pl.Int64)


def _both(rows: pl.LazyFrame) -> pl.LazyFrame:
    return pl.concat([rows, rows.with_columns(period=pl.lit(ALL))])


def _rank(pay: pl.LazyFrame) -> pl.DataFrame:
    total = pay.group_by("rep_id", "period").agg(_c("observed").sum()).collect()
    return total.select(
        pl.lit("payout_percentile").alias("indicator"),
        "rep_id",
        "period",
        observed=_c("observed") / 100,
        cases=pl.lit(None, pl.Float64),
        indicator_value=_c("observed").rank("max").over("period") / pl.len().over("period"),
    )


def _divide(indicator: str, rows: pl.LazyFrame) -> pl.DataFrame:
    summed = _both(rows).group_by("rep_id", "period").agg(_c("observed", "cases").sum())
    return summed.filter(_c("cases") > 0).select(
        pl.lit(indicator).alias("indicator"),
        *CELL[1:],
        observed=_c("observed") / 100,
        cases=_c("cases") / 100,
        indicator_value=_c("observed") / _c("cases"),
    ).collect()  # fmt: skip


def _time_payments(quarters: pl.LazyFrame, credits: pl.LazyFrame, ledger: pl.LazyFrame) -> pl.LazyFrame:  # noqa: A002
    known_from = _c("closed_on") + timedelta(days=OUTCOME_DAYS)
    cents = (_c("amount") * 100).cast(pl.Int64)
    return (
        ledger.filter(_c("entry_type").is_in(_PAID) & _c("paid_at").is_not_null() & (_c("amount") > 0))
        .join(newest(credits, "credit_id").select("credit_id", "opportunity_id"), on="credit_id")
        # of younger deals only the early payments could have been seen
        .join(quarters.filter(known_from <= _c("observed_until")), on="opportunity_id")
        .select(
            "rep_id",
            "period",
            observed=pl.when(_c("paid_at").dt.date() < known_from).then(cents).otherwise(0),
            cases=cents,
        )
    )


def _share_of_managers(rows: pl.LazyFrame, own: pl.LazyFrame) -> pl.LazyFrame:
    """Pay of manager credits and money of the deal, for each seller with a primary credit in it; a deal counts once a seller."""
    managers = (
        rows.filter(_c("credit_type") == "manager").group_by("opportunity_id").agg(observed=_c("pay").sum())
    )
    sold = own.group_by("opportunity_id", "rep_id", "period").agg(cases=_c("amount").max())
    return sold.join(managers, on="opportunity_id").select("rep_id", "period", "observed", "cases")
