"""Whether customers are lost just when commission can no longer be taken back: then earlier losses may have been held up.

A deal's clawback ends when its plan's schedule falls to nothing for good, whole months after the close. Losses of the 30 days
from that day on are set against the 30 days before and the 30 days from a month later, of the same deals: a hazard that only rises or falls
steadily is no cliff.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.incentives.expected_clawbacks import read_schedule
from assets.methods.rates import compare_rates

_c = pl.col

WINDOW_DAYS: Final = 30
MIN_EVENTS: Final = 20
LEVEL: Final = 0.99
LEAST_JUMP: Final = 1.25
"""Renewals make every calendar of losses uneven (1.09 beyond chance in 100,000 made-up deals that nobody held up): less is no cliff."""


@dataclass(frozen=True, slots=True)
class Cliff:
    """Losses around the end of clawback.

    Attributes:
        ratio: of the rate in the 30 days after the end to that of the 30 days on either side, with its 99 % limits.
        events: losses in all three windows.
    """

    ratio: tuple[float, float, float]
    events: int

    @property
    def is_found(self) -> bool:
        """Whether losses jump beyond chance, and by enough to matter."""
        ratio, low, _ = self.ratio
        return self.events >= MIN_EVENTS and low > 1 and ratio >= LEAST_JUMP


def end_clawbacks(plans: pl.LazyFrame) -> pl.DataFrame:
    """`plan_id`, `version`, `end_month`: whole months after which nothing is taken back; plans without such a month left out."""
    rows = (
        plans.filter(_c("clawback_method") == "schedule")
        .sort("recorded_at", nulls_last=False)
        .group_by("plan_id", "version")
        .agg(_c("clawback_schedule").last())
        .sort("plan_id", "version")
        .collect()
    )
    ends = []
    for plan_id, version, text in rows.iter_rows():
        steps = sorted(read_schedule(text))
        paid = [month for month, share in steps if share > 0]
        after = [month for month, share in steps if share == 0 and paid and month > max(paid)]
        if after:
            ends.append({"plan_id": plan_id, "version": version, "end_month": min(after)})
    return pl.DataFrame(ends, schema={"plan_id": pl.String, "version": pl.Int64, "end_month": pl.Int64})


def find_cliff(followed: pl.LazyFrame, plans: pl.LazyFrame) -> Cliff | None:
    """Compare losses just after clawback ends with those around it.

    Args:
        followed: from `retention.follow_deals`.
        plans: core table.

    Returns:
        None where no plan's clawback ends, or nobody was followed up to then.
    """
    ends = end_clawbacks(plans)
    if ends.is_empty():
        return None
    end_on = _c("closed_on").dt.offset_by(pl.format("{}mo", "end_month"))
    deals = (
        followed.filter(_c("closed_on").is_not_null())
        .join(ends.lazy(), on=["plan_id", "version"])
        .with_columns(_end=(end_on - _c("clock_start_on")).dt.total_days())
        .filter(_c("_end") >= WINDOW_DAYS)
    )
    sums = []
    for name, first in (("before", -WINDOW_DAYS), ("at", 0), ("after", WINDOW_DAYS)):
        start = _c("_end") + first
        # day d of a duration is the (d + 1)-th day at risk
        days = (_c("duration") + 1 - start).clip(0, WINDOW_DAYS)
        inside = _c("is_churn") & _c("duration").is_between(start, start + WINDOW_DAYS, closed="left")
        sums += [days.sum().alias(f"{name}_days"), inside.sum().cast(pl.Int64).alias(f"{name}_events")]
    found = deals.select(sums).collect().row(0, named=True)
    around = found["before_events"] + found["after_events"], found["before_days"] + found["after_days"]
    if not (found["at_days"] and around[1]):
        return None
    ratio = compare_rates(found["at_events"], found["at_days"], *around, level=LEVEL)
    limits = float(ratio.estimate), float(ratio.lo), float(ratio.hi)
    return Cliff(limits, found["at_events"] + around[0])
