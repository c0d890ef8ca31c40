"""Lowest and highest marginal rate of a deal over the orders its day could have had.

Where the source has no time of day, any subset of the other credits of that day may have come before the deal. Up to
`EXACT_UP_TO` others every subset is priced; above that the bounds are taken over every credit between the day's first
and last. Pay is a piecewise line, so its difference quotient turns only where s or s + x meets a point of the line:
those candidates and the ends of the interval are enough. Deals whose whole day lies on one stretch never get further.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.methods.commission import Schedules, price_positions
from assets.methods.exact import as_money, whole_cents
from assets.methods.forward import shape_pay

EXACT_UP_TO: Final = 12
_CHUNK: Final = 2_000_000  # prices in memory at once

Cents = npt.NDArray[np.int64]


def list_same_day(
    positions: pl.LazyFrame,
    by: Sequence[str],
    *,
    deal: str = "opportunity_id",
    time: str = "closed_at",
    known: str | None = "known_at",
    amount: str = "credited_amount",
) -> pl.LazyFrame:
    """The other credits of a deal's day that were known when it closed.

    Args:
        positions: credits without a time of day: `position` (unique), `by`, `deal`, `time`, `known`, `amount`.
        by: one attainment and one plan-local date, for instance rep_id, component, period_start, close_date.
        deal: credits of the same deal are no others.
        time: time of close.
        known: knowledge time; None takes every credit (as final).
        amount: Decimal(18,2).

    Returns:
        One row per position and other credit: `position`, `amount` Decimal(18,2), `precedes` (it stands before the position in
        canonical order, so it is part of `credit_before`).
    """
    left = positions.select("position", *by, deal, time)
    right = positions.select(*by, deal, time, *([known] if known else []), pl.col(amount).alias("amount"))
    pairs = left.join(right, on=list(by), suffix="_other").filter(pl.col(deal) != pl.col(f"{deal}_other"))
    if known:
        pairs = pairs.filter((pl.col(known) <= pl.col(time)).fill_null(value=True))
    earlier = (pl.col(f"{time}_other") < pl.col(time)) | (
        (pl.col(f"{time}_other") == pl.col(time)) & (pl.col(f"{deal}_other") < pl.col(deal))
    )
    return pairs.select("position", "amount", earlier.alias("precedes"))


def bound_day_orders(positions: pl.DataFrame, others: pl.DataFrame, schedules: Schedules) -> pl.DataFrame:
    """Lowest and highest EMCR over all subsets of the day's other credits placed before each deal.

    Args:
        positions: `position` (unique), the columns `price_positions` needs; `credit_before` in canonical order.
        others: from `list_same_day`.
        schedules: from `compile_schedules`.

    Returns:
        `position`, `emcr_lowest`, `emcr_highest` Float64, sorted by `position`; equal to `emcr` without others, null
        where `emcr` is null. Exact over subsets to 12 others, above that over every cent in
        [s_open, s_open + others].
    """
    days = _place_days(positions, others)
    steps = range(0, days.height, _CHUNK // 64)
    bounds = pl.concat([_EMPTY, *(_bound_interval(days.slice(i, _CHUNK // 64), schedules) for i in steps)])
    # without a turn inside the interval its ends decide, and they are subsets: none of the others, and all
    uneven = bounds.filter("turns").select("position")
    open_days = days.join(uneven, on="position", how="semi").filter(
        pl.col("n_others").is_between(1, EXACT_UP_TO)
    )
    exact = pl.concat([_EMPTY, *_bound_subsets(open_days, schedules)])
    inexact = bounds.join(exact, on="position", how="anti")
    return pl.concat([inexact, exact]).drop("turns").sort("position")


_EMPTY: Final = pl.DataFrame(
    schema={"position": pl.Int64, "turns": pl.Boolean, "emcr_lowest": pl.Float64, "emcr_highest": pl.Float64}
)


def _place_days(positions: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Positions with their day in cents: `opens`, `first` and `last` credit it could have found, `amounts` of others."""
    cents = pl.col("cents")
    days = (
        others.filter(pl.col("amount").is_not_null())
        .select("position", "precedes", cents=whole_cents(pl.col("amount")).cast(pl.Int64))
        .group_by("position")
        .agg(
            earlier=cents.filter("precedes").sum(),
            falls=cents.clip(upper_bound=0).sum(),
            rises=cents.clip(lower_bound=0).sum(),
            amounts=cents.sort(),
        )
    )
    before = whole_cents(pl.col("credit_before")).cast(pl.Int64)
    opens = before - pl.col("earlier").fill_null(0)
    return positions.join(days, on="position", how="left", maintain_order="left").with_columns(
        position=pl.col("position").cast(pl.Int64),
        opens=opens,
        first=opens + pl.col("falls").fill_null(0),
        last=opens + pl.col("rises").fill_null(0),
        n_others=pl.col("amounts").list.len().fill_null(0),
    )


def _bound_interval(days: pl.DataFrame, schedules: Schedules) -> pl.DataFrame:
    """Bounds over every cent from `first` to `last`; `turns` where the line turns strictly between them."""
    at = shape_pay(days, schedules).at * 100
    turns = np.where(np.isfinite(at), np.floor(at), np.nan)[:, :, None] + np.arange(
        -1, 3
    )  # a float may miss by a cent
    credit = days.select(whole_cents(pl.col("credited_amount")).cast(pl.Float64)).to_numpy()[:, 0]
    candidates = np.concatenate([turns, turns - credit[:, None, None]], axis=1).reshape(days.height, -1)
    ends = days.select(pl.col("first", "last").cast(pl.Float64)).to_numpy()
    is_inside = (candidates > ends[:, :1]) & (candidates < ends[:, 1:])
    rows, columns = np.nonzero(is_inside)
    turning = days.select("position", turns=pl.Series(is_inside.any(axis=1)))
    tried = pl.concat(
        [
            days.select("position", cents="first"),
            days.select("position", cents="last"),
            pl.DataFrame(
                {
                    "position": days["position"].to_numpy()[rows],
                    "cents": candidates[rows, columns].astype(np.int64),
                }
            ),
        ]
    )
    return turning.join(_price_cents(tried, days, schedules), on="position", how="left").select(
        _EMPTY.columns
    )


def bound_lines(positions: pl.DataFrame, others: pl.DataFrame, schedules: Schedules) -> pl.DataFrame:
    """Bounds of plans paid as a whole over every cent from the day's first credit to its last, all else as it stood.

    Args:
        positions: as in `bound_day_orders`, with the line their total follows (see `shape_pay`).
        others: from `list_same_day`.
        schedules: from `compile_schedules`.

    Returns:
        `position`, `emcr_lowest`, `emcr_highest`, in the order of the positions.
    """
    days = _place_days(positions, others)
    shape = shape_pay(days, schedules)
    credit = days["credited_amount"].cast(pl.Float64).to_numpy()[:, None]
    ends = days.select(pl.col("first", "last").cast(pl.Float64) / 100).to_numpy()
    turns = (np.floor(shape.at * 100)[:, :, None] + np.arange(-1, 3)).reshape(days.height, -1) / 100
    candidates = np.hstack([ends, turns, turns - credit])
    is_tried = (candidates >= ends[:, :1]) & (candidates <= ends[:, 1:])
    tried = np.where(is_tried, candidates, ends[:, :1])
    rate = (shape.pay(tried + credit) - shape.pay(tried)) / credit
    return days.select(
        "position",
        emcr_lowest=pl.Series(rate.min(axis=1)).round(8),
        emcr_highest=pl.Series(rate.max(axis=1)).round(8),
    )


def _bound_subsets(days: pl.DataFrame, schedules: Schedules) -> Iterator[pl.DataFrame]:
    """Bounds over every subset of the other credits, a bounded number of prices at a time."""
    for (size,), part in days.group_by("n_others"):
        subsets = np.arange(2**size)[:, None] >> np.arange(size) & 1
        for chunk in part.iter_slices(max(1, _CHUNK // 2**size)):
            amounts = chunk["amounts"].list.to_array(size).to_numpy()
            sums: Cents = chunk["opens"].to_numpy()[:, None] + amounts @ subsets.T
            tried = pl.DataFrame(
                {"position": np.repeat(chunk["position"].to_numpy(), 2**size), "cents": sums.ravel()}
            )
            priced = _price_cents(tried.unique(), chunk, schedules)
            yield priced.select("position", pl.lit(value=True).alias("turns"), "emcr_lowest", "emcr_highest")


def _price_cents(tried: pl.DataFrame, days: pl.DataFrame, schedules: Schedules) -> pl.DataFrame:
    """Lowest and highest EMCR of each position over the credits tried (`position`, `cents`)."""
    credit_before = as_money(pl.col("cents").cast(pl.Int128))
    deals = tried.join(days.drop("credit_before", strict=False), on="position").with_columns(
        credit_before=credit_before
    )
    return (
        price_positions(deals.lazy(), schedules)
        .group_by("position")
        .agg(emcr_lowest=pl.col("emcr").min(), emcr_highest=pl.col("emcr").max())
        .collect()
    )
