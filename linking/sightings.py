"""One sighting of an advert, and what tells that two of them show the same physical advert.

The evidence of a pair is symmetric and comes in steps (contacts, place, time, picture), each in nats of log-odds, so that it can
be added up and shown. Three facts are kept apart: the same photo sent again, the same advert photographed again, and the same
stencil sprayed somewhere else. Everything is pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import h3.api.numpy_int as h3

from ..contract import Evidence, Identifier, IdentifierKind, Quad, Reading
from ..inference.identifiers.fold import skeleton
from .features import AdvertFeatures, Match, match
from .shops import differ_in_digits
from .stems import has_stem, is_telling, words

Contact = tuple[IdentifierKind, str]
Key = tuple[str, int]
"""Identity of a sighting: the SHA-256 of the photo and the number of the advert in it."""


class Overpaint(StrEnum):
    """What has become of the paint of an advert: untouched, or made hard to read by others."""

    FRESH = "fresh"
    CROSSED_OUT = "crossed_out"
    THIN_COAT = "thin_coat"
    PATCH = "patch"


class Fact(StrEnum):
    """What a pair of sightings shows; these are different facts and none of them implies another."""

    SAME_PHOTO = "same_photo"
    SAME_ADVERT = "same_advert"
    SAME_STENCIL = "same_stencil"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """When two sightings are the same advert, and how much each sign of it weighs."""

    near_m: float = 60.0
    """Greatest distance in metres between photos of one advert: the error of phone positions between houses, twice."""
    place_resolution: int = 14
    """h3 resolution at which places are compared (14: cells of about 3 m). Positions of phones are ten times less exact, and
    photos taken at one spot become alike, so that a hundred of them cost no more than two."""
    picture_bits: int = 6
    """Greatest difference of perceptual hashes (of 64 bits) between copies of one picture."""
    same_place_iou: float = 0.3
    """Least overlap of two adverts, as shares of their photos' sides, in copies of one picture."""
    min_confidence: float = 0.3
    """Contacts less certain than this join nothing."""
    stem_weight: float = 4.0
    """Least surprise in nats of a name for unlisted contacts with the same name and other numbers to count as one shop's."""
    same_advert_nats: float = 2.0
    """Least log-odds of the picture features alone to join adverts of which one shows no readable contact."""
    gps_error_m: float = 15.0
    """Standard deviation in metres of a phone's position along one axis, between houses."""
    repeats_per_km2: float = 30.0
    """Adverts with the same contact per square kilometre around one of them: sellers spray a quarter several times."""
    lookalike_share: float = 0.3
    """Probability that look-alike readings near each other are the same contact, before they are compared closer."""
    most_contact_nats: float = 8.0
    """A common contact never weighs more: the paint may be a second advert of the same seller."""
    copy_nats: float = 8.0
    """Log-odds of the same spot in two pictures with the same perceptual hash; each differing bit takes one nat away."""
    life_days: float = 90.0
    """Days after which an advert is probably painted over or gone."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One advert in one photo, with what clustering needs.

    ``photo`` is the SHA-256 of the photo and ``advert`` the index in it: together they identify the sighting. ``box`` is the
    advert's upright bounding box as shares of the photo's width and height (left, top, right, bottom). ``taken_at`` is in UTC.
    ``overpaint`` is None where nobody looked. ``readings`` are those of the advert's lines, for reading photos together.
    """

    photo: str
    advert: int
    identifiers: tuple[Identifier, ...] = ()
    shop_id: str | None = None
    lat: float | None = None
    lon: float | None = None
    picture_hash: int | None = None
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    taken_at: datetime | None = None
    overpaint: Overpaint | None = None
    features: AdvertFeatures | None = None
    readings: tuple[Reading, ...] = ()

    @property
    def key(self) -> Key:
        return (self.photo, self.advert)


@dataclass(frozen=True, slots=True)
class ContactEvidence:
    """The contacts of one sighting: certain enough values, and how those and the values they may be instead look."""

    contacts: frozenset[Contact] = frozenset()
    looks: frozenset[Contact] = frozenset()


@dataclass(frozen=True, slots=True)
class Spot:
    """A place as it is compared: the middle of its cell of ``place_resolution``, and the coarse cell to search around."""

    cell: int
    lat: float
    lon: float
    area: int


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A sighting with the parts of it that clustering compares."""

    sighting: Sighting
    evidence: ContactEvidence
    spot: Spot | None

    @property
    def key(self) -> Key:
        return self.sighting.key


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """Why two sightings are, or are not, the same physical advert: the steps add up to ``log_odds`` (nats, no prior)."""

    fact: Fact
    steps: tuple[Evidence, ...]

    @property
    def log_odds(self) -> float:
        return math.fsum(step.nats for step in self.steps)


def box_of(quad: Quad, width: int, height: int) -> tuple[float, float, float, float]:
    """The bounding box of a quad in pixels as shares of the photo's sides, cut at its edges."""
    xs, ys = [min(max(x / width, 0.0), 1.0) for x, _ in quad], [min(max(y / height, 0.0), 1.0) for _, y in quad]
    return (min(xs), min(ys), max(xs), max(ys))


def trace(sighting: Sighting, settings: ClusterSettings) -> Traced:
    """Work out once per sighting what is compared in every pair."""
    contacts: set[Contact] = set()
    looks: set[Contact] = set()
    for identifier in sighting.identifiers:
        if identifier.confidence >= settings.min_confidence:
            contacts.add((identifier.kind, identifier.value))
        for value, share in ((identifier.value, identifier.confidence), *identifier.alternatives):
            if share >= settings.min_confidence:
                looks.add((identifier.kind, skeleton(value)))
    spot = None
    if sighting.lat is not None and sighting.lon is not None:
        spot = spot_of(sighting.lat, sighting.lon, settings)
    return Traced(sighting, ContactEvidence(frozenset(contacts), frozenset(looks)), spot)


def spot_of(lat: float, lon: float, settings: ClusterSettings) -> Spot:
    """The cell of a position in degrees (WGS 84), its middle, and the coarse cell whose neighbours hold all that is near."""
    cell = int(h3.latlng_to_cell(lat, lon, settings.place_resolution))
    lat, lon = h3.cell_to_latlng(cell)
    return Spot(cell, lat, lon, int(h3.latlng_to_cell(lat, lon, _resolution(settings.near_m))))


def areas_around(spot: Spot) -> list[int]:
    """The coarse cells that hold everything near a spot: its own and those around it, in order."""
    return sorted(int(cell) for cell in h3.grid_disk(spot.area, 1))


def metres(a: Spot | None, b: Spot | None) -> float | None:
    """Metres between two places on the sphere, or None where one is unknown."""
    if a is None or b is None:
        return None
    if a.cell == b.cell:
        return 0.0
    return float(h3.great_circle_distance((a.lat, a.lon), (b.lat, b.lon), unit="m"))


def distance_m(a: Sighting, b: Sighting) -> float | None:
    """Metres between the positions of two sightings as given, or None where the place of one is unknown."""
    if a.lat is None or a.lon is None or b.lat is None or b.lon is None:
        return None
    return float(h3.great_circle_distance((a.lat, a.lon), (b.lat, b.lon), unit="m"))


def near(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether both places are known and close enough for one advert."""
    apart = metres(a.spot, b.spot)
    return apart is not None and apart <= settings.near_m


@lru_cache(maxsize=65536)
def related(a: ContactEvidence, b: ContactEvidence) -> bool:
    """Whether two sightings show a common contact; look-alikes count unless both read different digits there."""
    if not a.contacts.isdisjoint(b.contacts):
        return True
    for kind, look in a.looks & b.looks:
        ours = [value for k, value in a.contacts if k == kind and skeleton(value) == look]
        theirs = [value for k, value in b.contacts if k == kind and skeleton(value) == look]
        if not ours or not theirs or any(not differ_in_digits(x, y) for x in ours for y in theirs):
            return True
    return False


def strangers(a: ContactEvidence, b: ContactEvidence) -> bool:
    """Whether both show contacts, and none in common."""
    return bool(a.contacts) and bool(b.contacts) and not related(a, b)


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two upright boxes (left, top, right, bottom)."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    common = width * height
    total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / total if total > 0 else 0.0


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


def is_pictured_again(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether the pictures show that two adverts near each other are one, where one of them has no readable contact."""
    if a.sighting.photo == b.sighting.photo or not wants_picture(a, b) or not near(a, b, settings):
        return False
    found = _match(a, b)
    return found.kind in ("same_photo", "same_advert") and found.same_advert_log_odds >= settings.same_advert_nats


def wants_picture(a: Traced, b: Traced) -> bool:
    """Whether only the pictures can tell: both have features, and one shows no contact."""
    pictured = a.sighting.features is not None and b.sighting.features is not None
    return pictured and not (a.evidence.contacts and b.evidence.contacts)


def joins(a: Traced, b: Traced, settings: ClusterSettings) -> bool:
    """Whether a pair by itself says: one physical advert. Symmetric."""
    return is_again(a, b, settings) or is_copy(a, b, settings) or is_pictured_again(a, b, settings)


def compare(a: Traced, b: Traced, settings: ClusterSettings) -> PairEvidence:
    """All evidence of a pair, the same whichever comes first; ``fact`` is the closest fact that it shows."""
    first, second = sorted((a, b), key=lambda traced: traced.key)
    steps = [_contact_step(first, second, settings), _place_step(first, second, settings), _time_step(first, second, settings)]
    fact = Fact.SAME_ADVERT if is_again(first, second, settings) else Fact.NONE
    if is_copy(first, second, settings):
        bits = ((first.sighting.picture_hash or 0) ^ (second.sighting.picture_hash or 0)).bit_count()
        steps.append(Evidence("picture", settings.copy_nats - bits, f"the same picture sent again, {bits} of 64 bits differ"))
        fact = Fact.SAME_PHOTO
    elif first.sighting.features is not None and second.sighting.features is not None:
        found = _match(first, second)
        text = f"{found.kind}: {found.inliers} points of the pictures agree"
        steps.append(Evidence("features", float(found.same_advert_log_odds), text))
        if fact is Fact.NONE or found.kind == "same_photo":
            fact = Fact(found.kind)
    return PairEvidence(fact, tuple(step for step in steps if step is not None))


def _match(a: Traced, b: Traced) -> Match:
    first, second = sorted((a, b), key=lambda traced: traced.key)
    assert first.sighting.features is not None and second.sighting.features is not None
    return match(first.sighting.features, second.sighting.features)


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
        return None
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
            text = f"{ours.kind} {ours.value}" + ("" if ours.value == theirs.value else f" looks like {theirs.value}")
            best = max(best, (nats, text)) if best else (nats, text)
    if best is None and related(a.evidence, b.evidence):
        return Evidence("contact", 0.0, "one may also be read as the other")
    if best is None:
        sure = max(i.confidence for i in a.sighting.identifiers) * max(i.confidence for i in b.sighting.identifiers)
        nats = max(math.log1p(-min(sure, 1.0 - 1e-9)), -settings.most_contact_nats)
        return Evidence("contact", nats, "different contacts")
    return Evidence("contact", *best)


def _place_step(a: Traced, b: Traced, settings: ClusterSettings) -> Evidence:
    """Log of the density of the distance for one advert (two phone errors, normal) over that of the seller's next advert.

    Between adverts with different contacts being near says nothing: walls are full of them.
    """
    apart = metres(a.spot, b.spot)
    if apart is None:
        return Evidence("place", 0.0, "the place of one is unknown")
    spread = 4.0 * settings.gps_error_m**2
    nats = -(apart**2) / spread - math.log(math.pi * spread * settings.repeats_per_km2 * 1e-6)
    most = 0.0 if strangers(a.evidence, b.evidence) else math.inf
    return Evidence("place", min(max(nats, -4.0 * settings.most_contact_nats), most), f"{apart:.0f} m apart")


def _time_step(a: Traced, b: Traced, settings: ClusterSettings) -> Evidence | None:
    """Log of the chance that the older advert still stood: half of that is left where it may have been sprayed again."""
    if a.sighting.taken_at is None or b.sighting.taken_at is None:
        return None
    days = abs((a.sighting.taken_at - b.sighting.taken_at).total_seconds()) / 86400.0
    return Evidence("time", math.log(0.5 + 0.5 * math.exp(-days / settings.life_days)), f"{days:.1f} days apart")


@lru_cache(maxsize=64)
def _resolution(near_m: float) -> int:
    """The finest h3 resolution whose neighbouring cells surely hold everything within ``near_m``.

    The least width of a cell is about 0.6 of the average: cells are distorted, and pentagons are smaller.
    """
    fitting = [r for r in range(16) if 0.6 * h3.average_hexagon_edge_length(r, unit="m") >= near_m]
    return max(fitting, default=0)
