"""The demo company as files: same bytes, stable rows, honest counts, clean where it says clean."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from expectations.contracts import SOURCES
from expectations.model import Kind, Presence, Severity
from pipelines.sources.demo import ForeignFilesError, Truth, simulate

SMALL = {"deals": 900, "months": 12}
TINY = {"deals": 60, "months": 2}


def read(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(folder / f"{table}.parquet")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clean")
    simulate(out, deals=3_000, dirt=0)
    return out


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    out = tmp_path_factory.mktemp("dirty")
    return out, simulate(out, deals=9_000, months=24, dirt=0.01)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small")
    simulate(out, **SMALL)
    return out


def test_same_seed_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    simulate(tmp_path, **SMALL)
    files = sorted(p.name for p in small.iterdir())
    assert files == sorted(p.name for p in tmp_path.iterdir())
    assert [f for f in files if (small / f).read_bytes() != (tmp_path / f).read_bytes()] == []


def test_another_seed_gives_another_company(small: Path, tmp_path: Path) -> None:
    simulate(tmp_path, **SMALL, seed=2)
    assert not read(small, "opportunities").equals(read(tmp_path, "opportunities"))


@pytest.mark.parametrize("more", [{"months": 24}, {"months": 17}])
def test_every_row_stays_when_the_company_grows(tmp_path: Path, more: dict[str, int]) -> None:
    simulate(tmp_path / "short", **SMALL, dirt=0)
    simulate(tmp_path / "long", **(SMALL | more), dirt=0)
    for table in SOURCES:
        before, after = read(tmp_path / "short", table), read(tmp_path / "long", table)
        assert before.join(after, on=before.columns, how="anti", nulls_equal=True).is_empty(), table
    won = [read(tmp_path / name, "opportunities")["is_won"].sum() for name in ("short", "long")]
    assert won[1] > 1.3 * won[0]


def test_dirty_rows_stay_dirty_when_the_company_grows(tmp_path: Path) -> None:
    simulate(tmp_path / "short", deals=3_000, months=12)
    simulate(tmp_path / "long", deals=3_000, months=14)
    for table in ("opportunities", "activities", "credits", "complaints", "feedback"):
        before, after = read(tmp_path / "short", table), read(tmp_path / "long", table)
        assert before.join(after, on=before.columns, how="anti", nulls_equal=True).is_empty(), table


def test_what_had_happened_stays_when_time_goes_on(tmp_path: Path) -> None:
    simulate(tmp_path / "before", deals=900, months=12, until=date(2025, 6, 30), dirt=0)
    simulate(tmp_path / "after", deals=900, months=18, until=date(2025, 12, 31), dirt=0)
    for table in ("credits", "activities", "subscription_events", "feedback", "feedback_events", "quotas"):
        before, after = read(tmp_path / "before", table), read(tmp_path / "after", table)
        assert before.join(after, on=before.columns, how="anti", nulls_equal=True).is_empty(), table
    closed = read(tmp_path / "before", "opportunities").filter(pl.col("closed_at").is_not_null())
    after = read(tmp_path / "after", "opportunities")
    assert closed.join(after, on=closed.columns, how="anti", nulls_equal=True).is_empty()


def test_covers_the_months_asked_for_and_nothing_after(clean: Path) -> None:
    won = read(clean, "opportunities").filter(pl.col("is_won"))
    assert won.height == 3_000
    assert won["closed_at"].min() >= datetime.fromisoformat("2023-01-01T00:00:00+00:00")
    assert won["closed_at"].max() < datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    for table, contract in SOURCES.items():
        if contract.event_time:
            latest = read(clean, table)[contract.event_time].max()
            assert latest < datetime.fromisoformat("2026-01-01T00:00:00+00:00"), table


def test_every_source_table_is_written_with_the_contracts_columns(clean: Path) -> None:
    for table, contract in SOURCES.items():
        columns = set(pl.read_parquet_schema(clean / f"{table}.parquet"))
        doors = {c.name for c in contract.door}
        needed = {c.name for c in contract.door if c.presence in (Presence.MAPPED, Presence.REQUIRED)}
        assert columns <= doors, table
        assert needed <= columns, table


def test_clean_tables_have_the_contracts_dtypes_and_break_no_rule(clean: Path) -> None:
    for table, contract in SOURCES.items():
        frame = read(clean, table)
        for column in frame.columns:
            facts = contract.by_name[column]
            if column != "theme_ids":
                assert frame.schema[column] == facts.dtype, (table, column)
            if facts.presence is Presence.REQUIRED:
                assert frame[column].null_count() == 0, (table, column)
            if facts.values and facts.closed:
                assert set(frame[column].drop_nulls().unique()) <= set(facts.values), (table, column)
        key = [k for k in contract.row_key if k in frame.columns]
        assert not frame.select(key).is_duplicated().any(), table
        for rule in contract.rules_of(Severity.REJECT, Severity.WARN):
            assert not frame.select(rule.broken).to_series().any(), (table, rule.name)


def test_references_of_a_clean_company_all_resolve(clean: Path) -> None:
    for table, contract in SOURCES.items():
        for reference in contract.references:
            there = read(clean, reference.table)[reference.target]
            here = read(clean, table)[reference.column].drop_nulls()
            if next(c for c in contract.stored if c.name == reference.column).kind is Kind.LIST:
                here = here.str.split(",").explode()
            assert here.is_in(there.unique().implode()).all(), (table, reference)


def test_causes_come_before_what_they_cause(clean: Path) -> None:
    accounts = read(clean, "accounts").select("account_id", born="created_at")
    deals = read(clean, "opportunities").join(accounts, on="account_id")
    assert (deals["created_at"] >= deals["born"]).all()
    assert (deals["closed_at"] >= deals["created_at"]).drop_nulls().all()
    served = read(clean, "subscriptions").join(
        deals.select("opportunity_id", "closed_at", "starts_on"), on="opportunity_id"
    )
    assert (served["started_at"] > served["closed_at"]).all()
    people = read(clean, "reps")
    selling = read(clean, "opportunities").join(people, on="rep_id")
    assert (selling["closed_at"].dt.date() >= selling["hired_on"]).drop_nulls().all()
    assert (selling["closed_at"].dt.date() <= selling["left_on"]).drop_nulls().all()


def test_primary_splits_sum_to_one_and_managers_lead_to_the_board(clean: Path) -> None:
    primary = read(clean, "credits").filter(pl.col("credit_type") == "primary")
    assert set(
        primary.group_by("opportunity_id").agg(pl.sum("split_weight"))["split_weight"].cast(pl.Float64)
    ) == {1.0}
    assert {"overlay", "primary"} == set(read(clean, "credits")["credit_type"])
    lines = read(clean, "reporting_lines").filter(pl.col("valid_to").is_null())
    boss = dict(lines.select("rep_id", "manager_id").iter_rows())
    board = lines.filter(pl.col("is_board"))["rep_id"].to_list()
    steps = set()
    for person in boss:
        distance, at = 0, person
        while at not in board:
            at, distance = boss[at], distance + 1
        if person.startswith("R"):
            steps.add(distance)
    assert steps == {3, 4, 5}


def test_csv_says_the_same_as_parquet(small: Path, tmp_path: Path) -> None:
    simulate(tmp_path, **SMALL, fmt="csv")
    for table in SOURCES:
        typed = read(small, table)
        text = pl.read_csv(tmp_path / f"{table}.csv", infer_schema=False)
        assert typed.columns == text.columns
        back = text.with_columns(
            pl.col(c).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
            if isinstance(t, pl.Datetime)
            else pl.col(c).str.to_date()
            if t == pl.Date
            else pl.col(c) == "true"
            if t == pl.Boolean
            else pl.col(c).cast(t)
            for c, t in typed.schema.items()
        )
        seconds = typed.with_columns(
            pl.col(c).dt.truncate("1s") for c, t in typed.schema.items() if isinstance(t, pl.Datetime)
        )
        assert_frame_equal(back, seconds)


def test_dirt_is_what_the_truth_says(dirty: tuple[Path, Truth]) -> None:
    """Counted here from the files alone, kind by kind."""
    out, truth = dirty
    rejecting = {"bad_date", "unparsable_amount", "conflicting_duplicate", "end_before_start"}
    for table, said in truth.tables.items():
        frame = read(out, table)
        assert frame.height == said.rows, table
        if not said.dirt:
            continue
        found: dict[str, int] = {}

        def count(kind: str, number: int, found: dict[str, int] = found) -> None:
            if number:
                found[kind] = found.get(kind, 0) + number

        key = [k for k in SOURCES[table].key if k in frame.columns]
        count("exact_duplicate", frame.height - frame.unique().height)
        count("conflicting_duplicate", frame.unique().height - frame.unique(key).height)
        for column, dtype in frame.schema.items():
            kind = SOURCES[table].by_name[column].kind
            if kind == "id":
                count("trailing_space", frame[column].str.ends_with(" ").sum())
                count(
                    "broken_reference",
                    (frame[column].str.strip_chars() == column[0].upper() + "999999999").sum(),
                )
                count("broken_reference", (frame[column] == "O9999999999").sum())
            if kind == "timestamp" and dtype == pl.String:
                good = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
                count("bad_date", (~frame[column].drop_nulls().str.contains(good)).sum())
                count("before_its_account", frame[column].str.starts_with("2004").sum())
            if kind == "money" and dtype == pl.String:
                count("unparsable_amount", (~frame[column].drop_nulls().str.contains(r"^-?\d+\.\d\d$")).sum())
        if table == "opportunities":
            count("missing_account", frame.filter(pl.col("is_won"))["account_id"].null_count())
        for start, end in (("started_at", "ended_at"), ("received_at", "resolved_at")):
            if end in frame.columns:
                count("end_before_start", (stamps(frame[end]) < stamps(frame[start])).sum())
        assert found == said.dirt, table
        assert said.rejected_expected == sum(
            n * (1 + (k == "conflicting_duplicate")) for k, n in said.dirt.items() if k in rejecting
        )
        assert said.rejected_expected < 1.5 * truth.dirt * said.rows
        assert said.duplicates_expected == said.dirt.get("exact_duplicate", 0)
    planted = {kind for said in truth.tables.values() for kind in said.dirt}
    assert planted == rejecting | {
        "exact_duplicate",
        "trailing_space",
        "broken_reference",
        "before_its_account",
        "missing_account",
    }


def stamps(column: pl.Series) -> pl.Series:
    if column.dtype != pl.String:
        return column
    return column.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC", strict=False)


def test_only_columns_with_dirt_are_text_in_parquet(dirty: tuple[Path, Truth]) -> None:
    schema = pl.read_parquet_schema(dirty[0] / "opportunities.parquet")
    assert schema["created_at"] == schema["amount"] == pl.String
    assert schema["closed_at"] == pl.Datetime("us", "UTC")
    assert pl.read_parquet_schema(dirty[0] / "activities.parquet")["occurred_at"] == pl.Datetime("us", "UTC")


def test_plans_quotas_and_people_stay_clean(dirty: tuple[Path, Truth]) -> None:
    for table in (
        "plans",
        "plan_tiers",
        "plan_components",
        "plan_assignments",
        "quotas",
        "reps",
        "reporting_lines",
    ):
        assert dirty[1].tables[table].dirt == {}


def test_small_tables_get_no_fault_that_could_block_them(tmp_path: Path) -> None:
    truth = simulate(tmp_path, deals=60, months=6, dirt=0.05)
    assert sum(t.rejected_expected for t in truth.tables.values()) == 0
    assert sum(t.duplicates_expected for t in truth.tables.values()) > 0


def test_configuration_names_every_table(clean: Path) -> None:
    said = yaml.safe_load((clean / "aftersale.yaml").read_text())
    assert said["company"] == {
        "reporting_currency": "USD",
        "timezone": "America/New_York",
        "fiscal_start_month": 1,
        "churn": {"kind": "contract"},
        "as_of": date(2025, 12, 31),
        "history_from": "2023-01",
        "demo_seed": 1,
    }
    assert set(said["sources"]) == set(SOURCES)
    assert all((clean / s["path"]).is_file() for s in said["sources"].values())


def test_replaces_its_own_output_and_nothing_else(tmp_path: Path) -> None:
    simulate(tmp_path, **TINY, fmt="csv")
    simulate(tmp_path, **TINY)
    assert not list(tmp_path.glob("*.csv"))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ForeignFilesError, match=r"notes\.txt"):
        simulate(tmp_path, **TINY)
    assert (tmp_path / "opportunities.parquet").is_file()
    (tmp_path / "notes.txt").unlink()
    said = json.loads((tmp_path / "truth.json").read_text())
    (tmp_path / "truth.json").write_text(json.dumps({**said, "made_by": "somebody else"}))
    with pytest.raises(ForeignFilesError):
        simulate(tmp_path, **TINY)


def test_a_listed_path_outside_the_folder_is_never_removed(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "truth.json").write_text(json.dumps({"made_by": "aftersale simulate", "files": ["../mine.txt"]}))
    simulate(out, **TINY)
    assert mine.read_text() == "mine"


def test_a_killed_simulation_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.sources.demo.company.account_tables", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        simulate(tmp_path, **TINY)
    monkeypatch.undo()
    assert list(tmp_path.glob("*.parquet"))
    simulate(tmp_path, **TINY)


@pytest.mark.parametrize("wrong", [{"deals": 0}, {"months": 0}, {"dirt": 1.0}, {"months": 200}])
def test_impossible_companies_are_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="simulate needs"):
        simulate(tmp_path / "out", **(SMALL | wrong))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("deals", "months", "until"),
    [(1, 36, date(2025, 12, 31)), (60, 2, date(2025, 5, 17)), (30, 60, date(2020, 12, 31))],
)
def test_odd_sizes_work(tmp_path: Path, deals: int, months: int, until: date) -> None:
    simulate(tmp_path, deals=deals, months=months, until=until)
    won = read(tmp_path, "opportunities").filter(pl.col("is_won")).unique("opportunity_id")
    assert won.height == deals or months != 36
    assert won["closed_at"].max().date() <= until
    assert won["closed_at"].max().date() - won["closed_at"].min().date() <= timedelta(days=31 * months)


def test_default_dirt_stays_under_the_limit_that_blocks_a_table(tmp_path: Path) -> None:
    truth = simulate(tmp_path, months=24)
    for table, said in truth.tables.items():
        assert said.rejected_expected <= 0.01 * said.rows, table
    assert sum(t.rejected_expected for t in truth.tables.values()) > 50
