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
    "marts/sales_rhythm": (
        between(
            "no_phase_sells_more_than_its_whole_period", "won_index", 0, 12,
            "All sales of a year in one month is an index of 12; a negative one is a trend that runs away.", optional=True,
        ),
        mean_between(
            "win_rates_are_of_won_and_lost_deals", "win_rate", 0.0, 0.99,
            "A firm that wins everything has not exported what it lost; the win rate then says nothing.", optional=True,
        ),
    ),
    "marts/quota_bunching": (
        between(
            "thresholds_are_shares_of_quota", "threshold", 0, 20,
            "Nobody is paid for twenty times the quota; more is a threshold in percent.", optional=True,
        ),
        between(
            "no_more_is_moved_than_there_is", "normalised_excess", -100, 1000,
            "A thousand bins' worth of periods at one place is a counterfactual that has come apart.", optional=True,
        ),
    ),
    "marts/feedback_hops": (
        between(
            "hops_take_less_than_a_lifetime", "days", 0, 36525,
            "A hundred years is a sentinel date that came through.", severity=Severity.BLOCK, optional=True,
        ),
    ),
    "marts/customer_distance": (
        between(
            "nobody_is_fifty_managers_from_the_board", "distance_max", 0, 50,
            "No firm is that deep: a tree keyed by posts or by days, not by people.", optional=True,
        ),
        mean_between(
            "most_customers_have_an_owner_with_a_path", "placed_share", 0.5, 1.0,
            "Owners who are mostly missing from the reporting tree carry other ids there; averages would be those of the few found.",
            optional=True,
        ),
        mean_between(
            "executives_do_not_make_every_contact", "executive_touch_share", 0.0, 0.9,
            "Nine of ten outbound contacts by executives is a role column that says executive for everybody.", optional=True,
        ),
    ),
    "marts/unmet_needs": (
        several_values(
            "needs_are_shown_by_group", "dimension", 2,
            "Needs of the whole firm alone say nothing of who is not heard: no need found its deal.",
        ),
        mean_between(
            "sellers_hear_some_and_not_all", "seller_capture_rate", 0.005, 0.995,
            "All or nothing of what others hear is a source column mapped to one word for most rows.", optional=True,
        ),
        mean_between(
            "not_every_need_is_met", "met_365d", 0.0, 0.98,
            "Needs nearly all met within a year is a need column that turns to met by default.", optional=True,
        ),
    ),
    "marts/market_shifts": (
        mean_between(
            "most_themes_do_not_shift", "is_shift", 0.0, 0.5,
            "With false discoveries held at 5 %, half of all themes shifting is a list of themes that was renamed.", optional=True,
        ),
        between(
            "themes_are_watched_less_than_a_lifetime", "weeks", 0, 5_218,
            "A hundred years of weeks start at a sentinel date.", severity=Severity.BLOCK, optional=True,
        ),
        between(
            "a_shift_is_seen_within_a_lifetime", "seen_days", 0, 36_525,
            "A hundred years is a sentinel date that came through.", severity=Severity.BLOCK, optional=True,
        ),
    ),
    "marts/selling_style": (
        mean_between(
            "not_every_contact_is_pressed_on_the_customer", "outbound_pressure", 0.0, 0.98,
            "Activities that are all outbound and unasked are a direction column with a default.", optional=True,
        ),
        between(
            "nobody_calls_a_customer_all_day", "calls_per_account_month", 0, 500,
            "Over twenty calls a working day to one customer are dialler records, one per ring.", optional=True,
        ),
        between(
            "sellers_do_not_write_down_hundreds_of_needs_a_deal", "needs_per_deal", 0, 100,
            "A hundred needs a deal won are notes counted as needs, or deals that mostly lack their seller.", optional=True,
        ),
        between(
            "no_team_is_ten_deviations_from_the_others", "style_composite", -10, 10,
            "So far from the firm's mean is one cell on another scale, which then sets the scale for all.", optional=True,
        ),
    ),
    "marts/lead_lags": (
        several_values(
            "more_than_one_series_is_followed", "leading_series", 2, "A series can't lead itself.", severity=Severity.BLOCK,
        ),
        between(
            "no_lead_is_fifty_deviations", "estimate", -50, 50,
            "So large an estimate is one that its short history hardly tells; its interval says so, readers of the number alone would not see it.",
            optional=True,
        ),
    ),
    "marts/incentive_value": (
        between(
            "a_dollar_of_incentive_goes_with_no_thousands", "net_value_per_dollar", -1000, 1000,
            "Commission below a thousandth of the booking is a rate in percent read as a share.", optional=True,
        ),
    ),
    "marts/conduct_indicators": (
        between(
            "nobody_is_a_hundred_times_like_the_others", "shrunken_ratio", 0, 100,
            "A shrunken ratio of a hundred is events of another firm counted here.", optional=True,
        ),
    ),
    "marts/board_scorecard": (
        between("the_page_has_at_most_fifteen_numbers", "position", 1, 15, "Nobody reads more.", severity=Severity.BLOCK),
    ),
}  # fmt: skip
