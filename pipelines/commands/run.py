"""`aftersale run`: compare, materialise through Dagster, publish, say what came of it."""

from __future__ import annotations

import dataclasses
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.exits import Exit, UsageError, code_named, one_line_of
from pipelines.places import find_config, prepare_dagster_home
from pipelines.sources.config import Configuration
from pipelines.sources.hints import nearest
from pipelines.terminal import console, errors
from pipelines.unmatched import say_unmatched
from pipelines.warehouse.files import StorageError
from pipelines.warehouse.runs import Runs, State
from pipelines.warehouse.snapshots import Snapshot, latest_snapshot
from pipelines.workshop import RunWorkshop, read_configuration, silent

# how the UI knows a run as one of its jobs; the name of the location is that of workspace.yaml
REPOSITORY = {".dagster/repository": "__repository__@aftersale"}

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])\Z")


def load_for(config: Path | None, home: Path, as_of: date | None) -> Configuration:
    """The configuration of a run; `as_of` from the command line wins. Raises SetupError or ConfigError."""
    configuration = read_configuration(find_config(config, home))
    if as_of is None:
        return configuration
    company = configuration.company.model_copy(update={"as_of": as_of})
    return dataclasses.replace(configuration, company=company)


def nothing_changed(workshop: RunWorkshop) -> Snapshot | None:
    """The newest snapshot, where it was made from exactly what is there now; no table is read."""
    newest = latest_snapshot(workshop.home)
    return newest if newest and newest.facts.get("recipe") == workshop.recipe() else None


def run_pipeline(
    home: Path,
    config: Path | None = None,
    *,
    as_of: date | None = None,
    select: Sequence[str] = (),
    months: Sequence[str] = (),
    dry_run: bool = False,
) -> Exit:
    """Run everything, or a selection; publish where the result is closed.

    Raises SetupError, ConfigError, UsageError, SourceUnreachableError, StorageError.
    """
    configuration = load_for(config, home, as_of)
    for month in months:
        if not _MONTH.match(month):
            raise UsageError(f"{month!r} is no month such as 2025-03")
    with progress() as tell:
        workshop = RunWorkshop(home, lambda: configuration, str(uuid.uuid4()), tell)
        _ = workshop.pseudonyms  # a missing key is found out before anything is read
        if not select and not months and (same := nothing_changed(workshop)):
            if not dry_run and workshop.send(same):
                console().print(f"Snapshot {same.number} was sent to {configuration.publish.to}.")
            console().print(
                f"Nothing changed: snapshot {same.number} is up to date, nothing was recomputed.\n{same.path}"
            )
            return Exit.PUBLISHED
        if dry_run:
            from pipelines.commands.plan import explain_plan  # noqa: PLC0415 (loads the graph)

            return explain_plan(workshop, select)
        run_id, trouble = _execute(home, configuration, select, months, tell)
    return _report(home, run_id, trouble)


def _execute(
    home: Path,
    configuration: Configuration,
    select: Sequence[str],
    months: Sequence[str],
    tell: Callable[[str], None],
) -> tuple[str, Exit]:
    """Run the job in this process; returns the run's id, and the code of the first step that failed."""
    dagster_home = prepare_dagster_home(home)
    # seconds, through Dagster; not for a run that has nothing to do
    from pipelines.definitions import build_definitions  # noqa: PLC0415
    from pipelines.instance import open_instance  # noqa: PLC0415
    from pipelines.jobs import DAILY  # noqa: PLC0415
    from pipelines.months import whole_range  # noqa: PLC0415

    definitions = build_definitions(home=home, configuration=configuration, tell=tell)
    job = definitions.resolve_job_def(DAILY)
    options: dict[str, Any] = {"tags": dict(REPOSITORY)}
    if select:
        options["asset_selection"] = _selection(job, select)
    if months:
        options["tags"] |= whole_range(min(months), max(months))
    with _room_for_records(home), open_instance(dagster_home) as instance:
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            **options,
        )
    errors_found = [error for event in result.all_events if (error := _error_of(event)) is not None]
    if not result.success:
        # trouble outside the steps' own code (a full disk at the commit, a bug) has left no word yet
        message = _root_cause(errors_found[0]) if errors_found else "Dagster could not run the job"
        Runs(home).conclude(result.run_id, State.FAILED, message)
    codes = [_code_of(error) for error in errors_found]
    return result.run_id, max(codes, default=Exit.PUBLISHED if result.success else Exit.FAILED)


@contextmanager
def _room_for_records(home: Path) -> Iterator[None]:
    """A full disk meets Dagster's own database first, and that says it in its own words."""
    try:
        yield
    except Exception as error:
        if "disk is full" in str(error):
            hint = "free some space and run again"
            raise StorageError(home / "dagster", "write", "No space left on device", hint) from error
        raise


def _error_of(event: Any) -> Any:
    """The error that an event carries: of a step, or of the job before any step."""
    if event.is_step_failure:
        return event.step_failure_data.error
    return event.job_failure_data.error if event.is_job_failure else None


def _root_cause(error: Any) -> str:
    """What went wrong first, in the error's own words."""
    while error.cause is not None:
        error = error.cause
    # Dagster puts the class before the words: `module.Class: words`
    return str(error.message).partition(f"{error.cls_name}: ")[2].strip() or str(error.message).strip()


def _code_of(error: Any) -> Exit:
    """The code of a step's error by the names in its chain of causes; a block is a plain dg.Failure."""
    while error is not None:
        if (code := code_named(error.cls_name or "")) is not None:
            return code
        error = error.cause
    return Exit.FAILED


def _selection(job: Any, select: Sequence[str]) -> list[Any]:
    """Asset keys of the chosen tables, and the snapshot: a selection publishes when the result is closed."""
    import dagster as dg  # noqa: PLC0415

    known = {"/".join(key.path): key for key in job.asset_layer.executable_asset_keys}
    by_name = {path.split("/")[-1]: path for path in known}
    chosen = [by_name.get(word, word) for word in select]
    if unknown := [word for word in chosen if word not in known]:
        raise UsageError(f"no table is called {unknown[0]!r}: {nearest(unknown[0], known)}")
    return [*(known[path] for path in chosen), dg.AssetKey(["published", "snapshot"])]


def _report(home: Path, run_id: str, trouble: Exit) -> Exit:
    """Say in words how the run ended, and where to look."""
    run = Runs(home).read(run_id)
    newest = latest_snapshot(home)
    if trouble is Exit.PUBLISHED and newest is not None:
        word = "Published" if newest.run_id == run_id else "No table differs from"
        console().print(f"{word} snapshot {newest.number}, as of {newest.as_of}: {newest.path}")
        if said := say_unmatched(newest.path):
            console().print(said)
        return Exit.PUBLISHED
    if run is not None and run.state is State.BLOCKED:
        stays = f"Snapshot {newest.number} stays the newest." if newest else "Nothing is published yet."
        errors().print(
            f"blocked: {one_line_of(Runs(home).why(run))}. {stays} Look with: aftersale status; aftersale rejects TABLE"
        )
        return Exit.BLOCKED
    message = run.message if run else "the run left no record"
    errors().print(f"error: {one_line_of(message)}. The run is {run_id}; see it with: aftersale ui")
    return trouble


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Tell a person at a terminal what is being made; a script or a log sees nothing."""
    if not sys.stderr.isatty():
        yield silent
        return
    with errors().status("starting") as line:
        yield line.update
