"""`aftersale erase`: afterwards no byte of the home but the list itself knows the account; the sources are told on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets.core.pseudonyms import Pseudonyms, demo_key
from pipelines.commands.erase import erase
from pipelines.commands.inspect import verify_home
from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit, UsageError
from pipelines.warehouse.snapshots import latest_snapshot, snapshot_numbers, verify
from tests.integration.company_files import won, write_company

WHO = "ACC-forget-me"


def write(folder: Path) -> Path:
    accounts = [WHO, *(f"A-{n}" for n in range(39))]
    tables: dict[str, list[dict[str, Any]]] = {
        "accounts": [{"account_id": a, "parent_account_id": WHO if a == "A-1" else "", "segment": "smb"} for a in accounts],
        "reps": [{"rep_id": "R1", "role": "hunter"}, {"rep_id": "R2", "role": "hunter"}],
        "opportunities": [
            *(won(f"O-{a[-5:]}", f"R{n % 2 + 1}", "2025-01-10T12:00:00Z", "10.00", account_id=a) for n, a in enumerate(accounts)),
            won("bad", "R1", "2025-01-10T12:00:00Z", "ten", account_id=WHO),
            won("worse", "R1", "2025-01-10T12:00:00Z", f"see {WHO}", account_id="A-2"),
        ],
        "complaints": [
            {"complaint_id": f"C-{n}", "account_id": a, "received_at": "2025-03-01T12:00:00Z", "category": "service"}
            for n, a in enumerate(accounts)
        ],
    }  # fmt: skip
    return write_company(
        folder, tables, company={"as_of": "2025-12-31"}, opportunities={"max_reject_share": 0.5}
    )


def knowing(home: Path) -> list[str]:
    """Files that hold the id, in Parquet also compressed."""
    found = []
    for path in sorted(p for p in home.rglob("*") if p.is_file() and not p.is_symlink()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data += texts_of(path)
        if WHO.encode() in data:
            found.append(str(path.relative_to(home)))
    return found


def texts_of(parquet: Path | io.BytesIO) -> bytes:
    """All text that a Parquet file holds, decompressed."""
    frame = pl.read_parquet(parquet, hive_partitioning=False)
    return frame.select(pl.selectors.string()).write_csv().encode()


def knowing_objects(bucket: Any, folder: str, who: str) -> list[str]:
    """Objects below a folder that hold the id, older snapshots' included, in Parquet also compressed."""
    found = []
    for entry in bucket.objects.filter(Prefix=f"{folder}/"):
        data = entry.get()["Body"].read()
        if entry.key.endswith(".parquet"):
            data += texts_of(io.BytesIO(data))
        if who.encode() in data:
            found.append(entry.key)
    return found


def test_nothing_but_the_list_knows_the_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home, config = tmp_path / "home", write(tmp_path / "source")
    assert run_pipeline(home, config) is Exit.PUBLISHED
    assert any(name.startswith("rejects/") for name in knowing(home))
    assert any(name.startswith("store/") for name in knowing(home))
    with pytest.raises(UsageError, match="--of account or --of rep"):
        erase(home, config, WHO, "person", dry_run=False)
    assert erase(home, config, WHO, "account", dry_run=True) is Exit.PUBLISHED
    assert "Still in the source of complaints: 1 records in complaints.csv" in capsys.readouterr().out
    assert snapshot_numbers(home) == [1]

    assert erase(home, config, WHO, "account", dry_run=False) is Exit.PUBLISHED
    said = capsys.readouterr().out
    assert "Older snapshots removed: 1" in said
    assert "Still in the source of accounts: 1 records in accounts.csv" in said
    assert WHO not in said
    assert knowing(home) == ["keys/erased.json"]
    assert (home / "keys").stat().st_mode & 0o777 == 0o700
    assert snapshot_numbers(home) == [2]
    assert verify(home) == []
    deals = pl.read_parquet(home / "published" / "latest" / "marts" / "deal_outcomes.parquet")
    assert deals.height == 39

    # the next delivery holds it still, and does not bring it back
    with (config.parent / "complaints.csv").open("a") as file:
        file.write(f"C-late,{WHO},2025-04-01T12:00:00Z,service\n")
    assert run_pipeline(home, config) is Exit.PUBLISHED
    newest = latest_snapshot(home)
    assert newest is not None
    assert newest.number >= 2
    assert knowing(home) == ["keys/erased.json"]


def test_nothing_in_the_bucket_knows_the_erased(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An account, then a seller, whose pseudonym is looked for; older snapshots in the bucket go with their objects."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home, config = tmp_path / "home", write(tmp_path / "source")
    plain = config.read_text()
    config.write_text(f"{plain}publish: {{to: 's3://lake/first'}}\n")
    seller = Pseudonyms(demo_key(1)).of("rep", "R2")
    assert run_pipeline(home, config) is Exit.PUBLISHED
    assert any("/objects/" in key for key in knowing_objects(bucket, "first", WHO))
    assert any("/objects/" in key for key in knowing_objects(bucket, "first", seller))

    assert erase(home, config, WHO, "account", dry_run=False) is Exit.PUBLISHED
    assert "objects of older snapshots from s3://lake/first" in " ".join(capsys.readouterr().out.split())
    assert knowing_objects(bucket, "first", WHO) == []
    pointer = json.loads(bucket.Object("first/latest.json").get()["Body"].read())
    assert pointer["number"] == 2
    manifests = {entry.key for entry in bucket.objects.filter(Prefix="first/snapshots/")}
    assert manifests == {f"first/{pointer['manifest']}"}
    content = json.loads(bucket.Object(f"first/{pointer['manifest']}").get()["Body"].read())["content"]
    objects = {entry.key for entry in bucket.objects.filter(Prefix="first/objects/")}
    assert objects == {f"first/{place}" for place in content["objects"].values()}
    assert verify_home(home) is Exit.PUBLISHED

    config.write_text(f"{plain}publish: {{to: 's3://lake/second'}}\n")
    capsys.readouterr()
    assert erase(home, config, "R2", "rep", dry_run=False) is Exit.PUBLISHED
    said = " ".join(capsys.readouterr().out.split())
    assert "Snapshots were sent to s3://lake/first before, and hold the id still" in said
    assert bucket.Object("second/latest.json").get()["Body"].read()
    assert knowing_objects(bucket, "second", seller) == []
    assert knowing_objects(bucket, "first", seller)
