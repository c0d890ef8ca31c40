"""What is true of the demo company, whatever its size: the facts that the marts are measured against.

Sizes follow published effects: hard volume pay went with 24 % more defaults (Agarwal and Ben-David 2018).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

Effect = Literal["harm", "none", "opposite"]
Format = Literal["parquet", "csv"]

HAZARD_RATIO_PER_10PP: dict[Effect, float] = {"harm": 1.30, "none": 1.0, "opposite": 1 / 1.30}
"""Churn hazard ratio per +10 percentage points of a deal's as-known EMCR."""
COMPLAINT_RATIO_PER_10PP: dict[Effect, float] = {"harm": 1.25, "none": 1.0, "opposite": 0.80}
"""Ratio of complaint rates per +10 percentage points."""
CAPTURE_LAG_RATIO_PER_10PP: dict[Effect, float] = {"harm": 1.20, "none": 1.0, "opposite": 1 / 1.20}
"""Ratio of the mean days until a seller writes feedback down, per +10 percentage points."""

EXPOSURE_CEILING = 0.40
"""A small deal that crosses a retroactive edge can have any EMCR; the planted effects stop growing here."""
EXPOSURE_CENTRE = 0.10
"""EMCR at which the base rates hold."""

LAG_RATIO_PER_STEP = 1.35
"""Ratio of every hop's mean days per further degree of separation from the board."""
ABILITY_LOG_HAZARD = -0.10
"""Confounder: able sellers reach high tiers and keep customers, per standard deviation of log hazard."""
TERRITORY_LOG_HAZARD = -0.05
"""Confounder: so do sellers with good territories."""

BUNCHING_FROM = 0.90
"""Sellers who would end a quarter at or above this attainment, and below 1, may push their last deal over the quota."""
BUNCHING_SHARE = 0.55
"""Share of them who do."""
BUNCHING_REACH = 0.02
"""They land within this attainment above the quota."""

SHIFT_THEME = 2
"""Position of the theme that customers begin to raise when the market shifts."""
SHIFT_MONTH = "2024-07"
"""Month of the shift."""
SHIFT_SHARE = 0.30
"""Share of feedback that is about it from then on."""

UNHEARD_SEGMENT = 1
"""Position of the segment whose needs sellers rarely hear; others hear them as everywhere."""
TOLD_SELLER_FIRST = (0.50, 0.10)
"""Share of what is said that a seller hears first, in other segments and in the unheard one."""
SURVEYED = 0.15
"""Share of what is said that is said in surveys, everywhere."""
TOLD_SELLER_TOO = (0.50, 0.10)
"""Share of needs told to somebody else first that a seller hears as well."""
TOLD_OTHERS_TOO = 0.40
"""Share of needs told to a seller first that somebody else hears as well."""


def share_sellers_hear(*, in_unheard_segment: bool) -> float:
    """Of the unsolicited needs that others hear, the share that sellers hear, too: the sellers' capture rate."""
    place = int(in_unheard_segment)
    first = TOLD_SELLER_FIRST[place] / (1 - SURVEYED)
    both = first * TOLD_OTHERS_TOO + (1 - first) * TOLD_SELLER_TOO[place]
    return both / (1 - first + first * TOLD_OTHERS_TOO)


@dataclass
class TableTruth:
    """What one source file holds. `dirt` counts planted faults by kind; expectations follow from 06-trust.

    `rows` are records in the file. `rejected_expected` records no reader may accept; `duplicates_expected` are exact
    copies; `trimmed_expected` ids carry a trailing space; the other kinds stay and are flagged.
    """

    rows: int = 0
    rejected_expected: int = 0
    duplicates_expected: int = 0
    trimmed_expected: int = 0
    dirt: dict[str, int] = field(default_factory=dict)


@dataclass
class Truth:
    """The planted truth of one simulated company, as `truth.json` says it."""

    seed: int
    deals: int
    months: int
    effect: Effect
    fmt: Format
    dirt: float
    history_from: str
    until: str
    sellers: int = 0
    hazard_ratio_per_10pp: float = 1.0
    complaint_ratio_per_10pp: float = 1.0
    capture_lag_ratio_per_10pp: float = 1.0
    exposure_ceiling: float = EXPOSURE_CEILING
    lag_ratio_per_step: float = LAG_RATIO_PER_STEP
    ability_log_hazard: float = ABILITY_LOG_HAZARD
    territory_log_hazard: float = TERRITORY_LOG_HAZARD
    market_shift: dict[str, str | float] = field(default_factory=dict)
    unheard: dict[str, str | float] = field(default_factory=dict)
    bunching_from: float = BUNCHING_FROM
    bunching_reach: float = BUNCHING_REACH
    bunching_share: float = BUNCHING_SHARE
    planted: dict[str, int] = field(default_factory=dict)
    tables: dict[str, TableTruth] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def count(self, **found: int) -> None:
        """Add to the counts of planted facts."""
        for name, number in found.items():
            self.planted[name] = self.planted.get(name, 0) + int(number)

    def to_json(self) -> str:
        """The same numbers, keys sorted."""
        return json.dumps({"made_by": MADE_BY, **asdict(self)}, indent=2, sort_keys=True) + "\n"


MADE_BY = "aftersale simulate"
"""How a folder is recognised as one of ours."""
