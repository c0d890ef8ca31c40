"""The example of docs/connect/dlt.md, run as it stands against an API on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from pipelines.sources.config import load_config
from pipelines.sources.landing import ConfiguredLanding

PAGE = (Path(__file__).parents[3] / "docs" / "connect" / "dlt.md").read_text()
Tickets = dict[str, dict[str, str]]


@pytest.fixture
def api() -> Iterator[tuple[str, Tickets]]:
    """A help desk: its address, and the tickets it has; two on a page."""
    tickets: Tickets = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
            since, start = (
                asked["since"].replace("+00:00", "Z").replace(" 00:00", "Z"),
                int(asked.get("start", 0)),
            )
            rows = sorted(
                (t for t in tickets.values() if t["updated_at"] >= since), key=lambda t: t["updated_at"]
            )
            more = f"{address}/tickets?since={since}&start={start + 2}" if len(rows) > start + 2 else None
            body = json.dumps({"tickets": rows[start : start + 2], "next": more}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address, tickets
    finally:
        server.shutdown()
        server.server_close()


def ticket(number: str, kind: str, updated: str) -> dict[str, str]:
    return {
        "id": number,
        "customer": f"A{number}",
        "opened_at": "2024-01-01T09:00:00Z",
        "updated_at": updated,
        "subject_kind": kind,
    }


def fetch(folder: Path, address: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (folder / "fetch_tickets.py").write_text(example)
    done = subprocess.run(
        [sys.executable, "fetch_tickets.py"],
        check=False,
        cwd=folder,
        env=os.environ | {"HELPDESK_API": address, "HOME": str(folder), "RUNTIME__DLTHUB_TELEMETRY": "false"},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr


def land(folder: Path) -> list[tuple[str, str, str]]:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    content = {
        "company": {"reporting_currency": "USD", "timezone": "UTC"},
        "sources": {
            "accounts": {"rows": [{"account_id": "A1"}]},
            "reps": {"rows": [{"rep_id": "R1"}]},
            "opportunities": {"rows": [{"opportunity_id": "O1", "account_id": "A1", "rep_id": "R1", "closed_at": None, "is_won": "true", "amount": "1", "currency": "USD"}]},
            **yaml.safe_load(example)["sources"],
        },
    }  # fmt: skip
    file = folder / "aftersale.yaml"
    file.write_text(yaml.safe_dump(content))
    landed = ConfiguredLanding(load_config(file), folder / "cache").read("complaints")
    assert landed.rejects.is_empty()
    rows = landed.rows.collect().sort("complaint_id")
    return rows.select("complaint_id", "account_id", "category").rows()


def test_the_example_fetches_pages_and_changes_and_the_newest_version_lands(
    api: tuple[str, Tickets], tmp_path: Path
) -> None:
    address, tickets = api
    for number in ("007", "2", "3"):
        tickets[number] = ticket(number, "billing", f"2024-01-0{number[-1]}T10:00:00Z")
    fetch(tmp_path, address)
    assert land(tmp_path) == [("007", "A007", "billing"), ("2", "A2", "billing"), ("3", "A3", "billing")]
    tickets["2"] = ticket("2", "service", "2024-02-01T10:00:00Z")
    fetch(tmp_path, address)
    assert len(list((tmp_path / "landing" / "helpdesk" / "ticket").glob("*.parquet"))) == 2
    assert land(tmp_path) == [("007", "A007", "billing"), ("2", "A2", "service"), ("3", "A3", "billing")]
