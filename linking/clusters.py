"""From adverts to clusters: which photos show the same physical advert, and which adverts are one shop's.

Two sightings are of the same physical advert when their photos are the same picture, when they share a contact and were
taken near each other, or when their pictures agree where the text cannot be read. The same contact at two places five kilometres
apart is two adverts of one shop. Everything is pure, and the result depends neither on the order of the sightings nor on how they
came in batches. ``Book`` keeps the same clusters as sightings come one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from ..contract import Flag, Placement
from .bundles import Groups, Rule, bundle, partition
from .joining import PairEvidence, compare, is_copy
from .sightings import ClusterSettings, Contact, Fact, Key, Overpaint, Sighting, Traced, box_of, distance_m, trace
from .stems import Rarity, has_stem, stem, template

__all__ = [
    "ClusterSettings",
    "Contact",
    "Fact",
    "Groups",
    "Key",
    "Overpaint",
    "PairEvidence",
    "Rule",
    "Sighting",
    "Traced",
    "box_of",
    "bundle",
    "compare",
    "distance_m",
    "partition",
    "place",
    "placements",
    "trace",
]


def place(sightings: Sequence[Sighting], settings: ClusterSettings | None = None, rules: Sequence[Rule] = ()) -> list[Placement]:
    """The clusters of sightings, one placement per sighting in the order given; ``rules`` are what people have said.

    Cluster ids come from the smallest key in the cluster, so they do not depend on the order. Sightings that stand in the list
    twice (same photo and advert) get the same placement.
    """
    settings = settings or ClusterSettings()
    items = [trace(sighting, settings) for sighting in _unique(sightings)]
    made = placements(items, partition(items, rules, settings), settings)
    return [made[sighting.key] for sighting in sightings]


def placements(items: Sequence[Traced], walls: Groups, settings: ClusterSettings) -> dict[Key, Placement]:
    """The placements of sightings of which it is known which are of one physical advert (``walls``, by their numbers).

    ``items`` are in the order of their keys, each once; of their pictures and words nothing is needed.
    """
    shops = _shop_groups(items, walls, settings)
    reasons = _reasons(items, walls, settings)
    return {
        item.key: Placement(_id("c", items[walls.find(i)].key), _id("s", items[shops.find(i)].key), reasons[i])
        for i, item in enumerate(items)
    }


def _unique(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Each sighting once, by key. Of several reports of one photo the first with a place counts, in the order of places."""
    ordered = sorted(sightings, key=lambda s: (s.key, s.lat is None, s.lat or 0.0, s.lon or 0.0, s.shop_id or ""))
    first: dict[Key, Sighting] = {}
    for sighting in ordered:
        first.setdefault(sighting.key, sighting)
    return list(first.values())


def _shop_groups(items: Sequence[Traced], walls: Groups, settings: ClusterSettings) -> Groups:
    """Adverts of one shop: one physical advert, one listed shop, a common unprotected contact, or a rare name in common."""
    shops = Groups(len(items))
    first: dict[Hashable, int] = {}

    def same(i: int, key: Hashable) -> None:
        shops.join(i, first.setdefault(key, i))

    # Nothing tells the unlisted shops apart but their names: each stem counts as a shop.
    listed = [(i.kind, i.value) for item in items for i in item.sighting.identifiers]
    rarity = Rarity((stem(kind, value), kind, value) for kind, value in listed)
    for i, item in enumerate(items):
        same(i, ("wall", walls.find(i)))
        shop_id = item.sighting.shop_id
        if shop_id is not None:
            same(i, ("shop", shop_id))
        for identifier in item.sighting.identifiers:
            if identifier.confidence < settings.min_confidence or Flag.PROTECTED in identifier.flags:
                continue
            same(i, ("contact", identifier.kind, identifier.value))
            if shop_id is None and has_stem(identifier.kind):
                text = stem(identifier.kind, identifier.value)
                if rarity.weight(text) >= settings.stem_weight:
                    same(i, ("stem", text, template(identifier.kind, identifier.value)))
    return shops


def _reasons(items: Sequence[Traced], walls: Groups, settings: ClusterSettings) -> list[tuple[str, ...]]:
    """What each sighting has in common with the rest of its cluster, in words."""
    out: list[tuple[str, ...]] = [()] * len(items)
    for group in walls.parts().values():
        if len({items[i].sighting.photo for i in group}) == 1:
            continue
        count: dict[Contact, set[str]] = defaultdict(set)
        hashed: list[int] = []
        for i in group:
            for contact in items[i].evidence.contacts:
                count[contact].add(items[i].sighting.photo)
            if items[i].sighting.picture_hash is not None:
                hashed.append(i)
        for i in group:
            shared = sorted(c for c in items[i].evidence.contacts if len(count[c]) > 1)
            words = [f"{kind} {value} in {len(count[kind, value])} photos of this advert" for kind, value in shared]
            if i in hashed and any(is_copy(items[i], items[j], settings) for j in hashed if j != i):
                words.append("the same picture was sent more than once")
            out[i] = tuple(words) or ("a look-alike contact or the same paint in another photo of this place",)
    return out


def _id(prefix: str, key: Key) -> str:
    return f"{prefix}{key[0][:12]}-{key[1]}"
