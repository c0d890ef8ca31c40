"""`aftersale erase ID`: forget a person or an account everywhere but in the sources, which are not ours to change."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from assets.core.erasure import WHOSE, Erased, blot_out, mentions, places
from assets.core.pseudonyms import Pseudonyms
from assets.landing import FILE, LandingBlockedError, SourceUnreachableError
from pipelines.commands.run import load_for, run_pipeline
from pipelines.exits import Exit, UsageError, one_line_of
from pipelines.keys import FOLDER, add_erased
from pipelines.sources.landing import ConfiguredLanding
from pipelines.terminal import console
from pipelines.warehouse.mirror import open_mirror, sent_to
from pipelines.warehouse.parquet import write_side
from pipelines.warehouse.retention import Keep, collect
from pipelines.warehouse.runs import Runs
from pipelines.warehouse.store import REJECTS, Store
from pipelines.workshop import RunWorkshop

DOMAINS = tuple(sorted(set(WHOSE.values())))


def erase(home: Path, config: Path | None, name: str, domain: str, *, dry_run: bool) -> Exit:
    """Erase an id as the sources write it; with `dry_run` only say where it is.

    Raises UsageError where a run is under way, SetupError or ConfigError, StorageError.
    """
    if domain not in DOMAINS:
        raise UsageError(f"{domain!r} is nobody's id: say --of {' or --of '.join(DOMAINS)}")
    if not (name := name.strip()):
        raise UsageError("name the id to erase, as the source writes it")
    configuration = load_for(config, home, None)
    workshop = RunWorkshop(home, lambda: configuration, "erase")
    runs = Runs(home)
    if alive := [run.run_id for run in runs.all() if runs.is_alive(run.run_id)]:
        raise UsageError(f"run {alive[0]} is under way: erase when it has ended")
    one: Erased = {domain: frozenset({name})}
    remaining = find_in_sources(workshop.landing, one)
    if dry_run:
        _tell_sources(remaining)
        return Exit.PUBLISHED
    people = workshop.pseudonyms
    add_erased(home, domain, name)
    cleaned = clean_sides(Store(home), one)
    failed = drop_failed(home, one, {name, people.of(domain, name)})
    caches = drop_caches(home)
    forget_pseudonyms(home, people, domain, name)
    out, place = console(), sent_to(home)
    out.print(
        f"Erased from {cleaned} files of rejects, duplicates and tombstones, {failed} tables that failed their checks, {caches} caches."
    )
    code = run_pipeline(home, config)
    if code is not Exit.PUBLISHED:
        out.print(
            "The tables are not published anew: older ones still hold the id. Mend the run and erase again."
        )
        return code
    gone = collect(home, datetime.now(UTC), keep=Keep(1, timedelta()))
    if (target := sent_to(home)) is not None:
        # at once, not in a week: nobody may read it any longer
        objects = open_mirror(target).collect(datetime.now(UTC), Keep(1, timedelta()), unnamed=timedelta())
        out.print(f"Removed {objects} objects of older snapshots from {target}.")
    if place not in (None, target):
        out.print(f"Snapshots were sent to {place} before, and hold the id still: remove that folder there.")
    dropped = ", ".join(map(str, gone.snapshots)) or "none"
    out.print(
        f"Published without the id. Older snapshots removed: {dropped}; with them {gone.files} stored files. No rollback past this point."
    )
    out.print(
        "The id stays on the list of the erased (keys/erased.json), so that no later delivery brings it back."
    )
    _tell_sources(remaining)
    return Exit.PUBLISHED


def find_in_sources(landing: ConfiguredLanding, erased: Erased) -> dict[str, str]:
    """What each source still holds, in words, by table; a source that can't be read says why."""
    found = {}
    for table in sorted(landing.configuration.sources):
        try:
            held = places(landing.read(table), erased)
        except (LandingBlockedError, SourceUnreachableError) as error:
            found[table] = f"could not be looked at: {one_line_of(str(error))}"
            continue
        if held.height:
            files = held.group_by(FILE).len().sort(FILE)
            found[table] = ", ".join(f"{count} records in {file}" for file, count in files.iter_rows())
    return found


def _tell_sources(remaining: dict[str, str]) -> None:
    if not remaining:
        console().print("No source holds the id as a row of its own.")
    for table, words in remaining.items():
        console().print(f"Still in the source of {table}: {words}. Remove it there.")


def clean_sides(store: Store, erased: Erased) -> int:
    """Blot the erased out of every side file; returns how many files held them."""
    count = 0
    for path in store.files.walk(store.home / REJECTS):
        if path.suffix != ".parquet":
            continue
        side = pl.read_parquet(path, glob=False, hive_partitioning=False)
        if mentions(side, erased):
            file = store.files.produce(
                store.files.temporary(".parquet"), partial(write_side, blot_out(side, erased))
            )
            store.files.protect(file, 0o400)
            store.files.move(file, path)
            count += 1
    return count


def drop_failed(home: Path, erased: Erased, names: set[str]) -> int:
    """Remove tables that were kept aside after a failed check and hold the id or its pseudonym; returns how many."""
    words: Erased = {**erased, "pseudonym": frozenset(names)}
    held = [
        path
        for path in sorted((home / "runs").glob("*/failed/*.parquet"))
        if mentions(pl.read_parquet(path, glob=False, hive_partitioning=False), words)
    ]
    for path in held:
        path.unlink()
    return len(held)


def drop_caches(home: Path) -> int:
    """Remove copies of what the sources said: answers of databases, files of object stores, readings and spills of killed runs; returns how many."""
    cache = home / "cache"
    held = [
        p
        for pattern in ("databases/*", "delta/*", "objects/*", "reading-*", "spill-*")
        for p in cache.glob(pattern)
    ]
    for path in held:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(held)


def forget_pseudonyms(home: Path, people: Pseudonyms, domain: str, name: str) -> None:
    """Take a person out of the lists that lead from old pseudonyms to new ones."""
    every = [people.of(domain, name), *([people.previous.of(domain, name)] if people.previous else [])]
    for path in (home / FOLDER).glob("*-to-*.csv"):
        pairs = pl.read_csv(path, infer_schema=False)
        path.write_bytes(
            pairs.filter(~(pl.col("was").is_in(every) | pl.col("now").is_in(every))).write_csv().encode()
        )
