"""Charts of the published tables, for asset pages and the board. Drawing is in `assets.board.charts`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from assets.board.charts import (
    Chart,
    draw_churn,
    draw_complaints,
    draw_emcr,
    draw_excess,
    draw_lags,
    draw_rhythm,
    draw_trend,
    sketch,
)
from assets.board.pictures import draw_all
from assets.board.voice_charts import draw_distance, draw_needs, draw_pressure
from expectations.contracts import TABLES
from expectations.model import Table

# the tables that have a picture worth having
_DRAWN: dict[str, Callable[[pl.LazyFrame], Chart | None]] = {
    "churn_by_incentive": draw_churn,
    "complaints_by_incentive": draw_complaints,
    "feedback_lag_by_incentive": draw_lags,
    "deal_outcomes": draw_emcr,
    "account_months": draw_trend,
    "sales_rhythm": draw_rhythm,
    "quota_bunching": draw_excess,
    "selling_style": draw_pressure,
    "customer_distance": draw_distance,
    "unmet_needs": draw_needs,
}
_ON_THE_BOARD = (*_DRAWN, "deal_incentives")


def chart_of(contract: Table, frame: pl.LazyFrame) -> dict[str, str]:
    """The table's chart in Markdown, by name; nothing where it has none.

    A page shows a thousand characters without a click: `chart` is a sketch that fits, `chart_in_words` says its numbers,
    `chart_in_full` is the picture itself.
    """
    draw = _DRAWN.get(contract.name)
    chart = draw(frame) if draw else None
    if chart is None:
        return {}
    small = sketch(chart)
    return {
        **({"chart": _image(chart.title, small)} if small else {}),
        "chart_in_words": chart.text,
        "chart_in_full": _image(chart.text, chart.svg),
    }


def _image(words: str, svg: str) -> str:
    said = words.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"![{said}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def board_charts(folder: Path) -> Sequence[Chart]:
    """The charts of the board's page, from the tables of a snapshot under construction."""
    return draw_all({name: _scan(folder, name) for name in _ON_THE_BOARD})


def _scan(folder: Path, name: str) -> pl.LazyFrame:
    """A published table, whole or by month, lazily; no rows where it was not published."""
    place = folder / TABLES[name].layer.value
    files = [
        f for f in (place / f"{name}.parquet", *sorted((place / name).rglob("*.parquet"))) if f.is_file()
    ]
    if not files:
        return TABLES[name].empty()
    return pl.scan_parquet(files, hive_partitioning=False, glob=False)
