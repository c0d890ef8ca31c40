"""The terms a seller worked under: which plan version held on the plan-local day of a close, and as known when.

Days are local days of the plan's own zone (31 March 23:30 in New York is already April in UTC); where the source has no
time of day the day is the company's. How credit is priced does not belong here (see `plan_schedules`).
"""

from __future__ import annotations

from functools import cache
from typing import Final
from zoneinfo import available_timezones

import polars as pl

from assets.incentives.knowledge import Knowledge, holds, span_versions

_FACTS: Final = (
    "period",
    "fiscal_start_month",
    "timezone",
    "credit_event",
    "mid_period_policy",
    "fx_policy",
    "cap",
    "floor",
)
_OF_ASSIGNMENT: Final = ("draw", "draw_kind", "target_incentive")

PLACE: Final = ("rep_id", "at", "time_known")
"""Names a seller's instant: `at` UTC, `time_known` false where the source gives the day only."""


def list_terms(plans: pl.LazyFrame, plan_assignments: pl.LazyFrame) -> pl.DataFrame:
    """Every assignment of a seller to a plan version, with the plan's facts.

    Returns:
        One row per seller, assignment and version of knowledge: `term` (number), `rep_id`, `plan_id`, `version`,
        `holds_from`, `holds_until` (half-open local dates on which assignment and plan both hold; null is open),
        `known_from`, `known_until` (half-open), `terms_assumed` (a knowledge time stands in for a missing one),
        `plan_currency` and the plan's facts. Sorted; the same rows whatever the order of the input.
    """
    left = span_versions(plan_assignments, ["rep_id", "plan_id", "version", "valid_from"])
    right = span_versions(plans, ["plan_id", "version"]).select(
        "plan_id",
        "version",
        "valid_from",
        "valid_to",
        "known_from",
        "known_until",
        "knowledge_time_assumed",
        pl.col("currency").alias("plan_currency"),
        *_FACTS,
    )
    c = pl.col
    return (
        left.join(right, on=["plan_id", "version"], suffix="_plan")
        .select(
            "rep_id",
            "plan_id",
            "version",
            pl.max_horizontal("valid_from", "valid_from_plan").alias("holds_from"),
            pl.min_horizontal("valid_to", "valid_to_plan").alias("holds_until"),
            pl.max_horizontal("known_from", "known_from_plan").alias("known_from"),
            pl.min_horizontal("known_until", "known_until_plan").alias("known_until"),
            (c("knowledge_time_assumed") | c("knowledge_time_assumed_plan"))
            .fill_null(value=False)
            .alias("terms_assumed"),
            "plan_currency",
            *_FACTS,
            *_OF_ASSIGNMENT,
        )
        .filter(c("known_until").is_null() | (c("known_from") < c("known_until")))
        .sort("rep_id", "plan_id", "version", "holds_from", "known_from")
        .with_row_index("term")
        .collect()
    )


def find_terms(
    places: pl.LazyFrame, terms: pl.DataFrame, company_zone: str, knowledge: Knowledge, *, seen: str = "at"
) -> pl.DataFrame:
    """The terms that held for a seller at an instant.

    Args:
        places: has `PLACE` and `seen`; further columns are ignored.
        terms: from `list_terms`.
        company_zone: IANA zone of days without a time and of sellers without a plan.
        knowledge: as known at `seen`, or today.
        seen: column of the time of knowledge; the instant itself unless told otherwise.

    Returns:
        One row per distinct place (and `seen`): `PLACE`, `on` (plan-local date), and the columns of `terms` (null where no plan or
        more than one holds: two prices are no price).
    """
    asked = list(dict.fromkeys((*PLACE, seen)))
    distinct = places.select(asked).drop_nulls().unique().with_row_index("place").collect().lazy()
    zones = sorted(set(terms["timezone"].drop_nulls().unique()) & _list_zones())
    narrow = terms.lazy().select(
        "term", "rep_id", "timezone", "holds_from", "holds_until", "known_from", "known_until"
    )
    company_day = local_date(pl.col("at"), company_zone)
    plan_day = pl.coalesce(
        pl.when("time_known", pl.col("timezone") == zone).then(local_date(pl.col("at"), zone))
        for zone in zones
    ) if zones else pl.lit(None, dtype=pl.Date)  # fmt: skip
    day = pl.when("time_known").then(plan_day).otherwise(company_day)
    matches = (
        distinct.join(narrow, on="rep_id")
        .filter(holds(knowledge, seen))
        .with_columns(on=day)
        .filter(
            (pl.col("holds_from") <= pl.col("on"))
            & (pl.col("holds_until").is_null() | (pl.col("on") < pl.col("holds_until")))
        )
        .select("place", "term", "on")
        .filter(pl.col("place").is_unique())
    )
    return (
        distinct.join(matches, on="place", how="left")
        .drop("place")
        .join(terms.lazy().drop("rep_id"), on="term", how="left")
        .with_columns(pl.coalesce("on", company_day).alias("on"))
        .collect()
    )


@cache
def _list_zones() -> set[str]:
    """Reading them walks a folder."""
    return available_timezones()


def local_date(time: pl.Expr, zone: str) -> pl.Expr:
    """Calendar date of a UTC instant in an IANA zone."""
    return time.dt.convert_time_zone(zone).dt.date()
