"""A made-up company as its systems' loaders would land it: Salesforce, Zendesk and Stripe, commission data as plain CSV.

Beside it the same company in the source tables' own columns, without presets, cut to what those systems can say. A run
over either must publish the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

COMMISSION = ("plans", "plan_components", "plan_tiers", "plan_assignments", "quotas", "credits")
COMPANY = "company: {reporting_currency: USD, timezone: America/New_York, as_of: 2025-12-31, history_from: 2024-07}\n"

CONNECTED = """\
sources:
  accounts: {preset: salesforce, path: "salesforce/<object>.parquet"}
  reps: {preset: salesforce, path: "salesforce/<object>.parquet", columns: {hired_on: Hired__c, left_on: Left__c}}
  reporting_lines: {preset: salesforce, path: "salesforce/<object>.parquet", columns: {valid_from: Hired__c}}
  products: {preset: salesforce, path: "salesforce/<object>.parquet"}
  opportunities: {preset: salesforce, path: "salesforce/<object>.parquet", columns: {term_months: Term__c, starts_on: "left(Start__c, 10)"}}
  activities: {preset: salesforce, path: "salesforce/<object>.parquet"}
  subscriptions: {preset: stripe, path: "stripe/<object>.jsonl"}
  subscription_events: {preset: stripe, path: "stripe/<object>.jsonl"}
  complaints: {preset: zendesk, path: "zendesk/<object>.csv"}
"""

# the truth in the source tables' own columns, cut to what the three systems can say
PLAIN = {
    "accounts": "SELECT account_id, segment, region, industry, created_at, deleted FROM accounts",
    "reps": "SELECT rep_id, role, team, region, hired_on, left_on, currency, timezone FROM reps",
    "reporting_lines": "SELECT rep_id, manager_id, r.hired_on AS valid_from FROM lines JOIN reps r USING (rep_id)",
    "products": "SELECT product_id, name, family FROM products",
    # Salesforce knows the day of a close, not its time
    "opportunities": """SELECT opportunity_id, account_id, rep_id, product_id, created_at, closed_day AS closed_at, stage, is_won, amount,
        currency, list_amount, term_months, starts_on, recorded_at FROM deals""",
    "activities": "SELECT activity_id, account_id, rep_id, occurred_at, channel, direction, outcome FROM activities",
    "subscriptions": """SELECT subscription_id, account_id, opportunity_id, product_id, started_at, term_end, ended_at,
        CASE WHEN end_reason IN ('cancelled', 'non_payment') THEN end_reason END AS end_reason, auto_renews, mrr, currency FROM subscriptions""",
    "subscription_events": """
        SELECT 'a' || subscription_id AS event_id, subscription_id, 'start' AS kind, NULL AS requested_at, started_at AS effective_at, NULL AS amount FROM subscriptions
        UNION ALL SELECT 'b' || subscription_id, subscription_id, 'cancel', ended_at, ended_at, NULL FROM subscriptions WHERE ended_at <> ''
        UNION ALL SELECT 'c' || subscription_id, subscription_id, 'cancel_request', ended_at, ended_at, NULL FROM subscriptions WHERE ended_at <> ''
        UNION ALL SELECT event_id, subscription_id, kind, NULL, effective_at, amount FROM subscription_events WHERE kind = 'refund'""",
    "complaints": """SELECT complaint_id, account_id, received_at, resolved_at, severity, channel,
        CASE WHEN severity IN ('high', 'critical') THEN escalated_at END AS escalated_at FROM complaints""",
}

# each with rows that must not count: deleted deals, tickets and tasks, a payment that never came, test data
LANDED = {
    "salesforce/account.parquet": """SELECT account_id AS "Id", name AS "Name", segment AS "Type", region AS "BillingCountry", industry AS "Industry",
        CAST(created_at AS TIMESTAMPTZ) AS "CreatedDate", CAST(deleted AS BOOLEAN) AS "IsDeleted" FROM accounts""",
    "salesforce/user.parquet": """SELECT rep_id AS id, manager_id, team AS user_role_id, region AS country, hired_on AS "Hired__c",
        left_on AS "Left__c", currency AS default_currency_iso_code, timezone AS time_zone_sid_key, 'Someone' AS name,
        CASE role WHEN 'hunter' THEN 'Account Executive' WHEN 'farmer' THEN 'Account Manager' WHEN 'engineer' THEN 'Sales Engineer'
          WHEN 'success' THEN 'Customer Success Manager' WHEN 'manager' THEN 'Director of Sales' ELSE 'Chief Revenue Officer' END AS title
        FROM reps LEFT JOIN lines USING (rep_id)""",
    "salesforce/user_role.parquet": "SELECT DISTINCT team AS id, team AS name FROM reps WHERE team <> ''",
    "salesforce/product_2.parquet": """SELECT product_id AS "Id", name AS "Name", family AS "Family" FROM products""",
    "salesforce/opportunity.parquet": """SELECT opportunity_id AS id, account_id, rep_id AS owner_id, CAST(created_at AS TIMESTAMPTZ) AS created_date,
        CAST(closed_day AS DATE) AS close_date, is_won = 'true' AS is_won, true AS is_closed, stage AS stage_name, amount, currency AS currency_iso_code,
        term_months AS "Term__c", nullif(starts_on, '') || ' 00:00:00' AS "Start__c", false AS _fivetran_deleted FROM deals
        UNION ALL SELECT 'GONE' || opportunity_id, account_id, rep_id, CAST(created_at AS TIMESTAMPTZ), CAST(closed_day AS DATE), true, true,
        'won', '1000000', 'USD', NULL, NULL, true FROM deals""",
    # as it was opened, with the close that was hoped for; then as it was closed
    "salesforce/opportunity_history.parquet": """
        SELECT opportunity_id AS id, account_id, rep_id AS owner_id, CAST(created_at AS TIMESTAMPTZ) AS created_date, CAST(closed_day AS DATE) + 30 AS close_date,
        false AS is_won, false AS is_closed, 'open' AS stage_name, NULL AS amount, currency AS currency_iso_code, CAST(created_at AS TIMESTAMPTZ) AS _fivetran_start FROM deals
        UNION ALL SELECT opportunity_id, account_id, rep_id, CAST(created_at AS TIMESTAMPTZ), CAST(closed_day AS DATE), is_won = 'true', true, stage, amount, currency,
        CAST(recorded_at AS TIMESTAMPTZ) FROM deals""",
    "salesforce/opportunity_line_item.parquet": """SELECT opportunity_id || '-1' AS id, opportunity_id, product_id AS product_2_id, amount AS total_price,
        list_amount AS list_price, '1' AS quantity FROM deals WHERE product_id <> ''""",
    "salesforce/task.parquet": """SELECT activity_id AS "Id", account_id AS "AccountId", rep_id AS "OwnerId", CAST(occurred_at AS TIMESTAMPTZ) AS "CompletedDateTime",
        true AS "IsClosed", channel AS "Type", direction AS "CallType", outcome AS "CallDisposition", NULL AS "_ab_cdc_deleted_at" FROM activities
        UNION ALL SELECT 'X' || activity_id, account_id, rep_id, CAST(occurred_at AS TIMESTAMPTZ), true, 'call', NULL, NULL, '2025-01-01' FROM activities""",
    "stripe/customer.jsonl": "SELECT 'cus_' || account_id AS id, '{\"account_id\": \"' || account_id || '\"}' AS metadata FROM accounts",
    "stripe/subscription.jsonl": """SELECT subscription_id AS id, 'cus_' || account_id AS customer_id, 'active' AS status, started_at AS start_date,
        term_end AS current_period_end, nullif(ended_at, '') AS ended_at, nullif(ended_at, '') AS canceled_at, auto_renews <> 'true' AS cancel_at_period_end,
        CASE end_reason WHEN 'cancelled' THEN 'cancellation_requested' WHEN 'non_payment' THEN 'payment_failed' END AS cancellation_details_reason,
        '{"opportunity_id": "' || opportunity_id || '"}' AS metadata, true AS livemode FROM subscriptions
        UNION ALL SELECT 'X' || subscription_id, 'cus_' || account_id, 'incomplete_expired', started_at, term_end, NULL, NULL, false, NULL, NULL, true FROM subscriptions
        UNION ALL SELECT 'T' || subscription_id, 'cus_' || account_id, 'active', started_at, term_end, NULL, NULL, false, NULL, NULL, false FROM subscriptions""",
    "stripe/subscription_item.jsonl": "SELECT 'si_' || subscription_id AS id, subscription_id, 'price_' || subscription_id AS price_id, 1 AS quantity FROM subscriptions",
    # what a year costs, so that a month must be worked out
    "stripe/price.jsonl": """SELECT 'price_' || subscription_id AS id, product_id, CAST(CAST(mrr AS DECIMAL(18,2)) * 1200 AS BIGINT) AS unit_amount,
        lower(currency) AS currency, 'year' AS recurring_interval, 1 AS recurring_interval_count FROM subscriptions""",
    "stripe/invoice.jsonl": "SELECT 'in_' || subscription_id AS id, subscription_id, 'paid' AS status, 'subscription_create' AS billing_reason FROM subscriptions",
    "stripe/charge.jsonl": """SELECT 'ch_' || subscription_id AS id, 'in_' || subscription_id AS invoice_id, 'cus_' || account_id AS customer_id, 100 AS amount,
        'usd' AS currency, started_at AS created, 'succeeded' AS status FROM subscriptions""",
    "stripe/refund.jsonl": """SELECT event_id AS id, 'ch_' || subscription_id AS charge_id, CAST(CAST(amount AS DECIMAL(18,2)) * 100 AS BIGINT) AS amount,
        'usd' AS currency, effective_at AS created, 'succeeded' AS status FROM subscription_events WHERE kind = 'refund'""",
    "zendesk/organization.csv": "SELECT row_number() OVER (ORDER BY account_id) AS id, account_id AS external_id FROM accounts",
    "zendesk/ticket.csv": """SELECT complaint_id AS id, replace(left(received_at, 19), 'T', ' ') AS created_at, 'solved' AS status, channel AS via_channel,
        CASE severity WHEN 'medium' THEN 'normal' WHEN 'critical' THEN 'urgent' ELSE severity END AS priority,
        (SELECT count(*) FROM accounts a WHERE a.account_id <= c.account_id) AS organization_id FROM complaints c
        UNION ALL SELECT 'X' || complaint_id, replace(left(received_at, 19), 'T', ' '), 'deleted', channel, NULL, 1 FROM complaints""",
    "zendesk/ticket_field_history.csv": """
        SELECT complaint_id AS ticket_id, 'status' AS field_name, 'solved' AS value, resolved_at AS updated FROM complaints WHERE resolved_at <> ''
        UNION ALL SELECT complaint_id, 'priority', CASE severity WHEN 'critical' THEN 'urgent' ELSE severity END, escalated_at FROM complaints
        WHERE escalated_at <> ''""",
}
_FORMATS = {".csv": "(FORMAT csv, HEADER)", ".jsonl": "(FORMAT json)", ".parquet": "(FORMAT parquet)"}


def write_companies(truth: Path, out: Path) -> tuple[Path, Path]:
    """Two configurations over the same company, made from `aftersale simulate --format csv`: connected, and plain."""
    with duckdb.connect() as connection:
        for name in (
            "accounts",
            "reps",
            "products",
            "opportunities",
            "activities",
            "subscriptions",
            "subscription_events",
            "complaints",
            "reporting_lines",
        ):
            connection.execute(
                f"CREATE VIEW {name} AS SELECT * FROM read_csv('{truth / name}.csv', all_varchar = true, nullstr = '\\N')"
            )
        connection.execute(
            "CREATE TABLE lines AS SELECT rep_id, arg_max(nullif(manager_id, ''), valid_from) AS manager_id FROM reporting_lines GROUP BY rep_id"
        )
        connection.execute(
            """CREATE TABLE deals AS SELECT *, strftime(timezone('America/New_York', CAST(closed_at AS TIMESTAMPTZ)), '%Y-%m-%d') AS closed_day
            FROM (SELECT * FROM opportunities WHERE closed_at <> '' QUALIFY row_number() OVER (PARTITION BY opportunity_id ORDER BY recorded_at DESC) = 1)"""
        )
        _write(connection, LANDED, out)
        _write(connection, {f"plain/{name}.csv": sql for name, sql in PLAIN.items()}, out)
    commission = "".join(f"  {name}: {{path: {truth / name}.csv}}\n" for name in COMMISSION)
    connected, plain = out / "connected.yaml", out / "plain.yaml"
    connected.write_text(COMPANY + CONNECTED + commission)
    own = "".join(f"  {name}: {{path: plain/{name}.csv, timezone: UTC}}\n" for name in PLAIN)
    plain.write_text(f"{COMPANY}sources:\n{own}{commission}")
    return connected, plain


def _write(connection: duckdb.DuckDBPyConnection, files: Mapping[str, str], out: Path) -> None:
    for name, sql in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"COPY ({sql}) TO '{path}' {_FORMATS[path.suffix]}")
