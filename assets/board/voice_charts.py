"""Pictures of selling and listening: what sellers hear by segment, how far the board is, how hard the firm sells."""

from __future__ import annotations

import polars as pl

from assets.board.charts import Chart, draw_intervals
from assets.evidence.dimensions import ALL, UNKNOWN

_c = pl.col


def draw_needs(unmet_needs: pl.DataFrame | pl.LazyFrame) -> Chart | None:
    """Share of unasked needs that sellers hear, by segment, with intervals; None when no segment can be shown."""
    rows = (
        unmet_needs.lazy()
        .filter(
            (_c("dimension") == "segment")
            & (_c("value") != UNKNOWN)
            & (_c("quarter") == ALL)
            & (_c("solicitation") == "unsolicited")
            & _c("seller_capture_rate").is_not_null()
        )
        .sort("value")
        .collect()
    )
    points = rows.select(
        "value", y="seller_capture_rate", lo="seller_capture_rate_lo", hi="seller_capture_rate_hi"
    )
    return draw_intervals(
        "Share of needs that sellers hear, by segment", points, "segment", "share heard", "%"
    )


def draw_distance(customer_distance: pl.DataFrame | pl.LazyFrame) -> Chart | None:
    """Mean steps between customers' owners and the board, month by month: a count of all days, so without intervals."""
    rows = (
        customer_distance.lazy()
        .filter((_c("segment") == ALL) & (_c("month") != ALL) & _c("distance_mean").is_not_null())
        .sort("month")
        .collect()
    )
    nothing = pl.lit(None, pl.Float64)
    points = rows.select(value="month", y="distance_mean", lo=nothing, hi=nothing)
    return draw_intervals("Steps between customers and the board, by month", points, "month", "steps", "")


def draw_pressure(selling_style: pl.DataFrame | pl.LazyFrame) -> Chart | None:
    """Share of contacts that press on the customer, by quarter: the firm's, and from the softest to the hardest team."""
    shown = selling_style.lazy().filter(_c("outbound_pressure").is_not_null()).collect()
    teams = (
        shown.filter(~_c("team").is_in([ALL, UNKNOWN]))
        .group_by("quarter")
        .agg(lo=_c("outbound_pressure").min(), hi=_c("outbound_pressure").max())
    )
    rows = shown.filter(_c("team") == ALL).join(teams, on="quarter", how="left").sort("quarter")
    points = rows.select(value="quarter", y="outbound_pressure", lo="lo", hi="hi")
    note = " In brackets: the softest and the hardest team."
    return draw_intervals(
        "Contacts that press on the customer, by quarter", points, "quarter", "share", "%", note
    )
