"""`board.html`: one static page, no network, everything from data escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from assets.board.charts import Chart
from assets.board.scorecard import format_number

TEMPLATE: Final = Path(__file__).with_name("page.html.j2")

LEVELS: Final = (
    "descriptive", "adjusted for covariates", "within seller and period", "threshold or bunching", "plan change", "randomised",
)  # fmt: skip

SAID_BY_NAME: Final = ("share of 1", "points", "ratio", "steps", "days", "needs per deal")
"""Units that need no line of their own: percent signs and names say them."""

CHAPTERS: Final = {
    "intensity": "What we pay for",
    "rhythm": "When we sell",
    "style": "How we sell",
    "outcomes": "What becomes of our customers",
    "distance": "How far we are from them",
    "heard late": "What we hear late, or not at all",
}
"""The chapters of the story, in the words of the page."""


def render_board(
    board_scorecard: pl.DataFrame,
    charts: Sequence[Chart],
    *,
    source_coverage: pl.DataFrame | None = None,
    facts: Mapping[str, str | int] | None = None,
    at: datetime | None = None,
) -> str:
    """Write the page.

    Args:
        board_scorecard: the mart.
        charts: from `charts.draw_all`.
        source_coverage: the quality table; its rows for whole tables become the notes on what is missing, old or gone.
        facts: what to say about the snapshot, such as {"Snapshot": 3, "Data up to": "2025-12-31"}, in this order.
        at: when the page is made; the age of old sources is told from it.

    Returns:
        HTML, a pure function of its arguments. Pictures stand in it as data, so a script in a label can't run.
    """
    lines = [_line(row) for row in board_scorecard.sort("organisation", "position").to_dicts()]
    pictures = [
        {"title": c.title, "text": c.text, "source": Markup(_as_data(c.svg))}  # noqa: S704 - base64 of our own picture
        for c in charts
    ]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        quarter=board_scorecard["quarter"].max() if len(board_scorecard) else "",
        headline=_headline(lines),
        lines=lines,
        charts=pictures,
        notes=_list_missing(source_coverage),
        old=_list_old(source_coverage, at),
        vanished=_list_vanished(source_coverage),
        facts=dict(facts or {}),
        levels=LEVELS,
    )


def _line(row: dict[str, object]) -> dict[str, object]:
    unit = str(row["measure_unit"])

    def show(column: str, *, signed: bool = False) -> str:
        value = row[column]
        return format_number(value, unit, signed=signed) if isinstance(value, float) else ""

    has_interval = row["measure_lo"] is not None or row["measure_hi"] is not None
    mature = row["mature_share"]
    return {
        "chapter": CHAPTERS.get(str(row["chapter"]), ""),
        "name": row["measure_name"],
        "unit": "" if unit in SAID_BY_NAME else unit,
        "value": show("measure_value") or ("not shown" if row["suppressed"] else "not known"),
        "known": row["measure_value"] is not None,
        "interval": f"{show('measure_lo') or 'open'} to {show('measure_hi') or 'open'}"
        if has_interval
        else "",
        "change": show("change_value", signed=True),
        "n": f"{row['n']:,}" if row["n"] is not None else "",
        "mature": f"{100 * mature:.0f} %" if isinstance(mature, float) else "",
        "grade": row["quality_grade"],
        "level": row["evidence_level"],
        "sentence": row["sentence"],
    }


def _headline(lines: Sequence[Mapping[str, object]]) -> list[tuple[str, str]]:
    """What the first measures that a board asks for say, and the facts behind it in brackets, where they are known."""
    wanted = (
        "Deals paid over 1.25 times the base rate",
        "Difference in customers lost, highest against lowest group",
        "Complaints",
        "Needs that sellers hear",
        "Days until the board saw the largest shift",
    )
    known = {str(line["name"]): str(line["sentence"]) for line in lines if line["known"]}
    parts = [known[name].rpartition(". (") for name in wanted if name in known]
    return [(f"{said}.", facts.rstrip(")")) for said, _, facts in parts]


def _list_missing(source_coverage: pl.DataFrame | None) -> list[dict[str, str]]:
    if source_coverage is None:
        return []
    missing = source_coverage.filter((pl.col("column") == "") & ~pl.col("present")).sort("table")
    return [
        {"table": table, "costs": costs or "nothing on this page"}
        for table, costs in missing.select("table", "switches_off").iter_rows()
    ]


def _list_old(source_coverage: pl.DataFrame | None, at: datetime | None) -> list[dict[str, str]]:
    """Blocked sources that go on with their last good rows, and how old these are."""
    if source_coverage is None or "stale_since" not in source_coverage.columns:
        return []
    rows = source_coverage.filter(pl.col("stale_since").is_not_null()).sort("table")
    return [
        {"table": table, "since": f"{since:%Y-%m-%d %H:%M} UTC", "age": _age(since, at)}
        for table, since in rows.select("table", "stale_since").iter_rows()
    ]


def _age(since: datetime, at: datetime | None) -> str:
    if at is None:
        return ""
    hours = (at - since).total_seconds() / 3600
    return f"{hours / 24:.0f} days old" if hours >= 48 else f"{hours:.0f} hours old"


def _list_vanished(source_coverage: pl.DataFrame | None) -> list[dict[str, str | int]]:
    """Sources that no longer hold rows which the last reading had."""
    if source_coverage is None or "vanished" not in source_coverage.columns:
        return []
    rows = source_coverage.filter(pl.col("vanished") > 0).sort("table")
    return rows.select("table", "vanished").to_dicts()


def _as_data(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")
