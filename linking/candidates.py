"""The known contacts near one that was read, out of a million, in a few milliseconds.

A misread differs from the right value by what the recogniser confuses. Values are therefore compared by their optical skeleton
(``opticals``), and each is found under several keys:

* its canonical value, and its skeleton: everything that looks alike;
* its skeleton with each shape taken out: everything one edit away, and, with the changed skeletons of the value that was read,
  everything two edits away (``opticals.far_hashes``; the deletion neighbourhood of Mor and Fraenkel 1982);
* its runs of a few shapes (n-grams), the rarest first: the last resort for worse misreads, and the only way for long values;
* the skeleton of its stem: the siblings of a shop, whatever number or ending they got.

What is found is ranked by the cost of the edits in nats (``ranking``). Keys are hashes in sorted arrays; a value added later goes
to a small part of its own, and parts are merged as they grow, so an addition costs little and a look-up sees few parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from ..contract import IdentifierKind, TagtraceError
from .opticals import (
    LONGEST,
    Packed,
    Words,
    deletion_hashes,
    far_hashes,
    fine,
    gram_hashes,
    join,
    mixed,
    near_hashes,
    optical,
    pack,
    placed_gram_hashes,
    whole_hashes,
)
from .postings import Postings, distinct
from .ranking import RankSettings, ranked
from .stems import has_stem, shortened, stem

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What is indexed and how much is looked at. Lengths are in shapes of the skeleton, the others in rows."""

    deletions_up_to: int = 24
    """Skeletons up to this long are indexed with each of their shapes taken out."""
    far_up_to: int = 16
    """Values read whose skeletons are up to this long are looked up to two edits away; longer ones to one, and by n-grams."""
    gram: int = 4
    """Length of the n-grams of skeletons up to ``deletions_up_to``: every one; …"""
    fine_gram: int = 4
    """… the same of the characters themselves, which fewer values share; …"""
    placed_gram: int = 3
    """… the same of the characters at about the same place, …"""
    span: int = 3
    """… which may shift by one less than so many; …"""
    long_gram: int = 5
    """… and of longer ones, one after the other."""
    values: int = 8
    """So many of the values read are looked at; the first of them by n-grams and up to two edits away, too."""
    most_near: int = 2000
    """Rows taken from the neighbourhood at most, the nearest first."""
    most_gram_rows: int = 28_000
    """Entries of n-grams looked through at most, the rarest n-grams first …"""
    most_gram_found: int = 1500
    """… of which those with the most telling n-grams in common are ranked."""
    length_nats: float = 2.0
    """What each shape more or less speaks against a row, beside n-grams in common that speak for it."""
    most_siblings: int = 200
    """Rows of one stem looked at, at most …"""
    siblings_share: float = 0.1
    """… of which so many are among the candidates, as a share of their limit, however many others are nearer."""
    part_ratio: int = 8
    """A part is merged into the one before it when that is less than so many times its size."""
    rank: RankSettings = field(default_factory=RankSettings)


DEFAULT = IndexSettings()
_GROUPS = {kind: number for number, kind in enumerate(IdentifierKind)}
# A number may be listed for calls and for WhatsApp: the same on the wall.
_GROUPS[IdentifierKind.WHATSAPP] = _GROUPS[IdentifierKind.PHONE]
_EXACT, _SKELETON, _GRAM, _FINE_GRAM, _PLACED_GRAM, _LONG_GRAM, _STEM = range(7)
_SALTS_PER_GROUP = 8
_CHUNK = 100_000
"""Values whose keys are made at a time, to bound the memory of building."""


def _salt(kind: IdentifierKind, use: int) -> int:
    return _GROUPS[kind] * _SALTS_PER_GROUP + use


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The keys of the rows from ``start`` on. ``near`` holds values and skeletons, ``wide`` the n-grams and stems."""

    start: int
    codes: Packed
    shapes: Packed
    near: Postings
    wide: Postings

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def nbytes(self) -> int:
        texts = sum(p.data.nbytes + p.starts.nbytes for p in (self.codes, self.shapes))
        return texts + self.near.nbytes + self.wide.nbytes


class CandidateIndex:
    """Known values, looked up by what was read. Immutable: ``with_added`` and ``without`` give another one that shares arrays."""

    def __init__(self, parts: Sequence[Part], settings: IndexSettings, removed: NDArray[np.bool_] | None = None) -> None:
        """For ``build`` and its like."""
        self.parts = tuple(parts)
        self.settings = settings
        self._removed = removed

    @classmethod
    def build(
        cls, kinds: Sequence[IdentifierKind], values: Sequence[str], settings: IndexSettings | None = None
    ) -> CandidateIndex:
        """Index values (canonical, as in ``Identifier.value``) with their kinds; the row of a value is its place in the list.

        Raises ``TagtraceError`` when the lists differ in length or are longer than ``postings.MOST_ROWS``.
        """
        settings = settings or DEFAULT
        return cls([_part(0, kinds, values, settings)] if values else [], settings)

    def __len__(self) -> int:
        """Rows, the removed ones included."""
        return sum(map(len, self.parts))

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        return sum(part.nbytes for part in self.parts) + (0 if self._removed is None else self._removed.nbytes)

    def with_added(self, kinds: Sequence[IdentifierKind], values: Sequence[str]) -> CandidateIndex:
        """The index with further values, whose rows follow on."""
        if not values:
            return self
        parts = [*self.parts, _part(len(self), kinds, values, self.settings)]
        while len(parts) > 1 and len(parts[-2]) < self.settings.part_ratio * len(parts[-1]):
            parts[-2:] = [_merged(parts[-2], parts[-1])]
        return CandidateIndex(parts, self.settings, self._removed)

    def without(self, rows: Iterable[int]) -> CandidateIndex:
        """The index in which these rows are found no more; the other rows keep their numbers."""
        removed = np.zeros(len(self), bool)
        if self._removed is not None:
            removed[: len(self._removed)] = self._removed
        removed[list(rows)] = True
        return CandidateIndex(self.parts, self.settings, removed)

    def find(self, kind: IdentifierKind, values: Sequence[str], limit: int = 100) -> list[int]:
        """The rows near the values read (the canonical one and its alternatives, the best first): at most ``limit``, best first.

        Found for certain, as far as ``limit`` goes: equal values, those of equal skeleton, those whose skeleton is one edit away
        from that of a value read, and two edits away from that of the first (see ``IndexSettings`` for the lengths). Rows are of
        the same kind (calls and WhatsApp count as one), those with the same stem of any kind that has stems.
        """
        wanted = list(dict.fromkeys(values))[: self.settings.values]
        if not wanted or not self.parts or limit < 1:
            return []
        query = _query(kind, tuple(wanted), self.settings)
        near, kin = self._collect(query)
        if self._removed is not None:
            near, kin = (rows[~self._gone(rows)] for rows in (near, kin))
        ordered = self._ranked(query, near, limit)
        # Siblings are wanted for their shop, not for their likeness: a few have their places, more only where there is room.
        siblings = self._ranked(query, kin[~np.isin(kin, ordered)], limit, far=True)
        places = min(len(siblings), int(self.settings.siblings_share * limit))
        head = ordered[: limit - places]
        return [*head, *siblings[: limit - len(head)]]

    def _collect(self, query: Query) -> tuple[Rows, Rows]:
        """The rows that keys lead to: those near the values read, ascending, and those of their stems."""
        settings = self.settings
        near: list[Rows] = []
        kin: list[Rows] = []
        for part in self.parts:
            close = part.near.rows(query.close, settings.most_near)
            far = part.near.rows(query.far, settings.most_near - len(close))
            near += [close + part.start, far + part.start]
            longer = partial(_length_nats, part.shapes, len(query.shapes.piece(0)), settings.length_nats)
            for hashes in query.grams:
                rows = part.wide.most_telling(hashes, settings.most_gram_rows, settings.most_gram_found, longer)
                near.append(rows + part.start)
            kin.append(part.wide.first(query.stems, settings.most_siblings) + part.start)
        return distinct(np.concatenate(near)), np.concatenate(kin)

    def _gone(self, rows: Rows) -> NDArray[np.bool_]:
        assert self._removed is not None
        known = rows < len(self._removed)
        return np.where(known, self._removed[np.minimum(rows, len(self._removed) - 1)], False)

    def _ranked(self, query: Query, rows: Rows, limit: int, far: bool = False) -> list[int]:
        groups = []
        for part in self.parts:
            own = rows[(rows >= part.start) & (rows < part.start + len(part))] - part.start
            if len(own):
                groups.append((part.codes, part.shapes, own, part.start))
        rank = replace(self.settings.rank, farthest_edits=2 * LONGEST) if far else self.settings.rank
        return ranked(query.codes, query.shapes, groups, limit, rank)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One look-up: the values read as codes and shapes, and the keys that they are looked up by."""

    codes: Packed
    shapes: Packed
    close: Words
    far: Words
    grams: tuple[Words, Words]
    stems: Words


def _length_nats(shapes: Packed, length: int, nats: float, rows: Rows) -> NDArray[np.float64]:
    """What the lengths of rows have against them, compared with the length of the value read."""
    return np.asarray(nats * np.abs(shapes.starts[rows + 1] - shapes.starts[rows] - length), np.float64)


def _query(kind: IdentifierKind, values: tuple[str, ...], settings: IndexSettings) -> Query:
    codes = pack(values)
    shapes = optical(codes)
    skeleton = _salt(kind, _SKELETON)
    close = [mixed(_exact_hashes(values), _salt(kind, _EXACT))]
    close += [mixed(near_hashes(shapes.piece(i)), skeleton) for i in range(len(values))]
    first = shapes.piece(0)
    far = mixed(far_hashes(first), skeleton) if len(first) <= settings.far_up_to else np.zeros(0, np.uint64)
    grams = _query_grams(kind, _slice(codes, 0, 1), _slice(shapes, 0, 1), settings)
    stems = np.zeros(0, np.uint64)
    if has_stem(kind):
        own_stems = [stem(kind, value) for value in values]
        stems = _stem_hashes([*own_stems, *map(shortened, own_stems)])
    return Query(codes, shapes, np.concatenate(close), far, grams, distinct(stems[stems > 0]))


def _query_grams(kind: IdentifierKind, codes: Packed, shapes: Packed, settings: IndexSettings) -> tuple[Words, Words]:
    """The keys of the n-grams of one value, for short listed values and for long ones."""
    chars = fine(codes)
    slack = settings.span - 1
    short = [
        mixed(gram_hashes(shapes, settings.gram)[0], _salt(kind, _GRAM)),
        mixed(gram_hashes(chars, settings.fine_gram)[0], _salt(kind, _FINE_GRAM)),
    ]
    for shift in (-slack, 0, slack):
        hashes, _ = placed_gram_hashes(chars, settings.placed_gram, settings.span, shift)
        short.append(mixed(hashes, _salt(kind, _PLACED_GRAM)))
    long = mixed(gram_hashes(shapes, settings.long_gram)[0], _salt(kind, _LONG_GRAM))
    return distinct(np.concatenate(short)), distinct(long)


@lru_cache(maxsize=1)
def _byte_numbers() -> Words:
    return np.random.default_rng(7).integers(1, 2**63, (2, 256), dtype=np.uint64) | np.uint64(1)


def _exact_hashes(values: Sequence[str]) -> Words:
    """Hashes of canonical values, case and all; the same in every process (``hash`` is not)."""
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    starts = np.concatenate(([0], np.cumsum(lengths)))
    place = np.arange(len(data)) - np.repeat(starts[:-1], lengths)
    terms = mixed(_byte_numbers()[0][data], place.astype(np.uint64))
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)))
    return np.asarray(sums[starts[1:]] - sums[starts[:-1]])


def _stem_hashes(stems: Sequence[str]) -> Words:
    """Hashes of the skeletons of stems; 0 for no stem."""
    shapes = optical(pack(stems))
    # One salt for all kinds: siblings may be of another kind.
    return np.where(shapes.lengths > 0, mixed(whole_hashes(shapes), _STEM), np.uint64(0))


def _part(start: int, kinds: Sequence[IdentifierKind], values: Sequence[str], settings: IndexSettings) -> Part:
    if len(kinds) != len(values):
        raise TagtraceError(f"{len(kinds)} kinds for {len(values)} values; give one kind per value")
    codes = pack(values)
    shapes = optical(codes)
    groups = np.fromiter((_GROUPS[kind] for kind in kinds), np.uint64, len(kinds)) * np.uint64(_SALTS_PER_GROUP)
    chunks = [(first, min(first + _CHUNK, len(values))) for first in range(0, len(values), _CHUNK)]

    def near() -> Iterator[tuple[Words, Rows]]:
        for first, last in chunks:
            for keys, rows in _near_keys(_slice(shapes, first, last), groups[first:last], values[first:last], settings):
                yield keys, rows + first

    def wide() -> Iterator[tuple[Words, Rows]]:
        for first, last in chunks:
            own = (_slice(codes, first, last), _slice(shapes, first, last))
            for keys, rows in _gram_keys(*own, groups[first:last], settings) + _stem_keys(kinds[first:last], values[first:last]):
                yield keys, rows + first

    return Part(start, codes, shapes, Postings.build(near(), bucketed=True), Postings.build(wide(), bucketed=False))


def _near_keys(shapes: Packed, salts: Words, values: Sequence[str], settings: IndexSettings) -> list[tuple[Words, Rows]]:
    every = np.arange(len(shapes))
    skeleton = salts + np.uint64(_SKELETON)
    hashes, rows = deletion_hashes(shapes, settings.deletions_up_to)
    return [
        (mixed(_exact_hashes(values), salts + np.uint64(_EXACT)), every),
        (mixed(whole_hashes(shapes), skeleton), every),
        (mixed(hashes, skeleton[rows]), rows),
    ]


def _gram_keys(codes: Packed, shapes: Packed, salts: Words, settings: IndexSettings) -> list[tuple[Words, Rows]]:
    chars = fine(codes)
    long = shapes.lengths > settings.deletions_up_to
    plans = (
        (_GRAM, gram_hashes(shapes, settings.gram), ~long),
        (_FINE_GRAM, gram_hashes(chars, settings.fine_gram), ~long),
        (_PLACED_GRAM, placed_gram_hashes(chars, settings.placed_gram, settings.span), ~long),
        (_LONG_GRAM, gram_hashes(shapes, settings.long_gram, settings.long_gram), long),
    )
    out = []
    for use, (hashes, rows), wanted in plans:
        keep = wanted[rows]
        out.append((mixed(hashes[keep], salts[rows[keep]] + np.uint64(use)), rows[keep]))
    return out


def _stem_keys(kinds: Sequence[IdentifierKind], values: Sequence[str]) -> list[tuple[Words, Rows]]:
    out = []
    rows = np.flatnonzero(np.fromiter(map(has_stem, kinds), bool, len(kinds)))
    stems = [stem(kinds[row], values[row]) for row in rows.tolist()]
    for texts in (stems, list(map(shortened, stems))):
        hashes = _stem_hashes(texts)
        out.append((hashes[hashes > 0], rows[hashes > 0]))
    return out


def _slice(packed: Packed, first: int, last: int) -> Packed:
    start, end = packed.starts[first], packed.starts[last]
    return Packed(packed.data[start:end], packed.starts[first : last + 1] - start)


def _merged(left: Part, right: Part) -> Part:
    """Two neighbouring parts as one."""
    shift = right.start - left.start
    return Part(
        left.start,
        join((left.codes, right.codes)),
        join((left.shapes, right.shapes)),
        left.near.merged(right.near, shift),
        left.wide.merged(right.wide, shift),
    )


__all__ = ["CandidateIndex", "IndexSettings"]
