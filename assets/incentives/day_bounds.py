"""Lowest and highest EMCR over the orders of a day whose closes have no time (10-definitions)."""

from __future__ import annotations

import polars as pl

from assets.incentives.firm import Firm
from assets.methods.day_orders import EXACT_UP_TO, bound_day_orders, bound_lines


def add_day_orders(priced: pl.DataFrame, ready: pl.DataFrame, told: pl.DataFrame, firm: Firm) -> pl.DataFrame:
    """Add `emcr_lowest` and `emcr_highest` of plans paid by component; null where a credit of the day has no rate."""
    c = pl.col
    loose = ready.filter(~c("time_known"), c("span").is_not_null(), c("credited_amount") > 0, ~c("is_joint"))
    others = _list_others(loose, told)
    unknown = others.filter(c("amount").is_null())["position"].implode()
    asked = loose.join(others, on="position", how="semi")
    if not asked.height:
        return priced.with_columns(emcr_lowest="emcr", emcr_highest="emcr")
    bounds = bound_day_orders(asked, others, firm.book.schedules).join(
        others.filter(c("amount").is_null()), on="position", how="anti"
    )
    is_bounded = c("emcr").is_not_null() & c("lowest").is_not_null()
    alone = pl.when(c("position").is_in(unknown).not_()).then("emcr")
    return (
        priced.join(
            bounds.cast({"position": priced.schema["position"]}).rename(
                {"emcr_lowest": "lowest", "emcr_highest": "highest"}
            ),
            on="position",
            how="left",
        )
        .with_columns(
            emcr_lowest=pl.when(is_bounded).then("lowest").otherwise(alone),
            emcr_highest=pl.when(is_bounded).then("highest").otherwise(alone),
        )
        .drop("lowest", "highest")
    )


def widen_day_orders(joint: pl.DataFrame, rows: pl.DataFrame, told: pl.DataFrame, firm: Firm) -> pl.DataFrame:
    """Bounds of plans paid as a whole on days with more other deals than subsets are tried for; null where one has no rate.

    Args:
        joint: prices from `replay.price_jointly`, with `n_others`.
        rows: what was priced.
        told: news inside each span.
        firm: schedules.
    """
    c = pl.col
    crowded = joint.filter(c("n_others") > EXACT_UP_TO, c("emcr_lowest").is_not_null())
    if not crowded.height:
        return joint
    asked = rows.join(crowded.select("position", "pay_scale", "pay_elsewhere"), on="position")
    others = _list_others(asked, told)
    unknown = c("position").is_in(others.filter(c("amount").is_null())["position"].implode())
    bounds = bound_lines(asked, others, firm.book.schedules)
    return (
        joint.join(
            bounds.cast({"position": joint.schema["position"]}), on="position", how="left", suffix="_wide"
        )
        .with_columns(
            emcr_lowest=pl.when(~unknown).then(pl.min_horizontal("emcr_lowest", "emcr_lowest_wide")),
            emcr_highest=pl.when(~unknown).then(pl.max_horizontal("emcr_highest", "emcr_highest_wide")),
        )
        .drop("emcr_lowest_wide", "emcr_highest_wide")
    )


def _list_others(loose: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Credit of the day's other deals in the row's own component: `position`, `amount`, `precedes`.

    The credits of one other deal come before or after together.
    """
    c = pl.col
    same_day = told.lazy().filter(~c("time_known")).rename({"at": "other_at", "opportunity_id": "other"})
    precedes = (c("other_at") < c("at")) | ((c("other_at") == c("at")) & (c("other") < c("opportunity_id")))
    return (
        loose.lazy()
        .select("position", "span", "component", "on", "at", "opportunity_id")
        .join(same_day, on=["span", "component", "on"])
        .filter(c("other") != c("opportunity_id"), c("known").is_null() | (c("known") <= c("at")))
        .group_by("position", "other", precedes.alias("precedes"))
        .agg(pl.when(c("amount").is_not_null().all()).then(c("amount").sum()))
        .sort("position", "other", "precedes")
        .select("position", "amount", "precedes")
        .collect()
    )
