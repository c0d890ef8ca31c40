"""Survival and incidence where one seller has several deals: intervals and a test that take sellers as the units.

An estimate is linear in its subjects to first order: each has an influence, the derivative of the estimate by its weight.
Influences are added up by seller, and sellers are drawn: the bootstrap of the linearised estimator costs one pass over the
rows instead of a thousand (Andersen, Borgan, Gill and Keiding 1993, IV.3 and IV.4; Davison and Hinkley 1997, 2.7). The
test is the log-rank score with the sellers' own sums as its variance (Lin and Wei 1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_matrix
from scipy.special import chdtrc

from assets.methods.cluster_bootstrap import (
    LEAST_CLUSTERS,
    Floats,
    Integers,
    draw_sums,
    take_percentiles,
)

UNIT: Final = 1e-12  # influences are added as whole numbers of it

_c = pl.col


def add_influences(rows: pl.LazyFrame, horizons: Sequence[int], *, event: int = 1) -> pl.LazyFrame:
    """Influence of every seller's deals on the estimates of each group.

    Args:
        rows: one row per deal: `cell` and `seller` (integers >= 0, not null), `duration` (whole days >= 0), `cause` (0 still
            there, `event`, others compete).
        horizons: days at which the estimates are read.
        event: the cause that is estimated.

    Returns:
        One row per `cell` and `seller`, sorted: per horizon h `on_survival_{h}` (on the log of Kaplan-Meier survival,
        other causes censored) and `on_incidence_{h}` (on the Aalen-Johansen incidence), Int64 in units of `UNIT`.
    """
    deals = rows.select("cell", "seller", "duration", "cause").collect()
    names = [f"on_{name}_{h}" for h in horizons for name in ("survival", "incidence")]
    if deals.is_empty():
        return pl.LazyFrame(
            schema={**deals.select("cell", "seller").schema, **dict.fromkeys(names, pl.Int64)}
        )
    first = int(deals["cell"].min())  # type: ignore[arg-type]
    cell, seller, cause = (deals[name].to_numpy().astype(np.int64) for name in ("cell", "seller", "cause"))
    last = max(horizons) + 1  # whoever is seen past the last horizon is all the same
    time = np.minimum(deals["duration"].to_numpy().astype(np.int64), last)
    cause = np.where(time == last, 0, cause)
    at = (cell - first) * (last + 1) + time
    steps = _Steps.count(at, cause, event, cells=int(cell.max()) - first + 1, times=last + 1)
    sellers = int(seller.max()) + 1
    place = (cell - first) * sellers + seller
    size = int(place.max()) + 1
    found = np.flatnonzero(np.bincount(place, minlength=size))
    columns = {}
    for h in horizons:
        lost = ((cause == event) & (time <= h)).astype(np.float64)
        left = ((cause != 0) & (time <= h)).astype(np.float64)
        until = at - time + np.minimum(time, h)
        end = steps.incidence[at - time + h]
        stayed = left * steps.per_stayer[at]
        on_survival = steps.hazard_sum[until] - lost * steps.per_survivor[at]
        on_incidence = (
            lost * steps.per_head[at]
            - steps.incidence_sum[until]
            - end * (stayed - steps.exit_sum[until])
            + (stayed * steps.incidence[at] - steps.carried_sum[until])
        )
        for name, influence in (("survival", on_survival), ("incidence", on_incidence)):
            # whole numbers below 2^53 add up exactly in any order
            sums = np.bincount(place, weights=np.rint(influence / UNIT), minlength=size)
            columns[f"on_{name}_{h}"] = sums[found].astype(np.int64)
    return pl.LazyFrame(
        {"cell": found // sellers + first, "seller": found % sellers, **columns}
    ).with_columns(_c("cell").cast(deals.schema["cell"]), _c("seller").cast(deals.schema["seller"]))


@dataclass(frozen=True, slots=True)
class _Steps:
    """What the influences are made of: flat arrays over group and day, days of a group side by side."""

    incidence: Floats
    per_survivor: Floats
    per_stayer: Floats
    per_head: Floats
    hazard_sum: Floats
    exit_sum: Floats
    incidence_sum: Floats
    carried_sum: Floats

    @classmethod
    def count(cls, at: Integers, cause: Integers, event: int, *, cells: int, times: int) -> _Steps:
        def by_day(chosen: Integers) -> Floats:
            return np.bincount(chosen, minlength=cells * times).reshape(cells, times).astype(np.float64)

        y = by_day(at)[:, ::-1].cumsum(axis=1)[:, ::-1]
        d, e = by_day(at[cause != 0]), by_day(at[cause == event])

        def per(top: Floats, bottom: Floats) -> Floats:
            return np.divide(top, bottom, out=np.zeros_like(bottom), where=bottom > 0)

        hazard, exits = per(e, y), per(d, y)
        free = np.cumprod(1 - exits, axis=1)
        before = np.concatenate([np.ones((cells, 1)), free[:, :-1]], axis=1)
        incidence = np.cumsum(before * hazard, axis=1)
        arrays = (
            incidence,
            per(np.ones_like(y), y - e),
            per(np.ones_like(y), y - d),
            per(before, y),
            np.cumsum(per(hazard, y - e), axis=1),
            np.cumsum(per(exits, y - d), axis=1),
            np.cumsum(per(before * hazard, y), axis=1),
            np.cumsum(incidence * per(exits, y - d), axis=1),
        )
        return cls(*(array.ravel() for array in arrays))


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
    (group, groups), (seller, people), (time, days) = (
        _renumber(rows[name].to_numpy()) for name in ("cell", "seller", "duration")
    )
    event = rows["cause"].to_numpy() == 1
    if groups < 2 or not event.any() or people <= groups:
        return None
    at_risk = np.bincount(time * groups + group, minlength=days * groups).reshape(days, groups)
    at_risk = at_risk[::-1].cumsum(axis=0)[::-1]
    total = at_risk.sum(axis=1)
    hazard = np.bincount(time[event], minlength=days) / total
    share = at_risk / total[:, None]
    carried = np.cumsum(share * hazard[:, None], axis=0)

    def count(who: Integers, chosen: npt.NDArray[np.bool_] | slice, size: int) -> csr_matrix:
        """Deals by seller (and group) and day; whole numbers, so the order of the rows does not matter."""
        who, when = who[chosen], time[chosen]
        return csr_matrix((np.ones(len(who)), (who, when)), shape=(size, days))

    # events in the own group, less what the time at risk would have brought, by seller
    own, everyone = seller * groups + group, slice(None)
    lost = np.asarray(count(own, event, people * groups).sum(axis=1)).ravel()
    waited = count(own, everyone, people * groups) @ np.cumsum(hazard)
    scores = (
        (lost - waited).reshape(people, groups)
        - count(seller, event, people) @ share
        + count(seller, everyone, people) @ carried
    )[:, :-1]
    score = scores.sum(axis=0)
    spread = np.einsum("si,sj->ij", scores, scores)
    if not np.any(np.abs(spread) > 0):
        return None
    inverse = np.linalg.pinv(spread)
    return float(chdtrc(np.linalg.matrix_rank(spread), score @ inverse @ score))


def _renumber(values: np.ndarray) -> tuple[Integers, int]:
    """Whole numbers >= 0 as their places among the different ones, and how many those are; nothing is sorted."""
    there = np.bincount(values) > 0
    return (np.cumsum(there) - 1)[values], int(there.sum())
