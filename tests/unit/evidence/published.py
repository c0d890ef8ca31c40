"""What every table that is safe to hand around publishes for a made-up organisation, and what it hides."""

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
from assets.evidence.dimensions import Dimension, find_present
from assets.evidence.protection import Additive, Relation
from assets.evidence.selling_days import close_deals, count_activities, lay_out, observe_months
from assets.evidence.suppression import is_small
from assets.evidence.unit_rhythm import BLOCK, list_units, measure_blocks
from assets.evidence.value_accounts import AMOUNTS
from assets.incentives.plans_today import PLAN, PlansToday
from expectations.contracts import TABLES
from tests.unit.evidence.organisations import COMPANY, LAST, PLANS, WAY, Organisation, frame_of

_c = pl.col


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
            relations: Sequence[Relation] = (),
            always: pl.DataFrame | None = None,
        ) -> pl.DataFrame:
            if protect:
                marked = suppression.hide_small_cells(
                    cells, equations, key, additive=additive, relations=relations, always=always
                )
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
        hide_groups = _HiddenGroups(protect=protect)
        for module in (retention, complaint_rates, lags, customer_distance, selling_style):
            stack.enter_context(mock.patch.object(module, "hide_groups", hide_groups))
        tables = dict(_publish(org, protect=protect))
    return Published(tables, found)


class _HiddenGroups:
    """`hide_groups`, once for all tables of an organisation; or no groups."""

    def __init__(self, *, protect: bool) -> None:
        self._protect = protect
        self._found: dict[tuple[str, ...], pl.DataFrame] = {}

    def __call__(self, deal_outcomes: pl.LazyFrame, dimensions: Sequence[Dimension]) -> pl.DataFrame:
        if not self._protect:
            dimensions = ()
        names = tuple(dimension.name for dimension in dimensions)
        if names not in self._found:
            self._found[names] = group_sizes.hide_groups(deal_outcomes, dimensions)
        return self._found[names]


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
        quarter=pl.format("2025-Q{}", (_c("closed_on").dt.month() + 2) // 3), watched_days=(pl.lit(LAST) - _c("closed_on")).dt.total_days() + 200,
        met_days=pl.when(_c("reach") == len(WAY)).then(100),
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
