"""What nothing maps does not leave the source: of such columns the private cache holds the names, and no value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from assets.landing import LandingBlockedError
from pipelines.sources.allowed import names_in
from pipelines.sources.config import load_config
from pipelines.sources.inspection import inspect_sources
from pipelines.sources.landing import ConfiguredLanding
from pipelines.sources.readers.sql import columns_of_query, open_locked

Run = Callable[[str], None]
CANARIES = ("jane@canary.example", "555-canary", "Canary Roe", "a canary complained")


@pytest.fixture
def filled(database: tuple[str, Run], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Deals and tickets of a database, each with what is nobody's business; its address is in CRM_DATABASE."""
    address, run = database
    monkeypatch.setenv("CRM_DATABASE", address)
    for name in ("deals", "zd_ticket"):
        run(f"DROP TABLE IF EXISTS {name}")
    run(
        'CREATE TABLE deals (id VARCHAR(9) PRIMARY KEY, account VARCHAR(9), amount NUMERIC(18,2), phase VARCHAR(9), "changed" TIMESTAMP, '
        'email VARCHAR(40), phone VARCHAR(40), "Contact Name" VARCHAR(40), age INTEGER)'
    )
    run(
        "INSERT INTO deals VALUES ('D1', 'a1', 10.50, 'won', '2024-01-01 10:00:00', 'jane@canary.example', '555-canary', 'Canary Roe', 44),"
        " ('D2', 'a2', 7, 'lost', '2024-01-02 10:00:00', 'jane@canary.example', '555-canary', 'Canary Roe', 44)"
    )
    run(
        "CREATE TABLE zd_ticket (id VARCHAR(9), created_at TIMESTAMP, status VARCHAR(9), priority VARCHAR(9), organization_id VARCHAR(9), "
        "is_deleted BOOLEAN, subject VARCHAR(40), email VARCHAR(40), plan VARCHAR(9))"
    )
    run(
        "INSERT INTO zd_ticket VALUES ('1', '2024-01-01 10:00:00', 'open', 'urgent', 'A1', false, 'a canary complained', 'jane@canary.example', 'gold'),"
        " ('2', '2024-01-01 10:00:00', 'open', 'urgent', 'A1', true, 'a canary complained', 'jane@canary.example', 'gold')"
    )
    return run


def land(folder: Path, **tables: str) -> ConfiguredLanding:
    written = {
        "accounts": "{rows: [{account_id: A1}]}", "reps": "{rows: [{rep_id: R1}]}",
        "opportunities": "{rows: [{opportunity_id: O1, account_id: A1, rep_id: R1, closed_at: , is_won: 'true', amount: '1', currency: USD}]}",
        **tables,
    }  # fmt: skip
    file = folder / "aftersale.yaml"
    sources = "".join(f"  {name}: {text}\n" for name, text in written.items())
    file.write_text(f"company: {{reporting_currency: USD, timezone: UTC}}\nsources:\n{sources}")
    return ConfiguredLanding(load_config(file), folder / "cache")


def text_in(cache: Path) -> str:
    """All that lies in the cache while the rows are still to be read, Parquet decoded."""
    found = ""
    for path in sorted(p for p in cache.rglob("*") if p.is_file()):
        found += path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            found += (
                pl.read_parquet(path, glob=False, hive_partitioning=False)
                .select(pl.all().cast(pl.String))
                .write_csv()
            )
    return found  # fmt: skip


PLAIN = """
    sql: {uri_env: CRM_DATABASE, table: deals, key: [id], cursor: changed}
    timezone: UTC
    where: "phase <> 'canary email'"
    columns: {opportunity_id: id, account_id: "upper(account)", rep_id: "'R1'", closed_at: changed, is_won: "phase = 'won'", currency: "'USD'"}"""


def test_a_table_of_a_database(filled: Run, tmp_path: Path) -> None:
    landing = land(tmp_path, opportunities=PLAIN)
    landed = landing.read("opportunities")
    rows = landed.rows.collect()
    assert rows.select("opportunity_id", "account_id", "is_won").rows() == [("D1", "A1", True), ("D2", "A2", False)]  # fmt: skip
    held = text_in(tmp_path / "cache")
    assert "10.5" in held
    assert [word for word in CANARIES if word in held] == []
    # the names are still told, so that somebody can map them
    assert {name for name, _ in landed.notes} >= {"unused_column:phone", "unused_column:Contact Name"}
    landing.close()

    # a look that brings only changes asks no more; another mapping asks for everything anew
    filled("UPDATE deals SET account = 'a9', changed = '2024-01-05 08:00:00' WHERE id = 'D1'")
    again = land(tmp_path, opportunities=PLAIN)
    assert again.read("opportunities").rows.collect()["account_id"].to_list() == ["A9", "A2"]
    assert [word for word in CANARIES if word in text_in(tmp_path / "cache")] == []
    again.close()
    mapped = PLAIN.replace("closed_at:", "lost_reason: phone, closed_at:")
    wider = land(tmp_path, opportunities=mapped).read("opportunities")
    assert wider.rows.collect()["lost_reason"].to_list() == ["555-canary"] * 2


def test_what_may_be_mapped_and_is_never_kept_is_not_asked(filled: Run, tmp_path: Path) -> None:
    accounts = '{sql: {uri_env: CRM_DATABASE, table: deals, key: [id]}, columns: {account_id: id, name: "Contact Name", segment: phase}}'
    landing = land(tmp_path, accounts=accounts)
    assert landing.read("accounts").rows.collect()["segment"].to_list() == ["won", "lost"]
    assert "Canary Roe" not in text_in(tmp_path / "cache")


def test_first_looks_ask_no_more(filled: Run, tmp_path: Path) -> None:
    configuration = land(tmp_path, opportunities=PLAIN).configuration
    (report,) = (t for t in inspect_sources(configuration).tables if t.table == "opportunities")
    assert report.problem == ""
    assert {"phone", "Contact Name"} <= set(report.unused)


@pytest.mark.parametrize(("more", "kept"), [("", False), (", columns: {product_id: plan}", True)])
def test_objects_of_a_preset(filled: Run, tmp_path: Path, more: str, kept: bool) -> None:
    objects = f"{{preset: zendesk, sql: {{uri_env: CRM_DATABASE, table: zd_<object>}}{more}}}"
    landing = land(tmp_path, complaints=objects)
    landed = landing.read("complaints")
    assert (landed.rows.collect()["complaint_id"].to_list(), landed.filtered) == (["1"], 1)
    held = text_in(tmp_path / "cache")
    assert "urgent" in held
    assert ("gold" in held) is kept
    assert [word for word in CANARIES if word in held] == []


FILES = "{notes: notes.csv, deals: {sql: {uri_env: CRM_DATABASE, table: deals}}}"


def queried(query: str) -> str:
    return f'{{files: {FILES}, query: "{query}"}}'


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("SELECT account AS account_id, n.region FROM deals d JOIN notes n USING (account)", ()),
        ("WITH x AS (SELECT account AS account_id FROM deals) SELECT *, count(*) OVER () AS segment FROM x", ()),
        ("SELECT account AS account_id, phone AS segment FROM deals", ("555-canary",)),
        ("SELECT *, account AS account_id FROM deals", CANARIES[:3]),
        ("SELECT account AS account_id, md5(CAST(deals AS VARCHAR)) AS segment FROM deals", CANARIES[:3]),
    ],
)  # fmt: skip
def test_inputs_of_a_query(filled: Run, tmp_path: Path, query: str, seen: tuple[str, ...]) -> None:
    (tmp_path / "notes.csv").write_text("account,region,body\na1,EMEA,a canary complained\na2,APAC,\n")
    landing = land(tmp_path, accounts=queried(query))
    rows = landing.read("accounts").rows.collect()
    assert sorted(rows["account_id"]) == ["a1", "a2"]
    held = text_in(tmp_path / "cache")
    assert tuple(word for word in CANARIES[:3] if word in held) == seen
    assert CANARIES[3] not in held or "FROM deals d" not in query


def test_a_query_that_is_none_says_so_and_fetches_names_alone(filled: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("account,region,body\n")
    landing = land(tmp_path, accounts=queried("SELEC email FROM deals"))
    with pytest.raises(LandingBlockedError, match="not valid SQL"):
        landing.read("accounts")
    assert [word for word in CANARIES if word in text_in(tmp_path / "cache")] == []


def test_a_delta_table(tmp_path: Path) -> None:
    frame = pl.DataFrame({"account_id": ["A1"], "segment": ["smb"], "email": [CANARIES[0]]})
    write_deltalake(str(tmp_path / "lake"), frame.to_arrow())
    landing = land(tmp_path, accounts="{delta: {path: lake}}")
    landed = landing.read("accounts")
    assert landed.rows.collect()["segment"].to_list() == ["smb"]
    assert ("unused_column:email", 1) in landed.notes
    held = text_in(tmp_path / "cache")
    assert "smb" in held
    assert CANARIES[0] not in held


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("SELECT A, t.b FROM t JOIN u USING (k) WHERE \"C d\" > 'e'", {"a", "t", "b", "k", "c d"}),
        ("SELECT count(*) FROM t", set()),
        ("WITH x AS (SELECT a FROM t) SELECT * FROM x", {"a"}),
        ("SELECT * FROM (SELECT a FROM t)", {"a"}),
        ("FROM t", None),
        ("SELECT a FROM t NATURAL JOIN u", None),
        ("SELECT COLUMNS('a.*') FROM t", None),
        ("SELECT v FROM t AS v", None),
        ("SELECT max(t) FROM t", None),
        ("SELECT #1 FROM t", None),
        ("SELECT t.* FROM T", None),
        ("UNPIVOT t ON a, b", None),
        ("SELECT a FROM query_table('t')", None),
        ("SELECT a FROM x, (SELECT * FROM U)", None),
    ],
)
def test_a_query_names_its_columns_or_takes_them_all(
    tmp_path: Path, query: str, named: set[str] | None
) -> None:
    with open_locked(tmp_path) as connection:
        assert columns_of_query(connection, query, ["t", "u"]) == named


def test_names_in_an_expression_are_told_from_its_texts() -> None:
    expressions = ("upper(\"Größe\") || 'email ''phone' || Ø.b", 'a + "x""y"')
    assert names_in(*expressions) == {"upper", "grösse", "ø", "b", "a", 'x"y'}
