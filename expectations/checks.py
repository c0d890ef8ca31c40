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
    """That rows are sorted by their key and no key appears twice: one pass over neighbours."""
    rises, same = pl.lit(value=False), pl.lit(value=True)
    for name in contract.row_key:
        here, before = pl.col(name), pl.col(name).shift(1)
        # null comes first
        rises |= same & ((here > before) | (before.is_null() & here.is_not_null())).fill_null(value=False)
        same &= here.eq_missing(before)
    neighbours = frame.select(contract.row_key).select(rises=rises, same=same).slice(1)
    counts = neighbours.select(
        pl.len(), twice=pl.col("same").sum(), unsorted=(~pl.col("rises") & ~pl.col("same")).sum()
    ).collect()
    rows = int(frame.select(pl.len()).collect().item())
    twice, unsorted = int(counts["twice"][0]), int(counts["unsorted"][0])
    detail = f"key: {', '.join(contract.row_key)}"
    return [
        Result(
            Group.KEYS, name, Severity.BLOCK, passed=failed == 0, evaluated=rows, failed=failed, detail=detail
        )
        for name, failed in (("key_is_unique", twice), ("rows_are_sorted_by_key", unsorted))
    ]  # fmt: skip


def audit_rows(contract: Table, frame: pl.LazyFrame, *, may_be_empty: bool = True) -> tuple[Result, ...]:
    """`contract` and `keys`: what every row, and every month of a table cut by month, is looked at for."""
    results = [*check_contract(contract, frame, may_be_empty=may_be_empty)]
    if not any(r.blocks for r in results):
        results += check_keys(contract, frame)
    return tuple(results)


def audit(contract: Table, frame: pl.LazyFrame, *, may_be_empty: bool = True) -> tuple[Result, ...]:
    """All three groups. `statistics` is left out where the contract already failed: its figures would mean nothing."""
    results = audit_rows(contract, frame, may_be_empty=may_be_empty)
    if any(r.blocks for r in results if r.group is Group.CONTRACT):
        return results
    return (*results, *check_statistics(contract, frame))
