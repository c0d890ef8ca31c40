"""Snapshots: closed, whole, verified, gone back to."""

import stat
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from expectations.model import Audience
from pipelines.warehouse.files import StorageError
from pipelines.warehouse.snapshots import (
    DamagedSnapshotError,
    NotClosedError,
    latest_number,
    latest_snapshot,
    load_snapshot,
    publish,
    rollback,
    snapshots,
    verify,
)


@pytest.fixture
def three(hands, make_deals):
    """A core table, a mart of it in one file, a mart of that in months."""

    def make(g: str):
        core = hands.commit("core/deals", f"{g}0", make_deals(g), audience=Audience.INTERNAL)
        flat = hands.commit("marts/flat", f"{g}1", make_deals(g), {"core/deals": core.key})
        months = {"2025-01": make_deals(g), "2025-02": make_deals(g, g + "x")}
        cut = hands.commit("marts/cut", f"{g}2", months, {"marts/flat": flat.key})
        return core, flat, cut

    return make


def overwrite(path: Path, data: bytes) -> None:
    """What a faulty disk does: nobody may write there."""
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_snapshot_holds_every_published_table_and_the_hash_of_every_file(hands, three):
    snapshot = hands.publish(*three("a"))
    assert snapshot.fresh
    assert sorted(snapshot.files) == [
        "board.html",
        "marts/cut/month=2025-01/part.parquet",
        "marts/cut/month=2025-02/part.parquet",
        "marts/flat.parquet",
    ]
    assert (snapshot.path / "board.html").read_text() == "made for 1"
    assert (snapshot.as_of, snapshot.run_id, snapshot.code_version) == ("2025-12-31", "run", "1")
    assert snapshot.facts == {"identities": 1}
    assert snapshot.tables["marts/flat"]["key"] == "a1"
    assert (hands.home / "published/latest").readlink() == Path("1")
    assert pl.read_parquet(snapshot.path / "marts/cut/**/*.parquet", hive_partitioning=False).height == 3
    assert {stat.S_IMODE((snapshot.path / f).stat().st_mode) for f in [*snapshot.files, "manifest.json"]} == {
        0o444
    }
    assert verify(hands.home) == []


def test_nothing_is_published_where_nothing_differs(hands, three):
    first = hands.publish(*three("a"))
    again = hands.publish(*three("a"))
    assert replace(again, fresh=True) == first
    assert not again.fresh
    assert hands.publish(*three("a"), code="2").number == 2
    second = hands.publish(*three("b"))
    assert (second.number, second.previous) == (3, 2)
    assert [s.number for s in snapshots(hands.home)] == [1, 2, 3]


def test_a_set_of_two_moments_is_refused_and_names_the_stale_table(hands, three):
    before = hands.publish(*three("a"))
    core, flat, _ = three("b")
    _, _, old_cut = three("a")
    with pytest.raises(
        NotClosedError, match=r"stale: marts/cut\. marts/cut was made from marts/flat a1, but .* b1"
    ) as error:
        hands.publish(core, flat, old_cut)
    assert error.value.stale == ("marts/cut",)
    assert latest_snapshot(hands.home).number == before.number
    assert [p.name for p in (hands.home / "published").iterdir() if p.is_dir() and not p.is_symlink()] == [
        "1"
    ]


def test_an_input_made_again_with_the_same_bytes_is_not_stale(hands, three, make_deals):
    core, flat, cut = three("a")
    same = hands.commit("marts/flat", "a1-by-newer-code", make_deals("a"), {"core/deals": core.key})
    assert (same.content_hash, same.key) != (flat.content_hash, flat.key)
    snapshot = hands.publish(core, same, cut)
    assert snapshot.tables["marts/flat"]["key"] == "a1-by-newer-code"
    assert verify(hands.home) == []


def test_restricted_tables_are_off_by_default_and_apart(hands, make_deals):
    reps = hands.commit("marts/reps", "k", make_deals("a"), audience=Audience.RESTRICTED)
    assert sorted(hands.publish(reps).files) == ["board.html"]
    snapshot = hands.publish(reps, restricted=True)
    assert sorted(snapshot.files) == ["board.html", "restricted/reps.parquet"]
    assert stat.S_IMODE((snapshot.path / "restricted").stat().st_mode) == 0o700


def test_a_build_that_fails_publishes_nothing_and_leaves_nothing(hands, three):
    versions = {v.table: v for v in three("a")}

    def build(folder: Path, final: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("no board today")

    with pytest.raises(RuntimeError, match="no board"):
        publish(
            hands.store, versions, hands.audiences, build, as_of="x", run_id="r", code_version="1", facts={}
        )
    assert [p.name for p in (hands.home / "published").iterdir()] == [".lock"]
    assert verify(hands.home) == [f"nothing is published in {hands.home}"]


def test_a_damaged_store_file_is_not_published(hands, three):
    hands.publish(*three("a"))
    versions = three("b")
    path = hands.store.part_path(versions[1].parts[0])
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    overwrite(path, bytes(data))
    with pytest.raises(StorageError, match="not those that were committed"):
        hands.publish(*versions)
    assert latest_number(hands.home) == 1


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    overwrite(path, bytes(data))


DAMAGES = {
    "a flipped bit in a table": (
        lambda p: flip(p / "marts/flat.parquet"),
        "marts/flat.parquet has other bytes",
    ),
    "a flipped bit in a page": (lambda p: flip(p / "board.html"), "board.html has other bytes"),
    "a flipped bit in the manifest": (lambda p: flip(p / "manifest.json"), "manifest.json: "),
    "a missing file": (lambda p: (p / "board.html").unlink(), "board.html is missing"),
    "a file too many": (lambda p: (p / "extra.csv").write_text("x"), "extra.csv is not in the manifest"),
    "no manifest": (lambda p: (p / "manifest.json").unlink(), "there is no such snapshot"),
    "another number": (lambda p: p.rename(p.with_name("7")), "says it is snapshot 1"),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES.values(), ids=DAMAGES)
def test_verify_finds(hands, three, damage, sentence):
    first = hands.publish(*three("a"))
    hands.publish(*three("b"))
    damage(first.path)
    (problem,) = verify(hands.home)
    assert sentence in problem
    assert verify(hands.home, 2) == []


def test_verify_finds_a_set_that_is_not_closed(hands, three):
    from pipelines.warehouse.files import seal, unseal

    path = hands.publish(*three("a")).path / "manifest.json"
    content = unseal(path.read_bytes(), path)
    content["tables"]["marts/cut"] |= {"inputs": {"marts/flat": "zz"}, "input_hashes": {}}
    overwrite(path, seal(content))
    assert verify(hands.home) == [
        "snapshot 1 is not closed: marts/cut was made from marts/flat zz, but the set holds a1"
    ]


def test_a_link_that_leads_nowhere_is_an_error_not_an_empty_home(hands, three):
    hands.publish(*three("a"))
    link = hands.home / "published/latest"
    link.unlink()
    link.symlink_to("9")
    with pytest.raises(StorageError, match="there is no snapshot 9; choose one with `aftersale rollback N`"):
        latest_snapshot(hands.home)
    assert "there is no snapshot 9" in verify(hands.home)[0]
    assert rollback(hands.home, 1).number == 1
    assert verify(hands.home) == []


def test_rollback_flips_to_a_verified_snapshot_and_the_same_data_flip_back(hands, three):
    hands.publish(*three("a"))
    hands.publish(*three("b"))
    assert rollback(hands.home, 1).number == 1
    assert latest_number(hands.home) == 1
    back = hands.publish(*three("b"))
    assert (back.number, back.fresh, latest_number(hands.home)) == (2, True, 2)


def test_rollback_to_a_damaged_or_unknown_snapshot_is_refused(hands, three):
    flip(hands.publish(*three("a")).path / "board.html")
    hands.publish(*three("b"))
    with pytest.raises(
        DamagedSnapshotError, match=r"snapshot 1 is damaged, `latest` stays: .*board.html has other bytes"
    ):
        rollback(hands.home, 1)
    with pytest.raises(DamagedSnapshotError, match="no such snapshot"):
        rollback(hands.home, 5)
    assert latest_number(hands.home) == 2
    with pytest.raises(StorageError, match="no such snapshot"):
        load_snapshot(hands.home, 5)
