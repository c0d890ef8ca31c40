"""The mart `deal_incentives`: how strong the incentive was when each deal closed."""

from __future__ import annotations

import polars as pl

from assets.incentives.deal_prices import price_deals
from assets.incentives.leakage import check_replay
from assets.incentives.pay_tables import PayTables
from assets.table import table_asset
from expectations.contracts.incentives import DEAL_INCENTIVES


@table_asset(DEAL_INCENTIVES)
def deal_incentives(
    tables: PayTables,
) -> pl.LazyFrame:
    """How strong the incentive was when each deal closed.

    One row per deal, credited seller, component and credit type. Steps: book credits (without a credits table each won
    deal credits its seller); find the plan, quota and credit attained that were known at the close; price the deal at that
    point of the pay curve; price it again with today's knowledge; add SPIFFs; replay a sample of deals from nothing but what
    was recorded by their close.

    Do not assume that a null exposure is zero: `null_reason` says why it is null. `emcr_as_final` and everything else called
    final holds later knowledge and is no exposure.
    """
    return check_replay(price_deals(tables).collect().lazy(), tables)
