"""Contract or suite in, results out: one result per sentence that must hold, three groups per table.

`contract`: dtypes, required values, words, bounds, row rules. `keys`: sorted by key, unique. `statistics`: the Great
Expectations suite. Bridging the results to the orchestrator's own checks belongs to the pipelines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from expectations.model import Column, Kind, Presence, Severity, Table
from expectations.results import Group, Result
from expectations.statistics import check_statistics


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A check that is one boolean expression, true where a row breaks it."""

    name: str
    broken: pl.Expr
    severity: Severity
    reason: str


def _sentences_of(column: Column) -> Iterable[_Sentence]:
    value = pl.col(column.name)
    if column.presence is Presence.REQUIRED:
        yield _Sentence(
            f"{column.name}_is_never_null", value.is_null(), Severity.BLOCK, "The contract promises it."
        )
    if column.kind is Kind.ESTIMATE:
        yield _Sentence(
            f"{column.name}_is_finite", ~value.is_finite(), Severity.BLOCK, "NaN compares as large."
        )
    if column.values:
        yield _Sentence(
            f"{column.name}_is_a_declared_word",
            ~value.is_in(list(column.values)),
            Severity.BLOCK if column.closed else Severity.WARN,
            "An unknown word falls through every rule.",
        )
    if column.minimum is not None:
        yield _Sentence(
            f"{column.name}_is_at_least_{column.minimum:g}".replace("-", "minus_").replace(".", "_"),
            value < column.minimum,
            Severity.BLOCK,
            "Outside what the column can mean.",
        )
    if column.maximum is not None:
        yield _Sentence(
            f"{column.name}_is_at_most_{column.maximum:g}".replace(".", "_"),
            value > column.maximum,
            Severity.BLOCK,
            "Outside what the column can mean.",
        )


def _row_sentences(contract: Table) -> list[_Sentence]:
    columns = [s for column in contract.stored for s in _sentences_of(column)]
    # a REJECT rule of a core table must hold in what was kept, so it blocks here
    kept = {c.name for c in contract.stored}
    rules = [
        _Sentence(
            r.name, r.broken, Severity.WARN if r.severity is Severity.WARN else Severity.BLOCK, r.reason
        )
        for r in contract.rules
        if kept.issuperset(r.holds.meta.root_names())
    ]
    return columns + rules


def check_contract(contract: Table, frame: pl.LazyFrame, *, may_be_empty: bool = True) -> list[Result]:
    """Dtypes, required values, words, bounds and row rules of a finished table, in one streaming pass.

    Never raises on bad data: a wrong schema is one failed result, and the rest is not looked at.
    """
    schema = frame.collect_schema()
    if schema != contract.schema:
        wrong = sorted(
            n for n in {*schema, *contract.schema} if schema.get(n) != contract.schema.get(n)
        )  # names only
        return [
            Result(Group.CONTRACT, "schema_is_the_declared_one", Severity.BLOCK, passed=False, evaluated=1, failed=len(wrong),
                   detail=f"columns that differ: {', '.join(wrong) or 'their order'}")
        ]  # fmt: skip
    sentences = _row_sentences(contract)
    counts = frame.select(
        pl.len().alias("_rows"),
        *(s.broken.fill_null(value=False).sum().alias(f"{i}") for i, s in enumerate(sentences)),
    ).collect(engine="streaming")
    rows = int(counts["_rows"][0])
    results = [
        Result(
            Group.CONTRACT, "schema_is_the_declared_one", Severity.BLOCK, passed=True, evaluated=1, failed=0
        ),
        Result(
            Group.CONTRACT,
            "table_has_rows",
            Severity.WARN if may_be_empty else Severity.BLOCK,
            passed=rows > 0,
            evaluated=rows,
            failed=int(rows == 0),
            detail="" if rows else "nothing was evaluated: no rows",
        ),
    ]
    for i, sentence in enumerate(sentences):
        failed = int(counts[f"{i}"][0] or 0)
        results.append(
            Result(
                Group.CONTRACT,
                sentence.name,
                sentence.severity,
                passed=failed == 0,
                evaluated=rows,
                failed=failed,
                detail="" if failed == 0 else sentence.reason,
            )
        )
    return results


def check_keys(contract: Table, frame: pl.LazyFrame) -> list[Result]:
    """That rows are sorted by their key and no key appears twice: one streaming pass over neighbours."""
    key = pl.struct(contract.row_key)
    neighbours = frame.select(key.alias("key")).select(
        pl.len().alias("rows"),
        (pl.col("key") == pl.col("key").shift(1)).fill_null(value=False).sum().alias("twice"),
    )
    counts = neighbours.collect()
    rows, twice = int(counts["rows"][0]), int(counts["twice"][0])
    return [
        Result(
            Group.KEYS,
            "key_is_unique",
            Severity.BLOCK,
            passed=twice == 0,
            evaluated=rows,
            failed=twice,
            detail=f"key: {', '.join(contract.row_key)}",
        )
    ]


def audit(contract: Table, frame: pl.LazyFrame, *, may_be_empty: bool = True) -> tuple[Result, ...]:
    """All three groups. `statistics` is left out where the contract already failed: its figures would mean nothing."""
    results = [*check_contract(contract, frame, may_be_empty=may_be_empty)]
    if any(r.blocks for r in results):
        return tuple(results)
    results += check_keys(contract, frame)
    results += check_statistics(contract, frame)
    return tuple(results)
