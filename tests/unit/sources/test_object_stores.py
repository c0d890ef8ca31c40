"""Files in an object store as sources, against an S3 server on loopback. Google and Azure go through the same code."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import time
from glob import glob
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.landing import LandingBlockedError, SourceUnreachableError
from pipelines.deliveries import look, recall
from pipelines.objects import Bucket, ObjectFact, ObjectStoreError, Trouble
from pipelines.sensors import files_of
from pipelines.sources.config import ConfigError, load_config
from pipelines.sources.inspection import inspect_sources
from pipelines.sources.landing import ConfiguredLanding
from pipelines.sources.remote import translate

DEALS = (
    "opportunity_id,account_id,rep_id,closed_at,is_won,amount,currency\nO1,A1,R1,2024-01-01,true,10.00,USD\n"
)


def company(folder: Path, **sources: str) -> ConfiguredLanding:
    return ConfiguredLanding(load_config(configure(folder, **sources)), folder / "cache")


def configure(folder: Path, **sources: str) -> Path:
    known = {
        "accounts": "{rows: [{account_id: A1}]}",
        "reps": "{rows: [{rep_id: R1}]}",
        "opportunities": "{path: 's3://lake/deals.csv'}",
    }
    file = folder / "aftersale.yaml"
    lines = "".join(f"  {name}: {text}\n" for name, text in (known | sources).items())
    file.write_text(f"company: {{reporting_currency: USD, timezone: UTC}}\nsources:\n{lines}")
    return file


def put(bucket: Any, **objects: str | bytes) -> None:
    for key, body in objects.items():
        bucket.put_object(Key=key, Body=body)


def test_files_of_every_kind_land_from_a_bucket(bucket: Any, tmp_path: Path) -> None:
    parquet = io.BytesIO()
    pl.DataFrame(
        {
            "quota_id": ["x"],
            "rep_id": ["007"],
            "component": "c",
            "period_start": "2024-01-01",
            "period_end": "2024-03-31",
            "amount": "5",
        }
    ).write_parquet(parquet)
    put(bucket, **{
        "in/deals-1.csv": DEALS, "in/deals-2.csv.gz": gzip.compress(DEALS.replace("O1", "O2").encode()),
        "in/.hidden.csv": "no", "in/deeper/deals-3.csv": "no", "in/": b"", "q/a.parquet": parquet.getvalue(),
    })  # fmt: skip
    landing = company(
        tmp_path, opportunities="{path: 's3://lake/in/*.csv*'}", quotas="{path: 's3://lake/q/a.parquet'}"
    )
    landed = landing.read("opportunities")
    assert landed.rows.select("opportunity_id").collect().to_series().to_list() == ["O1", "O2"]
    assert [file.path for file in landed.files] == ["s3://lake/in/deals-1.csv", "s3://lake/in/deals-2.csv.gz"]
    assert landing.read("quotas").rows.collect()["rep_id"].to_list() == ["007"]
    assert {p.stat().st_mode & 0o077 for p in (tmp_path / "cache" / "objects").rglob("*") if p.is_file()} == {
        0
    }


def test_an_unchanged_object_is_fetched_once_and_a_changed_one_again(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    fetch = Bucket.fetch

    def counted(self: Bucket, fact: ObjectFact, path: Path) -> None:
        fetched.append(fact.key)
        fetch(self, fact, path)

    monkeypatch.setattr(Bucket, "fetch", counted)
    put(bucket, **{"deals.csv": DEALS})
    first = company(tmp_path).version("opportunities")
    assert company(tmp_path).version("opportunities") == first
    assert fetched == ["deals.csv"]
    put(bucket, **{"deals.csv": DEALS.replace("10.00", "11.00")})
    landing = company(tmp_path)
    assert landing.version("opportunities") != first
    assert landing.read("opportunities").rows.collect()["amount"].to_list() == ["11.00"]
    assert fetched == ["deals.csv", "deals.csv"]


def test_an_object_that_changes_while_it_is_read_blocks(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, **{"deals.csv": DEALS})
    landing = company(tmp_path)
    landing.read("opportunities")
    landing.confirm_unchanged("opportunities")
    put(bucket, **{"deals.csv": DEALS.replace("10.00", "11.00")})  # after the read, before the commit
    with pytest.raises(
        LandingBlockedError, match=r"s3://lake/deals\.csv: the file changed while it was read"
    ):
        landing.confirm_unchanged("opportunities")
    bucket.Object("deals.csv").delete()
    with pytest.raises(LandingBlockedError, match="vanished while it was read"):
        landing.confirm_unchanged("opportunities")

    head = Bucket.head

    def replaced_after_the_look(self: Bucket, key: str) -> ObjectFact:
        fact = head(self, key)
        put(bucket, **{"deals.csv": DEALS + DEALS.splitlines()[1].replace("O1", "O3") + "\n"})
        return fact

    put(bucket, **{"deals.csv": DEALS})
    monkeypatch.setattr(Bucket, "head", replaced_after_the_look)
    with pytest.raises(LandingBlockedError, match="changed while it was read"):
        company(tmp_path).read("opportunities")
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_copies_that_nobody_uses_any_more_go(bucket: Any, tmp_path: Path) -> None:
    put(bucket, **{"a.csv": DEALS, "b.csv": DEALS.replace("O1", "O2")})
    pattern = "{path: 's3://lake/*.csv'}"
    objects = tmp_path / "cache" / "objects"

    def copies() -> set[str]:
        return {path.name for path in objects.rglob("*.csv")}

    company(tmp_path, opportunities=pattern).version("opportunities")
    assert copies() == {"a.csv", "b.csv"}
    assert objects.stat().st_mode & 0o077 == 0
    bucket.Object("b.csv").delete()
    for days, left in ((20, {"a.csv", "b.csv"}), (31, {"a.csv"})):
        for copy in objects.rglob("b.csv"):
            os.utime(copy.parent, (time.time() - days * 86_400,) * 2)
        company(tmp_path, opportunities=pattern).version("opportunities")
        assert copies() == left
    put(bucket, **{"a.csv": DEALS.replace("10.00", "11.00")})
    for copy in objects.rglob("a.csv"):
        os.utime(copy.parent, (time.time() - 2 * 86_400,) * 2)
    company(tmp_path, opportunities=pattern).version("opportunities")
    assert [path.read_text() for path in objects.rglob("a.csv")] == [DEALS.replace("10.00", "11.00")]


def test_the_sensor_takes_an_object_once_for_each_of_its_contents(bucket: Any, tmp_path: Path) -> None:
    put(bucket, **{"deals.csv": DEALS})
    text: str | None = None
    taken = []
    for tick in range(8):
        if tick == 3:
            put(bucket, **{"deals.csv": DEALS.replace("10.00", "11.00")})
        if tick == 6:
            put(bucket, **{"deals.csv": DEALS.replace("10.00", "11.00")})  # written again, the same
        found = look(recall(text), files_of(company(tmp_path)))
        text = found.state.to_text()
        taken.append(found.batch and found.batch.describe())
    first, changed = "2 new: aftersale.yaml, s3://lake/deals.csv", "1 changed: s3://lake/deals.csv"
    assert taken == [None, first, None, None, changed, None, None, None]


def test_only_the_version_that_was_listed_is_fetched(bucket: Any, tmp_path: Path) -> None:
    put(bucket, **{"deals.csv": DEALS})
    lake = Bucket("s3://lake")
    (fact,) = lake.list("")
    put(bucket, **{"deals.csv": DEALS.replace("10.00", "11.00")})  # of the same size
    with pytest.raises(ObjectStoreError, match="not what it was") as caught:
        lake.fetch(fact, tmp_path / "copy")
    assert caught.value.trouble is Trouble.CHANGED


def test_a_large_object_comes_in_ranges_of_one_version(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.objects.CHUNK", 7)
    put(bucket, **{"deals.csv": DEALS})
    assert company(tmp_path).read("opportunities").rows.collect().height == 1


def test_what_is_not_there_and_what_is_refused_say_so_without_a_secret(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, said in {
        "s3://lake/none.csv": r"no such object or bucket\. Correct the path",
        "s3://lake/in/*.csv": "no object matches s3://lake/in",
        "s3://other/in.csv": "no such object or bucket",
    }.items():
        with pytest.raises(SourceUnreachableError, match=said):
            company(tmp_path, opportunities=f"{{path: '{path}'}}").version("opportunities")
    put(bucket, **{"deals.csv": DEALS})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1/canary-secret")
    monkeypatch.setattr("pipelines.objects._RETRY", {"max_retries": 0})
    with pytest.raises(SourceUnreachableError, match="opportunities: s3://lake") as caught:
        company(tmp_path).version("opportunities")
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="must hold no credentials"):
        company(tmp_path, opportunities="{path: 's3://key:secret@lake/deals.csv'}")
    with pytest.raises(SourceUnreachableError, match="read are local files and s3://, gs://, az://"):
        company(tmp_path, opportunities="{path: 'ftp://lake/deals.csv'}").version("opportunities")


def test_objects_that_a_preset_can_do_without_may_be_missing(bucket: Any, tmp_path: Path) -> None:
    put(
        bucket,
        **{
            "z/ticket/1.csv": "id,created_at,type,status,organization_id\n1,2024-01-01T00:00:00Z,problem,open,A1\n"
        },
    )
    landing = company(tmp_path, complaints="{preset: zendesk, path: 's3://lake/z/<object>/*.csv'}")
    assert landing.read("complaints").rows.collect()["complaint_id"].to_list() == ["1"]


def test_a_first_look_fetches_heads_only(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    read_range = Bucket.read_range

    def counted(self: Bucket, fact: ObjectFact, start: int, end: int) -> bytes:
        nonlocal read
        read += end - start
        return read_range(self, fact, start, end)

    monkeypatch.setattr(Bucket, "read_range", counted)
    row = DEALS.splitlines()[1]
    put(bucket, **{"deals.csv": DEALS + f"{row}\n" * 100_000})
    tall, out = (
        pl.DataFrame(
            {
                "rep_id": [f"R{i * 7919 % 1_000_003}" for i in range(400_000)],
                "team": [str(i * 31 % 77_777) for i in range(400_000)],
            }
        ),
        io.BytesIO(),
    )
    tall.write_parquet(out, row_group_size=20_000)
    put(bucket, **{"reps.parquet": out.getvalue()})
    report = inspect_sources(load_config(configure(tmp_path, reps="{path: 's3://lake/reps.parquet'}")))
    tables = {t.table: t for t in report.tables}
    assert report.usable
    assert tables["reps"].records == 10_000
    assert 1_000 < tables["opportunities"].records < 10_000
    assert read < (len(DEALS) + 100_000 * (len(row) + 1) + len(out.getvalue())) / 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["aftersale.yaml"]


def test_broken_objects_block_in_a_first_look_as_well(bucket: Any, tmp_path: Path) -> None:
    for body in (b"", b"PAR1", b"PAR1" + b"\xff" * 200_000 + b"PAR1", DEALS.encode()):
        put(bucket, **{"reps.parquet": body, "deals.csv": DEALS})
        report = inspect_sources(load_config(configure(tmp_path, reps="{path: 's3://lake/reps.parquet'}")))
        problem = {t.table: t.problem for t in report.tables}["reps"]
        assert problem.startswith("reps: s3://lake/reps.parquet: ")


def test_google_and_azure_addresses_find_their_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acct")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5a2V5")
    assert Bucket("gs://lake/x").url == "gs://lake"
    assert Bucket("az://lake/x").url == "az://lake"


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SourceUnreachableError, match=r"pip install 'aftersale\[objects\]'"):
        company(tmp_path).version("opportunities")


_NAMES = st.text("ab.-", min_size=1, max_size=3).filter(lambda name: name not in {".", ".."})


@given(
    files=st.lists(st.lists(_NAMES, min_size=1, max_size=3), min_size=1, max_size=6),
    pattern=st.lists(
        st.sampled_from(["*", "a*", "?", "**", "[ab]", "[!a]b", "*.b", "a"]), min_size=1, max_size=3
    ),
)
def test_patterns_mean_what_they_mean_on_disk(
    files: list[list[str]], pattern: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if pattern[-1] == "**":
        pattern = [*pattern, "*"]
    folder = tmp_path_factory.mktemp("globbed")
    there = set()
    for parts in files:
        path = folder.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        except OSError:
            continue  # a file where a folder is needed
        there.add("/".join(parts))
    hits = glob("/".join(pattern), root_dir=folder, recursive=True)  # noqa: PTH207
    wanted = re.compile(translate("/".join(pattern)))
    assert {key for key in there if wanted.fullmatch(key)} == {h for h in hits if (folder / h).is_file()}
