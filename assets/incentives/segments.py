"""The part of a pay period that a plan counts: all of it, or the segment between two plan changes.

Under `segment_prorated` a segment is the longest stretch of days of the pay period on which the seller is on one plan
version; quota, cap, floor, draw and target pay are shared out by days, half up to cents. Under `continuous` the whole
period counts and nothing is shared out. Nothing is priced here.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.knowledge import Knowledge, holds
from assets.methods.exact import as_money, whole_cents
from assets.methods.pay_curve import prorate

_PRORATED: Final = ("quota_amount", "target_incentive", "draw")
_WHERE: Final = ("rep_id", "plan_id", "version", "at", "on", "period_start", "period_end")


def find_segments(positions: pl.DataFrame, terms: pl.DataFrame, knowledge: Knowledge) -> pl.DataFrame:
    """Add the days that count, and share out by days what is stated per pay period.

    Args:
        positions: `rep_id`, `plan_id`, `version`, `at`, `on`, `period_start`, `period_end`, `mid_period_policy`, `holds_from`,
            `holds_until`, and money per period: `quota_amount`, `target_incentive`, `draw`.
        terms: from `list_terms`.
        knowledge: which versions count; as known at `at`.

    Returns:
        The positions in any order with `counts_from`, `counts_until` (half-open dates), `days_counted`, `days_in_period`, and
        `is_changed`: the plan changes inside a period that goes on.
    """
    c = pl.col
    is_cut = ((c("holds_from") > c("period_start")) | (c("holds_until") < c("period_end"))).fill_null(
        value=False
    )
    is_segment = is_cut & (c("mid_period_policy") == "segment_prorated").fill_null(value=False)
    cut = positions.filter(is_segment).select(_WHERE).unique()
    found = _join_stretches(cut, terms, knowledge)
    return (
        positions.join(found, on=_WHERE, how="left")
        .with_columns(
            counts_from=pl.coalesce("segment_from", "period_start"),
            counts_until=pl.coalesce("segment_until", "period_end"),
            is_changed=is_cut & c("segment_from").is_null(),
        )
        .drop("segment_from", "segment_until")
        .with_columns(
            days_counted=(c("counts_until") - c("counts_from")).dt.total_days(),
            days_in_period=(c("period_end") - c("period_start")).dt.total_days(),
        )
        .with_columns(as_money(prorate(whole_cents(c(name)))).alias(name) for name in _PRORATED)
    )


def _join_stretches(cut: pl.DataFrame, terms: pl.DataFrame, knowledge: Knowledge) -> pl.DataFrame:
    """`segment_from`, `segment_until` of every place: assignments of one plan version that meet are one stretch."""
    c = pl.col
    begins = c("starts") > c("ends").cum_max().shift(1)
    stretch = begins.fill_null(value=True).cum_sum().over(_WHERE, order_by="starts")
    narrow = terms.lazy().select(
        "rep_id", "plan_id", "version", "holds_from", "holds_until", "known_from", "known_until"
    )
    return (
        cut.lazy()
        .join(narrow, on=["rep_id", "plan_id", "version"])
        .filter(
            holds(knowledge),
            c("holds_from") < c("period_end"),
            c("holds_until").is_null() | (c("holds_until") > c("period_start")),
        )
        .select(
            *_WHERE,
            starts=pl.max_horizontal("holds_from", "period_start"),
            ends=pl.min_horizontal("holds_until", "period_end"),
        )
        .with_columns(stretch=stretch)
        .group_by(*_WHERE, "stretch")
        .agg(segment_from=c("starts").min(), segment_until=c("ends").max())
        .filter(c("segment_from") <= c("on"), c("on") < c("segment_until"))
        .drop("stretch")
        .collect()
    )
