"""Cox's partial likelihood in large strata: who is at risk is everybody who leaves later, so sums over risk sets are running sums.

The same likelihood, ties (Efron 1977) and robust scores (Lin and Wei 1989) as `risk_sets`, where every pair of an event and a
member of its risk set is a row: here the work is the rows times the covariates, however large the strata. Nobody enters late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from assets.methods.clusters import Floats, Ints, cluster_covariance, sum_by_cluster
from assets.methods.design import Design, EstimationError, check_rank, cross_products
from assets.methods.poisson import PoissonFit, climb


@dataclass(frozen=True, slots=True)
class Moments:
    """Rows by stratum and time; a moment is a time at which somebody of the stratum left.

    Attributes:
        x: n rows of covariates.
        had: (n,) 1 where the row ends in the event.
        cluster: (n,) number of the cluster, from 0.
        starts: first row of each stratum.
        first: first row of each moment.
        at: (n,) the row's moment.
        begins: first moment of each stratum.
        events: rows of the events.
        rank: (events,) Efron's share of those tied that has gone already.
        pairs: members of the risk sets of all events, a row as often as it is at risk.
    """

    x: Design
    had: Floats
    cluster: Ints
    starts: Ints
    first: Ints
    at: Ints
    begins: Ints
    events: Ints
    rank: Floats
    pairs: int

    def derive(self, coefficients: Floats) -> tuple[Floats, Floats, float]:
        """Score, information and log-likelihood."""
        weight, size, mean, height = self._hold(coefficients)
        mass = weight * self._pass_on(1 / size)
        information = self.x.cross(mass) - cross_products(mean, mean)
        return self.x.total(self.had - mass), information, height

    def score_by_cluster(self, coefficients: Floats) -> Floats:
        """(G, p) robust scores."""
        weight, size, mean, _ = self._hold(coefficients)
        count = int(self.cluster.max()) + 1
        left = self.had - weight * self._pass_on(1 / size)
        # an event at a tied time belongs to all who had one then, in equal parts
        ties = np.bincount(self.at, weights=self.had, minlength=self.first.size)
        own = self._by_moment(mean) / np.maximum(ties, 1)[:, None]
        expected = own[self.at] * self.had[:, None] - weight[:, None] * self._pass_on(mean / size[:, None])
        return self.x.sum_by(left, self.cluster, count) - sum_by_cluster(expected, self.cluster, count)

    def _hold(self, coefficients: Floats) -> tuple[Floats, Floats, Floats, float]:
        """(n,) relative hazards, and of each event's risk set their sum and the mean covariates; the log-likelihood."""
        linear = self.x.predict(coefficients)
        lengths = np.diff(np.append(self.starts, linear.size))
        linear -= np.repeat(np.maximum.reduceat(linear, self.starts), lengths)
        weight = np.exp(linear)
        columns = np.column_stack([weight, self.x.lay_out() * weight[:, None]])
        tied = np.add.reduceat(columns * self.had[:, None], self.first, axis=0)
        later = _run(np.cumsum, columns, self.starts, backwards=True)
        moment = self.at[self.events]
        sums = later[self.first[moment]] - self.rank[:, None] * tied[moment]
        size = sums[:, 0]
        return weight, size, sums[:, 1:] / size[:, None], float((linear[self.events] - np.log(size)).sum())

    def _pass_on(self, values: Floats) -> Floats:
        """(n, ...) sums of the events' values over those in whose risk set the row is, after Efron."""
        until = _run(np.cumsum, self._by_moment(values), self.begins)[self.at]
        rank, had = (a.reshape(-1, *([1] * (values.ndim - 1))) for a in (self.rank, self.had))
        return until - had * self._by_moment(values * rank)[self.at]

    def _by_moment(self, values: Floats) -> Floats:
        flat = values.reshape(values.shape[0], -1)
        sums = sum_by_cluster(flat, self.at[self.events], self.first.size)
        return sums.reshape(self.first.size, *values.shape[1:])


def _run(running: Callable[..., Floats], values: Floats, starts: Ints, *, backwards: bool = False) -> Floats:
    """Running sums within the groups that begin at `starts`, from their last row on where `backwards`."""
    out = np.empty_like(values)
    for a, b in pairwise([*starts.tolist(), len(values)]):
        part, into = values[a:b], out[a:b]
        running(part[::-1] if backwards else part, axis=0, out=into[::-1] if backwards else into)
    return out


def lay_out_moments(x: Design, exit_: Floats, event: Floats, stratum: Ints, cluster: Ints) -> Moments:
    """Put rows in order; strata of one row, or without an event, say nothing and drop out."""
    _, stratum = np.unique(stratum, return_inverse=True)
    tells = (np.bincount(stratum) > 1) & (np.bincount(stratum, weights=event) > 0)
    order = np.lexsort((exit_, stratum))
    order = order[tells[stratum[order]]]
    stratum, time, had = stratum[order], exit_[order], (event[order] > 0).astype(np.float64)
    changes = stratum[1:] != stratum[:-1]
    starts = np.flatnonzero(np.append(order.size > 0, changes))
    first = np.flatnonzero(np.append(order.size > 0, changes | (time[1:] != time[:-1])))
    at = np.repeat(np.arange(first.size), np.diff(np.append(first, order.size)))
    events = np.flatnonzero(had)
    ties = np.bincount(at, weights=had, minlength=first.size)
    before = np.cumsum(had) - had
    rank = (before[events] - before[first[at[events]]]) / ties[at[events]]
    end = np.repeat(np.append(starts[1:], order.size), np.diff(np.append(starts, order.size)))
    pairs = int((end[events] - first[at[events]]).sum())
    clusters = np.unique(cluster[order], return_inverse=True)[1].astype(np.int64)
    return Moments(
        x.take(order), had, clusters, starts, first, at, np.searchsorted(first, starts), events, rank, pairs
    )


def fit_moments(moments: Moments, names: Sequence[str]) -> PoissonFit:
    """Fit by maximum partial likelihood; as `risk_sets.fit_stratified_cox`, which says what is returned and raised."""
    if moments.events.size == 0:
        raise EstimationError("no_events", ())
    x, count = moments.x, moments.events.size
    size, reach = np.diag(x.cross(np.ones(moments.had.size))) / moments.had.size, x.measure_range()
    lengths = np.diff(np.append(moments.starts, moments.had.size))
    # what a stratum has in common compares nobody; without it the sums of squares lose no digits
    shared = np.add.reduceat(x.numbers, moments.starts, axis=0) / lengths[:, None]
    whole = replace(moments, x=replace(x, numbers=x.numbers - np.repeat(shared, lengths, axis=0)))
    gram = whole.derive(np.zeros(len(names)))[1]
    nothing = np.diag(gram) <= 1e-12 * size * count
    lost = {*check_rank(gram), *np.flatnonzero(nothing).tolist()}
    keep = [j for j in range(len(names)) if j not in lost]
    kept = tuple(names[j] for j in keep)
    model = replace(whole, x=whole.x.keep(keep))
    coefficients = climb(model.derive, 0, kept, reach[keep])
    _, information, log_likelihood = model.derive(coefficients)
    scores = model.score_by_cluster(coefficients)
    return PoissonFit(
        kept, tuple(names[j] for j in sorted(lost)), coefficients, information, scores, np.zeros((0, *information.shape)),
        cluster_covariance(information, scores, moments.pairs), log_likelihood, moments.pairs, moments.pairs, count, count,
    )  # fmt: skip
