"""Delta tables as sources: one version, exact, fetched once; made here with the library's own writer."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from assets.landing import FILE, RECORD, SourceUnreachableError
from pipelines.sources.config import ConfigError, load_config
from pipelines.sources.inspection import inspect_sources
from pipelines.sources.landing import ConfiguredLanding

WHEN = datetime(2024, 1, 1, 9, tzinfo=UTC)


def deals(*ids: str, **more: object) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": ids, "amount": Decimal("12345678901234.56"), "won": True, "closed": WHEN, **more},
        schema_overrides={"amount": pl.Decimal(18, 2), "closed": pl.Datetime("us", "UTC")},
    )


def write(place: Path | str, frame: pl.DataFrame, mode: str = "append", **options: Any) -> None:
    write_deltalake(str(place), frame.to_arrow(), mode=mode, **options)  # type: ignore[call-overload]


def company(folder: Path, delta: str, **more: str) -> ConfiguredLanding:
    own = "".join(f", {name}: {column}" for name, column in more.items())
    file = folder / "aftersale.yaml"
    file.write_text(f"""\
company: {{reporting_currency: USD, timezone: UTC}}
sources:
  accounts: {{rows: [{{account_id: A1}}]}}
  reps: {{rows: [{{rep_id: R1}}]}}
  opportunities:
    delta: {delta}
    columns: {{opportunity_id: id, account_id: "'A1'", rep_id: "'R1'", closed_at: closed, is_won: won, currency: "'USD'"{own}}}
""")
    return ConfiguredLanding(load_config(file), folder / "cache")


def test_a_delta_table_lands_with_its_types_and_its_version_on_record(tmp_path: Path) -> None:
    write(tmp_path / "lake", deals("007", "D2"))
    landed = company(tmp_path, "{path: lake}").read("opportunities")
    rows = landed.rows.collect()
    assert rows["opportunity_id"].to_list() == ["007", "D2"]
    assert rows["amount"].cast(pl.String).to_list() == ["12345678901234.56"] * 2
    assert rows["closed_at"].to_list() == [WHEN] * 2
    assert rows.select(FILE, RECORD).rows() == [("lake@0", 1), ("lake@0", 2)]
    assert [(f.path, f.records) for f in landed.files] == [("lake@0", 2)]


def test_the_newest_version_is_taken_or_the_one_named(tmp_path: Path) -> None:
    write(tmp_path / "lake", deals("D1"))
    newest, pinned = company(tmp_path, "{path: lake}"), "{path: lake, version: 0}"
    first = newest.version("opportunities")
    fixed = company(tmp_path, pinned).version("opportunities")
    write(tmp_path / "lake", deals("D2"))
    assert company(tmp_path, pinned).version("opportunities") == fixed
    landing = company(tmp_path, "{path: lake}")
    assert landing.version("opportunities") != first
    assert set(landing.read("opportunities").rows.collect()["opportunity_id"]) == {"D1", "D2"}
    DeltaTable(str(tmp_path / "lake")).delete("id = 'D1'")
    assert company(tmp_path, "{path: lake}").read("opportunities").rows.collect()[
        "opportunity_id"
    ].to_list() == ["D2"]
    old = company(tmp_path, "{path: lake, version: 1}").read("opportunities")
    assert set(old.rows.collect()["opportunity_id"]) == {"D1", "D2"}


def test_a_version_is_fetched_once_unless_the_copy_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "lake", deals("D1"))
    scans: list[int] = []
    scan = pl.scan_delta

    def counted(*args: Any, **options: Any) -> pl.LazyFrame:
        scans.append(1)
        return scan(*args, **options)

    monkeypatch.setattr(pl, "scan_delta", counted)
    version = company(tmp_path, "{path: lake}").version("opportunities")
    assert company(tmp_path, "{path: lake}").version("opportunities") == version
    assert len(scans) == 1
    (copy,) = (tmp_path / "cache" / "delta" / "opportunities").glob("*.parquet")
    copy.write_bytes(copy.read_bytes()[:-1])
    assert company(tmp_path, "{path: lake}").version("opportunities") == version
    assert len(scans) == 2


def test_partitions_and_grown_schemas_are_read_whole(tmp_path: Path) -> None:
    write(tmp_path / "lake", deals("007", region="008"), partition_by=["region"])
    write(tmp_path / "lake", deals("D2", region="009", extra="x"), schema_mode="merge")
    landed = company(tmp_path, "{path: lake}", product_id="region").read("opportunities")
    raw = landed.raw(landed.rows.select(FILE, RECORD).collect())["raw"].to_list()
    assert sorted('"region":"008"' in text for text in raw) == [False, True]
    assert all('"extra":null' in text for text in raw)  # nothing maps it
    assert sorted(landed.rows.collect()["product_id"]) == ["008", "009"]


def test_a_delta_table_in_a_bucket_lands_as_well(bucket: Any, tmp_path: Path) -> None:
    write("s3://lake/deals", deals("007"))
    landing = company(tmp_path, "{path: 's3://lake/deals'}")
    rows = landing.read("opportunities").rows.collect()
    assert rows.select("opportunity_id", FILE).rows() == [("007", "s3://lake/deals@0")]


def test_a_first_look_brings_the_first_rows(tmp_path: Path) -> None:
    write(tmp_path / "lake", deals(*(f"D{n}" for n in range(12_000))))
    config = company(tmp_path, "{path: lake}").configuration
    report = {t.table: t for t in inspect_sources(config).tables}["opportunities"]
    assert (report.source, report.records, report.problem) == ("lake", 10_000, "")


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnreachableError, match="opportunities: lake: there is no Delta table"):
        company(tmp_path, "{path: lake}").version("opportunities")
    write(tmp_path / "lake", deals("D1"))
    with pytest.raises(SourceUnreachableError, match="it has no version 7"):
        company(tmp_path, "{path: lake, version: 7}").version("opportunities")
    for file in (tmp_path / "lake").glob("*.parquet"):
        file.unlink()
    with pytest.raises(SourceUnreachableError, match="not readable"):
        company(tmp_path, "{path: lake}").version("opportunities")
    with pytest.raises(ConfigError, match="did you mean 'version'"):
        company(tmp_path, "{path: lake, verison: 7}")
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(SourceUnreachableError, match=r"pip install 'aftersale\[delta\]'"):
        company(tmp_path, "{path: lake}").version("opportunities")
