"""The core tables that decide pay, in one hand: what is priced, under which terms, for which company."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from assets.company import Company


@dataclass(frozen=True, slots=True)
class PayTables:
    """Tables of the core by name, whole and in all versions; absent sources are empty frames with their columns.

    Without a credits table (`company.has("credits")` is false) each won deal credits its seller in full.
    """

    opportunities: pl.LazyFrame
    credits: pl.LazyFrame
    quotas: pl.LazyFrame
    plans: pl.LazyFrame
    plan_components: pl.LazyFrame
    plan_tiers: pl.LazyFrame
    plan_assignments: pl.LazyFrame
    component_results: pl.LazyFrame
    spiffs: pl.LazyFrame
    fx_rates: pl.LazyFrame
    fiscal_calendar: pl.LazyFrame
    reps: pl.LazyFrame
    company: Company
