"""Words that look and change nothing but `latest`: status, rejects, snapshots, rollback, explain, verify."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.exits import Exit, UsageError, one_line_of
from pipelines.places import find_config
from pipelines.terminal import console, show_rows
from pipelines.unmatched import say_unmatched
from pipelines.warehouse.mirror import open_mirror, sent_to
from pipelines.warehouse.runs import Run, Runs, State
from pipelines.warehouse.snapshots import (
    Snapshot,
    latest_number,
    latest_snapshot,
    rollback,
    snapshot_numbers,
    verify,
)
from pipelines.warehouse.snapshots import snapshots as read_snapshots
from pipelines.warehouse.store import Store


def next_daily(at: str, zone: str, now: datetime) -> datetime:
    """The next time a daily schedule ticks: wall time `at` (HH:MM) in `zone`."""
    hour, minute = (int(part) for part in at.split(":"))
    local = now.astimezone(ZoneInfo(zone))
    tick = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (
        tick
        if tick > local
        else (tick.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))
    )


def _failing(runs: Runs, run: Run | None) -> list[dict[str, Any]]:
    if run is None:
        return []
    return [
        {"table": table, **{name: check[name] for name in ("check", "severity", "failed", "evaluated")}}
        for table, result in runs.results(run.run_id).items()
        for check in result["checks"]
        if not check["passed"]
    ]


def _stale_sources(home: Path, now: datetime) -> list[dict[str, Any]]:
    """Of the newest snapshot: what people read now, whatever was read or blocked since."""
    newest, store = latest_snapshot(home), Store(home)
    tables = newest.tables if newest else {}
    versions = {path: store.find(path, tables[path]["key"]) for path in tables if path.startswith("core/")}
    return [
        {
            "table": path,
            "since": version.facts["stale_since"],
            "age_hours": _hours(version.facts["stale_since"], now),
            "because": version.facts.get("stale_because", ""),
        }
        for path, version in sorted(versions.items())
        if version is not None and "stale_since" in version.facts
    ]


def _hours(since: str, now: datetime) -> float:
    return round((now - datetime.fromisoformat(since)).total_seconds() / 3600, 2)


def _schedule(home: Path, now: datetime) -> dict[str, str]:
    from pipelines.sources.config import load_config  # noqa: PLC0415
    from pipelines.timetable import DEFAULT_DAILY  # noqa: PLC0415

    path = find_config(None, home)
    if path is None or not path.is_file():
        return {}
    configuration = load_config(path)
    at = configuration.schedule.daily or DEFAULT_DAILY
    tick = next_daily(at, configuration.company.timezone, now)
    return {
        "daily_refresh": tick.isoformat(),
        "note": "runs only when switched on in the UI and `aftersale ui` is up",
    }


def read_status(home: Path, now: datetime) -> dict[str, Any]:
    """What `aftersale status` says, as JSON."""
    runs = Runs(home)
    runs.reap_dead()
    run, newest = runs.latest(), latest_snapshot(home)
    snapshot = None
    if newest is not None:
        snapshot = {
            "number": newest.number,
            "as_of": newest.as_of,
            "created_at": newest.created_at,
            "age_hours": _hours(newest.created_at, now),
            "path": str(newest.path),
            "tables": len(newest.tables),
        }
    last_run = None
    if run is not None:
        last_run = {
            "run_id": run.run_id,
            "state": run.state.value,
            "started": run.started,
            "ended": run.ended,
            "message": runs.why(run),
        }
    return {
        "home": str(home),
        "snapshot": snapshot,
        "last_run": last_run,
        "failing_checks": _failing(runs, run),
        "stale_sources": _stale_sources(home, now),
        "next_schedule": _schedule(home, now),
    }


def show_status(home: Path, *, as_json: bool) -> Exit:
    """Print it; exit 3 when the last run was blocked, 1 when it failed."""
    found = read_status(home, datetime.now(UTC))
    code = {State.BLOCKED.value: Exit.BLOCKED, State.FAILED.value: Exit.FAILED}
    exit_code = code.get((found["last_run"] or {}).get("state", ""), Exit.PUBLISHED)
    if as_json:
        console().print(json.dumps(found, indent=2))
        return exit_code
    out = console()
    snapshot, run = found["snapshot"], found["last_run"]
    if snapshot:
        out.print(
            f"Snapshot {snapshot['number']}, as of {snapshot['as_of']}, {snapshot['age_hours']} hours old: {snapshot['path']}"
        )
    else:
        out.print(f"Nothing is published in {home}. Start with: aftersale demo, or aftersale run")
    if run:
        out.print(f"Last run {run['run_id']}: {run['state']}. {one_line_of(run['message'])}")
    if found["failing_checks"]:
        rows = [
            (c["table"], c["check"], c["severity"], c["failed"], c["evaluated"])
            for c in found["failing_checks"]
        ]
        show_rows("Checks that do not hold", ("table", "check", "severity", "rows", "of"), rows)
    if snapshot and (said := say_unmatched(Path(snapshot["path"]))):
        out.print(said)
    for source in found["stale_sources"]:
        out.print(
            f"Stale source: {source['table']}, its rows are {source['age_hours']} hours old. {one_line_of(source['because'])}"
        )
    if found["next_schedule"]:
        out.print(
            f"Next daily_refresh: {found['next_schedule']['daily_refresh']} ({found['next_schedule']['note']})"
        )
    return exit_code


def list_snapshots(home: Path) -> Exit:
    """Number, day, time, run of each; the newest is marked."""
    newest = latest_number(home)
    rows = [
        ("latest" if s.number == newest else "", s.number, s.as_of, s.created_at, s.run_id, len(s.files))
        for s in read_snapshots(home)
    ]
    if not rows:
        console().print(f"Nothing is published in {home}.")
        return Exit.PUBLISHED
    show_rows("", ("", "snapshot", "as of", "published", "run", "files"), rows)
    return Exit.PUBLISHED


def roll_back(home: Path, number: int) -> Exit:
    """Flip `latest`. Raises UsageError, DamagedSnapshotError or StorageError; `latest` stays then."""
    known = snapshot_numbers(home)
    if number not in known:
        have = f"there are {', '.join(map(str, known))}" if known else f"nothing is published in {home}"
        raise UsageError(f"there is no snapshot {number}: {have}; see `aftersale snapshots`")
    snapshot = rollback(home, number)
    if (target := sent_to(home)) is not None:
        open_mirror(target).send(snapshot, datetime.now(UTC), back=True)
    console().print(
        f"`latest` is snapshot {snapshot.number} again, as of {snapshot.as_of}. The next run publishes anew."
    )
    return Exit.PUBLISHED


def verify_home(home: Path) -> Exit:
    """Print each problem; exit 1 where there is one."""
    problems, target = verify(home), sent_to(home)
    if target is not None:
        problems += open_mirror(target).verify()
    for problem in problems:
        console().print(problem)
    if problems:
        return Exit.FAILED
    places = f"{home} and {target}" if target else str(home)
    console().print(f"Every published file in {places} is what its manifest says.")
    return Exit.PUBLISHED


def explain_name(home: Path, name: str) -> Exit:
    """Print the contract; of a reason what it means, what to do, and how many rows carry it now."""
    from expectations.dictionary import explain  # noqa: PLC0415
    from expectations.reasons import explain_reason  # noqa: PLC0415

    try:
        text = explain(name)
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    console().print(text)
    if text != explain_reason(word := name.strip().lower()):
        return Exit.PUBLISHED
    newest = latest_snapshot(home)
    if newest is None:
        console().print(f"Nothing is published in {home}, so there are no rows to count.")
        return Exit.PUBLISHED
    carried = count_reason(newest, word)
    if carried:
        show_rows(f"Rows that carry it in snapshot {newest.number}", ("table", "column", "rows"), carried)
    else:
        console().print(f"No row of snapshot {newest.number} carries it.")
    return Exit.PUBLISHED


def count_reason(snapshot: Snapshot, word: str) -> list[tuple[str, str, int]]:
    """Table, column and rows, for every published column of reasons or warnings that holds the word.

    Rejected rows count under the source table that they were kept aside of, published or not.
    """
    from expectations.contracts.quality import REJECTS_SUMMARY  # noqa: PLC0415
    from expectations.reasons import tables_with_reasons  # noqa: PLC0415

    found: list[tuple[str, str, int]] = []
    for table, columns in tables_with_reasons():
        files = [snapshot.path / file for file in snapshot.tables.get(table.path, {}).get("files", ())]
        if not files:
            continue
        rows = pl.scan_parquet(files, glob=False, hive_partitioning=False)
        if table is REJECTS_SUMMARY:
            kept_aside = (
                rows.filter(pl.col("reason") == word)
                .group_by("table", "column")
                .agg(pl.col("rows_with_reason").sum())
            )
            found += kept_aside.collect().rows()
            continue
        there = set(columns) & set(rows.collect_schema())  # a snapshot may be older than a column
        for column in sorted(there):
            carries = pl.col(column).str.split(", ").list.contains(word)
            if count := rows.select(carries.sum()).collect().item():
                found.append((table.path, column, int(count)))
    return sorted(found)


def newest_rejects(store: Store, runs: Runs, path: str) -> pl.DataFrame | None:
    """Rejected rows of the newest reading of a table, whether it was blocked or not; None where it was never read."""
    key = _newest_reading(store, runs, path)
    return store.read_side(path, key, "rejects") if key else None


def _newest_reading(store: Store, runs: Runs, path: str) -> str | None:
    """Names the newest reading that left its rejects behind; one that was blocked before any record was read did not."""
    for run in reversed(runs.all()):
        result = runs.results(run.run_id).get(path)
        if result is not None and store.read_side(path, result["key"], "rejects") is not None:
            return str(result["key"])
    head = store.head(path)
    return head.key if head else None


def _show_tombstones(tombstones: pl.DataFrame | None, name: str, limit: int) -> None:
    if tombstones is None or tombstones.is_empty():
        return
    rows = tombstones.sort("last_read_at", "key", descending=[True, False]).select(
        "key", "rows", "last_read_at"
    )
    show_rows(
        f"{tombstones.height} keys of {name} vanished from the source",
        ("key", "rows", "last read"),
        rows.head(limit).iter_rows(),
    )


def show_rejects(home: Path, table: str, limit: int) -> Exit:
    """Rows kept aside in the newest reading of a source table, blocked or not, and those that vanished upstream."""
    from expectations.contracts import SOURCES  # noqa: PLC0415
    from pipelines.sources.hints import nearest  # noqa: PLC0415

    name = table.removeprefix("core/")
    if name not in SOURCES:
        raise UsageError(f"no source table is called {table!r}: {nearest(name, SOURCES)}")
    store, runs, path = Store(home), Runs(home), f"core/{name}"
    key = _newest_reading(store, runs, path)
    frame = store.read_side(path, key, "rejects") if key else None
    if key is None or frame is None:
        console().print(
            f"No reading of {name} is kept in {home}: run `aftersale run` first; `aftersale status` says how the last run ended."
        )
        return Exit.PUBLISHED
    _show_tombstones(store.read_side(path, key, "tombstones"), name, limit)
    if frame.is_empty():
        console().print(f"No rejected rows of {name}.")
        return Exit.PUBLISHED
    columns = ("file", "record", "column", "reason", "value", "raw")
    show_rows(
        f"{frame.height} rejected rows of {name}", columns, frame.select(columns).head(limit).iter_rows()
    )
    if frame.height > limit:
        console().print(f"{frame.height - limit} more: --limit {frame.height}")
    return Exit.PUBLISHED
