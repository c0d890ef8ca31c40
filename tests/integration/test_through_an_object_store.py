"""From files in a bucket to a published snapshot in a bucket, through the command; credentials stay in the environment."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.commands.demo import run_simulate
from pipelines.commands.inspect import verify_home
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit, run_guarded

ROOT = Path(__file__).parents[2]


def test_landing_in_and_snapshot_out(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AFTERSALE_KEY", "a key for tests only")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    source, home = tmp_path / "source", tmp_path / "home"
    run_simulate(source, deals=200, months=12, seed=3, effect="none", fmt="csv", dirt=0.0, until=None)
    config = source / "aftersale.yaml"
    content = yaml.safe_load(config.read_text())
    for table in content["sources"].values():
        if "path" in table:
            bucket.upload_file(str(source / table["path"]), f"in/{table['path']}")
            (source / table["path"]).unlink()
            table["path"] = f"s3://lake/in/{table['path']}"
    content["publish"] = {"to": "s3://lake/aftersale"}
    config.write_text(yaml.safe_dump(content))

    assert run_pipeline(home, config) is Exit.PUBLISHED
    pointer = json.loads(bucket.Object("aftersale/latest.json").get()["Body"].read())
    manifest = json.loads(bucket.Object(f"aftersale/{pointer['manifest']}").get()["Body"].read())["content"]
    for name, place in manifest["objects"].items():
        data = bucket.Object(f"aftersale/{place}").get()["Body"].read()
        assert hashlib.sha256(data).hexdigest() == manifest["files"][name]["sha256"]
        assert data == (home / "published" / "latest" / name).read_bytes()
    assert "marts/deal_outcomes.parquet" in manifest["objects"]
    assert verify_home(home) is Exit.PUBLISHED
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "publish.md").read_text(), re.DOTALL)
    found: dict[str, Any] = {}
    exec(snippet, found)
    assert found["deals"].collect().height > 0
    assert found["panel"].collect().height > 0

    capsys.readouterr()
    bucket.Object("aftersale/latest.json").delete()  # as if killed before the flip
    assert run_pipeline(home, config) is Exit.PUBLISHED
    assert "Snapshot 1 was sent to s3://lake/aftersale" in " ".join(capsys.readouterr().out.split())
    assert run_pipeline(home, config) is Exit.PUBLISHED
    assert "was sent" not in capsys.readouterr().out

    monkeypatch.setattr("pipelines.objects._RETRY", {"max_retries": 0})
    content["publish"] = {"to": "s3://no-such-bucket/aftersale"}
    config.write_text(yaml.safe_dump(content))
    capsys.readouterr()
    assert run_guarded(lambda: run_pipeline(home, config)) == Exit.FAILED
    assert "did not reach s3://no-such-bucket/aftersale" in capsys.readouterr().err

    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"canary-secret" not in data, path
            assert b"canary-key-id" not in data, path
