"""Perceptual hashes: the same picture sent twice, scaled, recompressed or forwarded by a messenger.

Linking looks for copies among reports with them, and data sets for copies between their splits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ..contract import Image

HASH_BITS = 64
_SIDE = 32
_KEPT = 8
_FLAT = 1.0
"""Pictures whose low frequencies are all weaker than this (grey levels) have no hash: they are bare surfaces."""


def picture_hash(pixels: Image) -> int | None:
    """The 64-bit DCT hash of a picture (as pHash: 32 x 32 grey, low 8 x 8 frequencies against their median).

    None for pictures with nothing in them, whose bits would be chance. The constant term is left out: it tells brightness only.
    """
    # Two steps: halving by area first makes the result depend little on the size of the picture.
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_KEPT, :_KEPT].ravel()
    if float(np.abs(low[1:]).max()) / _SIDE < _FLAT:
        return None
    bits = low > np.median(low[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def distance(a: int, b: int) -> int:
    """Bits in which two hashes differ."""
    return (a ^ b).bit_count()


def close_pairs(hashes: Sequence[int], most_bits: int) -> Iterator[tuple[int, int]]:
    """Every pair of positions (i < j, each once) whose hashes differ in at most ``most_bits`` bits.

    By the pigeonhole principle two such hashes agree in one of ``most_bits + 1`` bands, so only those that share a band
    are compared.
    """
    values = np.array(hashes, dtype=np.uint64)
    edges = np.linspace(0, HASH_BITS, most_bits + 2).round().astype(int)
    seen: set[tuple[int, int]] = set()
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        band = (values >> np.uint64(start)) & np.uint64((1 << (end - start)) - 1)
        order = np.argsort(band, kind="stable")
        cuts = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, cuts):
            for place, i in enumerate(bucket[:-1].tolist()):
                rest = bucket[place + 1 :]
                near = rest[np.bitwise_count(values[rest] ^ values[i]) <= most_bits]
                for j in near.tolist():
                    pair = (min(i, j), max(i, j))
                    if pair not in seen:
                        seen.add(pair)
                        yield pair
