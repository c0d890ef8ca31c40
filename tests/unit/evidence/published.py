"""Every table that is safe to hand around: the facts about hiding in it, and what it publishes for a made-up organisation.

`WIDE` says what a cell is, what it adds up with, and what protects it; `outsider.py` writes the same down as equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal
from unittest import mock

import polars as pl

from assets.evidence import (
    complaint_rates,
    customer_distance,
    group_sizes,
    incentive_value,
    lags,
    needs,
    plan_changes,
    retention,
    selling_style,
    shifts,
    styles,
    suppression,
    threshold_bunching,
    unit_rhythm,
    value_drift,
)
from assets.evidence.dimensions import find_present
from assets.evidence.selling_days import close_deals, count_activities, lay_out, observe_months
from assets.evidence.suppression import Additive, is_small
from assets.evidence.unit_rhythm import BLOCK, list_units, measure_blocks
from assets.evidence.value_accounts import AMOUNTS
from assets.incentives.plans_today import PLAN, PlansToday
from expectations.contracts import TABLES
from tests.unit.evidence.organisations import COMPANY, PLANS, Organisation, frame_of

_c = pl.col
BY_RULE: Final = "hide_small_cells: by rule and by linear program"


@dataclass(frozen=True)
class Facts:
    """What there is to know about hiding in a table.

    Attributes:
        cell: who stands behind a row.
        adds_up: what its numbers add up with, in it and in other tables.
        protection: why a hidden number can't be told.
    """

    cell: str
    adds_up: str
    protection: str


WIDE: Final = {
    "churn_by_incentive": Facts(
        "the deals of a group; all horizons are hidden together",
        "groups of a dimension make up `all`, crossed groups both of theirs, plans those with a feature; n is that of "
        "complaints_by_incentive; deals per quarter are in sales_rhythm, selling_style and on the board's page",
        BY_RULE + "; hide_groups decides for all tables at once, seasons of sales_rhythm included",
    ),
    "complaints_by_incentive": Facts(
        "the deals of a group under observation in a quarter; all categories are hidden together",
        "as churn_by_incentive; quarters make up `all` in complaints and account-months; categories make up `all`",
        BY_RULE,
    ),
    "feedback_lag_by_incentive": Facts(
        "the items of a group that entered a hop",
        "groups as above, hop by hop; what entered `triaged` entered `board_seen`; what left a hop entered the next one",
        BY_RULE
        + "; a group hidden at a hop is hidden at the later ones. Who follows items from hop to hop learns sizes more closely, but "
        "none exactly, unless it is the number of items that left a hop that may be shown: an event of that cell",
    ),
    "incentive_value": Facts(
        "the mature deals of a plan in a tier",
        "no total is published; churn_by_incentive tells how many mature deals a plan and a tier have",
        BY_RULE
        + " with those totals known; money follows: a count that can move leaves all sums over it open",
    ),
    "incentive_effects": Facts(
        "all deals of the firm that a specification can use",
        "nothing: rows are fits to the whole firm, no row is a sum of others; a row of a higher level has at most the deals of a lower one",
        "a row of too few people is hidden by itself; between 0 and the size of a lower level its size is open",
    ),
    "plan_change_effects": Facts(
        "the deals of sellers who were moved from one plan to another",
        "kinds of moves make up all moves (each seller's first); quarters from a move are averaged, all of them are hidden together",
        BY_RULE,
    ),
    "plan_features": Facts(
        "the sellers on a plan version, for medians of their quotas and target pay; everything else is the plan's own terms",
        "nothing: medians do not add up, and no table publishes quotas",
        "medians of fewer than five sellers are hidden; what remains says nothing about anybody",
    ),
    "value_drift": Facts(
        "the sellers of a team in a quarter, by what their plans promise",
        "teams make up the company in n_sellers; shares are weighted by target pay, which is published nowhere",
        BY_RULE,
    ),
    "sales_rhythm": Facts(
        "the deals of a unit in the thinnest phase of a candidate period; all phases are hidden together",
        "teams and regions make up the company, teams within a region that region; months of a half and of a year make up months of a quarter",
        BY_RULE + ", phase by phase",
    ),
    "quota_bunching": Facts(
        "the pay periods of a plan around a threshold",
        "plans that share a threshold make up `all`; specifications of one place are hidden together",
        BY_RULE + "; under 200 periods nothing is shown at all",
    ),
    "customer_distance": Facts(
        "the customer days of a segment in a month",
        "segments make up `all`, months make up `all`; customers per segment are those of churn_by_incentive",
        BY_RULE + "; segments hidden there are hidden here",
    ),
    "unmet_needs": Facts(
        "the needs of a group in a quarter, solicited and not apart",
        "groups of a dimension make up `all`, quarters make up `all`; two lists and their overlap make up n",
        BY_RULE,
    ),
    "market_shifts": Facts(
        "the items of a theme in a channel",
        "channels of a theme make up `all`; themes make up nothing that is published",
        BY_RULE,
    ),
    "selling_style": Facts(
        "the activities of a team in a quarter",
        "teams make up `all`; sales_rhythm tells sums over the quarters of a season; deals of all teams are those of churn_by_incentive",
        BY_RULE + " with those sums known; quarters of deals hidden there are hidden here",
    ),
    "lead_lags": Facts(
        "the sellers and customers of the teams whose series are compared",
        "nothing: rows are fits over all teams with both series, no row is a sum of others",
        "a row of too few people is hidden by itself",
    ),
    "board_scorecard": Facts(
        "the deals, or the feedback, of the whole firm in one quarter",
        "the deals of a quarter are a group of churn_by_incentive; feedback by quarter of entering is published for this quarter only",
        "a quarter hidden there is not shown here, nor is a change against one",
    ),
    "quality_results": Facts("a check", "counts rows of tables, nobody's in particular", "no people in it"),
    "source_coverage": Facts("a column of a source", "counts rows of sources", "no people in it"),
    "rejects_summary": Facts("a reason for keeping rows aside", "counts rows of files", "no people in it"),
    "suppressions": Facts(
        "a table", "counts hidden rows, which the tables show themselves", "no people in it"
    ),
}


@dataclass(frozen=True)
class Hiding:
    """One call of `hide_small_cells`: who called, the true cells with `suppressed`, and the numbers that must stay open."""

    caller: str
    key: tuple[str, ...]
    cells: pl.DataFrame
    additive: tuple[Additive, ...]


@dataclass(frozen=True)
class Published:
    """What an organisation publishes, by table; and the truth behind what it hides."""

    tables: Mapping[str, pl.DataFrame]
    hidings: Mapping[str, Hiding]


CALLERS: Final = (
    retention, complaint_rates, lags, incentive_value, needs, styles, unit_rhythm, threshold_bunching, customer_distance, value_drift,
    shifts, plan_changes,
)  # fmt: skip


def publish(org: Organisation, hide: Literal["all", "small", "nothing"] = "all") -> Published:
    """Run the functions of all tables that have cells: as they are, with only the small cells hidden, or with none."""
    protect = hide == "all"
    found: dict[str, Hiding] = {}

    def watch(caller: str) -> Any:
        def mark(
            cells: pl.DataFrame,
            equations: pl.DataFrame,
            key: Sequence[str],
            *,
            additive: Sequence[Additive] = (),
            always: pl.DataFrame | None = None,
        ) -> pl.DataFrame:
            if protect:
                marked = suppression.hide_small_cells(cells, equations, key, additive=additive, always=always)
            else:
                small = is_small(knows_largest="largest" in cells.columns)
                marked = cells.with_columns(suppressed=small if hide == "small" else pl.lit(value=False))
            found[caller] = Hiding(caller, tuple(key), marked, tuple(additive))
            return marked

        return mark

    with ExitStack() as stack:
        for module in CALLERS:
            name = module.__name__.rpartition(".")[2]
            stack.enter_context(mock.patch.object(module, "hide_small_cells", watch(name)))
        if not protect:
            nothing = pl.DataFrame(schema={"dimension": pl.String, "value": pl.String})
            for module in (retention, complaint_rates, lags, customer_distance, selling_style):
                stack.enter_context(mock.patch.object(module, "hide_groups", lambda *_, n=nothing: n))
        tables = dict(_publish(org, protect=protect))
    return Published(tables, found)


def _publish(org: Organisation, *, protect: bool) -> Iterator[tuple[str, pl.DataFrame]]:
    outcomes = frame_of("deal_outcomes", org.deals)
    hops = frame_of("feedback_hops", org.hops)
    accounts, reps = frame_of("accounts", org.accounts), frame_of("reps", org.sellers)
    activities = frame_of("activities", org.activities)
    no = {
        name: TABLES[name].empty()
        for name in ("feedback", "fx_rates", "account_assignments", "reporting_lines")
    }
    yield "churn_by_incentive", retention.estimate_churn(outcomes, COMPANY)[0].collect()
    events = frame_of("customer_events", org.complaints)
    yield "complaints_by_incentive", complaint_rates.rate_complaints(outcomes, events, COMPANY)[0].collect()
    yield "feedback_lag_by_incentive", lags.estimate_lags(hops, outcomes, COMPANY).collect()
    hidden = group_sizes.hide_groups(outcomes, find_present(outcomes, COMPANY))
    mature = org.deals.filter(_c("closed_on") <= date(2024, 12, 31)).with_columns(
        pl.lit(100, pl.Int64).alias(name) for name in AMOUNTS
    )
    yield (
        "incentive_value",
        incentive_value.value_tiers(mature, hidden if protect else hidden.clear(), "USD").collect(),
    )
    yield "unmet_needs", needs.estimate_needs(_list_needs(org))
    yield "market_shifts", shifts.detect_shifts(_list_items(org), _no_answers(), COMPANY)
    yield (
        "selling_style",
        selling_style.selling_style(activities, accounts, reps, no["feedback"], outcomes, COMPANY).collect(),
    )
    yield "sales_rhythm", _count_rhythm(org)
    yield "quota_bunching", _bunch(org)
    yield (
        "customer_distance",
        customer_distance.customer_distance(
            deal_outcomes=outcomes, feedback_hops=hops, accounts=accounts, account_assignments=no["account_assignments"],
            reporting_lines=no["reporting_lines"], reps=reps, activities=activities, fx_rates=no["fx_rates"], company=COMPANY,
        ).collect(),
    )  # fmt: skip
    yield "value_drift", _drift(org)
    assigned = frame_of("plan_assignments", org.assignments)
    yield "plan_change_effects", plan_changes.estimate_plan_changes(outcomes, assigned, COMPANY)


def _list_needs(org: Organisation) -> pl.LazyFrame:
    """As `needs.list_needs` gives them."""
    return org.items.unique(["account_id", "theme_id", "solicitation"], keep="first", maintain_order=True).select(
        "account_id", "theme_id", "solicitation", "segment", "rep_id", "by_sellers", "by_others", intensity_band=pl.lit("1"),
        emcr_quintile=_c("emcr_quintile").cast(pl.String).fill_null("unknown"),
        quarter=pl.format("2025-Q{}", (_c("closed_on").dt.month() + 2) // 3), met_days=pl.lit(None, pl.Int64),
        watched_days=pl.lit(100, pl.Int64),
    ).lazy()  # fmt: skip


def _list_items(org: Organisation) -> pl.DataFrame:
    """As `shifts.list_items` gives them: too few weeks to look for shifts in."""
    week = pl.lit(date(2025, 12, 1))
    return org.items.select(
        "feedback_id",
        "theme_id",
        "channel",
        "account_id",
        "opportunity_id",
        "rep_id",
        said_week=week,
        captured_week=week,
    ).sort("feedback_id")


def _no_answers() -> dict[str, pl.DataFrame]:
    schema = {"theme_id": pl.String, "said_week": pl.Date, "day": pl.Date}
    return {stage: pl.DataFrame(schema=schema) for stage in ("board_seen", "decided", "shipped")}


def _count_rhythm(org: Organisation) -> pl.DataFrame:
    """The counts of `sales_rhythm` where its blocks are shown; its estimates take minutes and tell less."""
    noon = _c("closed_on").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=12)
    closed = pl.concat(
        rows.with_columns(closed_at=noon, is_won=pl.lit(value=won))
        for rows, won in ((org.deals, True), (org.lost, False))
    )
    deals = close_deals(
        frame_of("opportunities", closed),
        frame_of("accounts", org.accounts),
        TABLES["fx_rates"].empty(),
        COMPANY,
    )
    calendar = TABLES["fiscal_calendar"].empty().select("date", "fiscal_period", "fiscal_year").collect()
    months = observe_months(deals, calendar, COMPANY)
    activities = count_activities(frame_of("activities", org.activities), COMPANY)
    days = lay_out(deals, activities, frame_of("reps", org.sellers), months)
    units = list_units(days.sellers)
    shown = {
        tuple(row[k] for k in BLOCK): not row["suppressed"] for row in measure_blocks(days, units).to_dicts()
    }
    rows = []
    for unit in units:
        for period, length in (("month", 0), ("quarter", 3), ("half", 6), ("year", 12)):
            for measure in ("closed", "won", "activities"):
                table = days.thirds[measure][unit.members].sum(axis=0)
                month = days.span.month % length if length else None
                sums = (
                    {phase + 1: table[:, phase].sum() for phase in range(3)}
                    if month is None
                    else {int(p) + 1: table[month == p].sum() for p in sorted(set(month.tolist()))}
                )
                rows += [
                    (
                        unit.dimension,
                        unit.value,
                        period,
                        measure,
                        phase,
                        float(n) if shown[unit.dimension, unit.value, period] else None,
                    )
                    for phase, n in sums.items()
                ]
    return pl.DataFrame(
        rows,
        schema={**dict.fromkeys([*BLOCK, "measure"], pl.String), "phase": pl.Int64, "value_n": pl.Float64},
        orient="row",
    )


def _bunch(org: Organisation) -> pl.DataFrame:
    """Where places of `quota_bunching` may be shown, and their sizes: every deal stands for a pay period."""
    periods = org.deals.select(
        "rep_id",
        "plan_id",
        version=pl.lit(1),
        component=pl.lit("commission"),
        attained=pl.lit(10**8, pl.Int64),
        cap_attained=pl.lit(None, pl.Int64),
    )
    thresholds = pl.DataFrame(
        [(plan, 1, "commission", 10**8, "notch") for plan in PLANS],
        schema={"plan_id": pl.String, "version": pl.Int64, "component": pl.String, "threshold": pl.Int64, "threshold_kind": pl.String},
        orient="row",
    )  # fmt: skip
    cells = [
        threshold_bunching._Cells.of(place) for place in threshold_bunching.list_places(periods, thresholds)
    ]
    reasons = threshold_bunching._hide(cells)
    return pl.DataFrame(
        [
            {**c.place.key, "n": None if reason == "few_people" else c.n}
            for c, reason in zip(cells, reasons, strict=True)
        ]
    )


def _drift(org: Organisation) -> pl.DataFrame:
    weighed = org.sellers.join(pl.DataFrame({"quarter": [2024 * 4, 2024 * 4 + 1]}), how="cross").select(
        "rep_id", "team", "plan_id", "quarter", version=pl.lit(1), target=pl.lit(1000.0)
    )
    components = pl.DataFrame(
        [
            {
                "plan_id": p,
                "version": 1,
                "component": "c",
                "measure": "revenue",
                "weight": 1,
                "combine": "additive",
            }
            for p in PLANS
        ]
    ).with_columns(_c("weight").cast(pl.Decimal(18, 8)))
    nothing = pl.DataFrame(schema=dict.fromkeys(PLAN, pl.String))
    return value_drift.share_target_pay(weighed, PlansToday(nothing, nothing, components, nothing))
