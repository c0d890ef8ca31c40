"""Sellers' names: stable, joinable, apart by domain and key, and the key never shows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import polars as pl
import pytest

from assets.core.pseudonyms import ROTATION, Pseudonyms, demo_key, domain_of, kind_of, list_kinds
from assets.core.subjects import refine_source
from expectations.contracts import SOURCES
from tests.unit.core.doorstep import COMPANY, land

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
    table = names.table("rep", pl.Series("manager_id", ["b", None, "a", "b"]))
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
    old, new = Pseudonyms(KEY), Pseudonyms(KEY[::-1], previous=Pseudonyms(KEY))
    found = new.rotation("rep", pl.Series(["b", None, "a"]))
    assert dict(found.select("was", "now").rows()) == {old.of("rep", i): new.of("rep", i) for i in "ab"}
    assert found.schema == ROTATION
    assert set(found["domain"]) == {"rep"}
    assert new.of("rep", "a") == Pseudonyms(KEY[::-1]).of("rep", "a")
    assert new.recipe != Pseudonyms(KEY[::-1]).recipe
    assert old.rotation("rep", pl.Series(["a"])).is_empty()


def test_a_key_has_an_id_that_tells_it_apart_and_nothing_else() -> None:
    assert Pseudonyms(KEY).key_id == Pseudonyms(KEY).fingerprint[:8] != Pseudonyms(KEY[::-1]).key_id
    hidden = Pseudonyms(KEY, frozenset({("accounts", "account_id")}))
    assert hidden.key_id == Pseudonyms(KEY).key_id
    assert hidden.fingerprint != Pseudonyms(KEY).fingerprint
    assert Pseudonyms(KEY).key_id not in Pseudonyms(KEY).of("rep", "a")


# ---- ids that the firm wants hidden -----------------------------------------------------------------------------------


def test_what_an_id_names_follows_from_the_references() -> None:
    accounts = ("accounts", "account_id")
    for table, column in (
        ("accounts", "account_id"),
        ("accounts", "parent_account_id"),
        ("accounts", "merged_into_id"),
        ("opportunities", "account_id"),
        ("complaints", "account_id"),
    ):
        assert kind_of(SOURCES[table], column, SOURCES) == accounts
    assert kind_of(SOURCES["themes"], "merged_into_id", SOURCES) == ("themes", "theme_id")
    assert kind_of(SOURCES["board_reports"], "theme_ids", SOURCES) == ("themes", "theme_id")
    # the same word, two things
    assert kind_of(SOURCES["customer_activity"], "event_id", SOURCES) != kind_of(
        SOURCES["subscription_events"], "event_id", SOURCES
    )


def test_every_id_of_a_thing_can_be_hidden_and_no_word_can() -> None:
    can = {(name, column) for name, table in SOURCES.items() for column in list_kinds(table, SOURCES)}
    named = {
        (name, column.name)
        for name, table in SOURCES.items()
        for column in table.stored
        if column.name.endswith(("_id", "_ids"))
    }
    people = {(n, c) for n, c in named if c in {"rep_id", "manager_id", "actor_id", "owner_rep_id"}}
    assert can == named - people
    assert not {c for _, c in can} & {"currency", "region", "segment", "team", "component"}


def hidden_of(table: str, header: str, rows: list[tuple[str, ...]], *kinds: tuple[str, str]) -> pl.DataFrame:
    names = Pseudonyms(KEY, frozenset(kinds))
    return refine_source(land(table, header, rows), COMPANY, names).frame.collect()


def test_a_hidden_id_still_joins_and_others_stay_as_they_are() -> None:
    kind = ("accounts", "account_id")
    accounts = hidden_of(
        "accounts",
        "account_id merged_into_id",
        [("ann@example.org", ""), ("Bob Roe", "ann@example.org")],
        kind,
    )
    complaints = hidden_of(
        "complaints",
        "complaint_id account_id received_at",
        [("C-1", "ann@example.org", "2025-03-01T12:00:00Z")],
        kind,
    )
    ann = Pseudonyms(KEY).of("accounts.account_id", "ann@example.org")
    assert re.fullmatch(r"a_[a-z2-7]{16}", ann)
    assert ann in accounts["account_id"].to_list()
    assert accounts["merged_into_id"].drop_nulls().to_list() == [ann]
    assert complaints.select("complaint_id", "account_id").row(0) == ("C-1", ann)


def test_a_list_of_ids_is_hidden_one_by_one() -> None:
    kind = ("themes", "theme_id")
    header, row = "report_id sent_at theme_ids", ("R-1", "2025-03-01T12:00:00Z", "price,delivery")
    of = Pseudonyms(KEY).of
    (told,) = hidden_of("board_reports", header, [row], kind)["theme_ids"].to_list()
    assert told == [of("themes.theme_id", "price"), of("themes.theme_id", "delivery")]


def test_a_key_that_is_made_from_a_hidden_id_is_hidden_with_it() -> None:
    rows = [("ann@example.org", "2025-03-01T12:00:00Z", "login", "")]
    header = "account_id occurred_at kind amount"
    assert "ann@example.org" in hidden_of("customer_activity", header, rows)["event_id"].item()
    hidden = hidden_of("customer_activity", header, rows, ("accounts", "account_id"))
    assert re.fullmatch(r"c_[a-z2-7]{16}", hidden["event_id"].item())


def test_what_is_hidden_is_part_of_what_versions_are_made_from() -> None:
    assert Pseudonyms(KEY).fingerprint != Pseudonyms(KEY, frozenset({("accounts", "account_id")})).fingerprint
