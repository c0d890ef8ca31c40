"""What happens to earned commission afterwards: draws across periods, clawback of cancelled deals.

Recomputing a period without the deal is pricing, and lives in `commission`: C(s) - C(s - x).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from assets.methods.exact import MONEY, as_money, divide_half_up, whole_cents, whole_units

DRAW_COLUMNS = {"pay_amount": MONEY, "recovered_amount": MONEY, "draw_balance": MONEY}


def settle_draws(earnings: pl.LazyFrame, by: Sequence[str], period: str = "period_start") -> pl.LazyFrame:
    """Pay under a draw, period by period.

    Recoverable: rec = min(balance, max(0, C - D)), pay = max(D, C - rec), balance += max(0, D - C) - rec. The balance is a walk of
    steps D - C reflected at zero, so it is the running sum minus its running minimum, and pay = C + change of balance.
    Non-recoverable: pay = max(D, C), balance 0.

    Args:
        earnings: `by`, `period`, `earned_amount` Decimal(18,2) = C, `draw` Decimal(18,2) = D (null: none), `draw_kind` (recoverable,
            non_recoverable; null: none). One row per seller and period.
        by: columns of one balance, for instance rep_id.
        period: order of the periods.

    Returns:
        The rows sorted by `by` and `period` with `DRAW_COLUMNS`.
    """
    kind = pl.col("draw_kind").fill_null("")
    earned = whole_cents(pl.col("earned_amount"))
    draw = (
        pl.when(kind != "")
        .then(whole_cents(pl.col("draw")).fill_null(0))
        .otherwise(pl.lit(0, dtype=pl.Int128))
    )
    is_recoverable = kind == "recoverable"
    # without a recoverable draw the period leaves the balance alone
    step = pl.when(is_recoverable).then(draw - earned).otherwise(pl.lit(0, dtype=pl.Int128)).cast(pl.Int64)
    walk = step.cum_sum().over(by)
    lowest = pl.min_horizontal(walk.cum_min().over(by), pl.lit(0, dtype=pl.Int64))
    balance = pl.col("_balance").cast(pl.Int128)
    change = balance - balance.shift(1).over(by).fill_null(0)
    paid = (
        pl.when(is_recoverable)
        .then(earned + change)
        .when(kind == "")
        .then(earned)
        .otherwise(pl.max_horizontal(earned, draw))
    )
    recovered = pl.max_horizontal(change * -1, pl.lit(0, dtype=pl.Int128))
    return (
        earnings.sort(*by, period)
        .with_columns(_balance=walk - lowest)
        .with_columns(
            pay_amount=as_money(paid), recovered_amount=as_money(recovered), draw_balance=as_money(balance)
        )
        .drop("_balance")
    )


def share_clawed_back(months: pl.Expr, schedule: Sequence[tuple[int, float]]) -> pl.Expr:
    """Share of the original commission taken back by a schedule.

    Args:
        months: completed months since `credited_at`, integer.
        schedule: (from_month, share), rising months, the lower edge included: [(0, 1.0), (3, 0.5), (6, 0.25), (12, 0.0)].

    Returns:
        Float64 share of 1; 0 before the first step.
    """
    share = pl.lit(0.0)
    for from_month, value in sorted(schedule):
        share = pl.when(months >= from_month).then(pl.lit(float(value))).otherwise(share)
    return share


def share_unserved(months: pl.Expr, term_months: int) -> pl.Expr:
    """Pro-rata clawback: the share of the term not yet completed, Float64 from 0 to 1."""
    return ((term_months - months) / term_months).clip(0.0, 1.0)


def claw_back(pay: pl.Expr, share: pl.Expr) -> pl.Expr:
    """Negative pay for a cancelled deal: -round(pay x share), half up to cents, Decimal(18,2).

    Args:
        pay: commission originally paid, Decimal(18,2).
        share: share of 1, taken to eight decimals.
    """
    units = whole_units(share.round(8).cast(pl.Decimal(38, 8)))
    return as_money(divide_half_up(whole_cents(pay) * units * -1, 10**8))
