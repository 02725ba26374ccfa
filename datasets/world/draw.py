"""Small seeded draws that every part of the text world uses.

``Generator.choice`` turns strings into numpy strings and is slow on tuples, so these work on plain sequences.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def choice(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One item, each as likely as the others."""
    return items[int(rng.integers(len(items)))]


def weighted(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """One key, as likely as its weight; the weights need not sum to 1."""
    keys = list(weights)
    sums = list(accumulate(weights.values()))
    return keys[min(bisect_right(sums, float(rng.random()) * sums[-1]), len(keys) - 1)]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(rng.integers(low, high + 1))


def string(rng: np.random.Generator, alphabet: str, length: int) -> str:
    """Random characters of an alphabet."""
    return "".join(alphabet[i] for i in rng.integers(len(alphabet), size=length))
