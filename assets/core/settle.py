"""Rows that concern each other: duplicates, versions, conflicts, groups that contradict themselves.

Rows are told apart by (FILE, RECORD), equal ones by their content, so the order in which they came decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from assets.core.groups import GroupCheck
from assets.landing import FILE, RECORD
from expectations.model import Kind, Presence, Severity, Table

COLUMN, REASON, VALUE = "_column", "_reason", "_value"
"""First fault of a row: its column (empty: the whole row), the reason, the text at fault."""

DUPLICATES = pl.Schema(
    {
        "file": pl.String(),
        "record": pl.Int64(),
        "key": pl.String(),
        "winner_file": pl.String(),
        "winner_record": pl.Int64(),
    }
)
"""Exact duplicates that were dropped, each with the record that was kept."""

_ID = [FILE, RECORD]
_STATED_AT = "_stated_at"


@dataclass(frozen=True)
class Settled:
    """What sharing a row key did: `losers` equal a row that is kept, `conflicts` (with their fault) contradict one another."""

    losers: pl.DataFrame
    conflicts: pl.DataFrame
    duplicates: pl.DataFrame


def without(rows: pl.LazyFrame, *gone: pl.DataFrame) -> pl.LazyFrame:
    """The rows that stand in none of these frames."""
    ids = pl.concat([frame.select(_ID) for frame in gone])
    return rows.join(ids.lazy(), on=_ID, how="anti") if ids.height else rows


def settle_duplicates(rows: pl.LazyFrame, contract: Table) -> Settled:
    """Find rows that are the same version of the same key: equal in everything = duplicates, else all of them conflict.

    Versions differ in the `recorded_at` that the source states. Rows of one key for which it states none are one version,
    whatever time stands in for it; and a time that stands in may meet a stated one.
    """
    if "knowledge_time_assumed" not in contract.by_name:
        return _same_key(rows, contract, list(contract.row_key))
    stated = pl.when(~pl.col("knowledge_time_assumed")).then("recorded_at").alias(_STATED_AT)
    first = _same_key(rows.with_columns(stated), contract, [*contract.key, _STATED_AT])
    left = without(rows, first.losers, first.conflicts)
    second = _same_key(left, contract, list(contract.row_key))
    names = second.losers.columns
    return Settled(
        pl.concat([first.losers.select(names), second.losers]),
        pl.concat([first.conflicts.select(names), second.conflicts]),
        pl.concat([first.duplicates, second.duplicates]).sort("file", "record"),
    )


def _same_key(rows: pl.LazyFrame, contract: Table, key: list[str]) -> Settled:
    """Keys are compared by 64-bit hash first; only rows whose hash occurs twice are looked at, value by value."""
    suspects = _suspects(rows, key)
    content = [c for c in contract.stored if c.presence is not Presence.DERIVED]
    derived = [c.name for c in contract.stored if c.presence is Presence.DERIVED]
    # of equal rows the one that knows most is kept: what was assumed, or not known, sorts last
    better = [pl.col(n) if n.endswith("_assumed") else ~pl.col(n) for n in derived]
    ranked = suspects.sort(*key, *better, *_ID)
    comparable = [pl.col(c.name).list.join(",") if c.kind is Kind.LIST else pl.col(c.name) for c in content]
    differs = pl.any_horizontal([c.ne_missing(c.first().over(key)) for c in comparable])
    shown = [c for c in key if c != _STATED_AT]
    judged = ranked.with_columns(
        differs.any().over(key).alias("_conflict"),
        (pl.int_range(pl.len()).over(key) > 0).alias("_second"),
        pl.col(FILE).first().over(key).alias("_winner_file"),
        pl.col(RECORD).first().over(key).alias("_winner_record"),
        key_text(shown).alias("_key"),
    )
    losers = judged.filter(~pl.col("_conflict") & pl.col("_second"))
    conflicts = judged.filter("_conflict").with_columns(
        pl.lit("").alias(COLUMN), pl.lit("conflicting_duplicate").alias(REASON), pl.col("_key").alias(VALUE)
    )
    duplicates = losers.select(
        file=FILE,
        record=pl.col(RECORD).cast(pl.Int64()),
        key="_key",
        winner_file="_winner_file",
        winner_record=pl.col("_winner_record").cast(pl.Int64()),
    )
    names = suspects.columns
    return Settled(losers.select(names), conflicts.select(names), duplicates.sort("file", "record"))


def broken_groups(
    rows: pl.LazyFrame, contract: Table, checks: Mapping[str, GroupCheck], rejected: pl.DataFrame
) -> pl.DataFrame:
    """Rows of groups that break a group rule, with their fault; of a broken key every version.

    `rejected` are the rows already rejected, for checks that need a group whole. Raises KeyError when a rule has no
    implementation.
    """
    key = list(contract.key)
    found: list[pl.LazyFrame] = []
    for rule in contract.group_rules:
        if rule.severity is not Severity.REJECT:
            continue
        check = checks[rule.name]
        by = list(rule.by)
        keys = check.broken(_newest(rows, contract), rule.by).select(key).unique()
        fault = (pl.lit("").alias(COLUMN), pl.lit(rule.name).alias(REASON), key_text(by).alias(VALUE))
        found.append(rows.join(keys, on=key, how="semi").with_columns(*fault))
        if check.needs_every_row and rejected.height:
            torn = rejected.select(by).drop_nulls().unique()
            found.append(rows.join(torn.lazy(), on=by, how="semi").with_columns(*fault))
    if not found:
        return rows.head(0).collect()
    return pl.concat(found).collect().unique(subset=_ID, keep="first", maintain_order=True)


def with_made_key(rows: pl.LazyFrame, contract: Table, made_from: tuple[str, ...]) -> pl.LazyFrame:
    """Fill a key the source left out: the values of `made_from` and the number among rows that agree in them.

    Rows that agree in everything are interchangeable, so their numbers are too; others are numbered by content.
    """
    (name,) = contract.key
    # faulty rows never take a number from a good one
    agree = [pl.col(name).is_null(), pl.col(REASON).is_null(), *map(pl.col, made_from)]
    others = [c.name for c in contract.stored if c.name not in {name, *made_from}]
    number = pl.int_range(1, pl.len() + 1).over(agree, order_by=others or made_from)
    made = pl.concat_str(
        *(_unambiguous(pl.col(c).cast(pl.String()).fill_null("")) for c in made_from),
        number.cast(pl.String()),
        separator="|",
    )
    return rows.with_columns(pl.coalesce(name, made))


def key_text(names: list[str]) -> pl.Expr:
    """Key columns and their values as one line of text."""
    parts = [pl.lit(f"{name}=") + pl.col(name).cast(pl.String()).fill_null("") for name in names]
    return pl.concat_str(parts, separator=", ")


def _suspects(rows: pl.LazyFrame, row_key: list[str]) -> pl.DataFrame:
    digest = pl.struct(row_key).hash().alias("_hash")
    ordered = rows.select(digest).collect()["_hash"].sort()
    repeated = ordered.filter(ordered == ordered.shift()).unique()
    if repeated.is_empty():
        return rows.head(0).collect()
    twice = repeated.to_frame().lazy()
    return rows.with_columns(digest).join(twice, on="_hash", how="semi").drop("_hash").collect()


def _newest(rows: pl.LazyFrame, contract: Table) -> pl.LazyFrame:
    if not contract.versioned:
        return rows
    key = list(contract.key)
    return rows.filter(pl.col("recorded_at") == pl.col("recorded_at").max().over(key))


def _unambiguous(text: pl.Expr) -> pl.Expr:
    """So that no two lists of values give one text."""
    return text.str.replace_all("\\", "\\\\", literal=True).str.replace_all("|", "\\|", literal=True)
