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
    bootstrap_scores,
    describe_influence,
    infer,
)
from assets.methods.design import EstimationError, check_rank
from assets.methods.hazard import HazardFit, expand_steps, fit_hazard
from assets.methods.poisson import PoissonFit, fit_poisson, mark_levels
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
    names, controls = _mark(rows, specification)
    design = np.column_stack([controls, x])
    try:
        if specification.level < 2 and not outcome.repeats:
            found, clusters = _fit_cloglog(panel, design, [*names, _EXPOSURE], cluster)
            return _with(sizes, found, clusters, sizes.n, sizes.events)
        group = number_words(_group(rows, specification))
        if _compares_times(outcome, specification, sizes.event_share):
            lasted, happened = panel.risk.sum(axis=1), panel.events.sum(axis=1)
            nothing = np.zeros(sizes.n)
            fit = fit_stratified_cox(design, nothing, lasted, happened, group, cluster, [*names, _EXPOSURE])
        else:
            fit = fit_poisson(design, panel.events, panel.risk, group, cluster, [*names, _EXPOSURE])
        n = int((np.bincount(group, weights=panel.events.sum(axis=1))[group] > 0).sum())
        place, clusters = fit.place(_EXPOSURE), fit.scores.shape[0]
        if fit.events < MIN_EVENTS:
            return _without(sizes, Caution.FEW_EVENTS)
        return _with(sizes, _infer(fit, place), clusters, n, fit.events)
    except EstimationError as error:
        return _without(sizes, _REASONS[error.reason])


def _keep_known(panel: Panel, exposure: Exposure, specification: Specification) -> Panel:
    """Rows with every number that the specification needs."""
    needed = [exposure.column, *specification.shared, *_numbers(panel.rows, specification)]
    if specification.placebo == "future_plan":
        needed.append("next_emcr")
    return panel.take(panel.rows.select(pl.all_horizontal(_c(n).is_not_null() for n in needed)).to_series())


def _keep_telling(panel: Panel, specification: Specification) -> Panel:
    """Rows whose levels of the controls have a baseline.

    A level with fewer than `MIN_LEVEL_ROWS` rows, or without an event, has none that can be told and compares nobody.
    """
    for name in (*specification.shared, *specification.controls):
        if name not in _numbers(panel.rows, specification):
            seen = panel.rows.select(_c(name), _events=pl.Series(panel.events.sum(axis=1)))
            tells = (pl.len().over(name) >= MIN_LEVEL_ROWS) & (_c("_events").sum().over(name) > 0)
            panel = panel.take(seen.select(tells).to_series())
    return panel


def _numbers(rows: pl.DataFrame, specification: Specification) -> list[str]:
    """Controls that enter as numbers; the others, and all shared effects, enter level by level."""
    return [c for c in specification.controls if rows.schema[c].is_numeric()]


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


def _mark(rows: pl.DataFrame, specification: Specification) -> tuple[list[str], Floats]:
    names: list[str] = []
    columns: list[Floats] = []
    for name in (*specification.shared, *specification.controls):
        if name in _numbers(rows, specification):
            names.append(name)
            columns.append(rows[name].cast(pl.Float64).to_numpy()[:, None])
        else:
            levels, marks = mark_levels(rows[name])
            names += levels
            columns.append(marks)
    if specification.placebo == "future_plan":
        names.append("own exposure")
        columns.append(rows["emcr"].to_numpy()[:, None])
    return names, np.concatenate([np.zeros((rows.height, 0)), *columns], axis=1)


def _group(rows: pl.DataFrame, specification: Specification) -> pl.Series:
    by = {
        "": pl.lit("all"),
        "seller": _c("rep_id"),
        "seller_period": pl.concat_str("rep_id", "period", separator=" "),
    }
    return rows.with_columns(_group=by[specification.absorbed])["_group"]


def number_words(words: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Place of each word among the sorted distinct ones."""
    return words.rank("dense").cast(pl.Int64).to_numpy() - 1


def _fit_cloglog(
    panel: Panel, design: Floats, names: list[str], cluster: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[Inference, int]:
    # a step in which nobody or everybody has the event has an infinitely small or large hazard and compares nobody
    at_risk, hit = (panel.planned > 0).sum(axis=0), panel.events.sum(axis=0)
    used = (hit > 0) & (hit < at_risk)
    events, planned = panel.events[:, used], panel.planned[:, used]
    steps = [f"step {k}" for k in range(1, events.shape[1])]
    columns = ["constant", *steps, *names]
    clusters = int(cluster.max()) + 1
    keep = _independent(design)
    kept = [*range(1 + len(steps)), *(1 + len(steps) + j for j in keep)]
    if design.shape[1] - 1 not in keep:
        raise EstimationError("rank_deficient", (_EXPOSURE,))
    fit = fit_hazard(
        lambda: expand_steps(design[:, keep], events, planned, cluster), [columns[j] for j in kept], clusters
    )
    return _infer(fit, len(kept) - 1), fit.scores.shape[0]


def _independent(design: Floats) -> list[int]:
    """Columns that are no sum of a constant and columns before them."""
    whole = np.column_stack([np.ones(design.shape[0]), design])
    lost = {j - 1 for j in check_rank(whole.T @ whole)}
    return [j for j in range(design.shape[1]) if j not in lost]


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
