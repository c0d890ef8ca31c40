"""Attainments at which a plan's pay changes, and what a seller who minds pay would do there."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.methods.exact import UNIT, whole_cents, whole_units

_c = pl.col

NOTCH: Final = "notch"
LUMP: Final = "lump"
GATE: Final = "gate"
ACCELERATOR: Final = "accelerator"
DECELERATOR: Final = "decelerator"
DROP: Final = "drop"
CAP: Final = "cap"
"""Kinds: pay jumps because a tier reprices all credit, by a lump, or past a gate; each further unit pays more, or less, from
here on; pay itself falls; no further unit pays anything."""

PREDICTED: Final = {
    NOTCH: "above",
    LUMP: "above",
    GATE: "above",
    ACCELERATOR: "none",
    DECELERATOR: "below",
    DROP: "below",
    CAP: "below",
}
"""Where pay alone would make periods bunch. A rate that rises predicts nothing: past the edge there is more to gain."""

_STRONGEST: Final = (NOTCH, LUMP, GATE, DROP, DECELERATOR, ACCELERATOR)


def list_thresholds(plan_features: pl.LazyFrame, plan_components: pl.LazyFrame) -> pl.DataFrame:
    """Thresholds of every plan version above 0; tiers of single products, and caps (see `find_caps`), left out.

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


def find_caps(
    quotas: pl.DataFrame, plan_features: pl.LazyFrame, plan_components: pl.LazyFrame, plans: pl.LazyFrame
) -> pl.DataFrame:
    """Where the cap of the plan binds at each quota: a cap is money, so it stands at another attainment for every quota.

    Only plans whose one component pays per unit of credit, without a gate or tiers of single products: where pay hangs on
    more than credit, no attainment says whether the cap binds.

    Args:
        quotas: `plan_id`, `version`, `component`, `quota_amount` > 0.
        plan_features: the mart.
        plan_components: `core/plan_components`.
        plans: `core/plans`.

    Returns:
        The distinct rows of `quotas` with a cap that is ever reached: `cap_attained` (Int64 units of 1e-8 of quota, rounded down
        like an attainment). Sorted.
    """
    version, ladder = ["plan_id", "version"], ["plan_id", "version", "component", "quota_amount"]
    newest = _c("recorded_at") == _c("recorded_at").max()
    caps = plans.filter(newest.over(version), _c("cap").is_not_null()).select(*version, "cap")
    mixed = plan_components.filter(newest.over(*version, "component")).filter(
        (_c("component").n_unique().over(version) > 1)
        | (_c("rate_basis") == "target").fill_null(value=False)
        | (_c("combine").fill_null("additive") != "additive")
        | (_c("gate_attainment") > 0).fill_null(value=False)
    )
    of_products = plan_features.filter(_c("product_id").is_not_null())
    quota, rate = whole_cents(_c("quota_amount")), whole_units(_c("rate")).cast(pl.Int128)
    edge = whole_units(_c("from_attainment")).cast(pl.Int128)
    is_retroactive = _c("tier_method") == "retroactive"
    rise = _c("rate_units") - _c("rate_units").shift(1, fill_value=0).over(ladder, order_by="edge")
    # pay at an attainment a of the tier is (slope a + level) Q + lumps, in cents of 1e-16
    zero = pl.lit(0, dtype=pl.Int128)
    below = (rise * _c("edge")).cum_sum().over(ladder, order_by="edge")
    level = zero - pl.when(is_retroactive).then(zero).otherwise(below)
    lumps = whole_cents(_c("lump_bonus").fill_null(0)).cum_sum().over(ladder, order_by="edge") * _SQUARE
    missing = whole_cents(_c("cap")) * _SQUARE - _c("lumps") - _c("level") * _c("quota")
    binds = pl.max_horizontal("edge", missing // (_c("rate_units") * _c("quota")))
    return (
        quotas.lazy()
        .select(ladder)
        .unique()
        .join(caps, on=version)
        .join(plan_features, on=[*version, "component"])
        .join(mixed, on=version, how="anti")
        .join(of_products, on=version, how="anti")
        .with_columns(quota=quota, rate_units=rate, edge=edge)
        .with_columns(level=level, lumps=lumps, following=_c("edge").shift(-1).over(ladder, order_by="edge"))
        .filter(_c("rate_units") > 0)
        .with_columns(binds=binds)
        .filter(_c("following").is_null() | (_c("binds") < _c("following")))
        .group_by(ladder)
        .agg(cap_attained=_c("binds").min().cast(pl.Int64))
        .sort(ladder)
        .collect()
    )


_SQUARE: Final = UNIT**2
