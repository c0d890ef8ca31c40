"""A blocked run calls the webhook, whoever started it, with the run's own words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin

from pipelines.commands.run import run_pipeline
from pipelines.definitions import build_definitions
from pipelines.exits import Exit
from pipelines.places import prepare_dagster_home
from pipelines.sources.config import ConfigError, load_config
from tests.integration.company_files import won, write_company


@contextmanager
def listening() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server on this machine that keeps what is posted to it."""
    heard: list[dict[str, Any]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            del words

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_blocked_company(folder: Path, webhook: str) -> Path:
    """One of two deals closed on a day that is none."""
    path = write_company(
        folder,
        {
            "accounts": [{"account_id": "A-1"}],
            "reps": [{"rep_id": "R-1"}],
            "opportunities": [
                won("1", "R-1", "2025-03-01T12:00:00Z", "10.00"),
                won("2", "R-1", "Jane Roe said maybe", "10.00"),
            ],
        },
    )
    path.write_text(f"{path.read_text()}alerts: {{webhook: '{webhook}'}}\n")
    return path


def test_a_run_blocked_on_the_command_line_is_told_by_the_sensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with listening() as (url, heard):
        config = write_blocked_company(tmp_path / "company", url)
        home = tmp_path / "home"
        monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(home)))
        definitions = build_definitions(home=home, configuration=load_config(config))
        sensor = definitions.resolve_sensor_def("tell_about_failure")
        repository = definitions.get_repository_def()
        with dg.DagsterInstance.get() as instance:

            def tick(cursor: str | None) -> str | None:
                # as the daemon ticks: the sensor has a code location, a run of the command has none
                context = dg.SensorEvaluationContext(
                    None,
                    instance=instance,
                    cursor=cursor,
                    repository_def=repository,
                    repository_name="__repository__",
                    code_location_origin=RegisteredCodeLocationOrigin("aftersale"),
                )
                return sensor.evaluate_tick(context).cursor

            cursor = tick(None)
            assert run_pipeline(home, config) is Exit.BLOCKED
            tick(cursor)
    assert [(said["job"], said["state"]) for said in heard] == [("daily_refresh", "blocked")]
    assert "core/opportunities" in heard[0]["message"] or "1 of 2 records rejected" in heard[0]["message"]
    assert "Jane" not in json.dumps(heard)


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://example.org", "hooks.example.org", "https://"]
)
def test_only_a_web_address_is_a_webhook(address: str, tmp_path: Path) -> None:
    path = write_blocked_company(tmp_path, address)
    with pytest.raises(ConfigError, match=r"webhook.*https://"):
        load_config(path)
