"""When in a pay period a seller closed deals and contacted customers. What it means is up to `methods.period_shape`."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.company import Company
from assets.incentives.seller_periods import SPAN
from assets.methods.calendar import list_months
from assets.methods.period_shape import PARTS, SHAPE_COLUMNS, describe_shape, sustain_effort

AFTERMATH_DAYS: Final = 14
MIN_DEALS: Final = 5
"""Fewer deals have no shape."""

_c = pl.col


def cut_into_parts(spans: pl.DataFrame, fiscal_calendar: pl.LazyFrame) -> pl.DataFrame:
    """Cut each period into three parts: its fiscal periods, else its calendar months, else thirds of its days.

    Args:
        spans: `SPAN`, `period_end`.
        fiscal_calendar: core/fiscal_calendar.

    Returns:
        One row per `SPAN` and `part` (1 to 3): `part_start`, `part_end` (exclusive).
    """
    periods = spans.select("period_start", "period_end").unique().sort("period_start", "period_end")
    fiscal = (
        fiscal_calendar.drop_nulls(["fiscal_year", "fiscal_period"])
        .group_by("fiscal_year", "fiscal_period")
        .agg(part_start=_c("date").min(), last=_c("date").max(), days=pl.len())
        .filter((_c("last") - _c("part_start")).dt.total_days() + 1 == _c("days"))
        .select("part_start", part_end=_c("last") + pl.duration(days=1))
        .collect()
    )
    inside = (
        periods.join(fiscal, how="cross")
        .filter(_c("part_start") >= _c("period_start"), _c("part_end") <= _c("period_end"))
        .sort("period_start", "period_end", "part_start")
        .with_columns(
            length=(_c("part_end") - _c("part_start")).dt.total_days(),
            part=pl.int_range(1, pl.len() + 1).over("period_start", "period_end"),
        )
        .filter(
            pl.len().over("period_start", "period_end") == PARTS,
            _c("length").sum().over("period_start", "period_end")
            == (_c("period_end") - _c("period_start")).dt.total_days(),
        )
        .select("period_start", "period_end", _c("part").cast(pl.Int64), "part_start", "part_end")
    )
    rest = periods.join(inside, on=["period_start", "period_end"], how="anti")
    is_quarter = (_c("period_start").dt.day() == 1) & (
        _c("period_start").dt.offset_by("3mo") == _c("period_end")
    )
    days = (_c("period_end") - _c("period_start")).dt.total_days()

    def edge(k: int) -> pl.Expr:
        month = _c("period_start").dt.offset_by(f"{k}mo")
        return (
            pl.when(is_quarter)
            .then(month)
            .otherwise(_c("period_start") + pl.duration(days=days * k // PARTS))
        )

    made = [
        rest.select(
            "period_start", "period_end", part=pl.lit(k + 1, dtype=pl.Int64), part_start=edge(k), part_end=edge(k + 1)
        )
        for k in range(PARTS)
    ]  # fmt: skip
    return spans.select(*SPAN, "period_end").join(
        pl.concat([inside, *made]), on=["period_start", "period_end"]
    )


def _in_windows(windows: pl.DataFrame, events: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    """Events with each window [`start`, `end`) of their group that holds their `day`."""
    months = windows.lazy().with_columns(month=list_months(_c("start"), _c("end")))
    return (
        events.with_columns(month=_c("day").dt.month_start())
        .join(months.explode("month", empty_as_null=False), on=[*by, "month"], nulls_equal=True)
        .filter(_c("day") >= _c("start"), _c("day") < _c("end"))
    )


def shape_bookings(
    spans: pl.DataFrame, parts: pl.DataFrame, bookings: pl.LazyFrame, company: Company
) -> pl.DataFrame:
    """Hockey stick, concentration and slump of every period that is over.

    Args:
        spans: `SPAN`, `period_end`, `plan_currency`.
        parts: from `cut_into_parts`.
        bookings: `rep_id`, `plan_id`, `plan_currency`, `day`, `amount` Decimal(18,2): primary credits over 0.
        company: `as_of`.

    Returns:
        One row per `SPAN`: `deals` in the period; `SHAPE_COLUMNS` and `slump` (bookings of the first 14 days after the period
        over those of its last 14), null under 5 deals, while the period runs, and where a denominator is 0.
    """
    inside = parts.select(*SPAN, "part", start="part_start", end="part_end")
    by_part = (
        _in_windows(inside, bookings, ["rep_id", "plan_id"])
        .group_by(*SPAN, "part")
        .agg(_c("amount").sum(), deals=pl.len())
        .collect()
    )
    names = [f"part_{k + 1}" for k in range(PARTS)]
    amounts = by_part.group_by(SPAN).agg(
        *(_c("amount").filter(_c("part") == k + 1).sum().alias(name) for k, name in enumerate(names)),
        deals=_c("deals").sum().cast(pl.Int64),
    )
    two_weeks = pl.duration(days=AFTERMATH_DAYS)
    sides = {
        "before": (_c("period_end") - two_weeks, _c("period_end")),
        "after": (_c("period_end"), _c("period_end") + two_weeks),
    }
    windows = pl.concat(
        spans.select(*SPAN, "plan_currency", side=pl.lit(side), start=start, end=end)
        for side, (start, end) in sides.items()
    )
    around = (
        # what a seller sells next counts, on whatever plan
        _in_windows(
            windows.rename({"plan_id": "span_plan_id"}),
            bookings.drop("plan_id"),
            ["rep_id", "plan_currency"],
        )
        .rename({"span_plan_id": "plan_id"})
        .group_by(SPAN)
        .agg(_c("amount").filter(_c("side") == side).sum().cast(pl.Float64).alias(side) for side in sides)
        .collect()
    )
    is_over = _c("period_end") <= pl.lit(company.as_of) + pl.duration(days=1)
    is_shaped = is_over & (_c("deals") >= MIN_DEALS)
    is_followed = _c("period_end") + two_weeks <= pl.lit(company.as_of) + pl.duration(days=1)
    shape = describe_shape(names)
    return (
        spans.join(amounts, on=SPAN, how="left", nulls_equal=True)
        .join(around, on=SPAN, how="left", nulls_equal=True)
        .with_columns(_c("deals").fill_null(0))
        .select(
            *SPAN,
            "deals",
            *(pl.when(is_shaped).then(shape[name]).round(8).alias(name) for name in SHAPE_COLUMNS),
            pl.when(is_shaped, is_followed, _c("before") > 0)
            .then(_c("after") / _c("before"))
            .round(8)
            .alias("slump"),
        )
    )


def shape_effort(parts: pl.DataFrame, activities: pl.LazyFrame, company: Company) -> pl.DataFrame:
    """Outbound contact of every period: `SPAN`, `sustained_effort` Float64 and `calls_after_opt_out` Int64.

    Null where the source cannot tell. Days are the company's.
    """
    if not company.has("activities", "direction"):
        return parts.select(SPAN).unique().with_columns(
            sustained_effort=pl.lit(None, dtype=pl.Float64), calls_after_opt_out=pl.lit(None, dtype=pl.Int64)
        )  # fmt: skip
    outbound = activities.filter(_c("direction") == "outbound").select(
        "rep_id",
        day=_c("occurred_at").dt.convert_time_zone(company.timezone).dt.date(),
        is_unwanted=(_c("channel") == "call") & _c("opted_out").fill_null(value=False),
    )
    windows = parts.select(*SPAN, "part", start="part_start", end="part_end")
    counted = (
        _in_windows(windows, outbound, ["rep_id"])
        .group_by(*SPAN, "part")
        .agg(touches=pl.len().cast(pl.Int64), unwanted=_c("is_unwanted").sum().cast(pl.Int64))
        .collect(engine="streaming")
    )
    names = [f"part_{k + 1}" for k in range(PARTS)]
    knows = company.has("activities", "opted_out") and company.has("activities", "channel")
    return (
        counted.group_by(SPAN)
        .agg(
            *(_c("touches").filter(_c("part") == k + 1).sum().alias(name) for k, name in enumerate(names)),
            unwanted=_c("unwanted").sum(),
        )
        .join(parts.select(SPAN).unique(), on=SPAN, how="right", nulls_equal=True)
        .with_columns(_c(*names, "unwanted").fill_null(0))
        .select(
            *SPAN,
            sustained_effort=sustain_effort(names).round(8),
            calls_after_opt_out="unwanted" if knows else pl.lit(None, dtype=pl.Int64),
        )
    )
