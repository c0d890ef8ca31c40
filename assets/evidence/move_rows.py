"""Rows of level 4 in `incentive_effects`: the averages and placebos of `plan_change_effects`, under the names of that table.

Nothing is estimated again. All moves together are the one comparison chosen before looking; single kinds of moves stand beside
them where there are several.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from assets.evidence.moves import ALL_MOVES
from assets.evidence.specifications import OUTCOMES

EXPOSURE: Final = "plan_change"
_SAME: Final = (
    "outcome", "evidence_level", "estimator", "estimate", "estimate_lo", "estimate_hi", "p_value", "n", "events", "n_accounts",
    "mature_share", "e_value", "e_value_bound", "assumptions", "warnings", "suppressed", "sentence",
)  # fmt: skip
_c = pl.col


def list_move_rows(plan_change_effects: pl.LazyFrame) -> Iterator[dict[str, Any]]:
    """Rows of the contract INCENTIVE_EFFECTS but for q-values.

    Args:
        plan_change_effects: the mart; empty where nobody was ever moved.
    """
    rows = plan_change_effects.filter(
        _c("term").is_in(["average", "placebo"]), _c("outcome").is_in([o.name for o in OUTCOMES])
    ).collect()
    kinds = rows["plan_change"].unique().to_list()
    several = len(set(kinds) - {ALL_MOVES}) > 1
    for row in rows.iter_rows(named=True):
        change, is_placebo = row["plan_change"], row["term"] == "placebo"
        if change != ALL_MOVES and not several:
            continue  # the same sellers once more
        name = "control_pretended_move" if is_placebo else "event_study"
        family = "control" if is_placebo else "primary" if change == ALL_MOVES else "secondary"
        yield {name: row[name] for name in _SAME} | {
            "exposure": EXPOSURE,
            "specification": name if change == ALL_MOVES else f"{name} {change}",
            "test_family": family,
            "effect_kind": "total",
            "scale": f"difference in {row['scale']}, moved to another plan against not",
            "n_clusters": None if row["suppressed"] else row["n_treated"] + row["n_compared"],
        }
