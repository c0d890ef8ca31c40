"""Prices of every deal, as known and as final: the numbers of `marts/deal_incentives`.

One row per deal, credited seller, component and credit type. How a position is priced is up to `pricing`.
"""

from __future__ import annotations

import polars as pl

from assets.incentives.credit_places import stand_today
from assets.incentives.credits import HOUSE, book_credits, first_wins, newest, oldest, tell_news
from assets.incentives.deal_exposures import CREDITED_LATER
from assets.incentives.firm import Firm, read_firm
from assets.incentives.forecasts import (
    History,
    add_forecasts,
    forecast,
    has_too_little,
    join_histories,
    list_periods,
    look_around,
    look_back,
    read_history,
)
from assets.incentives.knowledge import Knowledge
from assets.incentives.pay_tables import PayTables
from assets.incentives.pricing import GRAIN, price_credits
from assets.incentives.seller_batches import BATCH, IDS, Batch, cut_batches, number_ids, take_sellers
from assets.incentives.spiffs import price_spiffs
from assets.methods.exact import pay_per_credit
from expectations.contracts.incentives import DEAL_INCENTIVES


def price_deals(tables: PayTables, batch: int = BATCH) -> pl.LazyFrame:
    """Price every credit as known at its close and as final (02-commission, 10-definitions).

    What a seller is paid hangs on his own credits alone, so whole sellers are priced some at a time; only what forecasts look
    back on is read over all of them first.

    Args:
        tables: what is priced.
        batch: credits priced at a time, about.

    Returns:
        The rows of `marts/deal_incentives` in any order; `replay_agrees` is null (see `leakage`).
    """
    numbered, names = number_ids(tables)
    firm = read_firm(numbered)
    periods = list_periods(firm)
    priced = [_price_batch(part, numbered, firm, periods) for part in cut_batches(numbered, batch)]
    rows, waiting, histories = (list(parts) for parts in zip(*priced, strict=True))
    del priced
    asked = pl.concat(frame.with_columns(batch=pl.lit(n)) for n, frame in enumerate(waiting))
    by_crew = forecast(look_around(asked, join_histories(histories), firm), firm)
    return pl.concat(
        # each batch lets go of its room as it is told
        [_fill_forecasts(names.tell(rows.pop(0)), by_crew.filter(batch=n)) for n in range(len(rows))]
    ).lazy()


def _price_batch(
    part: Batch, tables: PayTables, firm: Firm, periods: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, History]:
    """The mart's rows of some sellers with `position`, the rows whose forecast waits for others' history, and their own."""
    recorded = part.of_sellers(_credits_as_recorded(part.booked, part.opportunities))
    prices = price_credits(recorded, part.news(), firm, Knowledge.AS_KNOWN)
    history = read_history(prices.news, firm, periods, part.sellers)
    asked = look_back(prices.rows, history, firm)
    known = add_forecasts(prices.rows, forecast(asked, firm))
    final = _price_final(part, firm)
    paid = add_spiffs(known.lazy(), tables, firm)
    # texts that repeat take a number's room until all is priced
    rows = _publish(paid, _sum_final(final.lazy()), firm).collect().cast({pl.String: pl.Categorical})
    return rows, asked.filter(has_too_little), history


def price_today(sellers: pl.Series, tables: PayTables, firm: Firm) -> pl.DataFrame:
    """Prices of some sellers' credits as final, `pricing.Prices.rows`: one per grain and place where a part of it counts."""
    return _price_final(take_sellers(sellers.sort(), book_credits(tables), tables.opportunities), firm)


def _price_final(part: Batch, firm: Firm) -> pl.DataFrame:
    final_credits = part.of_sellers(_credits_today(part.booked, part.opportunities, firm)).collect().lazy()
    told = final_credits.select(
        "opportunity_id", "rep_id", "component", "product_id", "credit_type", "at", "time_known", "amount", "currency",
        known=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        pieces=pl.lit(1, dtype=pl.Decimal(18, 2)),
    ).filter(pl.col("amount").is_not_null(), pl.col("credit_type") != HOUSE)  # fmt: skip
    return price_credits(final_credits, told, firm, Knowledge.AS_FINAL).rows


def _fill_forecasts(rows: pl.DataFrame, forecasts: pl.DataFrame) -> pl.DataFrame:
    """The mart's rows with the forecasts that came last."""
    c = pl.col
    found = rows.select("position").join(forecasts, on="position", how="left", maintain_order="left")
    return (
        rows.with_columns(emcr_forward=pl.coalesce("emcr_forward", found["emcr_forward"]))
        .select(
            pl.when(c("emcr_forward").is_null()).then(name).alias(name)
            if name == "forward_null_reason"
            else name
            for name in DEAL_INCENTIVES.schema.names()
        )
        .cast({pl.Categorical: pl.String})
    )


def price_as_known(
    booked: pl.LazyFrame, opportunities: pl.LazyFrame, firm: Firm, asked: pl.LazyFrame
) -> pl.DataFrame:
    """The exposure of some deals (`opportunity_id`) alone: `pricing.Prices.rows` with nothing but what was known at the close.

    Adds `emcr_forward`, `forward_null_reason` and `is_pooled`: the forecast hangs on other sellers of the plan.
    """
    recorded = _credits_as_recorded(booked, opportunities).join(asked, on="opportunity_id", how="semi")
    prices = price_credits(recorded, tell_news(booked, opportunities), firm, Knowledge.AS_KNOWN)
    history = read_history(prices.news, firm, list_periods(firm))
    own = look_back(prices.rows, history, firm)
    crew = look_around(own, history, firm)
    forecasts = pl.concat(forecast(asked, firm).select("position", "emcr_forward") for asked in (own, crew))
    return add_forecasts(prices.rows, forecasts).with_columns(
        is_pooled=pl.col("position").is_in(crew["position"].implode())
    )


def add_spiffs(known: pl.LazyFrame, tables: PayTables, firm: Firm) -> pl.LazyFrame:
    """Add `spiff_amount`, `spiff_known_at` and `emcr_with_spiff` to prices as known."""
    c = pl.col
    paid = price_spiffs(known, tables.spiffs, tables.reps, firm.exchange)
    none = pl.lit(0, dtype=pl.Decimal(18, 2))
    with_spiff = (c("added_pay") + c("spiff_amount").cast(pl.Float64)) / c("credited_amount").cast(pl.Float64)
    return (
        known.join(paid, on=GRAIN, how="left")
        .with_columns(
            spiff_amount=pl.when(c("spiff_known_at").is_null()).then(none).otherwise("spiff_amount")
        )
        .with_columns(
            emcr_with_spiff=pl.when(c("emcr").is_null())
            .then(None)
            .when(c("spiff_amount") == 0)
            .then("emcr")
            .otherwise(with_spiff.round(8))
        )
    )


def _credits_as_recorded(booked: pl.LazyFrame, opportunities: pl.LazyFrame) -> pl.LazyFrame:
    """Each credit as first recorded, placed at its deal's close."""
    c = pl.col
    return (
        oldest(booked, "credit_id")
        .join(first_wins(opportunities), on="opportunity_id", how="left", suffix="_of_deal")
        .join(_why_undated(opportunities), on="opportunity_id", how="left")
        .select(
            *GRAIN,
            at=pl.coalesce("closed_at", "credited_at"),
            time_known=pl.coalesce("closed_time_known", pl.lit(value=True)),
            amount="credited_amount",
            currency="currency",
            split_weight="split_weight",
            product_id="product_id",
            deal_amount="amount",
            deal_currency="currency_of_deal",
            assumed=c("knowledge_time_assumed").fill_null(value=False) | c("deal_assumed").fill_null(value=False),
            early_reason=pl.when(c("closed_at").is_null()).then(pl.coalesce("undated", pl.lit("no_deal"))),
        )
    )  # fmt: skip


def _credits_today(booked: pl.LazyFrame, opportunities: pl.LazyFrame, firm: Firm) -> pl.LazyFrame:
    """Each credit in its newest version, where it stands today."""
    c = pl.col
    today = newest(opportunities, "opportunity_id")
    return (
        stand_today(booked, opportunities, firm)
        # credit that stands after its win was taken back is still priced by its product
        .join(today.select("opportunity_id", "product_id"), on="opportunity_id", how="left")
        .join(_why_undated(today), on="opportunity_id", how="left")
        .select(
            *GRAIN,
            "at",
            "time_known",
            amount="credited_amount",
            currency="currency",
            split_weight="split_weight",
            product_id="product_id",
            deal_amount="deal_amount",
            deal_currency="deal_currency",
            assumed=c("knowledge_time_assumed").fill_null(value=False),
            early_reason=pl.when(c("closed_at").is_null()).then(pl.coalesce("undated", pl.lit("no_deal"))),
        )
    )


def _why_undated(opportunities: pl.LazyFrame) -> pl.LazyFrame:
    """Why a deal that exists has no close: never won, or won without a day."""
    return opportunities.group_by("opportunity_id").agg(
        undated=pl.when(pl.col("is_won").any()).then(pl.lit("no_close")).otherwise(pl.lit("not_won"))
    )


def _sum_final(final: pl.LazyFrame) -> pl.LazyFrame:
    """Parts of one credit that count at different times, added up."""
    c = pl.col
    pay = c("added_pay").cast(pl.Decimal(38, 10))
    return (
        final.sort(*GRAIN, "at")
        .group_by(GRAIN, maintain_order=True)
        .agg(
            c("attainment_before", "quota_amount", "on", "plan_currency").first(),
            c("plan_id").first().alias("plan_id"),
            credited_amount=c("credited_amount").sum(),
            emcr=c("emcr").first(),
            added_pay=pl.when(c("added_pay").is_not_null().all()).then(pay.sum().cast(pl.Float64)),
            pay_amount=pl.when(c("pay_amount").is_not_null().all()).then(c("pay_amount").sum()),
            is_priced=c("null_reason").is_null().all(),
            n=pl.len(),
        )
        .with_columns(
            # one part keeps its own rate, exact to the last decimal
            emcr=pl.when(c("n") == 1)
            .then("emcr")
            .when("is_priced")
            .then(pay_per_credit(c("added_pay").cast(pl.Decimal(38, 10)), c("credited_amount"))),
        )
        .select(*GRAIN, pl.all().exclude(GRAIN).name.suffix("_final"))
    )


def _publish(known: pl.LazyFrame, final: pl.LazyFrame, firm: Firm) -> pl.LazyFrame:
    """The mart's columns out of the two prices and the SPIFFs, ids as numbers, and `position`."""
    c = pl.col
    rows = known.join(final, on=GRAIN, how="full", coalesce=True, nulls_equal=True).with_columns(
        booking=pl.lit("booking"),
        plan_currency=pl.coalesce("plan_currency", "plan_currency_final"),
        day=pl.coalesce("on", "on_final"),
    )
    rows = firm.exchange.find_rate(
        rows, "rate_to_reporting", currency="plan_currency", day="day", fixed_day="period_start", policy="booking"
    )  # fmt: skip
    is_known = c("at").is_not_null()
    reasons = (
        pl.when(~is_known)
        .then(pl.lit(CREDITED_LATER))
        .when((c("null_reason") == "no_quota") & c("quota_amount_final").is_not_null())
        .then(pl.lit("quota_not_known"))
        .when((c("null_reason") == "no_plan") & c("plan_id_final").is_not_null())
        .then(pl.lit("plan_not_known"))
        .otherwise(pl.coalesce("null_reason", pl.when(c("emcr").is_not_null()).then("relative_null_reason")))
    )
    day = c("on")
    rates = [
        name
        for name, dtype in DEAL_INCENTIVES.schema.items()
        if dtype == pl.Float64 and not name.startswith("added_pay")
    ]
    return (
        rows.with_columns(
            closed_at=pl.when(c("early_reason").is_null()).then("at"),
            plan_closed_on=day,
            emcr_as_known="emcr",
            emcr_as_final="emcr_final",
            days_to_period_end=((c("period_end") - day).dt.total_days() - 1).cast(pl.Int64),
            tier="tier_before",
            added_pay_amount="pay_amount",
            added_pay_amount_final="pay_amount_final",
            period_shifted=~c("on_final").is_between("period_start", "period_end", closed="left"),
            knowledge_time_assumed=c("assumed").fill_null(value=False),
            known_at_latest=pl.max_horizontal("known_at_latest", "spiff_known_at"),
            replay_agrees=pl.lit(None, dtype=pl.Boolean),
            null_reason=reasons,
        )
        .select("position", *(c(n) if n in IDS else c(n).cast(t) for n, t in DEAL_INCENTIVES.schema.items()))
        # eight decimals, as the nearest floats: a quotient by a constant may be off in the last bit
        .with_columns(pl.col(rates).round(8))
    )  # fmt: skip
