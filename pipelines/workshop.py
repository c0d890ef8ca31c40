"""The outside of a run: configuration, store, landing, settings, the record of what happened. One per run.

Steps see it through the Protocol in `assets.step`; nothing else hands them files, clocks or secrets.
"""

from __future__ import annotations

import hashlib
import json
import resource
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path

import polars as pl

from assets.company import Company
from assets.core.erasure import Erased, fingerprint
from assets.core.pseudonyms import Pseudonyms
from assets.landing import LandingBlockedError
from assets.source_step import PSEUDONYM_KEY
from assets.step import Step, describe_company
from assets.storage import Staged, Version
from expectations.contracts import SOURCES, TABLES
from expectations.model import Table
from pipelines.as_of import resolve_as_of
from pipelines.documents import write_documents
from pipelines.keys import (
    SetupError,
    key_of,
    pseudonyms_for,
    read_erased,
    refuse_mixed,
    refuse_unannounced_key,
    write_rotation,
)
from pipelines.logs import RunLog
from pipelines.restatements import find_restatements
from pipelines.sources.config import Configuration, load_config
from pipelines.sources.landing import ConfiguredLanding
from pipelines.warehouse.mirror import send_snapshot
from pipelines.warehouse.retention import collect
from pipelines.warehouse.runs import Run, Runs, State
from pipelines.warehouse.snapshots import Snapshot, latest_snapshot, publish
from pipelines.warehouse.store import Store

PACKAGES = ("expectations", "assets", "pipelines")
ENGINES = ("polars", "numpy", "scipy", "pyarrow", "duckdb", "altair", "jinja2", "tzdata")
"""Whose release may change a number, a byte or a picture."""
_ROOT = Path(__file__).resolve().parents[1]


def read_configuration(path: Path | None) -> Configuration:
    """Load it, or say in one line how to get one. Raises SetupError or ConfigError."""
    if path is None:
        raise SetupError(
            "no configuration found: name one with --config FILE or AFTERSALE_CONFIG, put an aftersale.yaml in this "
            "folder, or start with `aftersale demo`"
        )
    return load_config(path, SOURCES)


def compute_code_version() -> str:
    """Hash of everything that can change a number or a byte: this project's code and the engines below it."""
    digest = hashlib.sha256("".join(f"{name} {installed_version(name)}\n" for name in ENGINES).encode())
    for package in PACKAGES:
        for path in sorted((_ROOT / package).rglob("*")):
            if path.suffix in {".py", ".j2", ".yaml"}:
                digest.update(str(path.relative_to(_ROOT)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def silent(message: str) -> None:
    """Progress for nobody."""
    del message


@dataclass
class RunWorkshop:
    """What the steps of one run share. Cheap to make: everything is opened on first use."""

    home: Path
    load_configuration: Callable[[], Configuration]
    run_id: str
    tell: Callable[[str], None] = silent
    trouble: str = ""  # what a source last failed with; a retry may still mend it

    @cached_property
    def configuration(self) -> Configuration:
        """The configuration as it is now. Raises SetupError or ConfigError."""
        return self.load_configuration()

    @cached_property
    def warehouse(self) -> Store:
        """The store of the home."""
        return Store(self.home)

    @cached_property
    def runs(self) -> Runs:
        """The record of runs."""
        return Runs(self.home)

    @cached_property
    def log(self) -> RunLog:
        """What runs did, for whoever looks from outside."""
        return RunLog(self.home)

    @cached_property
    def landing(self) -> ConfiguredLanding:
        """The sources."""
        return ConfiguredLanding(self.configuration, self.home / "cache")

    @cached_property
    def company(self) -> Company:
        """Settings with `as_of` resolved: configured, else the newest event day in the required tables."""
        return self.landing.company_for(resolve_as_of(self.configuration, self.landing, self.home))

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """Keyed ids of people. Raises SetupError without a key, and where it changed and nobody said so."""
        seed = self.configuration.company.demo_seed
        found = pseudonyms_for(seed, self.configuration.pseudonymised)
        if seed is None:  # made-up people may change their names
            refuse_unannounced_key(self.home, found)
        return found

    @cached_property
    def erased(self) -> Erased:
        """Who asked to be forgotten."""
        return read_erased(self.home)

    @cached_property
    def code_version(self) -> str:
        """See `compute_code_version`."""
        return compute_code_version()

    def now(self) -> str:
        """ISO 8601 UTC, seconds."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    # --- tables --------------------------------------------------------------------------------------------------

    def head(self, path: str) -> Version | None:
        """The version this run made of a table, else the newest there is."""
        return self.warehouse.head(path, self.run_id)

    def keep_aside(self, staged: Staged) -> str:
        """Move a file that failed its audit into the run's folder."""
        return str(self.warehouse.keep_aside(staged, self.run_id))

    def may_go_stale(self, table: str) -> bool:
        """Whether a blocked source may go on with its last good version."""
        return self.configuration.sources[table].on_block == "stale"

    def max_vanished_share(self, table: str) -> float:
        """More rows than this share of the last reading gone at once block the table."""
        return self.configuration.max_vanished_share(table)

    def lineage(self, table: str) -> str:
        """Names the source and its keys: readings of one lineage can be compared row by row."""
        # who is erased did not vanish from the source: the comparison begins anew
        people = "".join([self.pseudonyms.fingerprint, *fingerprint(self.erased).values()])
        identity = f"{self.configuration.lineage(table)} {people}"
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    def read_side(self, version: Version, side: str) -> pl.DataFrame | None:
        """A side file of a version; None where it has none."""
        return self.warehouse.read_side(version.table, version.key, side)

    @contextmanager
    def spill_file(self) -> Iterator[Path]:
        """A file inside the home for rows that should not stand in memory; gone afterwards."""
        folder = self.home / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="spill-", dir=folder) as name:
            yield Path(name) / "rows.parquet"

    def confirm_unchanged(self, table: str) -> None:
        """Raise LandingBlockedError where a file changed since it was read."""
        self.landing.confirm_unchanged(table)

    def commit(self, step: Step) -> Version:
        """Put a step's files into the store and remember its version for this run's readers."""
        assert step.version is not None
        version = step.version
        if not step.reused:
            version = self.warehouse.commit(version, step.staged, step.sides)
        self.warehouse.record_head(self.run_id, version)
        return version

    def scan_step(self, contract: Table, step: Step) -> pl.LazyFrame:
        """The rows of a step, committed or only staged: months kept and months made."""
        assert step.version is not None
        files = [self.warehouse.part_path(p) for p in step.version.parts] + [s.file for s in step.staged]
        return pl.scan_parquet(files, glob=False, hive_partitioning=False) if files else contract.empty()

    # --- the record of the run -------------------------------------------------------------------------------------

    @cached_property
    def _begun(self) -> Run:
        for dead in self.runs.reap_dead():
            self.log.write(dead.run_id, State.FAILED, message=dead.message)
        self.log.write(self.run_id, State.STARTED, code=self.code_version)
        return self.runs.start(self.run_id)

    def begin(self) -> None:
        """Record that this run is alive; once."""
        assert self._begun

    def record(self, table: str, step: Step, *, seconds: float, cpu_seconds: float) -> None:
        """Write down what came of a step, published or not, and what it cost.

        `peak_gb` is the process's highest memory so far: the step where it rises is the one that needed it.
        """
        state = "blocked" if step.block else "reused" if step.reused else "made"
        message = step.block.message if step.block else ""
        result = {
            "state": state,
            "message": message,
            "seconds": round(seconds, 3),
            "cpu_seconds": round(cpu_seconds, 3),
            "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3),
            "key": step.version.key if step.version else self.run_id,
            "checks": [r.to_json() for r in step.results],
        }
        if step.block:
            self.warehouse.keep_sides(table, self.run_id, step.sides)
        self.runs.write_result(self.run_id, table, result)
        if step.block:
            self.finish(State.BLOCKED, message)
        rows = step.version.rows if step.version else 0
        self.log.write(self.run_id, state, table=table, rows=rows, seconds=round(seconds, 3), message=message)
        self.tell(f"{state:8} {table}")

    def finish(self, state: State, message: str = "") -> None:
        """Record how the run ended. The first trouble stays: what comes after is its consequence."""
        as_of = self.company.as_of.isoformat() if "company" in self.__dict__ else ""
        before = self.runs.read(self.run_id)
        self.runs.conclude(self.run_id, state, message, as_of)
        after = self.runs.read(self.run_id)
        if after is not None and after != before:
            self.log.write(self.run_id, after.state, as_of=after.as_of, message=after.message)

    def keep_traceback(self) -> None:
        """Write the traceback of the error being handled into the run's folder, for whoever mends it."""
        folder = self.runs.folder(self.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "traceback.txt").write_text(traceback.format_exc())

    def end(self) -> None:
        """The last word on a run that no other word was said about: jobs without a publish end here.

        After a kill nobody gets here, and the next run reports it.
        """
        if "_begun" in self.__dict__:
            self.finish(State.FAILED if self.trouble else State.MADE, self.trouble)

    def publish(self, versions: Mapping[str, Version]) -> Snapshot:
        """Publish a closed set. Raises NotClosedError, StorageError; `latest` stays as it was then."""
        company = self.company
        facts = {
            "recipe": self.recipe(),
            "company": describe_company(company),
            "sources": self._source_contents(),
            PSEUDONYM_KEY: self.pseudonyms.key_id,
        }
        refuse_mixed(versions, self.pseudonyms, self.erased)
        previous = latest_snapshot(self.home)

        def build(folder: Path, final: Path) -> None:
            same_key = key_of(previous) in (None, self.pseudonyms.key_id)
            restated = find_restatements(
                self.warehouse, previous, versions, company.timezone, same_key=same_key
            )
            write_documents(
                folder,
                final,
                as_of=company.as_of.isoformat(),
                code_version=self.code_version,
                facts=facts,
                previous=previous,
                restated=restated,
                at=datetime.now(UTC),
            )

        snapshot = publish(
            self.warehouse,
            versions,
            {table.path: table.audience for table in TABLES.values()},
            build,
            as_of=company.as_of.isoformat(),
            run_id=self.run_id,
            code_version=self.code_version,
            facts=facts,
            restricted=self.configuration.publish.restricted,
        )
        write_rotation(self.warehouse, versions, self.pseudonyms)
        self.send(snapshot)
        self.finish(State.PUBLISHED, f"snapshot {snapshot.number}")
        collect(self.home, datetime.now(UTC))
        self.runs.prune(datetime.now(UTC))
        self.log.prune(datetime.now(UTC))
        return snapshot

    def send(self, snapshot: Snapshot) -> bool:
        """Bring a snapshot to the object store of the configuration, where it is not there yet. Raises NotSentError."""
        return send_snapshot(self.home, snapshot, self.configuration.publish.to)

    def _content_of(self, source: str) -> str | None:
        """What a source holds; one that can't be told is told apart by what is wrong with it."""
        try:
            return self.landing.version(source)
        except LandingBlockedError as error:
            return f"blocked {hashlib.sha256(str(error).encode()).hexdigest()}"

    def _source_contents(self) -> dict[str, str | None]:
        return {name: self._content_of(name) for name in sorted(self.configuration.sources)}

    def recipe(self) -> str:
        """Names all that a whole run depends on: settings, sources, code, key. Equal recipe: nothing to do."""
        content = {
            "company": describe_company(self.company),
            "sources": self._source_contents(),
            "code": self.code_version,
            "pseudonyms": self.pseudonyms.recipe,
            **fingerprint(self.erased),
            "restricted": self.configuration.publish.restricted,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
