"""Tables on the data itself: what came, what was kept aside, which sentences held."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from expectations.columns import VOCABULARY
from expectations.model import Audience, Kind, Layer, Rule, Severity, Table, pick

_c = pl.col

_SEVERITY = replace(
    VOCABULARY["severity"],
    values=("reject", "block", "warn"),
    closed=True,
    description="What a broken sentence does.",
)

QUALITY_RESULTS = Table(
    Layer.QUALITY,
    "quality_results",
    title="Every check on every table of the snapshot, with the run that made it.",
    grain="one row per run, table and check",
    key=("run_id", "table", "check"),
    columns=(
        *pick(VOCABULARY, "run_id!! table!! check!!"),
        _SEVERITY,
        *pick(VOCABULARY, "passed!! evaluated!! failed!! checked_at!! detail"),
    ),
    audience=Audience.WIDE,
    query='SELECT "table", "check", failed, evaluated, detail FROM quality.quality_results WHERE NOT passed ORDER BY ALL',
    do_not="Do not read `failed` without `passed`: rows kept aside within a limit are counted by a sentence that holds.",
)

SOURCE_COVERAGE = Table(
    Layer.QUALITY,
    "source_coverage",
    title="Which tables and columns came, what is wrong with them, what each absence switched off.",
    grain="one row per source table and column; column empty for the table as a whole",
    key=("table", "column"),
    columns=pick(
        VOCABULARY,
        "table!! column!! present!! rows null_share rows_in rejected deduplicated not_yet filtered vanished broken_references contradictions "
        "max_contradiction_share observed_until stale_since switches_off detail",
    ),
    rules=(
        Rule(
            "few_rows_contradict_another_table",
            _c("contradictions") <= 0.01 * _c("rows"),
            "Created dates are often import dates; more than 1 % deserves a look.",
            Severity.WARN,
        ),
        Rule(
            "contradictions_stay_under_the_limit",
            _c("contradictions") <= _c("max_contradiction_share") * _c("rows"),
            "So many rows against their cause mean that a time column is mapped wrongly (`max_contradiction_share`).",
        ),
    ),
    audience=Audience.WIDE,
    query='SELECT "table", rows, rejected, vanished, broken_references, stale_since, detail FROM quality.source_coverage '
    "WHERE \"column\" = '' AND present ORDER BY ALL",
    do_not="Do not read a null mart column as zero before looking here: an absent source switches it off.",
)

REJECTS_SUMMARY = Table(
    Layer.QUALITY,
    "rejects_summary",
    title="Why rows were kept aside, per file and reason.",
    grain="one row per table, file, column and reason",
    key=("table", "file", "column", "reason"),
    columns=(
        *pick(VOCABULARY, "table!! file!! column!!"),
        replace(VOCABULARY["reason"], kind=Kind.TEXT, description="Why the rows were kept aside."),
        *pick(VOCABULARY, "rows_with_reason!! share"),
    ),
    audience=Audience.WIDE,
    query='SELECT "table", reason, sum(rows_with_reason) AS kept_aside FROM quality.rejects_summary GROUP BY ALL ORDER BY ALL',
    do_not="Do not count the faults of a row here: a row with several stands once, under its first.",
)

SUPPRESSIONS = Table(
    Layer.QUALITY,
    "suppressions",
    title="Which cells of the published tables were too small to show.",
    grain="one row per table and dimension",
    key=("table", "dimension"),
    columns=pick(VOCABULARY, "table!! dimension!! rows_with_reason!!"),
    audience=Audience.WIDE,
    query='SELECT "table", sum(rows_with_reason) AS hidden_cells FROM quality.suppressions GROUP BY ALL ORDER BY ALL',
    do_not="Do not try to fill a hidden cell from totals: what would give it away is hidden, too.",
)

RECONCILIATION_EXCEPTIONS = Table(
    Layer.QUALITY,
    "reconciliation_exceptions",
    title="Where the ledger and recomputed pay differ by more than a cent, and why.",
    grain="one row per seller and start of a pay period that is over, or of an entry without one",
    key=("rep_id", "period_start"),
    columns=pick(
        VOCABULARY,
        "rep_id!! period_start!! period_end plan_currency recomputed_amount ledger_amount difference_amount difference_reason!! "
        "ledger_adjusted_amount unpaid_amount unpaid_late_amount repeated_reversal_amount ledger_clawback_amount expected_clawback_amount ledger_entries",
    ),
    audience=Audience.ANALYST,
    query="SELECT difference_reason, count(*) AS periods, sum(difference_amount) AS difference FROM quality.reconciliation_exceptions GROUP BY ALL ORDER BY periods DESC",
    do_not="Do not add `difference_amount` across currencies, and do not read a difference as an error of payroll: the reason says whose it is.",
)

TABLES = (QUALITY_RESULTS, SOURCE_COVERAGE, REJECTS_SUMMARY, SUPPRESSIONS, RECONCILIATION_EXCEPTIONS)
