"""Cox's partial likelihood, stratified, with late entry and clusters: who could have had the event when somebody had it.

Every event makes one multinomial choice among those of its stratum who were at risk just before it. That is the
concentrated Poisson likelihood with one group per event, so `fit_poisson` fits it. Ties after Efron (1977): of d events at
one time the j-th is held against a risk set in which each of the d counts 1 - j / d. Strata are never estimated, so many small
ones bias nothing (Chamberlain 1985), also where everybody has the event in the end: there a Poisson regression with effects
per stratum is biased, because the time at risk is the outcome. Robust errors are those of Lin and Wei (1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import chdtrc, gammaln

from assets.methods.clusters import FEW_CLUSTERS, Floats, Ints, sum_by_cluster
from assets.methods.design import Design
from assets.methods.partial_sums import fit_moments, lay_out_moments
from assets.methods.poisson import PoissonFit, fit_poisson

_MANY_PAIRS: Final = 8
"""More pairs of an event and a member of its risk set than this for each row, and running sums over the strata are less work."""


def fit_stratified_cox(
    x: Design | Floats,
    entry: Floats,
    exit_: Floats,
    event: Floats,
    stratum: Ints,
    cluster: Ints,
    names: Sequence[str],
) -> PoissonFit:
    """Fit log hazard ratios by partial likelihood.

    Args:
        x: n rows of covariates, (n, p), constant within the interval.
        entry: (n,) start of the interval, not part of it.
        exit_: (n,) end of the interval, later than `entry`.
        event: (n,) 1 where the interval ends in the event.
        stratum: (n,) only rows of one stratum are compared.
        cluster: (n,) number of the cluster, from 0.
        names: (p,) of the columns.

    Returns:
        The fit; `groups` counts events, `log_likelihood` is the partial one, `subjects` are rows in risk sets, a row as often
        as it is at risk.

    Raises:
        EstimationError: as `fit_poisson`.
    """
    x = Design.of(x)
    if not entry.any() and np.unique(cluster).size >= FEW_CLUSTERS:
        moments = lay_out_moments(x, exit_, event, stratum, cluster)
        if moments.pairs > _MANY_PAIRS * cluster.size:
            return fit_moments(moments, names)
    row, group, chosen, weight = expand_risk_sets(entry, exit_, event, stratum)
    fit = fit_poisson(x.take(row), chosen, weight, group, cluster[row], names)
    # what a Poisson likelihood has and a partial likelihood has not
    more = float((chosen * np.log(weight) - gammaln(chosen + 1)).sum()) - fit.groups
    return replace(fit, log_likelihood=fit.log_likelihood - more)


def expand_risk_sets(
    entry: Floats, exit_: Floats, event: Floats, stratum: Ints
) -> tuple[Ints, Ints, Floats, Floats]:
    """One row per event and member of its risk set.

    Returns:
        Position of the member, number of the event, the member's part in it (events at one time belong to all who had one in
        equal parts, so no order of theirs matters), and Efron's weight. The work is the sum over strata of events times
        members.
    """
    order = np.lexsort((exit_, stratum))
    stratum, time, entry, had = stratum[order], exit_[order], entry[order], event[order] > 0
    changes = stratum[1:] != stratum[:-1]
    starts = np.flatnonzero(np.append(order.size > 0, changes))
    length = np.diff(np.append(starts, order.size))
    of = np.repeat(np.arange(starts.size), length)
    end = np.append(starts[1:], order.size)
    # moments: rows of a stratum that leave together stand together, and those before them are gone
    moments = np.flatnonzero(np.append(order.size > 0, changes | (time[1:] != time[:-1])))
    at = np.repeat(np.arange(moments.size), np.diff(np.append(moments, order.size)))
    ties = np.bincount(at, weights=had, minlength=moments.size).astype(np.int64)
    events = np.flatnonzero(had & (length[of] > 1))  # by time, ties in the order of the rows
    before: Ints = np.cumsum(had) - had
    rank: Ints = before[events] - before[moments[at[events]]]
    first = moments[at[events]]
    size = end[of[events]] - first
    which = np.repeat(np.arange(events.size), size)
    place = np.arange(which.size) - np.repeat(np.cumsum(size) - size, size) + first[which]
    there = entry[place] < time[events][which]
    which, place = which[there], place[there]
    is_tied = had[place] & (at[place] == at[events][which])
    tied = ties[at[events]]
    return (
        order[place],
        which,
        np.where(is_tied, (1 / tied)[which], 0.0),
        np.where(is_tied, 1 - (rank / tied)[which], 1.0),
    )


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """Whether groups differ in survival; `statistic` is chi-squared with `degrees_of_freedom`."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def compare_clustered(group: Ints, time: Floats, event: Floats, cluster: Ints) -> ScoreTest | None:
    """The log-rank test when subjects come in clusters: Cox's score at no difference, its variance summed by cluster.

    With a cluster for every subject it is the robust log-rank test of Lin and Wei (1989).

    Args:
        group: (n,) number of the group, from 0.
        time: (n,) to the event or the end of observation.
        event: (n,) 1 where the event ended it.
        cluster: (n,) number of the cluster, from 0.

    Returns:
        The test; None with fewer than two groups, no event or no more clusters than groups.
    """
    groups = np.unique(group)
    row, at, chosen, weight = expand_risk_sets(
        np.full(time.size, -1.0), time, event, np.zeros(time.size, dtype=np.int64)
    )
    if groups.size < 2 or not row.size:
        return None
    marks = (group[row][:, None] == groups[1:]).astype(np.float64)
    starts = np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))
    length = np.diff(np.append(starts, at.size))
    size = np.add.reduceat(weight, starts)
    share = np.repeat(
        np.add.reduceat(marks * weight[:, None], starts, axis=0) / size[:, None], length, axis=0
    )
    residual = (marks - share) * (chosen - weight / np.repeat(size, length))[:, None]
    scores = sum_by_cluster(residual, cluster[row], int(cluster.max()) + 1)
    if np.count_nonzero(np.any(scores != 0, axis=1)) <= groups.size:
        return None
    total = scores.sum(axis=0)
    statistic = float(total @ np.linalg.pinv(scores.T @ scores) @ total)
    degrees = groups.size - 1
    return ScoreTest(statistic, degrees, float(chdtrc(degrees, statistic)))
