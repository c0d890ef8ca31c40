"""How much of what was written down gets through to the board, hop by hop, and whether distance goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, nan
from typing import Final

import numpy as np
import polars as pl
from scipy.special import ndtri

from assets.evidence.lags import LEFT
from assets.methods.design import EstimationError
from assets.methods.disclosure import MIN_ACCOUNTS
from assets.methods.poisson import fit_poisson
from assets.methods.survival import fit_cumulative_incidence, read_horizons

AFTER_CAPTURE: Final = ("triaged", "decided", "shipped", "told_back", "board_seen")
"""The hops whose losses can be seen: what was never written down is not in the data, so `captured` loses nothing here."""
PASSED_ON: Final = AFTER_CAPTURE[:-1]
"""Hops that people pass an item through; the board reads of a theme in reports that know no distance."""
HORIZON_DAYS: Final = 90
MATURE_DAYS: Final = 365
"""Only items that entered a hop so long before the end of observation are compared by distance."""
LEAST_ITEMS: Final = 50

_c = pl.col


def measure_fidelity(rows: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    """Product over the hops of the share that leaves each within 90 days, refusals competing.

    Args:
        rows: from `number_causes`, with the columns `by`.
        by: columns of the group.

    Returns:
        `by`, `fidelity` with its interval (the log-log intervals of the hops, combined on the log scale as if independent),
        `fidelity_hops` (factors: the hops the firm records), `weakest_hop` (the first of those with the smallest share),
        `weakest_hop_share`. Null where a hop that the firm records has fewer than ten customers in the group, or was not watched
        for 90 days: a product of fewer factors would only look better.
    """
    after = rows.filter(_c("hop").is_in(AFTER_CAPTURE))
    recorded = after.select(_c("hop").n_unique()).collect().item()
    steps = fit_cumulative_incidence(after, [*by, "hop"], duration="days", causes=(LEFT,)).drop("cause")
    people = after.group_by(*by, "hop").agg(_accounts=_c("account_id").n_unique())
    half = (_c("incidence_hi").log() - _c("incidence_lo").log()) / (2 * ndtri(0.975))
    shares = (
        read_horizons(steps, [*by, "hop"], (HORIZON_DAYS,))
        .join(people, on=[*by, "hop"], how="left")
        .filter(_c("incidence").is_not_null() & (_c("_accounts") >= MIN_ACCOUNTS))
        .with_columns(
            _place=_c("hop").replace_strict(AFTER_CAPTURE, range(len(AFTER_CAPTURE)), return_dtype=pl.Int64),
            _spread=pl.when(_c("incidence") > 0).then(half),
        )
        .sort(*by, "_place")
    )
    product = (
        shares.group_by(*by, maintain_order=True)
        .agg(
            fidelity=_c("incidence").product(),
            fidelity_hops=pl.len().cast(pl.Int64),
            _spread=_c("_spread").pow(2).sum().sqrt(),
            weakest_hop=_c("hop").sort_by("incidence", maintain_order=True).first(),
            weakest_hop_share=_c("incidence").min(),
        )
        .filter(_c("fidelity_hops") == recorded)
    )
    reach = (_c("_spread") * ndtri(0.975)).exp()
    return product.with_columns(
        fidelity_lo=_c("fidelity") / reach, fidelity_hi=pl.min_horizontal(_c("fidelity") * reach, pl.lit(1.0))
    ).drop("_spread")


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ratio per further degree of separation with its limits; NaN where it can't be told. `n` counts items."""

    estimate: float
    lo: float
    hi: float
    n: int


def compare_by_separation(rows: pl.DataFrame) -> tuple[Ratio, Ratio]:
    """Whether distance goes with delay and with loss, within hops.

    Args:
        rows: from `number_causes`, with `separation_at_capture` and `account_id`.

    Returns:
        Ratio of the mean days per degree among items that left their hop, and ratio of the share still there (or refused)
        after 365 days. Poisson means with one effect per hop (Wooldridge 1999: only the mean must be right), errors clustered by
        customer; items that entered a hop at least 365 days before the end of observation. Days are conditional on leaving within
        those 365 days in either group, so young items do not look fast. Level 0: it says what goes together.
    """
    known = rows.filter(
        _c("separation_at_capture").is_not_null()
        & _c("hop").is_in(PASSED_ON)
        & (_c("time_since") >= MATURE_DAYS)
    ).sort("feedback_id", "hop")
    in_time = (_c("cause") == LEFT) & (_c("days") <= MATURE_DAYS)
    lags = known.filter(in_time)
    lost = (~known.select(in_time.alias("left"))["left"]).cast(pl.Float64).to_numpy()
    return (
        _fit_ratio(lags, lags["days"].to_numpy()),
        _fit_ratio(known, lost),
    )


def _fit_ratio(rows: pl.DataFrame, y: np.ndarray) -> Ratio:
    nothing = Ratio(nan, nan, nan, rows.height)
    if rows.height < LEAST_ITEMS or rows["separation_at_capture"].n_unique() < 2:
        return nothing
    x = rows["separation_at_capture"].cast(pl.Float64).to_numpy()[:, None]
    hop, account = (
        rows[name].fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1 for name in ("hop", "account_id")
    )
    try:
        fit = fit_poisson(x, y.astype(np.float64), np.ones(rows.height), hop, account, ("separation",))
        place = fit.place("separation")
    except EstimationError:
        return nothing
    b, reach = float(fit.coefficients[place]), float(ndtri(0.975) * fit.errors[place])
    return Ratio(exp(b), exp(b - reach), exp(b + reach), rows.height)
