"""Every table that is safe to hand around, and the facts about hiding in it.

`WIDE` says what a cell is, what it adds up with, and what protects it; `outsider.py` writes the same down as equations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BY_RULE: Final = "hide_small_cells: by rule and by linear program"


@dataclass(frozen=True)
class Facts:
    """What there is to know about hiding in a table.

    Attributes:
        cell: who stands behind a row.
        adds_up: what its numbers add up with, in it and in other tables.
        protection: why a hidden number can't be told.
    """

    cell: str
    adds_up: str
    protection: str


WIDE: Final = {
    "churn_by_incentive": Facts(
        "the deals of a group; all horizons are hidden together",
        "groups of a dimension make up `all`, crossed groups both of theirs, plans those with a feature; n is that of "
        "complaints_by_incentive; deals per quarter are in sales_rhythm, selling_style and on the board's page",
        BY_RULE + "; hide_groups decides for all tables at once, seasons of sales_rhythm included",
    ),
    "complaints_by_incentive": Facts(
        "the deals of a group under observation in a quarter; all categories are hidden together",
        "as churn_by_incentive; quarters make up `all` in complaints and account-months; categories make up `all`",
        BY_RULE,
    ),
    "feedback_lag_by_incentive": Facts(
        "the items of a group that entered a hop",
        "groups as above, hop by hop; what entered `triaged` entered `board_seen`; what left a hop entered the next one",
        BY_RULE
        + "; a group hidden at a hop is hidden at the later ones. How many items left a hop that may be shown is shown, an event of that "
        "cell: it is the size of the next hop, and the later ones are no larger, so these are only kept from being told exactly",
    ),
    "incentive_value": Facts(
        "the mature deals of a plan in a tier",
        "no total is published; churn_by_incentive tells how many mature deals a plan and a tier have",
        BY_RULE
        + " with those totals known; money follows: a count that can move leaves all sums over it open",
    ),
    "incentive_effects": Facts(
        "all deals of the firm that a specification can use",
        "nothing: rows are fits to the whole firm, no row is a sum of others; a row of a higher level has at most the deals of a lower one",
        "a row of too few people is hidden by itself; between 0 and the size of a lower level its size is open",
    ),
    "plan_change_effects": Facts(
        "the deals of sellers who were moved from one plan to another",
        "kinds of moves make up all moves (each seller's first); quarters from a move are averaged, all of them are hidden together",
        BY_RULE,
    ),
    "plan_features": Facts(
        "the sellers on a plan version, for medians of their quotas and target pay; everything else is the plan's own terms",
        "medians do not add up, and no table publishes quotas; sellers of all versions of a time make up those of value_drift",
        "medians of fewer than five sellers are hidden; so is how many sellers the smallest version beside has",
    ),
    "value_drift": Facts(
        "the sellers of a team in a quarter, by what their plans promise",
        "teams make up the company in n_sellers; shares are weighted by target pay, which is published nowhere",
        BY_RULE,
    ),
    "sales_rhythm": Facts(
        "the deals of a unit in the thinnest phase of a candidate period; all phases are hidden together",
        "teams and regions make up the company, teams within a region that region; months of a half and of a year make up months of a quarter",
        BY_RULE + ", phase by phase",
    ),
    "quota_bunching": Facts(
        "the pay periods of a plan around a threshold",
        "plans that share a threshold make up `all`; specifications of one place are hidden together",
        BY_RULE + "; under 200 periods nothing is shown at all",
    ),
    "customer_distance": Facts(
        "the customer days of a segment in a month",
        "segments make up `all`, months make up `all`; customers per segment are those of churn_by_incentive",
        BY_RULE + "; segments hidden there are hidden here",
    ),
    "unmet_needs": Facts(
        "the needs of a group in a quarter, solicited and not apart",
        "groups of a dimension make up `all`, quarters make up `all`; two lists and their overlap make up n",
        BY_RULE,
    ),
    "market_shifts": Facts(
        "the items of a theme in a channel",
        "channels of a theme make up `all`; themes make up nothing that is published",
        BY_RULE,
    ),
    "selling_style": Facts(
        "the activities of a team in a quarter",
        "teams make up `all`; sales_rhythm tells sums over the quarters of a season; deals of all teams are those of churn_by_incentive",
        BY_RULE + " with those sums known; quarters of deals hidden there are hidden here",
    ),
    "lead_lags": Facts(
        "the sellers and customers of the teams whose series are compared",
        "nothing: rows are fits over all teams with both series, no row is a sum of others",
        "a row of too few people is hidden by itself",
    ),
    "board_scorecard": Facts(
        "the deals, or the feedback, of the whole firm in one quarter",
        "the deals of a quarter are a group of churn_by_incentive; feedback of all quarters is in feedback_lag_by_incentive",
        "a quarter hidden there is not shown here, nor is a change against one, nor feedback whose rest would be few people's; bars of "
        "the page's pictures are hidden by hide_small_cells",
    ),
    "quality_results": Facts("a check", "counts rows of tables, nobody's in particular", "no people in it"),
    "source_coverage": Facts("a column of a source", "counts rows of sources", "no people in it"),
    "rejects_summary": Facts("a reason for keeping rows aside", "counts rows of files", "no people in it"),
    "suppressions": Facts(
        "a table", "counts hidden rows, which the tables show themselves", "no people in it"
    ),
}
