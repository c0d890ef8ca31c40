"""Bunching of pay periods around every pay threshold, under every specification, placebo thresholds beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from assets.evidence.protection import Additive
from assets.evidence.suppression import hide_small_cells
from assets.incentives.pay_thresholds import CAP, PREDICTED
from assets.methods.bunching import Layout, Side, can_fit, fit_bunching, lay_bins, resample_residuals
from assets.methods.density import JUMP_P, find_density_jump
from assets.methods.exact import UNIT
from assets.methods.resampling import REPLICATES, derive_seed, draw_totals, read_interval
from expectations.cautions import Caution

_c = pl.col
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Row = dict[str, Any]

ALL_PLANS: Final = "all"
QUOTA: Final = "quota"
PLACEBO: Final = "placebo"
MIXED: Final = "mixed"
PLACEBOS: Final = tuple(UNIT * percent // 100 for percent in (85, 95, 105, 115))
MIN_SELLER_PERIODS: Final = 200
REACH: Final = UNIT // 2
"""Half the quota to either side of the threshold is in reach of the fit."""
QUOTA_REACH: Final = UNIT // 10
"""Whoever is moved over the quota may come from this far below: set aside where another threshold is fitted."""
GRID: Final = UNIT // 80
"""The finest bin, 1.25 % of quota; every window and bin width is a multiple."""
RD_INVALID: Final = (
    "regression_discontinuity_invalid: sellers choose when deals close, so those who end on either side of a pay "
    "threshold are not alike; the bunching itself is the evidence"
)
EVIDENCE_LEVEL: Final = 3

CELL: Final = ["plan_id", "component", "threshold"]


@dataclass(frozen=True, slots=True)
class Specification:
    """One way to estimate: `window` and `bin_width` in units of 1e-8 of quota; no `side`: where pay predicts them from."""

    name: str = "headline"
    window: int = UNIT // 20
    bin_width: int = UNIT // 40
    degree: int = 5
    """A cubic takes the top of a bell of attainments for bunching: 13 false alarms in 100 companies without any (docs/planted_truth.md)."""
    side: Side | None = None


HEADLINE: Final = Specification()
SENSITIVITY: Final = (
    replace(HEADLINE, name="window_narrow", window=UNIT // 40),
    replace(HEADLINE, name="window_wide", window=UNIT // 10),
    replace(HEADLINE, name="degree_4", degree=4),
    replace(HEADLINE, name="degree_6", degree=6),
    replace(HEADLINE, name="bins_fine", bin_width=UNIT // 80),
    replace(HEADLINE, name="bins_coarse", bin_width=UNIT // 20),
    replace(HEADLINE, name="constraint_left", side="left"),
    replace(HEADLINE, name="constraint_right", side="right"),
    replace(HEADLINE, name="constraint_none", side="none"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A threshold and the periods around it.

    Attributes:
        others: where else periods may bunch: the quota, and thresholds at which pay predicts it.
        attained: (p,) units of 1e-8 of quota.
        seller: (p,) whole numbers that name sellers.
    """

    plan_id: str
    component: str
    threshold: int
    kind: str
    others: tuple[int, ...]
    attained: Ints
    seller: Ints

    @property
    def key(self) -> Row:
        """The cell it is published as."""
        return {"plan_id": self.plan_id, "component": self.component, "threshold": self.threshold}


def list_places(periods: pl.DataFrame, thresholds: pl.DataFrame) -> list[Place]:
    """Every threshold of every plan, the quota itself, placebos; and where several plans share one, all of them together.

    Args:
        periods: `rep_id`, `plan_id`, `version`, `component`, `attained`, `cap_attained` (where the cap binds; null: nowhere).
        thresholds: from `pay_thresholds.list_thresholds`.

    Returns:
        In order of plan, component and threshold. The newest version of a plan says what kind a threshold is; periods under a
        version without it are left out of it.
    """
    numbered = periods.with_columns(seller=_c("rep_id").rank("dense").cast(pl.Int64))
    places: list[Place] = []
    for (component,), whole in numbered.group_by("component", maintain_order=True):
        apart: list[Place] = []
        for (plan_id,), own in whole.sort("plan_id").group_by("plan_id", maintain_order=True):
            of_plan = thresholds.filter(_c("plan_id") == plan_id, _c("component") == component)
            apart += _places_of_plan(str(plan_id), str(component), own, of_plan)
        if len({place.plan_id for place in apart}) > 1 and not any(p.plan_id == ALL_PLANS for p in apart):
            places += _pool(apart)
        places += apart
    return sorted(places, key=lambda p: (p.plan_id, p.component, p.threshold))


def _places_of_plan(
    plan_id: str, component: str, own: pl.DataFrame, thresholds: pl.DataFrame
) -> Iterator[Place]:
    versions: dict[int, list[int]] = {}
    kinds: dict[int, str] = {}
    for version, threshold, kind in (
        thresholds.sort("version").select("version", "threshold", "threshold_kind").iter_rows()
    ):
        versions.setdefault(threshold, []).append(version)
        kinds[threshold] = kind
    capped = own.drop_nulls("cap_attained").sort("cap_attained")
    # the median is a cap that somebody has; each period stands as far from it as from its own
    cap = capped["cap_attained"][(capped.height - 1) // 2] if capped.height else UNIT
    if capped.height:
        kinds.setdefault(cap, CAP)
    at_cap = capped.with_columns(_c("attained") - _c("cap_attained") + cap)
    bunched = {UNIT, *(place for place, kind in kinds.items() if PREDICTED[kind] != "none")}
    kinds |= {p: PLACEBO for p in PLACEBOS if p not in kinds}
    kinds.setdefault(UNIT, QUOTA)
    for threshold, kind in kinds.items():
        rows = own.filter(_c("version").is_in(versions[threshold])) if threshold in versions else own
        rows = at_cap if kind == CAP else rows
        yield Place(
            plan_id, component, threshold, kind, tuple(sorted(bunched - {threshold})),
            rows["attained"].to_numpy(), rows["seller"].to_numpy(),
        )  # fmt: skip


def _pool(apart: Sequence[Place]) -> Iterator[Place]:
    """Places that more than one plan has, with the periods of all of them."""
    by_threshold: dict[int, list[Place]] = {}
    for place in apart:
        by_threshold.setdefault(place.threshold, []).append(place)
    for threshold, same in by_threshold.items():
        if len(same) > 1:
            kinds = {place.kind for place in same}
            yield Place(
                ALL_PLANS, same[0].component, threshold, kinds.pop() if len(kinds) == 1 else MIXED,
                tuple(sorted({o for place in same for o in place.others} - {threshold})),
                np.concatenate([p.attained for p in same]), np.concatenate([p.seller for p in same]),
            )  # fmt: skip


def estimate_places(places: Sequence[Place]) -> Iterator[Row]:
    """Rows of `quota_bunching`: placebos under the headline specification, real thresholds under all."""
    cells = [_Cells.of(place) for place in places]
    for cell, reason in zip(cells, _hide(cells), strict=True):
        place = cell.place
        totals = None if reason else cell.draw()
        density = _NO_DENSITY if reason else _test_density(place)
        for specification in _specifications(place):
            row = {**place.key, **_describe(place, specification), **density}
            if totals is None:
                yield {**row, "suppressed": True, "bunching_null_reason": reason}
            else:
                sizes = {"suppressed": False, "n": cell.n, "n_sellers": cell.n_sellers}
                yield {**row, **sizes, **_estimate(cell, specification, totals)}


@dataclass(frozen=True, slots=True)
class _Cells:
    """A place's periods in reach, counted: `own` (s, g) by seller and bin of the grid, first bin at -`REACH`."""

    place: Place
    own: Floats

    @classmethod
    def of(cls, place: Place) -> _Cells:
        bins = 2 * REACH // GRID
        at = (place.attained - place.threshold + REACH) // GRID
        near = (at >= 0) & (at < bins)
        # in order of the sellers' numbers, so that the draws do not follow the order of the rows
        sellers, seller = np.unique(place.seller[near], return_inverse=True)
        counts = np.bincount(seller * bins + at[near], minlength=sellers.size * bins)
        return cls(place, counts.reshape(sellers.size, bins).astype(np.float64))

    @property
    def n(self) -> int:
        return int(self.own.sum())

    @property
    def n_sellers(self) -> int:
        return int(self.own.shape[0])

    def rank_sellers(self) -> Row:
        """How many periods the two sellers with most have."""
        most = np.sort(self.own.sum(axis=1))[::-1][:2].astype(np.int64).tolist()
        return dict(zip(("largest", "second"), [*most, 0, 0], strict=False))

    def draw(self) -> Floats:
        """Counts by bin of the grid, the data first, then with sellers drawn anew."""
        return draw_totals(self.own, REPLICATES, _seed(self.place, "sellers"))


_NO_DENSITY: Final[Row] = {"density_ratio": None, "density_p": None, "warnings": ""}


def _test_density(place: Place) -> Row:
    """Whether periods pile up on one side of the threshold (McCrary 2008), whatever the bins and the counterfactual."""
    near = place.attained[np.abs(place.attained - place.threshold) < REACH]
    jump = find_density_jump(np.sort(near) / UNIT, place.threshold / UNIT)
    if jump is None:
        return _NO_DENSITY
    return {
        "density_ratio": float(np.exp(jump.log_ratio)),
        "density_p": jump.p_value,
        "warnings": Caution.DENSITY_JUMP.value if jump.p_value < JUMP_P else "",
    }


def _seed(place: Place, *names: str) -> int:
    return derive_seed("quota_bunching", place.plan_id, place.component, str(place.threshold), *names)


def _hide(cells: Sequence[_Cells]) -> list[str | None]:
    """Why each place is hidden, None where it is not. Plans add up to all of them, so one small plan hides a second."""
    keys = pl.DataFrame(
        [{**c.place.key, "n_sellers": c.n_sellers, "n_accounts": c.n, "n": c.n, **c.rank_sellers()} for c in cells],
        schema={
            "plan_id": pl.String, "component": pl.String,
            **dict.fromkeys(("threshold", "n_sellers", "n_accounts", "n", "largest", "second"), pl.Int64),
        },
    )  # fmt: skip
    equations = keys.select(
        *CELL,
        equation=pl.concat_str(_c("component"), _c("threshold").cast(pl.String), separator=" "),
        is_total=_c("plan_id") == ALL_PLANS,
    )
    few = hide_small_cells(keys, equations, CELL, additive=[Additive("n")])["suppressed"]
    return [
        "few_people" if hidden else "too_few_seller_periods" if cell.n < MIN_SELLER_PERIODS else None
        for cell, hidden in zip(cells, few, strict=True)
    ]


def _predict(place: Place) -> str:
    return PREDICTED.get(place.kind, "none")


def _side(place: Place, specification: Specification) -> Side:
    """Where bunchers came from: below, unless pay makes them stay at or below the threshold."""
    return specification.side or ("right" if _predict(place) == "below" else "left")


def _specifications(place: Place) -> list[Specification]:
    """Placebos need no sensitivity, and no row repeats the headline under another name."""
    usual = _side(place, HEADLINE)
    return [HEADLINE, *(s for s in SENSITIVITY if s.side != usual)] if place.kind != PLACEBO else [HEADLINE]


def _describe(place: Place, specification: Specification) -> Row:
    return {
        "threshold_kind": place.kind,
        "predicted_side": _predict(place),
        "is_placebo": place.kind == PLACEBO,
        "window": specification.window,
        "bin_width": specification.bin_width,
        "specification_name": specification.name,
        "degree": specification.degree,
        "constrained_side": _side(place, specification),
        "evidence_level": EVIDENCE_LEVEL,
        "discontinuity_warning": RD_INVALID,
    }


def _lay_out(place: Place, specification: Specification) -> Layout:
    """Bins in reach, from an attainment of 0 on: excess at or above the threshold, or at or below where pay says so."""
    width = specification.bin_width
    reach, window = REACH // width, specification.window // width
    first = max(-reach, -(place.threshold // width))
    if _predict(place) == "below":
        excess, missing = (-window, 0), (1, window - 1) if window > 1 else None
    else:
        excess, missing = (0, window - 1), (-window, -1)
    layout = lay_bins(first, reach - 1, excess, missing)
    start = place.threshold + layout.position * width
    aside = np.zeros(layout.position.shape, bool)
    for other in place.others:
        reach = QUOTA_REACH if other == UNIT else specification.window
        aside |= (start + width > other - reach) & (start < other + reach)
    return replace(layout, is_set_aside=aside & ~layout.is_window)


def _estimate(cell: _Cells, specification: Specification, totals: Floats) -> Row:
    place = cell.place
    layout, side = _lay_out(place, specification), _side(place, specification)
    merged = specification.bin_width // GRID
    counts = totals.reshape(totals.shape[0], -1, merged).sum(axis=2)[:, -layout.position.size :]
    at = int(np.flatnonzero(layout.position == 0)[0])
    row: Row = {"just_below": int(counts[0, at - 1]) if at else None, "just_above": int(counts[0, at])}
    if not can_fit(layout, specification.degree):
        return {**row, "bunching_null_reason": "too_few_bins"}
    fit = fit_bunching(counts, layout, specification.degree, side)
    errors = resample_residuals(
        counts[0], layout, specification.degree, side,
        replicates=REPLICATES, seed=_seed(place, specification.name, "errors"),
    )  # fmt: skip
    again = fit_bunching(errors, layout, specification.degree, side).excess_mass
    row |= {
        "counterfactual_height": float(fit.height[0]),
        "excess_mass_se": float(fit.excess_mass[1:].std(ddof=1)),
        "excess_mass_se_residual": float(again.std(ddof=1)),
    }
    masses = {"excess_mass": fit.excess_mass, "normalised_excess": fit.normalised_excess}
    if layout.is_missing.any():
        masses["missing_mass"] = fit.missing_mass
    for name, values in masses.items():
        interval = read_interval(values, cell.n_sellers)
        ends = {"": interval.estimate, "_lo": interval.lo, "_hi": interval.hi}
        row |= {name + end: None if np.isnan(v) else float(v) for end, v in ends.items()}
    return row
