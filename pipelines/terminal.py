"""Writing to people: tables and lines on a terminal, plain text into a pipe; `NO_COLOR` is kept."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDE = 100_000  # a pipe has no width: a row is a line


def console() -> Console:
    """Standard output. Made anew each time, so that a redirected stream is seen."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(width=width, soft_wrap=True, highlight=False, markup=False, emoji=False)


def errors() -> Console:
    """Standard error."""
    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def show_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; one that is too wide for the terminal is shown row by row, column under column.

    Every cell is shown as it is, control characters as blanks, never as markup.
    """
    out = console()
    cells = [tuple(clean(cell) for cell in row) for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    if out.is_terminal and len(columns) > 2 and sum(min(w, 24) + 3 for w in widths) > out.width:
        _show_records(out, title, columns, cells)
        return
    table = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)


def _show_records(out: Console, title: str, columns: Sequence[str], rows: list[tuple[str, ...]]) -> None:
    if title:
        out.print(title)
    longest = max(len(column) for column in columns)
    for number, row in enumerate(rows, start=1):
        out.print(f"--- {number}")
        for column, cell in zip(columns, row, strict=True):
            out.print(f"{column:<{longest}}  {cell}")


def clean(value: object) -> str:
    """A value as text on one line; null is empty."""
    if value is None:
        return ""
    return "".join(ch if ch.isprintable() else " " for ch in str(value))
