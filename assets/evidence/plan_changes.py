"""What changed for customers when sellers were moved to another pay plan: event studies around every kind of move.

Sellers who moved are followed in quarters of 91 days before and after their own day, beside sellers who never did, within sellers
and calendar months. The one design here in which the firm, not the seller, chose when the incentive changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from math import isnan
from typing import Final, Literal

import polars as pl

from assets.company import Company
from assets.evidence.suppression import MIN_SELLERS
from assets.incentives.knowledge import span_versions
from assets.methods.event_study import REFERENCE, UNTREATED, Contrast, EventRows, EventStudy, fit_event_study
from expectations.cautions import Caution
from expectations.contracts.effects import PLAN_CHANGE_EFFECTS

QUARTER_DAYS: Final = 91
QUARTERS: Final = 4
"""Quarters followed on each side of a move."""
PLACEBO_QUARTERS: Final = 2
"""How much earlier the pretended move of the placebo is."""
FEW_SELLERS: Final = 40
FEW_EVENTS: Final = 20
ALL_MOVES: Final = "all"
_PRE_TREND_P: Final = 0.05
_MONTH_DAYS: Final = 30.4375
_UNITS: Final = 10**8

_c = pl.col


@dataclass(frozen=True, slots=True)
class Followed:
    """An outcome of sellers over time.

    Attributes:
        name: word of the column `outcome`.
        kind: whether it is a share of deals, a mean over deals, or a count of deals per month.
        value: what a deal adds to it, a whole number, null where the deal tells nothing; `units` of it are one.
        scale: unit of the estimates.
        words: what moved, in a sentence.
        shown: how a difference is written in a sentence.
    """

    name: str
    kind: Literal["share", "mean", "count"]
    value: pl.Expr
    scale: str
    words: str
    shown: str = "{:+.1%}"
    units: int = 1


def _happened(column: str, *, count: bool = False) -> pl.Expr:
    value = _c(column) > 0 if count else _c(column)
    return pl.when("mature_180d").then(value.cast(pl.Int64))


FOLLOWED: Final = (
    Followed("churn_180d", "share", _happened("churned_180d"), "share of deals", "the share of deals lost within 180 days"),
    Followed("complaint_180d", "share", _happened("complaints_180d", count=True), "share of deals", "the share of deals with a complaint within 180 days"),
    Followed("refund_180d", "share", _happened("refunded_180d"), "share of deals", "the share of deals refunded within 180 days"),
    Followed("clawback_180d", "share", _happened("clawed_back_180d"), "share of deals", "the share of deals with commission clawed back within 180 days"),
    Followed("emcr_as_known", "mean", (_c("emcr") * _UNITS).round(0).cast(pl.Int64), "money of pay per money of credit", "the marginal commission rate", units=_UNITS),
    Followed("deals_won", "count", pl.lit(1, pl.Int64), "deals per seller and month", "the number of deals a seller wins in a month", shown="{:+.2f}"),
)  # fmt: skip


def list_moves(plan_assignments: pl.LazyFrame) -> pl.DataFrame:
    """Every move of a seller from one plan version to another, as known today.

    Returns:
        `rep_id`, `moved_on`, `plan_change` ("AE 1 > AE 2"), `after_on` and `before_on` (the seller's moves around it; null: none),
        sorted by seller and day.
    """
    plan = pl.format("{} {}", "plan_id", "version")
    return (
        span_versions(plan_assignments, ["rep_id", "plan_id", "version", "valid_from"])
        .filter(_c("known_until").is_null())
        .select("rep_id", moved_on="valid_from", plan=plan)
        .sort("rep_id", "moved_on", "plan")
        .with_columns(earlier=_c("plan").shift(1).over("rep_id"))
        .filter(_c("earlier") != _c("plan"))
        .select(
            "rep_id",
            "moved_on",
            plan_change=pl.format("{} > {}", "earlier", "plan"),
            after_on=_c("moved_on").shift(1).over("rep_id"),
            before_on=_c("moved_on").shift(-1).over("rep_id"),
        )
        .sort("rep_id", "moved_on")
        .collect()
    )


def estimate_plan_changes(
    deal_outcomes: pl.LazyFrame, plan_assignments: pl.LazyFrame, company: Company
) -> pl.DataFrame:
    """Estimate every kind of move that at least one seller made, and all moves together (each seller's first).

    Returns:
        Columns of the contract PLAN_CHANGE_EFFECTS, sorted by its key.
    """
    moves = list_moves(plan_assignments)
    deals = (
        deal_outcomes.filter(_c("rep_id").is_not_null() & _c("closed_on").is_not_null())
        .select("rep_id", "closed_on", "account_id", *(f.value.alias(f.name) for f in FOLLOWED))
        .collect()
    )
    spans = _list_spans(plan_assignments, deals, company.as_of).join(deals, on="rep_id", how="semi")
    rows = [
        row
        for change, treated in _list_designs(moves)
        for row in _estimate(change, treated, moves, deals, spans)
    ]
    return pl.DataFrame(rows, schema=PLAN_CHANGE_EFFECTS.schema, orient="row").sort(
        "plan_change", "outcome", "term", "relative_period", nulls_last=True
    )


def _list_designs(moves: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Who is treated when: first moves of all kinds, then each kind of its own."""
    if moves.height:
        yield ALL_MOVES, moves.unique("rep_id", keep="first", maintain_order=True)
    for (change,), made in moves.group_by("plan_change", maintain_order=True):
        yield str(change), made.unique("rep_id", keep="first", maintain_order=True)


def _list_spans(plan_assignments: pl.LazyFrame, deals: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Days on which each seller could sell: `rep_id`, `from_on`, `until_on` (exclusive), inside the time that deals cover."""
    first = deals["closed_on"].min()
    begin = first.replace(day=1) if isinstance(first, date) else as_of
    end = as_of + timedelta(days=1)
    return (
        span_versions(plan_assignments, ["rep_id", "plan_id", "version", "valid_from"])
        .filter(_c("known_until").is_null())
        .group_by("rep_id")
        .agg(from_on=_c("valid_from").min(), until_on=_c("valid_to").fill_null(end).max())
        .with_columns(
            from_on=pl.max_horizontal("from_on", pl.lit(begin)),
            until_on=pl.min_horizontal("until_on", pl.lit(end)),
        )
        .filter(_c("from_on") < _c("until_on"))
        .sort("rep_id")
        .collect()
    )


ESTIMATOR: Final = "interaction-weighted event study (Sun and Abraham 2021), within sellers and months"
ASSUMPTIONS: Final = "without the move both would have gone the same way; nobody sold differently because the move was coming; moves of some sellers did not touch the others"


def _estimate(
    change: str, treated: pl.DataFrame, moves: pl.DataFrame, deals: pl.DataFrame, spans: pl.DataFrame
) -> Iterator[dict[str, object]]:
    people = _cast_roles(treated, moves, spans)
    for outcome in FOLLOWED:
        cells = _make_cells(outcome, people, deals)
        study, events = _fit(cells), int(cells["total"].sum()) // outcome.units
        deals_behind = events if outcome.kind == "count" else int(cells["weight"].sum())
        placebo = _fit(_pretend(cells))
        hidden = min(study.n_treated, study.n_compared) < MIN_SELLERS
        too_few = outcome.kind == "share" and events < FEW_EVENTS
        warnings = _warn(study, few_events=too_few)
        facts: dict[str, object] = {
            "plan_change": change, "outcome": outcome.name, "scale": outcome.scale, "n": None if hidden else deals_behind,
            "n_treated": None if hidden else study.n_treated, "n_compared": None if hidden else study.n_compared,
            "estimator": ESTIMATOR, "evidence_level": 4, "assumptions": ASSUMPTIONS, "warnings": ", ".join(warnings),
            "pre_trend_p": None if hidden or isnan(study.pre_trend_p) else round(study.pre_trend_p, 8), "suppressed": hidden,
        }  # fmt: skip
        terms: list[tuple[str, int | None, Contrast]] = [
            ("average", None, study.average),
            ("placebo", None, placebo.average),
        ]
        terms += [("quarter", int(r), c) for r, c in zip(study.relative, study.periods, strict=True)]
        for term, relative, contrast in terms:
            shown = _NOTHING if hidden or too_few else contrast
            yield {**facts, **_numbers(shown), "term": term, "relative_period": relative,
                   "sentence": _say(change, outcome, term, relative, shown, study, deals_behind)}  # fmt: skip


_NOTHING: Final = Contrast(*(float("nan"),) * 5)


def _cast_roles(treated: pl.DataFrame, moves: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Who is followed, and over which days: `rep_id`, `moved_on` (null: compared), `cohort`, `from_on`, `until_on`.

    Compared are sellers who never moved: whoever moved at another time is treated then (Goodman-Bacon 2021).
    """
    reach = timedelta(days=QUARTER_DAYS * QUARTERS)
    movers = (
        treated.join(spans, on="rep_id")
        .with_columns(
            # only the days on the plan before and the plan after
            from_on=pl.max_horizontal("from_on", "after_on", _c("moved_on") - reach),
            until_on=pl.min_horizontal("until_on", "before_on", _c("moved_on") + reach),
            cohort=_c("moved_on").dt.truncate("1q").rank("dense").cast(pl.Int64) - 1,
        )
        .select("rep_id", "moved_on", "cohort", "from_on", "until_on")
    )
    days = movers.select(first=_c("from_on").min(), last=_c("until_on").max())
    others = (
        spans.join(moves, on="rep_id", how="anti")
        .join(days, how="cross")
        .select(
            "rep_id",
            moved_on=pl.lit(None, pl.Date),
            cohort=pl.lit(UNTREATED, pl.Int64),
            from_on=pl.max_horizontal("from_on", "first"),
            until_on=pl.min_horizontal("until_on", "last"),
        )
    )
    return pl.concat([movers, others]).filter(_c("from_on") < _c("until_on")).sort("rep_id")


def _relative(day: str) -> pl.Expr:
    """Quarters from the move to a day, 0 the first after it; 0 where nobody moved."""
    return ((_c(day) - _c("moved_on")).dt.total_days().floordiv(QUARTER_DAYS)).fill_null(0)


def _make_cells(outcome: Followed, people: pl.DataFrame, deals: pl.DataFrame) -> pl.DataFrame:
    """Sums by seller, calendar month and quarter from the move: `unit`, `month`, `cohort`, `relative`, `total`, `weight`, sorted."""
    key = ["rep_id", "month", "cohort", "relative"]
    sums = (
        deals.lazy()
        .join(people.lazy(), on="rep_id")
        .filter(
            _c("closed_on") >= _c("from_on"), _c("closed_on") < _c("until_on"), _c(outcome.name).is_not_null()
        )
        .with_columns(month=_c("closed_on").dt.month_start(), relative=_relative("closed_on"))
        .group_by(key)
        .agg(total=_c(outcome.name).sum(), deals=pl.len().cast(pl.Int64))
    )
    if outcome.kind == "count":
        days = _cut_days(people).lazy()
        cells = days.join(sums, on=key, how="left").with_columns(_c("total").fill_null(0), weight="days")
    else:
        cells = sums.with_columns(weight="deals")
    return (
        cells.select(*key, "total", _c("weight").cast(pl.Int64))
        .sort(key)
        .with_columns(unit=_c("rep_id").rank("dense").cast(pl.Int64))
        .with_columns(outcome=_c("total").cast(pl.Float64) / _c("weight") / outcome.units
                      * (_MONTH_DAYS if outcome.kind == "count" else 1.0))
        .collect()
    )  # fmt: skip


def _cut_days(people: pl.DataFrame) -> pl.DataFrame:
    """Every seller's days cut at month starts and at quarters from the move, so that months without a deal count too."""
    span = ("from_on", "until_on", "moved_on", "cohort")
    months = people.select(
        "rep_id",
        *span,
        day=pl.date_ranges(_c("from_on").dt.month_start(), "until_on", interval="1mo", closed="left"),
    ).explode("day", empty_as_null=False)
    steps = people.filter(_c("moved_on").is_not_null()).join(
        pl.DataFrame({"step": range(-QUARTERS, QUARTERS)}, schema={"step": pl.Int64}), how="cross"
    )
    moved = steps.select("rep_id", *span, day=_c("moved_on") + pl.duration(days=_c("step") * QUARTER_DAYS))
    return (
        pl.concat([months, moved])
        .with_columns(day=pl.max_horizontal("day", "from_on"))
        .filter(_c("day") < _c("until_on"))
        .unique(["rep_id", "day"])
        .sort("rep_id", "day")
        .with_columns(end=pl.min_horizontal(_c("day").shift(-1).over("rep_id"), "until_on"))
        .select(
            "rep_id", "cohort", month=_c("day").dt.month_start(), relative=_relative("day"), days=(_c("end") - _c("day")).dt.total_days()
        )
    )  # fmt: skip


def _fit(cells: pl.DataFrame) -> EventStudy:
    return fit_event_study(
        EventRows(
            unit=cells["unit"].to_numpy(),
            time=cells["month"].to_physical().cast(pl.Int64).to_numpy(),
            cohort=cells["cohort"].to_numpy(),
            relative=cells["relative"].to_numpy(),
            outcome=cells["outcome"].to_numpy(),
            weight=cells["weight"].cast(pl.Float64).to_numpy(),
        )
    )


def _pretend(cells: pl.DataFrame) -> pl.DataFrame:
    """The time before the moves only, with moves that did not happen: nothing should be found."""
    last = cells.filter(_c("cohort") != UNTREATED)["month"].max()
    before = (_c("cohort") == UNTREATED) | (_c("relative") < 0)
    # where nobody moved there is no last month, and nothing before it
    return cells.filter(before, _c("month") <= pl.lit(last, cells.schema["month"])).with_columns(
        relative=pl.when(_c("cohort") == UNTREATED).then(0).otherwise(_c("relative") + PLACEBO_QUARTERS)
    )


def _warn(study: EventStudy, *, few_events: bool) -> list[str]:
    found = {
        Caution.FEW_CLUSTERS: study.n_treated + study.n_compared < FEW_SELLERS,
        Caution.FEW_EVENTS: few_events,
        Caution.PRE_TREND: study.pre_trend_p < _PRE_TREND_P,
        Caution.NO_WITHIN_VARIATION: isnan(study.average.estimate),
    }
    return [caution.value for caution, holds in found.items() if holds]


def _numbers(contrast: Contrast) -> dict[str, float | None]:
    known = {
        "estimate": contrast.estimate, "estimate_lo": contrast.low, "estimate_hi": contrast.high, "p_value": contrast.p_value,
    }  # fmt: skip
    return {name: None if isnan(value) else round(value, 8) for name, value in known.items()}


def _say(
    change: str,
    outcome: Followed,
    term: str,
    relative: int | None,
    shown: Contrast,
    study: EventStudy,
    deals: int,
) -> str:
    """The row in plain words."""
    who = (
        "sellers who were moved"
        if change == ALL_MOVES
        else f"sellers moved from {change.replace(' > ', ' to ')}"
    )
    if isnan(shown.estimate):
        return (
            f"No estimate of {outcome.words} for {who}: too few sellers or events, or nobody to compare with."
        )
    if relative == REFERENCE:
        return f"For {who}: the quarter before the move is what the others are compared with."
    when = {
        "average": "Over the year after the move",
        "placebo": "In the half year before the move, when nothing had changed yet",
        "quarter": f"In quarter {relative} from the move" if relative is not None else "",
    }[term]
    number, low, high = (
        outcome.shown.format(v).replace("%", " pp") for v in (shown.estimate, shown.low, shown.high)
    )
    trend = (
        "and the quarters before the move can't be compared"
        if isnan(study.pre_trend_p)
        else f"in the quarters before it they differed with p = {study.pre_trend_p:.2f}"
    )
    return (
        f"{when}, {outcome.words} of {who} changed by {number} (95 % CI {low} to {high}) beside that of sellers who were not; "
        f"n = {deals} deals, {study.n_treated} sellers moved, {study.n_compared} not; level 4: an effect if both would have gone "
        f"the same way without the move ({trend}); not evidence on any individual."
    )
