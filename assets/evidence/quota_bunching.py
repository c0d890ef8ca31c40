"""The table `quota_bunching`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.threshold_bunching import estimate_places, list_places
from assets.incentives.pay_thresholds import find_caps, list_thresholds
from assets.incentives.period_attainment import attain_periods
from assets.methods.exact import RATE
from assets.table import Made, table_asset
from expectations.contracts.rhythm import QUOTA_BUNCHING

_RATES = ("threshold", "window", "bin_width")


@table_asset(QUOTA_BUNCHING)
def quota_bunching(
    deal_incentives: pl.LazyFrame,
    quotas: pl.LazyFrame,
    plan_features: pl.LazyFrame,
    plan_components: pl.LazyFrame,
    plans: pl.LazyFrame,
    company: Company,
) -> Made:
    """Whether pay periods end just past a pay threshold more often than they would without it.

    One row per plan, component, threshold, window and specification; plan `all` pools the plans that share a threshold. Steps:
    sum every seller's credit of a pay period that has ended over its final quota; count periods in bins around each
    threshold; fit the counterfactual without the window, balanced by the integration constraint; draw sellers anew for
    intervals; around a cap, which stands at another attainment for every quota, count how far each period ended from its own;
    repeat under other windows, degrees, bin widths and sides, and at 85, 95, 105 and 115 %, where nothing is paid.

    Do not run a regression discontinuity at a threshold: sellers choose on which side they end. A placebo just below a real
    threshold lacks what was moved over it; only excess there would speak against the estimate.
    """
    periods = attain_periods(deal_incentives, quotas)
    ended = periods.filter(pl.col("period_end") <= pl.lit(company.as_of) + pl.duration(days=1))
    caps = find_caps(ended, plan_features, plan_components, plans)
    capped = ended.join(caps, on=["plan_id", "version", "component", "quota_amount"], how="left")
    places = list_places(capped, list_thresholds(plan_features, plan_components))
    kinds = {**QUOTA_BUNCHING.schema, **dict.fromkeys(_RATES, pl.Int64())}
    frame = pl.DataFrame(list(estimate_places(places)), schema=kinds, infer_schema_length=None)
    whole = pl.lit("1e-8").str.to_decimal(scale=8).cast(pl.Decimal(38, 8))
    rates = (pl.col(_RATES).cast(pl.Decimal(38, 0)) * whole).cast(RATE)
    facts = {"seller_periods": len(periods), "seller_periods_still_running": len(periods) - len(ended)}
    return Made(
        frame.with_columns(rates, pl.selectors.float().round(8)).sort(QUOTA_BUNCHING.key).lazy(), facts
    )
