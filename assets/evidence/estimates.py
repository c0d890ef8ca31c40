"""One exposure against one outcome under one specification: which estimator, and what it found.

Levels 0 and 1: complementary log-log hazard for what happens once, Poisson for what repeats. Level 2: Poisson with the
seller's effects absorbed, on the same rows; where times count within a seller's pay period, the stratified partial likelihood. Errors are clustered by seller; under 40 sellers the wild bootstrap of the
scores takes the place of the t interval.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from assets.evidence.panels import Panel
from assets.evidence.specifications import Exposure, Outcome, Specification
from assets.methods.bands import inverted_cdf
from assets.methods.clusters import (
    FEW_CLUSTERS,
    Floats,
    Inference,
    Ints,
    bootstrap_scores,
    describe_influence,
    infer,
)
from assets.methods.design import Design, EstimationError, check_rank, cross_cells
from assets.methods.hazard import Chunk, HazardFit, fit_hazard
from assets.methods.poisson import PoissonFit, fit_poisson, number_levels
from assets.methods.risk_sets import fit_stratified_cox
from expectations.cautions import Caution

_c = pl.col

MIN_EVENTS: Final = 20
MIN_LEVEL_ROWS: Final = 20
COMMON_SHARE: Final = 0.5
"""With more events than this, or with groups as small as a seller's period, the time at risk is itself the outcome, and Poisson
regression with absorbed effects finds ratios too far from 1 (1.33 for 1.30 planted): the partial likelihood takes its place."""

_EXPOSURE: Final = "_exposure"
_SHUFFLE_SEED: Final = 20_240_229
_REASONS: Final = {
    "no_events": Caution.FEW_EVENTS,
    "separated": Caution.SEPARATED,
    "no_within_variation": Caution.NO_WITHIN_VARIATION,
    "rank_deficient": Caution.NO_WITHIN_VARIATION,
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What was found.

    Attributes:
        ratio: per step of the exposure, with its interval; None where there is no estimate.
        p_value: two-sided, of a ratio of 1.
        n: rows used: at level 2 those of sellers' periods with an event.
        events: events among them.
        n_sellers: clusters among them.
        n_accounts: customers among them.
        event_share: share of the rows at risk with an event.
        estimator: in words.
        cautions: found while fitting.
    """

    n: int
    events: int
    n_sellers: int
    n_accounts: int
    event_share: float
    estimator: str
    ratio: tuple[float, float, float] | None = None
    p_value: float | None = None
    cautions: frozenset[Caution] = field(default_factory=frozenset)


def estimate_effect(
    panel: Panel, exposure: Exposure, specification: Specification, outcome: Outcome
) -> Estimate | None:
    """Fit one row of the table; None where no row of the panel has the exposure (and what the specification compares within)."""
    panel = _keep_known(panel, exposure, specification)
    if panel.events.sum() >= MIN_EVENTS:
        panel = _keep_telling(panel, specification)
    rows = panel.rows
    if rows.is_empty():
        return None
    x = _measure(rows, exposure, specification)
    cluster = number_words(rows["rep_id"])
    sizes = Estimate(
        n=rows.height,
        events=int(panel.events.sum()),
        n_sellers=rows["rep_id"].n_unique(),
        n_accounts=rows["account_id"].n_unique(),
        event_share=float((panel.events.sum(axis=1) > 0).mean()),
        estimator="",
    )
    sizes = replace(sizes, estimator=_name_estimator(outcome, specification, sizes.event_share))
    if sizes.events < MIN_EVENTS:
        return _without(sizes, Caution.FEW_EVENTS)
    names, design = _lay_out(rows, specification, x)
    try:
        if specification.level < 2 and not outcome.repeats:
            found, clusters = _fit_cloglog(panel, design, names, cluster)
            return _with(sizes, found, clusters, sizes.n, sizes.events)
        group = _number_groups(rows, specification, cluster)
        if _compares_times(outcome, specification, sizes.event_share):
            lasted, happened = panel.risk.sum(axis=1), panel.events.sum(axis=1)
            fit = fit_stratified_cox(design, np.zeros(sizes.n), lasted, happened, group, cluster, names)
        else:
            fit = fit_poisson(design, panel.events, panel.risk, group, cluster, names)
        n = int((np.bincount(group, weights=panel.events.sum(axis=1))[group] > 0).sum())
        place, clusters = fit.place(_EXPOSURE), fit.scores.shape[0]
        if fit.events < MIN_EVENTS:
            return _without(sizes, Caution.FEW_EVENTS)
        return _with(sizes, _infer(fit, place), clusters, n, fit.events)
    except EstimationError as error:
        return _without(sizes, _REASONS[error.reason])


def _keep_known(panel: Panel, exposure: Exposure, specification: Specification) -> Panel:
    """Rows with every number that the specification needs, and of their facts those that it uses."""
    needed = [exposure.column, *specification.shared, *_numbers(panel.rows, specification)]
    if specification.placebo == "future_plan":
        needed += ["next_emcr", "emcr"]
    facts = dict.fromkeys(["rep_id", "account_id", "period", *needed, *specification.controls])
    known = panel.rows.select(pl.all_horizontal(_c(n).is_not_null() for n in needed)).to_series()
    return replace(panel, rows=panel.rows.select(*facts)).take(known)


def _keep_telling(panel: Panel, specification: Specification) -> Panel:
    """Rows whose levels of the controls have a baseline.

    A level with fewer than `MIN_LEVEL_ROWS` rows, or without an event, has none that can be told and compares nobody.
    """
    events = panel.events.sum(axis=1)
    kept = np.ones(events.size, dtype=bool)
    for name in _levels(panel.rows, specification):
        _, level, _ = number_levels(panel.rows[name])
        tells = np.bincount(level, weights=kept) >= MIN_LEVEL_ROWS
        kept &= (tells & (np.bincount(level, weights=events * kept) > 0))[level]
    return panel.take(pl.Series(kept))


def _numbers(rows: pl.DataFrame, specification: Specification) -> list[str]:
    """Controls that enter as numbers; the others, and all shared effects, enter level by level."""
    return [c for c in specification.controls if rows.schema[c].is_numeric()]


def _levels(rows: pl.DataFrame, specification: Specification) -> list[str]:
    numbers = _numbers(rows, specification)
    return [name for name in (*specification.shared, *specification.controls) if name not in numbers]


def _measure(rows: pl.DataFrame, exposure: Exposure, specification: Specification) -> Floats:
    """(n,) the exposure in steps, cut at its percentiles where the specification says so, or what takes its place."""
    column = "next_emcr" if specification.placebo == "future_plan" else exposure.column
    values = _c(column).cast(pl.Float64)
    if specification.winsorised and rows.schema[column].is_numeric():
        values = values.clip(inverted_cdf(values, 1, 100), inverted_cdf(values, 99, 100))
    x = rows.select(values / exposure.step).to_series().to_numpy().copy()
    if specification.placebo == "shuffled_exposure":
        x = x[np.random.default_rng(_SHUFFLE_SEED).permutation(x.size)]
    return np.asarray(x, dtype=np.float64)


def _lay_out(rows: pl.DataFrame, specification: Specification, x: Floats) -> tuple[list[str], Design]:
    """A constant, the controls, and last the exposure, with their names."""
    names, parts = ["constant"], [(np.zeros(x.size, dtype=np.int64), np.ones((1, 1)))]
    for name in _levels(rows, specification):
        levels, level, marks = number_levels(rows[name])
        names += levels
        parts.append((level, marks))
    numbers = _numbers(rows, specification)
    if specification.placebo == "future_plan":
        numbers.append("emcr")
    columns = [*(rows[name].cast(pl.Float64).to_numpy() for name in numbers), x]
    return [*names, *numbers, _EXPOSURE], Design(*cross_cells(parts), np.column_stack(columns))


def _number_groups(rows: pl.DataFrame, specification: Specification, seller: Ints) -> Ints:
    """(n,) number of the absorbed effect."""
    if not specification.absorbed:
        return np.zeros(seller.size, dtype=np.int64)
    if specification.absorbed == "seller":
        return seller
    period = number_words(rows["period"])
    return _renumber(seller * (int(period.max()) + 1) + period)


def number_words(words: pl.Series) -> Ints:
    """Place of each word among the sorted distinct ones."""
    if words.dtype != pl.Enum:
        words = words.cast(pl.Enum(words.unique().sort()))
    return _renumber(words.to_physical().cast(pl.Int64).to_numpy())


def _renumber(codes: Ints) -> Ints:
    there = np.bincount(codes) > 0
    return (np.cumsum(there) - 1)[codes]


def _fit_cloglog(panel: Panel, design: Design, names: list[str], cluster: Ints) -> tuple[Inference, int]:
    # a step in which nobody or everybody has the event has an infinitely small or large hazard and compares nobody
    at_risk, hit = (panel.planned > 0).sum(axis=0), panel.events.sum(axis=0)
    used = (hit > 0) & (hit < at_risk)
    steps = [f"step {k}" for k in range(1, int(used.sum()))]
    lost = check_rank(design.cross(np.ones(cluster.size)))
    if design.width - 1 in lost:
        raise EstimationError("rank_deficient", (_EXPOSURE,))
    keep = [j for j in range(design.width) if j not in lost]
    rows = Chunk(
        design.keep(keep), panel.events[:, used], np.ones(cluster.size), panel.planned[:, used], cluster
    )
    columns = [*steps, *(names[j] for j in keep)]
    fit = fit_hazard(lambda: [rows], columns, int(cluster.max()) + 1)
    return _infer(fit, len(columns) - 1), fit.scores.shape[0]


def _infer(fit: HazardFit | PoissonFit, place: int) -> Inference:
    estimate, clusters = float(fit.coefficients[place]), fit.scores.shape[0]
    if clusters < FEW_CLUSTERS:
        return bootstrap_scores(
            estimate, *describe_influence(fit.information, fit.scores, fit.by_cluster, place)
        )
    return infer(estimate, float(fit.errors[place]), clusters)


def _compares_times(outcome: Outcome, specification: Specification, event_share: float) -> bool:
    """Whether level 2 holds times against one another instead of events against time at risk."""
    return outcome.timed and (specification.absorbed == "seller_period" or event_share > COMMON_SHARE)


def _name_estimator(outcome: Outcome, specification: Specification, event_share: float) -> str:
    if specification.level < 2:
        return "Poisson" if outcome.repeats else "complementary log-log hazard"
    who = {"seller": "seller", "seller_period": "seller-period"}[specification.absorbed]
    shared = "".join(f" and {name.replace('_', ' ')} effects" for name in specification.shared)
    if _compares_times(outcome, specification, event_share):
        return f"partial likelihood within {who}{shared}"
    return f"Poisson with {who} effects{shared}"


def _without(sizes: Estimate, caution: Caution) -> Estimate:
    return Estimate(
        sizes.n, sizes.events, sizes.n_sellers, sizes.n_accounts, sizes.event_share, sizes.estimator,
        cautions=frozenset({caution}),
    )  # fmt: skip


def _with(sizes: Estimate, found: Inference, clusters: int, n: int, events: int) -> Estimate:
    few = {Caution.FEW_CLUSTERS} if clusters < FEW_CLUSTERS else set()
    if not np.isfinite([found.error, found.lo, found.hi]).all():
        return _without(sizes, Caution.FEW_CLUSTERS)
    with np.errstate(over="ignore"):
        ratio = tuple(float(v) for v in np.exp([found.estimate, found.lo, found.hi]))
    return Estimate(
        n, events, clusters, sizes.n_accounts, sizes.event_share, sizes.estimator,
        (ratio[0], ratio[1], ratio[2]), found.p_value, frozenset(few),
    )  # fmt: skip
