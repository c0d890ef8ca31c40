"""Short-term incentives on top of the plan: what a SPIFF added to a deal. Contests are flags, not prices."""

from __future__ import annotations

from typing import Final

import polars as pl

from assets.incentives.exchange import Exchange
from assets.incentives.knowledge import Knowledge, holds, span_versions
from assets.methods.exact import UNIT, as_money, divide_half_up, whole_cents, whole_units

_GRAIN: Final = ("opportunity_id", "rep_id", "component", "credit_type")


def price_spiffs(
    priced: pl.LazyFrame, spiffs: pl.LazyFrame, reps: pl.LazyFrame, exchange: Exchange
) -> pl.LazyFrame:
    """SPIFF money of every primary credit, as known at the close.

    A SPIFF pays its amount per deal, shared by split weight, plus its rate per unit of credit; it counts once for a seller
    with several components (on the first). Which SPIFF applies: the plan-local date in [valid_from, valid_to), and plan,
    team and product where the SPIFF names them.

    Args:
        priced: from `price_credits`, as known.
        spiffs: core/spiffs, all versions.
        reps: core/reps (team).
        exchange: for SPIFFs in another currency than the plan's.

    Returns:
        One row per credit that a SPIFF applies to: opportunity_id, rep_id, component, credit_type, `spiff_amount`
        Decimal(18,2) in plan currency (null where it cannot be priced: per unit, or no rate), `spiff_known_at`.
    """
    c = pl.col
    open_months = pl.date_ranges(
        c("valid_from").dt.month_start(),
        (c("valid_to") - pl.duration(days=1)).dt.month_start(),
        interval="1mo",
    )
    offers = (
        span_versions(spiffs, ["spiff_id"])
        .filter(~c("is_contest").fill_null(value=False), c("valid_from") < c("valid_to"))
        .select(
            "valid_from", "valid_to", "plan_id", "team", "product_id", "per", "amount", "rate", "known_from", "known_until",
            spiff_currency="currency",
            month=open_months,
        )
        .explode("month", empty_as_null=False)
    )  # fmt: skip
    primary = (
        priced.filter(c("credit_type") == "primary", c("credited_amount") > 0)
        .filter(c("component") == c("component").min().over("opportunity_id", "rep_id"))
        .select(
            *_GRAIN, "at", "on", "plan_id", "product", "credited_amount", "split_weight", "plan_currency", "period_start",
            month=c("on").dt.month_start(),
            policy=pl.lit("booking"),
        )
        .join(reps.select("rep_id", "team"), on="rep_id", how="left")
    )  # fmt: skip
    matched = primary.join(offers, on="month", suffix="_wanted").filter(
        holds(Knowledge.AS_KNOWN),
        c("on") >= c("valid_from"),
        c("on") < c("valid_to"),
        _matches("plan_id_wanted", "plan_id"),
        _matches("team_wanted", "team"),
        _matches("product_id", "product"),
    )
    matched = exchange.convert(
        matched.with_columns(stated=c("amount")), "amount", currency="spiff_currency", policy="policy"
    )
    one = pl.lit(UNIT, dtype=pl.Int128)
    weight = whole_units(c("split_weight")).cast(pl.Int128)
    fixed = divide_half_up(whole_cents(c("amount")) * weight, one)
    rated = divide_half_up(whole_cents(c("credited_amount")) * whole_units(c("rate")).cast(pl.Int128), one)
    is_unpriced = c("stated").is_not_null() & (
        c("amount").is_null() | (c("per") == "unit").fill_null(value=False)
    )
    return (
        matched.with_columns(
            money=pl.when(~is_unpriced).then(as_money(fixed.fill_null(0) + rated.fill_null(0)))
        )
        .group_by(_GRAIN)
        .agg(
            spiff_amount=pl.when(c("money").is_not_null().all()).then(c("money").sum()),
            spiff_known_at=c("known_from").max(),
        )
    )


def _matches(wanted: str, has: str) -> pl.Expr:
    return pl.col(wanted).is_null() | (pl.col(wanted) == pl.col(has)).fill_null(value=False)
