"""All rows of `incentive_effects`: every outcome, exposure and specification, with what it takes to read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from assets.company import Company
from assets.evidence.clawback_cliffs import find_cliff
from assets.evidence.estimates import Estimate, estimate_effect
from assets.evidence.mediations import list_mediations
from assets.evidence.move_rows import list_move_rows
from assets.evidence.panels import Panel, build_panel, complaints_before, describe_deals
from assets.evidence.retention import follow_deals
from assets.evidence.sentences import ASSUMPTIONS, DIRECT, Found, say, say_hidden, say_nothing
from assets.evidence.specifications import (
    EXPOSURES,
    HOP_OUTCOMES,
    MATURE_SHARE,
    OUTCOMES,
    OWNER_EXPOSURES,
    SEPARATION,
    Exposure,
    Outcome,
    Specification,
    specifications_of,
)
from assets.methods.disclosure import MIN_ACCOUNTS, MIN_SELLERS
from assets.methods.false_discovery import adjust_p_values
from assets.methods.rates import e_value, e_value_bound
from expectations.cautions import Caution
from expectations.contracts.effects import INCENTIVE_EFFECTS

_c = pl.col

DIFFERENT: Final = 0.2
"""Standardised difference of a segment's share above which the customers compared are of different kinds (Cohen's small)."""
_KNOWLEDGE: Final = (("opportunities", "recorded_at"), ("credits", "recorded_at"))


@dataclass(frozen=True, slots=True)
class _Row:
    outcome: Outcome
    exposure: Exposure
    specification: Specification
    family: str
    estimate: Estimate
    mature_share: float
    noun: str
    cautions: frozenset[Caution]

    @property
    def suppressed(self) -> bool:
        return self.estimate.n_sellers < MIN_SELLERS or self.estimate.n_accounts < MIN_ACCOUNTS


def estimate_effects(
    *,
    deal_outcomes: pl.LazyFrame,
    deal_incentives: pl.LazyFrame,
    feedback_hops: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    plan_change_effects: pl.LazyFrame,
    quota_bunching: pl.LazyFrame,
    plans: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """Estimate every row.

    Args:
        deal_outcomes: the mart.
        deal_incentives: the mart; its pay periods.
        feedback_hops: the mart.
        customer_events: core; complaints before the sale, for a negative control.
        plan_change_effects: the mart; its averages are the rows of level 4.
        quota_bunching: the mart; whether pay periods pile up at a threshold.
        plans: core; when clawback ends.
        company: sources and ends of observation.

    Returns:
        The columns of the contract INCENTIVE_EFFECTS. Outcomes and exposures without a source have no rows.
    """
    deals = describe_deals(deal_outcomes, deal_incentives).collect().lazy()
    has_pay = bool(deals.select(_c("emcr").is_not_null().any()).collect().item())
    rows: list[_Row] = []
    cautions = _look_around(deals, quota_bunching, plans, company)
    for outcome in (*OUTCOMES, *HOP_OUTCOMES):
        panel = build_panel(outcome, deals, feedback_hops, company)
        if panel is None:
            continue
        if "owner_rep_id" in panel.rows.columns:
            for exposure in OWNER_EXPOSURES:
                known = _bear_on(cautions, outcome.name, is_pay=exposure.is_pay)
                found = list(_estimate(panel.of_owners(), None, outcome, exposure, known, has_pay=has_pay))
                rows += _compare_signs(found)
        before = complaints_before(deals, customer_events) if outcome.name == "complaint_180d" else None
        for exposure in EXPOSURES:
            known = _bear_on(cautions, outcome.name, is_pay=exposure.is_pay)
            found = list(_estimate(panel, before, outcome, exposure, known, has_pay=has_pay))
            rows += _compare_signs(found)
    through = list_mediations(deals, {o.name: _bear_on(cautions, o.name, is_pay=True) for o in OUTCOMES})
    return _lay_out([*map(_write, rows), *through, *list_move_rows(plan_change_effects)])


def _estimate(
    panel: Panel,
    before: Panel | None,
    outcome: Outcome,
    exposure: Exposure,
    known: frozenset[Caution],
    *,
    has_pay: bool,
) -> Iterator[_Row]:
    about = _describe_sample(panel, exposure)
    for specification, family in specifications_of(outcome, exposure, has_pay=has_pay):
        at_risk = before if specification.placebo == "outcome_before_sale" else panel
        if at_risk is None or not (estimate := estimate_effect(at_risk, exposure, specification, outcome)):
            continue
        cautions = estimate.cautions | known
        if at_risk.mature_share < MATURE_SHARE:
            cautions |= {Caution.IMMATURE_COHORT}
        if specification.level == 0:
            cautions |= about
        yield _Row(
            outcome, exposure, specification, family, estimate, at_risk.mature_share, at_risk.noun, cautions
        )  # fmt: skip


def _look_around(
    deals: pl.LazyFrame, quota_bunching: pl.LazyFrame, plans: pl.LazyFrame, company: Company
) -> dict[Caution, tuple[frozenset[str], bool]]:
    """What is to be feared whatever the specification, with the outcomes it bears on and whether only on exposures of pay."""
    outcomes = (*OUTCOMES, *HOP_OUTCOMES)
    every = frozenset(o.name for o in outcomes)
    piled = quota_bunching.filter(~_c("is_placebo"), _c("warnings").str.contains(Caution.DENSITY_JUMP))
    cliff = find_cliff(follow_deals(deals), plans)
    holds = {
        Caution.REPORTING_BIAS: (True, frozenset(o.name for o in outcomes if o.reported), False),
        Caution.KNOWLEDGE_TIME_UNKNOWN: (not all(company.has(*source) for source in _KNOWLEDGE), every, True),
        Caution.DENSITY_JUMP: (piled.head(1).collect().height > 0, every, True),
        Caution.CLAWBACK_CLIFF: (cliff is not None and cliff.is_found, frozenset({"churn_180d"}), False),
    }
    return {caution: (named, on_pay) for caution, (is_so, named, on_pay) in holds.items() if is_so}


def _bear_on(
    cautions: dict[Caution, tuple[frozenset[str], bool]], outcome: str, *, is_pay: bool
) -> frozenset[Caution]:
    return frozenset(
        c for c, (outcomes, on_pay) in cautions.items() if outcome in outcomes and is_pay >= on_pay
    )


def _describe_sample(panel: Panel, exposure: Exposure) -> set[Caution]:
    """Whether customers of high and low exposure are of different kinds, and whether that turns the direction round."""
    rows = panel.rows.with_columns(
        _events=pl.Series(panel.events.sum(axis=1)), _risk=pl.Series(panel.risk.sum(axis=1))
    ).filter(_c(exposure.column).is_not_null())
    x = _c(exposure.column).cast(pl.Float64)
    cells = (
        rows.with_columns(_high=x > x.median(), segment=_c("segment").cast(pl.String).fill_null(""))
        .group_by("segment", "_high")
        .agg(events=_c("_events").sum(), risk=_c("_risk").sum(), n=pl.len())
        .sort("segment", "_high")
    )
    low, high = (cells.filter(_c("_high") == side).drop("_high") for side in (False, True))
    both = low.join(high, on="segment", suffix="_high", how="inner").sort("segment")
    if both.is_empty():
        return set()
    y0, t0, n0, y1, t1, n1 = (
        both[c].cast(pl.Float64).to_numpy()
        for c in ("events", "risk", "n", "events_high", "risk_high", "n_high")
    )
    found: set[Caution] = set()
    p0, p1 = n0 / n0.sum(), n1 / n1.sum()
    spread = np.sqrt((p0 * (1 - p0) + p1 * (1 - p1)) / 2)
    if np.any(np.abs(p1 - p0) > DIFFERENT * spread):
        found.add(Caution.COMPOSITION_CHANGE)
    # crude rates against Mantel and Haenszel's (1959) over segments, as excesses of one sign or the other
    crude = y1.sum() / t1.sum() - y0.sum() / t0.sum()
    within = (y1 * t0 / (t0 + t1)).sum() - (y0 * t1 / (t0 + t1)).sum()
    if crude * within < 0:
        found.add(Caution.SIMPSON)
    return found


def _compare_signs(rows: list[_Row]) -> list[_Row]:
    """Mark the rows of level 2 of one exposure where they do not agree on the sign."""
    three = [r for r in rows if r.specification.name in SEPARATION and r.estimate.ratio]
    above = {r.estimate.ratio[0] > 1 for r in three if r.estimate.ratio}
    # without a pay period there is no time left in it to tell the incentive from
    if len(above) < 2 or not any(r.exposure.is_pay for r in three):
        return rows
    return [
        replace(r, cautions=r.cautions | {Caution.TIMING_NOT_SEPARABLE}) if r in three else r for r in rows
    ]


def _lay_out(rows: list[dict[str, Any]]) -> pl.LazyFrame:
    q_values = _control_false_discoveries(rows)
    table = pl.DataFrame(
        [row | {"q_value": q} for row, q in zip(rows, q_values, strict=True)], schema=INCENTIVE_EFFECTS.schema
    )
    return table.with_columns(pl.selectors.float().round_sig_figs(9)).sort(INCENTIVE_EFFECTS.key).lazy()


def _control_false_discoveries(rows: list[dict[str, Any]]) -> list[float | None]:
    """Benjamini-Hochberg within the primary and within the secondary rows; controls and hidden rows are no tests."""
    q: list[float | None] = [None] * len(rows)
    for family in ("primary", "secondary"):
        tests = {
            i: row["p_value"]
            for i, row in enumerate(rows)
            if row["test_family"] == family and row.get("p_value") is not None
        }
        for i, value in zip(tests, adjust_p_values(list(tests.values())), strict=True):
            q[i] = float(value)
    return q


def _write(row: _Row) -> dict[str, Any]:
    estimate, specification = row.estimate, row.specification
    scale = row.outcome.scale(specification.level)
    assumptions = [ASSUMPTIONS[specification.level]]
    if specification.effect == "direct":
        assumptions.append(DIRECT)
    words: dict[str, Any] = {
        "outcome": row.outcome.name,
        "exposure": row.exposure.name,
        "specification": specification.name,
        "evidence_level": specification.level,
        "test_family": row.family,
        "effect_kind": specification.effect,
        "estimator": estimate.estimator,
        "scale": f"{scale} {row.exposure.contrast}",
        "assumptions": "; ".join(assumptions),
        "suppressed": row.suppressed,
    }
    if row.suppressed:  # what was noticed about so few people would tell of them, too
        return words | {"warnings": "", "sentence": say_hidden(row.outcome, row.exposure)}
    words |= {
        "warnings": ", ".join(sorted(row.cautions)),
        "sentence": say_nothing(row.outcome, row.exposure, row.cautions),
    }
    sizes = {
        "n": estimate.n,
        "events": estimate.events,
        "n_clusters": estimate.n_sellers,
        "n_accounts": estimate.n_accounts,
        "mature_share": row.mature_share,
    }
    if estimate.ratio is None:
        return words | sizes
    ratio, lo, hi = estimate.ratio
    kind = scale.removesuffix(" ratio")
    strength = float(e_value(ratio, kind, event_share=estimate.event_share))  # type: ignore[arg-type]
    bound = float(e_value_bound(lo, hi, kind, event_share=estimate.event_share))  # type: ignore[arg-type]
    found = Found(ratio, lo, hi, estimate.n, estimate.n_sellers, row.mature_share, strength, row.noun)
    return words | sizes | {
        "estimate": ratio,
        "estimate_lo": lo,
        "estimate_hi": hi,
        "p_value": estimate.p_value,
        "e_value": strength,
        "e_value_bound": bound,
        "sentence": say(row.outcome, row.exposure, specification, found, row.cautions),
    }  # fmt: skip
