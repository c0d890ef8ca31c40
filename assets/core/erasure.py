"""People and accounts who asked to be forgotten: their rows stop at the door, and what mentions them is blotted out.

Erased are ids as the sources write them, by what they name: an account or a seller (`assets.core.pseudonyms.domain_of`). Rows of
theirs go; where another row points at them (a manager, a parent account), the pointer goes and the row stays. Nothing
is lost from the count: an erased row is one that was left out (`filtered`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from assets.landing import FILE, RECORD, Landed
from expectations.model import Table

Erased = Mapping[str, frozenset[str]]
"""Ids by what they name: `account`, `rep`."""

WHOSE: dict[str, str] = {"account_id": "account", "rep_id": "rep"}
POINTERS: dict[str, str] = {
    "manager_id": "rep",
    "actor_id": "rep",
    "owner_rep_id": "rep",
    "parent_account_id": "account",
}
BLOTTED = "[erased]"
_ACCOUNTS_POINTERS = {"merged_into_id": "account"}  # in other tables it names something else


def fingerprint(erased: Erased) -> dict[str, str]:
    """A part of the recipe of every source table; empty, like the list, while nobody is erased."""
    if not any(erased.values()):
        return {}
    text = json.dumps({domain: sorted(ids) for domain, ids in sorted(erased.items())})
    return {"erased": hashlib.sha256(text.encode()).hexdigest()}


def forget(contract: Table, landed: Landed, erased: Erased) -> Landed:
    """The landed table without the erased; how many records that left out is in `filtered` and the notes."""
    if not any(erased.values()):
        return landed
    schema = landed.rows.collect_schema()
    theirs = _any(
        _names(column, schema[column], erased[domain])
        for column, domain in WHOSE.items()
        if column in schema and erased.get(domain)
    )
    count = int(landed.rows.select(theirs.sum()).collect().item() or 0)
    pointers = POINTERS | (_ACCOUNTS_POINTERS if contract.name == "accounts" else {})
    kept = landed.rows.filter(~theirs).with_columns(
        pl.when(~_names(column, schema[column], erased[domain])).then(column).alias(column)
        for column, domain in pointers.items()
        if column in schema and erased.get(domain)
    )
    mentioned = landed.rejects.select(_mentions(pl.col("raw", "value"), erased)).to_series()
    gone = count + int(mentioned.sum())
    if not gone:
        return replace(landed, rows=kept)
    return replace(
        landed,
        rows=kept,
        rejects=landed.rejects.filter(~mentioned),
        filtered=landed.filtered + gone,
        notes=(*landed.notes, ("records_erased", gone)),
    )


def blot_out(side: pl.DataFrame, erased: Erased) -> pl.DataFrame:
    """A side file (rejects, duplicates, tombstones) without the erased: keys go with their rows, other mentions are blotted out."""
    texts = [name for name, dtype in side.schema.items() if dtype == pl.String]
    if not any(erased.values()) or not texts or side.is_empty():
        return side
    if "key" in texts:
        side = side.filter(~_mentions(pl.col("key"), erased))
    return side.with_columns(
        pl.when(_mentions(pl.col(name), erased)).then(pl.lit(BLOTTED)).otherwise(name).alias(name)
        for name in texts
    )


def mentions(frame: pl.DataFrame, erased: Erased) -> bool:
    """Whether any text of a frame mentions one of them."""
    texts = frame.select(pl.selectors.string())
    return bool(texts.width and texts.select(_mentions(pl.all(), erased).any()).item())


def _names(column: str, dtype: pl.DataType, ids: frozenset[str]) -> pl.Expr:
    value = pl.col(column)
    if dtype.is_float():
        value = value.cast(pl.Int64(), strict=False)
    if dtype.is_nested() or isinstance(dtype, pl.Null):
        return pl.lit(value=False)
    text = value.cast(pl.String(), strict=False).str.strip_chars().str.normalize("NFC")
    return text.is_in(sorted(ids)).fill_null(value=False)


def _mentions(texts: pl.Expr, erased: Erased) -> pl.Expr:
    """Whether one of the texts of a row holds an id as a word of its own."""
    ids = sorted({i for ids in erased.values() for i in ids}, key=len, reverse=True)
    pattern = rf"(?:^|[^\pL\pN_])(?:{'|'.join(re.escape(i) for i in ids)})(?:$|[^\pL\pN_])"
    return pl.any_horizontal(texts.str.contains(pattern).fill_null(value=False))


def _any(conditions: Iterable[pl.Expr]) -> pl.Expr:
    return pl.any_horizontal(pl.lit(value=False), *conditions)


def places(landed: Landed, erased: Erased) -> pl.DataFrame:
    """Files and records that hold the erased as their own (FILE, RECORD): what a source still has to lose."""
    schema = landed.rows.collect_schema()
    theirs = _any(
        _names(column, schema[column], erased[domain])
        for column, domain in WHOSE.items()
        if column in schema and erased.get(domain)
    )
    return landed.rows.filter(theirs).select(FILE, RECORD).collect()
