"""Marts that set incentive beside outcome, in groups large enough to show."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from expectations.columns import VOCABULARY
from expectations.model import Audience, Layer, Rule, Table, pick

_c = pl.col
_GROUP = "dimension!! value!! value_order"
_SIZE = "n n_accounts n_sellers suppressed!!"

SUPPRESSED_IS_NULL = "A suppressed cell shows nothing, and never 0."

CHURN_BY_INCENTIVE = Table(
    Layer.MARTS,
    "churn_by_incentive",
    title="Retention by incentive band.",
    grain="one row per dimension, value and horizon",
    key=("dimension", "value", "horizon_days"),
    columns=pick(
        VOCABULARY,
        f"{_GROUP} horizon_days!! at_risk events other_exits survival survival_lo survival_hi survival_seller_lo survival_seller_hi "
        f"cif_churn cif_churn_lo cif_churn_hi cif_churn_seller_lo cif_churn_seller_hi cif_other cif_churn_expected ratio_to_expected "
        f"cif_churn_standardised standardised_share is_reversed days_kept days_kept_lo days_kept_hi mature_share log_rank_p log_rank_seller_p {_SIZE}",
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("survival").is_null(), SUPPRESSED_IS_NULL),
        Rule(
            "survival_lies_in_its_interval",
            (_c("survival_lo") <= _c("survival") + 1e-9) & (_c("survival") <= _c("survival_hi") + 1e-9),
            "An interval holds its estimate.",
        ),
    ),
    audience=Audience.WIDE,
    query="SELECT value, n, cif_churn, cif_churn_lo, cif_churn_hi FROM marts.churn_by_incentive WHERE dimension = 'emcr_quintile' AND horizon_days = 180 ORDER BY value_order",
    do_not="Do not read a difference between bands as an effect: evidence level 0, sellers and territories differ.",
)

COMPLAINTS_BY_INCENTIVE = Table(
    Layer.MARTS,
    "complaints_by_incentive",
    title="Complaints by incentive band.",
    grain="one row per dimension, value, category and period",
    key=("dimension", "value", "category", "period"),
    columns=(
        *pick(VOCABULARY, _GROUP),
        replace(VOCABULARY["category"], values=(), description="Category of complaint, or `all`."),
        replace(VOCABULARY["period"], values=(), description="Quarter of receipt, or `all`."),
        *pick(
            VOCABULARY,
            "complaints upheld account_months rate_per_1000 rate_per_1000_lo rate_per_1000_hi rate_per_1000_seller_lo "
            "rate_per_1000_seller_hi expected ratio_to_expected rate_per_1000_standardised standardised_share is_reversed "
            "ratio_to_lowest",
        ),
        *pick(VOCABULARY, _SIZE),
    ),
    rules=(
        Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("complaints").is_null(), SUPPRESSED_IS_NULL),
        Rule(
            "rate_lies_in_its_interval",
            (_c("rate_per_1000_lo") <= _c("rate_per_1000") + 1e-9)
            & (_c("rate_per_1000") <= _c("rate_per_1000_hi") + 1e-9),
            "An interval holds its estimate.",
        ),
    ),
    audience=Audience.WIDE,
    query="SELECT value, complaints, rate_per_1000, rate_per_1000_lo, rate_per_1000_hi FROM marts.complaints_by_incentive WHERE dimension = 'emcr_quintile' AND category = 'all' AND period = 'all' ORDER BY value_order",
    do_not="Do not compare rates across firms: what counts as a complaint differs.",
)

FEEDBACK_HOPS = Table(
    Layer.MARTS,
    "feedback_hops",
    title="Where feedback waits, hop by hop.",
    grain="one row per feedback item and hop entered",
    key=("feedback_id", "hop"),
    columns=(
        *pick(
            VOCABULARY,
            "feedback_id!! hop!! opportunity_id account_id solicited entered_at!! left_at days business_days censored!! outcome "
            "skipped_before separation_at_capture",
        ),
        replace(
            VOCABULARY["owner_rep_id"],
            description="Seller who looked after the customer on the day the hop was entered; where nobody was assigned, the seller of the deal.",
        ),
    ),
    rules=(
        Rule("nothing_leaves_before_it_enters", _c("left_at") >= _c("entered_at"), "Time runs forward."),
        Rule(
            "censored_items_have_not_left",
            _c("censored") == _c("left_at").is_null(),
            "Waiting or gone, not both.",
        ),
    ),
    audience=Audience.ANALYST,
    query="SELECT hop, count(*) AS items, avg(censored::INT) AS still_waiting FROM marts.feedback_hops GROUP BY hop ORDER BY items DESC",
    do_not="Do not average `days` over items that have left: those still waiting are the slow ones.",
)

_LAG_COLUMNS = (
    *pick(VOCABULARY, _GROUP),
    *pick(VOCABULARY, "hop!! n reached"),
    replace(VOCABULARY["censored_items"], name="censored"),
    *pick(
        VOCABULARY,
        "median_days median_days_lo median_days_hi p75_days captured_30d captured_30d_lo captured_30d_hi captured_90d captured_90d_lo "
        "captured_90d_hi captured_90d_standardised standardised_share is_reversed median_business_days n_accounts n_sellers "
        "suppressed!!",
    ),
)

FEEDBACK_LAG_BY_INCENTIVE = Table(
    Layer.MARTS,
    "feedback_lag_by_incentive",
    title="Feedback lag by incentive band.",
    grain="one row per dimension, value and hop",
    key=("dimension", "value", "hop"),
    columns=_LAG_COLUMNS,
    rules=(Rule("suppressed_cells_are_null", ~_c("suppressed") | _c("n").is_null(), SUPPRESSED_IS_NULL),),
    audience=Audience.WIDE,
    query="SELECT value, n, median_days, captured_30d FROM marts.feedback_lag_by_incentive WHERE dimension = 'emcr_quintile' AND hop = 'triaged' ORDER BY value_order",
    do_not="Do not read hop `captured` as lag of all that was said: what was never written down is not in the data.",
)

INCENTIVE_VALUE = Table(
    Layer.MARTS,
    "incentive_value",
    title="What a dollar of incentive went with after a year of churn, refunds, complaints and clawbacks.",
    grain="one row per plan and tier, and one per move of sellers into the plan",
    key=("plan_id", "tier", "plan_change"),
    columns=(
        *pick(VOCABULARY, "plan_id!!"),
        replace(VOCABULARY["tier"], description="Tier; null in rows of moves between plans: all tiers."),
        replace(
            VOCABULARY["plan_change"],
            description="The move between plans and versions that a row of level 4 is about; else null.",
        ),
        *pick(VOCABULARY, "currency!!"),
        replace(
            VOCABULARY["net_value"],
            name="bookings",
            description="Amount of the deals, by the share of each that belongs to the row.",
        ),
        *pick(
            VOCABULARY,
            "incentive_paid revenue_kept refunds_amount complaint_cost clawbacks_amount net_value net_value_per_dollar "
            "net_value_per_dollar_lo net_value_per_dollar_hi evidence_level!! n n_accounts n_sellers warnings!! suppressed!! sentence!!",
        ),
    ),
    rules=(
        Rule(
            "suppressed_cells_are_null",
            ~_c("suppressed") | _c("incentive_paid").is_null(),
            SUPPRESSED_IS_NULL,
        ),
        Rule(
            "net_value_adds_up",
            _c("net_value")
            == _c("revenue_kept") - _c("refunds_amount") - _c("complaint_cost") + _c("clawbacks_amount"),
            "One account, four entries.",
        ),
        Rule(
            "an_account_is_descriptive",
            (_c("evidence_level") == 0) == _c("plan_change").is_null(),
            "Only a change of plan says what would have been sold without the money.",
        ),
    ),
    audience=Audience.WIDE,
    query="SELECT plan_id, tier, bookings, incentive_paid, revenue_kept, net_value_per_dollar, net_value_per_dollar_lo, net_value_per_dollar_hi FROM marts.incentive_value WHERE NOT suppressed AND evidence_level = 0 ORDER BY plan_id, tier",
    do_not="Do not read level 0 as what the incentive caused: an average over deals of which many would have come anyway; the cost of goods is not in it.",
)

TABLES = (
    CHURN_BY_INCENTIVE,
    COMPLAINTS_BY_INCENTIVE,
    FEEDBACK_HOPS,
    FEEDBACK_LAG_BY_INCENTIVE,
    INCENTIVE_VALUE,
)
