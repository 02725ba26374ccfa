"""How usual a name is, letter by letter: what decides between readings that the picture leaves open (``hub`` or ``heb``).

An n-gram model of Telegram names, smoothed as by Witten and Bell (1991), over lower-case letters and the low line, with marks for
the start and the end. All digits are one sign to it: it may say that a digit is meant and not a letter, never which one, because
that is what tells siblings apart. ``tagtrace train names`` makes ``names.tsv.gz`` from invented names; no real one is in it.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path

DIGIT = "0"
"""The sign of every digit."""
SIGNS = f"abcdefghijklmnopqrstuvwxyz{DIGIT}_"
START, END = "^", "$"
_SIGN_OF = str.maketrans("123456789", DIGIT * 9)
ORDER = 5
"""Letters of a gram: one is foretold from the four before it."""
FILE = "names.tsv.gz"


class NameModel:
    """Log-probabilities of names; see the module. Immutable."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        """``counts`` are those of grams of 1 to ``ORDER`` signs, the marks included."""
        self._counts = dict(counts)
        self._totals: dict[str, int] = {}
        self._kinds: dict[str, int] = {}
        for gram, count in self._counts.items():
            before = gram[:-1]
            self._totals[before] = self._totals.get(before, 0) + count
            self._kinds[before] = self._kinds.get(before, 0) + 1

    def log_prob(self, name: str) -> float:
        """Natural logarithm of the probability of a whole name; signs that no name has count as unknown ones."""
        text = START + name.translate(_SIGN_OF) + END
        signs = sum(math.log(self.next(text[max(0, i - ORDER + 1) : i], text[i])) for i in range(1, len(text)))
        return signs - text.count(DIGIT) * math.log(10)

    def next(self, before: str, sign: str) -> float:
        """Probability of ``sign`` after ``before``: what longer contexts do not know is left to the shorter ones."""
        probability = 1.0 / (len(SIGNS) + 1)
        for start in range(len(before), -1, -1):
            context = before[start:]
            total = self._totals.get(context, 0)
            if not total:
                break
            kinds = self._kinds[context]
            probability = (self._counts.get(context + sign, 0) + kinds * probability) / (total + kinds)
        return probability


def count_grams(names: Iterable[str]) -> dict[str, int]:
    """The grams of 1 to ``ORDER`` signs in names, with how often each is met."""
    counts: dict[str, int] = {}
    for name in names:
        text = START + name.translate(_SIGN_OF) + END
        for end in range(2, len(text) + 1):
            for size in range(1, min(ORDER, end) + 1):
                gram = text[end - size : end]
                counts[gram] = counts.get(gram, 0) + 1
    return counts


def save_grams(counts: Mapping[str, int], target: Path) -> None:
    """Write the counts as ``names.tsv.gz``, one gram a line: the same counts give the same bytes."""
    rows = "".join(f"{gram}\t{counts[gram]}\n" for gram in sorted(counts))
    target.write_bytes(gzip.compress(rows.encode(), mtime=0))


def load_grams(stored: bytes) -> NameModel:
    """The model in what ``save_grams`` wrote."""
    rows = (row.split("\t") for row in gzip.decompress(stored).decode().splitlines())
    return NameModel({gram: int(count) for gram, count in rows})


@lru_cache(maxsize=1)
def name_model() -> NameModel:
    """The model that is shipped."""
    return load_grams((resources.files(__package__) / FILE).read_bytes())
