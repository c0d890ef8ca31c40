"""Names that nobody can turn back without the key: keyed HMAC-SHA256, one domain per meaning of a column."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

import polars as pl

_SHORTEST_KEY = 16  # bytes
_BYTES = 10  # 80 bits: among a million people two share a pseudonym with probability 4e-13

DOMAINS: dict[str, str] = dict.fromkeys(("rep_id", "manager_id", "actor_id", "owner_rep_id"), "rep")
"""What a column's ids name. Columns of one domain join; equal ids in different domains get different pseudonyms."""

ROTATION = pl.Schema({"domain": pl.String(), "was": pl.String(), "now": pl.String()})
"""Pseudonyms of the same ids under two keys; no id is in it."""


def domain_of(column: str) -> str:
    """The domain of a column: what it names, by default its own name without `_id`."""
    return DOMAINS.get(column, column.removesuffix("_id"))


@dataclass(frozen=True)
class Pseudonyms:
    """The firm's key. It appears in no representation of this object. `previous`: the key before it, while it is rotated.

    Raises ValueError when the key is shorter than 16 bytes.
    """

    key: bytes = field(repr=False)
    previous: Pseudonyms | None = None

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST_KEY:
            raise ValueError(f"the pseudonym key must have at least {_SHORTEST_KEY} bytes")

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without telling them: part of the key of every version that holds pseudonyms."""
        return self._digest("fingerprint", "").hex()

    @property
    def key_id(self) -> str:
        """Names the key in manifests, for people: the beginning of its fingerprint."""
        return self.fingerprint[:8]

    @property
    def recipe(self) -> str:
        """All that a version with pseudonyms depends on: the key, and the one before where both are told."""
        return self.fingerprint + (f" after {self.previous.fingerprint}" if self.previous else "")

    def of(self, domain: str, value: str) -> str:
        """The pseudonym of one id: the domain's first letter, `_`, 16 letters and digits."""
        return f"{domain[0]}_{base64.b32encode(self._digest(domain, value)).decode().lower()}"

    def table(self, column: str, ids: pl.Series) -> pl.DataFrame:
        """Distinct ids of a column beside their pseudonyms: a frame (column, `_pseudonym`) to join; nulls have none."""
        distinct = ids.drop_nulls().unique().sort()
        domain = domain_of(column)
        names = [self.of(domain, value) for value in distinct.to_list()]
        return pl.DataFrame({column: distinct, "_pseudonym": pl.Series(names, dtype=pl.String())})

    def rotation(self, column: str, ids: pl.Series) -> pl.DataFrame:
        """What the ids of a column were called under the previous key, and what now (schema ROTATION)."""
        now = self.table(column, ids)
        was = self.previous.table(column, ids) if self.previous else now.clear()
        both = was.rename({"_pseudonym": "was"}).join(now.rename({"_pseudonym": "now"}), on=column)
        return both.select(pl.lit(domain_of(column)).alias("domain"), "was", "now")

    def _digest(self, domain: str, value: str) -> bytes:
        # a zero byte can't occur in a domain, so no two (domain, value) give one message
        return hmac.digest(self.key, f"{domain}\0{value}".encode(), hashlib.sha256)[:_BYTES]


def demo_key(seed: int) -> bytes:
    """The demo company's key: public, for made-up people only. Shape: 32 bytes."""
    return hashlib.sha256(f"aftersale demo {seed}".encode()).digest()
