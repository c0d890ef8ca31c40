"""Numbers of the board's page about selling and listening: how hard the firm sells, how far it is from its customers, what it hears late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from assets.board.figures import Figure, Marts, name_of
from assets.evidence.dimensions import ALL, UNKNOWN
from assets.methods.cluster_bootstrap import bound_ratios

_c = pl.col


def find_style(marts: Marts, quarter: int, *, part: str, per: str) -> Figure | None:
    """A part of the firm's selling style; limits from drawing whole teams, where every team is shown."""
    if marts.style[part].null_count() == len(marts.style):
        return None
    when = name_of(quarter)
    rows = marts.style.filter(_c("quarter") == when).sort("team")
    whole = _one(rows.filter(_c("team") == ALL))
    if whole is None or whole[part] is None:
        return Figure(None, None, None, None, when, None, suppressed=bool(whole and whole["suppressed"]))
    teams = rows.filter((_c("team") != ALL) & _c(part).is_not_null())
    value, lo, hi = float(whole[part]), None, None
    if teams[per].sum() == whole[per]:
        events = (teams[part] * teams[per]).round().to_numpy()
        cell = np.zeros(len(teams), dtype=np.int64)
        limits = bound_ratios(
            np.arange(len(teams)), cell, events, teams[per].to_numpy(), clusters=len(teams), cells=1
        )
        lo, hi = (float(limit[0]) if np.isfinite(limit[0]) else None for limit in limits)
    return Figure(value, lo, hi, whole[per], when)


def find_steps(marts: Marts, quarter: int) -> Figure | None:
    """Mean steps from a customer's owner to the board in the last month of the quarter: a count of all days, so no interval."""
    row = _one(
        marts.distance.filter(
            (_c("segment") == ALL) & (_c("month") == _last_month(quarter, marts.fiscal_start_month))
        )
    )
    if row is None or (row["distance_mean"] is None and not row["suppressed"]):
        return None
    return Figure(
        row["distance_mean"], None, None, row["n_accounts"], _last_month(quarter, marts.fiscal_start_month), 1.0,
        row["placed_share"] or 0.0, row["suppressed"],
    )  # fmt: skip


def find_fidelity(marts: Marts, quarter: int) -> Figure | None:
    """Share of what was written down that gets through every hop, over all months, and the hop that loses most."""
    row = _one(marts.distance.filter((_c("segment") == ALL) & (_c("month") == ALL)))
    if row is None or (row["fidelity"] is None and not row["suppressed"]):
        return None
    weakest = str(row["weakest_hop"] or "").replace("_", " ")
    return Figure(
        row["fidelity"], row["fidelity_lo"], row["fidelity_hi"], row["n_accounts"], f"all quarters to {name_of(quarter)}",
        suppressed=row["suppressed"], groups=("", weakest, ""),
    )  # fmt: skip


def find_needs_heard(marts: Marts, quarter: int) -> Figure | None:
    """Share of all unasked needs that sellers hear, and the segment in which they hear least."""
    needs = marts.needs.filter((_c("quarter") == ALL) & (_c("solicitation") == "unsolicited"))
    row = _one(needs.filter(_c("dimension") == ALL))
    if row is None:
        return None
    segments = needs.filter(
        (_c("dimension") == "segment") & (_c("value") != UNKNOWN) & _c("seller_capture_rate").is_not_null()
    ).sort("seller_capture_rate", "value")
    least = ""
    if len(segments) > 1:
        worst = segments.row(0, named=True)
        least = f"; least in segment {worst['value']}, {100 * worst['seller_capture_rate']:.1f} %"
    return Figure(
        row["seller_capture_rate"], row["seller_capture_rate_lo"], row["seller_capture_rate_hi"], row["n"],
        f"all quarters to {name_of(quarter)}", suppressed=row["suppressed"], groups=("", least, ""),
    )  # fmt: skip


def find_shift_delay(marts: Marts, quarter: int) -> Figure | None:
    """Days from the largest rise of a theme until the board saw it; limits from those of the change; open while it has not."""
    if marts.shifts.is_empty():
        return None
    rises = marts.shifts.filter(
        (_c("channel") == ALL) & _c("is_shift") & (_c("share_after") > _c("share_before"))
    ).sort(_c("share_before") - _c("share_after"), "theme_id")
    if rises.is_empty() or rises["board_seen_days"][0] is None:
        return Figure(None, None, None, None, f"all weeks to {name_of(quarter)}", None)
    row = rises.row(0, named=True)
    later, earlier = (abs((row[f"change_on_{end}"] - row["change_on"]).days) for end in ("hi", "lo"))
    days, waits = row["board_seen_days"], row["board_seen_censored"]
    reached = "had still not reached the board" if waits else "reached the board"
    lo, hi = float(max(days - later, 0)), None if waits else float(days + earlier)
    called = marts.themes.filter(_c("theme_id") == row["theme_id"])["label"].to_list()
    theme = called[0] if called else row["theme_id"]
    return Figure(float(days), lo, hi, row["n"], f"{row['change_on']:%Y-%m-%d}", groups=(theme, reached, ""))


def _last_month(quarter: int, fiscal_start_month: int) -> str:
    """YYYY-MM of the last month of a numbered fiscal quarter."""
    month = fiscal_start_month + 3 * (quarter % 4) + 1  # from 0
    year = quarter // 4 - (1 if fiscal_start_month > 1 else 0) + month // 12
    return f"{year}-{month % 12 + 1:02}"


def _one(rows: pl.DataFrame) -> Mapping[str, Any] | None:
    return rows.row(0, named=True) if len(rows) == 1 else None
