"""Is this inscription an advert of the drug trade, or lawful, official or artistic text? Weighed from what was read.

The detector tells by looks, but it cannot read; this looks at the words and contacts. A readable
messenger contact is hidden only where two official phrases stand in the same inscription.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from rapidfuzz import fuzz

from ..contract import Code, Flag, Identifier, IdentifierKind, Line

_ANCHOR = re.compile(
    r"@\w{5}|(?:^|[\s/])[tт][.,]?\s?(?:me|ме|rne)\b|telegram|\b(?:tg|тг)\b\s?[:@]|\.onion\b"
    # parts of links that are left when the rest is misread, and of a hidden service's name over two lines
    r"|[mмт][eе]{1,2}/|(?:^|\s)[tт][.,]\w{0,2}/\w|j[o0][il1]n\w{3,4}/|[a-z2-7]{25}"
)
_MESSENGERS = frozenset(IdentifierKind) - {IdentifierKind.PHONE, IdentifierKind.URL, IdentifierKind.EMAIL, IdentifierKind.QR}


@dataclass(frozen=True, slots=True)
class RelevanceSettings:
    """Points and limits of the judgement. An inscription is an advert when its points reach ``min_points``.

    ``word_similarity`` is the least similarity (0..100) at which a word of the lexicon counts as read.
    """

    min_points: float = 1.0
    messenger: float = 3.0
    contact: float = 0.7
    """A phone, site or e-mail address: lawful posters have them, too."""
    anchor: float = 0.8
    """A part of a messenger contact was read (``@``, ``t.me/``), though not the contact itself."""
    protected: float = -1.0
    advert_word: float = 0.8
    other_line: float = -0.5
    """A line without contact and known word beside a phone or site: adverts of the trade have few words, posters many."""
    lawful_word: float = -1.2
    official_word: float = -2.0
    detector_weight: float = 1.4
    """Points of a line that the detector is sure is one of an advert: such text is kept when it cannot be read."""
    other_looks: float = -1.0
    """Points of a line that the detector is sure is none."""
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


def _is_wording(text: str) -> bool:
    """Whether a line is words rather than a scrap or a number."""
    return sum(c.isalpha() for c in text) >= 4


def points(
    lines: Sequence[Line], codes: Sequence[Code], identifiers: Sequence[Identifier], settings: RelevanceSettings = DEFAULT
) -> float:
    """Evidence that the inscription is an advert; see ``RelevanceSettings`` for the weights."""
    total = 0.0
    free = [i for i in identifiers if Flag.PROTECTED not in i.flags]
    messenger = any(i.kind in _MESSENGERS for i in free)
    if messenger:
        total += settings.messenger
    elif free:
        total += settings.contact
    elif identifiers:
        total += settings.protected
    texts = [line.reading.text.lower() for line in lines]
    text = "  ".join(texts)
    words = lexicon()
    advert_words = _matches(text, words["advert"], settings)
    total += settings.advert_word * advert_words
    if not identifiers and _ANCHOR.search(text):
        total += settings.anchor
    if free and not messenger and not advert_words:
        named = {index for identifier in identifiers for index in identifier.lines}
        total += settings.other_line * min(
            settings.max_words, sum(i not in named and _is_wording(t) for i, t in enumerate(texts))
        )
    total += settings.lawful_word * _matches(text, words["lawful"], settings)
    total += settings.official_word * _matches(text, words["official"], settings)
    if lines:
        total += settings.detector_weight * max(line.confidence * line.advert for line in lines)
        total += settings.other_looks * max(line.confidence * (1 - line.advert) for line in lines)
    return total + (settings.code if codes else 0.0)


def is_advert(
    lines: Sequence[Line], codes: Sequence[Code], identifiers: Sequence[Identifier], settings: RelevanceSettings = DEFAULT
) -> bool:
    """Whether an inscription is reported as an advert."""
    return points(lines, codes, identifiers, settings) >= settings.min_points
