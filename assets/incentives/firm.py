"""What prices are looked up in: small tables, read once."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from assets.company import Company
from assets.core.moments import start_of_day
from assets.incentives.exchange import Exchange
from assets.incentives.fiscal_periods import list_fiscal_periods
from assets.incentives.knowledge import span_versions
from assets.incentives.pay_tables import PayTables
from assets.incentives.plan_schedules import PlanBook, read_plan_book
from assets.incentives.terms import list_terms


@dataclass(frozen=True, slots=True)
class Firm:
    """What prices are looked up in.

    Attributes:
        terms: from `terms.list_terms`.
        quotas: from `pay_periods.list_quotas`.
        fiscal_periods: from `fiscal_periods.list_fiscal_periods`.
        results: from `list_results`.
        book: plans compiled.
        exchange: rates.
        company: settings.
    """

    terms: pl.DataFrame
    quotas: pl.DataFrame
    fiscal_periods: pl.DataFrame
    results: pl.DataFrame
    book: PlanBook
    exchange: Exchange
    company: Company


def read_firm(tables: PayTables) -> Firm:
    """Read the tables that prices are looked up in, all versions."""
    return Firm(
        terms=list_terms(tables.plans, tables.plan_assignments),
        quotas=list_quotas(tables.quotas),
        fiscal_periods=list_fiscal_periods(tables.fiscal_calendar),
        results=list_results(tables.component_results, tables.quotas, tables.company.timezone),
        book=read_plan_book(tables.plans, tables.plan_components, tables.plan_tiers),
        exchange=Exchange(tables.fx_rates, tables.company.reporting_currency),
        company=tables.company,
    )


def list_quotas(quotas: pl.LazyFrame) -> pl.DataFrame:
    """Quota versions, one row per calendar month they touch, so that a date finds them by an equality join."""
    first = pl.col("period_start").dt.month_start()
    last = (pl.col("period_end") - pl.duration(days=1)).dt.month_start()
    return (
        span_versions(quotas, ["rep_id", "component", "period_start"])
        .filter(pl.col("period_start") < pl.col("period_end"))
        .select(
            "rep_id",
            "component",
            "period_start",
            "period_end",
            pl.col("amount").alias("quota_amount"),
            "known_from",
            "known_until",
            pl.col("knowledge_time_assumed").fill_null(value=False).alias("quota_assumed"),
            pl.date_ranges(first, last, interval="1mo").alias("month"),
        )
        .explode("month", empty_as_null=False)
        .collect()
    )


def list_results(component_results: pl.LazyFrame, quotas: pl.LazyFrame, zone: str) -> pl.DataFrame:
    """Results on measures that no deal carries, all versions.

    A result whose time of record is missing was known on the day after its period, as its quota states it; without a quota
    it was known at no time, only today.

    Returns:
        `rep_id`, `component`, `period_start`, `achieved`, `known_from`, `known_until` (half-open), `result_assumed`.
    """
    key = ["rep_id", "component", "period_start"]
    ends = quotas.group_by(key).agg(pl.col("period_end").max())
    is_assumed = pl.col("knowledge_time_assumed").fill_null(value=False)
    return (
        span_versions(component_results, key)
        .filter(pl.col("achieved").is_not_null())
        .join(ends, on=key, how="left")
        .select(
            *key,
            "achieved",
            "known_until",
            known_from=pl.when(is_assumed)
            .then(start_of_day(pl.col("period_end"), zone))
            .otherwise("known_from"),
            result_assumed=is_assumed,
        )
        .collect()
    )
