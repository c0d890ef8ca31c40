"""What was found in companies of planted truth, summed up and judged. How they are made and estimated is elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import polars as pl

RIGHT: Final = {
    "churn_180d": "seller_period_and_days_to_end",
    "complaint_180d": "seller_period_and_days_to_end",
    "feedback_lag": "seller_period_and_days_to_end",
    "plan_change": "event_study",
    "quota_bunching": "headline",
    "mediation": "mediation_indirect",
    "incentive_value": "plan_change",
}
"""The specification of each outcome that must hold what was planted."""
NAIVE: Final = {
    "churn_180d": "unadjusted",
    "complaint_180d": "unadjusted",
    "feedback_lag": "unadjusted",
    "plan_change": "before_and_after",
    "quota_bunching": "above_less_below",
    "incentive_value": "average",
}
"""The one that a reader in a hurry would take."""
_SHOWN_WRONG: Final = {"churn_180d", "plan_change", "incentive_value"}
"""Where it has a reason to be: able sellers' customers, a drift of everybody's customers, customers who would have come anyway."""


@dataclass(frozen=True)
class Finding:
    """One estimate of one company; `nothing` is the value that says that there is nothing, 1 for ratios."""

    seed: int
    effect: str
    outcome: str
    specification: str
    planted: float
    estimate: float
    lo: float
    hi: float
    nothing: float = 1.0

    def to_json(self) -> dict[str, object]:
        """Fields as they are."""
        return asdict(self)


def summarise(findings: pl.DataFrame) -> pl.DataFrame:
    """Per outcome, planted effect and specification: companies, mean planted, mean (of ratios: geometric), coverage, alarms, right signs."""
    is_ratio = pl.col("nothing") == 1
    size, truth = (pl.when(is_ratio).then(pl.col(c).log()).otherwise(c) for c in ("estimate", "planted"))

    def mean(name: str) -> pl.Expr:
        average = pl.col(name).mean()
        return pl.when(is_ratio.first()).then(average.exp()).otherwise(average)

    return (
        findings.with_columns(
            covers=pl.col("planted").is_between("lo", "hi"),
            alarms=~pl.col("nothing").is_between("lo", "hi"),
            right_sign=size * truth > 0,
            _size=size,
            _truth=truth,
        )
        .group_by("outcome", "effect", "specification")
        .agg(
            companies=pl.len(),
            planted=mean("_truth"),
            mean=mean("_size"),
            covers=pl.col("covers").sum(),
            alarms=pl.col("alarms").sum(),
            right_sign=pl.col("right_sign").sum(),
            # how far the mean lies from the truth, in standard errors of the mean
            off=(pl.col("_size") - pl.col("_truth")).mean()
            / ((pl.col("_size") - pl.col("_truth")).std() / pl.len().sqrt()),
        )
        .sort("outcome", "effect", "specification")
    )


def judge(table: pl.DataFrame, *, least: float = 0.90, most: float = 0.99, alarms: float = 0.10) -> list[str]:
    """Sentences of 04-evidence and 10-definitions that do not hold, empty when all do. Shares of companies."""
    failures = []
    for row in table.iter_rows(named=True):
        share = {name: row[name] / row["companies"] for name in ("covers", "alarms", "right_sign")}
        what = f"{row['outcome']}, {row['effect']} planted, {row['specification']}"
        if row["specification"] == RIGHT[row["outcome"]]:
            if not least <= share["covers"] <= most:
                failures.append(f"{what}: the interval holds the truth in {share['covers']:.0%}")
            if row["effect"] == "none" and share["alarms"] > alarms:
                failures.append(f"{what}: {share['alarms']:.0%} false alarms")
            if row["effect"] != "none" and share["right_sign"] < least:
                failures.append(f"{what}: the sign is right in only {share['right_sign']:.0%}")
        is_naive = row["specification"] == NAIVE.get(row["outcome"]) and row["outcome"] in _SHOWN_WRONG
        if is_naive and abs(row["off"]) < 3:
            failures.append(f"{what}: the naive estimate is not shown to be wrong")
        if row["specification"].startswith("control_") and share["alarms"] > alarms:
            failures.append(f"{what}: the control finds something in {share['alarms']:.0%}")
    return failures
