"""No word stands in a column of reasons whose meaning nobody wrote down, and rows are counted where they carry it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from expectations.cautions import Caution
from expectations.contracts import TABLES
from expectations.dictionary import explain
from expectations.model import Severity
from expectations.reasons import REASONS, REJECTED, advise, explain_reason, tables_with_reasons
from pipelines.commands import inspect
from pipelines.exits import Exit, UsageError
from tests.data.bad.cases import CASES

ROOT = Path(__file__).parents[3]
_WORD = re.compile(r"[a-z]+(_[a-z0-9]+)+\Z")
_BEGINS_LIKE_A_REASON = re.compile(r"(no|not|never|few|too|shorter|credited|unsupported)_")
# written with pl.lit, but names of other things: flags, kinds of events, dimensions
NO_REASONS = {"cancel_request", "failed_reviews", "payout_percentile", "product_skew"}


def parsed(folder: str) -> Iterator[ast.AST]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield from ast.walk(ast.parse(path.read_text()))


def word_of(node: ast.expr | None) -> str:
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text if _WORD.match(text) else ""


def test_every_reason_that_the_code_writes_is_explained() -> None:
    written = set()
    for node in parsed("assets"):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "lit":
            written |= {word_of(arg) for arg in node.args}
        if isinstance(node, ast.AnnAssign) and _BEGINS_LIKE_A_REASON.match(word := word_of(node.value)):
            written.add(word)
        if isinstance(node, ast.Dict):  # {"null_reason": "few_people"}
            pairs = zip(node.keys, node.values, strict=True)
            written |= {word_of(value) for key, value in pairs if word_of(key).endswith("_reason")}
    written -= {"", *NO_REASONS}
    assert len(written) > 30
    assert written - set(REASONS) == set()


def test_every_reason_to_reject_is_explained() -> None:
    """A fault of a cell is written (where it is, its word); one of a record stands in a documented bad file."""
    cells = {
        word_of(node.elts[1])
        for node in parsed("assets/core")
        if isinstance(node, ast.Tuple) and len(node.elts) == 2
    } - {""}
    records = {reason for case in CASES for *_, reason in case.rejects}
    assert {"not_a_number", "too_many_decimals"} < cells
    assert {"ragged", "expression"} < records
    columns = {name for table in TABLES.values() for name in table.by_name}  # such tuples hold columns, too
    assert {word for word in cells | records if not explain_reason(word)} - columns == set()


def test_closed_lists_of_words_are_explained_word_by_word() -> None:
    for table, columns in tables_with_reasons():
        for column in columns:
            assert set(table.by_name[column].values) <= set(REASONS)
    assert set(Caution) < set(REASONS)


def test_every_rule_is_explained_under_its_name() -> None:
    rules = [(t, r) for t in TABLES.values() for r in (*t.rules, *t.group_rules)]
    assert {r.severity for _, r in rules} == set(Severity)
    for table, rule in rules:
        said = explain(rule.name)
        assert table.path in said
        assert rule.reason in said


def test_a_reason_says_what_it_means_and_what_to_do() -> None:
    said = explain(" No_Quota ")
    assert said.startswith("### no_quota\n")
    assert "Means: the seller has no quota for the pay period of the close." in said
    assert "To do: map or complete `quotas`." in said
    for word, reason in REASONS.items():
        assert reason.meaning, word
        assert not reason.meaning.endswith("."), word
        assert not reason.advice.endswith("."), word
    with pytest.raises(KeyError, match="did you mean no_quota"):
        explain("no_quotas")


def test_advice_on_rejects_stands_in_brackets() -> None:
    assert advise("not_a_number") == f"not_a_number ({REJECTED['not_a_number'].advice})"
    assert advise("a_rule_of_a_contract") == "a_rule_of_a_contract"


def test_rows_that_carry_a_reason_are_counted_where_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = {
        "marts/deal_incentives": {
            "null_reason": ["no_quota", None, "no_quota", "no_quota_at_all"],
            "forward_null_reason": ["no_quota", None, None, None],
        },
        "marts/incentive_effects": {"warnings": ["few_clusters, simpson", "", "simpson"]},
        "marts/incentive_value": {"plan_id": ["p"]},
        "quality/rejects_summary": {
            "table": ["quotas", "quotas", "plans"], "column": ["amount", "amount", ""],
            "reason": ["not_a_number", "not_a_number", "ragged"], "rows_with_reason": [3, 4, 5],
        },
    }  # fmt: skip
    texts = {"marts/deal_incentives": pl.String}
    tables = {}
    for path, columns in frames.items():
        file = tmp_path / f"{path}.parquet"
        file.parent.mkdir(exist_ok=True)
        contract = TABLES[path.split("/")[1]]
        absent = {c: pl.lit(None, texts.get(path)) for c in contract.schema if c not in columns}
        absent = {} if path == "marts/incentive_value" else absent  # of a snapshot before it had warnings
        pl.DataFrame(columns).with_columns(**absent).write_parquet(file)
        tables[path] = {"files": [f"{path}.parquet"]}
    snapshot = SimpleNamespace(number=7, path=tmp_path, tables=tables)

    def count(word: str) -> list[tuple[str, str, int]]:
        return inspect.count_reason(snapshot, word)  # type: ignore[arg-type]

    assert count("no_quota") == [
        ("marts/deal_incentives", "forward_null_reason", 1),
        ("marts/deal_incentives", "null_reason", 2),
    ]
    assert count("simpson") == [("marts/incentive_effects", "warnings", 2)]
    assert count("not_a_number") == [("quotas", "amount", 7)]
    assert count("ragged") == [("plans", "", 5)]

    monkeypatch.setattr(inspect, "latest_snapshot", lambda _home: snapshot)
    assert inspect.explain_name(tmp_path, "no_quota") is Exit.PUBLISHED
    said = capsys.readouterr().out
    assert "To do: map or complete `quotas`." in said
    assert re.search(r"marts/deal_incentives +│ null_reason +│ 2", said)
    assert inspect.explain_name(tmp_path, "no_tiers") is Exit.PUBLISHED
    assert "No row of snapshot 7 carries it." in capsys.readouterr().out
    monkeypatch.setattr(inspect, "latest_snapshot", lambda _home: None)
    assert inspect.explain_name(tmp_path, "no_tiers") is Exit.PUBLISHED
    assert "Nothing is published" in capsys.readouterr().out
    assert inspect.explain_name(tmp_path, "emcr") is Exit.PUBLISHED
    assert "published in" not in capsys.readouterr().out.replace("Nothing", "")
    with pytest.raises(UsageError, match="did you mean"):
        inspect.explain_name(tmp_path, "no_quotaz")
