"""What a snapshot may not mix, and which key a home goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assets.core.erasure import fingerprint
from assets.core.pseudonyms import Pseudonyms
from assets.storage import Version
from pipelines.keys import SetupError, add_erased, pseudonyms_for, read_erased, refuse_mixed
from pipelines.warehouse.snapshots import NotClosedError

KEY, OTHER = b"a key for tests only", b"another key for tests"
NOBODY: dict[str, frozenset[str]] = {}
ERASED = {"account": frozenset({"A7"})}


def version(table: str, **facts: Any) -> Version:
    return Version(table, "key", "hash", (), {}, 0, "code", 1, "run", "2026-01-01", facts)


def test_two_keys_are_not_published_together() -> None:
    people = Pseudonyms(KEY)
    same = {t: version(t, pseudonym_key=people.key_id) for t in ("core/reps", "core/credits")} | {
        "core/plans": version("core/plans")
    }
    refuse_mixed(same, people, NOBODY)
    stale = same | {"core/credits": version("core/credits", pseudonym_key=Pseudonyms(OTHER).key_id)}
    with pytest.raises(NotClosedError, match="core/credits holds pseudonyms of the key") as caught:
        refuse_mixed(stale, people, NOBODY)
    assert caught.value.stale == ("core/credits",)


def test_a_table_read_before_somebody_was_erased_is_not_published() -> None:
    read_since = version("core/accounts", **fingerprint(ERASED))
    made = {"core/accounts": read_since, "marts/deal_outcomes": version("marts/deal_outcomes")}
    refuse_mixed(made, Pseudonyms(KEY), ERASED)
    with pytest.raises(NotClosedError, match="core/reps was read before somebody was erased"):
        refuse_mixed(made | {"core/reps": version("core/reps")}, Pseudonyms(KEY), ERASED)
    with pytest.raises(NotClosedError):
        refuse_mixed({"core/accounts": read_since}, Pseudonyms(KEY), ERASED | {"rep": frozenset({"7"})})


def test_the_list_of_the_erased_grows_and_is_private(tmp_path: Path) -> None:
    assert read_erased(tmp_path) == {}
    add_erased(tmp_path, "account", "A7")
    add_erased(tmp_path, "rep", "7")
    assert (
        add_erased(tmp_path, "account", "A8")
        == read_erased(tmp_path)
        == {"account": {"A7", "A8"}, "rep": {"7"}}
    )
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("key", "before", "previous"),
    [(KEY, None, False), (KEY, OTHER, True), (KEY, KEY, False), (KEY, b"lost", False)],
)
def test_the_environment_names_the_keys(
    key: bytes, before: bytes | None, previous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERSALE_KEY", key.decode())
    monkeypatch.setenv("AFTERSALE_KEY_PREVIOUS", (before or b"").decode())
    found = pseudonyms_for(None)
    assert found.key_id == Pseudonyms(key).key_id
    assert (found.previous is not None) is previous


def test_a_short_previous_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERSALE_KEY", KEY.decode())
    monkeypatch.setenv("AFTERSALE_KEY_PREVIOUS", "short")
    with pytest.raises(SetupError, match=r"AFTERSALE_KEY_PREVIOUS: .*16 bytes"):
        pseudonyms_for(None)
    monkeypatch.setenv("AFTERSALE_KEY", "")
    with pytest.raises(SetupError, match="AFTERSALE_KEY is not set"):
        pseudonyms_for(None)
    assert pseudonyms_for(1).previous is None
