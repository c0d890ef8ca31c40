"""One step: reuse what this recipe already made, else compute, write, audit. Committing is the caller's last act.

The same code serves every table, so no asset can forget a check. No orchestrator is known here.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Protocol

import polars as pl

from assets.company import Company
from assets.core.pseudonyms import Pseudonyms
from assets.landing import Landing
from assets.storage import Part, Staged, Version, Warehouse
from assets.table import COMPANY, MANIFESTS, MONTH, SOURCE_MANIFESTS, SOURCE_TABLES, Made, TableAsset
from expectations.checks import audit
from expectations.contracts import TABLES
from expectations.model import Audience, Table
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


def recipe_key(contract: Table, workshop: Workshop, inputs: Mapping[str, str], month: str = "") -> str:
    """Names what a table is made of: code, contract, settings and content hashes of its inputs. Equal key, equal bytes."""
    recipe = {
        "table": contract.path,
        "month": month,
        "contract": contract.version,
        "code": workshop.code_version,
        "company": describe_company(workshop.company),
        "inputs": dict(sorted(inputs.items())),
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]


def conform(contract: Table, frame: pl.LazyFrame) -> pl.LazyFrame:
    """Columns in the contract's order and dtypes, rows sorted by the key.

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
    return frame.select(pl.col(n).cast(t, strict=True) for n, t in contract.schema.items()).sort(
        contract.row_key
    )


def file_metadata(
    contract: Table, company: Company, inputs: Mapping[str, str], observed_until: str
) -> dict[str, str]:
    """What a Parquet file says of itself: nothing that differs between two runs over equal data.

    So a table at the door names no inputs: the same rows in another order, or in other files, are the same table.
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
    if asset.months is None:
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
    asset: TableAsset, inputs: Mapping[str, Version], workshop: Workshop, month: str = ""
) -> dict[str, object]:
    """Values for the function's parameters: frames scan lazily, so what a function does not read costs nothing."""
    values: dict[str, object] = {
        table.name: _frame_of(table, inputs, workshop, month if table.partitioned else "")
        for table in asset.upstream
    }
    if COMPANY in asset.wants:
        values[COMPANY] = workshop.company
    if MONTH in asset.wants:
        values[MONTH] = month
    came = [TABLES[name] for name in sorted(workshop.company.sources) if TABLES[name].path in inputs]
    if MANIFESTS in asset.wants:
        values[MANIFESTS] = inputs
    if SOURCE_MANIFESTS in asset.wants:
        values[SOURCE_MANIFESTS] = {table.path: inputs[table.path] for table in came}
    if SOURCE_TABLES in asset.wants:
        values[SOURCE_TABLES] = {table.name: _frame_of(table, inputs, workshop) for table in came}
    return values


def _made(asset: TableAsset, arguments: Mapping[str, object]) -> Made:
    made = asset.function(**arguments)
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
    made = _made(asset, _arguments(asset, inputs, workshop))
    metadata = file_metadata(contract, workshop.company, content, made.observed_until)
    staged = workshop.warehouse.stage(contract, conform(contract, made.frame), key, metadata)
    results = audit(contract, pl.scan_parquet(staged.file), may_be_empty=_may_be_empty(asset, inputs))
    return finish(
        contract, workshop, key=key, inputs={p: v.key for p, v in inputs.items()}, parts=(), staged=(staged,),
        results=results, facts=made.facts, sides={},
    )  # fmt: skip


def _make_months(
    asset: TableAsset, inputs: Mapping[str, Version], workshop: Workshop, wanted: tuple[str, ...] | None
) -> Step:
    contract, warehouse = asset.contract, workshop.warehouse
    assert asset.months is not None
    listing = {
        name: value
        for name, value in _arguments(asset, inputs, workshop).items()
        if name in _names(asset.months)
    }
    cut = {t.path for t in asset.upstream if t.partitioned}
    keys: dict[str, str] = {}
    contents: dict[str, dict[str, str]] = {}
    for month in asset.months(**listing):
        contents[month] = {
            path: next((p.sha256 for p in v.parts if p.month == month), "") if path in cut else v.content_hash
            for path, v in inputs.items()
        }
        keys[month] = recipe_key(contract, workshop, contents[month], month)
    key = recipe_key(contract, workshop, keys)
    if (known := warehouse.find(contract.path, key)) is not None:
        return Step(remembered(known), version=known, reused=True)

    parts: list[Part] = []
    staged: list[Staged] = []
    results: list[Result] = []
    facts: dict[str, Any] = {}
    left_out: list[str] = []
    for month, month_key in keys.items():
        if (part := warehouse.find_part(contract.path, month_key, month)) is not None:
            parts.append(part)
            continue
        if wanted is not None and month not in wanted:
            left_out.append(month)
            continue
        made = _made(asset, _arguments(asset, inputs, workshop, month))
        metadata = file_metadata(contract, workshop.company, contents[month], made.observed_until)
        item = warehouse.stage(contract, conform(contract, made.frame), month_key, metadata, month)
        staged.append(item)
        results += audit(contract, pl.scan_parquet(item.file))
        facts.update(made.facts)
    facts |= {"months": len(keys), "months_made": len(staged), "months_left_out": left_out}
    if left_out:
        # the rest is out of date: a version of its own name, which no full run will take for the whole
        key = recipe_key(
            contract, workshop, {m: k for m, k in keys.items() if m not in left_out}, "some months"
        )
    return finish(
        contract, workshop, key=key, inputs={p: v.key for p, v in inputs.items()}, parts=tuple(parts),
        staged=tuple(staged), results=merge(results), facts=facts, sides={},
    )  # fmt: skip


def _names(function: Callable[..., object]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)
