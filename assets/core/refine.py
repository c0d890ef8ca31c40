"""Landed rows -> the rows of a core table, and a place for every other row: what the door does, generic by contract.

Parse, bounds, row rules; rows of the future wait; duplicates and versions are told apart; groups of rows that contradict
each other go together; people, and ids that the firm wants hidden, get pseudonyms. Which rules a table has stands in its contract, how rules over groups
are found broken in the subject modules. No row disappears: `identities` counts them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from assets.company import Company
from assets.core import identities, moments, settle
from assets.core.groups import GroupCheck
from assets.core.identities import Counts, MoneyIdentity
from assets.core.parse import parse
from assets.core.pseudonyms import ROTATION, Pseudonyms
from assets.core.reading import WARNING_PREFIX, Parsed, with_steps
from assets.core.settle import COLUMN, REASON, VALUE
from assets.landing import FILE, RECORD, REJECTS, Landed, LandingBlockedError
from expectations.contracts import SOURCES
from expectations.model import Column, Presence, Severity, Table

FUTURE_DAYS = 400
"""An event further than this after as_of is a typing error, not a plan."""

_LATER = "_later"  # dated after as_of: waits
_NOTE = "_note:"
_ALWAYS_KNOWN = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_KNOWN_OF = {"closed_time_known": "closed_at"}  # derived flag: the column it speaks of


@dataclass(frozen=True)
class Refined:
    """A source table, refined, with the fate of every record.

    `frame` has the contract's schema, sorted by its row key; where it stands on the spill file it is in no order, for such a
    table is cut by month and sorted then. It can be scanned more than once. `seen` has the key of every record that could be
    read, kept or not, on the same ground; people are under their pseudonyms in both, and `rotation` (schema
    `assets.core.pseudonyms.ROTATION`) says what they were called under the previous key. `rejects` has the schema
    `assets.landing.REJECTS`. `duplicates` has the schema
    `assets.core.settle.DUPLICATES`. `coercions` and `warnings` count by name (`column: what was done`).
    """

    table: str
    required: bool
    frame: pl.LazyFrame
    seen: pl.LazyFrame
    rejects: pl.DataFrame
    duplicates: pl.DataFrame
    rotation: pl.DataFrame
    counts: Counts
    money: tuple[MoneyIdentity, ...]
    coercions: Mapping[str, int]
    warnings: Mapping[str, int]


def refine(
    contract: Table,
    landed: Landed,
    company: Company,
    pseudonyms: Pseudonyms,
    group_rules: Mapping[str, GroupCheck],
    *,
    made_from: tuple[str, ...] = (),
    spill: Path | None = None,
) -> Refined:
    """Refine a landed table by its contract.

    Args:
        contract: the source table.
        landed: its rows at the door.
        company: as_of and the zone that local days are told in.
        pseudonyms: gives sellers their names.
        group_rules: implementations of the contract's group rules, by name.
        made_from: columns that a key the source may leave out is made from.
        spill: file to keep parsed rows in, for tables that should not stand in memory; the caller removes it.

    Raises:
        LandingBlockedError: a column that must be mapped is not there.
        KeyError: a group rule of the contract has no implementation.
        IdentityBrokenError: rows or money got lost, a bug of ours.
    """
    parsed = _parsed(contract, landed, company)
    if made_from:
        parsed = settle.with_made_key(parsed, contract, made_from)
    if spill is None:
        rows = parsed.collect().lazy()
    else:
        parsed.sink_parquet(spill, compression="zstd", compression_level=1)
        rows = pl.scan_parquet(spill)

    tally = _tally(rows)
    good = rows.filter(pl.col(REASON).is_null() & ~pl.col(_LATER))
    early = rows.filter(pl.col(REASON).is_not_null()).collect()
    settled = settle.settle_duplicates(good, contract)
    unique = settle.without(good, settled.losers, settled.conflicts)
    broken = settle.broken_groups(unique, contract, group_rules, pl.concat([early, settled.conflicts]))
    kept = settle.without(unique, broken)

    rejected = pl.concat([early, settled.conflicts, broken])
    counts = Counts(
        rows_in=sum(file.records for file in landed.files)
        if landed.files
        else tally["rows"] + landed.rejects.height + landed.filtered,
        rows_out=int(kept.select(pl.len()).collect().item()),
        rejected=rejected.height + landed.rejects.height,
        deduplicated=settled.losers.height,
        not_yet=tally[_LATER],
        filtered=landed.filtered,
    )
    identities.check_identity(contract.name, counts)
    money = identities.money_identities(
        contract,
        rows_in=rows,
        out=kept,
        rejected=rejected.lazy(),
        deduplicated=settled.losers.lazy(),
        not_yet=rows.filter(pl.col(REASON).is_null() & pl.col(_LATER)),
    )
    domains = pseudonyms.domains(contract, SOURCES, made_from)
    finished = _under_pseudonyms(kept, pseudonyms, domains).select(contract.schema.names())
    notes = {
        name.removeprefix(_NOTE): count for name, count in tally.items() if name.startswith(_NOTE) and count
    }
    warnings = {name.replace(WARNING_PREFIX, ""): n for name, n in notes.items() if WARNING_PREFIX in name}
    coercions = {name: n for name, n in notes.items() if WARNING_PREFIX not in name} | dict(landed.notes)
    return Refined(
        table=contract.name,
        required=contract.required,
        frame=finished if spill else finished.sort(contract.row_key),
        seen=_under_pseudonyms(rows.select(contract.key), pseudonyms, domains),
        rejects=_rejects(rejected, landed),
        duplicates=settled.duplicates,
        rotation=_rotation(kept, pseudonyms, domains),
        counts=counts,
        money=money,
        coercions=dict(sorted(coercions.items())),
        warnings=dict(sorted(warnings.items())),
    )


def _parsed(contract: Table, landed: Landed, company: Company) -> pl.LazyFrame:
    """Rows with the contract's columns, the first fault of each (COLUMN, REASON, VALUE), whether it waits, and notes."""
    schema = landed.rows.collect_schema()
    _refuse_if_unmapped(contract, landed, schema)
    columns = [c for c in contract.door if c.kept]
    read = {
        c.name: parse(c, schema[c.name], landed.reading, company.timezone)
        for c in columns
        if c.name in schema
    }
    values, faults = [], []
    for column in columns:
        name = column.name
        if name not in read:
            values.append(pl.lit(None, dtype=column.dtype).alias(name))
            continue
        values += [read[name].value.alias(name), read[name].reason.alias(f"_reason:{name}")]
        values.append(_offending(column, schema[name], read[name].reason).alias(f"_text:{name}"))
        values += [_count(mask, f"{name}: {note}") for note, mask in read[name].notes.items()]
        faults.append(_Fault(name, pl.col(f"_reason:{name}"), pl.col(f"_text:{name}")))
    values += [
        _time_known(read.get(of)).alias(name)
        for name, of in _TIME_KNOWN_OF.items()
        if name in contract.by_name
    ]
    faults += [_rule_fault(rule.name, rule.broken, rule.holds) for rule in contract.rules_of(Severity.REJECT)]
    warned = [_count(rule.broken, WARNING_PREFIX + rule.name) for rule in contract.rules_of(Severity.WARN)]
    later = pl.lit(value=False)
    if contract.event_time:
        event = contract.by_name[contract.event_time]
        later = _after(event, company, 0)
        faults.append(_far_future_fault(event, company))
    judged = (
        with_steps(landed.rows, read.values())
        .select(FILE, RECORD, *values)
        .with_columns(
            pl.coalesce(*(f.column_where_broken for f in faults)).alias(COLUMN),
            pl.coalesce(*(f.reason for f in faults)).alias(REASON),
            pl.coalesce(*(f.value for f in faults)).alias(VALUE),
            later.fill_null(value=False).alias(_LATER),
            *warned,
            *_knowledge(contract, company),
        )
    )
    return judged.drop(pl.selectors.starts_with("_reason:", "_text:"))


def _time_known(read: Parsed | None) -> pl.Expr:
    return pl.lit(value=False) if read is None or read.time_known is None else read.time_known


@dataclass(frozen=True, slots=True)
class _Fault:
    column: str
    reason: pl.Expr
    value: pl.Expr

    @property
    def column_where_broken(self) -> pl.Expr:
        return pl.when(self.reason.is_not_null()).then(pl.lit(self.column))


def _rule_fault(name: str, broken: pl.Expr, shown: pl.Expr) -> _Fault:
    parts = [
        pl.lit(f"{c}=") + pl.col(c).cast(pl.String()).fill_null("")
        for c in sorted(set(shown.meta.root_names()))
    ]
    value = pl.when(broken).then(pl.concat_str(parts, separator=", "))
    return _Fault("", pl.when(broken).then(pl.lit(name)), value)


def _far_future_fault(event: Column, company: Company) -> _Fault:
    far = _after(event, company, FUTURE_DAYS).fill_null(value=False)
    value = pl.when(far).then(pl.col(event.name).cast(pl.String()))
    return _Fault(event.name, pl.when(far).then(pl.lit("too_far_in_future")), value)


def _after(event: Column, company: Company, days: int) -> pl.Expr:
    """Whether the event's local day lies more than `days` after as_of."""
    last = company.as_of + timedelta(days=days)
    if event.dtype == pl.Date():
        return pl.col(event.name) > last
    return pl.col(event.name) >= moments.day_ends(last, company.timezone)


def _knowledge(contract: Table, company: Company) -> list[pl.Expr]:
    """`recorded_at` where the source has none: the time that stands in, else the beginning of time."""
    if not contract.versioned:
        return []
    stand_in = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    if contract.known_from:
        event = pl.col(contract.known_from)
        is_day = contract.by_name[contract.known_from].dtype == pl.Date()
        stand_in = moments.start_of_day(event, company.timezone) if is_day else event
    known = [
        pl.coalesce("recorded_at", stand_in, pl.lit(_ALWAYS_KNOWN, dtype=pl.Datetime("us", "UTC"))).alias(
            "recorded_at"
        )
    ]
    if "knowledge_time_assumed" in contract.by_name:
        known.append(pl.col("recorded_at").is_null().alias("knowledge_time_assumed"))
    return known


def _offending(column: Column, dtype: pl.DataType, reason: pl.Expr) -> pl.Expr:
    """The landed text where it is at fault."""
    raw = pl.col(column.name)
    if dtype.is_nested() or isinstance(dtype, (pl.Binary, pl.Object)):
        return pl.when(reason.is_not_null()).then(pl.lit(f"<{dtype}>"))
    return pl.when(reason.is_not_null()).then(raw.cast(pl.String()).fill_null(""))


def _count(mask: pl.Expr, name: str) -> pl.Expr:
    return mask.fill_null(value=False).alias(_NOTE + name)


def _refuse_if_unmapped(contract: Table, landed: Landed, schema: pl.Schema) -> None:
    needed = (Presence.REQUIRED, Presence.MAPPED)
    for column in contract.door:
        if column.presence in needed and column.kept and column.name not in schema:
            file = landed.files[0].path if landed.files else ""
            hint = "Map it in aftersale.yaml."
            raise LandingBlockedError(contract.name, file, f"column {column.name} is missing", hint)


def _tally(rows: pl.LazyFrame) -> dict[str, int]:
    waiting = (pl.col(_LATER) & pl.col(REASON).is_null()).sum().alias(_LATER)
    notes = (pl.selectors.starts_with(_NOTE)).sum()
    return {
        k: int(v or 0)
        for k, v in rows.select(pl.len().alias("rows"), waiting, notes).collect().row(0, named=True).items()
    }


def _under_pseudonyms(rows: pl.LazyFrame, pseudonyms: Pseudonyms, domains: Mapping[str, str]) -> pl.LazyFrame:
    """The rows with pseudonyms in the columns that have a domain; a list has one for each of its ids."""
    present = rows.collect_schema()
    for column, domain in domains.items():
        if column not in present:
            continue
        ids = rows.select(column).unique().collect()[column]
        if isinstance(present[column], pl.List):
            old, new = pseudonyms.table(domain, ids.explode(empty_as_null=False)).get_columns()
            hide = pl.col(column).list.eval(pl.element().replace_strict(old, new, return_dtype=pl.String))
            rows = rows.with_columns(hide)
            continue
        names = pseudonyms.table(domain, ids).lazy()
        rows = rows.join(names, on=column, how="left").with_columns(pl.col("_pseudonym").alias(column))
        rows = rows.drop("_pseudonym")
    return rows


def _rotation(rows: pl.LazyFrame, pseudonyms: Pseudonyms, domains: Mapping[str, str]) -> pl.DataFrame:
    """Old and new pseudonyms of whatever has one; none while one key is all there is."""
    found = [pl.DataFrame(schema=ROTATION)]
    present = rows.collect_schema()
    for column, domain in domains.items() if pseudonyms.previous is not None else ():
        ids = rows.select(column).unique().collect()[column]
        if isinstance(present[column], pl.List):
            ids = ids.explode(empty_as_null=False)
        found.append(pseudonyms.rotation(domain, ids))
    return pl.concat(found).unique().sort("domain", "was")


def _rejects(rejected: pl.DataFrame, landed: Landed) -> pl.DataFrame:
    """All rejects of the table with the raw text of their records, by file and record."""
    ours = rejected.select(FILE, RECORD, COLUMN, REASON, VALUE)
    raw = landed.raw(ours.select(FILE, RECORD)).select(FILE, RECORD, "raw")
    found = ours.join(raw, on=[FILE, RECORD], how="left").select(
        file=FILE,
        record=pl.col(RECORD).cast(pl.Int64()),
        column=COLUMN,
        reason=REASON,
        value=VALUE,
        raw="raw",
    )
    every = pl.concat([landed.rejects.select(REJECTS.names()), found.cast(dict(REJECTS))])  # type: ignore[arg-type]
    return every.sort("file", "record", "column", "reason")
