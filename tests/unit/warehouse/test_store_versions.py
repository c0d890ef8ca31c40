"""Versions: found, read, written once, never taken for absent when damaged."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from small_versions import Hands

from pipelines.warehouse.files import Files, StorageError
from pipelines.warehouse.parquet import SchemaMismatchError
from pipelines.warehouse.store import NOT_REPRODUCIBLE, hash_content


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_committed_version_is_found_with_its_rows_and_facts(hands, make_deals, make_contract):
    core = hands.commit("core/deals", "k0", make_deals("a"))
    version = hands.commit(
        "marts/deals", "k1", make_deals("a", "b"), {"core/deals": "k0", "landing/deals": "ff"}
    )
    assert hands.store.find("marts/deals", "k1") == version
    assert version.rows == 2
    assert version.content_hash == hash_content(version.parts)
    assert version.input_hashes == {"core/deals": core.content_hash}
    rows = hands.store.scan(make_contract("marts/deals"), version).collect()
    assert rows["deal_id"].to_list() == ["a", "b"]
    assert rows.schema == make_contract("marts/deals").schema
    assert hands.store.find("marts/deals", "other") is None
    assert hands.store.find("marts/never", "k1") is None


def test_months_are_parts_with_manifests_of_their_own(hands, make_deals, make_contract):
    contract = make_contract("marts/daily")
    months = {"2025-02": make_deals("b"), "2025-01": make_deals("a"), "2025-03": make_deals("c", "d")}
    version = hands.commit("marts/daily", "k", months)
    assert [(p.month, p.rows) for p in version.parts] == [("2025-01", 1), ("2025-02", 1), ("2025-03", 2)]
    assert hands.store.find_part("marts/daily", "k", "2025-03") == version.parts[2]
    assert hands.store.find_part("marts/daily", "k", "2025-04") is None
    some = hands.store.scan(contract, version, ("2025-01", "2025-03", "2031-01")).collect()
    assert some["deal_id"].to_list() == ["a", "c", "d"]
    assert some.columns == list(contract.schema)
    assert hands.store.scan(contract, version, ()).collect().is_empty()

    staged = hands.store.stage(contract, make_deals("e"), "k2", {}, "2025-03")
    again = hands.store.commit(replace(version, key="k2", parts=version.parts[:2]), (staged,), {})
    assert [(p.month, p.key) for p in again.parts] == [("2025-01", "k"), ("2025-02", "k"), ("2025-03", "k2")]
    assert again.rows == 3
    assert again.content_hash != version.content_hash


def test_files_are_sealed_and_rejects_are_for_nobody_else(hands, make_deals):
    sides = {"rejects": pl.DataFrame({"raw": ["x"]}), "deduplicated": pl.DataFrame({"id": ["y"]})}
    hands.commit("core/deals", "k", make_deals("a"), sides=sides)
    assert mode(hands.home / "rejects") == 0o700
    assert mode(hands.home / "rejects/deals/k.parquet") == 0o400
    assert mode(hands.home / "store/.tmp") == 0o700
    for name in ("k.parquet", "k.json", "k.deduplicated.parquet"):
        assert mode(hands.home / "store/core/deals" / name) == 0o444
    assert hands.store.read_side("core/deals", "k", "rejects")["raw"].to_list() == ["x"]
    assert hands.store.read_side("core/deals", "k", "late") is None
    assert list((hands.home / "store/.tmp").iterdir()) == []


def test_a_second_writer_of_a_key_gets_the_first_version(hands, make_deals):
    first = hands.commit("marts/deals", "k", make_deals("a"))
    second = hands.commit("marts/deals", "k", make_deals("a"))
    assert second == first
    differing = hands.commit("marts/deals", "k", make_deals("b"))
    assert differing.content_hash == first.content_hash
    assert differing.facts[NOT_REPRODUCIBLE] == ["marts/deals/k.parquet"]
    assert hands.store.find("marts/deals", "k") == first


def test_a_part_without_a_manifest_is_no_version_and_does_not_hinder_the_next_writer(hands, make_deals):
    first = hands.commit("marts/deals", "k", make_deals("a"))
    hands.store.manifest_path("marts/deals", "k").unlink()
    assert hands.store.find("marts/deals", "k") is None
    again = hands.commit("marts/deals", "k", make_deals("a"))
    assert again.parts == first.parts
    assert NOT_REPRODUCIBLE not in again.facts
    hands.store.manifest_path("marts/deals", "k").unlink()
    other = hands.commit("marts/deals", "k", make_deals("b", "c"))
    assert (other.rows, other.facts[NOT_REPRODUCIBLE]) == (1, ["marts/deals/k.parquet"])
    assert hands.store.find("marts/deals", "k").parts == first.parts


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"{}",
        lambda data: data[:-9],
        lambda data: data.replace(b'"rows": 2', b'"rows": 3'),
    ],
    ids=["empty", "other JSON", "torn", "one digit"],
)
def test_a_damaged_manifest_raises_and_says_what_to_do(hands, make_deals, damage):
    hands.commit("marts/deals", "k", make_deals("a", "b"), head="run")
    path = hands.store.manifest_path("marts/deals", "k")
    path.chmod(0o644)
    path.write_bytes(damage(path.read_bytes()))
    for read in (lambda: hands.store.find("marts/deals", "k"), lambda: hands.store.head("marts/deals")):
        with pytest.raises(
            StorageError, match=rf"could not read {path}: .*restore it from a copy, or move it away"
        ):
            read()


def test_a_missing_or_torn_part_raises(hands, make_deals, make_contract):
    version = hands.commit("marts/deals", "k", make_deals("a", "b"))
    path = hands.store.part_path(version.parts[0])
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:-1])
    with pytest.raises(StorageError, match="its manifest says"):
        hands.store.find("marts/deals", "k")
    path.write_bytes(b"x" * len(whole))
    with pytest.raises(StorageError, match="not a whole Parquet file"):
        hands.store.scan(make_contract("marts/deals"), version)
    path.unlink()
    with pytest.raises(StorageError, match="No such file"):
        hands.store.find("marts/deals", "k")


def test_a_file_of_another_contract_is_refused(hands, make_deals, make_contract):
    version = hands.commit("marts/deals", "k", make_deals("a"))
    contract = make_contract("marts/deals")
    narrower = replace(contract, columns=contract.columns[:2])
    with pytest.raises(SchemaMismatchError, match="seller_id is not in the contract"):
        hands.store.scan(narrower, version)
    with pytest.raises(SchemaMismatchError, match="tags is missing"):
        hands.store.stage(contract, make_deals("a").drop("tags"), "k2", {})


def test_a_file_that_failed_its_audit_is_kept_aside(hands, make_deals, make_contract):
    staged = hands.store.stage(make_contract("marts/deals"), make_deals("bad"), "k", {}, "2025-01")
    path = hands.store.keep_aside(staged, "run-1")
    assert path == hands.home / "runs/run-1/failed/deals-2025-01.parquet"
    assert pl.read_parquet(path)["deal_id"].to_list() == ["bad"]
    assert hands.store.find_part("marts/deals", "k", "2025-01") is None
    assert not staged.file.exists()


def test_a_run_reads_what_it_made_whatever_others_do(hands, make_deals):
    mine = hands.commit("marts/deals", "k1", make_deals("a"), head="run-1")
    theirs = hands.commit("marts/deals", "k2", make_deals("b"), head="run-2")
    assert hands.store.head("marts/deals", "run-1") == mine
    assert hands.store.head("marts/deals", "run-2") == theirs
    assert hands.store.head("marts/deals") == theirs
    assert hands.store.head("marts/deals", "run-3") == theirs
    assert hands.store.head("marts/never") is None


def test_a_head_that_leads_nowhere_raises(hands, make_deals):
    version = hands.commit("marts/deals", "k", make_deals("a"), head="run")
    hands.store.manifest_path("marts/deals", "k").unlink()
    with pytest.raises(StorageError, match="the store has no version k"):
        hands.store.head("marts/deals")
    with pytest.raises(StorageError, match="collected"):
        hands.store.record_head("run", version)


@pytest.mark.parametrize(
    "name", ["deals", "../deals", "marts/../x", "marts/Deals", "/etc/x", "marts/deals/x"]
)
def test_names_cannot_leave_the_store(hands, name):
    with pytest.raises(ValueError, match="is no table name"):
        hands.store.find(name, "k")
    with pytest.raises(ValueError, match="is no key name"):
        hands.store.find("marts/deals", "../k")
    with pytest.raises(ValueError, match="is no run id name"):
        hands.store.run_folder("..")
    with pytest.raises(ValueError, match="is no month name"):
        hands.store.find_part("marts/deals", "k", "2025-13")


def test_a_home_whose_name_is_a_pattern_is_read_all_the_same(tmp_path, make_deals, make_contract):
    hands = Hands(tmp_path / "home [1] *")
    version = hands.commit(
        "marts/deals", "k", make_deals("a"), sides={"rejects": pl.DataFrame({"raw": ["x"]})}
    )
    assert hands.store.scan(make_contract("marts/deals"), version).collect().height == 1
    assert hands.store.read_side("marts/deals", "k", "rejects").height == 1


class WithoutLinks(Files):
    """A file system that knows no hard links."""

    def link(self, source: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")


def test_without_hard_links_a_locked_rename_puts_files_in_place_and_says_so(hands, make_deals, caplog):
    hands.store.files = WithoutLinks(hands.home)
    first = hands.commit("marts/deals", "k", make_deals("a"))
    assert "knows no hard links" in caplog.text
    assert len(caplog.records) == 1
    assert hands.commit("marts/deals", "k", make_deals("b")).content_hash == first.content_hash
    snapshot = hands.publish(first)
    copied = snapshot.path / "marts/deals.parquet"
    stored = hands.store.part_path(first.parts[0])
    assert copied.read_bytes() == stored.read_bytes()
    assert copied.stat().st_ino != stored.stat().st_ino
    assert mode(copied) == 0o444
    assert [p.name for p in (hands.home / "store/.tmp").iterdir()] == ["put.lock"]


def test_an_error_of_the_system_names_path_action_and_advice(tmp_path):
    error = StorageError(tmp_path / "x", "write", OSError(28, os.strerror(28)))
    assert (
        str(error) == f"could not write {tmp_path}/x: No space left on device; free some space and run again"
    )
