"""One step of a derived table, or of some months of it: its function called on what lies upstream, written, audited."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from assets.months_in_store import MonthsInStore
from assets.step import Step, Workshop, conform, file_metadata, finish, recipe_key, remembered
from assets.storage import Version
from assets.table import (
    COMPANY,
    MANIFESTS,
    MONTH,
    PREPARED,
    SOURCE_MANIFESTS,
    SOURCE_TABLES,
    Made,
    TableAsset,
    arguments_of,
    parameters_of,
)
from expectations.checks import audit
from expectations.contracts import TABLES
from expectations.model import Audience, Table


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
    """By name of table or setting, what the function takes: frames scan lazily, so what it does not read costs nothing."""
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
    made = asset.function(**arguments_of(asset.function, {**arguments, **more}))
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

    prepared = asset.prepare(**arguments_of(asset.prepare, _arguments(asset.prepare, inputs, workshop)))
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
