"""What tells that two sightings show the same physical advert.

The evidence of a pair is symmetric and comes in steps (contacts, place, time, picture), each in nats of log-odds, so that it can
be added up and shown. Three facts are kept apart: the same photo sent again, the same advert photographed again, and the same
stencil sprayed somewhere else. Everything is pure.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from ..contract import Evidence, IdentifierKind
from ..inference.identifiers.fold import skeleton
from .features import AdvertFeatures, Match, match
from .sentences import say
from .shops import differ_in_digits
from .sightings import ClusterSettings, Fact, Traced, is_cut, metres, near, overlap, related, strangers
from .stems import has_stem, is_telling, words
from .wording import Common, common, told_apart


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """Why two sightings are, or are not, the same physical advert: the steps add up to ``log_odds`` (nats, no prior)."""

    fact: Fact
    steps: tuple[Evidence, ...]

    @property
    def log_odds(self) -> float:
        return math.fsum(step.nats for step in self.steps)


def is_copy(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether two sightings lie at the same spot of two copies of one picture."""
    ours, theirs = a.sighting.picture_hash, b.sighting.picture_hash
    if ours is None or theirs is None or a.sighting.photo == b.sighting.photo:
        return False
    alike = (ours ^ theirs).bit_count() <= settings.picture_bits
    same_spot = alike and overlap(a.sighting.box, b.sighting.box) >= settings.same_place_iou
    return same_spot and not strangers(a.evidence, b.evidence)


def is_again(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether two sightings of different photos near each other show a common contact."""
    return a.sighting.photo != b.sighting.photo and related(a.evidence, b.evidence) and near(a, b, settings)


def is_spelt_again(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether two adverts near each other, one of them without a clear contact, show misreads of one contact."""
    if (a.clear and b.clear) or a.sighting.photo == b.sighting.photo or related(a.evidence, b.evidence):
        return False
    return near(a, b, settings) and _spelt_alike(a, b, settings) is not None


def is_pictured_again(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether the pictures show that two adverts are one, which nothing clear speaks against.

    They have to be near each other, or one of unknown place; then more must agree, and they may show a common contact.
    """
    if a.sighting.features is None or b.sighting.features is None or a.sighting.photo == b.sighting.photo:
        return False
    lost = a.spot is None or b.spot is None
    if a.hints.isdisjoint(b.hints) and (lost or (a.clear and b.clear)):
        return False
    if not lost and not near(a, b, settings):
        return False
    if _clear_strangers(a, b) or told_apart(a.sighting.words, b.sighting.words, settings.sure_digit):
        return False
    found = _match(a, b)
    if lost:
        return found.kind in ("same_photo", "same_advert") and found.same_advert_log_odds >= settings.elsewhere_nats
    return found.kind != "none" and found.same_advert_log_odds >= settings.same_advert_nats


def _clear_strangers(a: Traced, b: Traced) -> bool:
    """Whether both show contacts that were read clearly, none in common, and none that may be part of another."""
    return a.clear and b.clear and strangers(a.evidence, b.evidence) and not is_cut(a.evidence, b.evidence)


def _spelt_alike(a: Traced, b: Traced, settings: ClusterSettings) -> Common | None:
    """The contact that both may spell, if both find it probable enough."""
    if not a.sighting.words or not b.sighting.words:
        return None
    found = common(a.sighting.words, b.sighting.words)
    if found is None or surprise(found.kind, found.value) < settings.telling_nats:
        return None
    # A seller's next name differs in a digit: a blurred one in between must not join the two.
    ours, theirs = found.read
    digits = differ_in_digits(ours, theirs) or differ_in_digits(theirs, ours)
    return found if found.nats >= settings.same_words_nats and not digits else None


def joins(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether a pair by itself says: one physical advert. Symmetric."""
    return is_again(a, b, settings) or is_copy(a, b, settings) or joins_in_doubt(a, b, settings)


def joins_in_doubt(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether words or pictures say so where contacts do not."""
    return is_spelt_again(a, b, settings) or is_pictured_again(a, b, settings)


def compare(a: Traced, b: Traced, settings: ClusterSettings) -> PairEvidence:
    """All evidence of a pair, the same whichever comes first; ``fact`` is the closest fact that it shows."""
    first, second = sorted((a, b), key=lambda traced: traced.key)
    steps = [_contact_step(first, second, settings), _place_step(first, second, settings), _time_step(first, second, settings)]
    fact = Fact.SAME_ADVERT if is_again(first, second, settings) else Fact.NONE
    if is_copy(first, second, settings):
        bits = ((first.sighting.picture_hash or 0) ^ (second.sighting.picture_hash or 0)).bit_count()
        steps.append(Evidence("picture", settings.copy_nats - bits, say("same_picture", count=bits)))
        fact = Fact.SAME_PHOTO
    elif first.sighting.features is not None and second.sighting.features is not None:
        found = _match(first, second)
        text = say("points", match=found.kind, count=found.inliers)
        steps.append(Evidence("features", float(found.same_advert_log_odds), text))
        if fact is Fact.NONE or found.kind == "same_photo":
            fact = Fact(found.kind)
    return PairEvidence(fact, tuple(step for step in steps if step is not None))


def _match(a: Traced, b: Traced) -> Match:
    first, second = sorted((a, b), key=lambda traced: traced.key)
    assert first.sighting.features is not None and second.sighting.features is not None
    return _compared.match(first.sighting.features, second.sighting.features)


class _Compared:
    """The latest comparisons of pictures: the same two come up again, to be explained, or when the same picture is sent again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[tuple[bytes, bytes], Match] = OrderedDict()
        self._lock = Lock()

    def match(self, first: AdvertFeatures, second: AdvertFeatures) -> Match:
        """What ``features.match`` says, which is the same whenever it is asked."""
        pair = (first.fingerprint(), second.fingerprint())
        with self._lock:
            found = self._found.get(pair)
            if found is not None:
                self._found.move_to_end(pair)
                return found
        found = match(first, second)
        with self._lock:
            self._found[pair] = found
            if len(self._found) > self._most:
                self._found.popitem(last=False)
        return found


_compared = _Compared(10_000)


def surprise(kind: IdentifierKind, value: str) -> float:
    """How unlikely it is in nats that an unrelated advert shows this value: two per letter or digit that tells something.

    A character of a name carries about 3 bits; generic words (``shop``, ``kz``) and short ones count one nat each. Values
    without a name (phones, keys) count every character.
    """
    if not has_stem(kind):
        return 2.0 * len(value)
    return math.fsum(2.0 * len(word) if is_telling(word) or word.isdigit() else 1.0 for word in words(kind, value))


def _contact_step(a: Traced, b: Traced, settings: ClusterSettings) -> Evidence | None:
    """Log-likelihood ratio of the contacts: both read rightly and equal, against an unrelated advert that shows the same."""
    if not a.evidence.contacts or not b.evidence.contacts:
        found = None if a.clear and b.clear else _words_step(a, b, settings)
        return None if found is None else Evidence("contact", *found)
    best: tuple[float, str] | None = None
    for ours in a.sighting.identifiers:
        for theirs in b.sighting.identifiers:
            if min(ours.confidence, theirs.confidence) < settings.min_confidence or ours.kind != theirs.kind:
                continue
            right = ours.confidence * theirs.confidence
            if ours.value != theirs.value:
                if skeleton(ours.value) != skeleton(theirs.value) or differ_in_digits(ours.value, theirs.value):
                    continue
                right *= settings.lookalike_share
            chance = math.exp(-min(surprise(ours.kind, ours.value), surprise(theirs.kind, theirs.value)))
            nats = min(math.log((right + (1 - right) * chance) / chance), settings.most_contact_nats)
            code = "same_contact" if ours.value == theirs.value else "contact_alike"
            text = say(code, kind=ours.kind, value=ours.value, other=theirs.value)
            best = max(best, (nats, text)) if best else (nats, text)
    if best is None and related(a.evidence, b.evidence):
        return Evidence("contact", 0.0, say("either_read"))
    if best is None and not (a.clear and b.clear):
        best = _words_step(a, b, settings)
    if best is None:
        sure = max(i.confidence for i in a.sighting.identifiers) * max(i.confidence for i in b.sighting.identifiers)
        nats = max(math.log1p(-min(sure, 1.0 - 1e-9)), -settings.most_contact_nats)
        return Evidence("contact", nats, say("other_contacts"))
    return Evidence("contact", *best)


def _words_step(a: Traced, b: Traced, settings: ClusterSettings) -> tuple[float, str] | None:
    """Two misreads of one contact: what both pictures say of it, and how unlikely it is by chance."""
    found = _spelt_alike(a, b, settings)
    if found is None:
        return None
    nats = min(found.nats + surprise(found.kind, found.value), settings.most_contact_nats)
    return nats, say("both_misread", kind=found.kind, value=found.value, nats=f"{found.nats:.1f}")


def _place_step(a: Traced, b: Traced, settings: ClusterSettings) -> Evidence:
    """Log of the density of the distance for one advert (two phone errors, normal) over that of the seller's next advert.

    Between adverts with different contacts being near says nothing: walls are full of them.
    """
    apart = metres(a.spot, b.spot)
    if apart is None:
        return Evidence("place", 0.0, say("no_place"))
    spread = 4.0 * settings.gps_error_m**2
    nats = -(apart**2) / spread - math.log(math.pi * spread * settings.repeats_per_km2 * 1e-6)
    most = 0.0 if strangers(a.evidence, b.evidence) and not is_spelt_again(a, b, settings) else math.inf
    return Evidence("place", min(max(nats, -4.0 * settings.most_contact_nats), most), say("metres", metres=f"{apart:.0f}"))


def _time_step(a: Traced, b: Traced, settings: ClusterSettings) -> Evidence | None:
    """Log of the chance that the older advert still stood: half of that is left where it may have been sprayed again."""
    if a.sighting.taken_at is None or b.sighting.taken_at is None:
        return None
    days = abs((a.sighting.taken_at - b.sighting.taken_at).total_seconds()) / 86400.0
    return Evidence("time", math.log(0.5 + 0.5 * math.exp(-days / settings.life_days)), say("days", days=f"{days:.1f}"))
