"""What must hold of any input: it blocks in one line, or every record of it is accounted for; and it is soon over.

    rows in = rows out + rejected + deduplicated + not yet + filtered

Everything runs through the door and the core as a run does it; nothing else may be raised.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from assets.core.refine import Refined
from assets.core.subjects import refine_source
from assets.landing import FILE, RECORD, REJECTS, Landed, LandingBlockedError, SourceUnreachableError
from expectations.contracts import SOURCES
from pipelines.sources.config import ConfigError, Configuration, load_config
from pipelines.sources.landing import ConfiguredLanding
from tests.fuzz.mutate import Input
from tests.fuzz.rows import Rows
from tests.unit.core.doorstep import COMPANY, NAMES

CPU_SECONDS = 2.0
"""No small input may cost more: a guard against blow-ups, far from what one costs (a thirtieth of it). CPU time, not wall
time, and what takes longer is taken once more: a reader's first import and a crowded machine cost once, a blow-up always.
"""


class FaultError(AssertionError):
    """An input that did what no input may do."""


@dataclass(frozen=True)
class Verdict:
    """How it ended: `accepted` or `blocked`, with the reason; counts of an accepted one."""

    outcome: str
    reason: str = ""
    rows: int = 0
    rejected: int = 0


def write_input(found: Input, folder: Path, valid: Mapping[str, Rows]) -> Path:
    """Put an input into a folder as a company of its own; returns its configuration."""
    folder.mkdir(parents=True)
    sources: dict[str, object] = {}
    for table in ("accounts", "reps", "opportunities"):
        (folder / f"{table}.txt").write_text(",".join(valid[table][0]) + "\n")
        sources[table] = {"path": f"{table}.txt"}
    for name, data in found.files.items():
        (folder / name).write_bytes(data)
    sources[found.table] = {"max_reject_share": 1.0, **found.options}
    company = {"reporting_currency": "USD", "timezone": "America/New_York", "as_of": "2025-12-31"}
    path = folder / "aftersale.yaml"
    path.write_text(yaml.safe_dump({"company": company, "sources": sources}))
    return path


def judge(found: Input, folder: Path, valid: Mapping[str, Rows]) -> Verdict:
    """Run an input in a new folder. Raises FaultError; the folder stays then."""
    verdict, spent = _time(found, folder, valid)
    if spent >= CPU_SECONDS:
        shutil.rmtree(folder)
        verdict, spent = _time(found, folder, valid)
    require(spent < CPU_SECONDS, f"took {spent:.1f} s of CPU, twice")
    shutil.rmtree(folder)
    return verdict


def _time(found: Input, folder: Path, valid: Mapping[str, Rows]) -> tuple[Verdict, float]:
    """How a run over an input ended, and the CPU seconds it took."""
    path = write_input(found, folder, valid)
    start = time.process_time()
    try:
        verdict = _run(load_config(path), found.table, folder)
    except (LandingBlockedError, SourceUnreachableError, ConfigError) as error:
        said = str(error)
        require("\n" not in said and 20 < len(said) < 2000, f"says it badly: {said!r}")
        reason = getattr(error, "reason", said.split(": ", 1)[-1])
        verdict = Verdict("blocked", reason[:40])
    except FaultError:
        raise
    except BaseException as error:  # a panic of polars is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        raise FaultError(f"{type(error).__name__}: {str(error)[:300]}") from error
    return verdict, time.process_time() - start


def _run(configuration: Configuration, table: str, folder: Path) -> Verdict:
    landing = ConfiguredLanding(configuration, folder / "cache")
    try:
        landing.version(table)
        landed = landing.read(table)
        rows = landed.rows.collect()
        _check_door(landed, rows)
        refined = refine_source(landed, COMPANY, NAMES)
        out = refined.frame.collect()
        _check_core(table, landed, refined, out)
    finally:
        landing.close()
    return Verdict("accepted", rows=out.height, rejected=refined.rejects.height)


def _check_door(landed: Landed, rows: pl.DataFrame) -> None:
    records = sum(file.records for file in landed.files)
    require(
        records == rows.height + landed.rejects.height + landed.filtered,
        f"door: {records} records, {rows.height} rows, {landed.rejects.height} rejected, {landed.filtered} left out",
    )
    places = pl.concat(
        [
            rows.select(FILE, RECORD),
            landed.rejects.select(pl.col("file").alias(FILE), pl.col("record").alias(RECORD)),
        ]
    )
    require(not places.is_duplicated().any(), "door: a record stands for two")
    require(landed.rejects.schema == REJECTS, "door: another schema of rejects")


def _check_core(table: str, landed: Landed, refined: Refined, out: pl.DataFrame) -> None:
    counts, contract = refined.counts, SOURCES[table]
    require(
        counts.rows_in == sum(file.records for file in landed.files), "core: counted other rows than the door"
    )
    require(counts.rows_in == counts.accounted, f"core: {counts}")
    require(counts.rows_out == out.height, "core: rows out are not those counted")
    require(counts.rejected == refined.rejects.height, "core: rejects are not those counted")
    require(counts.deduplicated == refined.duplicates.height, "core: duplicates are not those counted")
    require(all(m.holds for m in refined.money), f"core: money {refined.money}")
    require(out.schema == contract.schema, "core: another schema than the contract's")
    require(not out.select(contract.row_key).is_duplicated().any(), "core: a key stands twice")
    require(not refined.rejects["reason"].has_nulls(), "core: a reject without a reason")
    require(not refined.rejects["raw"].has_nulls(), "core: a reject without its raw text")


def require(holds: bool, said: str) -> None:
    """Raise FaultError where something does not hold."""
    if not holds:
        raise FaultError(said)
