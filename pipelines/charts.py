"""Charts of the published tables, for asset pages and the board. Drawing is in `assets.board.charts`."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from expectations.model import Table


def chart_of(contract: Table, frame: pl.LazyFrame) -> str:
    """The table's chart as a data URI of SVG; empty where it has none."""
    del contract, frame
    return ""


def board_charts(folder: Path) -> dict[str, str]:
    """Charts of the board's page by title."""
    del folder
    return {}
