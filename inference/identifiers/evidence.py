"""From the hypotheses of one reading to weighed claims: which values the line may spell, where, and how probably.

The mass of a value is the share of the hypotheses that spell it, those that spell anything well-formed at that place counting
``grammar_odds`` times. A beam keeps only the likeliest texts, so its shares flatter; the product of the character
confidences over the value ignores that texts compete, so it is harsh where an identifier is the only sensible reading. The
confidence is the mass times the root of their ratio (at most 1): between the two, and comparable from line to line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...contract import Char, Flag, IdentifierKind, Reading
from .base import Found, Source, View, overlap
from .fold import digit_char, fold_char
from .scan import scan
from .settings import ExtractSettings

_CASE_SENSITIVE = frozenset({IdentifierKind.TELEGRAM_INVITE, IdentifierKind.BTC, IdentifierKind.TRON, IdentifierKind.TON})


@dataclass(frozen=True, slots=True)
class Weighted:
    """One text of a line and its share among the texts looked at (they sum to 1)."""

    text: str
    share: float


@dataclass(slots=True)
class Claim:
    """One value that some texts spell at one place of the advert.

    ``places`` are (line, start, end) in the cleaned text of the best of them. ``mass`` is the probability of the value, ``form``
    that it is an identifier of this kind at all, ``care`` the factor for the confidence of the characters.
    """

    kind: IdentifierKind
    value: str
    places: tuple[tuple[int, int, int], ...]
    raw: str
    flags: tuple[Flag, ...]
    mass: float = 0.0
    form: float = 1.0
    care: float = 1.0
    verified: bool = False
    best: float = field(default=0.0, repr=False)

    @property
    def confidence(self) -> float:
        """The probability that the value is right."""
        return max(0.0, min(1.0, self.mass * self.form * self.care))

    def overlaps(self, other: Claim) -> bool:
        """Whether the two claims read the same place of the advert."""
        return any(a[0] == b[0] and overlap(a[1:], b[1:]) for a in self.places for b in other.places)


def weighted_texts(reading: Reading, settings: ExtractSettings) -> list[Weighted]:
    """The texts of a reading with their shares, best first.

    Readers without a beam give variants of their text by its character alternatives.
    """
    if len(reading.hypotheses) > 1:
        kept = reading.hypotheses[: settings.max_hypotheses]
        top = max(h.log_prob for h in kept)
        weights = {h.text: math.exp(h.log_prob - top) if math.isfinite(h.log_prob) else 0.0 for h in kept}
    else:
        weights = {reading.text: 1.0}
        if len(reading.chars) == len(reading.text):
            weights |= _variants(reading, settings.max_hypotheses - 1)
    total = sum(weights.values())
    if total <= 0:
        return [Weighted(reading.text, 1.0)]
    out = [Weighted(text, weight / total) for text, weight in weights.items() if weight / total >= settings.min_hypothesis]
    return sorted(out, key=lambda w: (-w.share, w.text)) or [Weighted(reading.text, 1.0)]


def _variants(reading: Reading, most: int) -> dict[str, float]:
    """Texts that differ from the best in one character, by the alternatives that the reader gives."""
    found: dict[str, float] = {}
    for i, char in enumerate(reading.chars):
        for other, probability in char.alternatives:
            if char.confidence > 0 and other != char.text and probability > 0:
                found[reading.text[:i] + other + reading.text[i + 1 :]] = probability / char.confidence
    best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:most]
    return dict(best)


def _alike(kind: IdentifierKind, a: str, b: str) -> bool:
    """Whether two characters mean the same in a value of this kind."""
    if a == b:
        return True
    if kind in _CASE_SENSITIVE:
        return False
    if kind is IdentifierKind.PHONE and digit_char(a) is not None:
        return digit_char(a) == digit_char(b)
    left, right = fold_char(a) if a else None, fold_char(b) if b else None
    if left is None or right is None:
        return False
    if kind is IdentifierKind.TELEGRAM and {left[0], right[0]} == {"0", "o"}:
        return True  # which of them a name means is weighed with the texts
    return left[0] == right[0]


def char_product(kind: IdentifierKind, chars: Sequence[Char]) -> float:
    """Probability that all the characters mean what was read, their look-alikes included; spaces and marks do not count."""
    product = 1.0
    for char in chars:
        if not char.text.isalnum() and char.text != "_":
            continue
        same = sum(p for other, p in char.alternatives if other != char.text and _alike(kind, char.text, other))
        product *= min(1.0, max(0.0, char.confidence + same))
    return product


def _core_chars(reading: Reading, found: Found) -> Sequence[Char] | None:
    """The characters of the best text that spell a finding in it, when the reader tells them."""
    if len(reading.chars) != len(reading.text):
        return None
    index = View.of(reading.text).index
    start, end = found.core
    if start >= end or end > len(index):
        return None
    return reading.chars[index[start] : index[end - 1] + 1]


def _care(reading: Reading, claim: Claim, texts: list[Weighted], top: tuple[Found, ...]) -> float:
    """Factor for how sure the characters are, beside what the beam says."""
    here = [f for f in top if any(overlap((f.start, f.end), place[1:]) for place in claim.places)]
    reference = max(here, key=lambda f: (f.share, f.form), default=None)
    chars = _core_chars(reading, reference) if reference else None
    if chars is None or reference is None:
        return math.sqrt(reading.confidence) if len(texts) > 1 else reading.confidence
    product = char_product(reference.kind, chars)
    if len(texts) == 1:
        return product
    mass = sum(t.share for t in texts if any((f.kind, f.value) == (reference.kind, reference.value) for f in scan_of(t)))
    return math.sqrt(min(1.0, product / mass)) if mass > 0 else 1.0


def scan_of(text: Weighted, source: Source = Source.PAINTED) -> tuple[Found, ...]:
    """The findings in one text."""
    return scan(text.text, source)


def _add(claims: dict[tuple[IdentifierKind, str], Claim], found: Found, share: float, line: int, text: str) -> None:
    key = (found.kind, found.value)
    claim = claims.get(key)
    weight = share * found.share
    if claim is None:
        claim = claims[key] = Claim(found.kind, found.value, (), "", (), form=0.0, verified=found.verified)
    claim.mass += weight
    claim.form += weight * found.form
    if weight > claim.best:
        view = View.of(text)
        claim.best, claim.flags, claim.raw = weight, found.flags, view.raw(found.start, found.end)
        claim.places = ((line, found.start, found.end),)


def line_claims(reading: Reading, line: int, source: Source, settings: ExtractSettings) -> list[Claim]:
    """All values that one line may spell, with their probabilities; competing ones overlap in place."""
    texts = weighted_texts(reading, settings)
    scans = [scan_of(text, source) for text in texts]
    if not any(scans):
        return []
    claims: dict[tuple[IdentifierKind, str], Claim] = {}
    for text, founds in zip(texts, scans, strict=True):
        for found in founds:
            _add(claims, found, text.share, line, text.text)
    out = [claim for claim in claims.values() if claim.mass > 0]
    odds = settings.grammar_odds
    for claim in out:
        claim.form /= claim.mass
        hit = sum(
            text.share
            for text, founds in zip(texts, scans, strict=True)
            if any(overlap((f.start, f.end), place[1:]) for f in founds for place in claim.places)
        )
        claim.mass = min(1.0, claim.mass * odds / (hit * odds + max(0.0, 1.0 - hit)))
        claim.care = 1.0 if claim.verified else _care(reading, claim, texts, scans[0])
    return out
