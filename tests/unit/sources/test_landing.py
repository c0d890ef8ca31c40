"""The door as a whole: queries, versions, changing files, typed columns, a first look."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from assets.landing import FILE, RECORD, Landed, LandingBlockedError
from pipelines.as_of import NoEventError, newest_close
from pipelines.sources import fingerprints
from pipelines.sources.config import Configuration, load_config
from pipelines.sources.inspection import inspect_sources
from pipelines.sources.landing import ConfiguredLanding

ACCOUNTS = "account_id,segment,region\nA1,smb,EMEA\nA2,enterprise,APAC\nA3,smb,EMEA\n"


def configure(folder: Path, **sources: str) -> Configuration:
    """A company in `folder` whose tables are given as YAML; the three that are needed are there by default."""
    folder.mkdir(exist_ok=True)
    for name, text in {
        "accounts": ACCOUNTS,
        "reps": "rep_id,team\nR1,north\n",
        "opportunities": "opportunity_id,account_id,rep_id,closed_at,is_won,amount,currency\nO1,A1,R1,2024-01-01,true,10.00,USD\n",
    }.items():
        if not (folder / f"{name}.csv").exists():
            (folder / f"{name}.csv").write_text(text, "utf-8")
    defaults = {name: f"{{path: {name}.csv}}" for name in ("accounts", "reps", "opportunities")}
    lines = [f"  {name}: {text}" for name, text in (defaults | sources).items()]
    file = folder / "aftersale.yaml"
    file.write_text(
        "company: {reporting_currency: USD, timezone: UTC}\nsources:\n" + "\n".join(lines) + "\n", "utf-8"
    )
    return load_config(file)


@pytest.fixture
def landing(tmp_path: Path) -> ConfiguredLanding:
    return ConfiguredLanding(configure(tmp_path / "in"), tmp_path / "cache")


def assert_nothing_is_lost(landed: Landed) -> pl.DataFrame:
    rows = landed.rows.collect()
    assert sum(f.records for f in landed.files) == rows.height + landed.rejects.height + landed.filtered
    return rows


def test_a_query_joins_files_and_numbers_its_rows_by_value(tmp_path: Path) -> None:
    config = configure(
        tmp_path / "in",
        customer_activity="""
    files: {items: 'items-*.csv', buyers: {path: buyers.txt, delimiter: "|", encoding: cp1252}}
    query: |
      SELECT b.name AS account_id, min(day) AS occurred_at, 'order' AS kind, sum(CAST(price AS DECIMAL(18,2))) AS amount
      FROM items JOIN buyers b USING (buyer) GROUP BY 1, order_id;
    columns: {occurred_at: occurred_at}
    where: "amount > 1"
""",
    )
    folder = config.folder
    (folder / "items-1.csv").write_text(
        "order_id,buyer,day,price\n1,b1,2024-01-02,1.10\n1,b1,2024-01-01,2.20\nbroken\n"
    )
    (folder / "items-2.csv").write_text(
        "buyer,day,price,order_id\nb2,2024-01-05,7.00,2\nb2,2024-01-06,0.50,3\n"
    )
    (folder / "buyers.txt").write_bytes("buyer|name\nb1|Müller\nb2|Zoë\n".encode("cp1252"))
    landed = ConfiguredLanding(config, tmp_path / "cache").read("customer_activity")
    rows = assert_nothing_is_lost(landed)
    assert rows.select("account_id", "occurred_at", "kind", RECORD, FILE).rows() == [
        ("Müller", "2024-01-01", "order", 1, "query"),
        ("Zoë", "2024-01-05", "order", 2, "query"),
    ]
    assert rows["amount"].cast(pl.String).to_list() == ["3.30", "7.00"]
    assert landed.filtered == 1
    assert landed.rejects.select("file", "record", "reason", "raw").rows() == [
        ("items-1.csv", 3, "ragged", "broken")
    ]
    assert dict(landed.notes)["records_read:items"] == 5
    raw = landed.raw(rows.select(FILE, RECORD))["raw"].to_list()
    assert raw[1].startswith('{"account_id":"Zoë"')


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "the query fails"),
        ("SELECT * FROM read_text('reps.csv')", "the query fails"),
        ("SELECT * FROM 'reps.csv'", "the query fails"),
        ("COPY accounts TO '/tmp/stolen.csv'", "valid SQL"),
        ("ATTACH '/tmp/x.db'", "valid SQL"),
        ("INSTALL httpfs", "valid SQL"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT account_id, now() AS x FROM a", "uses now"),
        ("SELECT acount_id FROM a", "the query fails"),
        ("SELEC", "not valid SQL"),
    ],
)
def test_a_query_sees_its_own_files_and_nothing_else(query: str, words: str, tmp_path: Path) -> None:
    config = configure(tmp_path / "in", themes=f'{{files: {{a: accounts.csv}}, query: "{query}"}}')
    with pytest.raises(LandingBlockedError, match=words) as caught:
        ConfiguredLanding(config, tmp_path / "cache").read("themes")
    assert "root:" not in str(caught.value)


def test_rows_in_the_configuration_are_a_source_like_any_other(tmp_path: Path) -> None:
    config = configure(
        tmp_path / "in",
        plan_tiers="{rows: [{plan_id: P, version: 1, component: c, tier: 1, from_attainment: 0, rate: 0.0500}, "
        "{plan_id: P, version: 1, component: c, tier: 2, from_attainment: 1.0, rate: }]}",
    )
    landed = ConfiguredLanding(config, tmp_path / "cache").read("plan_tiers")
    rows = assert_nothing_is_lost(landed)
    assert rows["rate"].to_list() == ["0.0500", None]
    assert rows["from_attainment"].to_list() == ["0", "1.0"]
    assert landed.raw(rows.select(FILE, RECORD))["raw"][0].startswith('{"plan_id": "P"')


def test_parquet_columns_keep_their_types(tmp_path: Path) -> None:
    config = configure(tmp_path / "in", activities="{path: a.parquet}")
    when = datetime(2024, 1, 1, 9, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "activity_id": [1, 2],
            "account_id": ["A1", None],
            "rep_id": ["R1", "R1"],
            "occurred_at": [when, when],
        }
    )
    frame.write_parquet(config.folder / "a.parquet")
    landed = ConfiguredLanding(config, tmp_path / "cache").read("activities")
    rows = assert_nothing_is_lost(landed)
    assert rows.schema["activity_id"] == pl.Int64
    assert rows.schema["occurred_at"] == pl.Datetime("us", "UTC")
    raw = landed.raw(pl.DataFrame({FILE: ["a.parquet"], RECORD: [2]}))["raw"][0]
    assert '"activity_id":"2"' in raw


def test_personal_columns_stop_at_the_door(tmp_path: Path) -> None:
    config = configure(tmp_path / "in", accounts="{path: named.csv, columns: {name: Name}}")
    (config.folder / "named.csv").write_text("account_id,Name\nA1,Jane Doe\n")
    landed = ConfiguredLanding(config, tmp_path / "cache").read("accounts")
    assert "name" not in landed.rows.collect().columns


def test_the_version_follows_contents_and_mapping_only(landing: ConfiguredLanding, tmp_path: Path) -> None:
    first = landing.version("accounts")
    file = landing.configuration.folder / "accounts.csv"
    os.utime(file, ns=(1, 1))
    assert landing.version("accounts") == first
    assert landing.version("complaints") is None
    mapped = configure(tmp_path / "in", accounts='{path: accounts.csv, columns: {segment: "upper(segment)"}}')
    assert ConfiguredLanding(mapped, tmp_path / "cache").version("accounts") != first
    file.write_text(ACCOUNTS + "A4,smb,EMEA\n")
    assert landing.version("accounts") != first


def test_hashes_are_remembered_but_never_of_a_file_just_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path / "in")
    file, calls = config.folder / "accounts.csv", []

    def counted(path: Path) -> str:
        calls.append(path.name)
        return "x" * 64

    monkeypatch.setattr(fingerprints, "hash_file", counted)
    for expected in (1, 2):  # written a moment ago: hashed again each time
        ConfiguredLanding(config, tmp_path / "cache").version("accounts")
        assert len(calls) == expected
    os.utime(file, ns=(10**18, 10**18))
    for _ in range(3):
        ConfiguredLanding(config, tmp_path / "cache").version("accounts")
        assert len(calls) == 3
    (tmp_path / "cache" / "source_hashes.json").write_text("{broken")
    ConfiguredLanding(config, tmp_path / "cache").version("accounts")
    assert len(calls) == 4


def test_a_file_that_changes_between_version_and_read_blocks(landing: ConfiguredLanding) -> None:
    landing.version("accounts")
    (landing.configuration.folder / "accounts.csv").write_text(ACCOUNTS.replace("A3", "A9"))
    with pytest.raises(LandingBlockedError, match="changed while it was read"):
        landing.read("accounts")
    landing.version("accounts")
    assert landing.read("accounts").rows.collect()["account_id"].to_list() == ["A1", "A2", "A9"]


def test_a_change_that_keeps_size_time_and_inode_is_found_by_content(landing: ConfiguredLanding) -> None:
    file = landing.configuration.folder / "accounts.csv"
    os.utime(file, ns=(10**18, 10**18))
    landing.version("accounts")
    with file.open("r+") as out:
        out.write(ACCOUNTS.replace("A3", "A9"))
    os.utime(file, ns=(10**18, 10**18))
    with pytest.raises(LandingBlockedError, match="changed while it was read"):
        landing.read("accounts")


def test_a_file_that_changes_after_read_is_noticed_before_the_commit(landing: ConfiguredLanding) -> None:
    landing.read("accounts")
    landing.confirm_unchanged("accounts")
    (landing.configuration.folder / "accounts.csv").write_text(ACCOUNTS + "A4,smb,EMEA\n")
    with pytest.raises(LandingBlockedError, match="changed while it was read"):
        landing.confirm_unchanged("accounts")


def test_copies_are_private_and_gone_in_the_end(landing: ConfiguredLanding, tmp_path: Path) -> None:
    file = landing.configuration.folder / "accounts.csv"
    file.write_bytes(ACCOUNTS.encode("utf-16"))
    landing.read("accounts").rows.collect()
    (folder,) = (tmp_path / "cache").glob("reading-*")
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o077 == 0
    assert list(folder.rglob("*.txt"))
    landing.close()
    assert not folder.exists()


def test_shuffled_rows_land_as_the_same_rows(tmp_path: Path) -> None:
    head, *lines = ACCOUNTS.splitlines()
    frames = []
    for name, body in {"one": lines, "two": lines[::-1]}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "accounts.csv").write_text("\n".join([head, *body, ""]))
        config = configure(folder, accounts="{files: {a: accounts.csv}, query: 'SELECT * FROM a'}")
        frames.append(ConfiguredLanding(config, tmp_path / "cache").read("accounts").rows.collect())
    assert frames[0].equals(frames[1])


def test_the_company_knows_columns_that_files_bring_by_themselves(landing: ConfiguredLanding) -> None:
    company = landing.company_for(datetime(2024, 12, 31, tzinfo=UTC).date())
    assert company.has("accounts", "region")
    assert not company.has("accounts", "industry")
    assert not company.has("complaints")


def test_a_first_look_says_what_maps_and_what_is_missing(tmp_path: Path) -> None:
    config = configure(
        tmp_path / "in",
        accounts="{path: named.csv, columns: {segment: upper(tier)}}",
        quotas="{path: quotas.csv}",
        complaints="{path: none.csv}",
    )
    (config.folder / "named.csv").write_text(
        "account_id,tier,shoe_size\nAcme Corp,a,1\njane@example.com,b,2\nA3,c,3\nragged\n"
    )
    (config.folder / "quotas.csv").write_text("rep_id,component,amount\nR1,commission,5\n")
    before = sorted(p.name for p in config.folder.iterdir())
    report = inspect_sources(config)
    assert sorted(p.name for p in config.folder.iterdir()) == before
    tables = {t.table: t for t in report.tables}
    accounts = tables["accounts"]
    assert accounts.mapped == (("account_id", "account_id"), ("segment", "upper(tier)"))
    assert accounts.unused == ("shoe_size",)
    ((reason, count),) = accounts.rejects
    assert (reason.partition(" (")[0], count) == ("ragged", 1)
    assert "set `delimiter`" in reason
    assert accounts.warnings[0].startswith("account_id: 2 of 3 ids hold a blank or an @")
    assert "jane" not in repr(report)
    hidden = configure(tmp_path / "in", accounts="{path: named.csv, pseudonymise: [account_id]}")
    assert not {t.table: t for t in inspect_sources(hidden).tables}["accounts"].warnings
    assert tables["quotas"].missing == ("period_start", "period_end")
    assert "no file at none.csv" in tables["complaints"].problem
    assert not report.usable
    assert dict(report.absent)["ledger"] == config.tables["ledger"].switches_off


def test_types_that_no_contract_holds_are_text_in_rows_and_in_raw(tmp_path: Path) -> None:
    config = configure(tmp_path / "in", accounts="{path: a.parquet, columns: {industry: span, region: tags}}")
    frame = pl.DataFrame(
        {
            "account_id": [b"A1", b"\xff\x01"],
            "segment": [{"x": 1}, None],
            "span": [timedelta(days=1), None],
            "tags": [["a", "b"], None],
            "nested": [[b"\xff"], None],
        }
    )
    frame.write_parquet(config.folder / "a.parquet")
    landed = ConfiguredLanding(config, tmp_path / "cache").read("accounts")
    rows = landed.rows.collect()
    assert rows.select("account_id", "segment", "industry").rows() == [
        ("A1", '{"x":1}', "P1D"),
        ("0xff01", None, None),
    ]
    raw = landed.raw(rows.select(FILE, RECORD))["raw"].to_list()
    assert '"tags":"a,b"' in raw[0]
    assert '"nested":"<List(Binary)>"' in raw[0]
    assert '"account_id":"0xff01"' in raw[1]


def test_a_damaged_column_that_nothing_maps_is_marked_in_raw(tmp_path: Path) -> None:
    config = configure(tmp_path / "in", accounts="{path: a.parquet}")
    file = config.folder / "a.parquet"
    frame = pl.DataFrame(
        {"account_id": [f"A{n}" for n in range(2_000)], "note": [f"{n} remarks" for n in range(2_000)]}
    )
    frame.write_parquet(file, statistics=False)
    with pq.ParquetFile(file) as parquet:
        chunk = parquet.metadata.row_group(0).column(1)
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(file.read_bytes())
    data[begin : begin + 40] = b"\xff" * 40
    file.write_bytes(data)
    landed = ConfiguredLanding(config, tmp_path / "cache").read("accounts")
    rows = landed.rows.collect()
    assert rows.height == 2_000
    raw = landed.raw(rows.select(FILE, RECORD).head(2))["raw"].to_list()
    assert raw[1] == '{"account_id":"A1","note":"<can\'t be decoded>"}'


def test_a_first_look_says_which_rows_the_core_would_reject_and_what_to_do(tmp_path: Path) -> None:
    config = configure(tmp_path / "in", credits="{path: credits.csv}")
    (config.folder / "credits.csv").write_text(
        "credit_id,opportunity_id,rep_id,split_weight,credited_amount,credited_at\n"
        "C1,O1,R1,1,10,2024-01-01 12:00:00\nC2,O1,R1,1,10,2024-01-01T12:00:00Z\n"
    )
    (said, count), *others = {t.table: t for t in inspect_sources(config).tables}["credits"].rejects
    assert (count, others) == (1, [])
    assert said.startswith("wall_time_without_zone (write `timezone: UTC`")
    told = configure(tmp_path / "in", credits="{path: credits.csv, timezone: UTC}")
    assert not {t.table: t for t in inspect_sources(told).tables}["credits"].rejects


@pytest.mark.parametrize(("where", "warned"), [("is_won = 'false'", True), ("is_won = 'true'", False)])
def test_a_first_look_warns_where_nothing_is_left(tmp_path: Path, where: str, warned: bool) -> None:
    config = configure(tmp_path / "in", opportunities=f'{{path: opportunities.csv, where: "{where}"}}')
    warnings = {t.table: t for t in inspect_sources(config).tables}["opportunities"].warnings
    assert any("all 1 records looked at are left out" in one for one in warnings) is warned


def test_no_day_to_look_from_says_how_many_deals_there_are(tmp_path: Path) -> None:
    config = configure(
        tmp_path / "in", opportunities="{path: opportunities.csv, where: \"is_won = 'false'\"}"
    )
    with pytest.raises(NoEventError, match=r"has 0 deals, and 1 are left out.*company\.as_of"):
        newest_close(config, ConfiguredLanding(config, tmp_path / "cache"))
    plain = configure(tmp_path / "in")
    assert newest_close(plain, ConfiguredLanding(plain, tmp_path / "cache")) == date(2024, 1, 1)
