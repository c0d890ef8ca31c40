"""Which columns of a source may leave it: those that its mapping reads. Of all others only the names do, their values stay null."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from expectations.model import Table
from pipelines.sources.preset import TablePreset, words_of
from pipelines.sources.readers.frame import UnreadableError
from pipelines.sources.readers.sql import columns_of_query, open_locked
from pipelines.sources.settings import Source

Allow = Callable[[Sequence[str]], frozenset[str]]
"""From the columns that a source has to those that may leave it."""

_TEXT = re.compile(r"'(?:[^']|'')*'")
_NAME = re.compile(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)')


def allow_mapped(contract: Table, source: Source, preset: TablePreset | None, name: str) -> Allow:
    """For one input (`name`) of a source: what its mapping, its `where`, its preset or its query reads."""
    if preset is not None:
        known = preset.columns[name]
        asked = (*source.columns.values(), source.where or "")
        mentioned = words_of(*asked) if name == preset.main else frozenset()
        return lambda available: frozenset(known.reads(available, mentioned))
    if source.query is not None:
        return _allow_queried(source.query, frozenset(source.entries))
    wanted = [source.columns.get(column.name, column.name) for column in contract.door if column.kept]
    return _allow_plain(wanted, source.where or "")


def _allow_plain(wanted: Sequence[str], where: str) -> Allow:
    def allow(available: Sequence[str]) -> frozenset[str]:
        expressions = [text for text in wanted if text not in available]
        named = names_in(where, *expressions)
        return frozenset(name for name in available if name in wanted or name.casefold() in named)

    return allow


def _allow_queried(query: str, inputs: frozenset[str]) -> Allow:
    def allow(available: Sequence[str]) -> frozenset[str]:
        try:
            with open_locked(Path()) as connection:
                named = columns_of_query(connection, query, inputs)
        except (
            UnreadableError
        ):  # whoever runs the query says what is wrong with it; until then nothing is needed
            return frozenset()
        return frozenset(name for name in available if named is None or name.casefold() in named)

    return allow


def names_in(*sql: str) -> frozenset[str]:
    """What may be a column's name in SQL expressions, quoted or not, case-folded."""
    return frozenset(
        (quoted.replace('""', '"') or plain).casefold()
        for text in sql
        for quoted, plain in _NAME.findall(_TEXT.sub("", text))
    )
