"""Time to an event in steps: the complementary log-log hazard, clustered, fitted from sums that add up over partitions.

    P(event in step k | at risk) = 1 - exp(-risk_k exp(t_k + x'b))

which is the proportional-hazards model seen at the ends of steps (Prentice and Gloeckler 1978): exp(b) is a hazard ratio,
whatever the width of the steps. A person who is followed through several steps, each with its own baseline t_k, stays one
row. Newton's method on the observed information; every pass over the data keeps only X'WX, X'u and, the last one, scores
per cluster. Equal rows may be given once with their number of trials and events. Which rows are at risk is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assets.methods.clusters import FEW_CLUSTERS, Floats, Ints, cluster_covariance, sum_by_cluster
from assets.methods.design import Design, EstimationError, check_rank, solve_step

BLOCK_ROWS: Final = 1 << 16
"""Rows are always added up in blocks of this many, wherever the chunks end: the pieces a panel comes in change no bit."""

_SETTLED: Final = (
    1e-10  # Newton's decrement, in units of log-likelihood: the next step would move nothing that is printed
)
_CLOSE: Final = 1e-4  # good enough to go on from with all rows
_SAMPLE_BLOCKS: Final = 16
_PASSES: Final = 50
_DIVERGED: Final = (
    20.0  # a step's log hazard ratio past exp(20) against the mean is no estimate but a separation
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a panel.

    Attributes:
        x: n rows of covariates, the constant among them.
        events: (n, K) events in each step, 0 to `trials`.
        trials: (n,) persons that the row stands for.
        risk: (n, K) time at risk in each step as it would have been without an event, 0 for none; 1 for a whole step.
        cluster: (n,) number of the row's cluster, from 0.
    """

    x: Design
    events: Floats
    trials: Floats
    risk: Floats
    cluster: Ints


@dataclass(frozen=True, slots=True)
class HazardFit:
    """A fitted hazard.

    Attributes:
        names: (p,) steps after the first, then covariates.
        coefficients: (p,) log hazard ratios.
        information: (p, p) observed information.
        scores: (G, p) score of each cluster with rows at the maximum.
        by_cluster: (G, p, p) information of each of them where they are few, else (0, p, p).
        covariance: (p, p) cluster-robust.
        log_likelihood: at the maximum, up to the binomial coefficients.
        n: trials, each counted once per step with time at risk.
        events: events.
    """

    names: tuple[str, ...]
    coefficients: Floats
    information: Floats
    scores: Floats
    by_cluster: Floats
    covariance: Floats
    log_likelihood: float
    n: int
    events: int

    @property
    def errors(self) -> Floats:
        """(p,) cluster-robust standard errors."""
        return np.sqrt(np.diag(self.covariance))


def fit_hazard(chunks: Callable[[], Iterable[Chunk]], names: Sequence[str], clusters: int) -> HazardFit:
    """Fit the hazard by maximum likelihood.

    A first pass looks at the panel and keeps some of its blocks; Newton's method starts on those, so that the whole panel
    is passed over few times more.

    Args:
        chunks: gives the panel once per call, in pieces of any size, always in the same order of rows.
        names: of the steps after the first, then of the columns of `x`.
        clusters: number of clusters.

    Raises:
        EstimationError: with the columns concerned and the reason: `no_events`, `rank_deficient` (a column is a sum of
            others), `separated` (an infinite hazard ratio would fit best).
    """
    survey = _Survey(len(names))
    for block in reblock(chunks()):
        survey.add(block)
    if survey.events == 0:
        raise EstimationError("no_events", ())
    if dependent := check_rank(survey.gram):
        raise EstimationError("rank_deficient", tuple(names[i] for i in dependent))
    coefficients = survey.guess()
    try:
        coefficients = _climb(lambda: survey.sample, coefficients, survey, names, _CLOSE)
    except EstimationError:
        coefficients = survey.guess()  # some blocks may be separated where the whole is not
    coefficients = _climb(lambda: reblock(chunks()), coefficients, survey, names, _SETTLED)
    width = len(names)
    scores, seen = np.zeros((clusters, width)), np.zeros(clusters, dtype=bool)
    information = np.zeros((width, width))
    by_cluster = np.zeros((clusters if clusters < FEW_CLUSTERS else 0, width, width))
    log_likelihood = 0.0
    for block in reblock(chunks()):
        u, w, likelihood = _derivatives(block, coefficients)
        steps = sum_by_cluster(u[:, 1:], block.cluster, clusters)
        scores += np.concatenate([steps, block.x.sum_by(u.sum(axis=1), block.cluster, clusters)], axis=1)
        seen[block.cluster] = True
        information += _cross(block.x, w)
        for place in range(by_cluster.shape[0]):
            own = block.cluster == place
            by_cluster[place] += _cross(block.x.take(own), w[own])
        log_likelihood += likelihood
    n = int(survey.n)
    return HazardFit(
        tuple(names), coefficients, information, scores[seen], by_cluster[seen[: by_cluster.shape[0]]],
        cluster_covariance(information, scores[seen], n), log_likelihood, n, int(survey.events),
    )  # fmt: skip


def collapse_rows(
    panel: pl.LazyFrame,
    covariates: Sequence[str],
    cluster: str,
    *,
    events: str = "event",
    risk: str = "risk",
) -> pl.LazyFrame:
    """Equal rows of a panel as one, with `trials` and `events`, in a fixed order: nothing is lost, sums are whole numbers.

    Args:
        panel: one row per person and step: `covariates`, `cluster`, `events` (Boolean or 0/1), `risk`.
        covariates: columns whose values make a cell, with the time at risk.
        cluster: column of the cluster, part of the cell.
        events: whether the step ended in the event.
        risk: time at risk in the step.
    """
    keys = [cluster, *covariates, risk]
    return (
        panel.group_by(keys)
        .agg(trials=pl.len().cast(pl.Int64), events=pl.col(events).cast(pl.Int64).sum())
        .sort(keys)
    )


def reblock(chunks: Iterable[Chunk], rows: int = BLOCK_ROWS) -> Iterator[Chunk]:
    """The same rows in blocks of `rows`, the last one shorter, wherever the chunks end."""
    held: list[Chunk] = []
    size = 0
    for chunk in chunks:
        at = 0
        length = chunk.events.size
        while at < length:
            take = min(rows - size, length - at)
            held.append(_cut(chunk, at, at + take))
            at, size = at + take, size + take
            if size == rows:
                yield _join(held)
                held, size = [], 0
    if held:
        yield _join(held)


def _cut(chunk: Chunk, first: int, last: int) -> Chunk:
    part = slice(first, last)
    return Chunk(
        chunk.x.take(part), chunk.events[part], chunk.trials[part], chunk.risk[part], chunk.cluster[part]
    )


def _join(parts: list[Chunk]) -> Chunk:
    if len(parts) == 1:
        return parts[0]
    return Chunk(
        Design.join([p.x for p in parts]),
        np.concatenate([p.events for p in parts]),
        np.concatenate([p.trials for p in parts]),
        np.concatenate([p.risk for p in parts]),
        np.concatenate([p.cluster for p in parts]),
    )


class _Survey:
    """What the first pass over the panel leaves: its size, its cross products, and blocks spread evenly over it."""

    def __init__(self, width: int) -> None:
        self.n = self.events = self.exposure = 0.0
        self.gram = np.zeros((width, width))
        self.total = np.zeros(width)
        self.sample: list[Chunk] = []
        self._stride, self._blocks = 1, 0

    def add(self, block: Chunk) -> None:
        """Count a block; keep it if its turn has come, and every other one of those kept when there are too many."""
        persons = (block.risk > 0) * block.trials[:, None]
        self.n += float(persons.sum())
        self.events += float(block.events.sum())
        self.exposure += float((block.trials[:, None] * block.risk).sum())
        self.gram += _cross(block.x, persons)
        self.total += _total(block.x, persons)
        if self._blocks % self._stride == 0:
            self.sample.append(block)
        self._blocks += 1
        if len(self.sample) > _SAMPLE_BLOCKS:
            self.sample, self._stride = self.sample[::2], self._stride * 2

    def guess(self) -> Floats:
        """Least squares for a constant log hazard, so that no first step is wild."""
        level = np.log(self.events / self.exposure)
        constant: Floats = np.linalg.lstsq(self.gram, self.total * level, rcond=None)[0]
        return constant

    def spread(self) -> Floats:
        """(p,) root mean square of each covariate."""
        return np.sqrt(np.diag(self.gram) / self.n)


def _climb(
    blocks: Callable[[], Iterable[Chunk]],
    coefficients: Floats,
    survey: _Survey,
    names: Sequence[str],
    enough: float,
) -> Floats:
    """Newton's method until its decrement is small enough. Raises EstimationError `separated`."""
    width = len(names)
    for _ in range(_PASSES):
        information, score = np.zeros((width, width)), np.zeros(width)
        for block in blocks():
            u, w, _ = _derivatives(block, coefficients, likelihood=False)
            information += _cross(block.x, w)
            score += _total(block.x, u)
        step = solve_step(information, score)
        # Newton overshoots from far away: no step is longer than 2 in a covariate's own unit
        length = float((np.abs(step) * survey.spread()).max())
        coefficients = coefficients + (step if length <= 2 else step * (2 / length))
        if float(step @ score) < enough:
            return coefficients
        far = np.abs(coefficients) * np.maximum(survey.spread(), 1.0) > _DIVERGED
        if np.any(far):
            raise EstimationError("separated", tuple(name for name, f in zip(names, far, strict=True) if f))
    raise EstimationError("separated", tuple(names))


def _cross(x: Design, weight: Floats) -> Floats:
    """(p, p) cross products of steps after the first and covariates, under weights (n, K)."""
    later = weight[:, 1:]
    steps = np.diag(later.sum(axis=0))
    mixed = np.array([x.total(w) for w in later.T]).reshape(later.shape[1], x.width)
    return np.block([[steps, mixed], [mixed.T, x.cross(weight.sum(axis=1))]])


def _total(x: Design, weight: Floats) -> Floats:
    """(p,) the same in one direction."""
    return np.concatenate([weight[:, 1:].sum(axis=0), x.total(weight.sum(axis=1))])


def _derivatives(
    block: Chunk, coefficients: Floats, *, likelihood: bool = True
) -> tuple[Floats, Floats, float]:
    """First derivative and minus the second of each row's and step's log-likelihood in the linear predictor, and the sum of it."""
    steps = block.risk.shape[1] - 1
    baseline = np.exp(np.concatenate([[0.0], coefficients[:steps]]))
    linear = block.x.predict(coefficients[steps:])
    hazard = block.risk * baseline
    hazard *= np.exp(np.minimum(linear, 30.0, out=linear), out=linear)[:, None]
    w = hazard * (block.trials[:, None] - block.events)
    u = -w
    log_likelihood = -float(w.sum()) if likelihood else 0.0
    # events are few, and only they need the expensive part
    hit = np.nonzero(block.events)
    e, y = hazard[hit], block.events[hit]
    odds = e / np.expm1(e)
    u[hit] += y * odds
    w[hit] += y * odds * (e + odds - 1.0)
    if likelihood:
        log_likelihood += float((y * np.log(-np.expm1(-e))).sum())
    return u, w, log_likelihood
