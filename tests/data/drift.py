"""Schemas that drift between the files of one source: a table of facts (what one file does, what must come of it).

Three files of `opportunities` lie under one glob; the first, the middle or the last of them is not like the others. Where it
stands must not matter. `docs/connect/schema_drift.md` shows these facts, and its test holds both together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

import polars as pl

PLACES = ("first", "middle", "last")
FORMATS = ("csv", "jsonl", "parquet")


class Role(StrEnum):
    """What a column is to the contract, and the column that stands for it here."""

    NEVER_NULL = "rep_id"
    MUST_BE_MAPPED = "amount"
    OPTIONAL = "term_months"
    UNKNOWN = "shoe_size"


class Outcome(StrEnum):
    """What becomes of the drifting file."""

    SAME = "as if nothing had drifted"
    IGNORED = "not read; counted as `unused_column`"
    NULL = "null in that file's rows; counted as `column_missing_in_files`"
    VALUES = "its values are taken; null in the other files' rows, counted as `column_missing_in_files`"
    REJECTED = "that file's rows are rejected"
    BLOCKED = "blocks, naming file and column"


@dataclass(frozen=True)
class Drift:
    """One way in which a file differs. `reason` of the rejects; `told`: more words of the message, or names of notes."""

    change: str
    role: Role
    formats: tuple[str, ...]
    how: str
    edit: Callable[[pl.DataFrame], pl.DataFrame]
    outcome: Outcome
    reason: str = ""
    told: tuple[str, ...] = ()
    others: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame  # the files that don't drift


def file(place: int) -> pl.DataFrame:
    """The file at a place, undrifted: two deals. Ids of sellers are numbers, as some systems have them."""
    numbers = [2 * place + 1, 2 * place + 2]
    return pl.DataFrame(
        {
            "opportunity_id": [f"O{n}" for n in numbers],
            "account_id": [f"A{n}" for n in numbers],
            "rep_id": [100 + n for n in numbers],
            "closed_at": [datetime(2025, 1, n, 12, tzinfo=UTC) for n in numbers],
            "is_won": [True, False],
            "amount": [Decimal(n) * Decimal("1000.25") for n in numbers],
            "currency": ["USD"] * 2,
            "term_months": [12, 24],
        },
        schema_overrides={"amount": pl.Decimal(18, 2)},
    )


def _drop(name: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.drop(name)


def _rename(name: str, new: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.rename({name: new})


def _put(name: str, values: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(pl.lit(values).alias(name))


def _cast(name: str, dtype: pl.DataType) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(pl.col(name).cast(dtype))


def _text(name: str, form: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(pl.format(form, pl.col(name).cast(pl.String)).alias(name))


def _comma(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("amount").cast(pl.String).str.replace(".", ",", literal=True))


def _day_first(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("closed_at").dt.strftime("%d/%m/%Y"))


def _epoch(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("closed_at").dt.epoch("s"))


def _no_zone(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("closed_at").dt.replace_time_zone(None))


def _noisy(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("amount").cast(pl.Float64) + 0.001)


def _list(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.concat_list("term_months", "term_months"))


def _struct(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.struct(value="amount").alias("amount"))


MIXED = "mixed_types_read_as_text"
ALL, TEXT, PARQUET = FORMATS, ("csv", "jsonl"), ("parquet",)
_NEVER, _MAPPED, _OPTIONAL, _UNKNOWN = Role

DRIFTS = (
    Drift("new", _UNKNOWN, ALL, "a column nobody maps", _put("shoe_size", 44), Outcome.IGNORED),
    Drift("new", _OPTIONAL, ALL, "a contract column the others lack", lambda f: f, Outcome.VALUES, others=_drop("term_months")),
    Drift("new", _MAPPED, ALL, "a contract column the others lack", lambda f: f, Outcome.BLOCKED, others=_drop("amount")),
    Drift("new", _NEVER, ALL, "a contract column the others lack", lambda f: f, Outcome.BLOCKED, others=_drop("rep_id")),
    Drift("missing", _OPTIONAL, ALL, "", _drop("term_months"), Outcome.NULL),
    Drift("missing", _MAPPED, ALL, "", _drop("amount"), Outcome.BLOCKED),
    Drift("missing", _NEVER, ALL, "", _drop("rep_id"), Outcome.BLOCKED),
    Drift("renamed", _OPTIONAL, ALL, "`term_months` to `term_mths`", _rename("term_months", "term_mths"), Outcome.NULL,
          told=("unused_column:term_mths",)),
    Drift("renamed", _MAPPED, ALL, "`amount` to `amounts`", _rename("amount", "amounts"), Outcome.BLOCKED,
          told=("did you mean 'amounts'?",)),
    Drift("renamed", _NEVER, ALL, "`rep_id` to `rep`", _rename("rep_id", "rep"), Outcome.BLOCKED, told=("did you mean 'rep'?",)),
    Drift("retyped", _NEVER, ("jsonl", "parquet"), "101 becomes \"101\"", _cast("rep_id", pl.String()), Outcome.SAME),
    Drift("retyped", _NEVER, PARQUET, "101 becomes 101.0, as where a null came in", _cast("rep_id", pl.Float64()), Outcome.SAME,
          told=(f"{MIXED}:rep_id",)),
    Drift("retyped", _NEVER, TEXT, "101 becomes 1E+02, as from a spreadsheet", _put("rep_id", "1E+02"), Outcome.REJECTED,
          "id_turned_into_number"),
    Drift("retyped", _NEVER, ALL, "null in every row", lambda f: f.with_columns(pl.lit(None, pl.Int64).alias("rep_id")),
          Outcome.REJECTED, "missing"),
    Drift("retyped", _MAPPED, PARQUET, "decimal becomes float", _cast("amount", pl.Float64()), Outcome.SAME, told=(f"{MIXED}:amount",)),
    Drift("retyped", _MAPPED, ("jsonl", "parquet"), "1000.25 becomes \"1000.25\"", _cast("amount", pl.String()), Outcome.SAME),
    Drift("retyped", _MAPPED, ALL, "1000.25 becomes \"1000,25\"", _comma, Outcome.REJECTED, "not_a_number"),
    Drift("retyped", _MAPPED, ALL, "1000.25 becomes \"$ 1000.25\"", _text("amount", "$ {}"), Outcome.REJECTED, "not_a_number"),
    Drift("retyped", _MAPPED, ALL, "1000.25 becomes 1000.251", _noisy, Outcome.REJECTED, "too_many_decimals"),
    Drift("retyped", _MAPPED, ("jsonl", "parquet"), "1000.25 becomes {\"value\": 1000.25}", _struct, Outcome.REJECTED, "not_a_number"),
    Drift("retyped", _MAPPED, ALL, "the time becomes text with an offset", _text("closed_at", "{}"), Outcome.SAME),
    Drift("retyped", _MAPPED, ALL, "the time becomes 31/12/2024", _day_first, Outcome.REJECTED, "not_a_timestamp"),
    Drift("retyped", _MAPPED, ALL, "the time becomes seconds since 1970", _epoch, Outcome.REJECTED, "not_a_timestamp"),
    Drift("retyped", _MAPPED, PARQUET, "the time loses its zone", _no_zone, Outcome.REJECTED, "wall_time_without_zone"),
    Drift("retyped", _NEVER, ALL, "true becomes 1", _cast("is_won", pl.Int8()), Outcome.SAME),
    Drift("retyped", _OPTIONAL, PARQUET, "12 becomes 12.0", _cast("term_months", pl.Float64()), Outcome.SAME,
          told=(f"{MIXED}:term_months",)),
    Drift("retyped", _OPTIONAL, ALL, "12 becomes \"12 months\"", _text("term_months", "{} months"), Outcome.REJECTED, "not_a_number"),
    Drift("retyped", _OPTIONAL, ("jsonl", "parquet"), "12 becomes a list", _list, Outcome.REJECTED, "not_a_number"),
)  # fmt: skip
"""Every cell of new, missing, renamed, retyped x kind of column x format; each holds in every place."""


def render() -> str:
    """The facts as the table of the documentation."""
    lines = [
        "| change | column | files | what the one file has | outcome |",
        "| --- | --- | --- | --- | --- |",
    ]
    names = {_NEVER: "never null", _MAPPED: "must be mapped", _OPTIONAL: "optional", _UNKNOWN: "unknown"}
    for d in DRIFTS:
        reason = f" (`{d.reason}`)" if d.reason else ""
        formats = "all" if d.formats == ALL else ", ".join(d.formats)
        lines.append(
            f"| {d.change} | {names[d.role]} | {formats} | {d.how or 'no such column'} | {d.outcome}{reason} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
