"""One step: reuse what this recipe already made, else compute, write, audit. Committing is the caller's last act.

The same code serves every table, so no asset can forget a check. No orchestrator is known here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from itertools import accumulate
from typing import Any, Protocol

import polars as pl

from assets.company import Company
from assets.core.pseudonyms import Pseudonyms
from assets.landing import Landing
from assets.methods.calendar import last_day_of
from assets.storage import Part, Staged, Version, Warehouse
from assets.table import (
    COMPANY,
    MANIFESTS,
    MONTH,
    PREPARED,
    SOURCE_MANIFESTS,
    SOURCE_TABLES,
    Made,
    TableAsset,
    parameters_of,
)
from expectations.checks import audit, audit_rows
from expectations.contracts import TABLES
from expectations.model import Audience, Table
from expectations.results import Result
from expectations.statistics import MOST_ROWS, check_statistics


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


def make_table(
    asset: TableAsset,
    inputs: Mapping[str, Version],
    workshop: Workshop,
    months: tuple[str, ...] | None = None,
) -> Step:
    """Make a derived table, or the given months of it.

    `inputs`: versions of the upstream tables that exist, by path; a source that is absent is simply not there and
    arrives as no rows.
    """
    if asset.prepare is None:
        return _make_whole(asset, inputs, workshop)
    return _make_months(asset, inputs, workshop, months)


def _frame_of(
    contract: Table, inputs: Mapping[str, Version], workshop: Workshop, month: str = ""
) -> pl.LazyFrame:
    version = inputs.get(contract.path)
    if version is None:
        return contract.empty()
    return workshop.warehouse.scan(contract, version, (month,) if month else None)


def _arguments(
    function: Callable[..., object], inputs: Mapping[str, Version], workshop: Workshop, month: str = ""
) -> dict[str, object]:
    """Values for a function's parameters: frames scan lazily, so what a function does not read costs nothing."""
    wanted = parameters_of(function)
    upstream = [TABLES[name] for name in wanted if name in TABLES]
    values: dict[str, object] = {
        table.name: _frame_of(table, inputs, workshop, month if table.partitioned else "")
        for table in upstream
    }
    came = [TABLES[name] for name in sorted(workshop.company.sources) if TABLES[name].path in inputs]
    settings: dict[str, Callable[[], object]] = {
        COMPANY: lambda: workshop.company,
        MONTH: lambda: month,
        MANIFESTS: lambda: inputs,
        SOURCE_MANIFESTS: lambda: {table.path: inputs[table.path] for table in came},
        SOURCE_TABLES: lambda: {table.name: _frame_of(table, inputs, workshop) for table in came},
    }
    return values | {name: value() for name, value in settings.items() if name in wanted}


def _made(asset: TableAsset, arguments: Mapping[str, object], **more: object) -> Made:
    made = asset.function(**arguments, **more)
    return made if isinstance(made, Made) else Made(made)


def _may_be_empty(asset: TableAsset, inputs: Mapping[str, Version]) -> bool:
    """A mart over absent or empty sources has no rows, and that is news, not a fault; the public tables say so."""
    return asset.contract.audience is not Audience.INTERNAL or any(
        t.path not in inputs for t in asset.upstream
    )


def _content(asset: TableAsset, inputs: Mapping[str, Version]) -> dict[str, str]:
    """Content hashes of the inputs; tables about the run itself follow the manifests instead."""
    if asset.wants & {MANIFESTS, SOURCE_MANIFESTS}:
        return {path: f"{v.key} {v.content_hash}" for path, v in inputs.items()}
    return {path: v.content_hash for path, v in inputs.items()}


def _make_whole(asset: TableAsset, inputs: Mapping[str, Version], workshop: Workshop) -> Step:
    contract, content = asset.contract, _content(asset, inputs)
    key = recipe_key(contract, workshop, content)
    if (known := workshop.warehouse.find(contract.path, key)) is not None:
        return Step(remembered(known), version=known, reused=True)
    made = _made(asset, _arguments(asset.function, inputs, workshop))
    metadata = file_metadata(contract, workshop.company, content, made.observed_until)
    staged = workshop.warehouse.stage(
        contract, conform(contract, made.frame, is_sorted=made.is_sorted), key, metadata
    )
    results = audit(contract, pl.scan_parquet(staged.file), may_be_empty=_may_be_empty(asset, inputs))
    return finish(
        contract, workshop, key=key, inputs={p: v.key for p, v in inputs.items()}, parts=(), staged=(staged,),
        results=results, facts=made.facts, sides={},
    )  # fmt: skip


def _make_months(
    asset: TableAsset, inputs: Mapping[str, Version], workshop: Workshop, wanted: tuple[str, ...] | None
) -> Step:
    """Make the months whose facts are new; take over all others as they are."""
    contract, warehouse = asset.contract, workshop.warehouse
    assert asset.prepare is not None
    content = _content(asset, inputs)
    key = recipe_key(contract, workshop, content)
    if (known := warehouse.find(contract.path, key)) is not None:
        return Step(remembered(known), version=known, reused=True)

    prepared = asset.prepare(**_arguments(asset.prepare, inputs, workshop))
    own = {TABLES[name].path for name in parameters_of(asset.function) if name in TABLES} & set(inputs)
    months = MonthsInStore(contract, workshop)
    left_out: list[str] = []
    for month in prepared.months:
        facts = {path: _content_of_month(inputs[path], month) for path in own}
        facts[PREPARED] = prepared.content(month)
        month_key = recipe_key(contract, workshop, facts, month)
        if months.take_over(month, month_key):
            continue
        if wanted is not None and month not in wanted:
            left_out.append(month)
            continue
        made = _made(asset, _arguments(asset.function, inputs, workshop, month), **{PREPARED: prepared})
        months.stage(month, month_key, made, facts)
    if left_out:
        # the rest is out of date: a version of its own name, which no full run will take for the whole
        key = recipe_key(contract, workshop, content | {"left out": " ".join(left_out)})
    return finish(
        contract, workshop, key=key, inputs={p: v.key for p, v in inputs.items()}, parts=tuple(months.parts),
        staged=tuple(months.staged), results=months.results,
        facts={**months.facts, "months_left_out": left_out}, sides={},
    )  # fmt: skip


def _content_of_month(version: Version, month: str) -> str:
    """Hash of a table's month, or of the whole of it where it is not cut by month."""
    if not any(part.month for part in version.parts):
        return version.content_hash
    return next((part.sha256 for part in version.parts if part.month == month), "")


class MonthsInStore:
    """The months of one version in the making: those the store has are taken over, the others staged and audited."""

    def __init__(self, contract: Table, workshop: Workshop) -> None:
        self._contract, self._workshop = contract, workshop
        self.parts: list[Part] = []
        self.staged: list[Staged] = []

    def take_over(self, month: str, key: str) -> bool:
        """Whether the store has this month; then it is part of the version, with the results it passed with."""
        part = self._workshop.warehouse.find_part(self._contract.path, key, month)
        if part is not None:
            self.parts.append(part)
        return part is not None

    def stage(self, month: str, key: str, made: Made, inputs: Mapping[str, str]) -> None:
        """Write a month and audit it."""
        contract, company = self._contract, as_of_month(self._workshop.company, month)
        metadata = file_metadata(contract, company, inputs, made.observed_until)
        frame = conform(contract, made.frame, is_sorted=made.is_sorted)
        item = self._workshop.warehouse.stage(contract, frame, key, metadata, month)
        checks = tuple(r.to_json() for r in audit_rows(contract, pl.scan_parquet(item.file)))
        self.staged.append(replace(item, part=replace(item.part, checks=checks)))

    @property
    def results(self) -> tuple[Result, ...]:
        """The results of all months as those of the table, and its statistics. Of no month at all: those of no rows."""
        parts = [*self.parts, *(item.part for item in self.staged)]
        if not parts:
            return audit(self._contract, self._contract.empty())
        results = merge(Result.from_json(dict(stored)) for part in parts for stored in part.checks)
        if any(r.blocks for r in results):
            return results
        return (*results, *check_statistics(self._contract, self._newest_rows()))

    def _newest_rows(self) -> pl.LazyFrame:
        """The newest months that were made, up to `MOST_ROWS`; where none was, the newest there is."""
        made = sorted(self.staged, key=lambda item: item.part.month, reverse=True)
        if not made:
            newest = max(self.parts, key=lambda part: part.month)
            return self._workshop.warehouse.scan_parts(self._contract, [newest])
        rows = accumulate(item.part.rows for item in made)
        files = [item.file for item, total in zip(made, rows, strict=True) if total <= MOST_ROWS]
        return pl.scan_parquet(files or made[0].file, glob=False, hive_partitioning=False)

    @property
    def facts(self) -> dict[str, int]:
        """How many months there are, and how many of them were made."""
        return {"months": len(self.parts) + len(self.staged), "months_made": len(self.staged)}
