"""Survival and incidence where one seller has several deals: intervals and a test that take sellers as the units.

An estimate is linear in its subjects to first order: each has an influence, the derivative of the estimate by its weight.
Influences are added up by seller, and sellers are drawn: the bootstrap of the linearised estimator costs one pass over the
rows instead of a thousand (Andersen, Borgan, Gill and Keiding 1993, IV.3 and IV.4; Davison and Hinkley 1997, 2.7). The
test is the log-rank score with the sellers' own sums as its variance (Lin and Wei 1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from scipy.special import chdtrc

from assets.methods.cluster_bootstrap import LEAST_CLUSTERS, draw_sums, take_percentiles

UNIT: Final = 1e-12  # influences are added as whole numbers of it

_c = pl.col


def add_influences(rows: pl.LazyFrame, horizons: Sequence[int], *, event: int = 1) -> pl.LazyFrame:
    """Influence of every seller's deals on the estimates of each group.

    Args:
        rows: one row per deal: `cell` and `seller` (integers, not null), `duration` (days >= 0), `cause` (0 still there,
            `event`, others compete).
        horizons: days at which the estimates are read.
        event: the cause that is estimated.

    Returns:
        One row per `cell` and `seller`, unsorted: per horizon h `on_survival_{h}` (on the log of Kaplan-Meier survival,
        other causes censored) and `on_incidence_{h}` (on the Aalen-Johansen incidence), Int64 in units of `UNIT`.
    """
    steps = _steps(rows, event)
    at = [_at_horizon(steps, h) for h in horizons]
    placed = rows.join(steps, left_on=["cell", "duration"], right_on=["cell", "time"], how="left")
    for end in at:
        placed = placed.join(end, on="cell", how="left")
    is_event, is_exit = _c("cause") == event, _c("cause") != 0
    sums = []
    for h in horizons:
        seen = _c("duration") <= h

        def until(name: str, h: int = h, seen: pl.Expr = seen) -> pl.Expr:
            return pl.when(seen).then(_c(name)).otherwise(_c(f"{name}_{h}"))

        lost, left = (seen & is_event).cast(pl.Float64), (seen & is_exit).cast(pl.Float64)
        on_survival = until("hazard_sum") - lost * _c("per_survivor")
        on_incidence = (
            lost * _c("per_head")
            - until("incidence_sum")
            - _c(f"incidence_{h}") * (left * _c("per_stayer") - until("exit_sum"))
            + (left * _c("per_stayer") * _c("incidence") - until("carried_sum"))
        )
        for name, influence in (("survival", on_survival), ("incidence", on_incidence)):
            whole = (influence.fill_nan(0.0).fill_null(0.0) / UNIT).round().cast(pl.Int64)
            sums.append(whole.sum().alias(f"on_{name}_{h}"))
    return placed.group_by("cell", "seller").agg(sums)


def _steps(rows: pl.LazyFrame, event: int) -> pl.LazyFrame:
    """What the influences are made of, per group and distinct duration."""
    d, e, y = _c("exits"), _c("events"), _c("at_risk")
    stays, survives = y - d, y - e

    def over(expression: pl.Expr) -> pl.Expr:
        return expression.over("cell")

    def per(top: pl.Expr, bottom: pl.Expr) -> pl.Expr:
        return pl.when(bottom > 0).then(top / bottom).otherwise(0.0)

    return (
        rows.group_by("cell", time="duration")
        .agg(
            leaving=pl.len().cast(pl.Int64),
            exits=(_c("cause") != 0).sum().cast(pl.Int64),
            events=(_c("cause") == event).sum().cast(pl.Int64),
        )
        .sort("cell", "time")
        .with_columns(at_risk=over(_c("leaving").sum()) - over(_c("leaving").cum_sum()) + _c("leaving"))
        .with_columns(free=over((stays / y).cum_prod()))
        .with_columns(before=over(_c("free").shift(1, fill_value=1.0)))
        .with_columns(incidence=over((_c("before") * e / y).cum_sum()))
        .select(
            "cell",
            "time",
            "incidence",
            per_survivor=per(pl.lit(1.0), survives),
            per_stayer=per(pl.lit(1.0), stays),
            per_head=_c("before") / y,
            hazard_sum=over(per(e / y, survives).cum_sum()),
            exit_sum=over(per(d / y, stays).cum_sum()),
            incidence_sum=over((_c("before") * e / y / y).cum_sum()),
            carried_sum=over((_c("incidence") * per(d / y, stays)).cum_sum()),
        )
    )


_RUNNING: Final = ("incidence", "hazard_sum", "exit_sum", "incidence_sum", "carried_sum")


def _at_horizon(steps: pl.LazyFrame, horizon: int) -> pl.LazyFrame:
    inside = _c("time") <= horizon
    return steps.group_by("cell").agg(
        _c(name).filter(inside).max().fill_null(0.0).alias(f"{name}_{horizon}") for name in _RUNNING
    )


def bound_estimates(
    influences: pl.DataFrame, estimates: pl.DataFrame, *, clusters: int, level: float = 0.95
) -> pl.DataFrame:
    """Limits of survival and incidence with sellers drawn.

    Args:
        influences: from `add_influences`.
        estimates: `cell`, `horizon`, `survival`, `incidence` as estimated.
        clusters: sellers drawn from; they are numbered 0 to `clusters` - 1.
        level: of the intervals.

    Returns:
        `cell`, `horizon`, `survival_lo`, `survival_hi`, `incidence_lo`, `incidence_hi` (percentiles on the log(-log) scale, so
        they stay between 0 and 1), in the order of `estimates`. Null where fewer than five sellers stand behind the group, or
        the estimate is 0 or 1 and so has no influence.
    """
    sums = influences.sort("cell", "seller")
    cells = estimates["cell"].unique().sort()
    codes = sums["cell"].replace_strict(cells, range(len(cells)), return_dtype=pl.Int64).to_numpy()
    few = np.bincount(codes, minlength=len(cells)) < LEAST_CLUSTERS
    seller = sums["seller"].to_numpy()
    parts = []
    for (horizon,), part in estimates.group_by("horizon", maintain_order=True):
        values = (
            sums.select(f"on_survival_{horizon}", f"on_incidence_{horizon}").to_numpy().astype(np.float64)
        )
        drawn = draw_sums(seller, codes, values, clusters=clusters, cells=len(cells)) * UNIT
        # the sum over all is 0 but for rounding, so a draw is its own deviation
        at = part["cell"].replace_strict(cells, range(len(cells)), return_dtype=pl.Int64).to_numpy()
        survival, incidence = (part[name].to_numpy() for name in ("survival", "incidence"))
        with np.errstate(divide="ignore", invalid="ignore"):
            on_log = drawn[:, 0][:, at]
            on_free = -drawn[:, 1][:, at] / (1 - incidence)
            kept = _bound(survival, on_log, few[at], level)
            free = _bound(1 - incidence, on_free, few[at], level)
        parts.append(
            part.select("cell", "horizon").with_columns(
                *(pl.Series(f"survival_{end}", v) for end, v in zip(("lo", "hi"), kept, strict=True)),
                *(pl.Series(f"incidence_{end}", 1 - v) for end, v in zip(("hi", "lo"), free, strict=True)),
            )
        )
    limits = pl.concat(parts)
    return limits.with_columns(pl.selectors.float().fill_nan(None))


def _bound(
    share: np.ndarray, deviation_of_log: np.ndarray, few: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of a share on the log(-log) scale, out of draws of the deviation of its logarithm."""
    lower, upper = take_percentiles(deviation_of_log / np.log(share), level)
    none = few | ~(share > 0) | ~(share < 1) | (lower == upper)
    low, high = share ** np.exp(upper), share ** np.exp(lower)
    return np.where(none, np.nan, low), np.where(none, np.nan, high)


def compare_survival_by_seller(rows: pl.DataFrame) -> float | None:
    """Whether groups differ in survival, sellers taken as the units.

    Args:
        rows: one row per deal: `cell` and `seller` (integers, not null), `duration`, `cause` (1 is the event, others are
            censored).

    Returns:
        p of the log-rank score with cluster-robust variance; None with fewer than two groups, no event, or no more sellers
        than groups.
    """
    rows = rows.select("cell", "seller", "duration", event=_c("cause") == 1).sort(
        "seller", "cell", "duration", "event"
    )
    groups, times, sellers = (rows[name].unique().sort() for name in ("cell", "duration", "seller"))
    if len(groups) < 2 or not rows["event"].any() or len(sellers) <= len(groups):
        return None
    group, time, seller = (
        rows[name].replace_strict(among, range(len(among)), return_dtype=pl.Int32).to_numpy()
        for name, among in (("cell", groups), ("duration", times), ("seller", sellers))
    )
    event = rows["event"].to_numpy().astype(np.float64)
    at_risk = np.zeros((len(times), len(groups)))
    np.add.at(at_risk, (time, group), 1.0)
    at_risk = at_risk[::-1].cumsum(axis=0)[::-1]
    total = at_risk.sum(axis=1)
    hazard = np.bincount(time, weights=event, minlength=len(times)) / total
    share = at_risk / total[:, None]
    carried = np.cumsum(share * hazard[:, None], axis=0)
    # events in the own group, less what the time at risk would have brought, by seller
    size = (len(sellers), len(groups))
    own = csr_matrix((event - np.cumsum(hazard)[time], (seller, group)), shape=size).toarray()
    all_times = csr_matrix((event, (seller, time)), shape=(len(sellers), len(times))) @ share
    waited = csr_matrix((np.ones(len(time)), (seller, time)), shape=(len(sellers), len(times))) @ carried
    scores = (own - all_times + waited)[:, :-1]
    score = scores.sum(axis=0)
    spread = np.einsum("si,sj->ij", scores, scores)
    if not np.any(np.abs(spread) > 0):
        return None
    inverse = np.linalg.pinv(spread)
    return float(chdtrc(np.linalg.matrix_rank(spread), score @ inverse @ score))
