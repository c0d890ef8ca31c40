"""The marginal commission rate a forward-looking seller sees: pay as a piecewise line under an uncertain period end.

A plan at a given quota is a line with kinks and notches (`PayShape`). When the credit at period end is Normal, the
expected slope is the sum of slope changes times the chance to pass them, plus every jump times the density there:
E[C'(S)] + sum of J_k f(L_k). For a deal of size x the finite form E[C(S + x/2) - C(S - x/2)] / x is exact and has that
limit. Floats throughout: an expectation has no cents. How the forecast is made does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtr

from assets.methods.commission import Schedules
from assets.methods.exact import UNIT
from assets.methods.pay_curve import list_bounds, target_units

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PayShape:
    """C(s) of n positions as lines from point to point, right-continuous.

    Attributes:
        at: (n, J) credits in money where slope or value changes, rising; +inf is padding.
        value: (n, J) pay at the point, money.
        slope: (n, J) money per unit of credit from the point on.
        start: (n,) pay below the first point, money.
    """

    at: Floats
    value: Floats
    slope: Floats
    start: Floats

    def changes(self) -> tuple[Floats, Floats]:
        """Slope changes and jumps at every point, (n, J) each; 0 at padding."""
        real = np.isfinite(self.at)
        at = np.where(real, self.at, 0.0)
        slope_before = np.hstack([np.zeros((len(at), 1)), self.slope[:, :-1]])
        reached = self.value[:, :-1] + self.slope[:, :-1] * (at[:, 1:] - at[:, :-1])
        value_before = np.hstack([self.start[:, None], reached])
        return np.where(real, self.slope - slope_before, 0.0), np.where(real, self.value - value_before, 0.0)

    def pay(self, credit: Floats) -> Floats:
        """Pay at (n, k) credits, money; a point within a millionth of a cent is reached."""
        paid = np.repeat(self.start[:, None], credit.shape[1], axis=1)
        for j in range(self.at.shape[1]):
            at = self.at[:, j, None]
            beyond = np.where(np.isfinite(at), credit - at, -1.0)
            paid = np.where(beyond >= -1e-8, self.value[:, j, None] + self.slope[:, j, None] * beyond, paid)
        return paid


def shape_pay(positions: pl.DataFrame, schedules: Schedules) -> PayShape:
    """The line every position is paid along: tier edges, gate, and where floor and cap bind.

    Args:
        positions: the columns of `schedules.key`, `quota_amount` Decimal(18,2); optional: `draw`, `target_pay`, `days_counted`,
            `days_in_period` as in `price_positions`, and `pay_scale`, `pay_elsewhere`, both Float64, of a component of a plan paid as
            a whole: the line is then clamp(scale C + elsewhere) in money.
        schedules: from `compile_schedules`.

    Returns:
        PayShape with one row per position, in order. A position that cannot be priced has NaN values.
    """
    plan = positions.join(schedules.rows, on=schedules.key, how="left", maintain_order="left")
    quota = _float(plan, pl.col("quota_amount"))
    unpriced = plan.select(
        (pl.col("_fault").is_not_null() | pl.col("_needs_quota").is_null())
        | (pl.col("_needs_quota") & (pl.col("quota_amount") > 0).not_().fill_null(value=True))
    ).to_series()
    quota = np.where(np.isnan(quota), 0.0, quota)
    names = plan.columns
    scale, elsewhere = (
        _float(plan, pl.col(name)) if name in names else np.full(plan.height, default)
        for name, default in (("pay_scale", 1.0), ("pay_elsewhere", 0.0))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share = _float(plan, target_units(names)) / 1e10 / quota
    slope = np.where(np.isnan(share), 1.0, share) * scale
    tiers = [k for k in range(schedules.depth) if k == 0 or plan[f"_edge_{k}"].null_count() < plan.height]
    edges = _floats(plan, *(pl.col(f"_edge_{k}") for k in tiers)) / UNIT * quota[:, None]
    curve = _Curve(
        edges=np.where(np.isnan(edges), np.inf, edges),
        steps=_floats(plan, *(pl.col(f"_step_{k}") for k in tiers)) / UNIT * slope[:, None],
        lumps=_floats(plan, *(pl.col(f"_lump_{k}") for k in tiers)) / 100 * scale[:, None],
        elsewhere=elsewhere,
        gate=_float(plan, pl.col("_gate").fill_null(0)) / UNIT * quota,
        paid_from=_float(plan, pl.col("_paid_from").fill_null(0)) / UNIT * quota,
        retroactive=plan["_retroactive"].fill_null(value=False).to_numpy(),
    )
    floor, cap = (_float(plan, bound) / 100 for bound in list_bounds(names))
    floor, cap = np.fmax(floor, -np.inf), np.fmin(cap, np.inf)
    start = np.where(unpriced.to_numpy(), np.nan, np.clip(elsewhere, floor, cap))
    points = np.sort(np.hstack([curve.edges, curve.gate[:, None]]), axis=1)
    bounds = [bound for bound in (floor, cap) if np.isfinite(bound).any()]
    if bounds:
        points = np.sort(np.hstack([points, *(_crossings(curve, points, bound) for bound in bounds)]), axis=1)
    points = points[:, : max(1, int(np.isfinite(points).sum(axis=1).max(initial=0)))]
    value, slope = curve.pay(points)
    following = np.hstack([points[:, 1:], np.full((len(points), 1), np.inf)])
    middle = np.where(np.isfinite(following), (points + following) / 2, points + 1.0)
    inside, _ = curve.pay(middle)
    is_free = (inside > floor[:, None]) & (inside < cap[:, None])
    known = np.isfinite(start)[:, None]
    return PayShape(
        at=points,
        value=np.where(known, np.clip(value, floor[:, None], cap[:, None]), np.nan),
        slope=np.where(known, np.where(is_free, slope, 0.0), np.nan),
        start=start,
    )


def expect_marginal_rate(
    shape: PayShape, mean: Floats, deviation: Floats, credit: Floats | None = None
) -> Floats:
    """Expected marginal rate when the credit at period end is Normal(mean, deviation).

    Args:
        shape: n positions.
        mean: (n,) money. In the finite form S_T includes half of the deal (10-definitions, Forward).
        deviation: (n,) money, >= 0; 0 is a certain forecast and needs `credit`.
        credit: (n,) size x of the deal in money, > 0; None for the limit at x = 0.

    Returns:
        (n,) money per unit of credit; NaN where the position has no price or the forecast is not finite.
    """
    slope_change, jump = shape.changes()
    at = np.where(np.isfinite(shape.at), shape.at, 0.0)
    if credit is None:
        z = _standardise(mean[:, None] - at, deviation[:, None])
        with np.errstate(divide="ignore", invalid="ignore"):
            density = np.exp(-(z**2) / 2) / (np.sqrt(2 * np.pi) * deviation[:, None])
        limit = (slope_change * ndtr(z) + np.where(jump == 0, 0.0, jump * density)).sum(axis=1)
        return np.where(np.isnan(shape.start), np.nan, limit)
    half = credit / 2
    upper, lower = (
        _expect_pay(slope_change, jump, m[:, None] - at, deviation) for m in (mean + half, mean - half)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((credit > 0) & ~np.isnan(shape.start), (upper - lower) / credit, np.nan)


def _expect_pay(slope_change: Floats, jump: Floats, ahead: Floats, deviation: Floats) -> Floats:
    """E[C(S)] up to a constant; `ahead` is mean minus point, (n, J)."""
    z = _standardise(ahead, deviation[:, None])
    chance = ndtr(z)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    excess = ahead * chance + deviation[:, None] * density  # E[max(S - point, 0)]
    total: Floats = (slope_change * excess + jump * chance).sum(axis=1)
    return total


def _standardise(ahead: Floats, deviation: Floats) -> Floats:
    """`ahead` in standard deviations; without deviation a point is passed (the edge belongs above) or not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z: Floats = np.where(deviation > 0, ahead / deviation, np.where(ahead >= 0, np.inf, -np.inf))
    return np.where(np.isnan(ahead) | np.isnan(deviation), np.nan, z)


@dataclass(frozen=True, slots=True)
class _Curve:
    """Unbounded pay of n positions in floats; edges (n, K) in money with +inf as padding, pay `elsewhere` (n,) on top."""

    edges: Floats
    steps: Floats
    lumps: Floats
    gate: Floats
    paid_from: Floats
    retroactive: npt.NDArray[np.bool_]
    elsewhere: Floats

    def pay(self, credit: Floats) -> tuple[Floats, Floats]:
        """C and its right-hand slope at (n, J) credits."""
        value, slope = np.zeros_like(credit), np.zeros_like(credit)
        finite = np.where(np.isfinite(credit), credit, 0.0)
        from_ = self.paid_from[:, None]
        for k in range(self.edges.shape[1]):
            edge, step, lump = (a[:, k, None] for a in (self.edges, self.steps, self.lumps))
            is_reached = finite >= edge
            slope += np.where(is_reached, step, 0.0)
            start = np.where(self.retroactive[:, None] | ~is_reached, from_, np.maximum(edge, from_))
            counted = finite - start
            value += np.where(is_reached, step * counted + lump, 0.0)
        is_open = (finite >= self.gate[:, None]) & (finite >= 0)
        return np.where(is_open, value, 0.0) + self.elsewhere[:, None], np.where(is_open, slope, 0.0)


def _crossings(curve: _Curve, points: Floats, bound: Floats) -> Floats:
    """Credits between two points where unbounded pay meets a bound, (n, J); +inf where it does not."""
    value, slope = curve.pay(points)
    following = np.hstack([points[:, 1:], np.full((len(points), 1), np.inf)])
    with np.errstate(divide="ignore", invalid="ignore"):
        meets = points + (bound[:, None] - value) / slope
    is_between = np.isfinite(points) & np.isfinite(meets) & (meets > points) & (meets < following)
    return np.where(is_between, meets, np.inf)


def _floats(frame: pl.DataFrame, *columns: pl.Expr) -> Floats:
    """Columns (k of n rows) as float64 (n, k), null as NaN; k may be 1: a plan with one tier is a plan."""
    values = frame.select(c.cast(pl.Float64).fill_null(float("nan")) for c in columns).to_numpy()
    return np.ascontiguousarray(values, dtype=np.float64)


def _float(frame: pl.DataFrame, column: pl.Expr) -> Floats:
    """One column of n rows as float64 (n,), null as NaN."""
    array: Floats = _floats(frame, column)[:, 0]
    return array
