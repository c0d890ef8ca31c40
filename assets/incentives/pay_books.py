"""What pay is summed from, in one hand: credits where they count today, pay periods, plans. Nothing is summed here."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from assets.incentives.credit_places import place_credits
from assets.incentives.deal_prices import price_today
from assets.incentives.exchange import Exchange
from assets.incentives.firm import Firm, read_firm
from assets.incentives.ledger_sums import place_entries
from assets.incentives.pay_tables import PayTables
from assets.incentives.plans_today import PLAN, PlansToday, read_plans_today, read_results_today
from assets.incentives.pricing import GRAIN
from assets.incentives.seller_periods import SPAN, cut_into_segments, list_quotas_today, list_seller_periods

_c = pl.col

_PRICES = (
    "credited_amount_final", "added_pay_amount", "added_pay_amount_final", "attainment_before_final", "spiff_amount",
    "split_weight", "null_reason",
)  # fmt: skip


def sum_if_all(name: str) -> pl.Expr:
    """Exact sum of money, null when any term is null."""
    return pl.when(_c(name).is_not_null().all()).then(_c(name).sum().cast(pl.Decimal(18, 2)))


@dataclass(frozen=True, slots=True)
class PayBooks:
    """Everything with today's knowledge, from `open_books`.

    Attributes:
        tables: the core tables.
        plans: plans and assignments.
        quotas: from `list_quotas_today`.
        results: from `read_results_today`.
        spans: pay periods: `SPAN`, `period_end`, and of the version held last `version`, `plan_currency`, `fx_policy`, `component`
            (the plan's leading one; without a plan that of the seller's first quota).
        segments: from `cut_into_segments`.
        credits: from `place_credits`, with the prices of `deal_incentives`, those of several periods priced in each; credits of the house, which pay nobody, left out.
        exchange: the firm's rates.
    """

    tables: PayTables
    plans: PlansToday
    quotas: pl.DataFrame
    results: pl.DataFrame
    spans: pl.DataFrame
    segments: pl.DataFrame
    credits: pl.DataFrame
    exchange: Exchange

    def place_ledger(self, ledger: pl.LazyFrame) -> pl.LazyFrame:
        """See `ledger_sums.place_entries`."""
        plan_of_credit = self.number_credits().select("credit_id", credit_plan_id="plan_id")
        return place_entries(ledger, self.spans, plan_of_credit, self.exchange, self.tables.company)

    def number_credits(self) -> pl.LazyFrame:
        """The credits, one row per `credit_id` instead of per grain and period."""
        ids = self.credits.lazy().with_columns(n_credits=_c("credit_ids").list.len())
        return ids.explode("credit_ids", empty_as_null=False).rename({"credit_ids": "credit_id"})


def open_books(tables: PayTables, deal_incentives: pl.LazyFrame) -> PayBooks:
    """Read plans, place credits, list pay periods."""
    plans = read_plans_today(tables.plans, tables.plan_components, tables.plan_tiers, tables.plan_assignments)
    firm = read_firm(tables)
    placed = (
        place_credits(tables, firm)
        .filter(_c("credit_type") != "house")
        .join(deal_incentives.select(*GRAIN, *_PRICES), on=GRAIN, how="left")
        .sort(*GRAIN, "nth_part")
        .collect()
    )
    placed = _price_parts(placed, tables, firm)
    results = read_results_today(tables.component_results)
    spans = list_seller_periods(firm, placed, results, plans)
    quotas = list_quotas_today(firm)
    segments = cut_into_segments(spans, plans.terms)
    return PayBooks(
        tables=tables,
        plans=plans,
        quotas=quotas,
        results=results,
        spans=_describe_spans(spans, segments, placed, plans, quotas),
        segments=segments,
        credits=placed,
        exchange=firm.exchange,
    )


def _price_parts(placed: pl.DataFrame, tables: PayTables, firm: Firm) -> pl.DataFrame:
    """Credit that counts in several pay periods, priced in each; what was known at the close stands with the first."""
    spread = placed.filter("is_spread")
    if not spread.height:
        return placed
    key = [*GRAIN, "plan_id", "period_start"]
    parts = (
        price_today(spread["rep_id"].unique(), tables, firm)
        .sort(*key, "at")
        .group_by(key, maintain_order=True)
        .agg(
            sum_if_all("credited_amount").alias("credited_amount_final"),
            sum_if_all("pay_amount").alias("added_pay_amount_final"),
            _c("attainment_before").first().alias("attainment_before_final"),
            _c("split_weight").sum(),
        )
    )
    none = pl.lit(0, dtype=pl.Decimal(18, 2))
    of_close = ("added_pay_amount", "spiff_amount")
    priced = (
        spread.drop(
            "credited_amount_final", "added_pay_amount_final", "attainment_before_final", "split_weight"
        )
        .join(parts, on=key, how="left", nulls_equal=True)
        .with_columns(pl.when(_c("nth_part") == 0).then(c).otherwise(none).alias(c) for c in of_close)
        .select(_c(name).cast(dtype) for name, dtype in placed.schema.items())
    )
    return pl.concat([placed.filter(~_c("is_spread")), priced]).sort(*GRAIN, "nth_part")


def _describe_spans(
    spans: pl.DataFrame,
    segments: pl.DataFrame,
    placed: pl.DataFrame,
    plans: PlansToday,
    quotas: pl.DataFrame,
) -> pl.DataFrame:
    """Periods with the version that held last (where assignments say nothing, that of the last credit)."""
    of_terms = segments.group_by(SPAN, maintain_order=True).agg(_c("version").last())
    of_credits = (
        placed.sort(*SPAN, "on").group_by(SPAN, maintain_order=True).agg(credit_version=_c("version").last())
    )
    facts = plans.plans.select(*PLAN, "fx_policy", plan_currency="currency")
    lead = plans.components.filter("is_lead").select(*PLAN, "component")
    first_quota = quotas.group_by("rep_id", "period_start").agg(quota_component=_c("component").min())
    return (
        spans.join(of_terms, on=SPAN, how="left")
        .join(of_credits, on=SPAN, how="left")
        .with_columns(version=pl.coalesce("version", "credit_version"))
        .join(facts, on=PLAN, how="left")
        .join(lead, on=PLAN, how="left")
        .join(first_quota, on=["rep_id", "period_start"], how="left")
        .with_columns(component=pl.coalesce("component", "quota_component"))
        .drop("credit_version", "quota_component")
        .sort(SPAN)
    )
