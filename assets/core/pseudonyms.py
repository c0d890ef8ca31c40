"""Names that nobody can turn back without the key: keyed HMAC-SHA256, one domain per meaning of a column.

People always stand under pseudonyms. Ids of other things do where the firm says so, because some firms use names or addresses
as ids: then every column that holds such ids does, in all tables, for the contracts' references say which those are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from expectations.model import Kind, Sensitivity, Table

IdKind = tuple[str, str]
"""What an id names: the table and the column that it is the key of."""

_SHORTEST_KEY = 16  # bytes
_BYTES = 10  # 80 bits: among a million people two share a pseudonym with probability 4e-13

DOMAINS: dict[str, str] = dict.fromkeys(("rep_id", "manager_id", "actor_id", "owner_rep_id"), "rep")
"""What a column's ids name. Columns of one domain join; equal ids in different domains get different pseudonyms."""

ROTATION = pl.Schema({"domain": pl.String(), "was": pl.String(), "now": pl.String()})
"""Pseudonyms of the same ids under two keys; no id is in it."""


def domain_of(column: str) -> str:
    """The domain of a column: what it names, by default its own name without `_id`."""
    return DOMAINS.get(column, column.removesuffix("_id"))


def kind_of(table: Table, column: str, tables: Mapping[str, Table]) -> IdKind:
    """What the ids of a column name: where its reference leads, and that one's; a column that refers to nothing is at home."""
    leads = {r.column: (r.table, r.target) for r in table.references}
    to, target = leads.get(column, (table.name, column))
    return (to, target) if (to, target) == (table.name, column) else kind_of(tables[to], target, tables)


def list_kinds(table: Table, tables: Mapping[str, Table]) -> dict[str, IdKind]:
    """Columns of a source table whose ids a firm may have pseudonymised, each with what its ids name.

    Those are keys of tables and what refers to them: a currency or a region is a word with a meaning, and people are under
    pseudonyms anyway.
    """
    found = {}
    for column in table.stored:
        if column.kind not in (Kind.ID, Kind.LIST) or column.sensitivity is Sensitivity.PSEUDONYM:
            continue
        home, key = kind_of(table, column.name, tables)
        if key.endswith("_id") and key in tables[home].key:
            found[column.name] = (home, key)
    return found


@dataclass(frozen=True)
class Pseudonyms:
    """The firm's key. It appears in no representation of this object. `previous`: the key before it, while it is rotated.

    Attributes:
        kinds: ids that stand under pseudonyms beside those of people.

    Raises ValueError when the key is shorter than 16 bytes.
    """

    key: bytes = field(repr=False)
    kinds: frozenset[IdKind] = frozenset()
    previous: Pseudonyms | None = None

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST_KEY:
            raise ValueError(f"the pseudonym key must have at least {_SHORTEST_KEY} bytes")

    @property
    def fingerprint(self) -> str:
        """Tells keys, and what they are used on, apart without telling them: part of the key of every version with pseudonyms."""
        return self._digest("fingerprint", " ".join(".".join(kind) for kind in sorted(self.kinds))).hex()

    @property
    def key_id(self) -> str:
        """Names the key in manifests, for people, whatever it is used on."""
        return self._digest("fingerprint", "").hex()[:8]

    @property
    def recipe(self) -> str:
        """All that a version with pseudonyms depends on: the key, and the one before where both are told."""
        return self.fingerprint + (f" after {self.previous.fingerprint}" if self.previous else "")

    def of(self, domain: str, value: str) -> str:
        """The pseudonym of one id: the domain's first letter, `_`, 16 letters and digits."""
        return f"{domain[0]}_{base64.b32encode(self._digest(domain, value)).decode().lower()}"

    def domains(
        self, table: Table, tables: Mapping[str, Table], made_from: Sequence[str] = ()
    ) -> dict[str, str]:
        """Columns of a source table that hold pseudonyms, each with its domain.

        `made_from`: the columns that the table's key may be made from; it spells them out, so it is hidden with any of them.
        """
        kinds = list_kinds(table, tables)
        found = {c.name: domain_of(c.name) for c in table.stored if c.sensitivity is Sensitivity.PSEUDONYM}
        found |= {column: ".".join(kind) for column, kind in kinds.items() if kind in self.kinds}
        if not found.keys().isdisjoint(made_from):
            found |= {key: ".".join(kind_of(table, key, tables)) for key in table.key}
        return found

    def table(self, domain: str, ids: pl.Series) -> pl.DataFrame:
        """Distinct ids beside their pseudonyms: a frame (the series' name, `_pseudonym`) to join; nulls have none."""
        distinct = ids.drop_nulls().unique().sort()
        names = [self.of(domain, value) for value in distinct.to_list()]
        return pl.DataFrame({ids.name: distinct, "_pseudonym": pl.Series(names, dtype=pl.String())})

    def rotation(self, domain: str, ids: pl.Series) -> pl.DataFrame:
        """What ids were called under the previous key, and what now (schema ROTATION)."""
        now = self.table(domain, ids)
        was = self.previous.table(domain, ids) if self.previous else now.clear()
        both = was.rename({"_pseudonym": "was"}).join(now.rename({"_pseudonym": "now"}), on=ids.name)
        return both.select(pl.lit(domain).alias("domain"), "was", "now")

    def _digest(self, domain: str, value: str) -> bytes:
        # a zero byte can't occur in a domain, so no two (domain, value) give one message
        return hmac.digest(self.key, f"{domain}\0{value}".encode(), hashlib.sha256)[:_BYTES]


def demo_key(seed: int) -> bytes:
    """The demo company's key: public, for made-up people only. Shape: 32 bytes."""
    return hashlib.sha256(f"aftersale demo {seed}".encode()).digest()
