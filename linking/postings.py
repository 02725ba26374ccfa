"""Hashes and the rows that have them, as one sorted array of 64-bit words: 40 bits of the hash, then 24 of the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..contract import TagtraceError

ROW_BITS = 24
MOST_ROWS = 2**ROW_BITS
"""Rows that one array can tell apart."""
_ROW_MASK = np.uint64(MOST_ROWS - 1)
_ROW_BITS = np.uint64(ROW_BITS)
_MOST_BUCKET_BITS = 25
_MOST_SCANNED = 40_000
"""Entries that one look-up reads at most; the keys with the most rows are left out first."""

_FIRST_CUT = 3
"""For so many times the rows wanted, what speaks against them is looked up."""
_WORTH_BITS = 16
_WORTH_STEPS = 1000.0
"""Steps per nat in which the worth of a hash is kept, in so many bits."""

Words = NDArray[np.uint64]
Rows = NDArray[np.int64]
Integer = TypeVar("Integer", np.int64, np.uint64)


def distinct(rows: NDArray[Integer]) -> NDArray[Integer]:
    """The distinct values, ascending (on a few thousand, sorting is faster than the hash table of ``np.unique``)."""
    ordered = np.sort(rows)
    return ordered[_firsts(ordered)]


def _firsts(ordered: NDArray[Integer]) -> Rows:
    """Where in a sorted array each distinct value begins."""
    if not len(ordered):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))


def _packed(hashes: Words, rows: Rows) -> Words:
    if len(rows) and int(rows.max()) >= MOST_ROWS:
        raise TagtraceError(f"more than {MOST_ROWS} values in one index; build one index per kind")
    entries: Words = (hashes & ~_ROW_MASK) | rows.astype(np.uint64)
    return entries


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Sorted entries, and the places where the buckets of equal first bits begin (empty: found by binary search)."""

    entries: Words
    buckets: NDArray[np.uint32]

    @classmethod
    def build(cls, pieces: Iterable[tuple[Words, Rows]], bucketed: bool) -> Postings:
        """From pieces of (hashes, rows). ``bucketed`` pays off where thousands of hashes are looked up at a time.

        Raises ``TagtraceError`` for rows from ``MOST_ROWS`` on.
        """
        packed = [_packed(hashes, rows) for hashes, rows in pieces]
        return cls._sorted(np.concatenate(packed) if packed else np.zeros(0, np.uint64), bucketed)

    @classmethod
    def _sorted(cls, entries: Words, bucketed: bool) -> Postings:
        entries.sort()
        if not bucketed:
            return cls(entries, np.zeros(0, np.uint32))
        bits = min(max(8, len(entries).bit_length()), _MOST_BUCKET_BITS)
        sizes = np.bincount((entries >> np.uint64(64 - bits)).astype(np.int64), minlength=2**bits)
        buckets = np.zeros(2**bits + 1, np.uint32)
        np.cumsum(sizes, out=buckets[1:])
        return cls(entries, buckets)

    @property
    def nbytes(self) -> int:
        return self.entries.nbytes + self.buckets.nbytes

    def merged(self, other: Postings, shift: int) -> Postings:
        """Both together, the rows of the other raised by ``shift``."""
        if len(other.entries) and int((other.entries & _ROW_MASK).max()) + shift >= MOST_ROWS:
            raise TagtraceError(f"more than {MOST_ROWS} values in one index; build one index per kind")
        entries = np.concatenate((self.entries, other.entries + np.uint64(shift)))
        return Postings._sorted(entries, len(self.buckets) > 0)

    def rows(self, hashes: Words, most: int) -> Rows:
        """The distinct rows of any of the hashes, ascending; at most about ``most``."""
        if most <= 0 or not len(hashes) or not len(self.entries):
            return np.zeros(0, np.int64)
        entries, owner = self._scan(hashes)
        hit = (entries >> _ROW_BITS) == (hashes >> _ROW_BITS)[owner]
        return distinct((entries[hit] & _ROW_MASK).astype(np.int64))[:most]

    def _scan(self, hashes: Words) -> tuple[Words, NDArray[np.int64]]:
        """The entries of the buckets of the hashes, and which hash each is for."""
        starts, sizes = self._spans(hashes)
        if sizes.sum() > _MOST_SCANNED:
            order = np.argsort(sizes, kind="stable")
            sizes[order[np.cumsum(sizes[order]) > _MOST_SCANNED]] = 0
        return self._taken(starts, sizes)

    def _spans(self, hashes: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if len(self.buckets):
            bits = (len(self.buckets) - 1).bit_length() - 1
            bucket = (hashes >> np.uint64(64 - bits)).astype(np.int64)
            starts = self.buckets[bucket].astype(np.int64)
            return starts, self.buckets[bucket + 1].astype(np.int64) - starts
        low = hashes & ~_ROW_MASK
        starts = np.searchsorted(self.entries, low)
        return starts, np.searchsorted(self.entries, low | _ROW_MASK, side="right") - starts

    def _taken(self, starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[Words, NDArray[np.int64]]:
        before = np.cumsum(sizes) - sizes
        owner = np.repeat(np.arange(len(sizes)), sizes)
        return self.entries[np.arange(len(owner)) + (starts - before)[owner]], owner

    def most_telling(self, hashes: Words, scanned: int, most: int, against: Callable[[Rows], NDArray[np.float64]]) -> Rows:
        """The ``most`` rows that share the most telling of the hashes, ascending; ``against`` gives nats that count against rows.

        ``scanned`` entries are looked through at most, those of the rarest hashes first. A hash tells the more the fewer entries
        have it: the logarithm of all entries for each of its own (inverse document frequency).
        """
        if not len(hashes) or not len(self.entries):
            return np.zeros(0, np.int64)
        starts, sizes = self._spans(hashes)
        order = np.argsort(sizes, kind="stable")
        order = order[np.cumsum(sizes[order]) <= scanned]
        entries, owner = self._taken(starts[order], sizes[order])
        if not len(entries):
            return np.zeros(0, np.int64)
        worth = np.log(len(self.entries) / np.maximum(sizes[order], 1)) * _WORTH_STEPS
        # Row and worth in one word: one sort brings the entries of each row together.
        ordered = np.sort((entries & _ROW_MASK) << np.uint64(_WORTH_BITS) | worth.astype(np.uint64)[owner])
        rows = (ordered >> np.uint64(_WORTH_BITS)).astype(np.int64)
        first = _firsts(rows)
        rows = rows[first]
        if len(rows) <= most:
            return rows
        total = np.add.reduceat((ordered & np.uint64(2**_WORTH_BITS - 1)).astype(np.int64), first) / _WORTH_STEPS
        for place in (_FIRST_CUT * most, most):
            if len(rows) > place:
                best = np.argpartition(-total, place - 1)[:place]
                rows, total = rows[best], total[best]
            if place > most:  # looking lengths up takes longer than adding worths: only for those that have a chance
                total = total - against(rows)
        return np.sort(rows)

    def first(self, hashes: Words, most: int) -> Rows:
        """The distinct rows of the hashes, the first ``most`` of each."""
        if not len(hashes) or not len(self.entries):
            return np.zeros(0, np.int64)
        starts, sizes = self._spans(hashes)
        entries, _ = self._taken(starts, np.minimum(sizes, most))
        return distinct((entries & _ROW_MASK).astype(np.int64))
