"""Random numbers that belong to a row, not to a run.

Every draw is a hash of the seed, its purpose and the row's own number, so a row keeps its values however many other
rows, months or sellers the company has. Nothing here remembers anything.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


class Draws:
    """Draws of one seed. `purpose` names the random variable, `key` the rows (any shape, int64)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def bits(self, purpose: str, key: Ints) -> npt.NDArray[np.uint64]:
        """64 random bits per row: the output function of SplitMix64 (Steele, Lea and Flood 2014) at the row's number."""
        salt = int.from_bytes(blake2b(f"{self.seed}/{purpose}".encode(), digest_size=8).digest(), "little")
        z = key.astype(np.uint64) * _STEP
        z += np.uint64(salt)
        z ^= z >> np.uint64(30)
        z *= _FIRST
        z ^= z >> np.uint64(27)
        z *= _SECOND
        z ^= z >> np.uint64(31)
        return z

    def uniform(self, purpose: str, key: Ints) -> Floats:
        """Uniform on [0, 1)."""
        return np.asarray((self.bits(purpose, key) >> np.uint64(11)).astype(np.float64) * 2.0**-53)

    def normal(self, purpose: str, key: Ints) -> Floats:
        """Standard normal, cut at 3 so that no row is absurd."""
        return np.asarray(np.clip(ndtri(self.uniform(purpose, key) + 2.0**-54), -3.0, 3.0))

    def exponential(self, purpose: str, key: Ints) -> Floats:
        """Exponential with mean 1."""
        return -np.log1p(-self.uniform(purpose, key))

    def below(self, purpose: str, key: Ints, limit: int) -> Ints:
        """Whole number from 0 to limit - 1."""
        return (self.uniform(purpose, key) * limit).astype(np.int64)

    def chance(self, purpose: str, key: Ints, share: float | Floats) -> Flags:
        """True with probability `share`."""
        return np.asarray(self.uniform(purpose, key) < share)

    def weighted(self, purpose: str, key: Ints, weights: tuple[float, ...]) -> Ints:
        """Index into `weights`, drawn in proportion to them."""
        edges = np.cumsum(weights)[:-1] / sum(weights)
        return np.searchsorted(edges, self.uniform(purpose, key), side="right").astype(np.int64)
