"""Price every credit of the firm with one kind of knowledge: as known when it closed, or as final.

Both go the same way: the terms that held, the pay period and quota, the credit attained before, the price. Only which
versions and which pieces of news count differs. Which exposure is published under which name is up to `deal_incentives`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.incentives.credits import HOUSE
from assets.incentives.day_bounds import add_day_orders, widen_day_orders
from assets.incentives.firm import Firm
from assets.incentives.knowledge import Knowledge, holds
from assets.incentives.news_places import place_news
from assets.incentives.pay_periods import find_periods
from assets.incentives.plan_schedules import KEY as SCHEDULE_KEY
from assets.incentives.replay import CASE, price_jointly
from assets.incentives.segments import find_segments
from assets.incentives.terms import PLACE, find_terms
from assets.methods.commission import price_positions
from assets.methods.credit_order import sum_credit_before
from assets.methods.exact import as_money, as_units, whole_cents, whole_units
from assets.methods.pay_curve import prorate

GRAIN: Final = ("opportunity_id", "rep_id", "component", "credit_type")
"""What one price belongs to."""

_COUNTED: Final = ("period_start", "counts_from", "counts_until", "plan_currency", "fx_policy")
_SPAN: Final = ("rep_id", "component", *_COUNTED)
_WHOLE_SPAN: Final = ("rep_id", *_COUNTED)


@dataclass(frozen=True, slots=True)
class Prices:
    """What credits added to their sellers' pay.

    Attributes:
        rows: one per grain and `at`: `position` (number), the columns of `price_positions`, the terms and the pay period,
            `credit_before`, `known_at_latest`, `assumed`, and as known `emcr_lowest`, `emcr_highest`.
        news: what was told of credit, on the days it stands on (see `news_places`).
    """

    rows: pl.DataFrame
    news: pl.LazyFrame


def price_credits(own: pl.LazyFrame, news: pl.LazyFrame, firm: Firm, knowledge: Knowledge) -> Prices:
    """Price what every credit added to its seller's pay.

    Args:
        own: credits to price: `GRAIN`, `at` (place in canonical order, UTC), `time_known`, `amount` Decimal(18,2),
            `currency` (null: the plan's), `split_weight`, `product_id`, `deal_amount`, `deal_currency`, `assumed`, `early_reason`.
            Credits of one grain and place are added up.
        news: from `credits.tell_news`; as final with `known` null.
        firm: from `read_firm`.
        knowledge: which versions count; as known at `at`.
    """
    own, news = (frame.collect().lazy() for frame in (own, news))
    places = pl.concat([own.select(PLACE), news.select(PLACE)])
    terms = find_terms(places, firm.terms, firm.company.timezone, knowledge)
    positions = find_segments(_place_credits(own, terms.lazy(), firm, knowledge), firm.terms, knowledge)
    placed = place_news(news, terms, firm, knowledge)
    positions, told = _count_news(positions, placed, firm, _SPAN)
    ready = _find_schedules(_add_credit_before(positions, told, knowledge), firm, knowledge)
    priced = price_positions(ready.lazy(), firm.book.schedules).collect()
    priced = priced.with_columns(pl.col("added_pay").cast(pl.Float64))
    if knowledge is Knowledge.AS_KNOWN:
        priced = add_day_orders(priced, ready, told, firm)
    return Prices(_add_joint(priced, ready, placed, firm, knowledge), placed)


def _place_credits(own: pl.LazyFrame, terms: pl.LazyFrame, firm: Firm, knowledge: Knowledge) -> pl.DataFrame:
    """Credits with terms, pay period and quota, in plan currency, one row per grain and place."""
    # numbered once in the order of the grain: later steps group by one number instead of four texts
    place = pl.struct(*GRAIN, "at")
    numbered = own.sort(*GRAIN, "at").with_columns(
        position=(place != place.shift(1)).fill_null(value=False).cum_sum().cast(pl.get_index_type())
    )
    placed = find_periods(numbered.join(terms.drop("known_until"), on=PLACE, how="left"), firm, knowledge)
    placed = placed.with_columns(is_unpriced_money=pl.col("amount").is_not_null())
    placed = firm.exchange.convert(placed, "amount", currency="currency")
    placed = firm.exchange.convert(placed, "deal_amount", currency="deal_currency")
    c = pl.col
    kept = (
        *GRAIN, "at", "time_known", "early_reason", "product_id", "deal_amount", "deal_currency", "term", "on", "plan_id", "version",
        "holds_from", "holds_until", "known_from", "plan_currency", "period_start", "period_end", "quota_amount",
        "quota_known_at", "mid_period_policy", "fx_policy", "draw", "draw_kind", "target_incentive", "period", "fiscal_start_month", "timezone",
    )  # fmt: skip
    rows = placed.select(
        "position",
        *kept,
        credited_amount="amount",
        split_weight=c("split_weight").cast(pl.Decimal(38, 8)),
        no_rate=c("is_unpriced_money") & c("amount").is_null() & c("plan_currency").is_not_null(),
        assumed=c("assumed") | c("terms_assumed").fill_null(value=False) | c("quota_assumed"),
    ).collect()
    # nearly every position is one credit: only the others are added up
    parted = c("position").is_duplicated()
    summed = (
        rows.filter(parted)
        .group_by("position")
        .agg(
            *(c(name).first() for name in kept),
            credited_amount=pl.when(c("credited_amount").is_not_null().all()).then(
                c("credited_amount").sum()
            ),
            split_weight=c("split_weight").sum(),
            no_rate=c("no_rate").any(),
            assumed=c("assumed").any(),
        )
    )
    return pl.concat(
        [rows.filter(~parted), summed.select(c(n).cast(t) for n, t in rows.schema.items())]
    ).sort("position")


def _count_news(
    positions: pl.DataFrame, news: pl.LazyFrame, firm: Firm, by: tuple[str, ...]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Number what credit is counted together (`span`), and bring the news inside it into its currency.

    Returns:
        The positions with `span`, null without a pay period; and the news: `span`, `component`, `product_id`, `opportunity_id`, `at`,
        `on`, `time_known`, `amount` (null where it has no rate), `pieces`, `known`.
    """
    c = pl.col
    spans = (
        positions.select(by)
        .drop_nulls(["counts_from", "counts_until"])
        .unique()
        .sort(by)
        .with_row_index("span")
    )
    months = spans.lazy().with_columns(
        month=pl.date_ranges(
            c("counts_from").dt.month_start(),
            (c("counts_until") - pl.duration(days=1)).dt.month_start(),
            interval="1mo",
        )
    )
    owner = [name for name in by if name in {"rep_id", "component"}]
    told = (
        news.drop("plan_currency", "fx_policy")
        .with_columns(month=c("on").dt.month_start())
        .join(months.explode("month", empty_as_null=False), on=[*owner, "month"])
        .filter(c("on") >= c("counts_from"), c("on") < c("counts_until"))
    )
    told = firm.exchange.convert(told, "amount", currency="currency").select(
        "span",
        "component",
        "product_id",
        "opportunity_id",
        "at",
        "on",
        "time_known",
        "amount",
        "pieces",
        "known",
    )
    return positions.join(spans, on=by, how="left", nulls_equal=True, maintain_order="left"), told.collect()


def _add_credit_before(positions: pl.DataFrame, told: pl.DataFrame, knowledge: Knowledge) -> pl.DataFrame:
    """s, as known without what the deal itself told early; null where a credit before has no rate.

    As final, parts of a deal that counted earlier (at invoice or cash) were credited when the later ones came.
    """
    c = pl.col
    told = told.rename({"amount": "credited_amount"})
    summed = sum_credit_before(positions.lazy(), told.lazy(), ["span"], time="at", known="known").collect()
    ours = _sum_own_early(positions, told if knowledge is Knowledge.AS_KNOWN else told.clear())
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
    """Positions with their schedule, whether their plan pays as a whole, and the first reason that stands against a price."""
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
        .with_columns(draw=pl.when(c("draw_kind") == "non_recoverable").then("draw"))
    )
    is_target = (c("rate_basis") == "target").fill_null(value=False) & (c("combine") == "additive")
    has_draw = c("draw").is_not_null()
    has_bounds = c("cap").is_not_null() | c("floor").is_not_null() | has_draw
    is_joint = (
        c("is_joint")
        | (has_draw & ((c("n_paid") > 1) | c("has_product_tiers")))
        | (has_bounds & c("is_changed"))
    ).fill_null(value=False)
    reasons = {
        "house_credit": c("credit_type") == HOUSE,
        "no_plan": c("plan_id").is_null(),
        "no_amount": c("credited_amount").is_null() & ~c("no_rate"),
        "no_fx_rate": c("no_rate"),
        "no_component": c("state").is_not_null() & c("n_paid").is_null(),
        "no_target_incentive": is_target & (c("target_incentive").is_null() | c("weight").is_null()),
        "no_quota": (is_target | (c("combine") != "additive")) & c("quota_amount").is_null(),
        "no_period": c("span").is_null() & (has_bounds | is_joint),
    }
    first_reason = pl.coalesce(
        "early_reason",
        *(pl.when(broken).then(pl.lit(name)) for name, broken in reasons.items()),
    )
    units = whole_cents(c("target_incentive")) * whole_units(c("weight")).cast(pl.Int128)
    return (
        staged.with_columns(
            is_joint=is_joint,
            null_reason=first_reason,
            # bounds of a plan paid as a whole hold for the whole (see `replay`)
            target_pay=pl.when(is_target).then(as_units(units)),
            known_at_latest=pl.max_horizontal("known_from", "state_known_at", "quota_known_at"),
            assumed=c("assumed") | c("plan_assumed").fill_null(value=False),
        )
        .sort("position")
        .collect()
    )


_JOINT: Final = (
    "pay_amount", "added_pay", "emcr", "base_rate", "relative_intensity", "emcr_lowest", "emcr_highest", "null_reason",
)  # fmt: skip


def _add_joint(
    priced: pl.DataFrame, ready: pl.DataFrame, news: pl.LazyFrame, firm: Firm, knowledge: Knowledge
) -> pl.DataFrame:
    """Replace the prices of plans that pay as a whole by those of a replay of the seller's period."""
    c = pl.col
    has_price = c("null_reason").is_null() | (c("null_reason") == "not_a_sale")
    asked = priced.filter(has_price).select("position")
    rows = ready.filter("is_joint").join(asked, on="position", how="semi").drop("span")
    line = {"pay_scale": pl.lit(1.0), "pay_elsewhere": pl.lit(0.0)}
    if not rows.height:
        return priced.with_columns(**line)
    floor = pl.max_horizontal(prorate(whole_cents(c("floor"))), whole_cents(c("draw")))
    rows = rows.with_columns(cap=as_money(prorate(whole_cents(c("cap")))), floor=as_money(floor))
    rows, told = _count_news(rows, news, firm, _WHOLE_SPAN)
    joint = price_jointly(rows, told, firm, knowledge)
    if knowledge is Knowledge.AS_KNOWN:
        joint = widen_day_orders(joint, rows, told, firm)
    joint = _refuse_after(joint, ready)
    missing = [name for name in _JOINT if name not in priced.columns]
    together = priced.join(joint, on="position", how="left", suffix="_joint").with_columns(
        is_replayed=c("pay_scale").is_not_null() | c("null_reason_joint").is_not_null()
    )
    return together.with_columns(
        *(
            pl.when("is_replayed").then(f"{name}_joint").otherwise(name).alias(name)
            for name in _JOINT
            if name not in missing
        ),
        known_at_latest=pl.max_horizontal("known_at_latest", "parts_known_at"),
        assumed=c("assumed") | c("parts_assumed").fill_null(value=False),
        **{name: pl.when("is_replayed").then(name).otherwise(plain) for name, plain in line.items()},
    ).with_columns(
        tier_before=pl.when(c("combine") != "gate").then("tier_before"),
        relative_null_reason=pl.when("is_replayed")
        .then(pl.coalesce("null_reason", pl.when(c("base_rate") == 0).then(pl.lit("base_rate_zero"))))
        .otherwise("relative_null_reason"),
    )


def _refuse_after(joint: pl.DataFrame, ready: pl.DataFrame) -> pl.DataFrame:
    """Prices without those of a deal whose earlier row has no amount: the total before them is not known."""
    c = pl.col
    order = pl.struct("component", "credit_type").rank("dense")
    rows = ready.filter("is_joint").select("position", *CASE, "credited_amount", "null_reason", order=order)
    unknown = (
        rows.filter(c("credited_amount").is_null())
        .sort(*CASE, "order")
        .group_by(CASE)
        .agg(after=c("order").first(), why=c("null_reason").first())
    )
    late = rows.join(unknown, on=CASE).filter(c("order") > c("after")).select("position", "why")
    return (
        joint.join(late, on="position", how="left")
        .with_columns(
            pl.when(c("why").is_null()).then(c(name)).alias(name)
            for name in joint.columns
            if name in _JOINT and name != "null_reason"
        )
        .with_columns(null_reason=pl.coalesce("why", "null_reason"))
        .drop("why")
    )
