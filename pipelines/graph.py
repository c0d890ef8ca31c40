"""Declared tables become Dagster assets: one policy for all of them (checks, commit, reuse, retries, metadata)."""

import importlib
import inspect
import pkgutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import dagster as dg

import assets
from assets.landing import LandingBlockedError, SourceUnreachableError
from assets.source_step import make_source
from assets.step import Step
from assets.storage import Version
from assets.table import MANIFESTS, SOURCE_MANIFESTS, SOURCE_TABLES, SourceAsset, TableAsset
from assets.table_step import make_table
from expectations.contracts import SOURCES, TABLES
from expectations.model import Layer, Table
from expectations.results import Group
from expectations.statistics import has_suite
from pipelines.as_of import NoEventError
from pipelines.charts import chart_of
from pipelines.presentation import (
    PREVIEW_ROWS,
    asset_key,
    check_results,
    check_specs,
    describe_columns,
    describe_lineage,
    describe_step,
    group_of,
    previewed,
)
from pipelines.warehouse.runs import State
from pipelines.workshop import RunWorkshop

IO_MANAGER = "warehouse"
OWNERS = ["team:data-engineering"]
SOURCE_RETRIES, SOURCE_RETRY_SECONDS = 2, 3


def declared_assets(package: ModuleType = assets) -> dict[str, TableAsset | SourceAsset]:
    """Every source table, and every table declared in the package, by path.

    Raises ValueError when two modules declare the same table.
    """
    found: dict[str, TableAsset | SourceAsset] = {t.path: SourceAsset(t) for t in SOURCES.values()}
    for info in sorted(pkgutil.walk_packages(package.__path__, f"{package.__name__}."), key=lambda i: i.name):
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if isinstance(value, TableAsset) and found.setdefault(value.contract.path, value) is not value:
                raise ValueError(f"{value.contract.path} is declared twice")
    return found


def select_present(
    declared: Mapping[str, TableAsset | SourceAsset], sources: frozenset[str] | None
) -> dict[str, TableAsset | SourceAsset]:
    """Without the source tables that the configuration does not map: they make no steps. None keeps all."""
    return {
        path: asset
        for path, asset in declared.items()
        if sources is None or isinstance(asset, TableAsset) or asset.contract.name in sources
    }


def upstream_paths(asset: TableAsset, present: Mapping[str, TableAsset | SourceAsset]) -> list[str]:
    """Paths a table depends on, absent sources left out. Tables about the run come after everything but each other."""
    paths = {table.path for table in asset.upstream}
    if asset.wants & {SOURCE_TABLES, SOURCE_MANIFESTS}:
        paths |= {path for path, other in present.items() if isinstance(other, SourceAsset)}
    if MANIFESTS in asset.wants:
        paths |= {path for path in present if TABLES[path.split("/")[1]].layer is not Layer.QUALITY}
    return sorted(paths & set(present))


def groups_of(contract: Table) -> list[Group]:
    """The checks a table shows."""
    return [Group.CONTRACT, Group.KEYS, *([Group.STATISTICS] if has_suite(contract) else [])]


def landing_spec(contract: Table, location: str) -> dg.AssetSpec:
    """A source file as an external asset: seen, never made here."""
    return dg.AssetSpec(
        dg.AssetKey(["landing", contract.name]),
        group_name="landing",
        description=f"{contract.title} As it lies in {location or 'the configured source'}.",
        kinds={"file"},
    )


def build_asset(
    asset: TableAsset | SourceAsset,
    present: Mapping[str, TableAsset | SourceAsset],
    months: dg.MonthlyPartitionsDefinition,
) -> dg.AssetsDefinition:
    """One declared table as a Dagster asset."""
    contract = asset.contract
    groups = groups_of(contract)
    paths = upstream_paths(asset, present) if isinstance(asset, TableAsset) else []
    ins = {path.replace("/", "__"): dg.AssetIn(key=path.split("/")) for path in paths}
    upstream = [TABLES[path.split("/")[1]] for path in paths]
    deps = [dg.AssetKey(["landing", contract.name])] if isinstance(asset, SourceAsset) else []

    # Dagster marks single-run backfills as beta; the version is pinned, so nothing changes under us
    warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")

    @dg.asset(
        key=asset_key(contract),
        ins=ins,
        deps=deps,
        description=_description(asset),
        group_name=group_of(contract),
        kinds={"polars", "parquet"},
        owners=OWNERS,
        tags={"audience": contract.audience.value, "layer": contract.layer.value},
        metadata={
            "dagster/column_schema": describe_columns(contract),
            "dagster/column_lineage": describe_lineage(contract, upstream),
            "dagster/table_name": f"{contract.layer}.{contract.name}",
            "grain": contract.grain,
            "key": ", ".join(contract.row_key),
        },
        io_manager_key=IO_MANAGER,
        required_resource_keys={"workshop"},
        check_specs=check_specs(contract, groups),
        partitions_def=months if contract.partitioned else None,
        backfill_policy=dg.BackfillPolicy.single_run() if contract.partitioned else None,
        code_version=str(contract.version),
    )
    def run(context: dg.AssetExecutionContext, **inputs: Version) -> Iterator[Any]:
        workshop: RunWorkshop = context.resources.workshop
        versions = {version.table: version for version in inputs.values()}
        wanted = _wanted_months(context, months) if contract.partitioned else None
        if isinstance(asset, SourceAsset):
            yield from _observe(context, contract, workshop)
            yield from _run_step(
                contract,
                groups,
                workshop,
                lambda: make_source(contract, workshop, workshop.head(contract.path)),
            )
        else:
            yield from _run_step(
                contract, groups, workshop, lambda: make_table(asset, versions, workshop, wanted)
            )

    return run


_SOURCE_DOC = """\
Landed rows are parsed by the contract, contradictory and unreadable ones kept aside with their reason, duplicates told
from versions, sellers given pseudonyms. Rows dated after as_of wait. Nothing is dropped: the counts below add up.
"""


def _description(asset: TableAsset | SourceAsset) -> str:
    """What the table is, its grain, how it is made, what not to do: each once."""
    contract = asset.contract
    doc = inspect.cleandoc(asset.function.__doc__ or "") if isinstance(asset, TableAsset) else ""
    title, _, steps = doc.partition("\n\n")
    steps = steps if doc else _SOURCE_DOC
    grain = "" if "Grain:" in steps else f" Grain: {contract.grain}."
    query = f"```sql\n{contract.query}\n```" if contract.query else ""
    parts = (f"{title or contract.title}{grain}", steps, query, contract.do_not)
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _wanted_months(
    context: dg.AssetExecutionContext, months: dg.MonthlyPartitionsDefinition
) -> tuple[str, ...] | None:
    """The months asked for; None where the whole calendar is, so that months outside it are made, too."""
    keys = tuple(context.partition_keys)
    return None if len(keys) == len(months.get_partition_keys()) else keys


def _observe(
    context: dg.AssetExecutionContext, contract: Table, workshop: RunWorkshop
) -> Iterator[dg.AssetObservation]:
    """Tell Dagster which content of the source this step saw."""
    try:
        fingerprint = workshop.landing.version(contract.name)
    except (LandingBlockedError, SourceUnreachableError) as error:
        context.log.info(f"nothing to observe: {error}")  # the step itself says it again, and in full
        return
    if fingerprint:
        yield dg.AssetObservation(
            dg.AssetKey(["landing", contract.name]), tags={"dagster/data_version": fingerprint[:32]}
        )


def _run_step(
    contract: Table, groups: Iterable[Group], workshop: RunWorkshop, make: Callable[[], Step]
) -> Iterator[Any]:
    """Make, record, then hand over for commit; a block yields its results first, so that the UI shows them."""
    workshop.begin()
    started, worked = time.monotonic(), time.process_time()
    try:
        step = make()
    except SourceUnreachableError as error:
        # retried; if it stays so, this is what the run's record says
        workshop.trouble = str(error)
        raise dg.RetryRequested(SOURCE_RETRIES, SOURCE_RETRY_SECONDS) from error
    except Exception as error:
        # the day to look from is the run's, whichever step asks for it first
        where = "" if isinstance(error, NoEventError) else f"{contract.path}: "
        workshop.finish(State.FAILED, f"{where}{error}")
        workshop.keep_traceback()
        raise
    workshop.record(
        contract.path, step, seconds=time.monotonic() - started, cpu_seconds=time.process_time() - worked
    )
    results = check_results(contract, groups, step.results)
    if step.block is not None:
        yield from results
        raise dg.Failure(
            step.block.message,
            metadata={"table": step.block.table, "check": step.block.check, "rows": step.block.count},
            allow_retries=False,
        )
    assert step.version is not None
    shown: dict[str, Any] = {"check_results": results}
    frame = workshop.scan_step(contract, step)
    preview = frame.select(previewed(contract)).head(PREVIEW_ROWS).collect()
    metadata = describe_step(step, preview, chart_of(contract, frame))
    if step.reused:
        workshop.commit(step)
        yield dg.MaterializeResult(
            metadata=metadata, data_version=dg.DataVersion(step.version.content_hash), **shown
        )
        return
    content = "".join(s.part.sha256 for s in step.staged)
    yield dg.MaterializeResult(
        value=step, metadata=metadata, data_version=dg.DataVersion(content[:64] or step.version.key), **shown
    )
