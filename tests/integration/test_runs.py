"""Whole runs on a small made-up company: reuse, blocks, two at once, kills, equal bytes. Each test has its own home."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import yaml

from assets.step import remembered
from assets.table import Made, TableAsset
from expectations.results import Group
from pipelines.commands.inspect import newest_rejects, read_status
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit, UsageError
from pipelines.graph import declared_assets
from pipelines.sources.demo import simulate
from pipelines.warehouse.runs import Runs, State
from pipelines.warehouse.snapshots import latest_number, latest_snapshot, verify
from pipelines.warehouse.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one published snapshot of a small clean company; tests copy it."""
    home = tmp_path_factory.mktemp("published") / "home"
    simulate(home / "source", deals=400, months=12, dirt=0.0, fmt="csv")
    assert run_pipeline(home, home / "source" / "aftersale.yaml") is Exit.PUBLISHED
    return home


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Path:
    """A copy of the published home."""
    copy = tmp_path / "home"
    shutil.copytree(published, copy, symlinks=True)
    return copy


def config(home: Path) -> Path:
    return home / "source" / "aftersale.yaml"


def hash_marts(home: Path) -> dict[str, str]:
    folder = home / "published" / "latest" / "marts"
    files = sorted(p for p in folder.rglob("*.parquet"))
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def run_apart(home: Path, *, threads: int = 2, prelude: str = "") -> subprocess.CompletedProcess[str]:
    """`aftersale run` in a process of its own."""
    code = f"{textwrap.dedent(prelude)}\nfrom pipelines.cli import main\nmain()"
    environment = {**os.environ, "POLARS_MAX_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    environment.pop("DAGSTER_HOME", None)
    return subprocess.run(
        [sys.executable, "-c", code, "run", "--home", str(home), "--config", str(config(home))],
        env=environment, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip


def spoil(path: Path, share: float, column: str, value: str) -> int:
    """Write a value into a share of the rows of a CSV file; returns how many."""
    frame = pl.read_csv(path, infer_schema=False)
    count = max(1, int(frame.height * share))
    spoilt = (
        pl.when(pl.int_range(pl.len()) < count).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )
    frame.with_columns(spoilt).write_csv(path)
    return count


def test_nothing_changed_recomputes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs_before = len(Runs(home).all())
    assert run_pipeline(home, config(home)) is Exit.PUBLISHED
    assert "nothing was recomputed" in capsys.readouterr().out
    assert (latest_number(home), len(Runs(home).all())) == (1, runs_before)


def test_a_changed_source_remakes_what_stands_on_it_and_nothing_else(home: Path) -> None:
    path = home / "source" / "complaints.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert run_pipeline(home, config(home)) is Exit.PUBLISHED
    newest = latest_snapshot(home)
    assert newest is not None
    assert newest.number == 2
    logged = [json.loads(x) for p in sorted((home / "logs").iterdir()) for x in p.read_text().splitlines()]
    told = [(x["event"], x.get("table", "")) for x in logged if x["run"] == newest.run_id]
    assert told[0] == ("started", "")
    assert told[-1] == ("published", "")
    assert ("made", "core/complaints") in told
    states = {table: result["state"] for table, result in Runs(home).results(newest.run_id).items()}
    assert states["core/complaints"] == "made"
    assert states["marts/complaints_by_incentive"] == "made"
    assert {states[f"core/{t}"] for t in ("opportunities", "quotas", "activities")} == {"reused"}
    assert states["marts/deal_incentives"] == "reused"


def test_a_new_month_costs_a_month(home: Path) -> None:
    """Seen to the end of October, then to the end of December: the manifests name the same parts for the months before."""
    store = Store(home)

    def parts_at(as_of: date | None) -> dict[str, dict[str, str]]:
        assert run_pipeline(home, config(home), as_of=as_of) is Exit.PUBLISHED
        found = {}
        for table in ("core/activities", "marts/account_months"):
            version = store.head(table)
            assert version is not None
            found[table] = {part.month: part.path for part in version.parts}
            assert {r.group for r in remembered(version)} == set(Group)
        return found

    shutil.rmtree(home / "store")
    earlier, later = parts_at(date(2025, 10, 31)), parts_at(None)
    for table, parts in earlier.items():
        assert sorted(parts) == [f"2025-{m:02}" for m in range(1, 11)]
        same = {month for month, path in parts.items() if later[table][month] == path}
        assert same >= {f"2025-{m:02}" for m in range(1, 10)}, table
        version = store.head(table)
        assert version is not None
        assert version.facts["months"] == 12
        assert version.facts["months_made"] == 12 - len(same)


def test_what_is_restated_in_closed_months_is_told_with_rows_and_money(home: Path) -> None:
    path = home / "source" / "ledger.csv"
    entries = pl.read_csv(path, infer_schema=False)
    month = entries["booked_at"].str.slice(0, 7)
    chosen = entries.filter(month == "2025-03").head(2)
    raised = str(Decimal(chosen["amount"][0]) + 7)
    is_first = pl.col("entry_id") == chosen["entry_id"][0]
    corrected = entries.filter(pl.col("entry_id") != chosen["entry_id"][1]).with_columns(
        pl.when(is_first).then(pl.lit(raised)).otherwise("amount").alias("amount")
    )
    corrected.write_csv(path)
    assert run_pipeline(home, config(home)) is Exit.PUBLISHED
    folder = home / "published" / "latest"
    (row,) = pl.read_csv(folder / "restatements.csv", infer_schema=False).rows(named=True)
    assert (row["table"], row["month"], row["money"]) == ("ledger", "2025-03", "amount")
    assert (row["rows_added"], row["rows_changed"], row["rows_vanished"]) == ("0", "1", "1")
    moved = Decimal(row["money_after"]) - Decimal(row["money_before"])
    assert moved == 7 - Decimal(chosen["amount"][1])
    assert "| ledger | 2025-03 |" in (folder / "changes.md").read_text()
    assert verify(home) == []


def test_too_many_rejects_block_and_the_last_good_snapshot_stays(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hash_marts(home)
    count = spoil(home / "source" / "subscriptions.csv", 0.1, "started_at", "2023-02-29")
    assert run_pipeline(home, config(home)) is Exit.BLOCKED
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    for words in (str(count), "subscriptions", "aftersale rejects", "Snapshot 1 stays"):
        assert words in said
    assert "Traceback" not in said
    assert (latest_number(home), hash_marts(home), verify(home)) == (1, before, [])
    run = Runs(home).latest()
    assert run is not None
    assert run.state is State.BLOCKED
    rejected = newest_rejects(Store(home), Runs(home), "core/subscriptions")
    assert rejected is not None
    assert (rejected.height, set(rejected["value"])) == (count, {"2023-02-29"})
    assert all("2023-02-29" in raw for raw in rejected["raw"])


def test_a_blocked_optional_source_may_go_on_stale(home: Path) -> None:
    settings = yaml.safe_load(config(home).read_text())
    settings["sources"]["complaints"]["on_block"] = "stale"
    config(home).write_text(yaml.safe_dump(settings))
    spoil(home / "source" / "complaints.csv", 0.5, "received_at", "31/12/2024")
    assert run_pipeline(home, config(home)) is Exit.PUBLISHED
    stale = read_status(home, datetime.now(UTC))["stale_sources"]
    assert [s["table"] for s in stale] == ["core/complaints"]


def test_a_blocking_check_on_a_mart_keeps_it_from_being_published(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = declared_assets()
    made = declared["marts/feedback_hops"]
    assert isinstance(made, TableAsset)

    @functools.wraps(made.function)
    def feedback_hops(**frames: pl.LazyFrame) -> pl.LazyFrame:
        found = made.function(**frames)
        frame = found.frame if isinstance(found, Made) else found
        return pl.concat([frame, frame])

    broken = TableAsset(made.contract, feedback_hops)
    monkeypatch.setattr(
        "pipelines.definitions.declared_assets", lambda: {**declared, broken.contract.path: broken}
    )
    monkeypatch.setattr("pipelines.workshop.compute_code_version", lambda: "broken on purpose")
    assert run_pipeline(home, config(home)) is Exit.BLOCKED
    said = capsys.readouterr().err
    for words in ("marts/feedback_hops", "key_is_unique", "failed for", str(home / "runs")):
        assert words in said
    assert latest_number(home) == 1
    assert verify(home) == []


def test_equal_bytes_whatever_the_threads_and_the_order_of_rows(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(home / "source", other / "source")
    rng = random.Random(7)
    for path in sorted((other / "source").glob("*.csv")):
        header, *rows = path.read_text().splitlines(keepends=True)
        rng.shuffle(rows)
        path.write_text(header + "".join(rows))
    process = run_apart(other, threads=1)
    assert process.returncode == 0, process.stderr
    assert hash_marts(other) == hash_marts(home)


def test_two_runs_at_once_publish_one_hash(home: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    shutil.copytree(home / "source", fresh / "source")
    with ThreadPoolExecutor(2) as pool:
        racers = list(pool.map(run_apart, [fresh, fresh]))
    assert [r.returncode for r in racers] == [0, 0], [r.stderr for r in racers]
    assert verify(fresh) == []
    assert hash_marts(fresh) == hash_marts(home)


@pytest.mark.parametrize(("action", "skip"), [("create", 10), ("flip", 0)])
def test_a_killed_run_leaves_the_last_good_snapshot_and_a_plain_rerun_finishes(
    home: Path, action: str, skip: int
) -> None:
    before = hash_marts(home)
    path = home / "source" / "opportunities.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    prelude = f"""
        import os, signal
        from pipelines.warehouse import files
        left, real = [{skip}], files.Files.step
        def step(self, action, path):
            if {action!r} in str(action):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(self, action, path)
        files.Files.step = step
    """
    killed = run_apart(home, prelude=prelude)
    assert killed.returncode == -9, (action, killed.stderr)
    assert (latest_number(home), hash_marts(home)) == (1, before)
    again = run_apart(home)
    assert again.returncode == 0, again.stderr
    assert latest_number(home) in (2, 3)
    assert verify(home) == []
    states = [run.state for run in Runs(home).all()]
    assert State.FAILED in states
    assert State.STARTED not in states


def test_words_that_do_not_fit_are_usage_errors(home: Path) -> None:
    with pytest.raises(UsageError, match="2025-13"):
        run_pipeline(home, config(home), months=("2025-13",))
    with pytest.raises(UsageError, match="churn_by_incentive"):
        run_pipeline(home, config(home), select=("marts/churn_by_incentiv",))


def test_exit_codes_of_missing_things(tmp_path: Path, home: Path) -> None:
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
        for name in ("AFTERSALE_CONFIG", "AFTERSALE_HOME", "DAGSTER_HOME"):
            environment.pop(name, None)
        code = "from pipelines.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    nothing = run("run")
    assert (nothing.returncode, "aftersale demo" in nothing.stderr) == (4, True)
    assert run("run", "--no-such-option").returncode == 2
    unkeyed = home / "source" / "unkeyed.yaml"
    unkeyed.write_text("\n".join(x for x in config(home).read_text().splitlines() if "demo_seed" not in x))
    keyless = run("run", "--home", str(home), "--config", str(unkeyed), AFTERSALE_KEY="")
    assert (keyless.returncode, "AFTERSALE_KEY" in keyless.stderr) == (4, True)
    (home / "source" / "reps.csv").unlink()
    gone = run("run", "--home", str(home), "--config", str(config(home)))
    assert (gone.returncode, "reps" in gone.stderr, "Traceback" in gone.stderr) == (5, True, False)
