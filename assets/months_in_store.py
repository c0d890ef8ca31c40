"""The months of a table cut by month: those that the store has are taken over, the others made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate

import polars as pl

from assets.step import Workshop, as_of_month, conform, file_metadata, merge
from assets.storage import Part, Staged
from assets.table import (
    Made,
)
from expectations.checks import audit, audit_rows
from expectations.model import Table
from expectations.results import Result
from expectations.statistics import MOST_ROWS, check_statistics


class MonthsInStore:
    """The months of one version in the making: those the store has are taken over, the others staged and audited."""

    def __init__(self, contract: Table, workshop: Workshop) -> None:
        self._contract, self._workshop = contract, workshop
        self.parts: list[Part] = []
        self.staged: list[Staged] = []

    def take_over(self, month: str, key: str) -> bool:
        """Whether the store has this month; then it is part of the version, with the results it passed with."""
        part = self._workshop.warehouse.find_part(self._contract.path, key, month)
        if part is not None:
            self.parts.append(part)
        return part is not None

    def stage(self, month: str, key: str, made: Made, inputs: Mapping[str, str]) -> None:
        """Write a month and audit it."""
        contract, company = self._contract, as_of_month(self._workshop.company, month)
        metadata = file_metadata(contract, company, inputs, made.observed_until)
        frame = conform(contract, made.frame, is_sorted=made.is_sorted)
        item = self._workshop.warehouse.stage(contract, frame, key, metadata, month)
        checks = tuple(r.to_json() for r in audit_rows(contract, pl.scan_parquet(item.file)))
        self.staged.append(replace(item, part=replace(item.part, checks=checks)))

    @property
    def results(self) -> tuple[Result, ...]:
        """The results of all months as those of the table, and its statistics. Of no month at all: those of no rows."""
        parts = [*self.parts, *(item.part for item in self.staged)]
        if not parts:
            return audit(self._contract, self._contract.empty())
        results = merge(Result.from_json(dict(stored)) for part in parts for stored in part.checks)
        if any(r.blocks for r in results):
            return results
        return (*results, *check_statistics(self._contract, self._newest_rows()))

    def _newest_rows(self) -> pl.LazyFrame:
        """The newest months that were made, up to `MOST_ROWS`; where none was, the newest there is."""
        made = sorted(self.staged, key=lambda item: item.part.month, reverse=True)
        if not made:
            newest = max(self.parts, key=lambda part: part.month)
            return self._workshop.warehouse.scan_parts(self._contract, [newest])
        rows = accumulate(item.part.rows for item in made)
        files = [item.file for item, total in zip(made, rows, strict=True) if total <= MOST_ROWS]
        return pl.scan_parquet(files or made[0].file, glob=False, hive_partitioning=False)

    @property
    def facts(self) -> dict[str, int]:
        """How many months there are, and how many of them were made."""
        return {"months": len(self.parts) + len(self.staged), "months_made": len(self.staged)}
