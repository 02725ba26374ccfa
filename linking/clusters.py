"""From adverts to clusters: which photos show the same physical advert, and which adverts are one shop's.

Two sightings are of the same physical advert when their photos are the same picture, or when they share a contact and were
taken near each other. The same contact at two places five kilometres apart is two adverts of one shop. Everything is pure, and
the result depends neither on the order of the sightings nor on how they came in batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import h3

from ..contract import Flag, Identifier, IdentifierKind, Placement, Quad
from ..inference.identifiers.fold import skeleton
from .pictures import close_pairs
from .shops import differ_in_digits
from .stems import Rarity, has_stem, stem, template

Contact = tuple[IdentifierKind, str]


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """When two sightings are the same advert."""

    near_m: float = 60.0
    """Greatest distance in metres between photos of one advert: the error of phone positions between houses, twice."""
    picture_bits: int = 6
    """Greatest difference of perceptual hashes (of 64 bits) between copies of one picture."""
    same_place_iou: float = 0.3
    """Least overlap of two adverts, as shares of their photos' sides, in copies of one picture."""
    min_confidence: float = 0.3
    """Contacts less certain than this join nothing."""
    stem_weight: float = 4.0
    """Least surprise in nats of a name for unlisted contacts with the same name and other numbers to count as one shop's."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One advert in one photo, with what clustering needs.

    ``photo`` is the SHA-256 of the photo and ``advert`` the index in it: together they identify the sighting. ``box`` is the
    advert's upright bounding box as shares of the photo's width and height (left, top, right, bottom).
    """

    photo: str
    advert: int
    identifiers: tuple[Identifier, ...] = ()
    shop_id: str | None = None
    lat: float | None = None
    lon: float | None = None
    picture_hash: int | None = None
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    @property
    def key(self) -> tuple[str, int]:
        return (self.photo, self.advert)


def box_of(quad: Quad, width: int, height: int) -> tuple[float, float, float, float]:
    """The bounding box of a quad in pixels as shares of the photo's sides, cut at its edges."""
    xs, ys = [min(max(x / width, 0.0), 1.0) for x, _ in quad], [min(max(y / height, 0.0), 1.0) for _, y in quad]
    return (min(xs), min(ys), max(xs), max(ys))


class Groups:
    """Union-find over the numbers 0 .. n-1."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, item: int) -> int:
        """The representative of the group of ``item``."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, a: int, b: int) -> None:
        """Make the groups of two items one."""
        a, b = self.find(a), self.find(b)
        # The smaller number always wins, so that the outcome does not depend on the order of the calls.
        self._parent[max(a, b)] = min(a, b)


def place(sightings: Sequence[Sighting], settings: ClusterSettings | None = None) -> list[Placement]:
    """The clusters of sightings, one placement per sighting in the order given.

    Cluster ids come from the smallest key in the cluster, so they do not depend on the order. Sightings that stand in the list
    twice (same photo and advert) get the same placement.
    """
    settings = settings or ClusterSettings()
    unique = _unique(sightings)
    evidence = [_evidence(sighting, settings) for sighting in unique]
    walls = Groups(len(unique))
    copies = list(_copies(unique, evidence, settings))
    known = list(_near_pairs(unique, evidence, settings))
    for a, b in (*copies, *known):
        walls.join(a, b)
    unplaced = list(_unplaced_pairs(unique, evidence, walls))
    for a, b in unplaced:
        walls.join(a, b)
    shops = _shop_groups(unique, evidence, walls, settings)
    reasons = _reasons(unique, walls, evidence, {i for pair in copies for i in pair})
    made = {
        s.key: Placement(_id("c", unique[walls.find(i)].key), _id("s", unique[shops.find(i)].key), reasons[i])
        for i, s in enumerate(unique)
    }
    return [made[sighting.key] for sighting in sightings]


def _unique(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Each sighting once, by key. Of several reports of one photo the first with a place counts, in the order of places."""
    ordered = sorted(sightings, key=lambda s: (s.key, s.lat is None, s.lat or 0.0, s.lon or 0.0, s.shop_id or ""))
    first: dict[tuple[str, int], Sighting] = {}
    for sighting in ordered:
        first.setdefault(sighting.key, sighting)
    return list(first.values())


def distance_m(a: Sighting, b: Sighting) -> float | None:
    """Metres between two sightings on the sphere, or None where the place of one is unknown."""
    if a.lat is None or a.lon is None or b.lat is None or b.lon is None:
        return None
    return float(h3.great_circle_distance((a.lat, a.lon), (b.lat, b.lon), unit="m"))


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The contacts of one sighting: certain enough values, how they look, and the values they may be instead."""

    contacts: frozenset[Contact]
    looks: frozenset[Contact]


def _evidence(sighting: Sighting, settings: ClusterSettings) -> _Evidence:
    contacts: set[Contact] = set()
    looks: set[Contact] = set()
    for identifier in sighting.identifiers:
        if identifier.confidence >= settings.min_confidence:
            contacts.add((identifier.kind, identifier.value))
        for value, share in ((identifier.value, identifier.confidence), *identifier.alternatives):
            if share >= settings.min_confidence:
                looks.add((identifier.kind, skeleton(value)))
    return _Evidence(frozenset(contacts), frozenset(looks))


def _related(a: _Evidence, b: _Evidence) -> bool:
    """Whether two sightings show a common contact; look-alikes count unless both read different digits there."""
    if a.contacts & b.contacts:
        return True
    for kind, look in a.looks & b.looks:
        ours = [value for k, value in a.contacts if k == kind and skeleton(value) == look]
        theirs = [value for k, value in b.contacts if k == kind and skeleton(value) == look]
        if not ours or not theirs or any(not differ_in_digits(x, y) for x in ours for y in theirs):
            return True
    return False


def _copies(unique: Sequence[Sighting], evidence: Sequence[_Evidence], settings: ClusterSettings) -> Iterable[tuple[int, int]]:
    """Pairs of sightings at the same spot of two copies of one picture."""
    by_photo: dict[str, list[int]] = defaultdict(list)
    for i, sighting in enumerate(unique):
        if sighting.picture_hash is not None:
            by_photo[sighting.photo].append(i)
    photos = sorted(by_photo)
    hashes = [unique[by_photo[photo][0]].picture_hash or 0 for photo in photos]
    for p, q in close_pairs(hashes, settings.picture_bits):
        for i in by_photo[photos[p]]:
            for j in by_photo[photos[q]]:
                strangers = evidence[i].contacts and evidence[j].contacts and not _related(evidence[i], evidence[j])
                if not strangers and _iou(unique[i].box, unique[j].box) >= settings.same_place_iou:
                    yield i, j


def _near_pairs(
    unique: Sequence[Sighting], evidence: Sequence[_Evidence], settings: ClusterSettings
) -> Iterable[tuple[int, int]]:
    """Pairs of sightings of different photos with known places that share a contact and are near each other."""
    resolution = _resolution(settings.near_m)
    cells: dict[str, list[int]] = defaultdict(list)
    for i, sighting in enumerate(unique):
        if sighting.lat is not None and sighting.lon is not None:
            cells[h3.latlng_to_cell(sighting.lat, sighting.lon, resolution)].append(i)
    for cell, members in cells.items():
        around = [j for other in h3.grid_disk(cell, 1) for j in cells.get(other, ())]
        for i in members:
            for j in around:
                if i < j and unique[i].photo != unique[j].photo and _related(evidence[i], evidence[j]):
                    metres = distance_m(unique[i], unique[j])
                    if metres is not None and metres <= settings.near_m:
                        yield i, j


def _unplaced_pairs(unique: Sequence[Sighting], evidence: Sequence[_Evidence], walls: Groups) -> list[tuple[int, int]]:
    """Joins for sightings without a place: only where it is clear which advert they show.

    Those that share contacts hang together. Such a set joins the one known advert with its contacts, or stays a cluster of its
    own when there is none. Where several known adverts come into question it tells nothing: then its members join
    nothing together, and each alone only what is clear for it alone.
    """
    loose = [i for i, s in enumerate(unique) if s.lat is None or s.lon is None]
    placed_by_look: dict[Contact, set[int]] = defaultdict(set)
    for i, s in enumerate(unique):
        if s.lat is not None and s.lon is not None:
            for look in evidence[i].looks:
                placed_by_look[look].add(i)
    placed_walls = {walls.find(i) for members in placed_by_look.values() for i in members}
    touching = {i: _walls_of(i, evidence, placed_by_look, walls) | ({walls.find(i)} & placed_walls) for i in loose}
    among = list(_loose_pairs(unique, evidence, loose))
    sets = Groups(len(unique))
    for a, b in among:
        sets.join(a, b)
    targets: dict[int, set[int]] = defaultdict(set)
    for i in loose:
        targets[sets.find(i)] |= touching[i]
    pairs = [(a, b) for a, b in among if len(targets[sets.find(a)]) <= 1]
    pairs += [(i, next(iter(touching[i]))) for i in loose if len(touching[i]) == 1]
    return pairs


def _walls_of(i: int, evidence: Sequence[_Evidence], placed_by_look: dict[Contact, set[int]], walls: Groups) -> set[int]:
    candidates = {j for look in evidence[i].looks for j in placed_by_look.get(look, ())}
    return {walls.find(j) for j in candidates if _related(evidence[i], evidence[j])}


def _loose_pairs(unique: Sequence[Sighting], evidence: Sequence[_Evidence], loose: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Enough pairs to hang together the sightings of different photos that share a contact.

    Sightings with the same contacts behave alike, so whole groups of them are compared: a handle that a thousand photos
    show costs a thousand steps and not a million.
    """
    alike: dict[_Evidence, list[int]] = defaultdict(list)
    for i in loose:
        alike[evidence[i]].append(i)
    by_look: dict[Contact, list[_Evidence]] = defaultdict(list)
    for item in alike:
        for look in item.looks:
            by_look[look].append(item)
    for items in by_look.values():
        for position, item in enumerate(items):
            for other in items[position:]:
                if item is other or _related(item, other):
                    yield from _connect(unique, alike[item], alike[other])


def _connect(unique: Sequence[Sighting], ours: Sequence[int], theirs: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Join all of two groups through one member, unless all of them lie in one photo: those are different adverts."""
    members = [*ours, *theirs]
    if len({unique[i].photo for i in members}) > 1:
        yield from ((members[0], i) for i in members[1:] if i != members[0])


def _shop_groups(unique: Sequence[Sighting], evidence: Sequence[_Evidence], walls: Groups, settings: ClusterSettings) -> Groups:
    """Adverts of one shop: one physical advert, one listed shop, a common unprotected contact, or a rare name in common."""
    shops = Groups(len(unique))
    first: dict[Hashable, int] = {}

    def same(i: int, key: Hashable) -> None:
        shops.join(i, first.setdefault(key, i))

    # Nothing tells the unlisted shops apart but their names: each stem counts as a shop.
    listed = [(i.kind, i.value) for s in unique for i in s.identifiers]
    rarity = Rarity((stem(kind, value), kind, value) for kind, value in listed)
    for i, sighting in enumerate(unique):
        same(i, ("wall", walls.find(i)))
        if sighting.shop_id is not None:
            same(i, ("shop", sighting.shop_id))
        for identifier in sighting.identifiers:
            if identifier.confidence < settings.min_confidence or Flag.PROTECTED in identifier.flags:
                continue
            same(i, ("contact", identifier.kind, identifier.value))
            if sighting.shop_id is None and has_stem(identifier.kind):
                text = stem(identifier.kind, identifier.value)
                if rarity.weight(text) >= settings.stem_weight:
                    same(i, ("stem", text, template(identifier.kind, identifier.value)))
    return shops


def _reasons(unique: Sequence[Sighting], walls: Groups, evidence: Sequence[_Evidence], copied: set[int]) -> list[tuple[str, ...]]:
    """What each sighting has in common with the rest of its cluster, in words."""
    members: dict[int, list[int]] = defaultdict(list)
    for i in range(len(unique)):
        members[walls.find(i)].append(i)
    out: list[tuple[str, ...]] = [()] * len(unique)
    for group in members.values():
        photos = {unique[i].photo for i in group}
        if len(photos) == 1:
            continue
        count: dict[Contact, set[str]] = defaultdict(set)
        for i in group:
            for contact in evidence[i].contacts:
                count[contact].add(unique[i].photo)
        for i in group:
            shared = sorted(c for c in evidence[i].contacts if len(count[c]) > 1)
            words = [f"{kind} {value} in {len(count[kind, value])} photos of this advert" for kind, value in shared]
            if i in copied:
                words.append("the same picture was sent more than once")
            out[i] = tuple(words) or ("a look-alike contact in another photo of this place",)
    return out


def _iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    common = width * height
    total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / total if total > 0 else 0.0


def _resolution(near_m: float) -> int:
    """The finest h3 resolution whose neighbouring cells surely hold everything within ``near_m``.

    The least width of a cell is about 0.6 of the average: cells are distorted, and pentagons are smaller.
    """
    fitting = [r for r in range(16) if 0.6 * h3.average_hexagon_edge_length(r, unit="m") >= near_m]
    return max(fitting, default=0)


def _id(prefix: str, key: tuple[str, int]) -> str:
    return f"{prefix}{key[0][:12]}-{key[1]}"
