"""Attainments at which a plan's pay changes, and what a seller who minds pay would do there."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.methods.exact import whole_units

_c = pl.col

NOTCH: Final = "notch"
LUMP: Final = "lump"
GATE: Final = "gate"
ACCELERATOR: Final = "accelerator"
DECELERATOR: Final = "decelerator"
DROP: Final = "drop"
"""Kinds: pay jumps because a tier reprices all credit, by a lump, or past a gate; each further unit pays more, or less, from
here on; pay itself falls."""

PREDICTED: Final = {
    NOTCH: "above",
    LUMP: "above",
    GATE: "above",
    ACCELERATOR: "none",
    DECELERATOR: "below",
    DROP: "below",
}
"""Where pay alone would make periods bunch. A rate that rises predicts nothing: past the edge there is more to gain."""

_STRONGEST: Final = (NOTCH, LUMP, GATE, DROP, DECELERATOR, ACCELERATOR)


def list_thresholds(plan_features: pl.LazyFrame, plan_components: pl.LazyFrame) -> pl.DataFrame:
    """Thresholds of every plan version above 0, tiers of single products and caps in money left out.

    Args:
        plan_features: the mart.
        plan_components: `core/plan_components`, for gates; the newest version of each row counts.

    Returns:
        `plan_id`, `version`, `component`, `threshold` (Int64 units of 1e-8 of quota) and `threshold_kind`, one row each: a
        jump outweighs a bend at the same place. Sorted.
    """
    tier = ["plan_id", "version", "component"]
    before = _c("rate").shift(1).over(tier, order_by="tier")
    is_retroactive = _c("tier_method") == "retroactive"
    lump = _c("lump_bonus").fill_null(0)
    tiers = (
        plan_features.filter(_c("product_id").is_null())
        .with_columns(
            threshold_kind=pl.when(is_retroactive & (_c("rate") > before))
            .then(pl.lit(NOTCH))
            .when(is_retroactive & (_c("rate") < before))
            .then(pl.lit(DROP))
            .when(lump > 0)
            .then(pl.lit(LUMP))
            .when(_c("rate") > before)
            .then(pl.lit(ACCELERATOR))
            .when(_c("rate") < before)
            .then(pl.lit(DECELERATOR)),
        )
        .select(*tier, threshold=whole_units(_c("from_attainment")), threshold_kind="threshold_kind")
    )
    gates = plan_components.filter(
        _c("recorded_at") == _c("recorded_at").max().over(tier),
        _c("gate_attainment").is_not_null(),
    ).select(
        *tier,
        threshold=whole_units(_c("gate_attainment")),
        # a gate that pays from the threshold on is a rate that starts there
        threshold_kind=pl.when(_c("gate_from") == "threshold")
        .then(pl.lit(ACCELERATOR))
        .otherwise(pl.lit(GATE)),
    )
    return (
        pl.concat([tiers, gates])
        .filter(_c("threshold") > 0, _c("threshold_kind").is_not_null())
        .sort(*tier, "threshold", _c("threshold_kind").cast(pl.Enum(_STRONGEST)))
        .unique([*tier, "threshold"], keep="first", maintain_order=True)
        .collect()
    )
