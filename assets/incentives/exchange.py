"""Money in the plan's currency: at the rate of the booking day, or at the plan's fixed rate.

Rates are stated per day into the reporting currency; a cross rate is the ratio of two. A daily rate serves its own day and
the seven days after it; a plan rate serves until the next one.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.methods.exact import as_money, divide_half_up, whole_cents, whole_units

MAX_AGE_DAYS: Final = 7


def list_daily_rates(fx_rates: pl.LazyFrame) -> pl.DataFrame:
    """Rate of every currency on every day that has one: `currency`, `day`, `rate` Decimal(18,8)."""
    age = pl.int_range(0, MAX_AGE_DAYS + 1).implode()
    return (
        fx_rates.filter(pl.col("kind") == "daily", pl.col("rate_to_reporting") > 0)
        .select("currency", "rate_date", rate="rate_to_reporting", age=age)
        .explode("age", empty_as_null=False)
        .with_columns(day=pl.col("rate_date") + pl.duration(days=pl.col("age")))
        .sort("currency", "day", "age")
        .group_by("currency", "day", maintain_order=True)
        .agg(pl.col("rate").first())
        .collect()
    )


def list_plan_rates(fx_rates: pl.LazyFrame) -> pl.DataFrame:
    """Fixed plan rates with the half-open days on which they are the newest: `currency`, `from`, `until`, `rate`."""
    return (
        fx_rates.filter(pl.col("kind") == "plan", pl.col("rate_to_reporting") > 0)
        .select(
            "currency",
            pl.col("rate_date").alias("from"),
            pl.col("rate_date").shift(-1).over("currency", order_by="rate_date").alias("until"),
            pl.col("rate_to_reporting").alias("rate"),
        )
        .collect()
    )


class Exchange:
    """The firm's exchange rates, ready to be joined."""

    def __init__(self, fx_rates: pl.LazyFrame, reporting_currency: str) -> None:
        self._daily = list_daily_rates(fx_rates)
        self._plan = list_plan_rates(fx_rates)
        self._reporting = reporting_currency

    def find_rate(
        self, rows: pl.LazyFrame, name: str, *, currency: str, day: str, fixed_day: str, policy: str
    ) -> pl.LazyFrame:
        """Add a column `name`: Decimal(18,8) reporting currency per unit of `currency`, null where no rate serves.

        Args:
            rows: has the columns named by the other arguments.
            name: column to add.
            currency: column of ISO codes.
            day: date column of the daily rate.
            fixed_day: date column of the plan rate (start of the pay period).
            policy: column, `plan_fixed` takes the plan rate, anything else the daily one.
        """
        is_fixed = (pl.col(policy) == "plan_fixed").fill_null(value=False)
        # found by value: numbering rows and joining them back would trust an order that a lazy frame does not keep
        fixed = (
            rows.filter(is_fixed)
            .select(currency, fixed_day)
            .unique()
            .join(self._plan.lazy(), left_on=currency, right_on="currency")
            .filter(
                pl.col("from") <= pl.col(fixed_day),
                pl.col("until").is_null() | (pl.col(fixed_day) < pl.col("until")),
            )
            .select(currency, fixed_day, pl.col("rate").alias("_fixed"))
        )
        daily = self._daily.lazy().rename({"rate": "_daily"})
        return (
            rows.join(fixed, on=[currency, fixed_day], how="left")
            .join(daily, left_on=[currency, day], right_on=["currency", "day"], how="left")
            .with_columns(
                pl.when(pl.col(currency) == self._reporting)
                .then(pl.lit(1, dtype=pl.Decimal(18, 8)))
                .when(is_fixed)
                .then("_fixed")
                .otherwise("_daily")
                .alias(name)
            )
            .drop("_fixed", "_daily")
        )

    def convert(
        self,
        rows: pl.LazyFrame,
        name: str,
        *,
        currency: str,
        to: str = "plan_currency",
        day: str = "on",
        fixed_day: str = "period_start",
        policy: str = "fx_policy",
    ) -> pl.LazyFrame:
        """Replace the money column `name` by its value in another currency, rounded half up to the cent.

        Args:
            rows: has the columns named by the other arguments.
            name: Decimal(18,2) column.
            currency: column with the money's currency; null means it is stated in `to` already.
            to: column with the currency wanted.
            day: see `find_rate`.
            fixed_day: see `find_rate`.
            policy: see `find_rate`.

        Returns:
            The rows in any order; `name` is null where a rate is missing.
        """
        c = pl.col
        frame = rows.collect()
        is_same = c(currency).is_null() | (c(currency) == c(to)).fill_null(value=False)
        is_foreign = ~is_same & c(name).is_not_null()
        foreign = frame.filter(is_foreign)
        if not foreign.height:
            return frame.lazy()
        where = {"day": day, "fixed_day": fixed_day, "policy": policy}
        rated = self.find_rate(foreign.lazy(), "_from", currency=currency, **where)
        rated = self.find_rate(rated, "_to", currency=to, **where)
        # cents times 1e8 stays far below 127 bits
        converted = divide_half_up(
            whole_cents(c(name)) * whole_units(c("_from")).cast(pl.Int128),
            whole_units(c("_to")).cast(pl.Int128),
        )
        rated = rated.with_columns(as_money(converted).alias(name)).select(frame.columns)
        return pl.concat([frame.lazy().filter(~is_foreign), rated])
