"""The table `incentive_effects`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.effects import estimate_effects
from assets.table import table_asset
from expectations.contracts.effects import INCENTIVE_EFFECTS


@table_asset(INCENTIVE_EFFECTS)
def incentive_effects(
    *,
    deal_outcomes: pl.LazyFrame,
    deal_incentives: pl.LazyFrame,
    feedback_hops: pl.LazyFrame,
    customer_events: pl.LazyFrame,
    plan_change_effects: pl.LazyFrame,
    quota_bunching: pl.LazyFrame,
    plans: pl.LazyFrame,
    company: Company,
) -> pl.LazyFrame:
    """How incentive and outcome move together: one estimate per outcome, exposure and specification.

    One row per `outcome`, `exposure` and `specification` (`assets/evidence/specifications.py`), levels 0 to 2, and for exposure
    `plan_change` the averages of `plan_change_effects`, level 4: differences, where the others are ratios (`scale`). Errors
    are clustered by seller. Rows of test family `control` must find nothing; `q_value` counts primary and secondary rows apart. A
    row without an estimate says why. Feedback has an outcome per hop (`feedback_lag`, `feedback_lag_triaged`, ...): at risk is what reached the
    step before, from that moment on; a refusal or the end of observation censors. `owner_emcr` is that of the month before. Do not pick the row with the largest ratio, and read none below level 4 as an effect.
    """
    return estimate_effects(
        deal_outcomes=deal_outcomes,
        deal_incentives=deal_incentives,
        feedback_hops=feedback_hops,
        customer_events=customer_events,
        plan_change_effects=plan_change_effects,
        quota_bunching=quota_bunching,
        plans=plans,
        company=company,
    )
