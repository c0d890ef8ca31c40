"""What the README shows is run, against a snapshot published like the demo's."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import polars as pl
import pytest

from expectations.contracts import TABLES
from expectations.dictionary import published_tables, write_dictionary
from expectations.model import Audience
from pipelines.commands.run import run_pipeline
from pipelines.commands.share import export_wide, rewrite_catalog, run_query
from pipelines.exits import Exit
from pipelines.sources.demo import simulate

ROOT = Path(__file__).parents[2]
SNIPPETS = dict(
    re.findall(r"<!-- test: (\w+) -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `warehouse` in it, as after `make demo`, restricted tables switched on."""
    folder = tmp_path_factory.mktemp("reader")
    simulate(folder / "warehouse" / "source", deals=1500, months=24)
    config = folder / "warehouse" / "source" / "aftersale.yaml"
    config.write_text(config.read_text() + "publish: {restricted: true}\n")
    assert run_pipeline(folder / "warehouse", config) is Exit.PUBLISHED
    return folder


@pytest.mark.parametrize("name", ["duckdb", "polars", "pandas"])
def test_the_queries_of_the_readme_answer(place: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    found: dict[str, object] = {}
    exec(compile(SNIPPETS[name], name, "exec"), found)
    assert len(found["rows"]) >= 4  # type: ignore[arg-type]


@pytest.mark.parametrize("table", [t.name for t in published_tables() if t.query])
def test_the_query_on_each_page_of_the_dictionary_runs(place: Path, table: str) -> None:
    catalog = place / "warehouse" / "published" / "latest" / "catalog.duckdb"
    with duckdb.connect(str(catalog), read_only=True) as connection:
        connection.sql(TABLES[table].query).fetchall()
        comments = connection.sql(
            f"SELECT comment FROM duckdb_columns() WHERE table_name = '{table}'"
        ).fetchall()
    assert len(comments) == len(TABLES[table].schema)
    assert all(text for (text,) in comments)


def test_published_tables_have_the_contract_and_say_it_themselves(place: Path) -> None:
    import pyarrow.parquet as pq

    folder = place / "warehouse" / "published" / "latest"
    for table in published_tables():
        where = folder / ("restricted" if table.audience is Audience.RESTRICTED else table.layer.value)
        files = sorted(where.glob(f"{table.name}.parquet")) or sorted((where / table.name).rglob("*.parquet"))
        assert files, table.path
        assert pl.read_parquet_schema(files[0]) == dict(table.schema), table.path
        schema = pq.read_schema(files[0])
        for column in table.stored:
            metadata = schema.field(column.name).metadata or {}
            assert column.description.encode() in metadata.values(), (table.path, column.name)


def test_a_copy_opens_after_its_catalogue_was_rewritten(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert export_wide(place / "warehouse", target, wide=True) is Exit.PUBLISHED
    shared = {p.stem for p in target.rglob("*.parquet")}
    assert {"churn_by_incentive", "board_scorecard"} <= shared
    assert not {"deal_outcomes", "deal_incentives", "account_spells", "feedback_hops", "rep_periods"} & shared
    moved = tmp_path / "moved"
    target.rename(moved)
    assert rewrite_catalog(moved) is Exit.PUBLISHED
    with duckdb.connect(str(moved / "catalog.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM marts.churn_by_incentive").fetchall() != [(0,)]


def test_queries_can_read_nothing_but_the_snapshot(place: Path) -> None:
    for sql in ("FROM read_csv('/etc/passwd')", "ATTACH '/tmp/x.db'", "COPY (SELECT 1) TO '/tmp/stolen.csv'"):
        with pytest.raises(duckdb.Error):
            run_query(place / "warehouse", sql, "table")


def test_the_board_page_needs_no_network_and_runs_nothing(place: Path) -> None:
    page = (place / "warehouse" / "published" / "latest" / "board.html").read_text()
    assert "<script" not in page.lower()
    assert not re.search(r"(src|href)\s*=\s*[\"']https?:", page)
    assert page.count("alt=") >= 3


def test_no_seller_id_of_the_source_is_published(place: Path) -> None:
    """Ids of people enter the core as pseudonyms; the raw ones stand in no published byte."""
    source = (
        pl.read_parquet(place / "warehouse" / "source" / "reps.parquet")["rep_id"].str.strip_chars().to_list()
    )
    deals = pl.read_parquet(
        place / "warehouse" / "published" / "latest" / "marts" / "deal_incentives.parquet"
    )
    assert not set(deals["rep_id"]) & set(source)
    for folder in ("published", "store"):
        for path in (place / "warehouse" / folder).rglob("*.json"):
            assert not any(f'"{rep}"' in path.read_text() for rep in source[:20]), path


def test_the_dictionary_in_docs_is_the_one_the_contracts_make() -> None:
    """Renew with: python -m expectations.dictionary > docs/data_dictionary.md"""
    assert (ROOT / "docs" / "data_dictionary.md").read_text() == write_dictionary()
