"""Lags that are only known once they are over: how long until something said is written down.

What was never written down is not in the data, so a lag can only be seen when it is shorter than the time since: the list
is truncated on the right, and fresh items look fast. Seen backwards in time it is an ordinary survival problem with late
entry (Lagakos, Barraj and De Gruttola 1988; Kalbfleisch and Lawless 1989):

    G(t) = product over observed lags s > t of (1 - d(s) / r(s)),  r(s) = items with lag <= s <= time since

G is conditional on a lag no longer than the longest time since: no data can say more.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_c = pl.col


def fit_reverse_time(rows: pl.LazyFrame, by: Sequence[str], *, lag: str, time_since: str) -> pl.LazyFrame:
    """Distribution of right-truncated lags, one row per distinct lag and group.

    Args:
        rows: one row per item: `by`, `lag` (days, >= 0), `time_since` (days from its start to the end of observation, not
            less than the lag). Rows with a null lag are left out.
        by: columns of the group.
        lag: name of the lag's column.
        time_since: name of the column with the longest lag that could have been seen.

    Returns:
        `by`, `time`, `share`: the share of lags up to and at `time`, sorted by `by`, `time`.
    """
    known = rows.filter(_c(lag).is_not_null())
    moves = pl.concat(
        [
            known.select(*by, time=_c(lag), begun=pl.lit(1, pl.Int64), past=pl.lit(0, pl.Int64)),
            known.select(*by, time=_c(time_since), begun=pl.lit(0, pl.Int64), past=pl.lit(1, pl.Int64)),
        ]
    )
    counted = moves.group_by(*by, "time").agg(_c("begun", "past").sum()).sort(*by, "time")
    at_risk = (_c("begun").cum_sum() - _c("past").cum_sum() + _c("past")).over(*by)
    return (
        counted.with_columns(at_risk=at_risk)
        .filter(_c("begun") > 0)
        .with_columns(kept=1 - _c("begun") / _c("at_risk"))
        .with_columns(share=_c("kept").cum_prod(reverse=True).shift(-1, fill_value=1.0).over(*by))
        .select(*by, "time", "share")
    )


def read_shares(
    steps: pl.LazyFrame, by: Sequence[str], days: Sequence[int], quantiles: Sequence[float]
) -> pl.LazyFrame:
    """Read a fitted distribution at days and at shares.

    Args:
        steps: from `fit_reverse_time`.
        by: columns of the group.
        days: lags to read the share at.
        quantiles: shares to read the lag at.

    Returns:
        One row per group, sorted: `share_{d}`, 0 before the first lag, and `quantile_{q}`, the smallest lag with at least
        the share q.
    """
    return (
        steps.group_by(*by)
        .agg(
            *(_c("share").filter(_c("time") <= d).max().fill_null(0.0).alias(f"share_{d}") for d in days),
            *(_c("time").filter(_c("share") >= q - 1e-9).min().alias(f"quantile_{q}") for q in quantiles),
        )
        .sort(*by)
    )
