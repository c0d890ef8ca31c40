"""How a table asset is declared: a contract and the function that makes it, nothing else.

The parameters of the function name its upstream tables; that is the whole dependency graph. `pipelines` turns each
declaration into a Dagster asset, so policy (checks, retries, groups, metadata) is written once, there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Protocol, get_type_hints

import polars as pl

from expectations.contracts import SOURCES, TABLES
from expectations.model import Layer, Table

Fact = str | int | float | bool | list[str]

COMPANY, MONTH, PREPARED = "company", "month", "prepared"
MANIFESTS, SOURCE_MANIFESTS, SOURCE_TABLES = "manifests", "source_manifests", "source_tables"
_SETTINGS = frozenset({COMPANY, MONTH, PREPARED, MANIFESTS, SOURCE_MANIFESTS, SOURCE_TABLES})
_NAMES = _SETTINGS | set(TABLES)


class DeclarationError(Exception):
    """A table asset is declared wrongly: a programming error, found when the definitions load."""


@dataclass(frozen=True)
class Made:
    """What a table function may return instead of a bare frame.

    `facts` go to the manifest and to the asset's page; `observed_until` (ISO date) to the file's metadata. A frame that
    `is_sorted` by its key is not sorted again; the audit of keys finds out one that is not.
    """

    frame: pl.LazyFrame
    facts: Mapping[str, Fact] = field(default_factory=dict)
    observed_until: str = ""
    is_sorted: bool = False


class Prepared(Protocol):
    """What all months of a table that is cut by month are made from, worked out once."""

    @property
    def months(self) -> tuple[str, ...]:
        """The months there are, YYYY-MM in order."""

    def content(self, month: str) -> str:
        """Names every fact that the month is made from, but for the months of tables it reads itself.

        Equal names must give equal rows: a month whose name is known is not made again.
        """


def parameters_of(function: Callable[..., object] | None) -> tuple[str, ...]:
    """Names of the tables and settings that a function takes, in order; a hand of tables stands for its fields."""
    if function is None:
        return ()
    names: list[str] = []
    for name, hand in _hands(function).items():
        names += [name] if hand is None else [one.name for one in fields(hand)]
    return tuple(dict.fromkeys(names))


def arguments_of(function: Callable[..., object], values: Mapping[str, object]) -> dict[str, object]:
    """What a function is called with, out of `values` by name of table or setting."""
    return {
        name: values[name] if hand is None else hand(**{one.name: values[one.name] for one in fields(hand)})
        for name, hand in _hands(function).items()
    }


def _hands(function: Callable[..., object]) -> dict[str, Any]:
    """Parameter -> the dataclass whose fields it stands for; None where it is a table or setting itself."""
    types = get_type_hints(function)
    return {
        name: types[name] if name not in _NAMES and is_dataclass(types.get(name)) else None
        for name in inspect.signature(function).parameters
    }


@dataclass(frozen=True)
class TableAsset:
    """A derived table: `function(**upstream frames, company, ...)` gives its rows.

    Parameters may be bare names of upstream tables (LazyFrames), `company` (Company), `manifests` (Mapping[str, Version] by
    path: every table but those on quality), `source_manifests` (the same, source tables only) and `source_tables`
    (Mapping[str, LazyFrame] by name: every source table that came). A parameter of any other name is a hand of tables: a
    dataclass whose fields are such names, for tables that always go together. A table that is cut by month takes `month` (YYYY-MM)
    and `prepared`, which is what `prepare` made of its own parameters, upstream tables and `company`.
    """

    contract: Table
    function: Callable[..., pl.LazyFrame | Made]
    prepare: Callable[..., Prepared] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> pl.LazyFrame | Made:
        """The bare function."""
        return self.function(*args, **kwargs)

    def __post_init__(self) -> None:
        parameters = set(self.parameters)
        if unknown := parameters - _NAMES:
            raise DeclarationError(f"{self.contract.path}: no table is named {sorted(unknown)}")
        by_month = {MONTH in parameters, PREPARED in parameters, self.prepare is not None}
        if by_month != {self.contract.partitioned}:
            raise DeclarationError(
                f"{self.contract.path}: a table cut by month, and no other, takes `month` and is prepared"
            )
        if self.function.__name__ != self.contract.name:
            raise DeclarationError(f"{self.contract.path}: its function is named {self.function.__name__!r}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the function's parameters and of what it is prepared from, in order."""
        return tuple(dict.fromkeys((*parameters_of(self.function), *parameters_of(self.prepare))))

    @property
    def upstream(self) -> tuple[Table, ...]:
        """Contracts of the tables it reads by name."""
        return tuple(TABLES[name] for name in self.parameters if name not in _SETTINGS)

    @property
    def wants(self) -> frozenset[str]:
        """Which settings it takes."""
        return _SETTINGS & set(self.parameters)


@dataclass(frozen=True)
class SourceAsset:
    """A source table: its contract is all there is to say, `assets.core` refines every one of them alike."""

    contract: Table

    def __post_init__(self) -> None:
        if self.contract.layer is not Layer.CORE or self.contract.name not in SOURCES:
            raise DeclarationError(f"{self.contract.path} is no source table")


def table_asset(
    contract: Table, *, prepare: Callable[..., Prepared] | None = None
) -> Callable[[Callable[..., pl.LazyFrame | Made]], TableAsset]:
    """Declare the decorated function as the maker of `contract`. Raises DeclarationError when its parameters are no tables."""

    def declare(function: Callable[..., pl.LazyFrame | Made]) -> TableAsset:
        return TableAsset(contract, function, prepare)

    return declare
