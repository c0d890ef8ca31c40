"""Why something is missing: the words in columns of reasons and warnings, what each means and what to do about it.

Rules of a contract are reasons, too, under their own names; what they mean stands at the rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from expectations.cautions import MEANINGS, Caution
from expectations.contracts import TABLES
from expectations.model import Column, GroupRule, Kind, Layer, Rule, Severity, Table


@dataclass(frozen=True, slots=True)
class Reason:
    """One word: what it means, as a clause; what to do about it, as an order, or empty where nothing is wrong."""

    meaning: str
    advice: str = ""


_FAIR = "nothing: the number would not be fair to show"
_WAIT = "wait, or look at a larger group: nothing is wrong with the data"

REJECTED: dict[str, Reason] = {
    # ---- records ----------------------------------------------------------------------------------------------------
    "unclosed_quote": Reason("the record opens a quote that nothing closes", "mend the export, or set `quote` on the source"),
    "ragged": Reason("the record has another number of fields than the header", "set `delimiter` and `quote` as the file has them, or quote texts that hold the delimiter"),
    "repeated_header": Reason("the record is the header once more: files were put together", "nothing: it is no record"),
    "footer": Reason("the record is the export's own last line, such as a total", "nothing: it is no record"),
    "bad_json": Reason("the line is no JSON", "write one object per line"),
    "duplicate_json_key": Reason("the object names a key twice, so one value would be lost", "mend the export"),
    "not_an_object": Reason("the line is JSON, but no object", "write one object per line"),
    "spreadsheet_error": Reason("a cell of the row shows an error such as #REF!", "mend the workbook"),
    "formula_not_calculated": Reason("a cell holds a formula whose result was never stored", "open the workbook, save it, and deliver it again"),
    # ---- cells ------------------------------------------------------------------------------------------------------
    "missing": Reason("a value that may never be null is null", "the column must be filled in every row: map another, or leave the rows out with `where`"),
    "expression": Reason("the SQL that makes the column gave null for a value that was there", "look at `value` in the rejects and widen the expression in the configuration"),
    "where": Reason("`where` could not be worked out for the record", "widen the condition in the configuration, for instance with TRY_CAST"),
    "unreadable_type": Reason("the file's type of the column can't hold what the column means", "cast it in the configuration"),
    "out_of_range": Reason("the number lies outside what the column may hold, or is too large to store", "look at the column's bounds with `aftersale explain`, then at the source"),
    "not_a_number": Reason("the text is no number as this source writes them", "say how numbers are written with `decimal` and `thousands`"),
    "too_many_decimals": Reason("rounding would change the value", "round it in the configuration if that is right"),
    "not_a_date": Reason("the text is no day as this source writes them", "say how days are written with `date_format`"),
    "not_a_timestamp": Reason("the text is no time as this source writes them", "say how times are written with `date_format`"),
    "day_or_time_does_not_exist": Reason("such a day or time was never on a calendar or a clock", "mend the source: 30 February is nobody's day"),
    "wall_time_without_zone": Reason("a time without a zone, and the source states none", "write `timezone: UTC`, or the zone they are in, on this source"),
    "wall_time_does_not_exist": Reason("the clocks jumped over that time in the source's zone", "check `timezone` of this source"),
    "year_before_1900": Reason("a year before any sale", "mend the source, or make such a day null with `null_tokens`"),
    "too_far_in_future": Reason(
        "the event lies long after the day the run looks from",
        "they lie over 400 days after the day the run looks from, the newest close of a won deal unless "
        "`company: {as_of: 2025-06-30}` names another: set it, or mend the times",
    ),
    "not_a_currency": Reason("no three capital letters of a currency", "map the code, such as USD, not the sign"),
    "unknown_time_zone": Reason("no zone of the IANA list", "write a name such as Europe/Berlin"),
    "unknown_word": Reason("a word that the column's list does not have", "translate the firm's words in the configuration with CASE; `aftersale explain COLUMN` lists them"),
    "not_a_flag": Reason("neither yes nor no", "translate it in the configuration with CASE"),
    "not_json": Reason("the text is no JSON document", "mend the source"),
    "id_turned_into_number": Reason("a spreadsheet or a float made the id into a number: leading zeros and last digits are lost", "export the column as text"),
    # ---- rows together ----------------------------------------------------------------------------------------------
    "conflicting_duplicate": Reason("two rows of one key say different things, and nothing tells which is newer", "map `recorded_at`, or leave one of them out with `where`"),
}  # fmt: skip
"""Why records and rows are kept aside."""

UNPRICED: dict[str, Reason] = {
    "no_commission_data": Reason("no plans are mapped, so nobody's incentive is known", "map plans, tiers, assignments and quotas; `aftersale template plans` makes an empty one"),
    "no_credit": Reason("nobody is credited with the deal, or the entry names no deal", "map `credits`, or look at who is missing there"),
    "no_primary_credit": Reason("the deal's credits are all overlay, manager or house", "check `credit_type` in credits"),
    "no_deal": Reason("the credit names a deal that opportunities lack", "check `opportunity_id` in credits"),
    "not_won": Reason("the credit names a deal that was not won", "look at the deal in the CRM"),
    "no_plan": Reason("the seller had no plan on the day of the close", "look at plan_assignments and at valid_from and valid_to of plans"),
    "plan_not_known": Reason("the plan was recorded only after the deal closed", "nothing if that is true: the seller could not have known it; else mend `recorded_at`"),
    "no_component": Reason("the plan version has no component of that name", "look at plan_components and at `component` in credits and quotas"),
    "no_tiers": Reason("the plan's component has no tiers", "look at plan_tiers"),
    "tiers_incomplete": Reason("a tier lacks its edge or its rate", "mend plan_tiers"),
    "tiers_leave_gap": Reason("tier numbers jump, so one is missing", "mend plan_tiers"),
    "tiers_do_not_start_at_zero": Reason("the lowest tier begins above zero: pay below it is not stated", "add the tier from 0, at rate 0 if nothing is paid"),
    "tiers_do_not_rise": Reason("two tiers begin at the same attainment", "mend plan_tiers"),
    "tier_method_unknown": Reason("neither incremental nor retroactive", "state `tier_method` in plans"),
    "no_quota": Reason("the seller has no quota for the pay period of the close", "map or complete `quotas`"),
    "quota_not_known": Reason("the quota was recorded only after the deal closed", "nothing if that is true: the seller could not have known it; else mend `recorded_at`"),
    "quota_not_positive": Reason("the quota is zero or negative: attainment has no meaning", "mend quotas"),
    "no_target_incentive": Reason("pay hangs on a target that is not stated", "map `target_incentive` in plan_assignments"),
    "no_component_result": Reason("what was achieved on a measure that no deal carries is not known", "map `component_results`"),
    "component_result_not_known": Reason("what was achieved on a measure that no deal carries was recorded only after the close", "nothing if that is true; else mend `recorded_at`"),
    "unsupported_combination": Reason("the plan's parts contradict each other or hang together in a way that has no one price", "compare plan_components with docs/connect/commission.md"),
    "credited_later": Reason("the credit was recorded after the close: at signature nobody had it", "nothing if that is true; the deal's final columns hold it"),
    "credit_before_unknown": Reason("an earlier credit of the period has no amount in the plan's currency, so the seller's place is not known", "complete amounts in credits and rates in fx_rates"),
    "no_amount": Reason("the credit has no amount", "map `amount` in opportunities, or `credited_amount` in credits"),
    "amount_out_of_range": Reason("the amount is larger than exact pay can be worked out for", "mend the amount"),
    "not_a_sale": Reason("the credit is zero or negative: it moves the seller's place, but has no price of its own", "nothing"),
    "no_fx_rate": Reason("no exchange rate on the day or in the seven days before it", "map or complete `fx_rates`"),
    "base_rate_zero": Reason("the plan pays nothing just below 100 %, so there is nothing to relate to", "nothing: use `emcr` itself"),
    "no_history": Reason("fewer than four completed pay periods, of the seller and of the plan", _WAIT),
    "unpriced_deal": Reason("a deal of the period has no price, so the period's pay has none", "see the reasons in marts.deal_incentives"),
    "no_clawback_method": Reason("the plan does not say how pay is taken back", "state `clawback_method` in plans"),
    "no_clawback_schedule": Reason("the plan takes back by a schedule that is not stated", "state `clawback_schedule` in plans"),
    "several_credits": Reason("several credits stand behind the entry", "nothing: it can't be told apart"),
    "plan_changed_in_period": Reason("the plan changed within the pay period, so it can't be worked out again deal by deal", "nothing"),
    "few_sellers": Reason("too few sellers are on the plan to show numbers of them", _FAIR),
}  # fmt: skip
"""Why pay and incentives have no number."""

UNEQUAL: dict[str, Reason] = {
    "no_pay": Reason("pay could not be worked out", "see `pay_null_reason` in marts.rep_periods"),
    "no_ledger_entry": Reason("pay was worked out, and the ledger has nothing", "ask whether the ledger is complete"),
    "entry_without_period": Reason("the entry lies in no pay period of its seller", "check `period_start` in ledger, and quotas"),
    "fx": Reason("several currencies, or a rate that is missing", "map or complete `fx_rates`"),
    "reversed_twice": Reason("an entry is reversed more than once", "ask whoever runs commission"),
    "adjusted_by_hand": Reason("the difference is the sum of the adjustments", "ask what they were for"),
    "clawback_differs": Reason("the difference is what was taken back, against what the plan takes back", "compare with marts.expected_clawbacks"),
    "late_credit": Reason("the difference is pay on credit that came after the period was paid", "nothing if it is paid in the next"),
    "unpaid_credit": Reason("the difference is pay on credit without an entry", "ask whoever runs commission"),
    "paid_as_known": Reason("it was paid as known then, and the record was corrected since", "nothing, or a true-up is due"),
    "spiff_differs": Reason("the difference is SPIFF money", "compare spiffs with the ledger"),
    "draw_differs": Reason("the difference is the draw", "compare draws in plan_assignments with the ledger"),
    "several_causes": Reason("the known causes explain the difference together, none of them alone", "look at the row's parts"),
    "rounding": Reason("not more than half a cent an entry", "nothing"),
    "unexplained": Reason("no known cause explains the difference", "ask whoever runs commission"),
}  # fmt: skip
"""Why ledger and worked-out pay differ."""

UNJUDGED: dict[str, Reason] = {
    "no_close": Reason("the won deal has no close, so nothing can be dated from it", "complete `closed_at` in opportunities"),
    "no_account": Reason("the deal has no account, so its outcomes can't be found", "complete `account_id` in opportunities"),
    "no_churn_source": Reason("nothing mapped says when customers leave", "map `subscriptions`, or `customer_activity` with `churn: {kind: inactivity, days: 90}`"),
    "never_started": Reason("the won deal has no subscription: it never started, which is no churn", "nothing if that is true; else check how subscriptions point at deals"),
    "shorter_than_inactivity_window": Reason("the horizon is shorter than the silence that counts as leaving", "nothing: read longer horizons"),
    "few_people": Reason("too few people stand behind the number to show it", _FAIR),
    "too_few_seller_periods": Reason("fewer than 200 seller periods lie in reach of the fit", _WAIT),
    "too_few_bins": Reason("too few bins are left for the fit", _WAIT),
    "too_few_heard_by_both": Reason("sellers and others heard too little in common to say how much nobody heard", _WAIT),
    "too_few_items": Reason("fewer than 30 items of feedback on the theme", _WAIT),
    "too_few_weeks": Reason("fewer than 20 weeks are watched", _WAIT),
    "no_shift_found": Reason("the theme was looked at and did not change", "nothing: that is the finding"),
    "too_few_units": Reason("fewer than eight teams", _WAIT),
    "too_few_periods": Reason("fewer than six quarters whose past is known, too", _WAIT),
    "no_variation": Reason("one of the two never moves", "nothing: there is no link to see"),
    "not_identifiable": Reason("fewer than two full cycles are watched", _WAIT),
}  # fmt: skip
"""Why outcomes and findings have no number."""

CAUTIONS: dict[str, Reason] = {
    caution.value: Reason(
        MEANINGS[caution], "read `sentence` of the row, and the other specifications beside it"
    )
    for caution in Caution
}
"""What may be wrong with an estimate that is shown."""

REASONS: dict[str, Reason] = {**REJECTED, **UNPRICED, **UNEQUAL, **UNJUDGED, **CAUTIONS}

# a firm's own words, which mean what the firm means by them
_NOT_OURS = frozenset({"left_reason", "lost_reason", "end_reason", "exit_reason", "rows_with_reason"})


def holds_reasons(column: Column) -> bool:
    """Whether a published column holds words of this vocabulary: one, or several separated by commas."""
    is_named_so = column.name in ("reason", "warnings") or column.name.endswith("_reason")
    return column.kind in (Kind.TEXT, Kind.CATEGORY) and is_named_so and column.name not in _NOT_OURS


def tables_with_reasons() -> list[tuple[Table, tuple[str, ...]]]:
    """Every published table that says why something is missing, and in which columns."""
    found = (
        (t, tuple(c.name for c in t.stored if holds_reasons(c)))
        for t in TABLES.values()
        if t.layer is not Layer.CORE
    )
    return [(table, columns) for table, columns in found if columns]


def advise(word: str) -> str:
    """The reason of a reject, with what to do about it in brackets where that is known."""
    known = REJECTED.get(word)
    return f"{word} ({known.advice})" if known else word


def _rules_of(table: Table) -> list[Rule | GroupRule]:
    return [*table.rules, *table.group_rules]


def rules_called(word: str) -> list[tuple[Table, str, Severity]]:
    """Tables with a rule of this name, why it must hold, and what breaking it does."""
    return [
        (table, rule.reason, rule.severity)
        for table in TABLES.values()
        for rule in _rules_of(table)
        if rule.name == word
    ]


def explain_reason(word: str) -> str:
    """What a word means and what to do, in Markdown; empty where nobody uses it."""
    lines = []
    if known := REASONS.get(word):
        lines += [f"Means: {known.meaning}.", f"To do: {known.advice or 'nothing'}."]
    lines += [_say_rule(*rule) for rule in rules_called(word)]
    return "\n".join([f"### {word}", "", *lines, ""]) if lines else ""


def known_words() -> Iterable[str]:
    """Every word that `explain_reason` knows."""
    named = {rule.name for table in TABLES.values() for rule in _rules_of(table)}
    return sorted({*REASONS, *named})


_BREAKING = {
    Severity.REJECT: "a row that breaks it is kept aside: see `aftersale rejects {name}`, mend it at the source, or leave it out with `where`",
    Severity.BLOCK: "the table is not published while a row breaks it: see `aftersale status`",
    Severity.WARN: "rows that break it are counted and published",
}


def _say_rule(table: Table, why: str, severity: Severity) -> str:
    return f"- {table.path}: {why} {_BREAKING[severity].format(name=table.name).capitalize()}."
