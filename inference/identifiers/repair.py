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
    """The texts of a lattice in order of falling probability, with it and the number of changed positions."""
    base = [options[0][0] for options in lattice]
    log_p = sum(math.log(max(options[0][1], 1e-12)) for options in lattice)
    swaps = sorted(
        (math.log(max(options[0][1], 1e-12)) - math.log(max(p, 1e-12)), i, char)
        for i, options in enumerate(lattice)
        for char, p in options[1:]
    )
    yield "".join(base), math.exp(log_p), 0
    heap: list[tuple[float, tuple[int, ...]]] = [(swaps[0][0], (0,))] if swaps else []
    while heap:
        cost, chosen = heapq.heappop(heap)
        last = chosen[-1]
        if last + 1 < len(swaps):
            step = swaps[last + 1][0]
            heapq.heappush(heap, (cost + step, (*chosen, last + 1)))
            heapq.heappush(heap, (cost + step - swaps[last][0], (*chosen[:-1], last + 1)))
        places = {swaps[k][1] for k in chosen}
        if len(places) < len(chosen):
            continue
        text = base.copy()
        for k in chosen:
            text[swaps[k][1]] = swaps[k][2]
        yield "".join(text), math.exp(log_p - cost), len(chosen)


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
