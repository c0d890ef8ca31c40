"""One seeded company: simulate it, take it through the steps of the pipeline, hold what is found against what was planted.

The steps run without their audits (every one of them has tests of its own) and without the sources that no estimate reads, so
that a hundred companies are affordable. The seeds are fixed in advance: 0 to 99.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import polars as pl
import yaml

from assets.evidence.estimates import estimate_effect
from assets.evidence.panels import build_panel, describe_deals
from assets.evidence.specifications import EXPOSURES, OUTCOMES, SPECIFICATIONS
from pipelines.sources.demo import Effect, simulate
from tests.integration.without_dagster import make, open_workshop

DEALS, MONTHS = 6_000, 36
EFFECTS: tuple[Effect, ...] = ("harm", "none", "opposite")
RIGHT = "seller_period_and_days_to_end"
NAIVE = "unadjusted"
TRUTH = {
    "churn_180d": lambda truth: truth.hazard_ratio_per_10pp,
    "complaint_180d": lambda truth: truth.complaint_ratio_per_10pp,
    "feedback_lag": lambda truth: (
        1 / truth.capture_lag_ratio_per_10pp
    ),  # a longer mean wait is a lower hazard
}
UNREAD = (
    "activities",
    "customer_activity",
    "account_assignments",
    "reporting_lines",
    "board_reports",
    "component_results",
)


@dataclass(frozen=True)
class Finding:
    """One estimate of one company."""

    seed: int
    effect: str
    outcome: str
    specification: str
    planted: float
    estimate: float
    lo: float
    hi: float

    @property
    def covers(self) -> bool:
        """Whether the interval holds the planted ratio."""
        return self.lo <= self.planted <= self.hi

    @property
    def alarms(self) -> bool:
        """Whether it says that there is an association."""
        return self.lo > 1 or self.hi < 1

    def to_json(self) -> dict[str, object]:
        """Fields as they are."""
        return asdict(self)


def find(folder: Path, seed: int, effect: Effect, deals: int = DEALS, months: int = MONTHS) -> list[Finding]:
    """All estimates of a company that has a planted truth to be held against.

    Companies of one seed differ only in their outcomes: in one folder they share what was made of the rest.
    """
    source = folder / effect
    truth = simulate(source, deals=deals, months=months, seed=seed, effect=effect)
    config = source / "aftersale.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["sources"] = {name: s for name, s in settings["sources"].items() if name not in UNREAD}
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    unaudited = [patch(f"assets.{module}.audit", return_value=()) for module in ("table_step", "source_step")]
    with unaudited[0], unaudited[1], patch("os.fsync"):
        workshop = open_workshop(folder / "home", config)
        made = {
            name: make(workshop, f"marts/{name}").lazy()
            for name in ("deal_outcomes", "deal_incentives", "feedback_hops")
        }
    described = describe_deals(made["deal_outcomes"], made["deal_incentives"]).collect().lazy()
    exposure = EXPOSURES[0]
    found = []
    for outcome in OUTCOMES:
        panel = build_panel(outcome, described, made["feedback_hops"], workshop.company)
        if outcome.name not in TRUTH or panel is None:
            continue
        for specification in SPECIFICATIONS:
            if specification.effect == "direct" or specification.placebo == "outcome_before_sale":
                continue
            estimate = estimate_effect(panel, exposure, specification, outcome)
            if estimate is None or estimate.ratio is None:
                continue
            planted = 1.0 if specification.placebo else TRUTH[outcome.name](truth)
            found.append(Finding(seed, effect, outcome.name, specification.name, planted, *estimate.ratio))
    return found


def summarise(findings: pl.DataFrame) -> pl.DataFrame:
    """Per outcome, planted effect and specification: companies, planted ratio, geometric mean, coverage, alarms, right signs."""
    log = pl.col("estimate").log()
    return (
        findings.with_columns(
            covers=(pl.col("lo") <= pl.col("planted")) & (pl.col("planted") <= pl.col("hi")),
            alarms=(pl.col("lo") > 1) | (pl.col("hi") < 1),
            right_sign=(log * pl.col("planted").log()) > 0,
        )
        .group_by("outcome", "effect", "specification")
        .agg(
            companies=pl.len(),
            planted=pl.col("planted").first(),
            mean=log.mean().exp(),
            covers=pl.col("covers").sum(),
            alarms=pl.col("alarms").sum(),
            right_sign=pl.col("right_sign").sum(),
            # how far the mean lies from the truth, in standard errors of the mean
            off=(log.mean() - pl.col("planted").first().log()) / (log.std() / pl.len().sqrt()),
        )
        .sort("outcome", "effect", "specification")
    )


def judge(table: pl.DataFrame, *, least: float = 0.90, most: float = 0.99, alarms: float = 0.10) -> list[str]:
    """Sentences of 04-evidence and 10-definitions that do not hold, empty when all do. Shares of companies."""
    failures = []
    for row in table.iter_rows(named=True):
        share = {name: row[name] / row["companies"] for name in ("covers", "alarms", "right_sign")}
        what = f"{row['outcome']}, {row['effect']} planted, {row['specification']}"
        if row["specification"] == RIGHT:
            if not least <= share["covers"] <= most:
                failures.append(f"{what}: the interval holds the truth in {share['covers']:.0%}")
            if row["effect"] == "none" and share["alarms"] > alarms:
                failures.append(f"{what}: {share['alarms']:.0%} false alarms")
            if row["effect"] != "none" and share["right_sign"] < least:
                failures.append(f"{what}: the sign is right in only {share['right_sign']:.0%}")
        # confounding moves the churn of able sellers' customers; complaints and lags have no confounder planted
        if row["specification"] == NAIVE and row["outcome"] == "churn_180d" and abs(row["off"]) < 3:
            failures.append(f"{what}: the naive estimate is not shown to be wrong")
        if row["specification"].startswith("control_") and share["alarms"] > alarms:
            failures.append(f"{what}: the control finds something in {share['alarms']:.0%}")
    return failures
