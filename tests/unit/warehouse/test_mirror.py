"""Snapshots in an object store: whole for every reader, whatever is killed and whoever else writes. A real S3 server answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_versions import NOON, Hands

from expectations.model import Audience
from pipelines.commands.inspect import roll_back, verify_home
from pipelines.exits import Exit
from pipelines.objects import Bucket
from pipelines.warehouse.files import StorageError
from pipelines.warehouse.mirror import Mirror, NotSentError, send_snapshot, sent_to
from pipelines.warehouse.retention import Keep
from pipelines.warehouse.snapshots import Snapshot

TARGET = "s3://lake/published"


def now() -> datetime:
    """The server stamps what it stores with the machine's own time."""
    return datetime.now(UTC)


def body(bucket: Any, key: str) -> bytes:
    return bytes(bucket.Object(f"published/{key}").get()["Body"].read())


def read_as_a_reader(bucket: Any) -> tuple[int, dict[str, bytes]]:
    """What `latest.json` leads to, by another client, every byte checked against its name."""
    pointer = json.loads(body(bucket, "latest.json"))
    manifest = body(bucket, pointer["manifest"])
    assert hashlib.sha256(manifest).hexdigest() == pointer["sha256"]
    content = json.loads(manifest)["content"]
    files = {name: body(bucket, place) for name, place in content["objects"].items()}
    for name, data in files.items():
        assert hashlib.sha256(data).hexdigest() == content["files"][name]["sha256"]
    assert set(files) == set(content["files"]) - {"catalog.duckdb"}
    assert pointer["number"] == content["number"]
    return int(content["number"]), files


@pytest.fixture
def make(hands: Hands, make_deals: Callable[..., Any]) -> Callable[..., Snapshot]:
    """A published snapshot of one table; later letters are later snapshots."""

    def publish(letter: str, home: Hands = hands, **options: Any) -> Snapshot:
        flat = home.commit("marts/flat", f"{letter}1", make_deals(letter))
        months = {"2025-01": make_deals("same"), "2025-02": make_deals(letter)}
        cut = home.commit("marts/cut", f"{letter}2", months, {"marts/flat": flat.key})
        return home.publish(flat, cut, now=NOON + timedelta(minutes=ord(letter)), **options)

    return publish


def test_a_reader_sees_what_was_published(bucket: Any, make: Callable[..., Snapshot]) -> None:
    first = make("a")
    assert Mirror(TARGET).send(first, now())
    number, files = read_as_a_reader(bucket)
    assert number == 1
    assert files == {name: (first.path / name).read_bytes() for name in first.files}
    assert not Mirror(TARGET).send(first, now())
    puts = {o.key: o.last_modified for o in bucket.objects.all()}
    assert Mirror(TARGET).send(make("b"), now())
    assert read_as_a_reader(bucket)[0] == 2
    unchanged = {k for k, when in puts.items() if bucket.Object(k).last_modified == when}
    assert {k for k in puts if "month=2025-01" in k} <= unchanged  # the same bytes are not sent again
    assert Mirror(TARGET).verify() == []


def test_an_older_snapshot_never_takes_the_place_of_a_newer_one_unless_asked(
    bucket: Any, make: Callable[..., Snapshot]
) -> None:
    old, new = make("a"), make("b")
    mirror = Mirror(TARGET)
    assert mirror.send(new, now())
    assert not mirror.send(old, now())
    assert read_as_a_reader(bucket)[0] == new.number
    assert mirror.send(old, now(), back=True)
    assert read_as_a_reader(bucket)[0] == old.number


class Dying(Bucket):
    """A bucket whose client dies at a certain request that writes: before it, or when the answer should come."""

    left, before = 10**9, True

    def _put(self, key: str, content: bytes, mode: object) -> str:
        type(self).left -= 1
        if self.left == 0 and self.before:
            raise KeyboardInterrupt
        done = super()._put(key, content, mode)
        if self.left == 0:
            raise KeyboardInterrupt
        return done


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_at_any_request_leaves_a_whole_snapshot_and_is_mended_by_the_next_run(
    bucket: Any, make: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    first, second = make("a"), make("b")
    Mirror(TARGET).send(first, now())
    monkeypatch.setattr("pipelines.warehouse.mirror.Bucket", Dying)
    kept = {o.key: body(bucket, o.key.removeprefix("published/")) for o in bucket.objects.all()}
    for k in range(1, 20):
        bucket.objects.all().delete()
        for key, data in kept.items():
            bucket.put_object(Key=key, Body=data)
        Dying.left, Dying.before = k, before
        try:
            Mirror(TARGET).send(second, now())
        except KeyboardInterrupt:
            number, _ = read_as_a_reader(bucket)
            assert number in ({1} if before else {1, 2})
            Dying.left = 10**9
            Mirror(TARGET).send(second, now())
        else:
            assert k > 5
            break
        assert read_as_a_reader(bucket)[0] == 2
        assert Mirror(TARGET).verify() == []
    else:
        pytest.fail("never came to its end")


class Overtaken(Bucket):
    """A bucket where somebody else is faster, once, between the look at `latest.json` and the flip."""

    other: Callable[[], object] | None = None

    def read(self, key: str) -> Any:
        try:
            return super().read(key)
        finally:
            if key.endswith("latest.json") and (meanwhile := type(self).other) is not None:
                type(self).other = None
                meanwhile()


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("mine_is_newer", [True, False])
def test_of_two_writers_at_once_the_newer_snapshot_stays(
    bucket: Any,
    make: Callable[..., Snapshot],
    make_deals: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    empty: bool,
    mine_is_newer: bool,
) -> None:
    other_home = Hands(tmp_path / "other")  # the same numbers, other tables
    if not empty:
        Mirror(TARGET).send(make("a"), now())
    older, newer = make("b"), make("c", other_home)
    mine, theirs = (newer, older) if mine_is_newer else (older, newer)
    monkeypatch.setattr("pipelines.warehouse.mirror.Bucket", Overtaken)
    mirror = Mirror(TARGET)
    Overtaken.other = staticmethod(lambda: Mirror(TARGET).send(theirs, now()))
    assert mirror.send(mine, now()) is mine_is_newer
    pointer = json.loads(body(bucket, "latest.json"))
    assert pointer["created_at"] == newer.created_at
    read_as_a_reader(bucket)
    assert mirror.verify() == []


def test_verify_names_what_was_changed_lost_or_never_ours(
    bucket: Any, make: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = make("a")
    mirror = Mirror(TARGET)
    mirror.send(snapshot, now())
    flat = next(o.key for o in bucket.objects.all() if "flat-" in o.key)
    sound = bucket.Object(flat).get()["Body"].read()
    bucket.put_object(Key=flat, Body=sound[:-1] + b"!")
    assert mirror.verify() == [f"s3://lake/{flat} has other bytes than were published"]
    bucket.Object(flat).delete()
    assert mirror.verify() == [f"s3://lake/{flat} is missing: marts/flat.parquet of snapshot 1"]
    bucket.put_object(Key=flat, Body=b"half")  # somebody else's: of another size it is not taken for ours
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "put_large", lambda *_: None)  # a store that says yes and keeps the other
        with pytest.raises(NotSentError, match="is not there as it was sent"):
            mirror.send(snapshot, now())
    mirror.send(snapshot, now())
    assert mirror.verify() == []
    bucket.put_object(Key="published/latest.json", Body=b"{}")
    assert "leads nowhere" in mirror.verify()[0]
    with pytest.raises(NotSentError, match=r"latest\.json is not ours"):
        mirror.send(snapshot, now())


def test_a_file_that_rotted_at_home_is_not_sent(bucket: Any, make: Callable[..., Snapshot]) -> None:
    snapshot = make("a")
    path = snapshot.path / "marts/flat.parquet"
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(NotSentError, match="its bytes are not those that were published"):
        Mirror(TARGET).send(snapshot, now())
    assert not [o for o in bucket.objects.all() if o.key.endswith("latest.json")]


def test_restricted_tables_lie_apart(bucket: Any, hands: Hands, make_deals: Callable[..., Any]) -> None:
    reps = hands.commit("marts/reps", "k", make_deals("a"), audience=Audience.RESTRICTED)
    Mirror(TARGET).send(hands.publish(reps), now())
    assert not [o for o in bucket.objects.all() if "reps" in o.key]
    Mirror(TARGET).send(hands.publish(reps, restricted=True, now=NOON + timedelta(hours=1)), now())
    assert [
        o.key.startswith("published/objects/restricted/reps-")
        for o in bucket.objects.all()
        if "reps" in o.key
    ] == [True]


def test_the_home_remembers_where_its_snapshots_go(
    bucket: Any, hands: Hands, make: Callable[..., Snapshot], capsys: pytest.CaptureFixture[str]
) -> None:
    first = make("a")
    assert send_snapshot(hands.home, first, TARGET)
    assert send_snapshot(hands.home, make("b"), f"{TARGET}/")
    assert verify_home(hands.home) is Exit.PUBLISHED
    assert "s3://lake/published" in capsys.readouterr().out.replace("\n", "")
    roll_back(hands.home, 1)
    assert read_as_a_reader(bucket)[0] == 1
    bucket.Object("published/latest.json").delete()
    assert verify_home(hands.home) is Exit.FAILED
    assert not send_snapshot(hands.home, first, None)
    assert sent_to(hands.home) is None
    assert verify_home(hands.home) is Exit.PUBLISHED


def test_a_store_out_of_reach_is_said_and_the_home_is_as_it_was(
    bucket: Any, make: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = make("a")
    monkeypatch.setattr("pipelines.objects._RETRY", {"max_retries": 0})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(
        NotSentError,
        match=r"snapshot 1 is published in .* did not reach s3://lake/published: .* Run again to send it",
    ) as caught:
        Mirror(TARGET).send(snapshot, now())
    assert "canary" not in str(caught.value)


def test_large_files_go_in_parts(
    bucket: Any, make: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.warehouse.mirror._LARGE", 10)
    Mirror(TARGET).send(make("a"), now())
    assert read_as_a_reader(bucket)[0] == 1
    assert Mirror(TARGET).verify() == []


def test_old_snapshots_go_and_take_only_what_nobody_names(bucket: Any, make: Callable[..., Snapshot]) -> None:
    mirror, later = Mirror(TARGET), timedelta(days=8)
    snapshots = [make(letter) for letter in "abcdef"]
    for snapshot in snapshots:
        mirror.send(snapshot, now())
    assert mirror.collect(now()) == 0  # all are younger than a day
    before = {o.key for o in bucket.objects.all()}
    mirror.send(snapshots[1], now(), back=True)  # the way back: 2 is the latest, and stays
    removed = mirror.collect(now() + later)
    gone = before - {o.key for o in bucket.objects.all()}
    assert removed == len(gone)
    assert {key.split("/")[-1].split("-")[0] for key in gone if "/snapshots/" in key} == {"1", "3"}
    assert len([key for key in gone if "/objects/marts/flat-" in key]) == 2
    assert not [key for key in gone if "month=2025-01" in key]  # the same in all of them
    assert mirror.verify() == []
    assert read_as_a_reader(bucket)[0] == 2
    assert mirror.collect(now() + later) == 0


def test_after_an_erasure_only_the_latest_is_left_and_at_once(
    bucket: Any, make: Callable[..., Snapshot]
) -> None:
    mirror = Mirror(TARGET)
    for letter in "abc":
        mirror.send(make(letter), now())
    mirror.collect(now() + timedelta(seconds=2), Keep(1, timedelta()), unnamed=timedelta())
    number, files = read_as_a_reader(bucket)
    assert number == 3
    assert len(list(bucket.objects.all())) == len(files) + 2  # its manifest, and the pointer
    assert mirror.verify() == []


def test_what_could_soon_be_removed_is_written_anew_by_who_counts_on_it(
    bucket: Any, make: Callable[..., Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    put = Bucket.put_large

    def counted(self: Bucket, key: str, path: Path) -> None:
        written.append(key)
        put(self, key, path)

    monkeypatch.setattr(Bucket, "put_large", counted)
    mirror, snapshot = Mirror(TARGET), make("a")
    mirror.send(snapshot, now())
    mirror.send(snapshot, now() + timedelta(days=2))
    assert written == []
    mirror.send(snapshot, now() + timedelta(days=4))
    assert len(written) == len(snapshot.files)
    assert mirror.verify() == []


def test_nothing_goes_where_a_manifest_can_not_be_read(bucket: Any, make: Callable[..., Snapshot]) -> None:
    mirror = Mirror(TARGET)
    for letter in "abcde":
        mirror.send(make(letter), now())
    broken = next(o.key for o in bucket.objects.all() if "/snapshots/" in o.key)
    bucket.put_object(Key=broken, Body=b"{}")
    before = {o.key for o in bucket.objects.all()}
    with pytest.raises(StorageError):
        mirror.collect(now() + timedelta(days=8))
    assert {o.key for o in bucket.objects.all()} == before
