"""Writing to people: tables and lines on a terminal, plain text into a pipe; `NO_COLOR` is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def console() -> Console:
    """Standard output. Made anew each time, so that a redirected stream is seen."""
    return Console(soft_wrap=True, highlight=False, markup=False, emoji=False)


def errors() -> Console:
    """Standard error."""
    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def show_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; every cell is shown as it is, control characters as blanks, never as markup."""
    table = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(clean(cell)) for cell in row))
    console().print(table)


def clean(value: object) -> str:
    """A value as text on one line; null is empty."""
    if value is None:
        return ""
    return "".join(ch if ch.isprintable() else " " for ch in str(value))
