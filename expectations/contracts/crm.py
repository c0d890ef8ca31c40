"""Source tables of the CRM: accounts, people, deals, activities."""

from __future__ import annotations

import polars as pl

from expectations.columns import VOCABULARY
from expectations.model import GroupRule, Layer, Reference, Rule, Sensitivity, Severity, Table, pick

_c = pl.col


def _valid_period(start: str, end: str) -> Rule:
    return Rule(
        f"{end}_is_after_{start}",
        _c(end) > _c(start),
        "Validity is half-open; an empty period holds nothing.",
        Severity.REJECT,
    )


ACCOUNTS = Table(
    Layer.CORE,
    "accounts",
    title="Customer accounts.",
    grain="one row per account",
    key=("account_id",),
    columns=(
        *pick(VOCABULARY, "account_id!!"),
        *pick(VOCABULARY, "name", sensitivity=Sensitivity.PERSONAL),
        *pick(
            VOCABULARY,
            "segment region industry timezone created_at parent_account_id merged_into_id is_target_profile is_vulnerable deleted",
        ),
    ),
    rules=(
        Rule(
            "account_is_not_merged_into_itself",
            _c("merged_into_id") != _c("account_id"),
            "A merge needs a surviving account.",
            Severity.WARN,
        ),
    ),
    references=(
        Reference("parent_account_id", "accounts", "account_id"),
        Reference("merged_into_id", "accounts", "account_id"),
    ),
    # created_at is often an import date: accounts are never dated by it
    required=True,
)

REPS = Table(
    Layer.CORE,
    "reps",
    title="Sellers and the other employees of the sales organisation.",
    grain="one row per employee",
    key=("rep_id",),
    columns=(
        *pick(
            VOCABULARY,
            "rep_id!! role team region hired_on left_on left_reason base_salary currency timezone fte",
        ),
    ),
    rules=(
        Rule(
            "left_on_is_not_before_hired_on",
            _c("left_on") >= _c("hired_on"),
            "Nobody leaves before joining.",
            Severity.REJECT,
        ),
    ),
    required=True,
)

REPORTING_LINES = Table(
    Layer.CORE,
    "reporting_lines",
    title="Who reported to whom, and when.",
    grain="one row per employee, first day and version",
    key=("rep_id", "valid_from"),
    columns=pick(
        VOCABULARY,
        "rep_id!! valid_from!! manager_id! valid_to is_board recorded_at knowledge_time_assumed*",
    ),
    rules=(
        _valid_period("valid_from", "valid_to"),
        Rule(
            "nobody_manages_themselves",
            _c("manager_id") != _c("rep_id"),
            "A tree has no loop of length one.",
            Severity.REJECT,
        ),
    ),
    group_rules=(
        GroupRule(
            "managers_form_a_tree", "Distance to the board needs a path; a cycle has none.", ("rep_id",)
        ),
    ),
    references=(Reference("rep_id", "reps"), Reference("manager_id", "reps", "rep_id")),
    known_from="valid_from",
    switches_off="degrees of separation between the board and the customer",
)

ACCOUNT_ASSIGNMENTS = Table(
    Layer.CORE,
    "account_assignments",
    title="Which seller looked after which account, and when.",
    grain="one row per account, employee, role and first day",
    key=("account_id", "rep_id", "role", "valid_from"),
    columns=pick(VOCABULARY, "account_id!! rep_id!! role!! valid_from!! valid_to reason"),
    rules=(_valid_period("valid_from", "valid_to"),),
    references=(Reference("account_id", "accounts"), Reference("rep_id", "reps")),
    switches_off="current owners: the seller of the deal stands in",
)

PRODUCTS = Table(
    Layer.CORE,
    "products",
    title="What is sold.",
    grain="one row per product",
    key=("product_id",),
    columns=pick(VOCABULARY, "product_id!! name family list_price launched_on"),
    switches_off="the product dimension's names; deals keep their product ids",
)

OPPORTUNITIES = Table(
    Layer.CORE,
    "opportunities",
    title="Deals, won, lost and open.",
    grain="one row per deal and version",
    key=("opportunity_id",),
    columns=pick(
        VOCABULARY,
        "opportunity_id!! account_id! rep_id!! product_id created_at closed_at! stage is_won!! amount! currency!! list_amount "
        "term_months starts_on lost_reason consented recorded_at closed_time_known* knowledge_time_assumed*",
    ),
    references=(
        Reference("account_id", "accounts"),
        Reference("rep_id", "reps"),
        Reference("product_id", "products"),
    ),
    event_time="closed_at",
    known_from="closed_at",
    required=True,
)

ACTIVITIES = Table(
    Layer.CORE,
    "activities",
    title="Calls, mails, meetings, demos and visits.",
    grain="one row per activity",
    key=("activity_id",),
    columns=pick(
        VOCABULARY,
        "activity_id!! account_id! rep_id!! occurred_at!! channel direction outcome solicited opted_out",
    ),
    references=(Reference("account_id", "accounts"), Reference("rep_id", "reps")),
    event_time="occurred_at",
    partitioned=True,
    switches_off="touches, selling style, contact after refusal",
)

TABLES = (ACCOUNTS, REPS, REPORTING_LINES, ACCOUNT_ASSIGNMENTS, PRODUCTS, OPPORTUNITIES, ACTIVITIES)
