"""Bunching at a threshold: how many more end just past it than a smooth distribution would have.

Counts c_j in bins of the running variable, j = 0 the bin that starts at the threshold, are fitted by a polynomial with a
dummy for every bin of the window around it (Chetty, Friedman, Olsen and Pistaferri 2011):

    c_j = sum_i beta_i j^i + sum_{k in window} gamma_k 1[j = k] + e_j

The polynomial without the dummies is the counterfactual. B is what the excess bins hold above it, M what the missing bins
hold below it (a notch moves people out of [L - d, L) into [L, L + d), Kleven and Waseem 2013), b = B / counterfactual at
j = 0. Those who bunch came from one side: the integration constraint raises the counts there by (1 + N / their sum), N the
net excess over the window, until both sides of the equation agree. N is linear in that factor, so it is solved, not iterated.

This is no regression discontinuity: people choose on which side of a pay threshold they end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Side = Literal["left", "right", "none"]

SPARE_BINS: Final = 2
"""Bins that must be left over once every coefficient has one: a polynomial through every bin says nothing."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Bins and what each of them is for.

    Attributes:
        position: (j,) consecutive whole numbers; bin 0 starts at the threshold.
        is_excess: (j,) bins where bunchers end.
        is_missing: (j,) bins they left; none for a kink.
        is_set_aside: (j,) further bins kept out of the fit, such as the windows of other thresholds.
    """

    position: Ints
    is_excess: Flags
    is_missing: Flags
    is_set_aside: Flags

    @property
    def is_window(self) -> Flags:
        """Bins with a dummy of their own that the integration constraint balances."""
        return self.is_excess | self.is_missing


@dataclass(frozen=True, slots=True)
class Bunching:
    """Fits of b rows of counts; arrays (b,).

    Attributes:
        excess_mass: B, in units of the counts.
        missing_mass: M; 0 where no bin is missing.
        height: counterfactual at the threshold, per bin.
        normalised_excess: b = B / height; NaN where the height is not positive.
        shift: share by which the counts of the constrained side were raised.
    """

    excess_mass: Floats
    missing_mass: Floats
    height: Floats
    normalised_excess: Floats
    shift: Floats


def lay_bins(
    first: int, last: int, excess: tuple[int, int], missing: tuple[int, int] | None = None
) -> Layout:
    """Bins `first` to `last`; `excess` and `missing` are their first and last bins, all inclusive."""
    position = np.arange(first, last + 1)

    def inside(ends: tuple[int, int] | None) -> Flags:
        return (
            np.zeros(position.shape, bool) if ends is None else (position >= ends[0]) & (position <= ends[1])
        )

    return Layout(position, inside(excess), inside(missing), np.zeros(position.shape, bool))


def can_fit(layout: Layout, degree: int) -> bool:
    """Whether enough bins are left for a polynomial of that degree, on both sides of the window."""
    kept = layout.position[~(layout.is_window | layout.is_set_aside)]
    window = layout.position[layout.is_window]
    return (
        kept.size >= degree + 1 + SPARE_BINS
        and bool((kept < window.min()).any())
        and bool((kept > window.max()).any())
    )


def fit_bunching(counts: npt.ArrayLike, layout: Layout, degree: int, side: Side) -> Bunching:
    """Fit the counterfactual and read off excess and missing mass.

    Args:
        counts: (b, j) counts per bin; rows are fitted one by one, such as replicates of a bootstrap.
        layout: what the bins are for.
        degree: of the polynomial.
        side: where those who bunch came from. `left`: from below the window (a pay notch); `right`: from above it (a tax
            kink); `none`: the constraint is left out.

    Raises:
        ValueError: when too few bins are left (see `can_fit`).
    """
    if not can_fit(layout, degree):
        raise ValueError("too few bins beside the window for a polynomial of this degree")
    c = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    window, here = layout.is_window, layout.position == 0
    kept, project = _project(layout, degree)
    from_side = _bins_of(side, layout)
    # only the bins that are read: products this narrow cost next to nothing, however many rows
    read = np.flatnonzero(window | here)
    plain, raised = c[:, kept] @ project[:, read], (c * from_side)[:, kept] @ project[:, read]
    is_window, is_excess, is_missing, is_here = (
        flags[read] for flags in (window, layout.is_excess, layout.is_missing, here)
    )
    net = (c[:, read] - plain)[:, is_window].sum(axis=1)
    pool = (c * from_side).sum(axis=1) + raised[:, is_window].sum(axis=1)
    shift = np.divide(net, pool, out=np.zeros_like(net), where=pool > 0)
    fitted = plain + shift[:, None] * raised
    above = c[:, read] - fitted
    excess, height = above[:, is_excess].sum(axis=1), fitted[:, is_here][:, 0]
    return Bunching(
        excess_mass=excess,
        missing_mass=-above[:, is_missing].sum(axis=1),
        height=height,
        normalised_excess=np.divide(excess, height, out=np.full_like(excess, np.nan), where=height > 0),
        shift=shift,
    )


def trace_counterfactual(counts: npt.ArrayLike, layout: Layout, degree: int, side: Side) -> Floats:
    """The counterfactual of one row of counts in every bin: (j,)."""
    c = np.asarray(counts, dtype=np.float64)
    shift = fit_bunching(c, layout, degree, side).shift[0]
    kept, project = _project(layout, degree)
    return np.asarray((c * np.where(_bins_of(side, layout), 1 + shift, 1.0))[kept] @ project)


def _project(layout: Layout, degree: int) -> tuple[Flags, Floats]:
    """Bins in the fit, and the matrix that takes their counts to the polynomial in all bins.

    Positions are scaled to [-1, 1]: the same polynomial, without powers of large numbers.
    """
    kept = ~(layout.is_window | layout.is_set_aside)
    powers = np.vander(layout.position / np.abs(layout.position).max(), degree + 1, increasing=True)
    return kept, (powers @ np.linalg.pinv(powers[kept])).T


def resample_residuals(
    counts: npt.ArrayLike, layout: Layout, degree: int, side: Side, *, replicates: int, seed: int
) -> Floats:
    """Counts drawn anew from the errors of the fit: (replicates, j), to be fitted like the data (Chetty et al. 2011).

    Errors are those of the bins in the fit, before the integration constraint raises them, drawn with replacement into every
    bin. Sellers and their repeated periods play no part here: draw sellers anew for that.
    """
    c = np.asarray(counts, dtype=np.float64)
    shift = fit_bunching(c, layout, degree, side).shift[0]
    kept = ~(layout.is_window | layout.is_set_aside)
    raised = np.where(_bins_of(side, layout), 1 + shift, 1.0)
    expected = trace_counterfactual(c, layout, degree, side) / raised
    errors = (c - expected)[kept]
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = errors[rng.integers(0, errors.size, size=(replicates, c.size))]
    return np.asarray(np.where(kept, expected, c) + drawn)


def _bins_of(side: Side, layout: Layout) -> Flags:
    """Bins that the integration constraint raises."""
    window = layout.position[layout.is_window]
    if side == "none":
        return np.zeros(layout.position.shape, bool)
    return np.asarray(layout.position < window.min() if side == "left" else layout.position > window.max())
