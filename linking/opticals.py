"""Optical skeletons and their hashes, for many values at once.

The optical skeleton of a value is its sequence of coarse shapes: characters that hands, stencils and the recogniser confuse share
a shape, separators are left out, and ``m``, ``w`` and ``d`` count as the two strokes that they are confused with (``rn``, ``vv``,
``cl``). Values that look alike by ``fold.skeleton`` have equal optical skeletons.

Hashes are polynomials over the shapes (modulo 2^64, an odd base, random numbers for the shapes), so that the hash of a skeleton
with a shape taken out, put in or changed follows from sums over its beginning and its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..inference.identifiers.fold import latin_view
from .confusions import CODES, code_of, code_table

Words = NDArray[np.uint64]

SHAPES = ("0ocea", "1lij7", "8b6g9q", "5s", "2z", "uvy", "nhr", "t", "k", "x", "p", "f", "3", "4", "@", "/")
"""Characters of one shape each, from the domain notes (3.3) and the most frequent confusions of the recogniser."""
_STROKES = {"m": "nn", "w": "vv", "d": "cl"}
_DROPPED = "._-:+"
SHAPE_COUNT = len(SHAPES) + 1
"""Shapes are numbered from 1; the last is that of every other character."""

LONGEST = 128
"""Values are compared in their first so many characters (payloads of codes may have thousands)."""


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Many short sequences in one array: sequence ``i`` is ``data[starts[i]:starts[i + 1]]``.

    ``data`` is ``uint8`` and ``starts`` ``int64`` of shape (n + 1,).
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def piece(self, index: int) -> NDArray[np.uint8]:
        """One sequence."""
        return self.data[self.starts[index] : self.starts[index + 1]]

    def matrix(self, rows: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
        """The sequences of some rows, one per line, cut at ``width`` or filled up with 0; shape (len(rows), width)."""
        if not len(self.data):
            return np.zeros((len(rows), width), np.uint8)
        starts, ends = self.starts[rows], self.starts[rows + 1]
        places = starts[:, None] + np.arange(width)
        return np.where(places < ends[:, None], self.data[np.minimum(places, len(self.data) - 1)], 0).astype(np.uint8)


def join(parts: Sequence[Packed]) -> Packed:
    """Sequences of several packs, one pack after the other."""
    lengths = np.concatenate([part.lengths for part in parts])
    return Packed(np.concatenate([part.data for part in parts]), _starts(lengths))


def pack(values: Sequence[str]) -> Packed:
    """The codes (see ``confusions.CHARACTERS``) of values in their folded form, without spaces, cut at ``LONGEST``."""
    cut = [value if len(value) <= LONGEST else value[:LONGEST] for value in values]
    text = "".join(cut)
    if not text.isascii():
        cut = [value if value.isascii() else latin_view(value).encode("ascii", "replace").decode() for value in cut]
        text = "".join(cut)
    lengths = np.fromiter(map(len, cut), np.int64, len(cut))
    data = _CODE_OF_BYTE[np.frombuffer(text.encode(), np.uint8)]
    packed = Packed(data, _starts(lengths))
    return _filtered(packed, data > 0) if " " in text else packed


def optical(codes: Packed) -> Packed:
    """The optical skeletons of packed codes, as shapes 1 … ``SHAPE_COUNT``."""
    count = _STROKE_COUNT[codes.data]
    ends = np.concatenate(([0], np.cumsum(count, dtype=np.int64)))
    data = _FIRST[np.repeat(codes.data, count)]
    double = np.flatnonzero(count == 2)
    data[ends[double + 1] - 1] = _SECOND[codes.data[double]]
    return Packed(data, ends[codes.starts])


def fine(codes: Packed) -> Packed:
    """Packed codes without separators, one number for what can hardly be told apart (``0`` and ``o``; ``1``, ``i``, ``l``)."""
    return _filtered(Packed(_FINE[codes.data], codes.starts), _STROKE_COUNT[codes.data] > 0)


def _filtered(packed: Packed, keep: NDArray[np.bool_]) -> Packed:
    before = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))
    return Packed(packed.data[keep], before[packed.starts])


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Per code: how many strokes it has, the first and the second of them."""
    shape = np.full(CODES, SHAPE_COUNT, np.uint8)
    for number, chars in enumerate(SHAPES, 1):
        for char in chars:
            shape[code_of(char)] = number
    count, second = np.ones(CODES, np.uint8), np.zeros(CODES, np.uint8)
    for char, strokes in _STROKES.items():
        count[code_of(char)] = 2
        shape[code_of(char)], second[code_of(char)] = shape[code_of(strokes[0])], shape[code_of(strokes[1])]
    for char in _DROPPED:
        count[code_of(char)] = 0
    return count, shape, second


_CODE_OF_BYTE = code_table()
_CODE_OF_BYTE[ord(" ")] = 0
_STROKE_COUNT, _FIRST, _SECOND = _tables()

_FINE = np.arange(CODES, dtype=np.uint8)
for _kept, _alike in (("o", "0"), ("l", "1ij"), ("s", "5"), ("b", "68"), ("g", "9q"), ("z", "2")):
    for _char in _alike:
        _FINE[code_of(_char)] = code_of(_kept)

_RNG = np.random.default_rng(20261123)
_NUMBER = _RNG.integers(1, 2**63, CODES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_NUMBER[0] = 0
_BASE = 0x9E3779B97F4A7C15
_INVERSE = np.uint64(pow(_BASE, -1, 2**64))
_POWERS = np.array([pow(_BASE, k, 2**64) for k in range(2 * LONGEST + 4)], np.uint64)
_ALL = _NUMBER[1 : SHAPE_COUNT + 1]


def mixed(hashes: Words, salt: Words | int) -> Words:
    """Hashes of skeletons made distinct per ``salt`` and spread evenly over 64 bits (the finaliser of splitmix64)."""
    z = hashes + np.asarray(salt, np.uint64) * np.uint64(0xD1342543DE82EF95)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixture: Words = z ^ (z >> np.uint64(31))
    return mixture


def whole_hashes(shapes: Packed) -> Words:
    """The hash of every sequence, shape (n,)."""
    sums = _sums(shapes)
    return np.asarray(sums[shapes.starts[1:]] - sums[shapes.starts[:-1]])


def deletion_hashes(shapes: Packed, longest: int) -> tuple[Words, NDArray[np.int64]]:
    """The hashes of the sequences with one shape taken out, and the row of each; of those with at most ``longest`` shapes.

    Of equal neighbours only the last is taken out: the others give the same.
    """
    lengths = shapes.lengths
    rows = np.repeat(np.arange(len(shapes)), lengths)
    sums = _sums(shapes)
    twin = np.zeros(len(shapes.data), bool)
    twin[:-1] = (shapes.data[1:] == shapes.data[:-1]) & (rows[1:] == rows[:-1])
    at = np.flatnonzero((lengths[rows] <= longest) & ~twin)
    rows = rows[at]
    head = sums[at] - sums[shapes.starts[rows]]
    tail = sums[shapes.starts[rows + 1]] - sums[at + 1]
    return np.asarray(head + tail * _INVERSE), rows


def gram_hashes(shapes: Packed, size: int, step: int = 1) -> tuple[Words, NDArray[np.int64]]:
    """The hashes of ``size`` neighbouring shapes, from every ``step``-th place of each sequence, and the row of each."""
    hashes, rows, _ = _grams(shapes, size, step)
    return hashes, rows


def placed_gram_hashes(shapes: Packed, size: int, span: int, shift: int = 0) -> tuple[Words, NDArray[np.int64]]:
    """As ``gram_hashes``, but equal only where the runs begin in the same ``span`` places, after moving them by ``shift``."""
    hashes, rows, place = _grams(shapes, size, 1)
    return mixed(hashes, ((place + shift) // span + 2).astype(np.uint64)), rows


def _grams(shapes: Packed, size: int, step: int) -> tuple[Words, NDArray[np.int64], NDArray[np.int64]]:
    """Hashes of runs, their rows, and where in its sequence each begins."""
    lengths = shapes.lengths
    rows = np.repeat(np.arange(len(shapes)), lengths)
    place = np.arange(len(shapes.data)) - shapes.starts[rows]
    at = np.flatnonzero((place + size <= lengths[rows]) & (place % step == 0))
    hashes = np.zeros(len(at), np.uint64)
    for j in range(size):
        hashes += _NUMBER[shapes.data[at + j]] * _POWERS[j]
    return hashes, rows[at], place[at]


def _sums(shapes: Packed) -> Words:
    """Running sums of the terms of all sequences, shape (total + 1,); they wrap around, and so do their differences."""
    place = np.arange(len(shapes.data)) - np.repeat(shapes.starts[:-1], shapes.lengths)
    sums = np.zeros(len(shapes.data) + 1, np.uint64)
    np.cumsum(_NUMBER[shapes.data] * _POWERS[place], out=sums[1:])
    return sums


def near_hashes(shapes: NDArray[np.uint8]) -> Words:
    """The hashes of one skeleton and of all made of it by taking one shape out."""
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(_NUMBER[shapes] * _POWERS[: len(shapes)], dtype=np.uint64)))
    out = sums[:-1] + (sums[-1] - sums[1:]) * _INVERSE
    return np.concatenate((sums[-1:], out))


def far_hashes(shapes: NDArray[np.uint8]) -> Words:
    """What together with the deletions of the listed skeletons covers all that lie two edits away from one skeleton.

    With one shape changed, with one put in, with two taken out, and with one changed and one taken out: those suffice, since a
    listed skeleton is known with each of its shapes taken out.
    """
    length = len(shapes)
    powers = _POWERS[: length + 1]
    own = _NUMBER[shapes]
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(own * powers[:-1], dtype=np.uint64)))
    changed = sums[-1] + (_ALL[None, :] - own[:, None]) * powers[:-1, None]
    added = (sums + (sums[-1] - sums) * np.uint64(_BASE))[:, None] + _ALL[None, :] * powers[:, None]
    if length < 2:
        return np.concatenate((changed.ravel(), added.ravel()))
    index = np.arange(length - 1)[None, :] + (np.arange(length - 1)[None, :] >= np.arange(length)[:, None])
    left = own[index]  # (taken out, remaining place)
    terms = left * powers[None, : length - 1]
    inner = np.cumsum(terms, axis=1, dtype=np.uint64)
    whole = inner[:, -1:]
    twice = inner - terms + (whole - inner) * _INVERSE
    both = whole[:, :, None] + (_ALL[None, None, :] - left[:, :, None]) * powers[None, : length - 1, None]
    return np.concatenate((changed.ravel(), added.ravel(), twice.ravel(), both.ravel()))
