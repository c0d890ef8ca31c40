"""Dirty rows: which faults are planted where, how they look, and what an honest reader must make of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.sources.demo.draws import Draws
from pipelines.sources.demo.planted import TableTruth
from pipelines.sources.demo.values import words

ROW = "_row"
"""Helper column of every table that may get dirt: the row's own number. Dropped before writing."""

_ENOUGH_ROWS = 1_000
"""Smaller tables get no fault that costs a row: one unlucky draw would be more than the 1 % that blocks a table."""


@dataclass(frozen=True)
class Outcome:
    """What one planted fault does to a count: records added to the file, rejected, dropped as a copy, trimmed."""

    added: int = 0
    rejected: int = 0
    duplicates: int = 0
    trimmed: int = 0


OUTCOMES = {
    "exact_duplicate": Outcome(added=1, duplicates=1),
    "trailing_space": Outcome(trimmed=1),
    "bad_date": Outcome(rejected=1),
    "unparsable_amount": Outcome(rejected=1),
    "conflicting_duplicate": Outcome(added=1, rejected=2),
    "end_before_start": Outcome(rejected=1),
    "broken_reference": Outcome(),
    "before_its_account": Outcome(),
    "missing_account": Outcome(),
}


@dataclass(frozen=True)
class Fault:
    """A kind of fault in a column; only rows where `where` holds can have it. `other` is a second column it needs."""

    kind: str
    column: str = ""
    other: str = ""
    where: Callable[[], pl.Expr] = lambda: pl.lit(value=True)


def _is_lost() -> pl.Expr:
    """Faults that cost a deal fall on lost ones: a rejected sale would make its credits and contracts orphans."""
    return pl.col("stage") == "lost"


def _has(column: str) -> Callable[[], pl.Expr]:
    return lambda: pl.col(column).is_not_null()


FAULTS: dict[str, tuple[Fault, ...]] = {
    "accounts": (Fault("exact_duplicate"), Fault("trailing_space", "account_id")),
    "opportunities": (
        Fault("exact_duplicate"),
        Fault("trailing_space", "account_id"),
        Fault("broken_reference", "account_id", where=_is_lost),
        Fault("missing_account", "account_id", where=lambda: pl.col("stage") == "won"),
        Fault("bad_date", "created_at", where=_is_lost),
        Fault("unparsable_amount", "amount", where=_is_lost),
        Fault("conflicting_duplicate", "lost_reason", where=_is_lost),
    ),
    "activities": (
        Fault("exact_duplicate"),
        Fault("trailing_space", "rep_id"),
        Fault("broken_reference", "account_id"),
        Fault("conflicting_duplicate", "channel"),
    ),
    "credits": (Fault("exact_duplicate"), Fault("trailing_space", "opportunity_id")),
    "ledger": (
        Fault("exact_duplicate"),
        Fault("trailing_space", "credit_id", where=_has("credit_id")),
    ),
    "subscriptions": (
        Fault("exact_duplicate"),
        Fault("trailing_space", "subscription_id"),
        Fault("end_before_start", "ended_at", "started_at", where=_has("ended_at")),
    ),
    "subscription_events": (
        Fault("exact_duplicate"),
        Fault("unparsable_amount", "amount", where=_has("amount")),
    ),
    "customer_activity": (
        Fault("exact_duplicate"),
        Fault("unparsable_amount", "amount", where=_has("amount")),
        Fault("broken_reference", "account_id"),
    ),
    "complaints": (
        Fault("exact_duplicate"),
        Fault("trailing_space", "account_id"),
        Fault("bad_date", "received_at"),
        Fault("unparsable_amount", "redress", where=_has("redress")),
        Fault("end_before_start", "resolved_at", "received_at", where=_has("resolved_at")),
        Fault("broken_reference", "account_id"),
        Fault("before_its_account", "received_at"),
    ),
    "feedback": (
        Fault("exact_duplicate"),
        Fault("broken_reference", "opportunity_id", where=_has("opportunity_id")),
        Fault("bad_date", "captured_at"),
        Fault("conflicting_duplicate", "need"),
    ),
    "feedback_events": (Fault("exact_duplicate"), Fault("bad_date", "occurred_at")),
}
"""Plans, tiers, quotas and people stay clean: one bad row there takes every deal it prices with it."""

ROWS_PER_DEAL = {
    "accounts": 1.4,
    "opportunities": 1.6,
    "activities": 10.0,
    "credits": 1.2,
    "ledger": 1.3,
    "subscriptions": 1.0,
    "subscription_events": 2.0,
    "customer_activity": 3.5,
    "complaints": 0.2,
    "feedback": 0.3,
    "feedback_events": 0.7,
}
"""About; decides before the first row is made whether a table is large enough for faults that cost rows."""

_BAD_DATES = ("2023-02-29", "31/12/2024", "2024-13-01")
_BAD_AMOUNTS = ("$1,234.50", "NaN", "1e3", "(100.00)")
_NO_SUCH = {"account_id": "A999999999", "opportunity_id": "O9999999999"}
_OTHER_WORDS = {"channel": "fax", "lost_reason": "price, said the buyer", "need": "unknown"}
_LONG_AGO = "2004-03-01T15:00:00"
_TEXT_KINDS = {"bad_date", "unparsable_amount"}


def as_text(column: str, dtype: pl.DataType) -> pl.Expr:
    """A typed column the way a text export shows it: ISO 8601, plain decimals, lower-case booleans."""
    if isinstance(dtype, pl.Datetime):
        return pl.col(column).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return pl.col(column).cast(pl.String)


class Soiler:
    """Plants the faults of a table, chunk by chunk. `share` of rows are dirty; the same row always in the same way."""

    def __init__(self, draws: Draws, share: float, deals: int) -> None:
        self.draws, self.share, self.deals = draws, share, deals

    def faults(self, table: str) -> tuple[Fault, ...]:
        """The faults that a table of this company gets."""
        if self.share <= 0 or table not in FAULTS:
            return ()
        is_large = self.deals * ROWS_PER_DEAL[table] >= _ENOUGH_ROWS
        return tuple(f for f in FAULTS[table] if is_large or not OUTCOMES[f.kind].rejected)

    def soil(self, table: str, frame: pl.DataFrame, truth: TableTruth) -> pl.DataFrame:
        """The chunk with its faults, without the helper column; counts are added to `truth`."""
        faults = self.faults(table)
        truth.rows += frame.height
        if not faults:
            return frame.drop(ROW, strict=False)
        hit = self.draws.uniform(f"dirt {table}", frame[ROW].to_numpy()) / self.share
        candidates = frame.with_columns(_hit=hit).filter(pl.col("_hit") < 1)
        text = {f.column for f in faults if f.kind in _TEXT_KINDS}
        shown = [as_text(c, t) if c in text else pl.col(c) for c, t in frame.schema.items() if c != ROW]
        spoilt, rows = [], []
        for number, fault in enumerate(faults):
            struck = candidates.filter((pl.col("_hit") * len(faults)).floor() == number, fault.where())
            _count(fault, struck.height, truth)
            if struck.height:
                spoilt.append(_spoil(fault, struck, shown))
                if not OUTCOMES[fault.kind].added:
                    rows.append(struck[ROW])
        gone = (
            np.isin(frame[ROW].to_numpy(), pl.concat(rows).to_numpy())
            if rows
            else np.zeros(frame.height, dtype=bool)
        )
        return pl.concat([frame.filter(~gone).select(shown), *spoilt])


def _count(fault: Fault, struck: int, truth: TableTruth) -> None:
    outcome = OUTCOMES[fault.kind]
    if struck:
        truth.dirt[fault.kind] = truth.dirt.get(fault.kind, 0) + struck
    truth.rows += outcome.added * struck
    truth.rejected_expected += outcome.rejected * struck
    truth.duplicates_expected += outcome.duplicates * struck
    truth.trimmed_expected += outcome.trimmed * struck


def _spoil(fault: Fault, struck: pl.DataFrame, shown: list[pl.Expr]) -> pl.DataFrame:
    """The struck rows with their fault; for the kinds that add rows, the copies."""
    nth = struck[ROW].to_numpy()
    match fault.kind:
        case "exact_duplicate":
            return struck.select(shown)
        case "bad_date":
            bad = pl.lit(words(nth % len(_BAD_DATES), _BAD_DATES))
        case "unparsable_amount":
            bad = pl.lit(words(nth % len(_BAD_AMOUNTS), _BAD_AMOUNTS))
        case "trailing_space":
            bad = pl.col(fault.column) + " "
        case "broken_reference":
            bad = pl.lit(_NO_SUCH[fault.column])
        case "conflicting_duplicate":
            bad = pl.lit(_OTHER_WORDS[fault.column])
        case "missing_account":
            bad = pl.lit(None, pl.String)
        case "end_before_start":
            bad = pl.col(fault.other) - pl.duration(days=2)
        case _:  # before_its_account
            bad = pl.lit(_LONG_AGO).str.to_datetime(time_unit="us", time_zone="UTC")
    if fault.kind in _TEXT_KINDS:
        return struck.select(shown).with_columns(bad.alias(fault.column))
    return struck.with_columns(bad.alias(fault.column)).select(shown)
