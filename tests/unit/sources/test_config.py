"""The configuration is strict, and every complaint names the line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipelines.sources.config import ConfigError, Configuration, load_config
from pipelines.sources.hints import nearest

BASE = """\
company: {reporting_currency: USD, timezone: America/New_York}
sources:
  accounts: {path: landing/accounts.csv}
  reps: {path: reps.csv}
  opportunities: {path: opportunities.csv}
"""


def load(text: str, folder: Path) -> Configuration:
    path = folder / "aftersale.yaml"
    path.write_text(text, "utf-8")
    return load_config(path)


def test_a_small_configuration_needs_little_and_defaults_are_strict(tmp_path: Path) -> None:
    config = load(BASE, tmp_path)
    assert config.folder == tmp_path
    assert config.company.cooling_off_days == 14
    reading = config.sources["accounts"].reading
    assert (reading.decimal, reading.date_format, reading.timezone, reading.max_reject_share) == (
        ".",
        "",
        "",
        0.01,
    )
    assert reading.null_tokens == ("",)


def test_company_settings_reach_the_company(tmp_path: Path) -> None:
    text = BASE.replace("New_York}", "New_York, churn: {kind: inactivity, days: 90}, as_of: 2025-12-31}")
    config = load(
        text + "  quotas: {path: q.csv, complete_until: 2025-06-30, columns: {amount: Ziel}}\n", tmp_path
    )
    assert config.company.as_of == date(2025, 12, 31)
    company = config.company_for(date(2025, 1, 31))
    assert (company.churn.kind, company.churn.days) == ("inactivity", 90)
    assert company.complete_until == {"quotas": date(2025, 6, 30)}
    assert company.has("quotas", "amount")
    assert not company.has("complaints")


def test_rows_keep_the_text_that_was_written(tmp_path: Path) -> None:
    text = """\
  plans:
    rows:
      - {plan_id: 007, version: 1, valid_from: 2025-01-01, currency: USD, timezone: UTC, tier_method: incremental, cap: 0.10}
      - {plan_id: no, version: 1e3, valid_from: 12:30:45, currency: USD, timezone: UTC, tier_method: incremental, cap: }
"""
    rows = load(BASE + text, tmp_path).sources["plans"].rows
    assert rows is not None
    assert [(r["plan_id"], r["version"], r["valid_from"], r["cap"]) for r in rows] == [
        ("007", "1", "2025-01-01", "0.10"),
        ("no", "1e3", "12:30:45", None),
    ]


def test_a_time_of_day_is_no_sexagesimal_number(tmp_path: Path) -> None:
    assert load(BASE + "schedule: {daily: 06:30}\n", tmp_path).schedule.daily == "06:30"


def test_restricted_tables_are_off_until_asked_for(tmp_path: Path) -> None:
    assert not load(BASE, tmp_path).publish.restricted
    assert load(BASE + "publish: {restricted: true}\n", tmp_path).publish.restricted


def test_one_table_that_says_so_hides_the_ids_of_all(tmp_path: Path) -> None:
    assert load(BASE, tmp_path).pseudonymised == frozenset()
    said = load(BASE + "  complaints: {path: c.csv, pseudonymise: [account_id, subscription_id]}\n", tmp_path)
    assert said.pseudonymised == {("accounts", "account_id"), ("subscriptions", "subscription_id")}
    home = load(BASE.replace("accounts.csv", "accounts.csv, pseudonymise: [merged_into_id]"), tmp_path)
    assert home.pseudonymised == {("accounts", "account_id")}


def test_the_fingerprint_of_a_table_ignores_the_rest_of_the_file(tmp_path: Path) -> None:
    before = load(BASE, tmp_path).fingerprint("accounts")
    assert (
        load("# a comment\n" + BASE.replace("reps.csv", "r.csv"), tmp_path).fingerprint("accounts") == before
    )
    assert load(BASE.replace("accounts.csv", "a.csv"), tmp_path).fingerprint("accounts") != before


# each: text appended to BASE, line, words of the message
WRONG = {
    "unknown_table": ("  complaint: {path: c.csv}", 6, "did you mean 'complaints'?"),
    "unknown_key": ("  plans: {pth: p.csv}", 6, "did you mean 'path'?"),
    "unknown_key_at_the_top": ("sorces: 1", 6, "did you mean 'sources'?"),
    "unknown_company_key": ("  plans:\n    path: p.csv\n    dellimiter: ;", 8, "did you mean 'delimiter'?"),
    "unknown_column": (
        "  plans:\n    path: p.csv\n    columns:\n      plan_idd: x",
        9,
        "did you mean 'plan_id'?",
    ),
    "unknown_column_in_rows": (
        "  plans:\n    rows:\n      - {plan_id: A, verzion: 1}",
        8,
        "did you mean 'version'?",
    ),
    "missing_column_in_rows": (
        "  plans:\n    rows:\n      - {plan_id: A}",
        7,
        "'version' is missing from every row",
    ),
    "duplicate_key": ("  plans: {path: p.csv}\n  plans: {path: q.csv}", 7, "there twice, first on line 6"),
    "duplicate_key_deep": ("  plans:\n    path: p.csv\n    path: q.csv", 8, "there twice, first on line 7"),
    "alias": ("  plans: &p {path: p.csv}\n  quotas: *p", 6, "anchors and aliases"),
    "yaml_bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", 6, "anchors and aliases"),
    "merge_key": ("  plans:\n    <<: {path: p.csv}", 7, "unknown key"),
    "tag": ("  plans: !!python/object/apply:os.system [ls]", 6, "not allowed"),
    "binary_tag": ("  plans: {path: !!binary aGk=}", 6, "not allowed"),
    "number_for_text": ("  plans: {path: 1}", 6, "must be text"),
    "text_for_number": ("  plans: {path: p.csv, max_reject_share: lots}", 6, "must be a number"),
    "share_over_one": ("  plans: {path: p.csv, max_reject_share: 1.5}", 6, "less than or equal to 1"),
    "text_for_flag": ("  plans: {path: p.csv, parentheses_negative: yes}", 6, "must be true or false"),
    "list_for_table": ("  plans: [p.csv]", 6, "must be a mapping"),
    "nothing_for_table": ("  plans:", 6, "must be a mapping"),
    "two_kinds": ("  plans: {path: p.csv, rows: []}", 6, "exactly one of"),
    "no_kind": ("  plans: {delimiter: ;}", 6, "found none"),
    "query_without_files": ("  plans: {path: p.csv, query: select 1}", 6, "go together"),
    "files_without_query": ("  plans: {files: {a: p.csv}}", 6, "go together"),
    "sql_in_a_file_name": (
        "  plans: {files: {'a; drop': p.csv}, query: x}",
        6,
        "letters, digits and underscores",
    ),
    "table_option_on_a_file": (
        "  plans: {files: {a: {path: p, decimal: ','}}, query: x}",
        6,
        "stands on the table",
    ),
    "preset": ("  plans: {preset: salesforce, path: p.csv}", 6, "the preset salesforce makes no plans"),
    "unknown_zone": ("  plans: {path: p.csv, timezone: Mars/Base}", 6, "no IANA time zone"),
    "zone_that_climbs": ("  plans: {path: p.csv, timezone: ../../etc/passwd}", 6, "no IANA time zone"),
    "codec_that_is_no_text": ("  plans: {path: p.csv, encoding: zip}", 6, "no text encoding"),
    "long_delimiter": ("  plans: {path: p.csv, delimiter: '::'}", 6, "one ASCII character"),
    "same_marks": ("  plans: {path: p.csv, decimal: ',', thousands: ','}", 6, "decimal mark as well"),
    "no_day": ("  plans: {path: p.csv, complete_until: 2024-02-30}", 6, "day is out of range"),
    "stale_required_table": ("", 3, "for optional tables"),
    "publish_to_a_folder": ("publish: {to: /mnt/lake}", 6, "must be a place in an object store"),
    "publish_with_a_secret": ("publish: {to: 's3://key:secret@lake/x'}", 6, "must hold no credentials"),
    "path_and_delta": ("  quotas: {path: q.csv, delta: {path: lake}}", 6, "found path and delta"),
    "file_of_two_kinds": (
        "  quotas: {files: {a: {path: a.csv, delta: {path: b}}}, query: SELECT 1}",
        6,
        "exactly one of 'path', 'sql' or 'delta'",
    ),
    "object_without_a_preset": (
        "  quotas: {sql: {uri: 'sqlite:///a.db', table: 'crm.<object>'}}",
        6,
        "name one with 'preset'",
    ),
    "pseudonym_of_a_typo": (
        "  complaints: {path: c.csv, pseudonymise: [acount_id]}",
        6,
        "did you mean 'account_id'?",
    ),
    "pseudonym_of_a_word": (
        "  ledger: {path: l.csv, pseudonymise: [currency]}",
        6,
        "no id of ledger that can be pseudonymised",
    ),
    "pseudonym_of_a_person": (
        "  quotas: {path: q.csv, pseudonymise: [rep_id]}",
        6,
        "stands under pseudonyms anyway",
    ),
    "unknown_publish_key": ("publish: {restrict: true}", 6, "did you mean 'restricted'?"),
    "no_time_of_day": ("schedule: {daily: '25:00'}", 6, "has not the form"),
    "broken_yaml": ("  plans: {path: p.csv", 7, "not valid YAML"),
    "control_character": ("# \x07", 6, "control character"),
    "deep": ("deep: " + "[" * 40 + "]" * 40, 6, "nested deeper"),
    "very_deep": ("deep: " + "[" * 4000 + "]" * 4000, 6, "nested deeper"),
}


@pytest.mark.parametrize(("text", "line", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_entry_names_its_line(text: str, line: int, words: str, tmp_path: Path) -> None:
    base = BASE if text else BASE.replace("accounts.csv}", "accounts.csv, on_block: stale}")
    with pytest.raises(ConfigError) as caught:
        load(base + text + "\n", tmp_path)
    assert caught.value.line == line
    assert words in caught.value.message
    assert f"aftersale.yaml, line {line}:" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must start with"),
        ("- a", "must start with"),
        ("company: {}", "the key 'reporting_currency' is missing"),
        (BASE.replace("  reps: {path: reps.csv}\n", ""), "reps missing"),
        (BASE.replace("USD", "usd"), "'usd' has not the form"),
        (BASE.replace("}", ", fiscal_start_month: 13}", 1), "less than or equal to 12"),
        (BASE.replace("}", ", churn: {kind: inactivity}}", 1), "needs 'days'"),
        (BASE.replace("}", ", history_from: 2025}", 1), "must be text"),
    ],
)
def test_a_wrong_company_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        load(text, tmp_path)


def test_a_missing_file_and_foreign_bytes_are_configuration_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"company: {}\n# M\xfcller\n")
    with pytest.raises(ConfigError, match="line 2: is not UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_the_nearest_name_is_found_across_case_and_blanks() -> None:
    assert nearest("close date", ["Close_Date", "Stage"]) == "did you mean 'Close_Date'?"
    assert nearest("zzz", ["b", "a"]) == "valid here: a, b"
