"""Time to an event when some are still waiting: Kaplan-Meier, log-rank, Aalen-Johansen, in groups, on polars.

One pass counts rows by group and time; everything after that works on the few distinct times. Kaplan and Meier (1958) with
Greenwood's variance on the log(-log) scale; Aalen and Johansen (1978) with the delta-method variance of Marubini and
Valsecchi (1995, chapter 10); log-rank after Mantel (1966). Which rows are comparable is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from scipy.special import chdtrc, ndtri

from assets.methods.distinct_times import count_by_time, find_starts, look_up

_SLACK: Final = 1e-9  # products of fractions miss one half by rounding

SURVIVAL_COLUMNS: Final = (
    "n",
    "at_risk",
    "events",
    "events_so_far",
    "survival",
    "survival_lo",
    "survival_hi",
)
INCIDENCE_COLUMNS: Final = (
    "n", "at_risk", "events", "events_so_far", "free", "incidence", "incidence_lo", "incidence_hi",
)  # fmt: skip


def fit_kaplan_meier(
    rows: pl.LazyFrame,
    by: Sequence[str] = (),
    *,
    duration: str = "duration",
    event: str = "event",
    level: float = 0.95,
) -> pl.LazyFrame:
    """Kaplan-Meier survival of every group, one row per distinct duration.

    Args:
        rows: one row per subject: `by`, `duration` (integer or float days, >= 0), `event` (Boolean or 0/1; false is
            censored). Rows with a null duration or event are left out.
        by: columns of the group; none makes one group.
        duration: time from entry to the event or the end of observation.
        event: whether the event ended it. An event and a censoring at the same time: the event came first.
        level: of the pointwise interval.

    Returns:
        `by`, `time` and `SURVIVAL_COLUMNS`, sorted by `by`, `time`: `n` subjects of the group, `at_risk` just before `time`,
        `events` at it, `events_so_far`, `survival` just after it with its interval (shares of 1).
        Before any event the interval is Wilson's of n out of n (lower n / (n + z^2), upper 1); where nobody is left,
        Wilson's of 0 out of n.
    """
    steps = count_by_time(rows, by, duration, {"events": pl.col(event).cast(pl.Int64)})
    at_risk, events = steps.at_risk, steps.counts["events"]
    left = at_risk - events
    # where nobody is left Greenwood's term is infinite and the interval is Wilson's
    spread = np.divide(events, at_risk * left, out=np.zeros(left.size), where=left > 0)
    table = steps.table.with_columns(
        at_risk=at_risk,
        events=events,
        events_so_far=steps.add_up(events),
        survival=steps.multiply(left / at_risk),
        _variance=steps.add_up(spread),
    ).lazy()
    return (
        table.with_columns(_deviation=pl.col("_variance").sqrt() / pl.col("survival").log().abs())
        .with_columns(*_interval("survival", level))
        .select(*by, "time", *SURVIVAL_COLUMNS)
    )


def fit_cumulative_incidence(
    rows: pl.LazyFrame,
    by: Sequence[str] = (),
    *,
    duration: str = "duration",
    cause: str = "cause",
    causes: Sequence[int] = (1, 2),
    horizons: Sequence[int] = (),
    level: float = 0.95,
) -> pl.LazyFrame:
    """Aalen-Johansen cumulative incidence of each of several exits that exclude one another.

    Args:
        rows: one row per subject: `by`, `duration` >= 0, `cause` integer (0 is censored). Nulls are left out.
        by: columns of the group; none makes one group.
        duration: time to the exit or the end of observation; exits come before censorings at the same time.
        cause: which exit.
        causes: the exits to estimate; any other non-zero cause competes too.
        horizons: where the steps are read; others are left out. None keeps every step.
        level: of the pointwise interval, on the log(-log) scale.

    Returns:
        `by`, `cause`, `time` and `INCIDENCE_COLUMNS`, sorted: `at_risk` just before `time`, `events` of this cause at it,
        `free` the share without any exit, `incidence` the share that left by this cause up to and at `time`. Before
        the first event of a cause the interval is Wilson's of 0 out of n.
    """
    exit_ = pl.col(cause).cast(pl.Int64)
    named = {f"{c}": (exit_ == c).cast(pl.Int64) for c in causes}
    steps = count_by_time(rows, by, duration, {"exits": (exit_ != 0).cast(pl.Int64), **named})
    at_risk, exits, total = steps.at_risk, steps.counts["exits"], steps.add_up
    left = at_risk - exits
    free = steps.multiply(left / at_risk)
    before = steps.shift(free, 1.0)
    spread = np.divide(exits, at_risk * left, out=np.zeros(left.size), where=left > 0)
    until_now = total(spread)
    kept = steps.find_read(horizons) if horizons else slice(None)
    parts = []
    for c in causes:
        events = steps.counts[f"{c}"]
        f = total(before * events / at_risk)
        step = before * events / at_risk**2  # covariance of the step with what came before
        # sum of (F(t) - F(j))^2 a_j - 2 (F(t) - F(j)) c_j + b_j over earlier times j, multiplied out
        variance = (
            f**2 * until_now
            - 2 * f * total(spread * f)
            + total(spread * f**2)
            + total(before**2 * events * (at_risk - events) / at_risk**3)
            - 2 * f * total(step)
            + 2 * total(step * f)
        )
        columns = {
            "at_risk": at_risk,
            "events": events,
            "events_so_far": total(events),
            "free": free,
            "incidence": f,
            "_variance": np.maximum(variance, 0.0),
        }
        table = steps.table[kept].with_columns(
            pl.lit(c, dtype=pl.Int64).alias("cause"),
            **{name: values[kept] for name, values in columns.items()},
        )
        share = pl.col("incidence")
        parts.append(
            table.lazy()
            .with_columns(_deviation=pl.col("_variance").sqrt() / (share * share.log()).abs())
            .with_columns(*_interval("incidence", level))
            .select(*by, "cause", "time", *INCIDENCE_COLUMNS)
        )
    return parts[0] if len(parts) == 1 else pl.concat(parts).sort(*by, "cause", "time")


def read_horizons(steps: pl.LazyFrame, by: Sequence[str], horizons: Sequence[int]) -> pl.LazyFrame:
    """Read fitted steps at fixed horizons.

    Args:
        steps: from `fit_kaplan_meier`, or from `fit_cumulative_incidence` with "cause" among `by`: groups stand together and
            times rise within them.
        by: columns of the group.
        horizons: >= 0, in the unit of the durations.

    Returns:
        `by`, `horizon` and the columns of the steps without `events`; `at_risk` counts the subjects still observed just
        before the horizon, `events_so_far` includes it. Sorted by `by`, `horizon`. After the longest follow-up the
        estimates are null unless nobody is left: nothing was observed there.
    """
    table = steps.collect()
    starts = find_starts(table, by)
    last = np.append(starts, table.height)[1:] - 1
    time = table["time"].to_numpy()
    free = "free" if "free" in table.columns else "survival"
    counts = ("n", "at_risk", "events_so_far")
    estimates = [n for n in table.columns if n not in (*by, *counts, "time", "events")]
    parts = []
    for horizon in horizons:
        at, ahead = look_up(time, starts, horizon)
        waiting = table["at_risk"][np.minimum(ahead, last)]
        is_seen = pl.Series(horizon <= time[last]) | (table[free][at] <= _SLACK)
        parts.append(
            table[at].select(
                *by,
                pl.lit(horizon).cast(table.schema["time"]).alias("horizon"),
                "n",
                pl.when(pl.Series(ahead <= last)).then(waiting).otherwise(0).alias("at_risk"),
                "events_so_far",
                *(pl.when(is_seen).then(pl.col(name)).alias(name) for name in estimates),
            )
        )
    return pl.concat(parts).sort(*by, "horizon").lazy()


def read_quantile(steps: pl.LazyFrame, by: Sequence[str], share: float = 0.5) -> pl.LazyFrame:
    """Time by which a share of the group had the event: the smallest t with S(t) <= 1 - share.

    Args:
        steps: from `fit_kaplan_meier`.
        by: columns of the group.
        share: 0.5 for the median, 0.75 for the upper quartile.

    Returns:
        `by`, `quantile`, `quantile_lo`, `quantile_hi` in the unit of the durations, sorted by `by`; the limits are where the
        log(-log) band crosses (Brookmeyer and Crowley 1982). Null while survival (or the limit) stays above.
    """
    rest = 1 - share + _SLACK
    has_band = (pl.col("events_so_far") > 0) & (pl.col("survival") > _SLACK)
    read = {
        "quantile": pl.col("survival") <= rest,
        "quantile_lo": (pl.col("survival_lo") <= rest) & has_band | (pl.col("survival") <= _SLACK),
        "quantile_hi": (pl.col("survival_hi") <= rest) & has_band,
    }
    table = steps.collect()
    starts = find_starts(table, by)
    crossings = table.select(**read)
    row, none = np.arange(table.height), table.height
    quantiles = {}
    for name in read:
        # times rise, so the first row that has crossed is the smallest
        first = np.minimum.reduceat(np.where(crossings[name].to_numpy(), row, none), starts)
        place = pl.Series(first).set(pl.Series(first == none), None)
        quantiles[name] = table["time"].gather(place)
    found = table[starts].select(*by, **quantiles)
    return (found.sort(*by) if by else found).lazy()


def compare_survival(
    rows: pl.LazyFrame,
    group: str,
    by: Sequence[str] = (),
    *,
    duration: str = "duration",
    event: str = "event",
) -> pl.DataFrame:
    """Whether groups differ in survival: the log-rank test.

    Args:
        rows: one row per subject: `by`, `group`, `duration`, `event`; rows with a null among them are left out.
        group: column of the groups compared.
        by: one test for each value of these columns, for instance the dimension.
        duration: time to the event or the end of observation.
        event: whether the event ended it.

    Returns:
        `by`, `statistic`, `degrees_of_freedom` (groups - 1), `p_value`, sorted by `by`; statistic and p null with fewer than two groups or
        no event. Groups nobody of whom was ever at risk with another count in neither.
    """
    ids = [*by, group]
    steps = count_by_time(
        rows.filter(pl.col(group).is_not_null()), ids, duration, {"events": pl.col(event).cast(pl.Int64)}
    )
    counted = steps.table.with_columns(_leaving=steps.leaving, events=steps.counts["events"])
    parts = counted.partition_by(*by, as_dict=True) if by else {(): counted}
    tests = [(*key, *_log_rank(part, group)) for key, part in parts.items()]
    results = {"statistic": pl.Float64(), "degrees_of_freedom": pl.Int64(), "p_value": pl.Float64()}
    table = pl.DataFrame(tests, schema={**{n: counted.schema[n] for n in by}, **results}, orient="row")
    return table.sort(*by) if by else table


def _log_rank(counted: pl.DataFrame, group: str) -> tuple[float | None, int, float | None]:
    """Statistic, degrees of freedom, p value of one comparison; `counted` holds `group`, `time`, `_leaving`, `events`."""
    groups = counted[group].unique().sort()
    times = counted["time"].unique().sort()
    at = counted.select(
        pl.col("time").replace_strict(times, pl.int_range(times.len(), eager=True), return_dtype=pl.Int64),
        pl.col(group).replace_strict(groups, pl.int_range(groups.len(), eager=True), return_dtype=pl.Int64),
    )
    place = (at["time"].to_numpy(), at[group].to_numpy())
    leaving, events = np.zeros((2, times.len(), groups.len()))
    leaving[place], events[place] = counted["_leaving"].to_numpy(), counted["events"].to_numpy()
    at_risk = leaving[::-1].cumsum(axis=0)[::-1]
    happened = events.sum(axis=1) > 0
    at_risk, events = at_risk[happened], events[happened]
    n, d = at_risk.sum(axis=1), events.sum(axis=1)
    share = at_risk / n[:, None]
    excess = (events - d[:, None] * share).sum(axis=0)
    factor = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
    covariance = np.diag((factor[:, None] * share).sum(axis=0)) - (factor[:, None] * share).T @ share
    degrees = groups.len() - 1
    # the groups' excesses add up to zero, so one is left out; the pseudo-inverse drops groups never at risk
    if degrees < 1 or not np.any(covariance > 0):
        return None, max(degrees, 0), None
    statistic = float(excess[:-1] @ np.linalg.pinv(covariance[:-1, :-1]) @ excess[:-1])
    return statistic, degrees, float(chdtrc(degrees, statistic))


def _z(level: float) -> float:
    return float(ndtri((1 + level) / 2))


def _interval(share: str, level: float) -> tuple[pl.Expr, pl.Expr]:
    """Limits of a share from `_deviation`, its standard error on the log(-log) scale; Wilson's where it is 0 or 1."""
    estimate, z = pl.col(share), _z(level)
    rim = z**2 / (pl.col("n") + z**2)  # Wilson's upper limit of none out of n
    is_none, is_all = estimate <= _SLACK, estimate >= 1 - _SLACK
    away = z * pl.col("_deviation")
    lo = pl.when(is_none).then(0.0).when(is_all).then(1 - rim).otherwise(estimate ** (away.exp()))
    hi = pl.when(is_none).then(rim).when(is_all).then(1.0).otherwise(estimate ** ((away * -1).exp()))
    return lo.alias(f"{share}_lo"), hi.alias(f"{share}_hi")
