"""Numbers of the board's page about money: what a dollar of incentive went with, and what was paid before anybody could know."""

from __future__ import annotations

import numpy as np
import polars as pl

from assets.board.figures import Figure, Marts, name_of
from assets.evidence.suppression import DOMINANCE
from assets.methods.cluster_bootstrap import bound_ratios
from assets.methods.disclosure import MIN_SELLERS

_c = pl.col


def find_higher_tiers(marts: Marts, quarter: int) -> Figure | None:
    """Net value per incentive dollar above the first tier; limits of the weighted mean from those of the rows (MOVER)."""
    if marts.value.is_empty():
        return None
    when = f"all deals followed for a year by {name_of(quarter)}"
    shown = marts.value.filter(~_c("suppressed") & (_c("incentive_paid") > 0)).with_columns(
        _c("incentive_paid", "net_value").cast(pl.Float64)
    )
    if shown.is_empty():
        return Figure(None, None, None, None, when, None, suppressed=True)
    is_first = _c("tier") == shown["tier"].min()
    first, higher = shown.filter(is_first), shown.filter(~is_first)
    limits = higher.select("net_value_per_dollar_lo", "net_value_per_dollar_hi")
    if higher.is_empty() or limits.null_count().sum_horizontal().item():
        return Figure(
            None, None, None, None, when, None, suppressed=higher.is_empty() and len(marts.value) > 0
        )
    value, base = (
        float(rows["net_value"].to_numpy().sum() / rows["incentive_paid"].to_numpy().sum())
        for rows in (higher, first)
    )
    weights = higher["incentive_paid"].to_numpy() / higher["incentive_paid"].to_numpy().sum()
    away = [
        float(np.sqrt((weights**2 * (higher["net_value_per_dollar"] - higher[limit]).to_numpy() ** 2).sum()))
        for limit in limits.columns
    ]
    groups = ("", f"{base:.2f}", "")
    return Figure(value, value - away[0], value + away[1], int(higher["n"].sum()), when, groups=groups)


def find_paid_early(marts: Marts, quarter: int) -> Figure | None:
    """Share of commission paid before the 90-day outcome could be known; whole sellers drawn."""
    rows = marts.conduct.filter(_c("indicator") == "paid_before_outcome")
    if rows.is_empty():
        return None
    when = name_of(quarter - 2)  # the newest quarter whose last deal is 90 days old, and has been paid
    paid = rows.filter(_c("period") == when).sort("rep_id")
    largest = paid["cases"].sort(descending=True).to_list()
    if len(paid) < MIN_SELLERS or sum(largest[2:]) < DOMINANCE * largest[0]:
        return Figure(None, None, None, None, when, None, suppressed=len(paid) > 0)
    early, all_ = ((paid[name] * 100).round().to_numpy() for name in ("observed", "cases"))
    low, high = bound_ratios(
        np.arange(len(paid)), np.zeros(len(paid), dtype=np.int64), early, all_, clusters=len(paid), cells=1
    )
    return Figure(float(early.sum() / all_.sum()), float(low[0]), float(high[0]), len(paid), when)
