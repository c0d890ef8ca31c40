"""Lowest and highest EMCR over the orders of a day whose closes have no time (10-definitions), of plans paid by component."""

from __future__ import annotations

import polars as pl

from assets.incentives.firm import Firm
from assets.methods.day_orders import bound_day_orders


def add_day_orders(priced: pl.DataFrame, ready: pl.DataFrame, told: pl.DataFrame, firm: Firm) -> pl.DataFrame:
    """Add `emcr_lowest` and `emcr_highest`; null where a credit of the day has no rate.

    The credits of one other deal come before or after together.
    """
    c = pl.col
    loose = ready.filter(~c("time_known"), c("span").is_not_null(), c("credited_amount") > 0, ~c("is_joint"))
    same_day = told.lazy().filter(~c("time_known")).rename({"at": "other_at", "opportunity_id": "other"})
    precedes = (c("other_at") < c("at")) | ((c("other_at") == c("at")) & (c("other") < c("opportunity_id")))
    others = (
        loose.lazy()
        .select("position", "span", "on", "at", "opportunity_id")
        .join(same_day, on=["span", "on"])
        .filter(c("other") != c("opportunity_id"), c("known").is_null() | (c("known") <= c("at")))
        .group_by("position", "other", precedes.alias("precedes"))
        .agg(pl.when(c("amount").is_not_null().all()).then(c("amount").sum()))
        .sort("position", "other", "precedes")
        .select("position", "amount", "precedes")
        .collect()
    )
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
