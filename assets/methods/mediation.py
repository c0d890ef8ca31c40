"""How much of an association goes through what lies between: linear mediation within groups, clusters drawn anew.

    m_k = a_kg + a_k x + z'c_k        y = u_g + d x + sum of b_k m_k + z'c        y = v_g + t x + z'w

for mediators m_k of exposure x and outcome y, with effects of group g absorbed and covariates z. In linear regressions on the same rows the
product of coefficients and their difference agree exactly, t - d = sum of a_k b_k (MacKinnon, Warsi and Dwyer 1995), so each
mediator has a part of its own and the parts add up. A binary outcome makes differences of shares; differences of logarithms of odds or
hazards would not add up (they change with every covariate, mediator or not).

t is of use as a total and d as a direct part only where nothing unmeasured moves exposure and outcome, exposure and mediator, or
mediator and outcome, no cause of mediator and outcome is itself moved by the exposure, and a mediator does the same at every
exposure (VanderWeele 2015, chapter 2). No regression can see any of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assets.methods.clusters import Floats, Ints
from assets.methods.design import EstimationError, check_rank
from assets.methods.resampling import REPLICATES, draw_totals, read_interval


@dataclass(frozen=True, slots=True)
class Path:
    """One part of the association, in units of the outcome per unit of the exposure, with its 95 % interval.

    `p_value`: two-sided, from the share of replicates on the other side of 0.
    """

    estimate: float
    lo: float
    hi: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Mediation:
    """A decomposed association.

    Attributes:
        total: without the mediators.
        direct: with the mediators held fixed.
        indirect: through all of them: total - direct.
        through: of each mediator, adding up to `indirect`.
        share: indirect / total; its interval means little where that of the total holds 0.
        mediators: names, as in `through`; those that the rest explains in full are left out.
        n: rows in groups of at least two.
        clusters: drawn anew.
    """

    total: Path
    direct: Path
    indirect: Path
    through: tuple[Path, ...]
    share: Path
    mediators: tuple[str, ...]
    n: int
    clusters: int


def decompose_association(
    exposure: Floats,
    mediators: Floats,
    outcome: Floats,
    controls: Floats,
    group: Ints,
    cluster: Ints,
    names: Sequence[str],
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Mediation:
    """Split an association into what goes through mediators and what does not.

    Args:
        exposure: (n,).
        mediators: (n, k).
        outcome: (n,).
        controls: (n, q) covariates without a constant.
        group: (n,) number of the absorbed effect, from 0; a group lies in one cluster.
        cluster: (n,) number of the cluster, from 0.
        names: (k,) of the mediators.
        seed: of the draws.
        replicates: how often clusters are drawn.

    Raises:
        EstimationError: `no_within_variation` where the exposure does not vary within groups or the controls explain it in full.
    """
    count = controls.shape[1]
    columns = np.column_stack([controls, exposure, mediators, outcome])
    counts = np.bincount(group)
    used = counts[group] > 1
    if not used.any():
        raise EstimationError("no_within_variation", ("exposure",))
    crossed = _cross_by_cluster(columns[used], group[used], cluster[used])
    whole = crossed.sum(axis=0)
    size = (columns[used, :-1] ** 2).sum(axis=0)
    nothing = np.flatnonzero(np.diag(whole)[:-1] <= 1e-12 * size).tolist()
    lost = {*check_rank(whole[:-1, :-1]), *nothing}
    if count in lost:
        raise EstimationError("no_within_variation", ("exposure",))
    kept = [j for j in range(columns.shape[1]) if j not in lost]
    before = sum(j < count for j in kept)
    width = len(kept)
    own = crossed[:, kept][:, :, kept].reshape(crossed.shape[0], -1)
    totals = draw_totals(own, replicates, seed).reshape(-1, width, width)
    parts = _solve(totals, before)
    units = crossed.shape[0]
    total, direct, through = parts[:, 0], parts[:, 1], parts[:, 2:]
    indirect = through.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = indirect / total
    return Mediation(
        total=_read(total, units),
        direct=_read(direct, units),
        indirect=_read(indirect, units),
        through=tuple(_read(through[:, k], units) for k in range(through.shape[1])),
        share=_read(share, units),
        mediators=tuple(names[j - count - 1] for j in kept if count < j < columns.shape[1] - 1),
        n=int(used.sum()),
        clusters=units,
    )


def _cross_by_cluster(columns: Floats, group: Ints, cluster: Ints) -> Floats:
    """(G, p, p) cross products within groups, summed by cluster; whole clusters a batch at a time."""
    order = np.lexsort((group, cluster))
    columns, group, cluster = columns[order], group[order], cluster[order]
    starts = np.flatnonzero(np.diff(group, prepend=group[:1] - 1) | np.diff(cluster, prepend=cluster[:1] - 1))
    sizes = np.diff(np.append(starts, group.size))
    means = np.add.reduceat(columns, starts, axis=0) / sizes[:, None]
    columns = columns - np.repeat(means, sizes, axis=0)
    first = np.flatnonzero(np.diff(cluster, prepend=cluster[:1] - 1))
    width = columns.shape[1]
    crossed = np.empty((first.size, width, width))
    for j in range(width):
        crossed[:, j, :] = np.add.reduceat(columns * columns[:, j : j + 1], first, axis=0)
    return crossed


def _solve(totals: Floats, before: int) -> Floats:
    """(r, 2 + k) total, direct and each mediator's part, of each of r matrices of cross products.

    Columns are controls (`before` of them), exposure, mediators, outcome. NaN where the draw left nothing to tell.
    """
    scale = np.sqrt(np.maximum(np.einsum("rii->ri", totals), np.finfo(float).tiny))
    scaled = totals / scale[:, :, None] / scale[:, None, :]
    short, last = before + 1, totals.shape[1] - 1
    mediators = range(short, last)
    # exposure and controls alone, held against the mediators and the outcome at once
    first = _regress(scaled, short, [*mediators, last])[:, before]
    full = _regress(scaled, last, [last])[:, before:, 0]
    step = scale[:, before]
    y = scale[:, last] / step
    through = first[:, :-1] * full[:, 1:] * y[:, None]
    return np.column_stack([first[:, -1] * y, full[:, 0] * y, through])


def _regress(scaled: Floats, width: int, targets: list[int]) -> Floats:
    """(r, width, t) coefficients of the first `width` columns for each target."""
    left, right = scaled[:, :width, :width], scaled[:, :width][:, :, targets]
    found = np.full((scaled.shape[0], width, len(targets)), np.nan)
    # a draw in which a column has no variation left has no answer
    told = np.linalg.eigvalsh(left)[:, 0] > 1e-9
    found[told] = np.linalg.solve(left[told], right[told])
    return found


def _read(values: Floats, clusters: int) -> Path:
    interval = read_interval(values, clusters)
    drawn = values[1:][~np.isnan(values[1:])]
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p_value = min(1.0, 2 * (beyond + 1) / (drawn.size + 1)) if drawn.size else float("nan")
    return Path(float(interval.estimate), float(interval.lo), float(interval.hi), p_value)
