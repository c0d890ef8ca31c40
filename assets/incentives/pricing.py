"""Price every credit of the firm with one kind of knowledge: as known when it closed, or as final.

Both go the same way: the terms that held, the pay period and quota, the credit attained before, the price. Only which
versions and which pieces of news count differs. Which exposure is published under which name is up to `deal_incentives`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.company import Company
from assets.incentives.exchange import Exchange
from assets.incentives.knowledge import Knowledge, holds
from assets.incentives.pay_periods import find_periods, list_quotas
from assets.incentives.pay_tables import PayTables
from assets.incentives.plan_schedules import KEY as SCHEDULE_KEY
from assets.incentives.plan_schedules import UNSUPPORTED, PlanBook, read_plan_book
from assets.incentives.terms import PLACE, find_terms, list_terms
from assets.methods.commission import price_positions
from assets.methods.credit_order import sum_credit_before
from assets.methods.day_orders import bound_day_orders

GRAIN: Final = ("opportunity_id", "rep_id", "component", "credit_type")
"""What one price belongs to."""

_SPAN: Final = ("rep_id", "component", "period_start", "period_end", "plan_currency", "fx_policy")


@dataclass(frozen=True, slots=True)
class Firm:
    """What prices are looked up in: small tables, read once."""

    terms: pl.DataFrame
    quotas: pl.DataFrame
    book: PlanBook
    exchange: Exchange
    company: Company


def read_firm(tables: PayTables) -> Firm:
    """Read the tables that prices are looked up in, all versions."""
    return Firm(
        terms=list_terms(tables.plans, tables.plan_assignments),
        quotas=list_quotas(tables.quotas),
        book=read_plan_book(tables.plans, tables.plan_components, tables.plan_tiers),
        exchange=Exchange(tables.fx_rates, tables.company.reporting_currency),
        company=tables.company,
    )


def price_credits(own: pl.LazyFrame, news: pl.LazyFrame, firm: Firm, knowledge: Knowledge) -> pl.DataFrame:
    """Price what every credit added to its seller's pay.

    Args:
        own: credits to price: `GRAIN`, `at` (place in canonical order, UTC), `time_known`, `amount` Decimal(18,2),
            `currency` (null: the plan's), `split_weight`, `product_id`, `deal_amount`, `deal_currency`, `assumed`, `early_reason`.
            Credits of one grain and place are added up.
        news: from `credits.tell_news`; as final with `known` null.
        firm: from `read_firm`.
        knowledge: which versions count; as known at `at`.

    Returns:
        One row per grain and `at`: the columns of `price_positions`, the terms and the pay period, `credit_before`,
        `known_at_latest`, `assumed`, and `emcr_lowest`, `emcr_highest` as known.
    """
    own, news = (frame.collect().lazy() for frame in (own, news))
    places = pl.concat([own.select(PLACE), news.select(PLACE)])
    terms = find_terms(places, firm.terms, firm.company.timezone, knowledge)
    positions = _place_credits(own, terms.lazy(), firm, knowledge)
    spans = positions.select(_SPAN).drop_nulls(["period_start", "period_end"]).unique().with_row_index("span")
    told = _place_news(news, terms.lazy(), spans, firm).collect()
    positions = positions.join(spans, on=_SPAN, how="left", nulls_equal=True, maintain_order="left")
    positions = _add_credit_before(positions, told)
    ready = _find_schedules(positions, firm, knowledge)
    priced = _scale_to_target(price_positions(ready.lazy(), firm.book.schedules)).collect()
    if knowledge is Knowledge.AS_FINAL:
        return priced
    return _add_day_orders(priced, ready, told, firm)


def _place_credits(own: pl.LazyFrame, terms: pl.LazyFrame, firm: Firm, knowledge: Knowledge) -> pl.DataFrame:
    """Credits with terms, pay period and quota, in plan currency, one row per grain and place."""
    # numbered once in the order of the grain: later steps group by one number instead of four texts
    place = pl.struct(*GRAIN, "at")
    numbered = own.sort(*GRAIN, "at").with_columns(
        position=(place != place.shift(1)).fill_null(value=False).cum_sum().cast(pl.get_index_type())
    )
    placed = find_periods(
        numbered.join(terms.drop("known_until"), on=PLACE, how="left"),
        firm.quotas,
        firm.company.fiscal_start_month,
        knowledge,
    )
    placed = placed.with_columns(is_unpriced_money=pl.col("amount").is_not_null())
    placed = firm.exchange.convert(placed, "amount", currency="currency")
    placed = firm.exchange.convert(placed, "deal_amount", currency="deal_currency")
    c = pl.col
    kept = (
        *GRAIN, "at", "time_known", "early_reason", "product_id", "deal_amount", "deal_currency", "term", "on", "plan_id", "version",
        "holds_from", "holds_until", "known_from", "plan_currency", "period_start", "period_end", "quota_amount",
        "quota_known_at", "mid_period_policy", "fx_policy", "draw", "draw_kind", "target_incentive",
    )  # fmt: skip
    return (
        placed.with_columns(no_rate=c("is_unpriced_money") & c("amount").is_null() & c("plan_currency").is_not_null())
        .group_by("position")
        .agg(
            *(c(name).first() for name in kept),
            credited_amount=pl.when(c("amount").is_not_null().all()).then(c("amount").sum()),
            split_weight=c("split_weight").sum(),
            no_rate=c("no_rate").any(),
            assumed=(c("assumed") | c("terms_assumed").fill_null(value=False) | c("quota_assumed")).any(),
        )
        .sort("position")
        .collect()
    )  # fmt: skip


def _place_news(news: pl.LazyFrame, terms: pl.LazyFrame, spans: pl.DataFrame, firm: Firm) -> pl.LazyFrame:
    """News inside the pay periods that are asked for, in the currency of each; null amounts have no rate."""
    c = pl.col
    months = spans.lazy().with_columns(
        month=pl.date_ranges(
            c("period_start").dt.month_start(),
            (c("period_end") - pl.duration(days=1)).dt.month_start(),
            interval="1mo",
        )
    )
    own_terms = terms.select(*PLACE, "on", own_currency="plan_currency")
    told = (
        news.join(own_terms, on=PLACE, how="left")
        .with_columns(month=c("on").dt.month_start(), currency=pl.coalesce("currency", "own_currency"))
        .drop("own_currency")
        .join(
            months.explode("month", empty_as_null=False),
            on=["rep_id", "component", "month"],
        )
        .filter(c("on") >= c("period_start"), c("on") < c("period_end"))
    )
    return firm.exchange.convert(told, "amount", currency="currency").select(
        "span", "opportunity_id", "at", "on", "time_known", "amount", "pieces", "known"
    )


def _add_credit_before(positions: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """s, without what the deal itself told early; null where a credit before has no rate."""
    c = pl.col
    told = told.rename({"amount": "credited_amount"})
    summed = sum_credit_before(positions.lazy(), told.lazy(), ["span"], time="at", known="known").collect()
    ours = _sum_own_early(positions, told)
    has_gap = told.filter(c("credited_amount").is_null())
    if has_gap.height:
        counted = has_gap.with_columns(credited_amount="pieces")
        asked = positions.join(has_gap, on="span", how="semi").select(
            "position", "span", "at", "opportunity_id"
        )
        gaps = sum_credit_before(
            asked.lazy(), counted.lazy(), ["span"], name="gaps", time="at", known="known"
        )
        summed = summed.join(gaps.select("position", "gaps").collect(), on="position", how="left")
    else:
        summed = summed.with_columns(gaps=pl.lit(0, dtype=pl.Decimal(18, 2)))
    # without a pay period only a plan that needs none can be priced, from zero
    attained = pl.when(c("span").is_null()).then(pl.lit(0, dtype=pl.Decimal(18, 2))).otherwise(
        c("credit_before") - c("early").fill_null(0)
    )  # fmt: skip
    return (
        summed.join(ours, on="position", how="left")
        .with_columns(
            credit_before=pl.when(c("gaps").fill_null(0) == 0).then(attained).cast(pl.Decimal(18, 2))
        )
        .drop("gaps", "early")
        .sort("position")
    )


def _sum_own_early(positions: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Credit of the deal itself that stands before it (recorded ahead of the close): no part of s."""
    c = pl.col
    return (
        told.lazy()
        .join(positions.lazy().select("position", "span", "opportunity_id", place="at"), on=["span", "opportunity_id"])
        .filter(c("at") < c("place"), c("known") <= c("place"))
        .group_by("position")
        .agg(early=c("credited_amount").sum())
        .collect()
    )  # fmt: skip


def _find_schedules(positions: pl.DataFrame, firm: Firm, knowledge: Knowledge) -> pl.DataFrame:
    """Positions with their schedule, and the first reason that stands against a price."""
    c = pl.col
    found = (
        positions.lazy()
        .select("position", "plan_id", "version", "at")
        .join(firm.book.states.lazy(), on=["plan_id", "version"])
        .filter(holds(knowledge))
        .select("position", "state", "plan_assumed", state_known_at="known_from")
    )
    own_tiers = firm.book.rules.lazy().filter(c("product_id") != "").select(SCHEDULE_KEY)
    staged = (
        positions.lazy()
        .join(found, on="position", how="left")
        .rename({"product_id": "product"})
        .join(
            own_tiers.with_columns(has_own_tiers=pl.lit(value=True)),
            left_on=["state", "component", "product"],
            right_on=SCHEDULE_KEY,
            how="left",
        )
        .with_columns(product_id=pl.when("has_own_tiers").then("product").otherwise(pl.lit("")))
        .join(firm.book.rules.lazy(), on=SCHEDULE_KEY, how="left")
    )
    draw = pl.when(c("draw_kind") == "non_recoverable").then("draw")
    is_target = (c("rate_basis") == "target").fill_null(value=False)
    is_cut = (c("mid_period_policy") == "segment_prorated") & (
        (c("holds_from") > c("period_start")) | (c("holds_until") < c("period_end")).fill_null(value=False)
    )
    reasons = {
        "no_plan": c("plan_id").is_null(),
        "no_amount": c("credited_amount").is_null() & ~c("no_rate"),
        "no_fx_rate": c("no_rate"),
        "no_component": c("state").is_not_null() & c("n_paid").is_null(),
        UNSUPPORTED: is_cut | ((c("n_paid") > 1) & draw.is_not_null()) | (is_target & draw.is_not_null()),
        "no_target_incentive": is_target & (c("target_incentive").is_null() | c("weight").is_null()),
        "no_quota": is_target & c("quota_amount").is_null(),
        "no_period": c("span").is_null() & (c("has_bounds") | draw.is_not_null()),
    }
    first_reason = pl.coalesce(
        "early_reason",
        *(pl.when(broken).then(pl.lit(name)) for name, broken in reasons.items()),
        "refused",
    )
    return (
        staged.with_columns(
            draw=draw,
            null_reason=first_reason,
            target_share=pl.when(is_target).then(
                c("target_incentive").cast(pl.Float64)
                * c("weight").cast(pl.Float64)
                / c("quota_amount").cast(pl.Float64)
            ),
            known_at_latest=pl.max_horizontal("known_from", "state_known_at", "quota_known_at"),
            assumed=c("assumed") | c("plan_assumed").fill_null(value=False),
        )
        .sort("position")
        .collect()
    )


def _scale_to_target(priced: pl.LazyFrame) -> pl.LazyFrame:
    """Shares of target pay become money: pay_j = TI w_j f_j, priced as Q f_j before."""
    c = pl.col
    is_scaled = c("target_share").is_not_null()
    share = c("target_share")

    def scaled(name: str) -> pl.Expr:
        return pl.when(is_scaled).then((c(name) * share).round(8)).otherwise(c(name))

    def cents(name: str) -> pl.Expr:
        # half up; a float may stand a hair below the half
        return (c(name).cast(pl.Float64) * share * 100 + 0.5 + 1e-7).floor().cast(pl.Int64)

    pay = c("added_pay").cast(pl.Float64)
    money = ((cents("pay_after") - cents("pay_before")).cast(pl.Decimal(38, 0)) / 100).cast(pl.Decimal(18, 2))
    return priced.with_columns(
        added_pay=pl.when(is_scaled).then(pay * share).otherwise(pay),
        pay_amount=pl.when(is_scaled).then(money).otherwise("pay_amount"),
        emcr=pl.when(is_scaled)
        .then(pl.when(c("emcr").is_not_null()).then((pay * share / c("credited_amount").cast(pl.Float64)).round(8)))
        .otherwise("emcr"),
        base_rate=scaled("base_rate"),
    )  # fmt: skip


def _add_day_orders(
    priced: pl.DataFrame, ready: pl.DataFrame, told: pl.DataFrame, firm: Firm
) -> pl.DataFrame:
    """Lowest and highest EMCR over the orders of a day whose closes have no time; null where a credit has no rate.

    The credits of one other deal come before or after together.
    """
    c = pl.col
    loose = ready.filter(~c("time_known"), c("span").is_not_null(), c("credited_amount") > 0)
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
    scale = pl.col("target_share").fill_null(1.0)
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
            emcr_lowest=pl.when(is_bounded).then((c("lowest") * scale).round(8)).otherwise(alone),
            emcr_highest=pl.when(is_bounded).then((c("highest") * scale).round(8)).otherwise(alone),
        )
        .drop("lowest", "highest")
    )
