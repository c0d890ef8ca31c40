"""The table `plan_change_effects`."""

from __future__ import annotations

import polars as pl

from assets.company import Company
from assets.evidence.plan_changes import estimate_plan_changes
from assets.table import table_asset
from expectations.contracts.effects import PLAN_CHANGE_EFFECTS


@table_asset(PLAN_CHANGE_EFFECTS)
def plan_change_effects(
    deal_outcomes: pl.LazyFrame, plan_assignments: pl.LazyFrame, company: Company
) -> pl.LazyFrame:
    """What changed for customers when sellers were moved to another pay plan.

    One row per `plan_change`, `outcome`, `term` and `relative_period`, level 4. Sellers who moved are followed for a year before and
    after their own day, beside sellers who never moved, within sellers and calendar months. `emcr_as_known` says how far the
    move changed the incentive itself, `deals_won` how many deals there were to have outcomes at all. Rows of term `placebo` must
    find nothing. Do not call an average an effect where `pre_trend_p` is small.
    """
    return estimate_plan_changes(deal_outcomes, plan_assignments, company).lazy()
