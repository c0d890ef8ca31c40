"""The Dagster side: what loads, what the graph is, what the tools of others see. Guards for traps of the stack."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from expectations.contracts import SOURCES, TABLES
from expectations.model import Layer
from pipelines.definitions import build_definitions
from pipelines.graph import declared_assets
from pipelines.sources.config import load_config
from pipelines.sources.demo import simulate
from pipelines.warehouse.store import Store
from tests.integration.company_files import won, write_company

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """Definitions without any configuration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AFTERSALE_CONFIG", raising=False)
        patch.chdir(tmp_path_factory.mktemp("nowhere"))
        return build_definitions(home=tmp_path_factory.mktemp("home"))


def test_every_contract_has_exactly_one_asset(definitions: dg.Definitions) -> None:
    made = {"/".join(key.path) for key in definitions.resolve_asset_graph().materializable_asset_keys}
    assert made == {table.path for table in TABLES.values()} | {"published/snapshot"}
    assert set(declared_assets()) == {table.path for table in TABLES.values()}


def test_no_check_sits_on_a_key_that_nothing_makes(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checks = list(graph.asset_check_keys)
    assert {check.asset_key for check in checks} <= set(graph.materializable_asset_keys)
    per_table = {
        key: [c.name for c in checks if c.asset_key == key] for key in graph.materializable_asset_keys
    }
    for key, names in per_table.items():
        if key.path[0] != "published":
            assert {"contract", "keys"} <= set(names) <= {"contract", "keys", "statistics"}, key


def test_data_flows_one_way(definitions: dg.Definitions) -> None:
    order = ["landing", "core", "marts", "quality", "published"]
    graph = definitions.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        for parent in graph.get(key).parent_keys:
            assert order.index(parent.path[0]) <= order.index(key.path[0]), (parent, key)


def test_the_graph_is_the_one_written_down(definitions: dg.Definitions) -> None:
    """Renew with: RENEW_GRAPH=1 python -m pytest tests/integration/test_dagster.py -k written_down"""
    graph = definitions.resolve_asset_graph()
    lines = []
    for key in sorted(graph.materializable_asset_keys, key=lambda k: k.path):
        node = graph.get(key)
        parents = " ".join(sorted("/".join(p.path) for p in node.parent_keys))
        cut = " by month" if node.partitions_def else ""
        lines.append(f"{'/'.join(key.path)} [{node.group_name}]{cut} <- {parents}")
    written = ROOT / "tests" / "data" / "graph.txt"
    text = "\n".join(lines) + "\n"
    if os.environ.get("RENEW_GRAPH"):
        written.write_text(text)
    assert text == written.read_text()


def test_an_asset_page_shows_contract_columns_with_units(definitions: dg.Definitions) -> None:
    node = definitions.resolve_asset_graph().get(dg.AssetKey(["marts", "churn_by_incentive"]))
    schema = node.metadata["dagster/column_schema"]
    assert [c.name for c in schema.columns] == list(TABLES["churn_by_incentive"].schema)
    assert "Unit: days" in next(c.description for c in schema.columns if c.name == "horizon_days")


def test_a_source_that_is_not_mapped_makes_no_steps(tmp_path: Path) -> None:
    simulate(tmp_path / "source", deals=200, months=12)
    settings = yaml.safe_load((tmp_path / "source" / "aftersale.yaml").read_text())
    del settings["sources"]["complaints"]
    (tmp_path / "source" / "aftersale.yaml").write_text(yaml.safe_dump(settings))
    definitions = build_definitions(
        home=tmp_path, configuration=load_config(tmp_path / "source" / "aftersale.yaml")
    )
    made = {"/".join(key.path) for key in definitions.resolve_asset_graph().materializable_asset_keys}
    assert "core/complaints" not in made
    assert "marts/complaints_by_incentive" in made
    partitions = definitions.resolve_asset_graph().get(dg.AssetKey(["core", "activities"])).partitions_def
    assert partitions is not None
    assert (partitions.get_first_partition_key(), partitions.get_last_partition_key()) == (
        "2025-01",
        "2025-12",
    )


def test_schedules_and_sensors_are_off_until_switched_on(definitions: dg.Definitions) -> None:
    schedules = list(definitions.schedules or ())
    assert {s.name for s in schedules} == {"daily_refresh_schedule", "monthly_close_schedule"}
    assert all(s.default_status is dg.DefaultScheduleStatus.STOPPED for s in schedules)
    sensors = list(definitions.sensors or ())
    assert {s.name for s in sensors} == {"landing_changed", "tell_about_failure"}
    assert all(s.default_status is dg.DefaultSensorStatus.STOPPED for s in sensors)
    assert {j.name for j in definitions.jobs or ()} == {
        "daily_refresh",
        "ingest",
        "monthly_close",
        "backfill_months",
    }


def test_workspace_and_pyproject_do_not_contradict() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "dagster" not in project["tool"]
    assert "dg" not in project["tool"]
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    assert workspace["load_from"][0]["python_module"]["module_name"] == "pipelines.definitions"
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) == {"pipelines", "assets", "expectations"}
    pins = [d for d in project["project"]["dependencies"] if d.startswith("dagster")]
    assert len({pin.split("==")[1] for pin in pins}) == 1


def test_dagster_itself_validates_and_runs_the_job(tmp_path: Path) -> None:
    days = [f"2025-{month:02}-10T12:00:00Z" for month in range(1, 7)]
    write_company(
        tmp_path / "source",
        {
            "accounts": [{"account_id": "A-1"}],
            "reps": [{"rep_id": "R-1"}],
            "opportunities": [won(f"{i}", "R-1", day, "10.00", account_id="A-1") for i, day in enumerate(days)],
            # a table cut by month: all its months are made in one run
            "activities": [
                {"activity_id": f"V-{day}", "account_id": "A-1", "rep_id": "R-1", "occurred_at": day, "channel": "call", "direction": "outbound"}
                for day in days
            ],
        },
        company={"as_of": "2025-12-31"},
    )  # fmt: skip
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {
        **os.environ, "AFTERSALE_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    environment.pop("AFTERSALE_CONFIG", None)
    tool = [sys.executable, "-m", "dagster"]
    for words in (
        ["definitions", "validate", "-w", "workspace.yaml"],
        ["job", "execute", "-m", "pipelines.definitions", "-j", "daily_refresh"],
    ):
        done = subprocess.run(
            [*tool, *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "published" / "latest" / "manifest.json").is_file()
    activities = Store(tmp_path).head("core/activities")
    assert activities is not None
    assert [part.month for part in activities.parts] == [f"2025-{month:02}" for month in range(1, 7)]


def test_registry_knows_sources_and_layers() -> None:
    assert set(SOURCES) <= set(TABLES)
    assert all(TABLES[name].layer is Layer.CORE for name in SOURCES)
