"""Identifiers that say nothing: numbers scrambled by a keyed permutation, the same for every city of a payer."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fraud.claims.simulation.rows import Array

__all__ = ["Identifiers", "scrambled"]

ROUNDS = 6
# Prefix, digits, and half the bits of the numbers behind them.
FORMS = {
    "claim": ("C", 14, 23),
    "patient": ("P", 10, 16),
    "provider": ("H", 8, 13),
    "physician": ("D", 9, 14),
    "terminal": ("T", 7, 11),
    "account": ("A", 12, 19),
    "operator": ("O", 5, 8),
    "investigator": ("I", 5, 8),
}


def scrambled(number: Array, half_bits: int, key: int) -> Array:
    """A permutation of the numbers below 2 ** (2 * half_bits): a Feistel network, so none comes twice.

    >>> sorted(scrambled(np.arange(16), 2, key=5).tolist()) == list(range(16))
    True
    """
    mask = np.uint64((1 << half_bits) - 1)
    left, right = np.asarray(number).astype(np.uint64) >> np.uint64(half_bits), number.astype(np.uint64) & mask
    for turn in range(ROUNDS):
        left, right = right, left ^ (_mixed(right, key + 0x9E37 * turn) & mask)
    return np.asarray(((left << np.uint64(half_bits)) | right).astype(np.int64))


def _mixed(value: Array, key: int) -> Array:
    """A well-spread function of value and key; products wrap on purpose."""
    x = (value + np.uint64(key & 0xFFFFFFFF)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


class Identifiers:
    """Identifiers of one city among `cities`: the numbers of different cities never meet."""

    def __init__(self, seed: int, city: int, cities: int) -> None:
        self.seed, self.city, self.cities = seed, city, cities

    def of(self, kind: str, n: int) -> Array:
        """Identifiers of `n` things of a kind."""
        prefix, digits, half_bits = FORMS[kind]
        number = np.arange(n) * self.cities + self.city
        key = zlib.crc32(f"{self.seed} {kind}".encode())
        text = pa.array(scrambled(number, half_bits, key) + 10**digits).cast(pa.string())
        return np.asarray(pc.binary_replace_slice(text, 0, 1, prefix).to_numpy(zero_copy_only=False))
