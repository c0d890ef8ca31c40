"""Rates of complaints held against everybody's: indirect and direct standardisation over segment and tenure.

Young customers complain more, and a group of deals is rarely of average age or kind (Breslow and Day 1987, chapter 2).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.evidence.dimensions import ALL
from assets.evidence.exposure import DAYS_PER_MONTH, UNITS_PER_DAY

STRATUM: Final = ["segment", "tenure_quarter"]
# expected counts are added as whole numbers of 1e-9: the order of adding can't matter
_EXPECTED_UNITS: Final = 10**9

_c = pl.col
_CELL: Final = ["dimension", "value", "period"]


def expect_complaints(exposure: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    """Complaints that each cell's exposure would bring at the rate of `all` in its segments and tenure quarters."""
    stratum = [*STRATUM, "period"]
    everyone = exposure.filter(_c("dimension") == ALL).group_by(stratum).agg(of_all=_c("day_units").sum())
    rates = (
        observed.filter(_c("dimension") == ALL)
        .group_by(*stratum, "category")
        .agg(_c("complaints").sum())
        .join(everyone, on=stratum)
        .select(*stratum, "category", rate=_c("complaints") / _c("of_all"))
    )
    # period `all` has a row per quarter; what is rounded is the cell's own sum
    units = exposure.group_by(*_CELL, *STRATUM).agg(_c("day_units").sum())
    share = (_c("day_units") * _c("rate") * _EXPECTED_UNITS).round().cast(pl.Int64)
    expected = units.join(rates, on=stratum).group_by(*_CELL, "category").agg(expected=share.sum())
    return expected.with_columns(_c("expected") / _EXPECTED_UNITS)


def standardise_rates(exposure: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    """Rate that each cell would have with everybody's segments and tenure, over the strata it has; no complaint, no row."""
    stratum = [*STRATUM, "period"]
    weights = _weigh_strata(exposure)
    units = exposure.group_by(*_CELL, *STRATUM).agg(_c("day_units").sum())
    held = units.join(weights, on=stratum).group_by(_CELL).agg(held=_c("of_all").sum())
    return (
        observed.group_by(*_CELL, *STRATUM, "category")
        .agg(_c("complaints").sum())
        .join(units, on=[*_CELL, *STRATUM])
        .join(weights, on=stratum)
        .sort(*_CELL, "category", *STRATUM)
        .group_by(*_CELL, "category", maintain_order=True)
        .agg(rate=(_c("of_all") * _c("complaints") / _c("day_units")).sum())
        .join(held, on=_CELL)
        .select(
            *_CELL,
            "category",
            rate_per_1000_standardised=_c("rate") / _c("held") * (UNITS_PER_DAY * DAYS_PER_MONTH * 1000),
        )
    )


def _weigh_strata(exposure: pl.DataFrame) -> pl.DataFrame:
    everyone = exposure.filter(_c("dimension") == ALL)
    return everyone.group_by(*STRATUM, "period").agg(of_all=_c("day_units").sum())


def cover_strata(exposure: pl.DataFrame) -> pl.DataFrame:
    """`standardised_share`: how much of everybody's time lies in the strata that a cell has."""
    weights = _weigh_strata(exposure)
    whole = weights.group_by("period").agg(whole=_c("of_all").sum())
    strata = exposure.select(*_CELL, *STRATUM).unique().join(weights, on=[*STRATUM, "period"])
    held = strata.group_by(_CELL).agg(held=_c("of_all").sum()).join(whole, on="period")
    return held.select(*_CELL, standardised_share=_c("held") / _c("whole"))
