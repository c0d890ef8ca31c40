"""The leakage check: exposures recomputed from nothing but what was recorded by the close.

A sample of deals is replayed. Each gets a company of its own that holds only its sellers' rows recorded by its close
(under ids of its own, so that one pricing run serves all), and credits its sellers knew of but nobody had recorded yet
carry a wrong amount that must not matter. What the deal itself brings (credit, split, product, close) is taken as first recorded,
as everywhere. The published exposure must come out unchanged.

A forecast from the history of a whole plan takes every seller of the plan into its case: of those a few are replayed, the
earliest of each plan, which have the most later knowledge to leak and the fewest rows to copy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl
import polars.selectors as cs

from assets.incentives.credits import book_credits
from assets.incentives.deal_prices import add_spiffs, price_as_known
from assets.incentives.firm import read_firm
from assets.incentives.pay_tables import PayTables
from assets.incentives.pricing import GRAIN
from assets.incentives.seller_batches import take_sellers

SAMPLE: Final = 200
"""Deals replayed: enough to meet every plan and month of a firm, few enough to cost a second."""

CREWS: Final = 4
"""Forecasts from the history of whole plans that are replayed, of as many plans."""

_POISON: Final = pl.lit(7_777_777, dtype=pl.Decimal(18, 2))
_COMPARED: Final = {
    "emcr": "emcr_as_known",
    "emcr_forward": "emcr_forward",
    "emcr_with_spiff": "emcr_with_spiff",
    "base_rate": "base_rate",
    "pay_amount": "added_pay_amount",
    "emcr_lowest": "emcr_lowest",
    "emcr_highest": "emcr_highest",
    "attainment_before": "attainment_before",
    "distance_to_threshold": "distance_to_threshold",
    "is_pivotal": "is_pivotal",
    "quota_amount": "quota_amount",
}


def check_replay(published: pl.LazyFrame, tables: PayTables, sample: int = SAMPLE) -> pl.LazyFrame:
    """Fill `replay_agrees` of the sampled deals; the contract blocks the table where it is false.

    Args:
        published: rows of `marts/deal_incentives`.
        tables: what they were made from.
        sample: how many deals at most, about; evenly spread over time of close.

    Returns:
        The published rows in any order, `replay_agrees` true or false on the sampled deals, null on all others.
    """
    c = pl.col
    asked = _draw_sample(published, sample).collect()
    is_asked = (
        c("opportunity_id").is_in(asked["opportunity_id"].implode()) & c("credited_amount").is_not_null()
    ).fill_null(value=False)
    sellers = (
        published.filter(is_asked)
        .join(asked.lazy(), on="opportunity_id")
        .select("case", "close", "rep_id", own="opportunity_id")
        .unique()
        .collect()
        .lazy()
    )
    own = asked.lazy().select("case", "close", own="opportunity_id")
    of_sample = published.filter(is_asked).collect()
    again = {name: f"{name}_replayed" for name in _COMPARED}
    compared = _replay(tables, sellers, own).select(
        *GRAIN, "is_pooled", replayed=pl.lit(value=True), **{to: c(name) for name, to in again.items()}
    )
    by_crew = _replay_crews(tables, of_sample.join(compared, on=GRAIN), own)
    rows = of_sample.join(compared, on=GRAIN, how="left").join(by_crew, on=GRAIN, how="left")
    # what hangs on a whole plan is judged where the plan was replayed
    by_self = c("emcr_forward").eq_missing(c("emcr_forward_replayed"))
    by_all = c("emcr_forward").eq_missing(c("forward_by_crew")) | c("is_by_crew").is_null()
    same_forward = pl.when("is_pooled").then(by_all).otherwise(by_self)
    is_same = [
        same_forward if name == "emcr_forward" else c(name).eq_missing(c(again[priced]))
        for priced, name in _COMPARED.items()
    ]
    agrees = pl.all_horizontal(*is_same, c("replayed").fill_null(value=False))
    replayed = rows.lazy().with_columns(replay_agrees=agrees)
    others = published.filter(~is_asked).with_columns(replay_agrees=pl.lit(None, dtype=pl.Boolean))
    return pl.concat([others, replayed.select(others.collect_schema().names())])


def _replay(tables: PayTables, sellers: pl.LazyFrame, own: pl.LazyFrame) -> pl.DataFrame:
    """Prices of the cases' own deals under the ids of the firm."""
    c = pl.col
    return (
        _price_cases(tables, sellers, own)
        .join(own.with_columns(opportunity_id=c("case") + "|" + c("own")), on="opportunity_id")
        .with_columns(rep_id=c("rep_id").str.strip_prefix(c("case") + "|"), opportunity_id="own")
        .with_columns(cs.float().round(8))
        .collect()
    )


def _replay_crews(tables: PayTables, compared: pl.DataFrame, own: pl.LazyFrame) -> pl.DataFrame:
    """`forward_by_crew` (and `is_by_crew`, true) of a few rows whose forecast hangs on everybody on their plan, by `GRAIN`."""
    c = pl.col
    found = {"forward_by_crew": c("emcr_forward"), "is_by_crew": pl.lit(value=True)}
    asked = (
        compared.filter("is_pooled", c("emcr_forward").is_not_null())
        .sort("closed_at", *GRAIN)
        .unique("plan_id", keep="first", maintain_order=True)
        .head(CREWS)
        .join(own.collect(), left_on="opportunity_id", right_on="own")
    )
    if not asked.height:
        return asked.select(*GRAIN, **found)
    cases = asked.lazy().select("case", "close", "plan_id", own="opportunity_id")
    crews = (
        tables.plan_assignments.select("plan_id", "rep_id").unique().join(cases, on="plan_id").drop("plan_id")
    )
    told = _replay(_tables_until(tables, asked), crews, cases.drop("plan_id"))
    return asked.select(GRAIN).join(told, on=GRAIN, how="left").select(*GRAIN, **found)


def _tables_until(tables: PayTables, asked: pl.DataFrame) -> PayTables:
    """The tables without credit that nobody knew of by the last close asked for: it is copied for no case."""
    c = pl.col
    is_known = (c("recorded_at") <= asked["close"].max()) | c("opportunity_id").is_in(
        asked["opportunity_id"].implode()
    )
    deals = tables.opportunities.filter(is_known)
    of_deals = deals.select("opportunity_id", is_told=pl.lit(value=True)).unique()
    credits_ = tables.credits.join(of_deals, on="opportunity_id", how="left")
    return replace(
        tables,
        opportunities=deals,
        credits=credits_.filter(is_known | c("is_told").is_not_null()).drop("is_told"),
    )


def _price_cases(tables: PayTables, sellers: pl.LazyFrame, own: pl.LazyFrame) -> pl.LazyFrame:
    """Price the companies of all cases together."""
    rep_ids = sellers.select("rep_id").unique().sort("rep_id").collect()["rep_id"]
    theirs = take_sellers(rep_ids, book_credits(tables), tables.opportunities)
    booked = _copy_credits(theirs.booked, theirs.opportunities, sellers).collect().lazy()
    deals = _copy_deals(booked, theirs.opportunities, own)
    assignments = _copy(tables.plan_assignments, sellers, "rep_id", "rep_id")
    plans = assignments.select("case", "close", plan="plan_id").unique()
    known = replace(
        tables,
        quotas=_rename(_copy(tables.quotas, sellers, "rep_id", "rep_id")),
        plans=_rename(_copy(tables.plans, plans, "plan_id", "plan")),
        plan_components=_rename(_copy(tables.plan_components, plans, "plan_id", "plan")),
        plan_tiers=_rename(_copy(tables.plan_tiers, plans, "plan_id", "plan")),
        plan_assignments=_rename(assignments),
        component_results=_rename(_copy(tables.component_results, sellers, "rep_id", "rep_id")),
        spiffs=_copy_spiffs(tables.spiffs, plans),
        reps=_rename(tables.reps.join(sellers.select("case", "rep_id").unique(), on="rep_id")),
    )
    firm = read_firm(known)
    priced = price_as_known(
        _rename(booked), _rename(deals), firm, own.select(_of_case("own").alias("opportunity_id"))
    )
    return add_spiffs(priced.lazy(), known, firm)


def _copy_spiffs(spiffs: pl.LazyFrame, plans: pl.LazyFrame) -> pl.LazyFrame:
    """The offers every case knew by its close; one for all plans becomes one for each plan of the case."""
    c = pl.col
    named = _copy(spiffs, plans, "plan_id", "plan")
    for_all = (
        spiffs.filter(c("plan_id").is_null())
        .join(plans, how="cross")
        .filter(c("recorded_at") <= c("close"))
        .with_columns(plan_id="plan")
    )
    names = [*spiffs.collect_schema().names(), "case"]
    together = pl.concat([named.select(names), for_all.select(names)])
    return _rename(together.with_columns(spiff_id=c("plan_id") + "|" + c("spiff_id")))


def _draw_sample(published: pl.LazyFrame, sample: int) -> pl.LazyFrame:
    """Deals spread evenly over time: `case` (text), `opportunity_id`, `close`."""
    deals = (
        published.filter(pl.col("closed_at").is_not_null(), pl.col("credited_amount").is_not_null())
        .group_by("opportunity_id")
        .agg(close=pl.col("closed_at").first())
        .sort("close", "opportunity_id")
        .with_row_index("place")
    )
    stride = pl.max_horizontal(pl.len() // sample, pl.lit(1))
    return deals.filter(pl.col("place") % stride == 0).select(
        pl.col("place").cast(pl.String).alias("case"), "opportunity_id", "close"
    )


def _copy(rows: pl.LazyFrame, cases: pl.LazyFrame, key: str, case_key: str) -> pl.LazyFrame:
    """The rows every case knew by its close."""
    return rows.join(cases, left_on=key, right_on=case_key).filter(pl.col("recorded_at") <= pl.col("close"))


def _copy_credits(booked: pl.LazyFrame, opportunities: pl.LazyFrame, sellers: pl.LazyFrame) -> pl.LazyFrame:
    """Credits the sellers of each case knew of; the deal's own as first recorded."""
    c = pl.col
    first = c("recorded_at") == c("recorded_at").min().over("credit_id")
    won_at = (
        opportunities.filter("is_won", c("closed_at").is_not_null())
        .group_by("opportunity_id")
        .agg(won_at=c("recorded_at").min())
    )
    ever = (
        booked.select("credit_id", "rep_id")
        .unique()
        .join(sellers, on="rep_id")
        .select("credit_id", "case", "close", "own")
    )
    is_recorded = c("recorded_at") <= c("close")
    is_own = c("opportunity_id") == c("own")
    is_known_win = (c("won_at") <= c("close")).fill_null(value=False)
    return (
        booked.with_columns(is_first=first)
        .join(ever.unique(), on="credit_id")
        .join(won_at, on="opportunity_id", how="left")
        .filter(is_recorded | (c("is_first") & (is_own | is_known_win)))
        .with_columns(
            credited_amount=pl.when(is_recorded | is_own).then("credited_amount").otherwise(_POISON),
        )
        .drop("is_first", "won_at")
    )  # fmt: skip


def _copy_deals(known_credits: pl.LazyFrame, opportunities: pl.LazyFrame, own: pl.LazyFrame) -> pl.LazyFrame:
    """Versions of the credited deals recorded by the close, and the deal's own first win."""
    c = pl.col
    won = c("is_won") & c("closed_at").is_not_null()
    first_win = c("recorded_at").filter(won).min().over("opportunity_id")
    return (
        opportunities.with_columns(is_first_win=won & (c("recorded_at") == first_win))
        .join(known_credits.select("opportunity_id", "case").unique(), on="opportunity_id")
        .join(own, on="case")
        .filter((c("recorded_at") <= c("close")) | (c("is_first_win") & (c("opportunity_id") == c("own"))))
        .drop("is_first_win")
    )


def _of_case(name: str) -> pl.Expr:
    return (pl.col("case") + "|" + pl.col(name)).alias(name)


def _rename(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Give every case ids of its own."""
    names = rows.collect_schema().names()
    ids = [n for n in ("opportunity_id", "credit_id", "rep_id", "plan_id", "spiff_id") if n in names]
    return rows.with_columns(_of_case(n) for n in ids).drop("case", "close", "own", strict=False)
