"""Repair by checksum: the most probable text of a lattice that a checksum accepts, and how far to trust it.

A lattice gives, per position, the characters it may hold with their probabilities. Texts are tried in the order of their
probability; the first that the checksum accepts is the answer. It is right with probability P / (P + U · 2^-bits), where P is
its own probability and U that of all texts not tried: a wrong text passes by chance once in 2^bits. A search that had to go
far therefore says so itself, instead of a limit on the number of changes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Options: TypeAlias = tuple[tuple[str, float], ...]
"""What one position may hold: (character, probability), best first."""

Lattice: TypeAlias = Sequence[Options]

_UNKNOWN_SHARE = 0.05
"""Least probability given to the texts not tried: a lattice is never complete."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A text that the checksum accepts: the probability that it is right, and how many positions are not their best."""

    text: str
    probability: float
    changes: int


def best_first(lattice: Lattice) -> Iterator[tuple[str, float, int]]:
    """The texts of a lattice in order of falling probability, with it and the number of changed positions.

    Positions are ordered by how little a change costs there. A text is reached from exactly one other: by the next option at its
    last changed position, by a first change at the position after it, or by moving its last change there. So every text comes
    once, and the queue grows by at most three texts each.
    """
    costs = [[-math.log(max(p, 1e-12)) for _, p in options] for options in lattice]
    base = sum(c[0] for c in costs)
    open_ = sorted((i for i, c in enumerate(costs) if len(c) > 1), key=lambda i: costs[i][1] - costs[i][0])
    gaps = [[c - costs[i][0] for c in costs[i]] for i in open_]
    letters = [options[0][0] for options in lattice]
    yield "".join(letters), math.exp(-base), 0
    heap: list[tuple[float, tuple[tuple[int, int], ...]]] = [(gaps[0][1], ((0, 1),))] if gaps else []
    while heap:
        cost, changes = heapq.heappop(heap)
        place, option = changes[-1]
        if option + 1 < len(gaps[place]):
            dearer = cost + gaps[place][option + 1] - gaps[place][option]
            heapq.heappush(heap, (dearer, (*changes[:-1], (place, option + 1))))
        if place + 1 < len(gaps):
            heapq.heappush(heap, (cost + gaps[place + 1][1], (*changes, (place + 1, 1))))
            if option == 1:
                heapq.heappush(heap, (cost + gaps[place + 1][1] - gaps[place][1], (*changes[:-1], (place + 1, 1))))
        text = letters.copy()
        for at, chosen in changes:
            text[open_[at]] = lattice[open_[at]][chosen][0]
        yield "".join(text), math.exp(-base - cost), len(changes)


def repair(lattice: Lattice, accepts: Callable[[str], bool], bits: int, tries: int) -> Repaired | None:
    """The most probable text of ``lattice`` that ``accepts`` passes, among the first ``tries``; None when there is none.

    ``bits`` is the number of check bits: a wrong text passes with probability 2^-bits.
    """
    if not lattice or not all(lattice):
        return None
    tried = 0.0
    for count, (text, probability, changes) in enumerate(best_first(lattice)):
        if count >= tries:
            return None
        tried += probability
        if accepts(text):
            chance = max(_UNKNOWN_SHARE, 1.0 - tried) * 2.0**-bits
            return Repaired(text, probability / (probability + chance) if probability > 0 else 0.0, changes)
    return None
