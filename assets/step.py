"""What every step is made of: its recipe, how rows are brought to their contract, how an audit becomes a version or a block.

A step reuses what its recipe already made, else computes, writes and audits; committing is the caller's last act. Derived tables
go through `table_step`, source tables through `source_step`: no asset can forget a check. No orchestrator is known here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Protocol

import polars as pl

from assets.company import Company
from assets.core.pseudonyms import Pseudonyms
from assets.landing import Landing
from assets.methods.calendar import last_day_of
from assets.storage import Part, Staged, Version, Warehouse
from expectations.model import Table
from expectations.results import Result


class Workshop(Protocol):
    """All that a step may use of the outside. Implemented by `pipelines.resources`."""

    @property
    def company(self) -> Company:
        """Settings of the run."""

    @property
    def code_version(self) -> str:
        """Changes with any code that can change a byte."""

    @property
    def run_id(self) -> str:
        """Which run this is."""

    @property
    def landing(self) -> Landing:
        """The sources."""

    @property
    def warehouse(self) -> Warehouse:
        """The store."""

    @property
    def pseudonyms(self) -> Pseudonyms:
        """Keyed ids of people."""

    def now(self) -> str:
        """The time for manifests, ISO 8601 UTC; never used in a number."""

    def keep_aside(self, staged: Staged) -> str:
        """Move a file that failed its audit to where people can look at it; returns the path."""


@dataclass(frozen=True)
class Block:
    """Why a table is not committed, in words for its user."""

    table: str
    check: str
    count: int
    message: str


@dataclass(frozen=True)
class Step:
    """What a step came to: a version ready to commit (or already there: `reused`), or a block, with all results."""

    results: tuple[Result, ...]
    version: Version | None = None
    staged: tuple[Staged, ...] = ()
    sides: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    reused: bool = False
    block: Block | None = None


def _canonical(value: object) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in sorted(value.items())}
    if isinstance(value, date):
        return value.isoformat()
    return value


def describe_company(company: Company) -> dict[str, Any]:
    """The settings as JSON with one spelling: part of every recipe."""
    return {name: _canonical(value) for name, value in asdict(company).items()}


def as_of_month(company: Company, month: str) -> Company:
    """The settings that a closed month depends on: it was seen whole at its end, however far sight goes by now.

    How far each source is complete is left out: what follows from it is among the month's facts.
    """
    return replace(company, as_of=min(company.as_of, last_day_of(month)), complete_until={})


def recipe_key(contract: Table, workshop: Workshop, inputs: Mapping[str, str], month: str = "") -> str:
    """Names what a table is made of: code, contract, settings and content hashes of its inputs. Equal key, equal bytes."""
    company = as_of_month(workshop.company, month) if month else workshop.company
    recipe = {
        "table": contract.path,
        "month": month,
        "contract": contract.version,
        "code": workshop.code_version,
        "company": describe_company(company),
        "inputs": dict(sorted(inputs.items())),
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]


def conform(contract: Table, frame: pl.LazyFrame, *, is_sorted: bool = False) -> pl.LazyFrame:
    """Columns in the contract's order and dtypes, rows sorted by the key, unless they are already.

    Raises TypeError naming the columns that are missing or of another kind: a frame is never bent silently, only
    integers widened and all-null columns typed.
    """
    schema = frame.collect_schema()
    missing = [name for name in contract.schema if name not in schema]
    wrong = [
        f"{name} is {schema[name]}, not {dtype}"
        for name, dtype in contract.schema.items()
        if name in schema
        and schema[name] != dtype
        and not (schema[name].is_integer() and dtype.is_integer())
        and schema[name] != pl.Null()
    ]
    if missing or wrong:
        raise TypeError(f"{contract.path}: missing columns {missing}; {'; '.join(wrong)}")
    shaped = frame.select(pl.col(n).cast(t, strict=True) for n, t in contract.schema.items())
    return shaped if is_sorted else shaped.sort(contract.row_key)


def file_metadata(
    contract: Table, company: Company, inputs: Mapping[str, str], observed_until: str = ""
) -> dict[str, str]:
    """What a Parquet file says of itself: nothing that differs between two runs over equal data.

    `company`: of a month, as of that month. A table at the door names no inputs: the same rows in another order, or in other files, are the same table.
    """
    digest = hashlib.sha256(json.dumps(dict(sorted(inputs.items()))).encode()).hexdigest()
    return {
        "as_of": company.as_of.isoformat(),
        "observed_until": observed_until or company.as_of.isoformat(),
        "contract_version": str(contract.version),
        "inputs": digest,
    }


def _first_block(contract: Table, results: Iterable[Result], where: str) -> Block | None:
    broken = [r for r in results if r.blocks]
    if not broken:
        return None
    first = max(broken, key=lambda r: r.failed)
    more = f" ({len(broken) - 1} more checks failed)" if len(broken) > 1 else ""
    return Block(
        contract.path,
        first.check,
        first.failed,
        f"{contract.path}: check {first.check} failed for {first.failed} of {first.evaluated} rows{more}. "
        f"{first.detail} The rows are in {where}",
    )


def merge(results: Iterable[Result]) -> tuple[Result, ...]:
    """Results of several months as results of the table: counts added up, any failure kept."""
    merged: dict[tuple[str, str], Result] = {}
    for r in results:
        seen = merged.get((r.group, r.check))
        if seen is None:
            merged[r.group, r.check] = r
            continue
        merged[r.group, r.check] = Result(
            r.group, r.check, r.severity, seen.passed and r.passed, seen.evaluated + r.evaluated, seen.failed + r.failed,
            seen.detail or r.detail,
        )  # fmt: skip
    return tuple(merged.values())


def remembered(version: Version) -> tuple[Result, ...]:
    """The results that a committed version passed with."""
    return tuple(Result.from_json(dict(stored)) for stored in version.checks)


def finish(
    contract: Table,
    workshop: Workshop,
    *,
    key: str,
    inputs: Mapping[str, str],
    parts: tuple[Part, ...],
    staged: tuple[Staged, ...],
    results: tuple[Result, ...],
    facts: Mapping[str, Any],
    sides: Mapping[str, pl.DataFrame],
) -> Step:
    """A passed audit becomes a version ready to commit; a failed one a block, its files kept aside."""
    if any(r.blocks for r in results):
        aside = [workshop.keep_aside(s) for s in staged]
        block = _first_block(contract, results, aside[0] if aside else "the run's folder")
        return Step(results, block=block, sides=sides)
    at = workshop.now()
    version = Version(
        table=contract.path,
        key=key,
        content_hash="",
        parts=parts,
        inputs=dict(inputs),
        rows=0,
        code_version=workshop.code_version,
        contract_version=contract.version,
        run_id=workshop.run_id,
        created_at=at,
        facts=dict(facts),
        checks=tuple({**r.to_json(), "run_id": workshop.run_id, "checked_at": at} for r in results),
    )
    return Step(results, version=version, staged=staged, sides=sides)
