"""Who was moved to another pay plan when, and who is compared with whom over which days. No outcome is looked at here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import polars as pl

from assets.incentives.knowledge import span_versions
from assets.methods.event_study import UNTREATED

QUARTER_DAYS: Final = 91
QUARTERS: Final = 4
"""Quarters followed on each side of a move."""
PLACEBO_QUARTERS: Final = 2
"""How much earlier the pretended move of the placebo is."""
ALL_MOVES: Final = "all"

_c = pl.col


def list_moves(plan_assignments: pl.LazyFrame) -> pl.DataFrame:
    """Every move of a seller from one plan version to another, as known today.

    Returns:
        `rep_id`, `moved_on`, `plan_change` ("AE 1 > AE 2"), `to_plan` ("AE"), `after_on` and `before_on` (the seller's moves around it; null: none),
        sorted by seller and day.
    """
    plan = pl.format("{} {}", "plan_id", "version")
    return (
        span_versions(plan_assignments, ["rep_id", "plan_id", "version", "valid_from"])
        .filter(_c("known_until").is_null())
        .select("rep_id", moved_on="valid_from", plan=plan, to_plan="plan_id")
        .sort("rep_id", "moved_on", "plan")
        .with_columns(earlier=_c("plan").shift(1).over("rep_id"))
        .filter(_c("earlier") != _c("plan"))
        .select(
            "rep_id",
            "moved_on",
            plan_change=pl.format("{} > {}", "earlier", "plan"),
            to_plan="to_plan",
            after_on=_c("moved_on").shift(1).over("rep_id"),
            before_on=_c("moved_on").shift(-1).over("rep_id"),
        )
        .sort("rep_id", "moved_on")
        .collect()
    )


def list_designs(moves: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Who is treated when: first moves of all kinds, then each kind of its own."""
    if moves.height:
        yield ALL_MOVES, moves.unique("rep_id", keep="first", maintain_order=True)
    for (change,), made in moves.group_by("plan_change", maintain_order=True):
        yield str(change), made.unique("rep_id", keep="first", maintain_order=True)


def list_spans(plan_assignments: pl.LazyFrame, deals: pl.DataFrame, as_of: date) -> pl.DataFrame:
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


def cast_roles(treated: pl.DataFrame, moves: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
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


def relative_quarter(day: str) -> pl.Expr:
    """Quarters from the move to a day, 0 the first after it; 0 where nobody moved."""
    return ((_c(day) - _c("moved_on")).dt.total_days().floordiv(QUARTER_DAYS)).fill_null(0)


def cut_days(people: pl.DataFrame) -> pl.DataFrame:
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
            "rep_id", "cohort", month=_c("day").dt.month_start(), relative=relative_quarter("day"), days=(_c("end") - _c("day")).dt.total_days()
        )
    )  # fmt: skip


def pretend_earlier(cells: pl.DataFrame) -> pl.DataFrame:
    """The time before the moves only, with moves that did not happen: nothing should be found."""
    last = cells.filter(_c("cohort") != UNTREATED)["month"].max()
    before = (_c("cohort") == UNTREATED) | (_c("relative") < 0)
    # where nobody moved there is no last month, and nothing before it
    return cells.filter(before, _c("month") <= pl.lit(last, cells.schema["month"])).with_columns(
        relative=pl.when(_c("cohort") == UNTREATED).then(0).otherwise(_c("relative") + PLACEBO_QUARTERS)
    )
