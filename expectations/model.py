"""The words contracts are written in: a column, a rule, a reference, a table.

Everything else about a column (dtype, reject rule, GX expectation, Dagster schema, Parquet field metadata,
DuckDB comment, dictionary entry) is derived from these declarations. No facts about a particular table belong here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import polars as pl

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Kind(StrEnum):
    """What a value is; fixes dtype and parser."""

    ID = "id"  # text, trimmed and NFC-normalised, never a number
    TEXT = "text"  # free text or names
    CATEGORY = "category"  # text out of a closed or open list of words
    MONEY = "money"  # Decimal(18,2) with a currency column beside it
    RATE = "rate"  # Decimal(18,8): rates, shares and attainments as the firm states them
    ESTIMATE = "estimate"  # Float64: computed at the end from exact sums; finite, never NaN
    COUNT = "count"  # Int64
    FLAG = "flag"  # Boolean
    TIMESTAMP = "timestamp"  # UTC microseconds
    DATE = "date"  # local calendar date
    LIST = "list"  # list of ids, from comma-separated text
    DOCUMENT = "document"  # JSON text


DTYPES: dict[Kind, pl.DataType] = {
    Kind.ID: pl.String(),
    Kind.TEXT: pl.String(),
    Kind.CATEGORY: pl.String(),
    Kind.MONEY: pl.Decimal(18, 2),
    Kind.RATE: pl.Decimal(18, 8),
    Kind.ESTIMATE: pl.Float64(),
    Kind.COUNT: pl.Int64(),
    Kind.FLAG: pl.Boolean(),
    Kind.TIMESTAMP: pl.Datetime("us", "UTC"),
    Kind.DATE: pl.Date(),
    Kind.LIST: pl.List(pl.String()),
    Kind.DOCUMENT: pl.String(),
}


class Sensitivity(StrEnum):
    """Who may see a value, and in what shape."""

    PUBLIC = "public"
    PSEUDONYM = "pseudonym"  # a person's id: a keyed HMAC from the core on
    PERSONAL = "personal"  # accepted at the door, never kept


class Presence(StrEnum):
    """What a source must bring, and what a table guarantees."""

    OPTIONAL = "optional"  # may be unmapped, may be null
    MAPPED = "mapped"  # `!`: must be mapped, may be null
    REQUIRED = "required"  # `!!`: must be mapped, never null
    DERIVED = "derived"  # made by the core itself, never mapped; null unless a rule forbids it


class Severity(StrEnum):
    """What a broken rule does."""

    REJECT = "reject"  # core: the row goes to the rejects with the rule's name as reason
    BLOCK = "block"  # the table is not committed
    WARN = "warn"  # counted, shown, published


class Audience(StrEnum):
    """Who a published table is for."""

    WIDE = "wide"  # aggregates, small cells suppressed: safe to hand around
    ANALYST = "analyst"  # row level, pseudonymous
    RESTRICTED = "restricted"  # one row per seller; off by default
    INTERNAL = "internal"  # never published: core tables


class Layer(StrEnum):
    """First part of a table's key."""

    CORE = "core"
    MARTS = "marts"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it means, what it may hold.

    `values` lists the words of a category: a closed one rejects any other, an open one (`closed=False`) keeps it and
    warns. `minimum` and `maximum` bound numbers (inclusive). `unit` is words: "USD per USD",
    "days", "share of 1". Raises ValueError when declared inconsistently.
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    sensitivity: Sensitivity = Sensitivity.PUBLIC
    presence: Presence = Presence.OPTIONAL
    values: tuple[str, ...] = ()
    closed: bool = True
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"column name {self.name!r} must be lower snake case")
        if not self.description or not self.description.endswith("."):
            raise ValueError(
                f"column {self.name}: the description must be a sentence that ends with a full stop"
            )
        if self.values and self.kind is not Kind.CATEGORY:
            raise ValueError(f"column {self.name}: only a category lists its values")

    @property
    def dtype(self) -> pl.DataType:
        """The polars dtype of the column in every table that holds it."""
        return DTYPES[self.kind]

    @property
    def nullable(self) -> bool:
        """Whether a null is allowed in the finished table."""
        return self.presence is not Presence.REQUIRED

    @property
    def kept(self) -> bool:
        """Whether the column survives the door."""
        return self.sensitivity is not Sensitivity.PERSONAL


@dataclass(frozen=True)
class Rule:
    """A sentence that must hold in every row; null counts as holding, so nullability stays the column's business."""

    name: str
    holds: pl.Expr
    reason: str
    severity: Severity = Severity.BLOCK

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"rule name {self.name!r} must read as a sentence in snake case")
        if not self.reason:
            raise ValueError(f"rule {self.name}: say why it must hold")

    @property
    def broken(self) -> pl.Expr:
        """Boolean per row, true where the rule is broken."""
        return self.holds.not_().fill_null(value=False)


@dataclass(frozen=True, slots=True)
class GroupRule:
    """A sentence about rows taken together (one plan's tiers, one deal's splits); `assets.core` implements it by name.

    The rows of a broken group are rejected together: which of them is wrong can't be known.
    """

    name: str
    reason: str
    by: tuple[str, ...]
    severity: Severity = Severity.REJECT


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key. A broken one is kept, flagged and counted, never a row filter."""

    column: str
    table: str
    to: str = ""

    @property
    def target(self) -> str:
        """Column of the referenced table; by default the same name."""
        return self.to or self.column


@dataclass(frozen=True)
class Table:
    """The contract of one table: asset key, file, view and dictionary page carry its name.

    `key` is the logical key; versioned tables (those with `recorded_at`) are unique on key + recorded_at.
    `event_time` is the column that places a row in time: rows after as_of wait, partitioned tables are cut by its month.
    `known_from` is the column that stands in for a missing `recorded_at`; without one such a row was always known.
    `switches_off` says what the absence of an optional source costs. `query` and `do_not` end up in the dictionary.
    Raises ValueError when declared inconsistently.
    """

    layer: Layer
    name: str
    title: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    group_rules: tuple[GroupRule, ...] = ()
    references: tuple[Reference, ...] = ()
    audience: Audience = Audience.INTERNAL
    event_time: str = ""
    known_from: str = ""
    partitioned: bool = False
    required: bool = False
    switches_off: str = ""
    query: str = ""
    do_not: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"table name {self.name!r} must be lower snake case")
        names = [c.name for c in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a column is declared twice")
        unknown = [n for n in (*self.key, *(r.column for r in self.references)) if n not in names]
        unknown += [n for n in (self.event_time, self.known_from) if n and n not in names]
        unknown += [n for g in self.group_rules for n in g.by if n not in names]
        for rule in self.rules:
            unknown += [n for n in rule.holds.meta.root_names() if n not in names]
        if unknown:
            raise ValueError(
                f"{self.name}: key, reference, event time or rule names unknown columns {unknown}"
            )
        if self.layer is not Layer.CORE and not (self.query and self.do_not):
            raise ValueError(
                f"{self.name}: a published table's page needs one runnable query and one 'do not' line"
            )

    @property
    def path(self) -> str:
        """`layer/name`: the asset key, the folder in the store."""
        return f"{self.layer}/{self.name}"

    @property
    def versioned(self) -> bool:
        """Whether rows of one key with different `recorded_at` are versions, all kept."""
        return self.layer is Layer.CORE and "recorded_at" in self.by_name

    @property
    def row_key(self) -> tuple[str, ...]:
        """What is unique in the finished table, and its sort order."""
        return (*self.key, "recorded_at") if self.versioned and "recorded_at" not in self.key else self.key

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Columns by name."""
        return {c.name: c for c in self.columns}

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """Columns of the finished table, in order."""
        return tuple(c for c in self.columns if c.kept)

    @cached_property
    def door(self) -> tuple[Column, ...]:
        """Columns a source may map."""
        return tuple(c for c in self.columns if c.presence is not Presence.DERIVED)

    @cached_property
    def schema(self) -> pl.Schema:
        """Dtypes of the finished table."""
        return pl.Schema({c.name: c.dtype for c in self.stored})

    def empty(self) -> pl.LazyFrame:
        """No rows, the right columns: what an absent source looks like."""
        return pl.LazyFrame(schema=self.schema)

    def rules_of(self, *severities: Severity) -> tuple[Rule, ...]:
        """Declared rules of these severities."""
        return tuple(r for r in self.rules if r.severity in severities)


def pick(vocabulary: Mapping[str, Column], words: str, **changes: object) -> tuple[Column, ...]:
    """Columns out of a vocabulary by name, separated by blanks; a trailing `!` marks MAPPED, `!!` REQUIRED, `*` DERIVED.

    Raises KeyError naming the word the vocabulary lacks.
    """
    marks = {"!!": Presence.REQUIRED, "!": Presence.MAPPED, "*": Presence.DERIVED}
    found = []
    for word in words.split():
        name = word.rstrip("!*")
        presence = marks.get(word[len(name) :], Presence.OPTIONAL)
        if name not in vocabulary:
            raise KeyError(f"the column vocabulary has no {name!r}: add it to expectations/columns.py")
        found.append(replace(vocabulary[name], presence=presence, **changes))  # type: ignore[arg-type]
    return tuple(found)
