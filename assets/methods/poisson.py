"""Events under time at risk: Poisson regression with one absorbed effect and cluster-robust errors.

    E(y_ik) = risk_ik exp(t_k + x_i'b + a_g)

for row i of group g in its step k of time at risk. The effects a_g are not estimated but concentrated out: given the rest
they are known in closed form, so what is left is the conditional (multinomial) likelihood of Hausman, Hall and Griliches
(1984), and many groups cost no more than few and bias nothing. A row that is followed through several steps, each with
its own baseline t_k, is the piecewise exponential hazard (Holford 1980), and stays one row. Nothing needs to be Poisson
distributed but the mean must be right (Wooldridge 1999); the errors are sandwich errors. Groups without an event say
nothing about b and drop out. A second effect of few levels (periods, bins of days) enters as columns: `mark_levels`. One
group for all rows makes an ordinary Poisson regression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from scipy.special import gammaln

from assets.methods.clusters import FEW_CLUSTERS, Flags, Floats, Ints, cluster_covariance, sum_by_cluster
from assets.methods.design import Design, EstimationError, check_rank, cross_products, solve_step

_SETTLED: Final = 1e-10  # Newton's decrement: the next step would move nothing that is printed
_PASSES: Final = 100
_DIVERGED: Final = (
    15.0  # a rate that differs by exp(15) over a covariate's range is no estimate but a separation
)


@dataclass(frozen=True, slots=True)
class PoissonFit:
    """A fitted Poisson regression.

    Attributes:
        names: (p,) covariates that were kept; before them stand the steps after the first.
        dropped: covariates that other covariates and the effects explain in full.
        coefficients: (K - 1 + p,) log rate ratios.
        information: (K - 1 + p, K - 1 + p) of the concentrated likelihood.
        scores: (G, K - 1 + p) score of each cluster that has rows left.
        by_cluster: (G, K - 1 + p, K - 1 + p) information of each of them where they are few, else none.
        covariance: (K - 1 + p, K - 1 + p) cluster-robust.
        log_likelihood: Poisson log-likelihood with the effects at their best.
        n: rows in groups with an event, each counted once per step with time at risk.
        subjects: rows in groups with an event.
        events: sum of events.
        groups: groups with an event.
    """

    names: tuple[str, ...]
    dropped: tuple[str, ...]
    coefficients: Floats
    information: Floats
    scores: Floats
    by_cluster: Floats
    covariance: Floats
    log_likelihood: float
    n: int
    subjects: int
    events: int
    groups: int

    @property
    def errors(self) -> Floats:
        """(K - 1 + p,) cluster-robust standard errors."""
        return np.sqrt(np.diag(self.covariance))

    def place(self, name: str) -> int:
        """Position of a covariate; raises EstimationError `no_within_variation` where it was dropped."""
        if name in self.dropped:
            raise EstimationError("no_within_variation", (name,))
        return self.coefficients.size - len(self.names) + self.names.index(name)


def fit_poisson(
    x: Design | Floats, events: Floats, risk: Floats, group: Ints, cluster: Ints, names: Sequence[str]
) -> PoissonFit:
    """Fit by maximum likelihood.

    Args:
        x: n rows of covariates, (n, p), without a constant. A column that is a sum of columns before it and the effects is dropped, so the
            exposure of interest stands last: when it is dropped, it does not vary where it would count.
        events: (n,) or (n, K) events >= 0 in each step.
        risk: of the same shape, time at risk in each step, 0 for none; the first step is the reference.
        group: (n,) number of the absorbed effect, from 0.
        cluster: (n,) number of the cluster, from 0.
        names: (p,) of the columns.

    Raises:
        EstimationError: `no_events`; `separated` where an infinite rate ratio would fit best.
    """
    events, risk = events.reshape(group.size, -1), risk.reshape(group.size, -1)
    totals = np.bincount(group, weights=events.sum(axis=1))
    order = np.argsort(group, kind="stable")
    order = order[totals[group[order]] > 0]
    if order.size == 0:
        raise EstimationError("no_events", ())
    x = Design.of(x).take(order)
    events, risk, group, cluster = events[order], risk[order], group[order], cluster[order]
    used = np.flatnonzero(events.sum(axis=0) > 0)  # a step without events has a rate of 0 and says nothing
    events, risk = events[:, used], risk[:, used]
    starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
    lengths = np.diff(np.append(starts, group.size))
    place = np.repeat(np.arange(starts.size), lengths)
    size, reach = np.diag(x.cross(np.ones(order.size))) / order.size, x.measure_range()
    # what a group has in common is in its effect; without it the sums of squares below lose no digits
    shared = np.add.reduceat(x.numbers, starts, axis=0) / lengths[:, None]
    x = replace(x, numbers=x.numbers - shared[place])
    whole = _Concentrated(x, events, risk, starts, place, np.add.reduceat(events.sum(axis=1), starts))
    steps = used.size - 1

    gram = whole.derive(np.zeros(steps + len(names)))[1][steps:, steps:]
    # a column that the effects explain is 0 only but for rounding, so it is held against its own size
    nothing = np.diag(gram) <= 1e-12 * size * whole.totals.sum()
    lost = {*check_rank(gram), *np.flatnonzero(nothing).tolist()}
    keep = [j for j in range(len(names)) if j not in lost]
    kept = tuple(names[j] for j in keep)
    model = replace(whole, x=x.keep(keep))
    coefficients = climb(model.derive, steps, kept, reach[keep])
    _, information, log_likelihood = model.derive(coefficients)
    clusters = np.unique(cluster, return_inverse=True)[1].astype(np.int64)
    count = int(clusters.max()) + 1
    scores = model.score_by(coefficients, clusters, count)
    few = range(count if count < FEW_CLUSTERS else 0)
    parts = [model.inform(coefficients, clusters == place) for place in few]
    by_cluster = np.array(parts).reshape(len(few), *information.shape)
    n = int((risk > 0).sum())
    return PoissonFit(
        kept, tuple(names[j] for j in sorted(lost)), coefficients, information, scores, by_cluster,
        cluster_covariance(information, scores, n), log_likelihood, n, order.size, round(float(events.sum())), int(starts.size),
    )  # fmt: skip


def number_levels(values: pl.Series) -> tuple[list[str], Ints, Floats]:
    """Names of all levels but the first in order, (n,) each row's level, (levels, levels - 1) columns of 0 and 1 that mark them.

    Null is a level of its own.
    """
    dtype = values.dtype
    if not isinstance(dtype, pl.Enum):
        text = values.cast(pl.String)
        dtype = pl.Enum(text.drop_nulls().unique().sort())
        values = text.cast(dtype)
    words = [*dtype.categories.to_list(), "unknown"]
    code = values.to_physical().cast(pl.Int64).fill_null(len(words) - 1).to_numpy()
    there = np.flatnonzero(np.bincount(code, minlength=len(words)))
    levels = sorted({words[k] for k in there})
    place = np.array([levels.index(words[k]) if k in there else 0 for k in range(len(words))])
    return [f"{values.name}={name}" for name in levels[1:]], place[code], np.eye(len(levels))[:, 1:]


def mark_levels(values: pl.Series) -> tuple[list[str], Floats]:
    """Names and (n, levels - 1) columns of 0 and 1 for all levels but the first in order; null is a level of its own."""
    names, level, marks = number_levels(values)
    return names, marks[level]


@dataclass(frozen=True, slots=True)
class _Concentrated:
    """The concentrated likelihood; rows sorted by group, `starts` first row of each, `place` the group of each row."""

    x: Design
    events: Floats
    risk: Floats
    starts: Ints
    place: Ints
    totals: Floats

    def derive(self, coefficients: Floats) -> tuple[Floats, Floats, float]:
        """Score (q,), information (q, q) and log-likelihood; steps come before covariates."""
        expected, mean, share = self.expect(coefficients)
        mass, later = expected.sum(axis=1), expected[:, 1:]
        weight = self.totals[:, None]
        own = self.x.cross(mass) - cross_products(mean * weight, mean)
        mixed = np.array([self.x.total(k) for k in later.T]).reshape(later.shape[1], self.x.width)
        mixed -= cross_products(share * weight, mean)
        steps = np.diag(later.sum(axis=0)) - cross_products(share * weight, share)
        moved = (self.events[:, 1:] - later).sum(axis=0)
        score = np.concatenate([moved, self.x.total(self.events.sum(axis=1) - mass)])
        return score, np.block([[steps, mixed], [mixed.T, own]]), self._height(expected)

    def score_by(self, coefficients: Floats, label: Ints, count: int) -> Floats:
        """(count, q) scores summed by label of the rows."""
        expected, mean, share = self.expect(coefficients)
        left = self.events.sum(axis=1) - expected.sum(axis=1)
        moved = sum_by_cluster(self.events[:, 1:] - expected[:, 1:], label, count)
        # what is left of a group adds up to 0 over the group, not over those of it that are under one label
        remains = csr_matrix((left, (label, self.place)), shape=(count, self.starts.size))
        return np.concatenate(
            [moved - remains @ share, self.x.sum_by(left, label, count) - remains @ mean], axis=1
        )

    def expect(self, coefficients: Floats) -> tuple[Floats, Floats, Floats]:
        """(n, K) expected events, and by group the means that they give: (groups, p) of x, (groups, K - 1) of the later steps."""
        steps = self.risk.shape[1] - 1
        baseline = np.exp(np.concatenate([[0.0], coefficients[:steps]]))
        linear = self.x.predict(coefficients[steps:])
        weight = np.exp(linear - np.maximum.reduceat(linear, self.starts)[self.place])
        expected = self.risk * baseline * weight[:, None]
        sums = np.add.reduceat(expected.sum(axis=1), self.starts)
        expected *= (self.totals / sums)[self.place, None]
        by_group = self.totals[:, None]
        mean = self.x.sum_within(expected.sum(axis=1), self.starts) / by_group
        share = np.add.reduceat(expected[:, 1:], self.starts, axis=0) / by_group
        return expected, mean, share

    def inform(self, coefficients: Floats, own: Flags) -> Floats:
        """(q, q) part of the information that some rows give; over all rows it adds up to the whole."""
        expected, mean, share = self.expect(coefficients)
        expected, place = expected[own], self.place[own]
        centred = self.x.take(own).lay_out() - mean[place]
        steps = np.eye(expected.shape[1])[1:]
        information = np.zeros((coefficients.size, coefficients.size))
        # each step of a row is a point: which later step it is, and its covariates, less their means in the group
        for k in range(expected.shape[1]):
            point = np.concatenate([steps[:, k] - share[place], centred], axis=1)
            information += cross_products(point * expected[:, k, None], point)
        return information

    def _height(self, expected: Floats) -> float:
        hit = np.nonzero(self.events)
        y = self.events[hit]
        with np.errstate(divide="ignore"):
            return float((y * np.log(expected[hit]) - gammaln(y + 1)).sum() - self.totals.sum())


def climb(
    derive: Callable[[Floats], tuple[Floats, Floats, float]], steps: int, names: Sequence[str], reach: Floats
) -> Floats:
    """Newton's method, halving a step that does not rise.

    Args:
        derive: score, information and log-likelihood at coefficients.
        steps: coefficients that stand before those of the covariates.
        names: of the covariates.
        reach: range of each covariate.

    Raises:
        EstimationError: `separated`.
    """
    coefficients = np.zeros(steps + len(names))
    if not coefficients.size:
        return coefficients
    reach = np.concatenate([np.ones(steps), reach])
    score, information, height = derive(coefficients)
    for _ in range(_PASSES):
        step = solve_step(information, score)
        decrement, share = float(step @ score), 1.0
        while True:
            score, information, reached = derive(coefficients + share * step)
            if reached >= height - 1e-9 * abs(height) or share < 1e-6:
                break
            share /= 2
        coefficients, height = coefficients + share * step, reached
        far = np.abs(coefficients) * reach > _DIVERGED
        if decrement < _SETTLED or np.any(far):
            break
    else:
        far = np.ones(coefficients.size, dtype=bool)
    if np.any(far):
        named = zip(names, far[steps:], strict=True)
        raise EstimationError("separated", tuple(name for name, is_far in named if is_far))
    return coefficients
