"""What every way must agree on, as SQL over the tables that it wrote: a fast answer to another question is no answer."""

from __future__ import annotations

from pathlib import Path

import duckdb

ANSWERS = {
    "deal_outcomes": "SELECT count(*), count(*) FILTER (mature_180d), sum(complaints_180d)::BIGINT, "
    "count(*) FILTER (refunded_180d) FROM mart",
    "churn_by_incentive": "SELECT value, n, events FROM mart "
    "WHERE dimension = 'emcr_quintile' AND horizon_days = 180 AND value <> 'unknown' ORDER BY ALL",
    "account_months": "SELECT month, count(*), sum(exposure_days)::BIGINT, sum(complaints)::BIGINT, sum(touches)::BIGINT, "
    "count(*) FILTER (churned) FROM mart WHERE opportunity_id IS NOT NULL GROUP BY ALL ORDER BY ALL",
    "complaints_by_incentive": "SELECT value, category, complaints FROM mart "
    "WHERE dimension = 'emcr_quintile' AND period = 'all' AND category <> 'all' AND value <> 'unknown' ORDER BY ALL",
    "feedback_lag_by_incentive": "SELECT value, hop, n, reached, censored FROM mart "
    "WHERE dimension = 'emcr_quintile' AND value <> 'unknown' ORDER BY ALL",
}
"""Mart -> the numbers that simple SQL computes as ours does."""


def read_answers(out: Path) -> dict[str, list[tuple[object, ...]]]:
    """The numbers of one way, by mart; of those marts that it made."""
    made = {name: sql for name, sql in ANSWERS.items() if (out / name).is_dir()}
    with duckdb.connect() as connection:
        return {
            name: connection.sql(
                f"WITH mart AS (FROM read_parquet('{out}/{name}/*.parquet')) {sql}"
            ).fetchall()
            for name, sql in made.items()
        }
