"""How a table asset is declared: a contract and the function that makes it, nothing else.

The parameters of the function name its upstream tables; that is the whole dependency graph. `pipelines` turns each
declaration into a Dagster asset, so policy (checks, retries, groups, metadata) is written once, there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from expectations.contracts import SOURCES, TABLES
from expectations.model import Layer, Table

Fact = str | int | float | bool | list[str]

COMPANY, MONTH = "company", "month"
MANIFESTS, SOURCE_MANIFESTS, SOURCE_TABLES = "manifests", "source_manifests", "source_tables"
_SETTINGS = frozenset({COMPANY, MONTH, MANIFESTS, SOURCE_MANIFESTS, SOURCE_TABLES})


class DeclarationError(Exception):
    """A table asset is declared wrongly: a programming error, found when the definitions load."""


@dataclass(frozen=True)
class Made:
    """What a table function may return instead of a bare frame.

    `facts` go to the manifest and to the asset's page; `observed_until` (ISO date) to the file's metadata.
    """

    frame: pl.LazyFrame
    facts: Mapping[str, Fact] = field(default_factory=dict)
    observed_until: str = ""


@dataclass(frozen=True)
class TableAsset:
    """A derived table: `function(**upstream frames, company, ...)` gives its rows.

    Parameters may be bare names of upstream tables (LazyFrames), `company` (Company), `month` (YYYY-MM; the table is cut
    by month), `manifests` (Mapping[str, Version] by path: every table but those on quality), `source_manifests` (the same,
    source tables only) and `source_tables` (Mapping[str, LazyFrame] by name: every source table that came). `months` lists the months of a cut table; its
    parameters are a subset of the function's.
    """

    contract: Table
    function: Callable[..., pl.LazyFrame | Made]
    months: Callable[..., list[str]] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> pl.LazyFrame | Made:
        """The bare function."""
        return self.function(*args, **kwargs)

    def __post_init__(self) -> None:
        parameters = set(inspect.signature(self.function).parameters)
        if unknown := parameters - set(TABLES) - _SETTINGS:
            raise DeclarationError(f"{self.contract.path}: no table is named {sorted(unknown)}")
        if self.contract.partitioned != (MONTH in parameters) or self.contract.partitioned != bool(
            self.months
        ):
            raise DeclarationError(
                f"{self.contract.path}: a table cut by month takes `month` and lists its months"
            )
        if self.function.__name__ != self.contract.name:
            raise DeclarationError(f"{self.contract.path}: its function is named {self.function.__name__!r}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the function's parameters, in order."""
        return tuple(inspect.signature(self.function).parameters)

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
    contract: Table, *, months: Callable[..., list[str]] | None = None
) -> Callable[[Callable[..., pl.LazyFrame | Made]], TableAsset]:
    """Declare the decorated function as the maker of `contract`. Raises DeclarationError when its parameters are no tables."""

    def declare(function: Callable[..., pl.LazyFrame | Made]) -> TableAsset:
        return TableAsset(contract, function, months)

    return declare
