"""What a table function may assume of the store: versions that never change. Implemented by `pipelines.warehouse`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from expectations.model import Table


@dataclass(frozen=True, slots=True)
class Part:
    """One immutable Parquet file of a table: the whole table, or one month of it (`month` is YYYY-MM, else empty).

    `key` names the recipe (code, contract, settings, inputs), `sha256` the bytes. `path` is relative to the store. A month
    remembers the results it passed with (`checks`), because versions to come may take it over as it is.
    """

    month: str
    key: str
    sha256: str
    rows: int
    bytes: int
    path: str
    checks: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Staged:
    """A written but uncommitted part: a temporary file inside the store."""

    table: str
    part: Part
    file: Path


@dataclass(frozen=True)
class Version:
    """A committed table.

    `content_hash` is over the parts' bytes; `inputs` maps upstream paths to the version keys read, `input_hashes` to
    their content hashes: the commit fills those in, so that a table whose upstream was made again with the same bytes
    under another key still belongs to the same closed set. `facts` are JSON counts (identities, chart text, notes),
    `checks` the remembered results of every rule. The commit also sets `rows`, `content_hash` and the staged `parts`.
    """

    table: str
    key: str
    content_hash: str
    parts: tuple[Part, ...]
    inputs: Mapping[str, str]
    rows: int
    code_version: str
    contract_version: int
    run_id: str
    created_at: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()
    input_hashes: Mapping[str, str] = field(default_factory=dict)


class Warehouse(Protocol):
    """Write, audit, commit. Every method leaves earlier versions untouched whatever happens."""

    def find(self, table: str, key: str) -> Version | None:
        """The committed version of this recipe, if any. An unreadable file raises; it is never 'absent'."""

    def find_part(self, table: str, key: str, month: str) -> Part | None:
        """A committed month of this recipe, if any."""

    def stage(
        self, contract: Table, frame: pl.LazyFrame, key: str, metadata: Mapping[str, str], month: str = ""
    ) -> Staged:
        """Write a frame, already sorted, to a temporary file with the contract's schema and field metadata."""

    def commit(
        self, version: Version, staged: tuple[Staged, ...], sides: Mapping[str, pl.DataFrame]
    ) -> Version:
        """Put staged parts, side files (rejects, deduplicated) and the manifest into the store, each if absent."""

    def scan_parts(self, contract: Table, parts: Sequence[Part]) -> pl.LazyFrame:
        """The rows of committed parts, lazily, with the contract's schema."""

    def scan(self, contract: Table, version: Version, months: tuple[str, ...] | None = None) -> pl.LazyFrame:
        """The rows of a version, lazily, with the contract's schema; a partitioned table gets no extra column."""
