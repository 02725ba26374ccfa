"""One sighting of an advert, with the parts of it that clustering compares: contacts, place, words and picture.

What tells that two of them show the same physical advert is in ``joining``. Everything is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import h3.api.numpy_int as h3

from ..contract import Identifier, IdentifierKind, Quad, Reading
from ..inference.identifiers.fold import skeleton
from .features import AdvertFeatures
from .shops import differ_in_digits
from .wording import Spelt

Contact = tuple[IdentifierKind, str]
Key = tuple[str, int]
"""Identity of a sighting: the SHA-256 of the photo and the number of the advert in it."""
LOOSE, ANYWHERE = 0, 1
"""Instead of a coarse cell: where hints are looked up of sightings without a place, and of all."""
HINT = 5
"""Characters of the beginning and of the end of a contact by which pictures worth comparing are found."""


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
    clear_from: float = 0.68
    """Contacts of at least this confidence are read clearly. Two adverts that both show such contacts, and none in common, are
    different ones, whatever else agrees."""
    same_words_nats: float = -8.0
    """Least that two photos together may say of the best text that both may show of a contact, compared with what each read: then
    they are misreads of one contact, if one of them is not clear and they read the same digits."""
    telling_nats: float = 10.0
    """Least surprise (see ``joining.surprise``) of the text that two misreads have in common."""
    sure_digit: float = 0.9
    """Photos that read different digits at one place, each with this confidence, are never joined by their pictures."""
    same_advert_nats: float = 2.0
    """Least log-odds of the picture features alone to join adverts near each other of which one shows no clear contact."""
    elsewhere_nats: float = 4.5
    """Least log-odds of the picture features to join adverts of which one has no known place. They may be of one poster on two
    walls, whose paper looks like a wall that agrees, so that more has to agree than near by."""
    hinted_from: float = 0.1
    """Probability from which on a value counts as one that an advert may show."""
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
    ``overpaint`` is None where nobody looked. ``readings`` are those of the advert's lines, for reading photos together;
    ``words`` are the contacts that they may spell (``wording.spelt``).
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
    words: tuple[Spelt, ...] = ()

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
    """A sighting with the parts of it that clustering compares.

    ``clear`` says whether it shows a contact that was read clearly; ``hints`` are how the contacts begin and end that it may
    show, however unsure: they only tell which pictures are worth comparing.
    """

    sighting: Sighting
    evidence: ContactEvidence
    spot: Spot | None
    clear: bool = False
    hints: frozenset[Contact] = frozenset()

    @property
    def key(self) -> Key:
        return self.sighting.key

    @property
    def comparable(self) -> bool:
        """Whether there is more to compare than contacts, place and picture hash."""
        return self.sighting.features is not None or bool(self.sighting.words)


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
    clear = any(identifier.confidence >= settings.clear_from for identifier in sighting.identifiers)
    return Traced(sighting, ContactEvidence(frozenset(contacts), frozenset(looks)), spot, clear, _hints(sighting, settings))


def _hints(sighting: Sighting, settings: ClusterSettings) -> frozenset[Contact]:
    if sighting.features is None:
        return frozenset()
    found = {(word.kind, word.forms[0][1]) for word in sighting.words}
    for identifier in sighting.identifiers:
        for value, share in ((identifier.value, identifier.confidence), *identifier.alternatives):
            if share >= settings.hinted_from:
                found.add((identifier.kind, value))
    looks = [(kind, skeleton(value)) for kind, value in found]
    return frozenset((kind, end) for kind, look in looks for end in (f"{look[:HINT]}…", f"…{look[-HINT:]}"))


def is_cut(a: ContactEvidence, b: ContactEvidence) -> bool:
    """Whether one shows what may be the beginning or the end of a contact of the other, the rest being out of the picture."""
    return any(
        x != y and min(len(x), len(y)) >= HINT and (x.startswith(y) or x.endswith(y) or y.startswith(x) or y.endswith(x))
        for kind, x in a.looks
        for other, y in b.looks
        if kind == other
    )


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
    return within(a.spot, b.spot, settings.near_m)


def within(a: Spot | None, b: Spot | None, near_m: float) -> bool:
    """Whether both places are known, and at most so many metres apart."""
    apart = metres(a, b)
    return apart is not None and apart <= near_m


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


def hint_places(item: Traced) -> tuple[int, ...]:
    """Where hints of a sighting are looked up: coarse cells, ``LOOSE``, ``ANYWHERE``."""
    return (ANYWHERE,) if item.spot is None else (LOOSE, *areas_around(item.spot))


def told_by_place(a: Traced, b: Traced) -> bool:
    """Whether contact and place tell already that two sightings are one, or are not."""
    return a.spot is not None and b.spot is not None and related(a.evidence, b.evidence)


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two upright boxes (left, top, right, bottom)."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    common = width * height
    total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / total if total > 0 else 0.0


@lru_cache(maxsize=64)
def _resolution(near_m: float) -> int:
    """The finest h3 resolution whose neighbouring cells surely hold everything within ``near_m``.

    The least width of a cell is about 0.6 of the average: cells are distorted, and pentagons are smaller.
    """
    fitting = [r for r in range(16) if 0.6 * h3.average_hexagon_edge_length(r, unit="m") >= near_m]
    return max(fitting, default=0)
