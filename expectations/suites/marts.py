"""Suites on marts: distributions that hold in every company unless something is wrong upstream."""

from __future__ import annotations

from expectations.model import Severity
from expectations.suites.model import Expectation, between, mean_between, several_values

SUITES: dict[str, tuple[Expectation, ...]] = {
    "marts/deal_incentives": (
        between(
            "exposure_is_no_multiple_of_the_sale", "emcr_as_known", -1.0, 50.0,
            "740 % was seen where a small deal crosses a retroactive edge; fifty times the sale is a quota in the wrong unit.",
            optional=True,
        ),
        mean_between(
            "mean_exposure_is_a_commission_rate", "emcr_as_known", 0.0, 1.0,
            "Commission plans pay cents per unit of credit; a mean above 1 means rates in percent.", optional=True,
        ),
        between(
            "attainment_is_plausible", "attainment_before", -5.0, 100.0,
            "A hundred times the quota is a quota in thousands; credits may be reversed, so a little below zero is possible.",
            optional=True,
        ),
        between(
            "pay_periods_are_at_most_a_year", "days_to_period_end", 0, 366,
            "No pay period is longer than a year; more is a quota row without its end.", severity=Severity.BLOCK, optional=True,
        ),
    ),
    "marts/rep_periods": (
        between(
            "attainment_is_plausible", "attainment", -5.0, 100.0,
            "A hundred times the quota is a quota in thousands; credits may be reversed, so a little below zero is possible.",
            optional=True,
        ),
        mean_between(
            "most_credits_have_a_price", "unpriced_deals", 0.0, 0.5,
            "Every second period with a credit that cannot be priced: plans or quotas are missing for whole teams.",
        ),
    ),
    "marts/clawbacks": (
        mean_between(
            "clawbacks_take_pay_back", "booked_amount", -1e10, 0.0,
            "Positive on average is a sign mapped the wrong way round: pay would rise with every lost customer.", optional=True,
        ),
    ),
    "marts/deal_outcomes": (
        between(
            "fifths_are_one_to_five", "emcr_quintile", 1, 5, "Fifths by definition.", severity=Severity.BLOCK, optional=True,
        ),
        mean_between(
            "not_every_customer_is_lost", "churned_180d", 0.0, 0.9,
            "Nine of ten customers lost within half a year: the end of service is mapped to something else.", optional=True,
        ),
    ),
    "marts/account_months": (
        between(
            "exposure_fits_the_month", "exposure_days", 0, 31, "Days of one month.", severity=Severity.BLOCK,
        ),
    ),
    "marts/churn_by_incentive": (
        between("survival_is_a_probability", "survival", 0, 1, "By definition.", severity=Severity.BLOCK, optional=True),
        several_values("some_group_is_shown", "dimension", 1, "A table without a group shows nothing.", severity=Severity.BLOCK),
    ),
    "marts/complaints_by_incentive": (
        between("rates_are_not_negative", "rate_per_1000", 0, None, "Counts over time.", severity=Severity.BLOCK, optional=True),
    ),
    "marts/feedback_hops": (
        between(
            "hops_take_less_than_a_lifetime", "days", 0, 36525,
            "A hundred years is a sentinel date that came through.", severity=Severity.BLOCK, optional=True,
        ),
    ),
    "marts/board_scorecard": (
        between("the_page_has_at_most_fifteen_numbers", "position", 1, 15, "Nobody reads more.", severity=Severity.BLOCK),
    ),
}  # fmt: skip
