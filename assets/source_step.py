"""One step at the door: landed rows to a core table, its rejects and its duplicates; counted, audited, never half done."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from assets.core.erasure import Erased, blot_out, fingerprint, forget
from assets.core.identities import blocked_by
from assets.core.refine import Refined
from assets.core.subjects import refine_source
from assets.core.vanished import TOMBSTONES, Reading, Vanished, find_vanished
from assets.landing import Landed, LandingBlockedError
from assets.months_in_store import MonthsInStore
from assets.step import (
    Block,
    Step,
    Workshop,
    conform,
    file_metadata,
    finish,
    recipe_key,
    remembered,
)
from assets.storage import Part, Version
from assets.table import Made
from expectations.checks import audit
from expectations.model import Sensitivity, Severity, Table
from expectations.results import Group, Result

REJECTS, DUPLICATES, BURIED, ROTATION = "rejects", "duplicates", "tombstones", "rotation"
PSEUDONYM_KEY = "pseudonym_key"  # fact of a version: id of the key that its people's names were made with


class Door(Workshop, Protocol):
    """What a step at the door needs beside a workshop."""

    @property
    def erased(self) -> Erased:
        """Who asked to be forgotten."""

    def may_go_stale(self, table: str) -> bool:
        """Whether a blocked source may go on with its last good version (`on_block: stale`)."""

    def max_vanished_share(self, table: str) -> float:
        """More rows than this share of the last reading gone at once block the table."""

    def lineage(self, table: str) -> str:
        """Names the source and its keys: readings of one lineage can be compared row by row."""

    def read_side(self, version: Version, side: str) -> pl.DataFrame | None:
        """A side file of a version; None where it has none."""

    def spill_file(self) -> AbstractContextManager[Path]:
        """A file for parsed rows that should not stand in memory; gone afterwards."""

    def confirm_unchanged(self, table: str) -> None:
        """Raise LandingBlockedError where a file changed since it was read."""


def make_source(contract: Table, door: Door, head: Version | None) -> Step:
    """Read, parse, reject, deduplicate and stage one source table.

    `head` is the newest version so far: where the source allows it, a blocked table goes on with it. A source that can't be
    interpreted is a block, not an exception. Raises SourceUnreachableError.
    """
    key = ""
    try:
        landed = door.landing.version(contract.name)
        if landed is None:
            raise LookupError(f"{contract.name} has no source in the configuration")
        inputs = {f"landing/{contract.name}": landed}
        key = source_key(contract, door, landed)
        if (known := door.warehouse.find(contract.path, key)) is not None:
            return Step(remembered(known), version=known, reused=True)
        step = _refine_and_stage(contract, door, key, inputs, head)
    except LandingBlockedError as error:
        block = Block(contract.path, "source_can_be_read", 1, str(error))
        step = Step((_failed(block),), block=block)
    if step.block is not None and head is not None and door.may_go_stale(contract.name):
        # a source whose content could not even be told has no recipe of its own: the block names it
        return _go_on_stale(step, head, key or recipe_key(contract, door, {"blocked": step.block.message}))
    return step


def source_key(contract: Table, door: Door, landed: str) -> str:
    """Names a version of a source table: what landed, and all that is done to it at the door."""
    people = {"pseudonyms": door.pseudonyms.recipe, **fingerprint(door.erased)}
    return recipe_key(contract, door, {f"landing/{contract.name}": landed, **people})


def _refine_and_stage(
    contract: Table, door: Door, key: str, inputs: Mapping[str, str], head: Version | None
) -> Step:
    landed = forget(contract, door.landing.read(contract.name), door.erased)
    with door.spill_file() as spill:
        refined = refine_source(
            landed, door.company, door.pseudonyms, spill if contract.partitioned else None
        )
        sides = {
            REJECTS: blot_out(refined.rejects, door.erased),
            DUPLICATES: blot_out(refined.duplicates, door.erased),
        }
        if (blocked := blocked_by(refined, landed.reading)) is not None:
            sentence = f"{blocked.sentence}. Look at them with: aftersale rejects {contract.name}"
            block = Block(contract.path, "few_rows_are_rejected", blocked.count, sentence)
            return Step((_failed(block, refined.counts.rows_in),), sides=sides, block=block)
        vanished = _compare(contract, door, head, refined)
        facts = {
            **_facts(landed, refined), "lineage": door.lineage(contract.name), **fingerprint(door.erased)
        }  # fmt: skip
        if any(column.sensitivity is Sensitivity.PSEUDONYM for column in contract.stored):
            facts[PSEUDONYM_KEY] = door.pseudonyms.key_id
        if door.pseudonyms.previous is not None:
            sides[ROTATION] = refined.rotation
        if vanished is not None:
            sides |= {BURIED: blot_out(vanished.all, door.erased)} if vanished.all.height else {}
            facts["vanished"] = vanished.rows
            limit = door.max_vanished_share(contract.name)
            if vanished.share > limit:
                block = _too_many_vanished(contract, vanished, head, limit)
                return Step((_failed(block, vanished.before),), sides=sides, block=block)
        months = MonthsInStore(contract, door)
        if contract.partitioned:
            _stage_months(contract, refined.frame, door, months, spill.parent / "months")
            staged, results, facts = tuple(months.staged), months.results, facts | months.facts
        else:
            metadata = file_metadata(contract, door.company, {})
            frame = conform(contract, refined.frame, is_sorted=True)
            staged = (door.warehouse.stage(contract, frame, key, metadata),)
            results = audit(contract, pl.scan_parquet(staged[0].file), may_be_empty=not contract.required)
        door.confirm_unchanged(contract.name)
    return finish(
        contract, door, key=key, inputs=inputs, parts=tuple(months.parts), staged=staged,
        results=(*_door_results(landed, refined), *_vanished_results(vanished), *results), facts=facts, sides=sides,
    )  # fmt: skip


def _compare(contract: Table, door: Door, head: Version | None, refined: Refined) -> Vanished | None:
    """What is gone since the last reading of the same source; None where there is none to compare with."""
    if head is None or head.facts.get("lineage") != door.lineage(contract.name):
        return None
    buried = door.read_side(head, BURIED)
    last = Reading(
        door.warehouse.scan(contract, head),
        head.rows,
        str(head.facts.get("stale_since", head.created_at)),
        head.key,
        pl.DataFrame(schema=TOMBSTONES) if buried is None else buried,
    )
    return find_vanished(contract, last, refined.seen)


def _too_many_vanished(contract: Table, vanished: Vanished, head: Version | None, limit: float) -> Block:
    since = head.created_at if head else ""
    sentence = (
        f"{contract.path}: {vanished.rows} of the {vanished.before} rows read on {since[:16]} are gone from the source, over "
        f"the limit of {limit:.2%}: a truncated export? Where they were deleted on purpose, raise max_vanished_share. "
        f"Look at them with: aftersale rejects {contract.name}"
    )
    return Block(contract.path, "few_rows_vanish", vanished.rows, sentence)


def _vanished_results(vanished: Vanished | None) -> list[Result]:
    if vanished is None or not vanished.before:
        return []
    return [
        Result(
            Group.CONTRACT, "few_rows_vanish", Severity.BLOCK, passed=True, evaluated=vanished.before,
            failed=vanished.rows, detail="rows of the last reading that the source no longer holds; each has a tombstone",
        )
    ]  # fmt: skip


def _stage_months(
    contract: Table, frame: pl.LazyFrame, door: Door, months: MonthsInStore, folder: Path
) -> None:
    """Cut the table by the month of its event time, in one pass; a month whose rows the store has is not made again.

    Rows are compared by sums of their hashes, two of 64 bits, so that neither their order nor the files they came in matter.
    """
    moment = pl.col(contract.event_time).dt.convert_time_zone(door.company.timezone)
    folder.mkdir()
    frame.with_columns(month=moment.dt.strftime("%Y-%m")).sink_parquet(
        pl.PartitionBy(folder, key="month", include_key=False), compression="zstd", compression_level=1
    )
    for cut in sorted(folder.iterdir()):
        month = cut.name.removeprefix("month=")
        rows = pl.scan_parquet(cut, glob=True, hive_partitioning=False)
        row = pl.struct(contract.schema.names())
        sums = rows.select(pl.len(), a=row.hash(1).sum(), b=row.hash(2).sum()).collect().row(0)
        month_key = recipe_key(contract, door, {"rows": str(sums)}, month)
        if not months.take_over(month, month_key):
            months.stage(month, month_key, Made(rows), {})


def _failed(block: Block, evaluated: int = 1) -> Result:
    return Result(
        Group.CONTRACT, block.check, Severity.BLOCK, passed=False, evaluated=evaluated, failed=block.count, detail=block.message
    )  # fmt: skip


def _door_results(landed: Landed, refined: Refined) -> list[Result]:
    """The identities, counted by two ways that know nothing of each other, and what was bent or doubted on the way."""
    counts, money = refined.counts, refined.money
    passed = Result(
        Group.CONTRACT, "no_row_is_lost", Severity.BLOCK, passed=counts.rows_in == counts.accounted,
        evaluated=counts.rows_in, failed=abs(counts.rows_in - counts.accounted),
        detail="rows in = rows out + rejected + deduplicated + not yet + filtered",
    )  # fmt: skip
    cents = Result(
        Group.CONTRACT, "no_cent_is_lost", Severity.BLOCK, passed=all(m.holds for m in money),
        evaluated=max(len(money), 1), failed=sum(not m.holds for m in money),
        detail="the same for money, per column and currency",
    )  # fmt: skip
    rejected = Result(
        Group.CONTRACT, "few_rows_are_rejected", Severity.BLOCK, passed=True, evaluated=counts.rows_in,
        failed=counts.rejected, detail=f"limit {landed.reading.max_reject_share:.2%}",
    )  # fmt: skip
    doubted = [
        Result(
            Group.CONTRACT, _slug(name), Severity.WARN, passed=False, evaluated=counts.rows_in, failed=number, detail=name
        )
        for name, number in refined.warnings.items()
    ]  # fmt: skip
    return [passed, cents, rejected, *doubted]


def _slug(name: str) -> str:
    return "".join(ch if ch.isalnum() else "_" for ch in name.lower()).strip("_")


def _facts(landed: Landed, refined: Refined) -> dict[str, Any]:
    """Counts for the manifest and the asset's page."""
    counts = refined.counts
    reasons = (
        refined.rejects.group_by("file", "column", "reason")
        .len("rows")
        .sort("file", "column", "reason")
        .to_dicts()
    )
    money = [
        {
            "column": m.column, "currency": m.currency, "rows_in": str(m.rows_in), "out": str(m.out),
            "rejected": str(m.rejected), "deduplicated": str(m.deduplicated), "not_yet": str(m.not_yet),
        }
        for m in refined.money
    ]  # fmt: skip
    return {
        "rows_in": counts.rows_in,
        "rows_out": counts.rows_out,
        "rejected": counts.rejected,
        "deduplicated": counts.deduplicated,
        "not_yet": counts.not_yet,
        "filtered": counts.filtered,
        "reject_reasons": [{**r, "column": r["column"] or ""} for r in reasons],
        "money": money,
        "coercions": dict(refined.coercions),
        "files": [{"path": f.path, "sha256": f.sha256, "records": f.records} for f in landed.files],
        "max_contradiction_share": landed.reading.max_contradiction_share,
        "notes": "; ".join(f"{name}: {n}" for name, n in refined.coercions.items()),
    }


def _go_on_stale(step: Step, head: Version, key: str) -> Step:
    """The last good version under a new name, marked with its age: said in `source_coverage` and on the board."""
    assert step.block is not None
    since = head.facts.get("stale_since", head.created_at)
    warning = replace(step.results[0], severity=Severity.WARN, check="source_is_fresh")
    facts = {**head.facts, "stale_since": since, "stale_because": step.block.message}
    kept: tuple[Part, ...] = head.parts
    results = (*remembered(head), warning)
    stale = replace(
        head, key=key, facts=facts, parts=kept, checks=(*head.checks, {**warning.to_json(), **_stamp(head)})
    )
    return Step(results, version=stale, sides=step.sides)


def _stamp(head: Version) -> dict[str, str]:
    """The run and time that a warning on a stale table carries: those of its last good version."""
    return {"run_id": head.run_id, "checked_at": head.created_at}
