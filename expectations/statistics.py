"""The `statistics` group of checks: suites run by Great Expectations, which takes seconds to import and so loads inside.

Guarded against vacuous success: an empty suite, a batch without rows, a column without values, an expectation that
raised or counted nothing: each is a failed result, never a silent pass. Results carry counts, no values.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import polars as pl

from expectations.model import Kind, Severity, Table
from expectations.results import Group, Result
from expectations.suites import SUITES
from expectations.suites.model import Expectation, derived_from

# fewer rows than this have no distribution to speak of
FEWEST_ROWS = 30

# of a table cut by month, statistics look at the newest months that were made, up to this many rows: a distribution does
# not need more, and every single row has been looked at by the contract
MOST_ROWS = 1_000_000


def has_suite(contract: Table) -> bool:
    """Whether the table has a suite."""
    return contract.path in SUITES


def check_statistics(contract: Table, frame: pl.LazyFrame) -> list[Result]:
    """Results of the table's suite; none where it has no suite."""
    if not has_suite(contract):
        return []
    return run_suite(contract, (*SUITES[contract.path], *derived_from(contract)), frame)


def run_suite(contract: Table, suite: Sequence[Expectation], frame: pl.LazyFrame) -> list[Result]:
    """Run a suite over a whole table and read its answers with suspicion.

    Args:
        contract: the table.
        suite: what to expect; an empty one is a failed result.
        frame: the rows; only the columns the suite names are read.
    """
    if not suite:
        return [
            _failed("suite_has_expectations", 0, "the suite is empty: nothing was evaluated", Severity.BLOCK)
        ]
    unknown = sorted({c for e in suite for c in e.columns} - set(contract.schema))
    if unknown:
        detail = f"no such column: {', '.join(unknown)}"
        return [_failed("suite_names_known_columns", 0, detail, Severity.BLOCK)]
    columns = sorted({column for expectation in suite for column in expectation.columns})
    batch = frame.select(_as_numpy_friendly(contract, column) for column in columns).collect()
    filled = {column: batch.height - batch[column].null_count() for column in columns}
    if batch.height < FEWEST_ROWS:
        detail = f"{batch.height} rows: too few for statistics, which start at {FEWEST_ROWS}"
        return [Result(Group.STATISTICS, "suite_was_evaluated", Severity.WARN, passed=batch.height > 0, evaluated=batch.height, failed=0, detail=detail)]  # fmt: skip
    with warnings.catch_warnings():
        # the library's own deprecations are not ours to mend, and no reason to fail a run
        warnings.simplefilter("ignore")
        answers = _validate(contract.path, suite, batch.to_pandas())
    return [_judge(e, answers.get(e.name), batch.height, min(filled[c] for c in e.columns)) for e in suite]


def _as_numpy_friendly(contract: Table, column: str) -> pl.Expr:
    """Numpy has no decimals and no nullable integers: bounds are judged on floats, exactness is the contract's business."""
    kind = contract.by_name[column].kind
    numeric = kind in (Kind.MONEY, Kind.RATE, Kind.COUNT, Kind.FLAG)
    return pl.col(column).cast(pl.Float64) if numeric else pl.col(column)


def _validate(name: str, suite: Sequence[Expectation], batch: Any) -> dict[str, dict[str, Any]]:
    """Answers of Great Expectations by expectation name, as plain dicts."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations import expectations as library

    definition = _batch_definition(name)
    expectations = [
        getattr(library, e.kind)(**e.arguments, meta={"name": e.name}) for e in suite
    ]  # a misspelt kind is an AttributeError: a mistake in the program, not in the data
    validation = definition.get_batch(batch_parameters={"dataframe": batch}).validate(
        gx.ExpectationSuite(name=name, expectations=expectations),
        result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
    )
    answers = validation.to_json_dict()["results"]
    return {answer["expectation_config"]["meta"]["name"]: answer for answer in answers}


@cache
def _context() -> Any:
    """One context per process: each makes a folder of its own and takes a moment."""
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


@cache
def _batch_definition(name: str) -> Any:
    """Where a table's rows are handed in; to describe it again for each month would cost more than to validate one."""
    asset = _context().data_sources.add_or_update_pandas(name).add_dataframe_asset(name)
    return asset.add_batch_definition_whole_dataframe("whole")


def _judge(expectation: Expectation, answer: dict[str, Any] | None, rows: int, filled: int) -> Result:
    """An answer as a result. What was not really evaluated has failed."""
    if filled == 0 and expectation.optional:
        return Result(
            Group.STATISTICS, expectation.name, expectation.severity, passed=True, evaluated=0, failed=0,
            detail="no values: the source it needs is absent",
        )  # fmt: skip
    if answer is None or answer.get("exception_info", {}).get("raised_exception"):
        return _failed(expectation.name, rows, "Great Expectations could not evaluate it", Severity.BLOCK)
    result = answer.get("result") or {}
    looked_at = result.get("element_count", filled)
    if filled == 0 or not looked_at or not ({"element_count", "observed_value"} & set(result)):
        return _failed(expectation.name, rows, "nothing was evaluated: no values", expectation.severity)
    return Result(
        Group.STATISTICS,
        expectation.name,
        expectation.severity,
        passed=bool(answer["success"]),
        evaluated=int(looked_at),
        failed=0 if answer["success"] else int(result.get("unexpected_count", rows)),
        detail="" if answer["success"] else expectation.reason,
    )


def _failed(name: str, rows: int, detail: str, severity: Severity) -> Result:
    return Result(Group.STATISTICS, name, severity, passed=False, evaluated=rows, failed=rows, detail=detail)
