"""Candidates in the order of what it costs to read them as what was read: a weighted edit distance, for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from .confusions import Costs, bundled, costs
from .opticals import Packed, join

_IMPOSSIBLE = 1e4


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How much is compared."""

    farthest_edits: int = 3
    """Candidates further from every value read than so many edits of the skeleton …"""
    farthest_share: float = 0.5
    """… or this share of its length, whichever is more, are left out."""
    weighed: int = 150
    """So many of the nearest are ordered by cost, the rest by edits of the skeleton, …"""
    cells: int = 60_000
    """… fewer where values are long: cells of all the tables of edits together, at most."""


Group = tuple[Packed, Packed, NDArray[np.int64], int]
"""Codes and shapes of a part of the index, the rows wanted of it, and the number of its first row."""


@lru_cache(maxsize=1)
def bundled_costs() -> Costs:
    """The costs of edits by the confusions that come with tagtrace."""
    return costs(bundled())


def ranked(codes: Packed, shapes: Packed, groups: Sequence[Group], limit: int, settings: RankSettings) -> list[int]:
    """Rows of all groups (numbered through), ``limit`` at most, cheapest first; equal ones by their characters.

    ``codes`` and ``shapes`` are the values read. Each row counts for the value that it is nearest to.
    """
    if not groups:
        return []
    numbers = np.concatenate([rows + start for _, _, rows, start in groups])
    texts = [text for _, listed, rows, _ in groups for text in _pieces(listed, rows)]
    asked = _pieces(shapes, np.arange(len(shapes)))
    edits = cdist(asked, texts, scorer=Levenshtein.distance, dtype=np.int32, workers=1)
    nearest, least = edits.argmin(axis=0), edits.min(axis=0)
    longest = max(map(len, asked))
    order = np.argsort(least, kind="stable")
    order = order[least[order] <= max(settings.farthest_edits, settings.farthest_share * longest)]
    order = order[: max(limit, settings.weighed)]
    own = _gathered(groups, order)
    width = int(own.lengths.max(initial=0))
    table = max(1, width * int(codes.lengths.max()))
    weighed = min(settings.weighed, max(10, settings.cells // table))
    head = np.arange(min(weighed, len(order)))
    cost = 1000.0 + least[order].astype(np.float64)
    cost[head] = edit_costs(codes, nearest[order[head]], own.matrix(head, width), own.lengths[head])
    texts = _pieces(own, np.arange(len(own)))
    keyed = sorted(zip(np.round(cost, 4).tolist(), texts, numbers[order].tolist(), strict=True))
    return [number for _, _, number in keyed[:limit]]


def _pieces(packed: Packed, rows: NDArray[np.int64]) -> list[bytes]:
    taken = _taken(packed, rows)
    whole, starts = taken.data.tobytes(), taken.starts.tolist()
    return [whole[start:end] for start, end in pairwise(starts)]


def _gathered(groups: Sequence[Group], order: NDArray[np.int64]) -> Packed:
    """The codes of the rows at the places ``order`` of all groups, as one pack."""
    packs = [_taken(listed, rows) for listed, _, rows, _ in groups]
    return _taken(packs[0] if len(packs) == 1 else join(packs), order)


def _taken(packed: Packed, rows: NDArray[np.int64]) -> Packed:
    lengths = packed.starts[rows + 1] - packed.starts[rows]
    starts = np.concatenate(([0], np.cumsum(lengths)))
    places = np.arange(starts[-1]) + np.repeat(packed.starts[rows] - starts[:-1], lengths)
    return Packed(packed.data[places], starts)


def edit_costs(
    codes: Packed, which: NDArray[np.intp], painted: NDArray[np.uint8], lengths: NDArray[np.int64], table: Costs | None = None
) -> NDArray[np.float64]:
    """The least cost in nats of reading each painted value as the value read that ``which`` names; shape (rows,).

    ``painted`` are codes, one value per line, filled up with 0 beyond ``lengths``. Dynamic programming over the characters read,
    for all rows at once; the run of characters not read is the running minimum of what is left after taking their costs off.
    """
    table = table or bundled_costs()
    rows = np.arange(len(painted))
    read = codes.matrix(which.astype(np.int64), int(codes.lengths.max(initial=0)))
    lost = np.zeros((len(painted), painted.shape[1] + 1), np.float32)
    np.cumsum(table.delete[painted], axis=1, out=lost[:, 1:])
    substitute = table.substitute.T.copy()  # [read, painted]
    substitute[0] = _IMPOSSIBLE  # beyond the end of the value read nothing is substituted, and nothing costs anything
    best = lost.copy()
    for step in range(read.shape[1]):
        char = read[:, step]
        after = best + table.insert[char][:, None]
        np.minimum(after[:, 1:], best[:, :-1] + substitute[char[:, None], painted], out=after[:, 1:])
        after -= lost
        np.minimum.accumulate(after, axis=1, out=after)
        after += lost
        best = after
    return best[rows, lengths].astype(np.float64)
