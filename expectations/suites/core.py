"""Suites on source tables: shares and volumes that a mapping mistake would move, rows could not show."""

from __future__ import annotations

from expectations.suites.model import Expectation, between, mean_between, mostly_filled, several_values

SUITES: dict[str, tuple[Expectation, ...]] = {
    "core/accounts": (
        several_values("accounts_are_several", "account_id", 2, "One account is a mapping to a constant."),
    ),
    "core/reps": (
        several_values("reps_are_several", "rep_id", 2, "One seller is a mapping to a constant."),
    ),
    "core/opportunities": (
        mean_between(
            "win_rate_is_plausible", "is_won", 0.01, 1.0,
            "A pipeline in which almost nothing is won has the won flag mapped the wrong way round; all won is a list of orders.",
        ),
        mostly_filled(
            "most_deals_have_an_account", "account_id", 0.5,
            "Deals without account are kept, but a firm in which most lack one has the column mapped wrongly. Set under the "
            "worst real pipeline seen (84 % filled).",
        ),
        between("deal_amounts_are_not_absurd", "amount", -1e10, 1e10, "More than ten billion is a unit mistake.", optional=True),
    ),
    "core/credits": (
        mean_between(
            "splits_are_shares", "split_weight", 0.05, 1.0,
            "Shares given in percent would have been rejected; a mean under 5 % means they were divided twice.",
        ),
    ),
    "core/quotas": (
        several_values("quotas_differ", "amount", 2, "One quota for everybody and every period is a placeholder."),
    ),
    "core/plan_tiers": (
        between(
            "tier_rates_are_shares_of_credit", "rate", -1.0, 1.0,
            "A rate above 1 pays more than was sold: percent not divided by 100. Pay per call is priced in money and may be "
            "above, hence a warning only.",
        ),
    ),
    "core/subscriptions": (
        mostly_filled(
            "most_subscriptions_name_their_account", "account_id", 0.95,
            "A contract belongs to a customer; set just above what soft-deleted customers leave open.",
        ),
    ),
    "core/complaints": (
        mostly_filled(
            "most_complaints_name_their_account", "account_id", 0.5,
            "Anonymous complaints exist; a ticket system in which most are anonymous has the customer mapped wrongly.",
        ),
    ),
    "core/activities": (
        mostly_filled("most_activities_name_their_account", "account_id", 0.5, "Touches without account reach nobody."),
    ),
}  # fmt: skip
