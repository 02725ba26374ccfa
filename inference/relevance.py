"""Is this inscription an advert of the drug trade, or lawful, official or artistic text? Weighed from what was read.

The detector is trained to leave other texts alone, but it cannot read; this looks at the words and contacts. Nothing here can
hide a readable messenger contact: without lawful or official words around it, it always counts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from rapidfuzz import fuzz

from ..contract import Code, Flag, Identifier, IdentifierKind, Line

_MESSENGERS = frozenset(IdentifierKind) - {IdentifierKind.PHONE, IdentifierKind.URL, IdentifierKind.EMAIL, IdentifierKind.QR}


@dataclass(frozen=True, slots=True)
class RelevanceSettings:
    """Points and limits of the judgement. An inscription is an advert when its points reach ``min_points``.

    ``word_similarity`` is the least similarity (0..100) at which a word of the lexicon counts as read.
    """

    min_points: float = 1.0
    messenger: float = 3.0
    contact: float = 1.2
    protected: float = -1.0
    advert_word: float = 0.8
    lawful_word: float = -1.2
    official_word: float = -2.0
    detector_weight: float = 1.2
    """Points of a detector confidence of 1: text that cannot be read is kept when the detector is very sure of it."""
    code: float = 0.4
    word_similarity: float = 84.0
    max_words: int = 2
    """Words of one list that count at most."""


DEFAULT = RelevanceSettings()


@lru_cache(maxsize=1)
def lexicon() -> dict[str, tuple[str, ...]]:
    """The word lists ``advert``, ``lawful`` and ``official`` of ``lexicon.toml``, longest first."""
    data = tomllib.loads((resources.files(__package__) / "lexicon.toml").read_text(encoding="utf-8"))
    return {name: tuple(sorted(data[name], key=len, reverse=True)) for name in ("advert", "lawful", "official")}


def _matches(text: str, words: Sequence[str], settings: RelevanceSettings) -> int:
    """How many different words of a list the text holds, up to misreadings; short words must match a whole word."""
    tokens = text.split()
    count = 0
    for word in words:
        span = len(word.split())
        windows = [" ".join(tokens[i : i + span]) for i in range(len(tokens) - span + 1)]
        best = max((fuzz.ratio(word, window) for window in windows), default=0.0)
        if best >= (settings.word_similarity if len(word) > 4 else 99.0):
            count += 1
            if count == settings.max_words:
                break
    return count


def points(
    lines: Sequence[Line], codes: Sequence[Code], identifiers: Sequence[Identifier], settings: RelevanceSettings = DEFAULT
) -> float:
    """Evidence that the inscription is an advert; see ``RelevanceSettings`` for the weights."""
    total = 0.0
    free = [i for i in identifiers if Flag.PROTECTED not in i.flags]
    if any(i.kind in _MESSENGERS for i in free):
        total += settings.messenger
    elif free:
        total += settings.contact
    elif identifiers:
        total += settings.protected
    text = "  ".join(line.reading.text.lower() for line in lines)
    words = lexicon()
    total += settings.advert_word * _matches(text, words["advert"], settings)
    total += settings.lawful_word * _matches(text, words["lawful"], settings)
    total += settings.official_word * _matches(text, words["official"], settings)
    if lines:
        total += settings.detector_weight * max(line.confidence for line in lines)
    return total + (settings.code if codes else 0.0)


def is_advert(
    lines: Sequence[Line], codes: Sequence[Code], identifiers: Sequence[Identifier], settings: RelevanceSettings = DEFAULT
) -> bool:
    """Whether an inscription is reported as an advert."""
    return points(lines, codes, identifiers, settings) >= settings.min_points
