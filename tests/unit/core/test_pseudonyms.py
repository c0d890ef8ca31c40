"""Sellers' names: stable, joinable, apart by domain and key, and the key never shows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import polars as pl
import pytest

from assets.core.pseudonyms import ROTATION, Pseudonyms, demo_key, domain_of

KEY = b"0123456789abcdef0123456789abcdef"


def test_a_pseudonym_is_the_documented_hmac() -> None:
    digest = hmac.new(KEY, b"rep\x00ann.miller", hashlib.sha256).digest()
    assert Pseudonyms(KEY).of("rep", "ann.miller") == "r_" + base64.b32encode(digest).decode()[:16].lower()


def test_pseudonyms_look_alike_whatever_they_stand_for() -> None:
    names = Pseudonyms(KEY)
    for value in ("", "x", "ann@example.org", "é", "a" * 1000):
        assert re.fullmatch(r"r_[a-z2-7]{16}", names.of("rep", value))


def test_sellers_join_across_columns_and_nothing_else_does() -> None:
    assert {domain_of(c) for c in ("rep_id", "manager_id", "actor_id", "owner_rep_id")} == {"rep"}
    assert domain_of("account_id") == "account"
    names = Pseudonyms(KEY)
    table = names.table("manager_id", pl.Series(["b", None, "a", "b"]))
    assert table["manager_id"].to_list() == ["a", "b"]
    assert table["_pseudonym"].to_list() == [names.of("rep", "a"), names.of("rep", "b")]
    assert names.of("rep", "a") != names.of("account", "a")
    assert names.of("rep", "a") != Pseudonyms(KEY[::-1]).of("rep", "a")


def test_the_key_shows_nowhere() -> None:
    names = Pseudonyms(KEY)
    assert KEY.decode() not in repr(names)
    assert KEY.hex() not in names.fingerprint
    assert names.fingerprint != Pseudonyms(KEY[::-1]).fingerprint
    assert names.fingerprint == Pseudonyms(KEY).fingerprint


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Pseudonyms(b"short")


def test_the_demo_key_follows_its_seed() -> None:
    assert demo_key(1) == demo_key(1) != demo_key(2)
    assert len(demo_key(1)) == 32


def test_while_a_key_is_rotated_old_pseudonyms_lead_to_new_ones() -> None:
    old, new = Pseudonyms(KEY), Pseudonyms(KEY[::-1], Pseudonyms(KEY))
    found = new.rotation("manager_id", pl.Series(["b", None, "a"]))
    assert dict(found.select("was", "now").rows()) == {old.of("rep", i): new.of("rep", i) for i in "ab"}
    assert found.schema == ROTATION
    assert set(found["domain"]) == {"rep"}
    assert new.of("rep", "a") == Pseudonyms(KEY[::-1]).of("rep", "a")
    assert new.recipe != Pseudonyms(KEY[::-1]).recipe
    assert old.rotation("rep_id", pl.Series(["a"])).is_empty()


def test_a_key_has_an_id_that_tells_it_apart_and_nothing_else() -> None:
    assert Pseudonyms(KEY).key_id == Pseudonyms(KEY).fingerprint[:8] != Pseudonyms(KEY[::-1]).key_id
    assert Pseudonyms(KEY).key_id not in Pseudonyms(KEY).of("rep", "a")
