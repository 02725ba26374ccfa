"""What belongs to what: predicted lines to painted ones, identifiers to their truth."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import Levenshtein
from shapely import prepare
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from ..contract import IdentifierKind, Quad
from ..datasets.truth import CODE_KIND, WORD_KIND, AdvertTruth, LineTruth, PhotoTruth
from .predictions import NOTHING, FoundIdentifier, FoundLine, Prediction

MATCH_IOU = 0.5
"""A predicted line is a painted one when their areas overlap by this much (intersection over union)."""
COVERED_SHARE = 0.5
"""A predicted line is about text that does not count (illegible, a code, no advert) when this share of it lies on that text."""

BASE_KINDS = ("telegram", "telegram_invite", "url", "onion", "phone")
"""The kinds that are always measured; others are where the truth has them."""
_ALIASES = {
    "tg": "telegram", "telegram_handle": "telegram", "handle": "telegram", "telegram_link": "telegram", "qr": "telegram",
    "invite": "telegram_invite", "tg_invite": "telegram_invite", "domain": "url", "site": "url", "web": "url", "link": "url",
    "tel": "phone", "tor": "onion",
}  # fmt: skip
_CASE_MATTERS = frozenset({IdentifierKind.BTC, IdentifierKind.TRON, IdentifierKind.TON})
_LOOK_ALIKES = str.maketrans("аеосрхукмтнвё", "aeocpxykmthbe")

Key = tuple[str, str]
"""Kind and comparable value of an identifier."""


@lru_cache(maxsize=65536)
def _polygon(quad: Quad) -> BaseGeometry:
    shape: BaseGeometry = Polygon(quad)
    if not shape.is_valid:
        shape = shape.convex_hull
    prepare(shape)
    return shape


def overlap(a: Quad, b: Quad) -> tuple[float, float]:
    """(intersection over union, share of ``a`` that lies in ``b``) of two quads."""
    first, second = _polygon(a), _polygon(b)
    shared = float(first.intersection(second).area) if first.intersects(second) else 0.0
    whole = first.area + second.area - shared
    return shared / max(1e-9, whole), shared / max(1e-9, first.area)


def fold(text: str) -> str:
    """The text without case, spaces, and Cyrillic letters that look like Latin ones."""
    return re.sub(r"\s+", "", text.lower()).translate(_LOOK_ALIKES)


def distance(a: str, b: str) -> int:
    """Levenshtein distance."""
    return int(Levenshtein.distance(a, b))


def kind_of(kind: str) -> str:
    """The kind under its usual name."""
    return _ALIASES.get(kind, kind)


def comparable(kind: str, value: str) -> str:
    """The value of an identifier in the form in which two of the same kind are equal."""
    kind = kind_of(kind)
    if kind in _CASE_MATTERS:
        return value.strip()
    value = value.strip().lower()
    if kind == "phone":
        digits = re.sub(r"\D", "", value)
        return "7" + digits[-10:] if len(digits) in (10, 11) else digits
    value = re.sub(r"^[a-z]+://", "", value).rstrip("/").removeprefix("www.")
    if kind in ("telegram", "telegram_invite"):
        value = re.sub(r"^(t\.me|telegram\.me|telegram\.dog)/", "", value)
        value = re.sub(r"^joinchat/", "+", value).lstrip("@")
    if kind == "onion":
        value = value.split("/")[0]
        value = value if value.endswith(".onion") else value + ".onion"
    return value


@dataclass(frozen=True, slots=True, eq=False)
class TrueIdentifier:
    """An identifier painted in a photo. It is legible when every part of one painting of it is; ``coded`` when a code says it."""

    kind: str
    value: str
    legible: bool
    coded: bool
    advert: AdvertTruth
    lines: tuple[LineTruth, ...]

    @property
    def key(self) -> Key:
        """Kind and comparable value."""
        return self.kind, self.value


def line_kind(line: LineTruth) -> str:
    """The kind of identifier a painted line or code holds; a code whose truth does not tell holds a Telegram name."""
    if line.kind == CODE_KIND:
        return kind_of(str(line.extra.get("payload_kind") or CODE_KIND))
    return kind_of(line.kind)


def scored_kinds(photos: Iterable[PhotoTruth]) -> tuple[str, ...]:
    """The kinds to measure on these photos: the base kinds, and every other that is painted in them."""
    painted = {line_kind(line) for photo in photos for advert in photo.ads for line in advert.lines}
    return (*BASE_KINDS, *sorted(painted - {*BASE_KINDS, WORD_KIND}))


def true_identifiers(photo: PhotoTruth, kinds: Iterable[str]) -> dict[Key, TrueIdentifier]:
    """The identifiers painted in a photo, each once however often it stands there."""
    wanted = set(kinds)
    found: dict[Key, TrueIdentifier] = {}
    for advert in photo.ads:
        paintings: dict[tuple[str, str, int], list[LineTruth]] = defaultdict(list)
        for line in advert.lines:
            if line_kind(line) in wanted:
                paintings[line.kind, line.canonical, line.part[1]].append(line)
        for (kind, canonical, parts), lines in paintings.items():
            legible = all(any(x.legible for x in lines if x.part[0] == i + 1) for i in range(parts))
            one = line_kind(lines[0])
            new = TrueIdentifier(one, comparable(one, canonical), legible, kind == CODE_KIND, advert, tuple(lines))
            old = found.get(new.key)
            found[new.key] = _joined(old, new) if old else new
    return found


def _joined(old: TrueIdentifier, new: TrueIdentifier) -> TrueIdentifier:
    """The same identifier painted twice: the first place it was seen, legible if one of them is."""
    lines = (*old.lines, *new.lines)
    return TrueIdentifier(old.kind, old.value, old.legible or new.legible, old.coded or new.coded, old.advert, lines)


def found_identifiers(prediction: Prediction, kinds: Iterable[str]) -> dict[Key, FoundIdentifier]:
    """The reported identifiers of the kinds measured, each once with its highest confidence."""
    wanted = set(kinds)
    found: dict[Key, FoundIdentifier] = {}
    for identifier in prediction.identifiers:
        kind = kind_of(identifier.kind)
        if kind in wanted:
            key = (kind, comparable(kind, identifier.value))
            if key not in found or identifier.confidence > found[key].confidence:
                found[key] = identifier
    return found


@dataclass(frozen=True, slots=True, eq=False)
class LinePair:
    """A painted line and the prediction that found it."""

    advert: AdvertTruth
    truth: LineTruth
    found: FoundLine


@dataclass(frozen=True, slots=True, eq=False)
class PhotoMatch:
    """The lines of one photo: found, missed (legible only), and predicted where no advert's text is."""

    photo: PhotoTruth
    prediction: Prediction
    pairs: tuple[LinePair, ...]
    missed: tuple[tuple[AdvertTruth, LineTruth], ...]
    false: tuple[FoundLine, ...]
    false_on_distractors: int


def _covered(quad: Quad, others: Iterable[Quad]) -> bool:
    return any(max(overlap(quad, other)) >= COVERED_SHARE for other in others)


def match_photo(photo: PhotoTruth, prediction: Prediction | None) -> PhotoMatch:
    """Match predicted lines to the legible lines of adverts one to one, the most confident prediction choosing first.

    A prediction on an illegible line or on a code is neither right nor wrong.
    """
    prediction = prediction or NOTHING
    lines = [(advert, line) for advert in photo.ads for line in advert.lines]
    wanted = [(advert, line) for advert, line in lines if line.legible and line.kind != CODE_KIND]
    uncounted = [line.quad for _, line in lines if not line.legible or line.kind == CODE_KIND]
    free = set(range(len(wanted)))
    pairs: list[LinePair] = []
    false: list[FoundLine] = []
    for found in sorted(prediction.lines, key=lambda line: -line.confidence):
        best, number = max(((overlap(found.quad, wanted[i][1].quad)[0], i) for i in free), default=(0.0, -1))
        if best >= MATCH_IOU:
            free.discard(number)
            pairs.append(LinePair(*wanted[number], found))
        elif not _covered(found.quad, uncounted):
            false.append(found)
    on_distractors = sum(_covered(line.quad, (d.quad for d in photo.distractors)) for line in false)
    return PhotoMatch(photo, prediction, tuple(pairs), tuple(wanted[i] for i in sorted(free)), tuple(false), on_distractors)


def match_all(photos: Iterable[PhotoTruth], predictions: Mapping[str, Prediction]) -> list[PhotoMatch]:
    """Match every photo; one without a prediction counts as one in which nothing was found."""
    return [match_photo(photo, predictions.get(photo.file.rpartition("/")[2])) for photo in photos]
