"""Whole runs on a small made-up company: reuse, blocks, two at once, kills, equal bytes. Each test has its own home."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest

from pipelines.commands.inspect import newest_rejects, read_status
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit, UsageError
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


def run_apart(home: Path, *, threads: int = 2, prelude: str = "", wait: bool = True) -> subprocess.Popen[str]:
    """`aftersale run` in a process of its own."""
    code = f"{textwrap.dedent(prelude)}\nfrom pipelines.cli import main\nmain()"
    environment = {**os.environ, "POLARS_MAX_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    environment.pop("DAGSTER_HOME", None)
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "--home", str(home), "--config", str(config(home))],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if wait:
        process.wait(timeout=300)
    return process


def spoil(path: Path, share: float, column: str, value: str) -> int:
    """Write a value into a share of the rows of a CSV file; returns how many."""
    frame = pl.read_csv(path, infer_schema=False)
    count = max(1, int(frame.height * share))
    spoilt = pl.when(pl.int_range(pl.len()) < count).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
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
    states = {table: result["state"] for table, result in Runs(home).results(newest.run_id).items()}
    assert states["core/complaints"] == "made"
    assert states["marts/complaints_by_incentive"] == "made"
    assert {states[f"core/{t}"] for t in ("opportunities", "quotas", "activities")} == {"reused"}
    assert states["marts/deal_incentives"] == "reused"


def test_too_many_rejects_block_and_the_last_good_snapshot_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    settings = config(home)
    settings.write_text(settings.read_text().replace("complaints:", "complaints:\n    on_block: stale", 1))
    if "on_block" not in settings.read_text():
        pytest.fail("the demo's configuration has no complaints to mark")
    shown = settings.read_text()
    if "complaints:\n    on_block: stale {" in shown:  # flow style: put the key inside
        settings.write_text(shown.replace("complaints:\n    on_block: stale {", "complaints: {on_block: stale, "))
    spoil(home / "source" / "complaints.csv", 0.5, "received_at", "31/12/2024")
    assert run_pipeline(home, settings) is Exit.PUBLISHED
    from datetime import UTC, datetime

    stale = read_status(home, datetime.now(UTC))["stale_sources"]
    assert [s["table"] for s in stale] == ["core/complaints"]


def test_a_blocking_check_on_a_mart_keeps_it_from_being_published(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from assets.voice import feedback_hops
    from pipelines import graph

    made = feedback_hops.feedback_hops

    def twice(**frames: pl.LazyFrame) -> pl.LazyFrame:
        frame = made.function(**frames)
        frame = frame if isinstance(frame, pl.LazyFrame) else frame.frame
        return pl.concat([frame, frame])

    declared = graph.declared_assets()
    broken = object.__new__(type(made))
    for name, value in (("contract", made.contract), ("function", twice), ("months", None)):
        object.__setattr__(broken, name, value)
    monkeypatch.setattr(type(made), "parameters", property(lambda self: made_parameters if self is broken else parameters(self)))
    parameters = type(made).__dict__["parameters"].fget if False else _parameters_of
    made_parameters = _parameters_of(made)
    monkeypatch.setattr("pipelines.definitions.declared_assets", lambda: {**declared, "marts/feedback_hops": broken})
    monkeypatch.setattr("pipelines.workshop.compute_code_version", lambda: "broken on purpose")
    assert run_pipeline(home, config(home)) is Exit.BLOCKED
    said = capsys.readouterr().err
    for words in ("marts/feedback_hops", "key_is_unique", "failed"):
        assert words in said
    assert latest_number(home) == 1
    assert verify(home) == []


def _parameters_of(asset: object) -> tuple[str, ...]:
    import inspect

    return tuple(inspect.signature(asset.function).parameters)  # type: ignore[attr-defined]


def test_equal_bytes_whatever_the_threads_and_the_order_of_rows(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(home / "source", other / "source")
    rng = random.Random(7)
    for path in sorted((other / "source").glob("*.csv")):
        header, *rows = path.read_text().splitlines(keepends=True)
        rng.shuffle(rows)
        path.write_text(header + "".join(rows))
    process = run_apart(other, threads=1)
    assert process.returncode == 0, process.stderr.read() if process.stderr else ""
    assert hash_marts(other) == hash_marts(home)


def test_two_runs_at_once_publish_one_hash(home: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    shutil.copytree(home / "source", fresh / "source")
    racers = [run_apart(fresh, wait=False) for _ in range(2)]
    for racer in racers:
        racer.wait(timeout=300)
    assert [r.returncode for r in racers] == [0, 0], [r.stderr.read() for r in racers if r.stderr]
    assert verify(fresh) == []
    assert hash_marts(fresh) == hash_marts(home)


@pytest.mark.parametrize(("action", "skip"), [("write", 30), ("link", 40), ("move", 0), ("point", 0)])
def test_a_killed_run_leaves_the_last_good_snapshot_and_a_plain_rerun_finishes(home: Path, action: str, skip: int) -> None:
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
    assert killed.returncode == -9, (action, killed.stderr.read() if killed.stderr else "")
    assert (latest_number(home), hash_marts(home)) == (1, before)
    again = run_apart(home)
    assert again.returncode == 0, again.stderr.read() if again.stderr else ""
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
        return subprocess.run([sys.executable, "-c", code, *words], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    nothing = run("run")
    assert (nothing.returncode, "aftersale demo" in nothing.stderr) == (4, True)
    assert run("run", "--no-such-option").returncode == 2
    text = config(home).read_text()
    unkeyed = home / "source" / "unkeyed.yaml"
    unkeyed.write_text("\n".join(line for line in text.splitlines() if "demo_seed" not in line))
    if "demo_seed" not in unkeyed.read_text():
        found = run("run", "--home", str(home), "--config", str(unkeyed), AFTERSALE_KEY="")
        assert (found.returncode, "AFTERSALE_KEY" in found.stderr) == (4, True)
    (home / "source" / "reps.csv").unlink()
    gone = run("run", "--home", str(home), "--config", str(config(home)))
    assert (gone.returncode, "reps" in gone.stderr, "Traceback" in gone.stderr) == (5, True, False)


def test_manifest_names_every_file_and_json_is_whole(published: Path) -> None:
    manifest = json.loads((published / "published" / "latest" / "manifest.json").read_text())
    assert verify(published) == []
    assert "snapshot" in json.dumps(manifest) or manifest
