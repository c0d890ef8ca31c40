"""What a number of the board's page is: where it comes from, its value, how it is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from assets.evidence.exposure import name_quarter


@dataclass(frozen=True, slots=True)
class Marts:
    """What the measures read.

    Attributes:
        deals: `deal_outcomes`, one row per won deal.
        churn: `churn_by_incentive`.
        complaints: `complaints_by_incentive`.
        value: `incentive_value`.
        conduct: `conduct_indicators`; only sums over sellers are read.
        hops: `feedback_hops` with `cause` (0 waiting, 1 left) and `quarter` (number of the fiscal quarter of entering).
        style: `selling_style`.
        distance: `customer_distance`.
        needs: `unmet_needs`.
        shifts: `market_shifts`.
        themes: `theme_id`, `label` of the themes that have one.
        quarter: number of the fiscal quarter the page is about.
        fiscal_start_month: month that the fiscal year starts in.
    """

    deals: pl.DataFrame
    churn: pl.DataFrame
    complaints: pl.DataFrame
    value: pl.DataFrame
    conduct: pl.DataFrame
    hops: pl.DataFrame
    style: pl.DataFrame
    distance: pl.DataFrame
    needs: pl.DataFrame
    shifts: pl.DataFrame
    themes: pl.DataFrame
    quarter: int
    fiscal_start_month: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `value` None: too few people, or nothing observed.

    Attributes:
        value: estimate in the measure's unit.
        lo: lower 95 % limit.
        hi: upper 95 % limit.
        n: observations.
        when: the quarter, or cohort, it is about.
        mature_share: share of the observations that could have been followed to the end.
        known_share: share of the observations for which the inputs are known.
        suppressed: whether too few people stand behind it.
        groups: names of the groups compared, highest and lowest.
    """

    value: float | None
    lo: float | None
    hi: float | None
    n: int | None
    when: str
    mature_share: float | None = 1.0
    known_share: float = 1.0
    suppressed: bool = False
    groups: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the page.

    Attributes:
        name: what is measured.
        unit: unit of value, limits and change; `share of 1` and `points` (differences of shares) are shown in percent.
        find: the number of a quarter (its own fiscal quarter, or the newest cohort mature by then); None where a source
            is absent.
        sentence: how it is said; `{value}`, `{when}`, `{high}`, `{low}`, `{dimension}` are filled in.
        has_quarter: whether a quarter before can be compared with.
        chapter: part of the story that the page tells with it.
    """

    name: str
    unit: str
    find: Callable[[Marts, int], Figure | None]
    sentence: str
    has_quarter: bool = True
    chapter: str = ""


def name_of(number: int) -> str:
    """`YYYY-Qn` of a numbered fiscal quarter."""
    return str(pl.select(name_quarter(pl.lit(number))).item())
