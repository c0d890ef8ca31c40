"""Time to an event in steps: the complementary log-log hazard, clustered, fitted from sums that add up over partitions.

    P(event in a step | at risk) = 1 - exp(-exp(x'b + offset))

which is the proportional-hazards model seen at the ends of steps (Prentice and Gloeckler 1978): exp(b) is a hazard ratio,
whatever the width of the steps, when the offset is the logarithm of the time at risk. Newton's method on the observed
information; every pass over the data keeps only X'WX, X'u and, the last one, scores per cluster. Equal rows may be given
once with their number of trials and events. Which rows are at risk is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assets.methods.clusters import FEW_CLUSTERS, Floats, Ints, cluster_covariance, sum_by_cluster
from assets.methods.design import EstimationError, check_rank, cross_products, predict, solve_step

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
    """Some rows of a panel; arrays of length n.

    Attributes:
        x: (n, p) covariates, the constant among them.
        events: events among the trials, 0 to `trials`.
        trials: persons at risk that the row stands for.
        offset: logarithm of the time at risk in the step, 0 for a whole one.
        cluster: number of the row's cluster, from 0.
    """

    x: Floats
    events: Floats
    trials: Floats
    offset: Floats
    cluster: Ints


@dataclass(frozen=True, slots=True)
class HazardFit:
    """A fitted hazard.

    Attributes:
        names: (p,) covariates.
        coefficients: (p,) log hazard ratios.
        information: (p, p) observed information.
        scores: (G, p) score of each cluster with rows at the maximum.
        by_cluster: (G, p, p) information of each of them where they are few, else (0, p, p).
        covariance: (p, p) cluster-robust.
        log_likelihood: at the maximum, up to the binomial coefficients.
        n: trials.
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
        names: of the columns of `x`.
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
        scores += sum_by_cluster(block.x * u[:, None], block.cluster, clusters)
        seen[block.cluster] = True
        information += cross_products(block.x * w[:, None], block.x)
        for place in range(by_cluster.shape[0]):
            own = block.cluster == place
            by_cluster[place] += (block.x[own] * w[own, None]).T @ block.x[own]
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
    offset: str = "offset",
) -> pl.LazyFrame:
    """Equal rows of a panel as one, with `trials` and `events`, in a fixed order: nothing is lost, sums are whole numbers.

    Args:
        panel: one row per person and step: `covariates`, `cluster`, `events` (Boolean or 0/1), `offset`.
        covariates: columns whose values make a cell, with the offset.
        cluster: column of the cluster, part of the cell.
        events: whether the step ended in the event.
        offset: logarithm of the time at risk.
    """
    keys = [cluster, *covariates, offset]
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
        chunk.x[part], chunk.events[part], chunk.trials[part], chunk.offset[part], chunk.cluster[part]
    )


def _join(parts: list[Chunk]) -> Chunk:
    if len(parts) == 1:
        return parts[0]
    return Chunk(
        np.concatenate([p.x for p in parts]),
        np.concatenate([p.events for p in parts]),
        np.concatenate([p.trials for p in parts]),
        np.concatenate([p.offset for p in parts]),
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
        self.n += float(block.trials.sum())
        self.events += float(block.events.sum())
        self.exposure += float((block.trials * np.exp(block.offset)).sum())
        weighted = block.x * block.trials[:, None]
        self.gram += cross_products(weighted, block.x)
        self.total += weighted.sum(axis=0)
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
            information += cross_products(block.x * w[:, None], block.x)
            score += cross_products(block.x, u[:, None])[:, 0]
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


def _derivatives(
    block: Chunk, coefficients: Floats, *, likelihood: bool = True
) -> tuple[Floats, Floats, float]:
    """First derivative and minus the second of each row's log-likelihood in the linear predictor, and the sum of it."""
    linear = predict(block.x, coefficients)
    linear += block.offset
    hazard = np.exp(np.minimum(linear, 30.0, out=linear), out=linear)
    spared = (block.trials - block.events) * hazard
    u, w = -spared, spared.copy()
    log_likelihood = -float(spared.sum()) if likelihood else 0.0
    # events are few, and only they need the expensive part
    hit = np.flatnonzero(block.events)
    e, y = hazard[hit], block.events[hit]
    odds = e / np.expm1(e)
    u[hit] += y * odds
    w[hit] += y * odds * (e + odds - 1.0)
    if likelihood:
        log_likelihood += float((y * np.log(-np.expm1(-e))).sum())
    return u, w, log_likelihood


def expand_steps(
    x: Floats, events: Floats, planned: Floats, cluster: Ints, *, rows: int = BLOCK_ROWS
) -> Iterator[Chunk]:
    """The panel of persons followed through steps, a few persons at a time: it is never held as a whole.

    Args:
        x: (n, p) covariates without a constant.
        events: (n, K) whether the step ended in the event.
        planned: (n, K) time the person would have been at risk in the step but for the event, 0 for none.
        cluster: (n,) number of the cluster.
        rows: persons at a time.

    Yields:
        Chunks with the columns: constant, steps after the first, covariates.
    """
    steps = planned.shape[1]
    for first in range(0, cluster.size, rows):
        part = slice(first, first + rows)
        person, step = np.nonzero(planned[part] > 0)
        marks = (step[:, None] == np.arange(1, steps)).astype(np.float64)
        yield Chunk(
            np.concatenate([np.ones((person.size, 1)), marks, x[part][person]], axis=1),
            events[part][person, step],
            np.ones(person.size),
            np.log(planned[part][person, step]),
            cluster[part][person],
        )
