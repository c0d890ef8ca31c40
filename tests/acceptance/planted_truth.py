"""One seeded company: simulate it, take it through the steps of the pipeline, hold what is found against what was planted.

The steps run without their audits (every one of them has tests of its own) and without the sources that no estimate reads, so
that a hundred companies are affordable. The seeds are fixed in advance: 0 to 99.
"""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import yaml

from assets.evidence.estimates import estimate_effect
from assets.evidence.panels import build_panel, describe_deals
from assets.evidence.specifications import EXPOSURES, OUTCOMES, SPECIFICATIONS
from pipelines.sources.demo import Effect, simulate
from tests.acceptance.findings import Finding
from tests.integration.without_dagster import make, open_workshop

DEALS, MONTHS = 6_000, 36
EFFECTS: tuple[Effect, ...] = ("harm", "none", "opposite")
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
