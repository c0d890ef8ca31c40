"""One key at a time: changing it is announced, old pseudonyms lead to new ones, and no snapshot holds two."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipelines.commands.run import run_pipeline
from pipelines.exits import Exit
from pipelines.keys import SetupError
from pipelines.warehouse.snapshots import latest_snapshot, verify
from pipelines.warehouse.store import Store
from tests.integration.company_files import won, write_company

OLD, NEW, THIRD = "the key of last year", "the key of this year", "somebody's own idea"
SELLERS = ["ann", "bob", "cid"]


def write_sellers(folder: Path) -> Path:
    tables = {
        "accounts": [{"account_id": f"A-{n}"} for n in range(6)],
        "reps": [{"rep_id": s, "role": "hunter"} for s in SELLERS],
        "opportunities": [won(str(n), SELLERS[n % 3], "2025-01-10T12:00:00Z", "10.00") for n in range(6)],
    }
    return write_company(folder, tables, company={"as_of": "2025-12-31", "demo_seed": None})


def sellers(home: Path) -> set[str]:
    store = Store(home)
    version = store.head("core/reps")
    assert version is not None
    return set(pl.read_parquet([store.part_path(p) for p in version.parts])["rep_id"])


def test_a_key_is_rotated_on_purpose_and_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home, config = tmp_path / "home", write_sellers(tmp_path / "source")
    monkeypatch.setenv("AFTERSALE_KEY", OLD)
    assert run_pipeline(home, config) is Exit.PUBLISHED
    before, first = sellers(home), latest_snapshot(home)
    assert first is not None

    monkeypatch.setenv("AFTERSALE_KEY", NEW)
    with pytest.raises(SetupError, match=f"{first.facts['pseudonym_key']}.*AFTERSALE_KEY_PREVIOUS"):
        run_pipeline(home, config)

    monkeypatch.setenv("AFTERSALE_KEY_PREVIOUS", OLD)
    # one table alone would leave sellers under two names
    assert run_pipeline(home, config, select=("core/reps",)) is Exit.BLOCKED
    assert f"holds pseudonyms of the key {first.facts['pseudonym_key']}" in capsys.readouterr().err
    assert run_pipeline(home, config) is Exit.PUBLISHED
    after, second = sellers(home), latest_snapshot(home)
    assert second is not None
    assert second.facts["pseudonym_key"] != first.facts["pseudonym_key"]
    assert verify(home) == []
    (mapping,) = (home / "keys").iterdir()
    assert mapping.name == f"{first.facts['pseudonym_key']}-to-{second.facts['pseudonym_key']}.csv"
    assert mapping.parent.stat().st_mode & 0o777 == 0o700
    pairs = dict(pl.read_csv(mapping).select("was", "now").rows())
    assert (set(pairs), set(pairs.values())) == (before, after)
    assert not before & after
    assert len(after) == len(SELLERS)

    monkeypatch.delenv("AFTERSALE_KEY_PREVIOUS")
    monkeypatch.setenv("AFTERSALE_KEY", THIRD)
    with pytest.raises(SetupError):
        run_pipeline(home, config)
    monkeypatch.setenv("AFTERSALE_KEY_PREVIOUS", "lost")
    assert run_pipeline(home, config) is Exit.PUBLISHED
    for key in (OLD, NEW, THIRD):
        assert not [p for p in home.rglob("*") if p.is_file() and key.encode() in p.read_bytes()]
