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


def domain_of(column: str) -> str:
    """The domain of a column: what it names, by default its own name without `_id`."""
    return DOMAINS.get(column, column.removesuffix("_id"))


@dataclass(frozen=True)
class Pseudonyms:
    """The firm's key. It appears in no representation of this object.

    Raises ValueError when the key is shorter than 16 bytes.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST_KEY:
            raise ValueError(f"the pseudonym key must have at least {_SHORTEST_KEY} bytes")

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without telling them: part of the key of every version that holds pseudonyms."""
        return self._digest("fingerprint", "").hex()

    def of(self, domain: str, value: str) -> str:
        """The pseudonym of one id: the domain's first letter, `_`, 16 letters and digits."""
        return f"{domain[0]}_{base64.b32encode(self._digest(domain, value)).decode().lower()}"

    def table(self, column: str, ids: pl.Series) -> pl.DataFrame:
        """Distinct ids of a column beside their pseudonyms: a frame (column, `_pseudonym`) to join; nulls have none."""
        distinct = ids.drop_nulls().unique().sort()
        domain = domain_of(column)
        names = [self.of(domain, value) for value in distinct.to_list()]
        return pl.DataFrame({column: distinct, "_pseudonym": pl.Series(names, dtype=pl.String())})

    def _digest(self, domain: str, value: str) -> bytes:
        # a zero byte can't occur in a domain, so no two (domain, value) give one message
        return hmac.digest(self.key, f"{domain}\0{value}".encode(), hashlib.sha256)[:_BYTES]


def demo_key(seed: int) -> bytes:
    """The demo company's key: public, for made-up people only. Shape: 32 bytes."""
    return hashlib.sha256(f"aftersale demo {seed}".encode()).digest()
