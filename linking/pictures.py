"""Perceptual hashes (``models.pictures``) in a register: the bands by which hashes near to one are looked up."""

from __future__ import annotations

from itertools import combinations

from ..models.pictures import HASH_BITS, close_pairs, distance, picture_hash

BANDS = 4
"""Hashes are looked up by four bands of 16 bits."""
BAND_BITS = 16


def hash_bands(value: int) -> list[tuple[int, int]]:
    """The bands of a 64-bit hash: (number of the band, its bits)."""
    return [(band, value >> (band * BAND_BITS) & 0xFFFF) for band in range(BANDS)]


def near_bands(value: int, bits: int) -> list[tuple[int, int]]:
    """The bands that a hash within ``bits`` of this one must have one of: by the pigeonhole principle one of its bands differs in
    at most ``bits // BANDS`` bits."""
    most = bits // BANDS
    flips = [sum(1 << bit for bit in chosen) for count in range(most + 1) for chosen in combinations(range(BAND_BITS), count)]
    return [(band, part ^ flip) for band, part in hash_bands(value) for flip in flips]


__all__ = ["BANDS", "BAND_BITS", "HASH_BITS", "close_pairs", "distance", "hash_bands", "near_bands", "picture_hash"]
