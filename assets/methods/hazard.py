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

from assets.methods.clusters import Floats, Ints, cluster_covariance, sum_by_cluster
from assets.methods.design import EstimationError, check_rank, solve_step

BLOCK_ROWS: Final = 1 << 16
"""Rows are always added up in blocks of this many, wherever the chunks end: the pieces a panel comes in change no bit."""

_SETTLED: Final = (
    1e-10  # Newton's decrement, in units of log-likelihood: the next step would move nothing that is printed
)
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
        scores: (G, p) score of each cluster at the maximum.
        covariance: (p, p) cluster-robust.
        log_likelihood: at the maximum, up to the binomial coefficients.
        n: trials.
        events: events.
    """

    names: tuple[str, ...]
    coefficients: Floats
    information: Floats
    scores: Floats
    covariance: Floats
    log_likelihood: float
    n: int
    events: int

    @property
    def errors(self) -> Floats:
        """(p,) cluster-robust standard errors."""
        return np.sqrt(np.diag(self.covariance))


def fit_hazard(
    chunks: Callable[[], Iterable[Chunk]], names: Sequence[str], clusters: int, *, start: Floats | None = None
) -> HazardFit:
    """Fit the hazard by maximum likelihood.

    Args:
        chunks: gives the panel once per call, in pieces of any size, always in the same order of rows.
        names: of the columns of `x`.
        clusters: number of clusters.
        start: (p,) where to begin.

    Raises:
        EstimationError: with the columns concerned and the reason: `no_events`, `rank_deficient` (a column is a sum of
            others), `separated` (an infinite hazard ratio would fit best).
    """
    width = len(names)
    first = _Sums.zero(width)
    gram = np.zeros((width, width))
    for block in reblock(chunks()):
        gram += (block.x * block.trials[:, None]).T @ block.x
        first.n += float(block.trials.sum())
        first.events += float(block.events.sum())
    if first.events == 0:
        raise EstimationError("no_events", ())
    if dependent := check_rank(gram):
        raise EstimationError("rank_deficient", tuple(names[i] for i in dependent))
    coefficients = _begin(chunks, width) if start is None else start
    for _ in range(_PASSES):
        sums = _Sums.zero(width)
        for block in reblock(chunks()):
            sums.add(block, coefficients)
        step = solve_step(sums.information, sums.score)
        decrement = float(step @ sums.score)
        if decrement < _SETTLED:
            break
        coefficients = coefficients + _shorten(step, gram, first.n)
        _refuse_separation(coefficients, gram, first.n, names)
    else:
        raise EstimationError("separated", tuple(names))
    coefficients = coefficients + step
    scores = np.zeros((clusters, width))
    information = np.zeros((width, width))
    log_likelihood = 0.0
    for block in reblock(chunks()):
        u, w, likelihood = _derivatives(block, coefficients)
        scores += sum_by_cluster(block.x * u[:, None], block.cluster, clusters)
        information += (block.x * w[:, None]).T @ block.x
        log_likelihood += likelihood
    seen = scores[np.any(scores != 0, axis=1)]
    return HazardFit(
        tuple(names), coefficients, information, scores, cluster_covariance(information, seen, int(first.n)),
        log_likelihood, int(first.n), int(first.events),
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


@dataclass(slots=True)
class _Sums:
    """What one pass over the panel leaves."""

    information: Floats
    score: Floats
    n: float = 0.0
    events: float = 0.0

    @classmethod
    def zero(cls, width: int) -> _Sums:
        return cls(np.zeros((width, width)), np.zeros(width))

    def add(self, block: Chunk, coefficients: Floats) -> None:
        u, w, _ = _derivatives(block, coefficients, likelihood=False)
        self.information += (block.x * w[:, None]).T @ block.x
        self.score += block.x.T @ u


def _derivatives(
    block: Chunk, coefficients: Floats, *, likelihood: bool = True
) -> tuple[Floats, Floats, float]:
    """First derivative and minus the second of each row's log-likelihood in the linear predictor, and the sum of it."""
    hazard = np.exp(np.clip(block.x @ coefficients + block.offset, -700.0, 30.0))
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


def _begin(chunks: Callable[[], Iterable[Chunk]], width: int) -> Floats:
    """A start: least squares for a constant log hazard, so that no first step is wild."""
    gram, against = np.zeros((width, width)), np.zeros(width)
    events = exposure = 0.0
    for block in reblock(chunks()):
        gram += block.x.T @ block.x
        against += block.x.sum(axis=0)
        events += float(block.events.sum())
        exposure += float((block.trials * np.exp(block.offset)).sum())
    constant: Floats = np.linalg.lstsq(gram, against * np.log(events / exposure), rcond=None)[0]
    return constant


def _shorten(step: Floats, gram: Floats, n: float) -> Floats:
    """A step no longer than 2 in any covariate's standard unit: Newton overshoots from far away."""
    reach = np.abs(step) * np.sqrt(np.diag(gram) / n)
    longest = float(reach.max())
    return step if longest <= 2 else step * (2 / longest)


def _refuse_separation(coefficients: Floats, gram: Floats, n: float, names: Sequence[str]) -> None:
    far = np.abs(coefficients) > _DIVERGED / np.maximum(np.sqrt(np.diag(gram) / n), 1.0)
    if np.any(far):
        raise EstimationError("separated", tuple(name for name, f in zip(names, far, strict=True) if f))


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
